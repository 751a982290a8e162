"""AIS: one track per MMSI from its first position on, and whether the receiver can be relied on.

Promises:
- a vessel is known from its first position report to `lost_after_s` after its last one, extrapolated in between;
- a report with speed and course IS the state (the vessel's own GNSS filtered it already); reports without speed are
  filtered here;
- a station is silent for as long as it sent nothing while a receiver that used to hear it heard others: a gap in all
  that this receiver hears counts for one interval of the station's at most, however long it was, and what receivers
  hear that never heard the station proves nothing of it;
- static data that comes before the first position waits for it; memory is bounded.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from agent.fusion.receivers import Receiver
from agent.tracking import kalman
from agent.tracking.arrays import dump, load

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.geo import LocalFrame
    from agent.messages import Ais
    from agent.tracking.arrays import Floats
    from agent.tracking.tracker import Ids

SIGMA_ACCURATE_M = 10.0  # ITU-R M.1371: "high (<= 10 m)"
SIGMA_M = 30.0
LATENCY_S = 1.0  # between the fix and its reception; along the course
SIGMA_SPEED_MPS = 0.5
SIGMA_NO_SPEED_MPS = 8.0
HEARD_WINDOW_S = 600.0  # stations heard this lately prove how far the receiver reaches
MAX_STATIONS = 20_000
VESSEL_KINDS = ("a", "b")
MOVING_KINDS = ("a", "b", "sart", "sar")
SHOWN_KINDS = (*MOVING_KINDS, "aton")  # base stations stand ashore
# Longest reporting intervals under way and at rest, by class (ITU-R M.1371-5, tables 1 and 2), and the speeds at which
# they change: 3 kn for class A, 2 kn for class B.
_UNDER_WAY_S = {"a": (10.0, 1.55), "b": (30.0, 1.03)}
_AT_REST_S = 180.0
SILENT_INTERVALS = 6.0  # so many in a row are not lost by chance while others are received ...
LOST_INTERVALS = 2.0  # ... but the first ones may have been: silence counts from behind them


@dataclass(slots=True, kw_only=True)
class Station:
    """What is known of one MMSI. `id` 0 and `x` None before its first position.

    `heard_by`: each receiver's newest report of its position.
    """

    mmsi: int
    kind: str
    source: str
    heard_s: float
    id: int = 0
    x: Floats | None = None
    p: Floats | None = None
    t_s: float = 0.0
    born_s: float = 0.0
    reports: int = 0
    ship_type: int | None = None
    name: str | None = None
    heard_by: dict[str, float] = field(default_factory=dict)

    @property
    def class_(self) -> str | None:
        """The vessel's class by its own account."""
        if self.kind in ("aton", "sart"):
            return self.kind
        return "sar-aircraft" if self.kind == "sar" else ship_class(self.ship_type)

    def quiet_s(self, now_s: float, gaps: Iterable[tuple[float, float]]) -> float:
        """For how long it has sent nothing that was due, once that is more than chance; 0 until then.

        `gaps`: (end, length) of those in which the receiver heard nobody.
        """
        interval_s = self._interval_s()
        silent_s = _silent_s(self.t_s, now_s, gaps, interval_s)
        return silent_s - LOST_INTERVALS * interval_s if silent_s > SILENT_INTERVALS * interval_s else 0.0

    def hearers(self, receivers: dict[str, Receiver]) -> tuple[str, ...]:
        """The receivers that heard it until its last report, less what they may have missed by chance or in a gap."""
        interval_s = self._interval_s()
        return tuple(
            name for name, at_s in self.heard_by.items()
            if (r := receivers.get(name)) is not None
            and _silent_s(at_s, min(self.t_s, r.heard_s), r.gaps, interval_s) <= SILENT_INTERVALS * interval_s
        )  # fmt: skip

    def _interval_s(self) -> float:
        """The longest reporting interval of its class at its speed."""
        interval_s, moving_mps = _UNDER_WAY_S.get(self.kind, (_AT_REST_S, 0.0))
        if self.x is None or math.hypot(self.x[2], self.x[3]) <= moving_mps:
            interval_s = _AT_REST_S
        return interval_s


