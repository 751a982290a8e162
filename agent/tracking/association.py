"""Which plot belongs to which track: gates and global nearest neighbour.

Promises:
- the cost of a candidate is its squared Mahalanobis distance plus ln|S|, so that an uncertain track does not win by
  being uncertain;
- within a cluster of tracks and plots that compete, the assignment is the optimal one (Jonker-Volgenant, package lap):
  the least sum of costs, where leaving a track and a plot alone costs as much as the worst pair that its gate allows;
  clusters with more than `DENSE_LIMIT` candidate cells (a flooded radar) are solved nearest-first instead;
- work grows with the number of candidates in gates, not with tracks times plots; ties break by order of input.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import lap
import numpy as np

from agent.tracking.arrays import compact, first_of_each

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.tracking.arrays import Bools, Floats, Ints

DENSE_LIMIT = 250_000
FEW = 6  # candidates of a cluster up to which all choices are looked at: a sixth of the time of the package's call
_EDGE = 1e-9  # what lies on the gate's very edge is still in it
_CHUNK = 400_000
_TABLE = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """Candidates: track row, plot column, squared distance, cost, and the cost at the gate's edge, each (n,)."""

    row: Ints
    col: Ints
    d2: Floats
    cost: Floats
    limit: Floats

    def where(self, keep: Bools) -> Pairs:
        """The candidates for which `keep` holds."""
        return Pairs(
            row=self.row[keep], col=self.col[keep], d2=self.d2[keep], cost=self.cost[keep], limit=self.limit[keep]
        )

    def assign(self) -> tuple[Ints, Ints]:
        """The chosen (rows, cols), by ascending row."""
        return assign(self.row, self.col, self.cost, self.limit)


def near(a: Floats, b: Floats, reach_m: Floats) -> Iterator[tuple[Ints, Ints]]:
    """(row, col) with |a - b| at most `reach_m[row]` east and north, in chunks; `a` (n, 2), `b` (m, 2)."""
    order = np.argsort(b[:, 0], kind="stable")
    east = b[order, 0]
    if len(a) * len(b) <= _TABLE:  # few: a table of all pairs takes fewer steps, and gives the same in the same order
        close = np.abs(a[:, 1, None] - b[order, 1]) <= reach_m[:, None]
        low, high = (a[:, 0] - reach_m)[:, None], (a[:, 0] + reach_m)[:, None]
        row, rank = np.nonzero(close & (east >= low) & (east <= high))
        yield row, order[rank]
        return
    lo = np.searchsorted(east, a[:, 0] - reach_m, side="left")
    count = np.searchsorted(east, a[:, 0] + reach_m, side="right") - lo
    start = 0
    while start < len(a):
        total = np.cumsum(count[start:])
        stop = start + max(1, int(np.searchsorted(total, _CHUNK, side="right")))
        n = count[start:stop]
        row = np.repeat(np.arange(start, stop), n)
        first = np.cumsum(n) - n
        col = order[np.arange(len(row)) - np.repeat(first, n) + np.repeat(lo[start:stop], n)]
        keep = np.abs(a[row, 1] - b[col, 1]) <= reach_m[row]
        yield row[keep], col[keep]
        start = stop


def gate(x: Floats, p: Floats, z: Floats, r: Floats, chi2: float) -> Pairs:
    """All pairs of predicted states `x`, `p` and positions `z`, `r` within the gate of 2 degrees of freedom."""
    parts = []
    if len(x) and len(z):
        widest = np.maximum(r[:, 0, 0], r[:, 1, 1]).max()
        reach = np.sqrt(chi2 * (np.maximum(p[:, 0, 0], p[:, 1, 1]) + widest))
        parts = [_gated(x, p, z, r, i, j, chi2) for i, j in near(x[:, :2], z, reach)]
    if not parts:
        none = np.empty(0, dtype=np.int64)
        return Pairs(row=none, col=none, d2=np.empty(0), cost=np.empty(0), limit=np.empty(0))
    row, col, d2, cost = (np.concatenate(c) for c in zip(*parts, strict=True))
    return Pairs(row=row, col=col, d2=d2, cost=cost, limit=cost - d2 + chi2)


def _gated(
    x: Floats, p: Floats, z: Floats, r: Floats, i: Ints, j: Ints, chi2: float
) -> tuple[Ints, Ints, Floats, Floats]:
    v0, v1 = z[j, 0] - x[i, 0], z[j, 1] - x[i, 1]
    s00 = p[i, 0, 0] + r[j, 0, 0]
    s01 = p[i, 0, 1] + r[j, 0, 1]
    s11 = p[i, 1, 1] + r[j, 1, 1]
    det = s00 * s11 - s01 * s01
    d2 = (v0 * v0 * s11 - 2.0 * v0 * v1 * s01 + v1 * v1 * s00) / det
    keep = d2 <= chi2
    return i[keep], j[keep], d2[keep], d2[keep] + np.log(det[keep])


