"""Constant false alarm rate along range: what the cells before and behind a cell say about it, now.

Promises:
- CA (cell averaging), GO (the greater of the two sides, for clutter edges) and OS (ordered statistic: the `RANK` share
  of the cells, for other targets nearby) in the level domain: video is logarithmic, so the mean of levels is that of
  decibels and a margin in levels is a factor (log-CFAR; Rohling, "Radar CFAR thresholding in clutter and multiple
  target situations", IEEE T-AES 19(4), 1983);
- only cells that the clutter map lets through are looked at, so the cost goes with their number;
- at the ends of the range the side that is there decides.

It is for video that does not saturate: where 4-bit video clips, every cell around a ship may read the top level.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Kind = Literal["off", "ca", "go", "os"]
SIDE = 16  # cells on each side
RANK = 0.75
_CHUNK = 16_384


def background(levels: NDArray[np.uint8], index: NDArray[np.int64], kind: Kind, guard: int) -> NDArray[np.float64]:
    """Level of the surroundings of the cells `index` (flat, of `levels` (azimuths, cells)), `guard` cells left out."""
    out = np.zeros(len(index))
    cells = levels.shape[1]
    away = np.arange(guard + 1, guard + 1 + SIDE, dtype=np.int64)
    offset = np.concatenate((-away, away))
    flat = levels.reshape(-1)
    for start in range(0, len(index), _CHUNK):
        part = index[start : start + _CHUNK]
        cell = part % cells
        near_end = np.flatnonzero((cell < away[-1]) | (cell >= cells - away[-1]))
        step = np.broadcast_to(offset, (len(part), 2 * SIDE))
        if len(near_end):
            step = step.copy()
            at = cell[near_end, None] + offset
            step[near_end] = np.where((at < 0) | (at >= cells), -offset, offset)  # the other side stands in for this
        value = flat[np.clip(part[:, None] + step, 0, len(flat) - 1)]
        out[start : start + _CHUNK] = _level(value, kind)
    return out


def _level(value: NDArray[np.uint8], kind: Kind) -> NDArray[np.floating]:
    if kind == "os":
        rank = int(np.ceil(RANK * 2 * SIDE)) - 1
        return np.partition(value, rank, axis=1)[:, rank].astype(np.float64)
    halves = value.reshape(-1, 2, SIDE).sum(axis=2, dtype=np.uint16) / float(SIDE)
    return np.asarray(halves.mean(axis=1) if kind == "ca" else halves.max(axis=1))
