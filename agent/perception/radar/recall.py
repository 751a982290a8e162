"""Weak echoes that come again: scan-to-scan integration of echoes instead of cells.

Promises:
- a weak echo counts if `NEEDED` of the last `LOOKS` turns had an echo where a vessel could have come from in that time;
  nothing is smeared: the echo stays where it is, and a boat of 50 knots comes from 64 m away in a turn of 2.5 s;
- noise does not come through by its numbers: what lies around, too far off to be the same vessel, says how often chance
  alone would do that here; the echoes of a turn that are believed are `BY_CHANCE` of them chance, about. Only so many
  are looked at, strongest first, that this can be had (`most`); memory is that of the echoes of the last turns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

LOOKS, NEEDED = 3, 2
MOST = 2000
BY_CHANCE = 4.0  # plots a turn
AROUND = 4.0  # reaches: how far what lies around an echo is counted
_UNSEEN = 0.5  # echoes that may be there though none is seen
_WITHIN = 0.8  # share of the echoes that says how large the area is that they come from
SPEED_MPS = 26.0  # 50 kn
_CHUNK = 256


class Recall:
    """Echoes of the last turns: (at_s, east_m, north_m)."""

    def __init__(self) -> None:
        self._turns: list[tuple[float, NDArray[np.float64], NDArray[np.float64]]] = []

    def most(self, at_s: float, range_m: NDArray[np.float64], slack_m: NDArray[np.float64]) -> int:
        """How many of a turn's weak echoes at those ranges may be looked at, `slack_m` as in `again`.

        Of n echoes in an area A, one has a chance neighbour within r in a look with probability p = n pi r^2 / A, in
        two of three looks with 3 p^2: n of them 3 n^3 (pi r^2 / A)^2.
        """
        if not len(range_m) or not self._turns:
            return MOST
        wait_s = (at_s - self._turns[0][0]) * (len(self._turns) + 1) / (2 * len(self._turns))
        reach = wait_s * SPEED_MPS + float(np.median(slack_m))
        area = float(np.quantile(range_m, _WITHIN)) ** 2 / _WITHIN  # by pi, as the reach's
        return min(MOST, int((BY_CHANCE / 3.0 * (area / reach**2) ** 2) ** (1.0 / 3.0)))

    def again(
        self, at_s: float, range_m: NDArray[np.float64], bearing_deg: NDArray[np.float64], slack_m: NDArray[np.float64]
    ) -> NDArray[np.bool_]:
        """Which echoes of the turn at `at_s` have a predecessor; `slack_m` (n,) is how far off their places may be."""
        x, y = _places(range_m, bearing_deg)
        times = np.zeros(len(x), np.int64)
        chance: list[NDArray[np.floating]] = []
        for then_s, px, py in self._turns:
            reach = (at_s - then_s) * SPEED_MPS + slack_m
            near, around = np.zeros(len(x), np.int64), np.zeros(len(x), np.int64)
            for n in range(0, len(x), _CHUNK):
                k = slice(n, n + _CHUNK)
                far = ((x[k, None] - px[None, :]) ** 2 + (y[k, None] - py[None, :]) ** 2) / (reach[k] ** 2)[:, None]
                near[k] = (far <= 1.0).sum(axis=1)
                around[k] = (far <= AROUND**2).sum(axis=1)
            times += near > 0
            chance.append((around - near + _UNSEEN) / (AROUND**2 - 1.0))
        if len(chance) < NEEDED:
            return np.zeros(len(x), np.bool_)
        twice = np.sum([a * b for n, a in enumerate(chance) for b in chance[n + 1 :]], axis=0)
        return np.asarray((times >= NEEDED) & (twice <= BY_CHANCE / max(len(x), 1)))

    def note(
        self, at_s: float, range_m: NDArray[np.float64], bearing_deg: NDArray[np.float64], strength: NDArray[np.int64]
    ) -> None:
        """All echoes of a turn, weak and strong."""
        best = np.argsort(-strength, kind="stable")[:MOST]
        east, north = _places(range_m[best], bearing_deg[best])
        self._turns = [*self._turns, (at_s, east, north)][-LOOKS:]

    def forget(self) -> None:
        """The next turn has nothing before it."""
        self._turns = []


def _places(range_m: NDArray[np.float64], bearing_deg: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    b = np.radians(bearing_deg)
    return range_m * np.sin(b), range_m * np.cos(b)
