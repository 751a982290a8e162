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
    centres, strides = cell_grid(width, height)
    owner = np.full(len(centres), -1, np.int64)
    ignored = np.zeros(len(centres), bool)
    sized = np.concatenate(((boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]), 1)
    sized[:, 2:] = np.maximum(sized[:, 2:], MIN_BOX_PX)
    for index in np.argsort(-sized[:, 2] * sized[:, 3]):
        off = np.abs(centres - sized[index, :2])
        if classes[index] == IGNORED:
            ignored |= (off <= sized[index, 2:] / 2 + strides / 2).all(1)
            continue
        reach = np.clip(sized[index, 2:] / 4, strides, 2.5 * strides)
        near = (off < reach).all(1)
        longer = sized[index, 2:].max()
        for stride, (low, high) in zip(STRIDES, LEVEL_RANGE_PX, strict=True):
            if low <= longer < high:
                owner[near & (strides[:, 0] == stride)] = index
    cell = np.flatnonzero(owner >= 0)
    return Targets(
        cell=cell,
        label=classes[owner[cell]],
        owner=owner[cell],
        box=sized[owner[cell]].astype(np.float32),
        ignored=ignored & (owner < 0),
    )
