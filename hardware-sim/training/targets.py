"""Which cells of the output must predict which box.

Promises:
- a box is given to the levels its longer side fits, two where the ranges overlap;
- within a level the cells around its centre are positive, at least those within one stride;
- a cell that two boxes claim goes to the smaller one;
- cells inside an IGNORED box are taken out of the score loss on every level, unless positive for another box.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from training.classes import IGNORED

if TYPE_CHECKING:
    from numpy.typing import NDArray

STRIDES = (4, 8, 16)
LEVEL_RANGE_PX = ((0.0, 40.0), (28.0, 112.0), (80.0, 10_000.0))
MIN_BOX_PX = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """What one picture asks of the output.

    `cell` (p,) are the indices of positive cells, with `label`, `owner` (p,) and `box` (p, 4) cx, cy, w, h px;
    `ignored` (N,) marks cells outside the score loss.
    """

    cell: NDArray[np.int64]
    label: NDArray[np.int64]
    owner: NDArray[np.int64]
    box: NDArray[np.float32]
    ignored: NDArray[np.bool_]


@cache
def cell_grid(width: int, height: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Centres (N, 2) px and strides (N, 1) of all cells in the order of the network's output."""
    centres, strides = [], []
    for stride in STRIDES:
        y, x = np.mgrid[0 : height // stride, 0 : width // stride]
        grid = (np.stack((x, y), -1).reshape(-1, 2) + 0.5) * stride
        centres.append(grid.astype(np.float32))
        strides.append(np.full((len(grid), 1), stride, np.float32))
    return np.concatenate(centres), np.concatenate(strides)


def assign(boxes: NDArray[np.float32], classes: NDArray[np.int64], width: int, height: int) -> Targets:
    """Targets of one picture. `boxes` (n, 4) x0, y0, x1, y1 px, `classes` (n,) with IGNORED allowed."""
    shapes = [(height // stride, width // stride) for stride in STRIDES]
    owners = [np.full(shape, -1, np.int64) for shape in shapes]
    silent = [np.zeros(shape, bool) for shape in shapes]
    sized = np.concatenate(((boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]), 1)
    sized[:, 2:] = np.maximum(sized[:, 2:], MIN_BOX_PX)
    for index in np.argsort(-sized[:, 2] * sized[:, 3]):
        centre, size = sized[index, :2], sized[index, 2:]
        for level, (stride, (low, high)) in enumerate(zip(STRIDES, LEVEL_RANGE_PX, strict=True)):
            if classes[index] == IGNORED:
                silent[level][_cells(centre, size / 2 + stride / 2, stride)] = True
            elif low <= size.max() < high:
                owners[level][_cells(centre, np.clip(size / 4, stride, 2.5 * stride), stride)] = index
    owner = np.concatenate([level.ravel() for level in owners])
    cell = np.flatnonzero(owner >= 0)
    return Targets(
        cell=cell,
        label=classes[owner[cell]],
        owner=owner[cell],
        box=sized[owner[cell]].astype(np.float32),
        ignored=np.concatenate([level.ravel() for level in silent]) & (owner < 0),
    )


def _cells(centre: NDArray[np.float32], reach: NDArray[np.float32], stride: int) -> tuple[slice, slice]:
    """Rows and columns of the cells whose centres are nearer than `reach` (2,) px both ways."""
    low = np.maximum(np.floor((centre - reach) / stride - 0.5) + 1, 0).astype(int)
    high = np.maximum(np.ceil((centre + reach) / stride - 0.5), 0).astype(int)
    return slice(low[1], high[1]), slice(low[0], high[0])
