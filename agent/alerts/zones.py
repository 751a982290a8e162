"""Zones as polygons in the local plane, and presence in them without flapping.

Promises:
- a vessel is inside or outside only when two ticks in a row say so by more than half a sigma of its position;
- in between, what was said last holds.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from agent.config.schema import Zone
    from agent.geo import LocalFrame

FAR_M = 1000.0  # beyond this around a zone its exact distance does not matter
TICKS = 2
SIGMA_SHARE = 0.5
MARGIN_MAX_M = 50.0

Memory = dict[str, float]


class Area:
    """One zone: `depth_m` of a point is its distance from the border, positive inside."""

    def __init__(self, zone: Zone, frame: LocalFrame) -> None:
        self.name = zone.name
        self._a = np.array([frame.to_enu(lat, lon) for lat, lon in zone.polygon])
        self._b = np.roll(self._a, -1, axis=0)
        self._lo, self._hi = self._a.min(axis=0).tolist(), self._a.max(axis=0).tolist()
        cross = self._a[:, 0] * self._b[:, 1] - self._b[:, 0] * self._a[:, 1]
        around = float(np.hypot(*(self._b - self._a).T).sum())
        self.core_m = abs(float(cross.sum())) / 2.0 / max(around, 1.0)  # half as deep as the middle, or deeper
        self.margin_m = min(MARGIN_MAX_M, self.core_m)

    def depth_m(self, east_m: float, north_m: float) -> float:
        """Distance from the border, positive inside; at most `FAR_M` away outside."""
        out = max(self._lo[0] - east_m, east_m - self._hi[0], self._lo[1] - north_m, north_m - self._hi[1])
        if out > FAR_M:
            return -FAR_M
        a, b = self._a, self._b
        d = b - a
        length2 = np.maximum((d * d).sum(axis=1), 1e-9)
        along = np.clip(((east_m - a[:, 0]) * d[:, 0] + (north_m - a[:, 1]) * d[:, 1]) / length2, 0.0, 1.0)
        near = np.hypot(a[:, 0] + along * d[:, 0] - east_m, a[:, 1] + along * d[:, 1] - north_m).min()
        cuts = (a[:, 1] > north_m) != (b[:, 1] > north_m)
        with np.errstate(divide="ignore", invalid="ignore"):
            at = a[:, 0] + (north_m - a[:, 1]) * d[:, 0] / d[:, 1]
        inside = int((cuts & (east_m < at)).sum()) % 2 == 1
        return float(near) if inside else -float(near)


def present(area: Area, memory: Memory, east_m: float, north_m: float, sigma_m: float) -> bool:
    """Whether the vessel is inside now, with hysteresis; `memory` holds what was said before."""
    depth = area.depth_m(east_m, north_m)
    margin = min(SIGMA_SHARE * sigma_m, area.margin_m)
    inside = memory.get("in", 0.0) > 0.0
    other = depth < -margin if inside else depth > margin
    memory["n"] = memory.get("n", 0.0) + 1.0 if other else 0.0
    if memory["n"] >= TICKS:
        inside = not inside
        memory["n"] = 0.0
    if not inside and depth < 0.0:
        memory["out"] = 1.0  # it has been seen outside: coming in is an entry, not a first sight
    memory["in"] = float(inside)
    return inside


def place(lat: float, lon: float) -> str:
    """A position as people write it: `43.381 N 8.412 W`."""
    ns, ew = ("N" if lat >= 0.0 else "S"), ("E" if lon >= 0.0 else "W")
    return f"{math.fabs(lat):.3f} {ns} {math.fabs(lon):.3f} {ew}"