def _silent_s(since_s: float, now_s: float, gaps: Iterable[tuple[float, float]], interval_s: float) -> float:
    """Time from `since_s` to `now_s`, less the gaps between, each of which counts for one interval at most."""
    return now_s - since_s - sum(max(long_s - interval_s, 0.0) for end_s, long_s in gaps if end_s > since_s)


class AisBook:
    """All stations heard."""

    def __init__(self, frame: LocalFrame, acceleration_mps2: float, lost_after_s: float, ids: Ids) -> None:
        self._frame = frame
        self._q = acceleration_mps2**2
        self._lost_after_s = lost_after_s
        self._ids = ids
        self.stations: dict[int, Station] = {}
        self.receivers: dict[str, Receiver] = {}  # those that have ever been heard

    def hear(self, m: Ais, healthy_s: float) -> None:
        """One message. `healthy_s`: a silence of its receiver longer than this is a gap."""
        receiver = self.receivers.get(m.source)
        if receiver is None:
            receiver = self.receivers[m.source] = Receiver(name=m.source)
        receiver.hear(m.at_s, healthy_s)
        s = self.stations.get(m.mmsi)
        if s is None:
            if len(self.stations) >= MAX_STATIONS:
                del self.stations[next(iter(self.stations))]
            s = self.stations[m.mmsi] = Station(mmsi=m.mmsi, kind=m.kind, source=m.source, heard_s=m.at_s)
        s.heard_s = max(s.heard_s, m.at_s)
        s.name = m.name or s.name
        s.ship_type = m.ship_type if m.ship_type is not None else s.ship_type
        if m.lat is not None and m.lon is not None and abs(m.lat) <= 90.0 and abs(m.lon) <= 180.0:
            east_m, north_m = self._frame.to_enu(m.lat, m.lon)
            s.heard_by[m.source] = max(m.at_s, s.heard_by.get(m.source, m.at_s))
            if m.kind in VESSEL_KINDS:
                receiver.place(m.at_s, east_m, north_m)
            self._fix(s, m, east_m, north_m)

    def quiet_s(self, s: Station, now_s: float) -> float:
        """For how long a station has been silent by the receiver that knows best; 0: no longer than it may be."""
        heard = (self.receivers[name] for name in s.hearers(self.receivers))
        return max((s.quiet_s(min(now_s, r.heard_s), r.gaps) for r in heard), default=0.0)

    def tick(self, now_s: float) -> None:
        """Forget who has been silent for too long, and the gaps of that long ago."""
        for r in self.receivers.values():
            r.forget(now_s - self._lost_after_s)
        if any(now_s - s.heard_s > self._lost_after_s for s in self.stations.values()):
            self.stations = {k: s for k, s in self.stations.items() if now_s - s.heard_s <= self._lost_after_s}

    def shown(self, now_s: float) -> list[Station]:
        """Stations with a position that belong in the picture, in order of their first position."""
        out = [
            s for s in self.stations.values()
            if s.x is not None and s.kind in SHOWN_KINDS and now_s - s.t_s <= self._lost_after_s
        ]  # fmt: skip
        return sorted(out, key=lambda s: s.id)

    def predicted(self, stations: list[Station], now_s: float) -> tuple[Floats, Floats]:
        """States (n, 4) and covariances (n, 4, 4) of stations with a position at `now_s`."""
        if not stations:
            return np.empty((0, 4)), np.empty((0, 4, 4))
        x = np.stack([s.x for s in stations if s.x is not None])
        p = np.stack([s.p for s in stations if s.p is not None])
        dt = np.array([now_s - s.t_s for s in stations])
        return kalman.predict(x, p, dt, np.full(len(x), self._q))

    def reach_m(self, now_s: float) -> dict[str, float]:
        """The farthest station that each receiver has heard lately; 0 when none was."""
        far = dict.fromkeys(self.receivers, 0.0)
        for s in self.stations.values():
            if s.x is None:
                continue
            range_m = math.hypot(s.x[0], s.x[1])
            for name, at_s in s.heard_by.items():
                if now_s - at_s <= HEARD_WINDOW_S and range_m > far.get(name, math.inf):
                    far[name] = range_m
        return far

    def keep(self, names: Iterable[str]) -> None:
        """Forget the receivers that are not among `names`: what they heard will never be missed."""
        self.receivers = {n: r for n, r in self.receivers.items() if n in names}

    def _fix(self, s: Station, m: Ais, east_m: float, north_m: float) -> None:
        if s.x is not None and m.at_s < s.t_s:
            return  # a relay brings an old position late
        sog = m.sog_mps if m.sog_mps is not None and math.isfinite(m.sog_mps) else None
        sigma = math.hypot(SIGMA_ACCURATE_M if m.accurate else SIGMA_M, LATENCY_S * (sog or 0.0))
        if sog is not None:
            self._set(s, east_m, north_m, sigma**2, sog, m.cog_deg)
        else:
            self._filter(s, np.array([east_m, north_m]), np.eye(2) * sigma**2, m.at_s)
        s.kind, s.source, s.t_s = m.kind, m.source, m.at_s
        s.reports += 1
        if not s.id and s.kind in SHOWN_KINDS:
            s.id, s.born_s = self._ids.take(), m.at_s

    @staticmethod
    def _set(s: Station, east_m: float, north_m: float, var_m2: float, sog: float, cog_deg: float | None) -> None:
        course = math.radians(cog_deg) if cog_deg is not None else 0.0
        known = cog_deg is not None
        speed = sog if known else 0.0
        s.x = np.array([east_m, north_m, speed * math.sin(course), speed * math.cos(course)])
        s.p = np.zeros((4, 4))
        s.p[0, 0] = s.p[1, 1] = var_m2
        s.p[2, 2] = s.p[3, 3] = SIGMA_SPEED_MPS**2 + (0.0 if known else sog**2)

    def _filter(self, s: Station, z: Floats, r: Floats, at_s: float) -> None:
        if s.x is None or s.p is None:
            s.x = np.array([z[0], z[1], 0.0, 0.0])
            s.p = np.zeros((4, 4))
            s.p[:2, :2] = r
            s.p[2, 2] = s.p[3, 3] = SIGMA_NO_SPEED_MPS**2
            return
        x, p = kalman.predict(s.x[None], s.p[None], np.array([at_s - s.t_s]), np.array([self._q]))
        x, p, _, _ = kalman.update_position(x, p, z[None], r[None])
        s.x, s.p = x[0], p[0]

    def state(self) -> list[Any]:
        """For the checkpoint."""
        rows = []
        for s in self.stations.values():
            row = [getattr(s, f.name) for f in fields(Station)]
            rows.append([dump(v) if isinstance(v, np.ndarray) else v for v in row])
        return [rows, [r.row() for r in self.receivers.values()]]

    def restore(self, data: Any) -> None:
        """Take over what `state` was made of."""
        rows, receivers = data
        self.receivers = {r.name: r for r in map(Receiver.of, receivers)}
        names = [f.name for f in fields(Station)]
        self.stations = {}
        for row in rows:
            values = dict(zip(names, row, strict=True))
            for k in ("x", "p"):
                values[k] = load(values[k]) if values[k] is not None else None
            self.stations[values["mmsi"]] = Station(**values)


def ship_class(ship_type: int | None) -> str | None:
    """Class name of an AIS ship type (ITU-R M.1371-5, table 53); None where it says nothing."""
    if ship_type is None:
        return None
    special = {30: "fishing", 35: "military", 36: "sailing", 37: "pleasure", 50: "pilot", 51: "sar", 55: "patrol"}
    special |= {31: "tug", 32: "tug", 52: "tug", 33: "dredger", 34: "diving"}
    if ship_type in special:
        return special[ship_type]
    return {4: "high-speed", 6: "passenger", 7: "cargo", 8: "tanker"}.get(ship_type // 10)
