"""Train the verifier: `python -m training.verify training-out/candidates training-out/verifier.pt --steps 6000`.

Promises:
- a run is a function of the candidates, the seed and the steps, up to the order of sums in threads;
- pictures vary in light, colour, sharpness and noise, and are mirrored with their features; now and then one of the two
  is blanked, so that neither is trusted alone;
- half of a batch lies on something, the other half on nothing.
"""

from __future__ import annotations

import argparse
import copy
import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from training.candidates import Candidates
from training.classes import VESSEL_CLASSES
from training.losses import overlaps
from training.network import PRESENCES
from training.train import optimiser_of, update_mean
from training.verifier import Verifier

BLANK_PICTURE, BLANK_FEATURES = 0.05, 0.15
BOX_WEIGHT, KIND_WEIGHT = 0.5, 0.2
WARM_STEPS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Lot:
    """A batch: what the verifier gets and what it is taught, as tensors; see `Candidates`."""

    rows: Tensor
    pictures: Tensor
    features: Tensor
    worth: Tensor
    box: Tensor
    label: Tensor


def take(from_all: Candidates, chosen: np.ndarray) -> Lot:
    """The chosen candidates as they are."""
    return Lot(
        rows=torch.from_numpy(from_all.rows[chosen]),
        pictures=torch.from_numpy(from_all.pictures[chosen]).float() / 255,
        features=torch.from_numpy(from_all.features[chosen]).float(),
        worth=torch.from_numpy(from_all.worth[chosen]),
        box=torch.from_numpy(from_all.box[chosen]),
        label=torch.from_numpy(from_all.label[chosen]),
    )


def vary(lot: Lot, generator: torch.Generator) -> Lot:
    """Other light, other side, other noise; the box follows a mirrored picture."""
    count = len(lot.rows)

    def draw(*shape: int) -> Tensor:
        return torch.rand(count, *shape, generator=generator)

    mirrored = draw() < 0.5
    pictures = torch.where(mirrored[:, None, None, None], lot.pictures.flip(3), lot.pictures)
    features = torch.where(mirrored[:, None, None, None], lot.features.flip(3), lot.features)
    shifted = 2 * lot.rows[:, 0] - lot.box[:, 0]
    box = torch.cat((torch.where(mirrored, shifted, lot.box[:, 0])[:, None], lot.box[:, 1:]), 1)
    light = torch.exp((draw(1, 1, 1) - 0.5) * 0.8) * torch.exp((draw(3, 1, 1) - 0.5) * 0.2)
    pictures = pictures.clamp(1e-4, 1) ** torch.exp((draw(1, 1, 1) - 0.5) * 0.6) * light + (draw(1, 1, 1) - 0.5) * 0.2
    soft = functional.avg_pool2d(pictures, 3, 1, 1, count_include_pad=False)
    pictures = torch.where(draw(1, 1, 1) < 0.2, soft, pictures)
    grain = torch.randn(pictures.shape, generator=generator) * (draw(1, 1, 1) ** 3 * 0.06)
    pictures = (pictures + grain).clamp(0, 1) * (draw(1, 1, 1) >= BLANK_PICTURE)
    features = features * (draw(1, 1, 1) >= BLANK_FEATURES)
    return Lot(rows=lot.rows, pictures=pictures, features=features, worth=lot.worth, box=box, label=lot.label)


def verifier_loss(box: Tensor, logits: Tensor, lot: Lot) -> tuple[Tensor, dict[str, float]]:
    """Cross-entropy of the presences with their worth, of the kinds, and GIoU with L1 of the boxes."""
    doubt = functional.binary_cross_entropy_with_logits(logits[:, :PRESENCES], lot.worth, reduction="none")
    presence = (doubt * torch.tensor([1.0] + [0.5] * (PRESENCES - 1))).sum(1).mean()
    on, vessel = lot.label >= 0, (lot.label >= 0) & (lot.label < VESSEL_CLASSES)
    kind = box_loss = logits.sum() * 0.0
    if bool(vessel.any()):
        kind = functional.cross_entropy(logits[vessel, PRESENCES:], lot.label[vessel])
    if bool(on.any()):
        mine, real, size = box[on], lot.box[on], lot.rows[on, 2:4]
        _, giou = overlaps(mine, real)
        off = torch.cat(((mine[:, :2] - real[:, :2]) / size, torch.log(mine[:, 2:] / real[:, 2:])), 1)
        box_loss = (
            (1 - giou) + 0.5 * functional.smooth_l1_loss(off, off * 0, beta=0.1, reduction="none").sum(1)
        ).mean()
    parts = {"presence": presence, "kind": kind, "box": box_loss}
    total = presence + KIND_WEIGHT * kind + BOX_WEIGHT * box_loss
    return total, {k: float(v.detach()) for k, v in parts.items()}


def train(candidates: Candidates, *, steps: int, batch: int, rate: float, seed: int) -> Verifier:
    """The moving average of the verifier's weights over a run."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    rng = np.random.default_rng(seed)
    on = np.flatnonzero(candidates.counts & (candidates.label >= 0))
    off = np.flatnonzero(candidates.counts & (candidates.label < 0))
    model = Verifier()
    mean = copy.deepcopy(model).eval()
    optimiser = optimiser_of(model, rate)
    shown: dict[str, float] = {}
    begun = time.monotonic()
    for step in range(steps):
        pace = min(1.0, (step + 1) / WARM_STEPS) * (0.01 + 0.495 * (1 + math.cos(math.pi * step / steps)))
        for group in optimiser.param_groups:
            group["lr"] = rate * pace
        chosen = np.concatenate((rng.choice(on, batch // 2), rng.choice(off, batch - batch // 2)))
        lot = vary(take(candidates, chosen), generator)
        loss, parts = verifier_loss(*model(lot.rows, lot.pictures, lot.features), lot)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimiser.step()
        update_mean(mean, model, step)
        shown = {k: 0.98 * shown.get(k, v) + 0.02 * v for k, v in parts.items()}
        if step % 200 == 0:
            losses = " ".join(f"{k} {v:.3f}" for k, v in shown.items())
            print(f"step {step} {(time.monotonic() - begun) / 60:.1f} min {losses}", flush=True)
    return mean


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("candidates", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--batch", type=int, default=96)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    candidates = Candidates.load(args.candidates)
    print(f"{len(candidates.label)} candidates, {int((candidates.label >= 0).sum())} on something")
    verifier = train(candidates, steps=args.steps, batch=args.batch, rate=args.rate, seed=args.seed)
    torch.save(verifier.state_dict(), args.target)


if __name__ == "__main__":
    main()
