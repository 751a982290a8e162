"""Tracks that ended a moment ago, so that a vessel that comes back is known again by its old name.

Promises:
- a track confirmed within `BACK_S` of the end of another, where that one would be by now and as fast, goes on under its
  id; at most one track does, the likeliest;
- what ended long ago is forgotten.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from agent.tracking import kalman
from agent.tracking.arrays import dump, load

if TYPE_CHECKING:
    from agent.tracking.arrays import Bools, Floats, Ints
    from agent.tracking.table import TrackTable

BACK_S = 90.0
CHI2 = 13.3  # 99 % of 4 degrees of freedom
Q = 0.25  # m^2/s^3: what a vessel may have done while nobody looked
SIGMA_MAX_M = 500.0  # it may be anywhere by then: say nothing


class Ended:
    """Rows (id, state, covariance, time) of ended tracks, oldest first."""

    def __init__(self) -> None:
        self._rows: list[tuple[int, Floats, Floats, float]] = []

    def note(self, tab: TrackTable, rows: Bools) -> None:
        """These rows are about to end."""
        for i in np.flatnonzero(rows & (tab.id > 0)).tolist():
            self._rows.append((int(tab.id[i]), tab.x[i].copy(), tab.p[i].copy(), float(tab.t[i])))

    def expire(self, now_s: float) -> None:
        """Forget what is too long ago."""
        self._rows = [r for r in self._rows if now_s - r[3] <= BACK_S]

    def find(self, tab: TrackTable, new: Ints, at_s: float) -> list[tuple[int, int]]:
        """Rows `new` were confirmed just now; old acquaintances get their names back. (id given up, old id)."""
        self.expire(at_s)
        renamed: list[tuple[int, int]] = []
        for i in new.tolist():
            if not self._rows:
                break
            d2 = self._distance(tab.x[i], tab.p[i], at_s)
            k = int(np.argmin(d2))
            if d2[k] <= CHI2:
                old = self._rows.pop(k)
                renamed.append((int(tab.id[i]), old[0]))
                tab.id[i] = old[0]
        return renamed

    def _distance(self, x: Floats, p: Floats, at_s: float) -> Floats:
        ox, op = np.stack([r[1] for r in self._rows]), np.stack([r[2] for r in self._rows])
        dt = np.array([at_s - r[3] for r in self._rows])
        ox, op = kalman.predict(ox, op, dt, np.full(len(dt), Q))
        d = x - ox
        d2 = (d[:, None, :] @ np.linalg.solve(op + p, d[:, :, None]))[:, 0, 0]
        return np.where(op[:, 0, 0] + op[:, 1, 1] > 2.0 * SIGMA_MAX_M**2, np.inf, d2)

    def state(self) -> list[Any]:
        """For the checkpoint."""
        return [[i, dump(x), dump(p), t] for i, x, p, t in self._rows]

    @classmethod
    def restore(cls, data: Any) -> Ended:
        """What `state` was made of."""
        out = cls()
        out._rows = [(i, load(x), load(p), t) for i, x, p, t in data]
        return out
