"""The verifier: a small network that judges a candidate of the detector by its picture and the detector's features.

Promises:
- in: `rows` (n, 4 + classes) of the detector, `pictures` (n, 3, CROP_PX, CROP_PX) RGB 0..1 and `features`; out: rows of
  the same form with new scores and a corrected box;
- it corrects what the detector said, in logits; weights of its last layer at zero leave the detector's word;
- plain convolutions, ReLU, two full layers: what the detector is made of.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from training.cascade import MAP_CHANNELS
from training.classes import VESSEL_CLASSES
from training.network import LOGITS, PRESENCES, conv, scores

EPSILON = 1e-4
LEAST_SPREAD = 0.01  # of a picture's values: haze and night are spread out, flat noise is not
MOST_SHIFT = 1.0
"""Of a box: sides of its own that the centre may move, and the log of the factor for its sides."""


def logits_of(rows: Tensor) -> Tensor:
    """The logits (n, LOGITS) that give a row its scores, the best kind at 0."""
    said = rows[:, 4:].clamp(EPSILON, 1 - EPSILON)
    best = said[:, :VESSEL_CLASSES].amax(1, keepdim=True)
    kinds = torch.log(said[:, :VESSEL_CLASSES] / best)
    return torch.cat((torch.logit(torch.cat((best, said[:, VESSEL_CLASSES:]), 1)), kinds), 1)


class Verifier(nn.Module):
    """A branch for the picture, one for the features, and what the detector said; together they correct it."""

    def __init__(self) -> None:
        super().__init__()
        self.picture = nn.Sequential(
            conv(6, 16, 3, 2), conv(16, 32, 3, 2), conv(32, 48, 3, 2), conv(48, 48), conv(48, 24, 1), nn.Flatten()
        )
        self.features = nn.Sequential(conv(MAP_CHANNELS, 48, 1), conv(48, 48, 3, 2), conv(48, 48), nn.Flatten())
        self.both = nn.Sequential(
            nn.Linear(24 * 6 * 6 + 48 * 4 * 4 + LOGITS + 2, 96), nn.ReLU(inplace=True), nn.Dropout(0.2)
        )
        self.last = nn.Linear(96, LOGITS + 4)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, rows: Tensor, pictures: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """Boxes (n, 4) cx, cy, w, h px and logits (n, LOGITS)."""
        said, sides = logits_of(rows), torch.log(rows[:, 2:4].clamp(min=1.0))
        even = pictures - pictures.mean((2, 3), keepdim=True)
        spread = even.square().mean((1, 2, 3), keepdim=True).sqrt() + LEAST_SPREAD
        seen = torch.cat((pictures * 4 - 2, even / spread), 1)
        parts = (self.picture(seen), self.features(features), said / 4, sides / 2 - 1)
        out = self.last(self.both(torch.cat(parts, 1)))
        shift = MOST_SHIFT * torch.tanh(out[:, LOGITS:])
        size = rows[:, 2:4]
        box = torch.cat((rows[:, :2] + shift[:, :2] * size, size * torch.exp(shift[:, 2:])), 1)
        return box, said + out[:, :LOGITS]


class Verified(nn.Module):
    """The verifier as it is shipped: candidates in, rows out; presences' logits times `pitch` plus `offset`."""

    def __init__(self, verifier: Verifier, pitch: float = 1.0, offset: float = 0.0) -> None:
        super().__init__()
        self.verifier, self.pitch, self.offset = verifier, pitch, offset

    def forward(self, rows: Tensor, pictures: Tensor, features: Tensor) -> Tensor:
        """(n, 4 + classes)."""
        box, logits = self.verifier(rows, pictures, features)
        presences = logits[:, :PRESENCES] * self.pitch + self.offset
        return torch.cat((box, scores(torch.cat((presences, logits[:, PRESENCES:]), 1))), 1)
