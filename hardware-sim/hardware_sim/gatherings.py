"""Who meets whom, and who loiters: found from the vessels' own motion, for the truth.

Promises:
- `rendezvous`: two vessels have come within `NEAR_M` of each other and both stayed below `SLOW_MPS` there for
  `MEETING_S`; once per meeting; vessels that lay so from the start have not met, and a tow is no meeting;
- `loitering`: for `LOITER_S` a vessel has been within `LOITER_M` of where it is now, under way (faster than `DRIFT_MPS`
  on the mean); once until it has left;
- both are looked for every `STEP_S` from the start on, so that an event is up to `STEP_S` late; spans of any length,
  asked for in order, give the same events.

Global Fishing Watch calls two vessels within 500 m at a median below 2 kn for two hours an encounter; the times here
are those of small craft near a coast.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hardware_sim.world import World

    Floats = NDArray[np.float64]

STEP_S = 10.0
NEAR_M = 500.0
SLOW_MPS = 1.03
MEETING_S = 300.0
LOITER_M = 1000.0
LOITER_S = 1200.0
DRIFT_MPS = 0.3
_BACK = round(LOITER_S / STEP_S)


class Gatherings:
    """Of one run; spans have to be asked for in order."""

    def __init__(self, world: World) -> None:
        self._vessels = [v for v in world.vessels if v.kind.vessel]
        self._next = 0
        n = len(self._vessels)
        self._together = np.zeros((n, n), dtype=np.int64)  # looks in a row; -1: since the start
        self._path: Floats = np.empty((0, n, 3))  # east, north, speed at the newest looks
        self._loiters = np.zeros(n, dtype=np.bool_)
        tows = [(v.id, v.table.towed_by) for v in self._vessels]
        self._tow = np.array([[a[1] == b[0] or b[1] == a[0] for b in tows] for a in tows], dtype=np.bool_).reshape(n, n)

    def between(self, since_s: float, until_s: float) -> list[dict[str, Any]]:
        """Events in (since, until], and those of the start with the first span."""
        last = math.floor(until_s / STEP_S + 1e-9)
        if last < self._next or not self._vessels:
            return []
        times: Floats = np.arange(self._next, last + 1, dtype=np.float64) * STEP_S
        states = [v.trajectory.many(times) for v in self._vessels]
        path = np.stack([np.stack((s.east_m, s.north_m, s.sog_mps), axis=1) for s in states], axis=1)
        found: list[dict[str, Any]] = []
        for t, here in zip(times.tolist(), path, strict=True):
            found += self._met(t, here)
            self._path = np.concatenate((self._path[-_BACK:], here[None]))
            found += self._loitering(t, here)
        self._next = last + 1
        return [e for e in found if since_s < e["t"] <= until_s]

    def _met(self, t: float, here: Floats) -> list[dict[str, Any]]:
        apart = np.hypot(here[:, None, 0] - here[None, :, 0], here[:, None, 1] - here[None, :, 1])
        slow = here[:, 2] < SLOW_MPS
        now = np.triu((apart <= NEAR_M) & slow[:, None] & slow[None, :], k=1) & ~self._tow
        before = self._together
        self._together = np.where(now, np.where(before < 0, -1, before + 1), 0)
        if t == 0.0:
            self._together[now] = -1
        pairs = np.argwhere(self._together == round(MEETING_S / STEP_S) + 1).tolist()
        names = [v.id for v in self._vessels]
        return [_event("rendezvous", t, names[i], {"with": names[j]}) for i, j in pairs]

    def _loitering(self, t: float, here: Floats) -> list[dict[str, Any]]:
        way = np.hypot(self._path[:, :, 0] - here[:, 0], self._path[:, :, 1] - here[:, 1])
        near = way.max(axis=0) <= LOITER_M
        under_way = self._path[:, :, 2].mean(axis=0) > DRIFT_MPS
        now = near & under_way & (len(self._path) > _BACK)
        new = np.flatnonzero(now & ~self._loiters).tolist()
        self._loiters = now | (self._loiters & near)
        return [_event("loitering", t, self._vessels[i].id, {}) for i in new]


def _event(kind: str, t: float, vessel: str, more: dict[str, Any]) -> dict[str, Any]:
    return {"type": "event", "kind": kind, "t": t, "target": vessel, "zone": None, **more}
