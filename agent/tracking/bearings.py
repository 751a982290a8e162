"""Contacts that a camera knows by bearing only: bearing and bearing rate, no position claim.

Promises:
- a bearing-only contact never pretends to a range: what it shows stands at an assumed one, with a covariance to match;
- each camera has its own contacts; a contact whose bearing is explained by a vessel with a position ends in it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from agent.geo import wrap360
from agent.tracking.association import assign

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from agent.messages import Bearing
    from agent.tracking.arrays import Floats
    from agent.tracking.history import Policy

_Q_RAD2_S3 = 2.5e-7  # 0.5 m/s^2 across at 1 km
_RATE_SIGMA = 0.01  # rad/s: 10 m/s across at 1 km
_RANGE_SIGMA_SHARE = 0.5  # of the assumed range
_SPEED_SIGMA_MPS = 10.0


@dataclass(slots=True, kw_only=True)
class BearingTrack:
    """One contact of camera `source`; angles in rad, `bits`/`age`/`mark_s` as in `History`."""

    source: str
    id: int
    bearing_rad: float
    rate_rad_s: float
    p00: float
    p01: float
    p11: float
    t_s: float
    born_s: float
    hit_s: float
    mark_s: float
    hits: int = 1
    bits: int = 1
    age: int = 1
    confirmed: bool = False
    confirmed_s: float = math.inf

    def at(self, now_s: float) -> tuple[float, float, float, float]:
        """(bearing, p00, p01, p11) predicted to `now_s`."""
        dt = now_s - self.t_s
        d = max(dt, 0.0)
        p00 = self.p00 + 2.0 * d * self.p01 + d * d * self.p11 + _Q_RAD2_S3 * d**3 / 3.0
        return (
            self.bearing_rad + dt * self.rate_rad_s, p00,
            self.p01 + d * self.p11 + _Q_RAD2_S3 * d * d / 2.0, self.p11 + _Q_RAD2_S3 * d,
        )  # fmt: skip

    def update(self, bearing_rad: float, var: float, at_s: float) -> None:
        """Kalman update by one bearing."""
        b, p00, p01, p11 = self.at(at_s)
        s = p00 + var
        nu = wrap_rad(bearing_rad - b)
        self.bearing_rad = wrap_rad(b + p00 / s * nu)
        self.rate_rad_s += p01 / s * nu
        self.p00, self.p01, self.p11 = p00 - p00 * p00 / s, p01 - p00 * p01 / s, p11 - p01 * p01 / s
        self.t_s = self.hit_s = at_s
        self.hits += 1

    def position(self, now_s: float, range_m: float) -> tuple[Floats, Floats, float, float]:
        """(state, covariance, bearing_deg, sigma_bearing_deg) at `now_s`, standing at an assumed `range_m`."""
        b, p00, _, p11 = self.at(now_s)
        sin, cos = math.sin(b), math.cos(b)
        along, across = (_RANGE_SIGMA_SHARE * range_m) ** 2, p00 * range_m**2
        rot = np.array([[sin, cos], [cos, -sin]])  # columns: along the bearing, across it
        cov = np.zeros((4, 4))
        cov[:2, :2] = _rotated(rot, along, across)
        cov[2:, 2:] = _rotated(rot, _SPEED_SIGMA_MPS**2, min(p11 * range_m**2, _SPEED_SIGMA_MPS**2))
        v = self.rate_rad_s * range_m
        x = np.array([range_m * sin, range_m * cos, v * cos, -v * sin])
        return x, cov, wrap360(math.degrees(b)), math.degrees(math.sqrt(p00))


class BearingTracks:
    """The bearing-only contacts of all cameras, in order of birth."""

    def __init__(self) -> None:
        self.tracks: list[BearingTrack] = []

    def explained(self, source: str, bearings: Iterable[Bearing], at_s: float, chi2: float) -> list[BearingTrack]:
        """Remove and return the contacts of `source` whose bearing a vessel with a position just took."""
        rows = [(math.radians(b.bearing_deg), math.radians(b.sigma_bearing_deg) ** 2) for b in bearings]
        gone = [t for t in self.tracks if t.source == source and any(_d2(t, r, v, at_s) <= chi2 for r, v in rows)]
        self.tracks = [t for t in self.tracks if not any(t is g for g in gone)]
        return gone

    def look(self, source: str, bearings: Sequence[Bearing], at_s: float, chi2: float, policy: Policy) -> list[int]:
        """One frame of `source`: update, start and end its contacts. Returns for each bearing its contact's id or 0."""
        mine = [t for t in self.tracks if t.source == source]
        z = [(math.radians(b.bearing_deg), math.radians(b.sigma_bearing_deg) ** 2) for b in bearings]
        found = [
            (i, j, d2)
            for i, t in enumerate(mine)
            for j, (rad, var) in enumerate(z)
            if (d2 := _d2(t, rad, var, at_s)) <= chi2
        ]
        cost = np.array([d2 for _, _, d2 in found])
        rows, cols = assign(
            np.array([i for i, _, _ in found], dtype=np.int64), np.array([j for _, j, _ in found], dtype=np.int64),
            cost, np.full(len(cost), chi2),
        )  # fmt: skip
        ids = [0] * len(z)
        taken = dict(zip(rows.tolist(), cols.tolist(), strict=True))
        for i, t in enumerate(mine):
            j = taken.get(i)
            _record(t, j is not None, at_s, policy)
            if j is not None:
                t.update(z[j][0], z[j][1], at_s)
                ids[j] = t.id
        used = dict.fromkeys(taken.values())
        self.tracks += [_new(source, *z[j], at_s) for j in range(len(z)) if j not in used]
        self.tracks = [t for t in self.tracks if t.source != source or not _over(t, policy)]
        for t in self.tracks:
            if t.source == source and not t.confirmed and _hits(t, policy.confirm_scans) >= policy.confirm_hits:
                t.confirmed, t.confirmed_s = True, at_s
        return ids

    def expire(self, now_s: float, after_s: float) -> None:
        """End the contacts of cameras that have fallen silent."""
        self.tracks = [t for t in self.tracks if now_s - t.hit_s <= after_s]

    def state(self) -> list[Any]:
        """For the checkpoint."""
        return [[getattr(t, f.name) for f in fields(BearingTrack)] for t in self.tracks]

    @classmethod
    def restore(cls, data: Any) -> BearingTracks:
        """What `state` was made of."""
        out = cls()
        names = [f.name for f in fields(BearingTrack)]
        out.tracks = [BearingTrack(**dict(zip(names, row, strict=True))) for row in data]
        return out


