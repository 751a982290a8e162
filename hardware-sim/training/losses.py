"""The loss: quality focal loss on presence, cross-entropy on the kind of vessel, GIoU and L1 on the boxes.

The presence of a positive cell is taught the quality of its own box (generalised focal loss, Li et al. 2020), relative
to the best cell of the same object, which is taught hardly less than 1: a score has to say whether there is a vessel.
IoU alone is a poor teacher for boxes 3 to 8 px high, where a pixel halves it, and at night, when the lamps are seen
and the hull is not.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torch.nn import functional

from training.classes import VESSEL_CLASSES
from training.network import LOGITS, PRESENCES, decode

MIN_QUALITY = 0.5
KIND_WEIGHT = 0.3
MAX_OWNERS = 1000
_NO_VESSEL = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """`image` (B, 3, H, W) uint8; of positives `picture`, `cell`, `label`, `owner`, `box`; `ignored` (B, N).

    An owner's number tells its object from all others of the batch, and is below MAX_OWNERS times B.
    """

    image: Tensor
    picture: Tensor
    cell: Tensor
    label: Tensor
    owner: Tensor
    box: Tensor
    ignored: Tensor

    def pin_memory(self) -> Batch:
        """The same where a GPU fetches it by itself; a loader asks for it."""
        return Batch(**{f.name: getattr(self, f.name).pin_memory() for f in fields(self)})

    def to(self, device: torch.device) -> Batch:
        """The batch where the network is."""
        return Batch(**{f.name: getattr(self, f.name).to(device, non_blocking=True) for f in fields(self)})


def overlaps(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """IoU and generalised IoU of rows of cx, cy, w, h."""
    a0, a1 = a[:, :2] - a[:, 2:] / 2, a[:, :2] + a[:, 2:] / 2
    b0, b1 = b[:, :2] - b[:, 2:] / 2, b[:, :2] + b[:, 2:] / 2
    inner = (torch.minimum(a1, b1) - torch.maximum(a0, b0)).clamp(min=0).prod(1)
    union = a[:, 2:].prod(1) + b[:, 2:].prod(1) - inner
    hull = (torch.maximum(a1, b1) - torch.minimum(a0, b0)).prod(1)
    iou = inner / union
    return iou, iou - (hull - union) / hull


def detection_loss(
    raw: Tensor, logits: Tensor, batch: Batch, centres: Tensor, strides: Tensor
) -> tuple[Tensor, dict[str, Tensor]]:
    """Total loss and its parts. `raw` (B, N, 4), `logits` (B, N, TAUGHT_LOGITS); `centres` (N, 2), `strides` (N, 1).

    Nothing here asks for a value, so a GPU is never waited for.
    """
    raw, logits = raw.float(), logits.float()
    presence = torch.cat((logits[..., :PRESENCES], logits[..., LOGITS:]), -1)
    kinds = logits[..., PRESENCES:LOGITS]
    target = torch.zeros_like(presence)
    count = max(len(batch.cell), 1)
    box_loss = kind_loss = raw.sum() * 0.0
    if len(batch.cell):
        mine = raw[batch.picture, batch.cell]
        at, pitch = centres[batch.cell], strides[batch.cell]
        iou, giou = overlaps(decode(mine, at, pitch), batch.box)
        want = torch.cat(((batch.box[:, :2] - at) / pitch, torch.log(batch.box[:, 2:] / pitch)), 1)
        l1 = functional.smooth_l1_loss(mine, want, beta=0.1, reduction="none").sum(1)
        none = iou.new_zeros(MAX_OWNERS * len(raw))
        best = none.scatter_reduce(0, batch.owner, iou.detach(), "amax")[batch.owner]
        quality = (iou.detach() / best.clamp(min=1e-3)).clamp(0, 1) * best.clamp(min=MIN_QUALITY) ** 0.25
        target[batch.picture, batch.cell, (batch.label - VESSEL_CLASSES + 1).clamp(min=0)] = quality
        box_loss = ((1 - giou) * 2.0 + l1 * 0.5).sum() / count
        kind = torch.where(batch.label < VESSEL_CLASSES, batch.label, _NO_VESSEL)
        doubt = functional.cross_entropy(
            kinds[batch.picture, batch.cell], kind, ignore_index=_NO_VESSEL, reduction="none"
        )
        kind_loss = (doubt * quality).sum() / count * KIND_WEIGHT
    score = torch.sigmoid(presence)
    focal = (
        functional.binary_cross_entropy_with_logits(presence, target, reduction="none")
        * (target - score).abs().square()
    )
    score_loss = (focal.sum(-1) * (~batch.ignored)).sum() / target.sum().clamp(min=1.0) * 2.0
    parts = {"score": score_loss, "box": box_loss, "kind": kind_loss}
    return score_loss + box_loss + kind_loss, {name: part.detach() for name, part in parts.items()}
