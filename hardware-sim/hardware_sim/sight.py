"""What of a picture's truth could have been seen, and which of somebody's boxes found it.

Promises:
- one line stands between what a watch may be asked for and what it may not, the same for the score of a box and for
  training: `seen` wants a contrast that noise alone would not give, a third of the silhouette clear, and 2 px;
- one matching as well: every truth box is found at most once, best score first, so a second box on the same vessel is
  a false one; a box that lies on what is `excused` is neither right nor false;
- NumPy only: boxes are rows `x0, y0, x1, y1` in pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIN_CONTRAST = 5.0
SIGMAS = 4.0
MIN_VISIBLE = 0.35
MIN_SIDE_PX = 2.0
LOOSE_IOU = 0.2
"""Overlap that makes a box right. A boat of 8 x 4 px, boxed two pixels off both ways, has 0.23."""
_AROUND_PX = 12
_EXCUSED_PX = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """`right` and `counted` (n,) of the boxes; `found` (m,): the score that found each wanted one, 0 where missed."""

    right: NDArray[np.bool_]
    counted: NDArray[np.bool_]
    found: NDArray[np.float32]


def grain(grey: NDArray[np.float32], box: tuple[float, float, float, float]) -> float:
    """Noise and ripple around a box: robust spread of differences along rows, so that a horizon does not count."""
    x0, y0, x1, y1 = (int(v) for v in box)
    left, top = max(x0 - _AROUND_PX, 0), max(y0 - _AROUND_PX, 0)
    area = grey[top : y1 + _AROUND_PX, left : x1 + _AROUND_PX].copy()
    area[y0 - top : y1 - top + 1, x0 - left : x1 - left + 1] = np.nan
    steps = np.abs(np.diff(area, axis=1))
    steps = steps[np.isfinite(steps)]
    return float(1.4826 * np.median(steps) / np.sqrt(2)) if len(steps) else 0.0


def seen(
    boxes: NDArray[np.float32],
    visible: NDArray[np.float32],
    contrast: NDArray[np.float32],
    grains: NDArray[np.float32],
) -> NDArray[np.bool_]:
    """Which of the boxes (n, 4) are not too faint, too hidden or too small to be asked for."""
    sides = boxes[:, 2:] - boxes[:, :2]
    by_chance = grains**2 * (1 + SIGMAS * np.sqrt(2 / sides.prod(1).clip(min=1)))  # RMS^2 that noise alone gives
    clear = contrast**2 >= MIN_CONTRAST**2 + by_chance
    out: NDArray[np.bool_] = clear & (visible >= MIN_VISIBLE) & (sides.max(1, initial=0) >= MIN_SIDE_PX)
    return out


def iou_table(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """IoU of every row of `a` (n, 4) with every row of `b` (m, 4): (n, m)."""
    low, high = np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:], b[None, :, 2:])
    inner = (high - low).clip(0).prod(2)
    area = [(x[:, 2:] - x[:, :2]).prod(1) for x in (a, b)]
    out: NDArray[np.float32] = inner / (area[0][:, None] + area[1][None] - inner).clip(1e-9)
    return out


def match(
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    wanted: NDArray[np.float32],
    excused: NDArray[np.float32],
    min_iou: float = LOOSE_IOU,
) -> Match:
    """Boxes (n, 4), best score first, against what has to be found (m, 4) and what may be boxed or not (k, 4)."""
    table = iou_table(boxes, wanted)
    pardon = _inside_share(boxes, excused)
    found = np.zeros(len(wanted), np.float32)
    right = np.zeros(len(scores), bool)
    counted = np.ones(len(scores), bool)
    for i, score in enumerate(scores):
        free = np.where(found > 0, 0.0, table[i])
        if len(wanted) and free.max() >= min_iou:
            found[int(free.argmax())], right[i] = score, True
        elif pardon[i] >= 0.5:
            counted[i] = False
    return Match(right=right, counted=counted, found=found)


def _inside_share(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """Largest share of each row of `a` that lies in a box of `b` widened by 2 px."""
    if not len(b):
        return np.zeros(len(a), np.float32)
    low = np.maximum(a[:, None, :2], b[None, :, :2] - _EXCUSED_PX)
    high = np.minimum(a[:, None, 2:], b[None, :, 2:] + _EXCUSED_PX)
    area = (a[:, 2:] - a[:, :2]).prod(1).clip(1e-9)
    out: NDArray[np.float32] = ((high - low).clip(0).prod(2) / area[:, None]).max(1)
    return out