def _new(source: str, rad: float, var: float, at_s: float) -> BearingTrack:
    return BearingTrack(
        source=source, id=0, bearing_rad=rad, rate_rad_s=0.0, p00=var, p01=0.0, p11=_RATE_SIGMA**2, t_s=at_s,
        born_s=at_s, hit_s=at_s, mark_s=at_s,
    )  # fmt: skip


def _record(t: BearingTrack, hit: bool, at_s: float, policy: Policy) -> None:
    if at_s - t.mark_s >= policy.window_s:
        t.bits = (t.bits << 1) & ((1 << 64) - 1)
        t.age = min(t.age + 1, 64)
        t.mark_s = at_s
    t.bits |= int(hit)


def _hits(t: BearingTrack, windows: int) -> int:
    return (t.bits & ((1 << windows) - 1)).bit_count()


def _over(t: BearingTrack, policy: Policy) -> bool:
    if t.confirmed:
        n = min(t.age, policy.delete_scans)
        return not t.bits & 1 and n - _hits(t, policy.delete_scans) > policy.delete_misses
    rest = max(policy.confirm_scans - t.age, 0)
    return _hits(t, policy.confirm_scans) + rest < policy.confirm_hits


def _d2(t: BearingTrack, rad: float, var: float, at_s: float) -> float:
    b, p00, _, _ = t.at(at_s)
    return wrap_rad(rad - b) ** 2 / (p00 + var)


def _rotated(rot: Floats, along: float, across: float) -> Floats:
    u, w = rot[:, 0], rot[:, 1]
    return np.asarray(along * np.outer(u, u) + across * np.outer(w, w))


def wrap_rad(rad: float) -> float:
    """The angle in [-pi, pi)."""
    return (rad + math.pi) % (2.0 * math.pi) - math.pi
