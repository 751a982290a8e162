"""Two tracks on one echo: noticed, then made one.

Promises:
- two tracks are one only if they keep the same place and velocity for `TURNS` turns in which at most one of them got a
  plot of its own: two vessels side by side give two plots, and stay two;
- two tracks that have met, both confirmed before, or have given two plots in `APART` turns are two vessels whose echoes
  run into one while they pass each other: they are given `TURNS_MET`;
- the older id goes on, with the state of the track that was seen last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from agent.tracking.association import near

if TYPE_CHECKING:
    from agent.tracking.arrays import Bools, Floats, Ints
    from agent.tracking.table import TrackTable

TURNS = 4
TURNS_MET = 24
APART = 3
REACH_M = 250.0
CHI2 = 6.0  # 95 % of 2 degrees of freedom
SLACK_M = 15.0  # two echoes of one hull
SLACK_MPS = 1.0


class Duplicates:
    """Per pair of ids (older, younger) of tracks near each other: turns in which they looked like one, and like two."""

    def __init__(self) -> None:
        self._pairs: dict[tuple[int, int], tuple[int, int]] = {}
        self._last_s = -np.inf

    def look(self, tab: TrackTable, hit: Bools, own: Bools, at_s: float) -> list[tuple[int, int]]:
        """After a turn at `at_s` that hit these rows, some of them by a plot of their own.

        Ends the younger of each pair that is one vessel; returns (ended id, surviving id).
        """
        pairs: dict[tuple[int, int], tuple[int, int]] = {}
        merged = []
        for i, j, one in _close(tab, np.flatnonzero(tab.confirmed)):
            key = (min(int(tab.id[i]), int(tab.id[j])), max(int(tab.id[i]), int(tab.id[j])))
            newest = max(float(tab.confirmed_s[i]), float(tab.confirmed_s[j]))
            turns, apart = self._pairs.get(key, (0, APART if newest < self._last_s else 0))
            if own[i] and own[j]:
                turns, apart = 0, apart + 1
            elif one:
                turns += int(hit[i] or hit[j])
            if turns >= (TURNS_MET if apart >= APART else TURNS) and key[0]:
                _join(tab, i, j, key[0])
                merged.append((key[1], key[0]))
            else:
                pairs[key] = (turns, apart)
        self._pairs, self._last_s = pairs, at_s
        return merged

    def state(self) -> list[Any]:
        """For the checkpoint."""
        return [self._last_s, [[a, b, n, k] for (a, b), (n, k) in self._pairs.items()]]

    @classmethod
    def restore(cls, data: Any) -> Duplicates:
        """What `state` was made of."""
        out = cls()
        out._last_s, rows = data
        out._pairs = {(a, b): (n, k) for a, b, n, k in rows}
        return out


def _close(tab: TrackTable, rows: Ints) -> list[tuple[int, int, bool]]:
    """Pairs of rows near each other, and whether place and velocity are one within their errors."""
    if len(rows) < 2:
        return []
    x, p = tab.x[rows], tab.p[rows]
    found: list[tuple[int, int, bool]] = []
    for i, j in near(x[:, :2], x[:, :2], np.full(len(rows), REACH_M)):
        once = i < j
        i, j = i[once], j[once]  # noqa: PLW2901 - the chunk, thinned
        one = (_d2(x, p, i, j, 0, SLACK_M) <= CHI2) & (_d2(x, p, i, j, 2, SLACK_MPS) <= CHI2)
        found += zip(rows[i].tolist(), rows[j].tolist(), one.tolist(), strict=True)
    return found


def _d2(x: Floats, p: Floats, i: Ints, j: Ints, k: int, slack: float) -> Floats:
    v0, v1 = x[i, k] - x[j, k], x[i, k + 1] - x[j, k + 1]
    s00 = p[i, k, k] + p[j, k, k] + slack**2
    s11 = p[i, k + 1, k + 1] + p[j, k + 1, k + 1] + slack**2
    s01 = p[i, k, k + 1] + p[j, k, k + 1]
    return np.asarray((v0 * v0 * s11 - 2.0 * v0 * v1 * s01 + v1 * v1 * s00) / (s00 * s11 - s01 * s01))


def _join(tab: TrackTable, i: int, j: int, older_id: int) -> None:
    stays, goes = (i, j) if tab.hit_s[i] >= tab.hit_s[j] else (j, i)
    tab.id[stays] = older_id
    for column in (tab.born_s, tab.confirmed_s):
        column[stays] = min(column[i], column[j])
    tab.id[goes] = 0
    tab.confirmed[goes] = False
    for h in tab.seen.values():  # nobody sees it any more: the next settling removes it
        h.active[goes] = False
