"""Who a new track is: the vessel that was lost a moment ago, or somebody else.

Promises:
- a lost vessel is remembered for `PLACE_S` by place and course and for `NAME_S` by MMSI;
- each lost vessel is found again at most once, the nearest first, and never by a vessel that was known before.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.fusion.picture import Known

PLACE_S = 120.0
NAME_S = 600.0
NEAR_M = 200.0
SPEED_SHARE = 0.35  # of its speed: how far off its course it may be found, per second
DRIFT_MPS = 1.0
SIDE_M = 100.0  # besides both positions' errors: two hulls, and a course that is not yet known well
SIDE_S = 60.0  # from setting out to being a track of its own
SIDE_MPS = 1.5  # slower ones have no way back that says where they come from
TURN_MPS = 8.0  # how much its velocity may have changed, besides its own error


@dataclass(frozen=True, slots=True, kw_only=True)
class Ghost:
    """A vessel last seen at `at_s` with state (east, north, v_east, v_north)."""

    vessel: int
    at_s: float
    lost_s: float
    state: tuple[float, ...]
    sigma_m: float
    mmsi: int | None

    def distance(self, k: Known) -> float | None:
        """How far the new vessel `k` is from where this one would be; None if it cannot be it."""
        if self.mmsi is not None and k.track.mmsi is not None:
            return 0.0 if self.mmsi == k.track.mmsi and k.track.at_s - self.lost_s <= NAME_S else None
        dt = k.track.at_s - self.at_s
        if dt < 0.0 or k.track.at_s - self.lost_s > PLACE_S:
            return None
        e, n, ve, vn = self.state
        speed = math.hypot(ve, vn)
        off = math.hypot(k.state[0] - e - ve * dt, k.state[1] - n - vn * dt)
        turned = math.hypot(k.state[2] - ve, k.state[3] - vn)
        reach = NEAR_M + (SPEED_SHARE * speed + DRIFT_MPS) * dt + 3.0 * (self.sigma_m + k.sigma_m)
        sigma_v = math.sqrt(max(k.track.cov[2][2], k.track.cov[3][3]))
        return off if off <= reach and turned <= TURN_MPS + speed * SPEED_SHARE + 3.0 * sigma_v else None


def nearest(ghosts: Iterable[Ghost], k: Known) -> int | None:
    """The vessel among `ghosts` that `k` most probably is; None when it can be none of them."""
    best: tuple[float, int] | None = None
    for g in ghosts:
        d = g.distance(k)
        if d is not None and (best is None or d < best[0]):
            best = (d, g.vessel)
    return best[1] if best is not None else None


def left_side(present: Iterable[Ghost], k: Known) -> int | None:
    """The vessel from whose side the new one `k` has set out; None if there is none.

    That is one on `k`'s own way back, where it was `SIDE_S` ago at most. Of two that lay side by side the younger: the
    older name stays with the echo that is left.
    """
    e, n, ve, vn = k.state
    speed2 = ve * ve + vn * vn
    if speed2 < SIDE_MPS**2:
        return None
    found = []
    for g in present:
        de, dn = g.state[0] - e, g.state[1] - n
        ago_s = min(max(-(de * ve + dn * vn) / speed2, 0.0), SIDE_S)
        if math.hypot(de + ve * ago_s, dn + vn * ago_s) <= SIDE_M + 3.0 * (g.sigma_m + k.sigma_m):
            found.append(g.vessel)
    return max(found, default=None)


class Ghosts:
    """The vessels lost lately, by id."""

    def __init__(self) -> None:
        self.all: dict[int, Ghost] = {}

    def find(self, k: Known) -> int | None:
        """The lost vessel that `k` is, taken out of the list; None when it is a new one."""
        found = nearest(self.all.values(), k)
        if found is not None:
            del self.all[found]
        return found

    def state(self) -> list[Any]:
        """For the checkpoint."""
        return [self.row(g) for g in self.all.values()]

    @classmethod
    def restore(cls, data: Any) -> Ghosts:
        """What `state` was made of."""
        out = cls()
        out.all = {g.vessel: g for g in (cls.ghost(row) for row in data)}
        return out

    @staticmethod
    def row(g: Ghost) -> list[Any]:
        """One ghost for the checkpoint."""
        return [list(v) if isinstance(v := getattr(g, f.name), tuple) else v for f in fields(Ghost)]

    @staticmethod
    def ghost(row: Any) -> Ghost:
        """What `row` was made of."""
        values = dict(zip([f.name for f in fields(Ghost)], row, strict=True))
        return Ghost(**{**values, "state": tuple(values["state"])})