def assign(row: Ints, col: Ints, cost: Floats, limit: Floats) -> tuple[Ints, Ints]:
    """One-to-one choice among candidates: in each cluster the least sum of (cost - greatest `limit` of the cluster).

    `limit` (n,) is the worst cost that a candidate's gate would let in. Returns (rows, cols) of the chosen pairs, by
    ascending row.
    """
    if not len(row):
        return row, col
    rows, ri = compact(row)
    cols, ci = compact(col)
    alone = (np.bincount(ri)[ri] == 1) & (np.bincount(ci)[ci] == 1)
    out_r, out_c = [ri[alone]], [ci[alone]]
    busy = ~alone
    if busy.any():
        ri, ci, cost, limit = ri[busy], ci[busy], cost[busy], limit[busy]
        label = clusters(ri, ci, len(rows), len(cols))
        star = _star(ri, ci, label)
        best = np.lexsort((cost, label))
        best = best[first_of_each(label[best])]
        best = best[star[best]]
        out_r.append(ri[best])
        out_c.append(ci[best])
        ri, ci, cost, limit, label = ri[~star], ci[~star], cost[~star], limit[~star], label[~star]
        order = np.argsort(label, kind="stable")
        ri, ci, cost, limit, label = ri[order], ci[order], cost[order], limit[order], label[order]
        starts = first_of_each(label).nonzero()[0].tolist()
        few: list[int] = []
        rows_of, cols_of, cost_of, limit_of = ri.tolist(), ci.tolist(), cost.tolist(), limit.tolist()
        for a, b in pairwise([*starts, len(label)]):
            if b - a <= FEW:
                worst = max(limit_of[a:b]) + _EDGE
                few += [a + k for k in _best(rows_of[a:b], cols_of[a:b], [worst - c for c in cost_of[a:b]])]
                continue
            solved = _solve(ri[a:b], ci[a:b], cost[a:b], max(limit_of[a:b]))
            out_r.append(solved[0])
            out_c.append(solved[1])
        out_r.append(ri[few])
        out_c.append(ci[few])
    r, c = np.concatenate(out_r), np.concatenate(out_c)
    order = np.argsort(r, kind="stable")
    return rows[r[order]], cols[c[order]]


def clusters(ri: Ints, ci: Ints, n_rows: int, n_cols: int) -> Ints:
    """The connected component of each candidate: the smallest row reachable, spread until nothing changes."""
    row_label = np.arange(n_rows)
    while True:
        col_label = np.full(n_cols, n_rows)
        np.minimum.at(col_label, ci, row_label[ri])
        new = row_label.copy()
        np.minimum.at(new, ri, col_label[ci])
        new = new[new]  # pointer jumping: long chains settle in a few rounds
        if np.array_equal(new, row_label):
            return row_label[ri]
        row_label = new


def _star(ri: Ints, ci: Ints, label: Ints) -> Bools:
    """Candidates of clusters with one row or one column: the cheapest is the assignment."""
    rows = np.bincount(_label_of_each(ri, label), minlength=int(label.max()) + 1)
    cols = np.bincount(_label_of_each(ci, label), minlength=len(rows))
    return np.asarray(((rows == 1) | (cols == 1))[label])


def _label_of_each(v: Ints, label: Ints) -> Ints:
    """The cluster of each row (or column) that occurs in `v`: all its candidates have the same."""
    of = np.full(int(v.max()) + 1, -1)
    of[v] = label
    return of[of >= 0]


def _best(row: list[int], col: list[int], gain: list[float]) -> tuple[int, ...]:
    """The one-to-one choice of the greatest gain among a few pairs, by looking at all: what `_solve` finds."""
    places: dict[int, int] = {}
    bits = [
        1 << places.setdefault(r, len(places)) | 1 << places.setdefault(~c, len(places))
        for r, c in zip(row, col, strict=True)
    ]
    most, best = 0.0, tuple[int, ...]()

    def go(k: int, used: int, total: float, chosen: tuple[int, ...]) -> None:
        """All ways to go on from these, with pairs from the k-th on."""
        nonlocal most, best
        for i in range(k, len(bits)):
            if not used & bits[i]:
                go(i + 1, used | bits[i], total + gain[i], (*chosen, i))
        if total > most:
            most, best = total, chosen

    go(0, 0, 0.0, ())
    return best


def _solve(ri: Ints, ci: Ints, cost: Floats, limit: float) -> tuple[Ints, Ints]:
    rows, a = compact(ri)
    cols, b = compact(ci)
    if len(rows) * len(cols) > DENSE_LIMIT:
        return _nearest_first(ri, ci, cost)
    least = float(cost.min())
    dense = np.full((len(rows), len(cols)), 1e3 * (limit - least + 1.0))
    dense[a, b] = cost - least
    _, chosen, _ = lap.lapjv(dense, extend_cost=True, cost_limit=limit - least + _EDGE)
    chosen = np.asarray(chosen, dtype=np.int64)
    hit = np.flatnonzero(chosen >= 0)
    return rows[hit], cols[chosen[hit]]


def _nearest_first(ri: Ints, ci: Ints, cost: Floats) -> tuple[Ints, Ints]:
    used_r: set[int] = set()  # sets of int, only asked for membership: no order leaves them
    used_c: set[int] = set()
    chosen = []
    for k in np.argsort(cost, kind="stable").tolist():
        r, c = int(ri[k]), int(ci[k])
        if r not in used_r and c not in used_c:
            used_r.add(r)
            used_c.add(c)
            chosen.append(k)
    return ri[chosen], ci[chosen]
