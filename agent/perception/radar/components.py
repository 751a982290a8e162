"""Connected components of a sparse polar picture, with their extents, centroids and peaks.

Promises:
- cells touch by 8-neighbourhood, and across north: azimuth wraps, range does not;
- cost goes with the number of cells above threshold, not with the size of the picture (vectorised run-length
  labelling; no copy of the picture, no OpenCV in a radar process);
- two echoes that only their skirts join come apart (`split`): where raising the threshold breaks a component into parts
  that each rise at least `prominence` levels above the break, the parts stand instead of the whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Components:
    """n components as columns. `label` names the component of each cell of the list that was labelled.

    `row`, `cell` are amplitude-weighted centroids (bin and cell indices; row may leave [0, azimuths) by the wrap),
    `rows`, `cells` the extents, `count` the cells, `peak` the highest level.
    """

    label: NDArray[np.int64]
    row: NDArray[np.float64]
    cell: NDArray[np.float64]
    rows: NDArray[np.int64]
    cells: NDArray[np.int64]
    count: NDArray[np.int64]
    peak: NDArray[np.uint8]


def label_cells(index: NDArray[np.int64], azimuths: int, cells: int) -> tuple[NDArray[np.int64], int]:
    """Component number of each cell. `index`: flat indices of the cells set, ascending. Returns (labels, n)."""
    if not len(index):
        return np.zeros(0, np.int64), 0
    first = np.flatnonzero(np.concatenate(([True], (np.diff(index) != 1) | (index[1:] % cells == 0))))
    start, length = index[first], np.diff(np.append(first, len(index)))
    row, begin = np.divmod(start, cells)
    # Runs sorted by (row, begin) are sorted by (row, end) too. A key space wider than the row keeps rows apart.
    wide = cells + 2
    begins, ends = row * wide + begin, row * wide + begin + length  # ends: one past, which is 8-neighbourhood's reach
    below = (row + 1) % azimuths * wide
    low = np.searchsorted(ends, below + begin, "left")
    high = np.searchsorted(begins, below + begin + length, "right")
    touching = np.maximum(high - low, 0)
    upper = np.repeat(np.arange(len(start)), touching)
    lower = np.arange(len(upper)) - np.repeat(np.cumsum(touching) - touching, touching) + np.repeat(low, touching)
    root = _join(len(start), upper, lower)
    number = np.cumsum(root == np.arange(len(root))) - 1  # a component is named by its first run
    return np.repeat(number[root], length), int(number[-1]) + 1


def _join(n: int, a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.int64]:
    """Smallest member of the set of each of n nodes, joined by the edges (a, b): hook and shortcut, vectorised."""
    root = np.arange(n)
    while len(a):
        ra, rb = root[a], root[b]
        apart = ra != rb
        if not apart.any():
            break
        a, b, ra, rb = a[apart], b[apart], ra[apart], rb[apart]
        np.minimum.at(root, np.maximum(ra, rb), np.minimum(ra, rb))
        while not np.array_equal(root, shorter := root[root]):
            root = shorter
    return root


def measure(
    index: NDArray[np.int64], level: NDArray[np.uint8], label: NDArray[np.int64], n: int, azimuths: int, cells: int
) -> Components:
    """Extents, centroids and peaks of labelled cells; `level` as `index`, one per cell."""
    row, cell = np.divmod(index, cells)
    anchor = np.full(n, -1, np.int64)
    anchor[label[::-1]] = row[::-1]  # the first row of each; rows then count from there, over north if need be
    row = (row - anchor[label] + azimuths // 2) % azimuths - azimuths // 2
    weight = level.astype(np.float64)
    total = np.bincount(label, weight, n)
    row_low, row_high = _bounds(row, label, n)
    cell_low, cell_high = _bounds(cell, label, n)
    peak = np.zeros(n, np.uint8)
    np.maximum.at(peak, label, level)
    return Components(
        label=label,
        row=np.bincount(label, weight * row, n) / total + anchor,
        cell=np.bincount(label, weight * cell, n) / total,
        rows=row_high - row_low + 1,
        cells=cell_high - cell_low + 1,
        count=np.bincount(label, minlength=n),
        peak=peak,
    )


def _bounds(value: NDArray[np.int64], label: NDArray[np.int64], n: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    low = np.full(n, np.iinfo(np.int64).max)
    high = np.full(n, np.iinfo(np.int64).min)
    np.minimum.at(low, label, value)
    np.maximum.at(high, label, value)
    return low, high


def split(
    index: NDArray[np.int64],
    level: NDArray[np.uint8],
    *,
    azimuths: int,
    cells: int,
    thresholds: tuple[int, ...],
    prominence: int,
    min_cells: int,
) -> tuple[NDArray[np.int64], int]:
    """Component number of each cell, -1 for the skirts of what was split. `thresholds` ascend above the lowest level.

    A component is only looked at again while it may hide two: at least twice `min_cells`.
    """
    label, n = label_cells(index, azimuths, cells)
    for threshold in thresholds:
        size = np.bincount(label[label >= 0], minlength=n)
        open_ = np.flatnonzero((label >= 0) & (level >= threshold))
        open_ = open_[size[label[open_]] >= 2 * min_cells]
        if not len(open_):
            break
        part, parts = label_cells(index[open_], azimuths, cells)
        peak = np.zeros(parts, np.uint8)
        np.maximum.at(peak, part, level[open_])
        strong = (peak >= threshold - 1 + prominence) & (np.bincount(part, minlength=parts) >= min_cells)
        parent = np.zeros(parts, np.int64)
        parent[part] = label[open_]
        torn = np.bincount(parent[strong], minlength=n) > 1  # these fall apart
        new = strong & torn[parent]
        number = np.full(parts, -1, np.int64)
        number[new] = n + np.arange(int(new.sum()))
        inside = label >= 0
        label[inside] = np.where(torn[label[inside]], -1, label[inside])
        moved = torn[parent[part]]
        label[open_[moved]] = number[part[moved]]
        n += int(new.sum())
    inside = label >= 0
    dense = np.cumsum(np.bincount(label[inside], minlength=n) > 0)
    label[inside] = dense[label[inside]] - 1
    return label, int(dense[-1]) if n else 0
