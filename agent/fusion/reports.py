"""Targets that a radar tracks by itself (ARPA: TTM, TLL): one track per source and number.

Promises:
- a report with speed and course IS the state, with the accuracy that the standard asks of such a radar: filtering its
  smooth reports again would only feign certainty; positions without speed (TLL) are filtered here;
- a target that its radar calls lost, or does not mention for `SILENCE_S`, ends; its number may then be another vessel.

The site is fixed, so speeds relative to own ship are true speeds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from agent.tracking import kalman
from agent.tracking.arrays import dump, load
from agent.tracking.measure import MAX_RANGE_M, polar

if TYPE_CHECKING:
    from agent.geo import LocalFrame
    from agent.messages import TrackReport
    from agent.tracking.arrays import Floats
    from agent.tracking.tracker import Ids

SIGMA_RANGE_M = 25.0
SIGMA_RANGE_SHARE = 0.005  # half of what IMO MSC.192(79) allows (50 m or 1 %), as one sigma
SIGMA_BEARING_DEG = 0.5
SIGMA_SPEED_MPS = 1.0
SIGMA_NO_SPEED_MPS = 8.0
CONFIRM_REPORTS = 2
SILENCE_S = 30.0
JUMP_M = 1000.0  # farther from where it should be: the number was given to another vessel


@dataclass(slots=True, kw_only=True)
class Reported:
    """One target of one radar."""

    source: str
    number: int
    id: int
    x: Floats
    p: Floats
    t_s: float
    born_s: float
    reports: int = 1
    tracking: int = 0  # reports with status T
    confirmed_s: float = math.inf
    name: str | None = None

    @property
    def confirmed(self) -> bool:
        """Whether the radar has said that it tracks it often enough."""
        return self.tracking >= CONFIRM_REPORTS


class ReportBook:
    """All reported targets, in order of birth."""

    def __init__(self, frame: LocalFrame, acceleration_mps2: float, ids: Ids) -> None:
        self._frame = frame
        self._q = acceleration_mps2**2
        self._ids = ids
        self.targets: dict[tuple[str, int], Reported] = {}

    def hear(self, m: TrackReport) -> None:
        """One report."""
        key = (m.source, m.number)
        if m.status.upper() == "L":
            self.targets.pop(key, None)
            return
        fix = self._position(m)
        if fix is None:
            return
        z, r = fix
        old = self.targets.get(key)
        if old is not None and (m.at_s < old.t_s or self._other(old, z, m.at_s)):
            if m.at_s < old.t_s:
                return
            old = None
        self.targets[key] = self._next(old, m, z, r)

    def tick(self, now_s: float) -> None:
        """End the targets that are no longer mentioned."""
        self.targets = {k: t for k, t in self.targets.items() if now_s - t.t_s <= SILENCE_S}

    def predicted(self, targets: list[Reported], now_s: float) -> tuple[Floats, Floats]:
        """States (n, 4) and covariances (n, 4, 4) at `now_s`."""
        if not targets:
            return np.empty((0, 4)), np.empty((0, 4, 4))
        x, p = np.stack([t.x for t in targets]), np.stack([t.p for t in targets])
        return kalman.predict(x, p, np.array([now_s - t.t_s for t in targets]), np.full(len(x), self._q))

    def _position(self, m: TrackReport) -> tuple[Floats, Floats] | None:
        if m.lat is not None and m.lon is not None:
            z = np.array([self._frame.to_enu(m.lat, m.lon)])
            range_m, bearing_deg = float(np.hypot(z[0, 0], z[0, 1])), float(np.degrees(np.arctan2(z[0, 0], z[0, 1])))
        elif m.range_m is not None and m.bearing_deg is not None:
            range_m, bearing_deg = m.range_m, m.bearing_deg
        else:
            return None
        if not (0.0 < range_m <= MAX_RANGE_M and math.isfinite(bearing_deg)):
            return None
        sigma = max(SIGMA_RANGE_M, SIGMA_RANGE_SHARE * range_m)
        z, r = polar(*(np.array([v]) for v in (range_m, bearing_deg, sigma, SIGMA_BEARING_DEG)))
        return z[0], r[0]

    def _other(self, old: Reported, z: Floats, at_s: float) -> bool:
        dt = at_s - old.t_s
        return math.hypot(z[0] - old.x[0] - dt * old.x[2], z[1] - old.x[1] - dt * old.x[3]) > JUMP_M

    def _next(self, old: Reported | None, m: TrackReport, z: Floats, r: Floats) -> Reported:
        x, p = self._estimate(old, m, z, r)
        tracking = (old.tracking if old else 0) + int(m.status.upper() == "T")
        confirmed_s = old.confirmed_s if old else math.inf
        if tracking >= CONFIRM_REPORTS:
            confirmed_s = min(confirmed_s, m.at_s)
        return Reported(
            source=m.source, number=m.number, id=old.id if old else self._ids.take(), x=x, p=p, t_s=m.at_s,
            born_s=old.born_s if old else m.at_s, reports=old.reports + 1 if old else 1, tracking=tracking,
            confirmed_s=confirmed_s, name=m.name or (old.name if old else None),
        )  # fmt: skip

    def _estimate(self, old: Reported | None, m: TrackReport, z: Floats, r: Floats) -> tuple[Floats, Floats]:
        if m.sog_mps is None and old is not None:
            x, p = self.predicted([old], m.at_s)
            x, p, _, _ = kalman.update_position(x, p, z[None], r[None])
            return x[0], p[0]
        sog = m.sog_mps if m.cog_deg is not None else None
        course = math.radians(m.cog_deg or 0.0)
        sigma = SIGMA_NO_SPEED_MPS if sog is None else SIGMA_SPEED_MPS
        p = np.zeros((4, 4))
        p[:2, :2] = r
        p[2, 2] = p[3, 3] = sigma**2
        return np.array([z[0], z[1], (sog or 0.0) * math.sin(course), (sog or 0.0) * math.cos(course)]), p

    def state(self) -> list[Any]:
        """For the checkpoint."""
        rows = []
        for t in self.targets.values():
            row = [getattr(t, f.name) for f in fields(Reported)]
            rows.append([dump(v) if isinstance(v, np.ndarray) else v for v in row])
        return rows

    def restore(self, data: Any) -> None:
        """Take over what `state` was made of."""
        names = [f.name for f in fields(Reported)]
        self.targets = {}
        for row in data:
            values = dict(zip(names, row, strict=True))
            values["x"], values["p"] = load(values["x"]), load(values["p"])
            self.targets[values["source"], values["number"]] = Reported(**values)
