"""Two vessels that a radar shows as one echo: which plots may be such, and what each track learns from one.

Promises:
- the echo stands between the two, where is not known: the plot tells the middle, so it tells a track's place as twice
  the plot less the other track's, with the other's error and that of the middle on top; the tracks keep their distance
  and are not drawn together;
- how close two vessels must be is read from the plot's own sigmas: an echo is several of them wide (`WIDTH`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from agent.tracking.arrays import first_of_each

if TYPE_CHECKING:
    from agent.tracking.arrays import Floats, Ints

WIDTH = 4.0  # sigmas of a plot: two echoes this far apart are told apart more often than not
LEAST = 0.01  # the probability of running into one below which it is not looked at
PER_PLOT = 8  # tracks around one plot of which pairs are looked at


@dataclass(frozen=True, slots=True, kw_only=True)
class Common:
    """Candidates `a`, `b` (m,) of one plot each, and what follows if it is the echo of both.

    `density` of the plot as such, times the chance that they run into one; what it tells of their places: `za`, `zb`
    (m, 2) with errors `ra`, `rb` (m, 2, 2).
    """

    a: Ints
    b: Ints
    density: Floats
    za: Floats
    zb: Floats
    ra: Floats
    rb: Floats


_NONE = Common(
    a=np.empty(0, dtype=np.int64), b=np.empty(0, dtype=np.int64), density=np.empty(0),
    za=np.empty((0, 2)), zb=np.empty((0, 2)), ra=np.empty((0, 2, 2)), rb=np.empty((0, 2, 2)),
)  # fmt: skip


def common(row: Ints, col: Ints, x: Floats, p: Floats, z: Floats, r: Floats) -> Common:
    """Which candidates (`row` of `x`, `p`; `col` of `z`, `r`) share a plot closely enough."""
    a, b = _meeting(row, col)
    if not len(a):
        return _NONE
    i, j, c = row[a], row[b], col[a]
    d = x[i, :2] - x[j, :2]
    scale = np.linalg.solve(r[c], d[:, :, None])[:, :, 0]
    near = np.exp(-0.5 * (d * scale).sum(axis=1) / WIDTH**2)
    keep = near >= LEAST
    a, b, i, j, c, d, near = a[keep], b[keep], i[keep], j[keep], c[keep], d[keep], near[keep]
    spread = d[:, :, None] * d[:, None, :] / 12.0  # the middle may be anywhere between
    pi, pj = p[i, :2, :2], p[j, :2, :2]
    s = (pi + pj) / 4.0 + r[c] + spread
    v = z[c] - (x[i, :2] + x[j, :2]) / 2.0
    det = s[:, 0, 0] * s[:, 1, 1] - s[:, 0, 1] ** 2
    d2 = (v[:, 0] ** 2 * s[:, 1, 1] - 2.0 * v[:, 0] * v[:, 1] * s[:, 0, 1] + v[:, 1] ** 2 * s[:, 0, 0]) / det
    more = 4.0 * (r[c] + spread)
    return Common(
        a=a, b=b, density=near * np.exp(-0.5 * d2) / (2.0 * np.pi * np.sqrt(det)),
        za=2.0 * z[c] - x[j, :2], zb=2.0 * z[c] - x[i, :2], ra=more + pj, rb=more + pi,
    )  # fmt: skip


def _meeting(row: Ints, col: Ints) -> tuple[Ints, Ints]:
    """Pairs of candidates of the same plot, the one with the lower row first."""
    a: list[int] = []
    b: list[int] = []
    busy = (np.bincount(col)[col] > 1).nonzero()[0]
    busy = busy[np.lexsort((row[busy], col[busy]))]
    for part in np.split(busy, first_of_each(col[busy]).nonzero()[0][1:]) if len(busy) else ():
        k = part[:PER_PLOT].tolist()
        for n, first in enumerate(k):
            for second in k[n + 1 :]:
                a.append(first)
                b.append(second)
    return np.array(a, dtype=np.int64), np.array(b, dtype=np.int64)
