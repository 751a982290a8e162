"""Whose plot is it, where tracks compete: joint probabilistic data association, cluster by cluster.

Promises:
- the probability of each candidate, given that a plot has one track at most and a track one plot at most (Fortmann,
  Bar-Shalom, Scheffe, "Sonar tracking of multiple targets using joint probabilistic data association", 1983);
- tracks do not melt into each other: of all ways to give the same plots to the same tracks only the best counts (JPDA*,
  Blom, Bloem, "Probabilistic data association avoiding track coalescence", IEEE T-AC 45(2), 2000);
- two tracks that meet may show one echo between them (`Both`): a way of its own, so that neither dies of it (Koch,
  van Keuk, "Multiple hypothesis track maintenance with possibly unresolved measurements", IEEE T-AES 33(3), 1997);
- a cluster of more than `HYPOTHESES` ways is solved by the best assignment alone; the work is bounded; the result
  depends on the order of input only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from agent.tracking.arrays import compact, first_of_each
from agent.tracking.association import assign, clusters

if TYPE_CHECKING:
    from agent.tracking.arrays import Floats, Ints

HYPOTHESES = 4000
NEGLIGIBLE = 1e-4  # a candidate less likely than that, taken alone, is none


@dataclass(frozen=True, slots=True, kw_only=True)
class Both:
    """Plots that may be two tracks' common echo: candidates `a` and `b` (m,) of that plot, and the `ratio` of it."""

    a: Ints
    b: Ints
    ratio: Floats


def share(row: Ints, col: Ints, ratio: Floats, miss: Floats, both: Both) -> tuple[Floats, Floats]:
    """Probability (k,) of each candidate, and (m,) of each common echo.

    `ratio` (k,): detection probability times the density of the plot under the track, over the density of clutter;
    `miss` (k,): the probability that the candidate's track is not detected at all. `row` ascends.
    """
    beta, common = np.zeros(len(row)), np.zeros(len(both.a))
    if not len(row):
        return beta, common
    alone = ratio / (miss + np.bincount(row, ratio)[row])
    keep = np.flatnonzero(alone > NEGLIGIBLE)
    if not len(keep):
        return beta, common
    rows, ri = compact(row[keep])
    cols, ci = compact(col[keep])
    shared = np.bincount(ci)[ci] > 1
    rival = np.zeros(len(rows), dtype=np.bool_)
    rival[ri[shared]] = True
    single = keep[~rival[ri]]
    beta[single] = ratio[single] / (
        miss[single] + np.bincount(row[single], ratio[single], int(row.max()) + 1)[row[single]]
    )
    busy = np.flatnonzero(rival[ri])
    if len(busy):
        label = clusters(ri[busy], ci[busy], len(rows), len(cols))
        order = np.argsort(label, kind="stable")
        pairs: dict[int, list[tuple[int, int, float]]] = {}
        for m, (a, b, w) in enumerate(zip(both.a.tolist(), both.b.tolist(), both.ratio.tolist(), strict=True)):
            pairs.setdefault(b, []).append((a, m, w))
        for part in np.split(busy[order], first_of_each(label[order]).nonzero()[0][1:]):
            k = keep[part]
            beta[k] = _joint(k, ri[part], ci[part], ratio[k], miss[k], pairs, common)
    return beta, common


_Way = tuple[float, tuple[int, ...], tuple[int, ...]]  # weight, candidates taken (positions in the cluster), commons


def _joint(
    k: Ints, ri: Ints, ci: Ints, ratio: Floats, miss: Floats, pairs: dict[int, list[tuple[int, int, float]]],
    common: Floats,
) -> Floats:  # fmt: skip
    """Probabilities within one cluster, whose candidates are `k`; those of common echoes go to `common`."""
    bit = {c: 1 << i for i, c in enumerate(dict.fromkeys(ci.tolist()))}
    turn = {r: i for i, r in enumerate(dict.fromkeys(ri.tolist()))}
    options: list[list[tuple[int, int, float]]] = [[] for _ in turn]
    shared: list[list[tuple[int, int, int, float]]] = [[] for _ in turn]  # (plot's bit, partner's bit, common, weight)
    undetected = [0.0] * len(turn)
    place = {c: i for i, c in enumerate(k.tolist())}
    for i, (r, c, w, u) in enumerate(zip(ri.tolist(), ci.tolist(), ratio.tolist(), miss.tolist(), strict=True)):
        options[turn[r]].append((i, bit[c], w))
        undetected[turn[r]] = u
    for c, i in place.items():
        for a, m, w in pairs.get(c, ()):
            if a in place:
                partner = turn[int(ri[place[a]])]
                shared[turn[int(ri[i])]].append((bit[int(ci[i])], 1 << partner, m, w / undetected[partner]))
    ways = 1
    for found in options:
        ways *= len(found) + 1
    if ways > HYPOTHESES:
        return _best(ri, ci, ratio, miss)
    # ways so far by (plots used, tracks detected): JPDA* keeps the best of each
    level: dict[tuple[int, int], _Way] = {(0, 0): (1.0, (), ())}
    for n, found in enumerate(options):
        grown: dict[tuple[int, int], _Way] = {}
        for (used, detected), (weight, chosen, joint) in level.items():
            grown[used, detected] = (weight * undetected[n], chosen, joint)
        for (used, detected), (weight, chosen, joint) in level.items():
            for i, b, w in found:
                key = (used | b, detected | 1 << n)
                if not used & b and (key not in grown or weight * w > grown[key][0]):
                    grown[key] = (weight * w, (*chosen, i), joint)
            for b, partner, m, w in shared[n]:
                key = (used | b, detected | 1 << n | partner)
                if not (used & b or detected & partner) and (key not in grown or weight * w > grown[key][0]):
                    grown[key] = (weight * w, chosen, (*joint, m))
        level = grown
    beta = [0.0] * len(ratio)
    total = 0.0
    for weight, _, _ in level.values():
        total += weight
    for weight, chosen, joint in level.values():
        for i in chosen:
            beta[i] += weight / total
        for m in joint:
            common[m] += weight / total
    return np.array(beta)


def _best(ri: Ints, ci: Ints, ratio: Floats, miss: Floats) -> Floats:
    cost = -np.log(np.maximum(ratio / miss, 1e-300))
    rows, cols = assign(ri, ci, cost, np.zeros(len(cost)))
    chosen = dict(zip(rows.tolist(), cols.tolist(), strict=True))
    hit = np.array([chosen.get(r) == c for r, c in zip(ri.tolist(), ci.tolist(), strict=True)])
    return np.asarray(np.where(hit, ratio / (ratio + miss), 0.0))
