"""The network: a plain convolutional, anchor-free, one-stage detector with output strides 4, 8 and 16.

Promises:
- input (B, 3, H, W) RGB 0..1, H and W multiples of 32; cells are ordered stride 4, 8, 16, row by row;
- `forward` gives raw (B, N, 4) boxes and (B, N, TAUGHT_LOGITS) logits; `Exported` decodes them inside the graph to
  (B, 4 + classes, N) with cx, cy, w, h in input pixels and scores 0..1, the layout of YOLOv8;
- the best vessel class of a box carries the score that there is a vessel at all, the others their odds against it:
  a far boat that may be any of five kinds is not five weak boats;
- besides the softmax over kinds only 3x3 and 1x1 convolutions, ReLU, add and nearest upsampling: every accelerator of a
  small box has them.

Stride 4 is what finds boats of 3 to 8 px; stride 32 is used inside only, for context, and predicts nothing.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from training.classes import LABELS, VESSEL_CLASSES

STRIDES = (4, 8, 16)
MAX_LOG_SIZE = 6.0
PRIOR = 0.01
LARGEST_PX = 512.0
"""The widest crop that training shows: of a longer box nothing was learnt, and they are bridges and houses."""
LEVEL = 0.38
"""As for the file before; CARD.md says what it brings 0.35, from where on a box is tracked, to."""
PRESENCES = 1 + len(LABELS) - VESSEL_CLASSES
"""The first logits of a cell: a vessel, then each class that is none; the kinds of vessel follow."""
LOGITS = PRESENCES + VESSEL_CLASSES
TAUGHT_LOGITS = LOGITS + 1
"""The last is the presence of a rock, taught but not exported."""
PRESENCE_ROWS = (*range(PRESENCES), LOGITS)
"""All presences that are taught: a vessel, a buoy, a bird, a rock; the loss takes them in this order."""


def conv(inner: int, outer: int, size: int = 3, stride: int = 1) -> nn.Sequential:
    """Convolution, batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inner, outer, size, stride, size // 2, bias=False), nn.BatchNorm2d(outer), nn.ReLU(inplace=True)
    )


class Bottleneck(nn.Module):
    """Residual block of two 3x3 convolutions through half the channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(channels, channels // 2), conv(channels // 2, channels))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.body(x)
        return out


def stage(inner: int, outer: int, blocks: int) -> nn.Sequential:
    """Halve the resolution, then `blocks` residual blocks."""
    return nn.Sequential(conv(inner, outer, 3, 2), *(Bottleneck(outer) for _ in range(blocks)))


class Head(nn.Module):
    """One level's prediction: a 3x3 trunk for scores, one for boxes, and a 1x1 each."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        last_score, last_box = nn.Conv2d(channels, TAUGHT_LOGITS, 1), nn.Conv2d(32, 4, 1)
        self.score = nn.Sequential(conv(channels, channels), last_score)
        self.box = nn.Sequential(conv(channels, 32), last_box)
        nn.init.normal_(last_score.weight, std=0.01)
        nn.init.normal_(last_box.weight, std=0.01)
        bias = torch.zeros(TAUGHT_LOGITS)
        bias[list(PRESENCE_ROWS)] = -math.log((1 - PRIOR) / PRIOR)
        last_score.load_state_dict({"bias": bias}, strict=False)
        last_box.load_state_dict({"bias": torch.zeros(4)}, strict=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, h*w, 4) and (B, h*w, TAUGHT_LOGITS)."""
        return self.box(x).flatten(2).transpose(1, 2), self.score(x).flatten(2).transpose(1, 2)


class Detector(nn.Module):
    """Backbone to stride 32, top-down neck back to stride 4, one head for each of STRIDES."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv(3, 16, 3, 2), stage(16, 32, 1))
        self.s8 = stage(32, 64, 2)
        self.s16 = stage(64, 128, 4)
        self.s32 = stage(128, 192, 5)
        self.lateral = nn.ModuleList((conv(32, 32, 1), conv(64, 48, 1), conv(128, 64, 1)))
        self.down = nn.ModuleList((conv(48, 32, 1), conv(64, 48, 1), conv(192, 64, 1)))
        self.smooth = nn.ModuleList((conv(32, 32), conv(48, 48), conv(64, 64)))
        self.heads = nn.ModuleList((Head(32), Head(48), Head(64)))
        self.up = nn.Upsample(scale_factor=2, mode="nearest")

    def levels(self, x: Tensor) -> list[Tensor]:
        """Feature maps of STRIDES."""
        c4 = self.stem(x)
        c8 = self.s8(c4)
        c16 = self.s16(c8)
        upper = self.s32(c16)
        out: list[Tensor] = []
        for i, feature in reversed(list(enumerate((c4, c8, c16)))):
            upper = self.smooth[i](self.lateral[i](feature) + self.up(self.down[i](upper)))
            out.insert(0, upper)
        return out

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Raw boxes (B, N, 4): centre offset in strides, log of size in strides; and logits (B, N, TAUGHT_LOGITS)."""
        parts = [head(level) for head, level in zip(self.heads, self.levels(x), strict=True)]
        return torch.cat([p[0] for p in parts], 1), torch.cat([p[1] for p in parts], 1)


def decode(raw: Tensor, centres: Tensor, strides: Tensor) -> Tensor:
    """Raw boxes to cx, cy, w, h in px. `centres` (N, 2) and `strides` (N, 1) are the cells'."""
    xy = centres + raw[..., :2] * strides
    wh = torch.exp(raw[..., 2:].clamp(-MAX_LOG_SIZE, MAX_LOG_SIZE)) * strides
    return torch.cat((xy, wh), -1)


def scores(logits: Tensor) -> Tensor:
    """Logits (..., LOGITS or more) to a score 0..1 for each of LABELS (..., classes)."""
    presence = torch.sigmoid(logits[..., :PRESENCES])
    kinds = torch.softmax(logits[..., PRESENCES:LOGITS], -1)
    return torch.cat((presence[..., :1] * kinds / kinds.amax(-1, keepdim=True), presence[..., 1:]), -1)


class Exported(nn.Module):
    """The detector with its decoding, as it is shipped: picture in, (B, 4 + classes, N) out, any H and W of 32s.

    Its logits are lowered by LEVEL, and what is longer than LARGEST_PX scores 0.
    """

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, x: Tensor) -> Tensor:
        out: list[Tensor] = []
        for stride, head, level in zip(STRIDES, self.detector.heads, self.detector.levels(x), strict=True):
            rows = torch.arange(level.shape[2], dtype=torch.float32)
            columns = torch.arange(level.shape[3], dtype=torch.float32)
            grid_y, grid_x = torch.meshgrid(rows, columns, indexing="ij")
            centres = (torch.stack((grid_x, grid_y), -1).reshape(-1, 2) + 0.5) * stride
            raw, logits = head(level)
            boxes = decode(raw, centres, torch.full((1, 1), float(stride)))
            lower = torch.cat((logits[..., :PRESENCES] - LEVEL, logits[..., PRESENCES:LOGITS]), -1)
            known = (boxes[..., 2:].amax(-1, keepdim=True) <= LARGEST_PX).float()
            out.append(torch.cat((boxes, scores(lower) * known), -1))
        return torch.cat(out, 1).transpose(1, 2)
