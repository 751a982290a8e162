"""Everything that measures goes in, the vessels as known now come out.

Promises:
- every AIS vessel with a position is in the picture from its first report, every contact from its second look on
  (status `tentative` until M of N), every reported target from its first report;
- a vessel seen by several sensors is one entry with one id, and its `sources` name those that see it now;
- entries come in order of id.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from agent.fusion.ais import AisBook, Station
from agent.fusion.associate import Pairing, Parts
from agent.fusion.registrar import Registrar
from agent.fusion.reports import ReportBook, Reported
from agent.fusion.vessels import SEEN_S, Vessel, Vessels, intersect
from agent.geo import LocalFrame, wrap360
from agent.messages import Track, TrackStatus
from agent.tracking.tracker import Contacts, Ids, Tracker

if TYPE_CHECKING:
    from agent.config.schema import Config
    from agent.messages import Scan, View
    from agent.tracking.arrays import Floats
    from agent.tracking.bearings import BearingTrack

AIS_HEALTHY_S = 120.0  # a longer silence of the receiver is a gap in what AIS can prove
AIS_CONFIDENCE = 0.9
AIS_FRESH_S = 180.0  # the longest reporting interval of a moving class B vessel
STATIC = "static"


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """One vessel with what the rules ask about it.

    `kinds`: independent kinds of sensor that see it; `share`: hits among a contact's newest looks (0..1);
    `confirmed_s`: since when it is a track to rely on (inf: not yet); `ais_reports`: position reports of its station;
    `ais_quiet_s`: for how long that station has been silent (0: not longer than it may be) while the site sees it;
    `ais_heard_by`, `ais_last_s`: of several receivers those that heard its AIS last, and when it last reported.
    """

    track: Track
    state: tuple[float, ...]
    kinds: int
    share: float
    hits: int
    confirmed_s: float
    static: bool
    ais_reports: int
    ais_quiet_s: float = 0.0
    ais_heard_by: tuple[str, ...] = ()
    ais_last_s: float = -math.inf

    @property
    def sigma_m(self) -> float:
        """One sigma of its position along the worse axis, about."""
        return math.sqrt(max(self.track.cov[0][0], self.track.cov[1][1]))


class Picture:
    """See the module."""

    def __init__(self, config: Config) -> None:
        site, settings = config.site, config.tracking
        self.frame = LocalFrame(lat=site.lat, lon=site.lon)
        self.ids = Ids()
        self.tracker = Tracker(settings, site.height_m, self.ids)
        self.ais = AisBook(self.frame, settings.acceleration_mps2, config.ais.lost_after_s, self.ids)
        self.reports = ReportBook(self.frame, settings.acceleration_mps2, self.ids)
        self.vessels = Vessels()
        self.registrar = Registrar()
        self._pairing = Pairing(config.ais.gate_m, config.ais.associate_confirm, config.ais.associate_end)
        self._assumed_m = settings.camera_range_m
        self.stations: list[Station] = []  # those shown at the last tick ...
        self.stations_x: Floats = np.empty((0, 4))  # ... and their states at it

    def scan(self, scan: Scan) -> None:
        """One turn of a radar, less the bias that AIS ships have shown."""
        self.tracker.scan(scan, *self.registrar.turn(scan.source))

    def view(self, view: View) -> None:
        """One camera frame: vessels known by AIS or reports alone explain bearings, too."""
        stations = {s.id: s for s in self.ais.shown(view.at_s)}
        targets = {t.id: t for t in self.reports.targets.values()}
        owners: list[int] = []
        x, p = [], []
        contacts = dict.fromkeys(self.tracker.table.id.tolist())
        for v in self.vessels.all.values():
            if any(t in contacts for t in v.members):
                continue
            fixed = [self.ais.predicted([stations[t]], view.at_s) for t in v.members if t in stations]
            fixed += [self.reports.predicted([targets[t]], view.at_s) for t in v.members if t in targets]
            if fixed:
                owners.append(v.id)
                x.append(fixed[0][0])
                p.append(fixed[0][1])
        others = (np.concatenate(x), np.concatenate(p)) if x else (np.empty((0, 4)), np.empty((0, 4, 4)))
        for i in self.tracker.view(view, *others):
            self.vessels.saw(owners[i], view.source, view.at_s)

    def tick(self, now_s: float) -> list[Known]:
        """The vessels as known at `now_s`."""
        self.tracker.tick(now_s)
        self.ais.tick(now_s)
        self.reports.tick(now_s)
        contacts = self.tracker.contacts(now_s)
        stations = self.stations = self.ais.shown(now_s)
        targets = sorted(self.reports.targets.values(), key=lambda t: t.id)
        parts = self._parts(contacts, stations, targets, now_s)
        self.stations_x = parts.x[len(parts.id) - len(stations) :]
        radars = [name for name, s in self.tracker.sources.items() if not s.camera]
        self.registrar.look(now_s, contacts, radars, stations, self.stations_x)
        renamed, self.tracker.merged = self.tracker.merged, []
        self.vessels.update(parts, renamed, self._pairing)
        if len(self.ais.receivers) > 1:
            for s in stations:
                self.vessels.heard(s.id, s.hearers(self.ais.receivers), s.t_s)
        build = _Build(self, parts, contacts, stations, targets, now_s)
        known = [build.known(v) for v in self.vessels.all.values()]
        known += [self._bearing_only(t, now_s) for t in self.tracker.bearings.tracks if t.id]
        return sorted(known, key=lambda k: k.track.id)

    def take_merged(self) -> list[tuple[int, int]]:
        """Vessels that turned out to be another one since the last call: (ended id, surviving id)."""
        merged, self.vessels.merged = self.vessels.merged, []
        return merged

    def _parts(self, c: Contacts, stations: list[Station], targets: list[Reported], now_s: float) -> Parts:
        ax, ap = self.ais.predicted(stations, now_s)
        rx, rp = self.reports.predicted(targets, now_s)
        heard = np.concatenate((
            self.tracker.table.hit_s[c.row], np.array([t.t_s for t in targets]), np.array([s.t_s for s in stations])
        ))  # fmt: skip
        return Parts(
            id=c.id.tolist() + [t.id for t in targets] + [s.id for s in stations],
            kind=["contact"] * len(c.id) + ["report:" + t.source for t in targets]
            + ["ais" if s.kind != "sar" else "aircraft" for s in stations],
            source=[""] * len(c.id) + [t.source for t in targets] + [s.source for s in stations],
            x=np.concatenate((c.x, rx, ax)), p=np.concatenate((c.p, rp, ap)), heard_s=heard,
            named=c.confirmed.tolist() + [t.confirmed for t in targets] + [s.kind != "sar" for s in stations],
        )  # fmt: skip

    def _bearing_only(self, t: BearingTrack, now_s: float) -> Known:
        x, p, bearing_deg, sigma_deg = t.position(now_s, self._assumed_m)
        if not t.confirmed:
            status = TrackStatus.TENTATIVE
        else:
            status = TrackStatus.COASTING if now_s - t.hit_s > 3.0 else TrackStatus.CONFIRMED
        track = self.track(
            now_s, t.id, x.tolist(), p.tolist(), status=status, sources=(t.source,), class_=self.tracker.class_of(t.id),
            confidence=0.4 if t.confirmed else 0.2, bearing_deg=bearing_deg, sigma_bearing_deg=sigma_deg,
        )  # fmt: skip
        return Known(
            track=track, state=tuple(x.tolist()), kinds=1, share=0.0, hits=t.hits, confirmed_s=t.confirmed_s,
            static=False, ais_reports=0,
        )  # fmt: skip

    def track(self, now_s: float, track_id: int, x: list[float], p: list[list[float]], **rest: Any) -> Track:
        """The message form of a state."""
        e, n, ve, vn = x
        lat, lon = self.frame.to_geo(e, n)
        return Track(
            at_s=now_s, id=track_id, lat=lat, lon=lon, east_m=e, north_m=n,
            cog_deg=wrap360(math.degrees(math.atan2(ve, vn))), sog_mps=math.hypot(ve, vn),
            cov=tuple(map(tuple, p)), **rest,
        )  # fmt: skip

    def state(self) -> list[Any]:
        """For the checkpoint."""
        return [
            self.ids.last, self.tracker.state(), self.ais.state(), self.reports.state(), self.vessels.state(),
            self._pairing.state(), self.registrar.state(),
        ]  # fmt: skip

    def restore(self, data: Any) -> None:
        """Take over what `state` was made of."""
        self.ids.last, tracker, ais, reports, vessels, pairing, registrar = data
        self.tracker.restore(tracker)
        self.ais.restore(ais)
        self.reports.restore(reports)
        self.vessels.restore(vessels)
        self._pairing.restore(pairing)
        self.registrar.restore(registrar)


class _Build:
    """Messages of all vessels at one tick."""

    def __init__(
        self, picture: Picture, parts: Parts, contacts: Contacts, stations: list[Station], targets: list[Reported],
        now_s: float,
    ) -> None:  # fmt: skip
        self._picture = picture
        self._parts = parts
        self._now_s = now_s
        row, table = contacts.row, picture.tracker.table
        self._id = contacts.id.tolist()
        self._contact = {t: i for i, t in enumerate(self._id)}
        self._seen_by, self._share, self._hits = contacts.sources, contacts.share, table.hits[row].tolist()
        self._confirmed, self._confirmed_s = contacts.confirmed.tolist(), table.confirmed_s[row].tolist()
        self._coasting, self._static = contacts.coasting.tolist(), contacts.static.tolist()
        self._state = self._fused({t: i for i, t in enumerate(parts.id)})
        self._station = {s.id: s for s in stations}
        self._target = {t.id: t for t in targets}
        self._named: dict[tuple[tuple[str, ...], tuple[str, ...], str | None], tuple[tuple[str, ...], int]] = {}

    def _fused(self, row: dict[int, int]) -> dict[int, tuple[list[float], list[list[float]]]]:
        """State and covariance of every vessel, all vessels with as many parts at once."""
        by_parts: dict[int, list[Vessel]] = {}
        for v in self._picture.vessels.all.values():
            by_parts.setdefault(len(v.members), []).append(v)
        out: dict[int, tuple[list[float], list[list[float]]]] = {}
        for n, vessels in by_parts.items():
            rows = np.array([[row[t] for t in v.members] for v in vessels])
            x, p = self._parts.x[rows], self._parts.p[rows]
            x, p = intersect(x, p) if n > 1 else (x[:, 0], p[:, 0])
            out.update(zip([v.id for v in vessels], zip(x.tolist(), p.tolist(), strict=True), strict=True))
        return out

    def known(self, v: Vessel) -> Known:
        contact: int | None = None
        targets: list[Reported] = []
        station: Station | None = None
        for t in v.members:  # of each sensor's own kind of track there is one at most
            if t in self._contact:
                contact = self._contact[t]
            elif t in self._station:
                station = self._station[t]
            elif t in self._target:
                targets.append(self._target[t])
        x, p = self._state[v.id]
        status, confirmed_s = self._status(contact, targets, station)
        sources, kinds = self._sources(v, contact, targets, station)
        share, hits, confidence = self._quality(contact, targets, station, kinds)
        static = station is None and contact is not None and self._static[contact]
        class_ = station.class_ if station else None
        if class_ is None and contact is not None:
            class_ = STATIC if static else self._picture.tracker.class_of(self._id[contact])
        name = station.name if station else next((t.name for t in targets if t.name), None)
        track = self._picture.track(
            self._now_s, v.id, x, p, status=status, sources=sources, mmsi=station.mmsi if station else None, name=name,
            class_=class_, confidence=confidence,
        )  # fmt: skip
        return Known(
            track=track, state=tuple(x), kinds=kinds, share=share, hits=hits, confirmed_s=confirmed_s,
            static=static, ais_reports=station.reports if station else 0,
            ais_quiet_s=self._quiet_s(station) if station and self._watched(contact, targets) else 0.0,
            ais_heard_by=v.heard_by, ais_last_s=v.ais_s,
        )  # fmt: skip

    def _quiet_s(self, station: Station) -> float:
        return self._picture.ais.quiet_s(station, self._now_s)

    def _watched(self, contact: int | None, targets: list[Reported]) -> bool:
        """Whether something besides AIS shows it now."""
        own = contact is not None and self._confirmed[contact] and not self._coasting[contact]
        return own or any(t.confirmed for t in targets)

    def _status(
        self, contact: int | None, targets: list[Reported], station: Station | None
    ) -> tuple[TrackStatus, float]:
        if contact is None and not targets:
            return (TrackStatus.AIS if station else TrackStatus.TENTATIVE), math.inf
        since = [t.confirmed_s for t in targets if t.confirmed]
        confirmed = contact is not None and self._confirmed[contact]
        if contact is not None and confirmed:
            since.append(self._confirmed_s[contact])
        coasting = contact is not None and self._coasting[contact]
        fresh = station is not None and self._now_s - station.t_s <= AIS_FRESH_S
        if since:
            lost_sight = confirmed and coasting and not fresh and not any(t.confirmed for t in targets)
            return (TrackStatus.COASTING if lost_sight else TrackStatus.CONFIRMED), min(since)
        return (TrackStatus.AIS if station else TrackStatus.TENTATIVE), math.inf

    def _sources(
        self, v: Vessel, contact: int | None, targets: list[Reported], station: Station | None
    ) -> tuple[tuple[str, ...], int]:
        if contact is None and not targets and not v.seen and station is not None:
            return (station.source,), 1
        own = self._seen_by[contact] if contact is not None else ()
        if v.seen:
            own += tuple(s for s, at in v.seen.items() if self._now_s - at <= SEEN_S)
        key = own, tuple(t.source for t in targets), station.source if station else None
        known = self._named.get(key)
        if known is None:
            known = self._named[key] = self._name(*key)
        return known

    def _name(self, own: tuple[str, ...], targets: tuple[str, ...], station: str | None) -> tuple[tuple[str, ...], int]:
        """Names without repetition, and how many kinds of sensors they are."""
        sources = self._picture.tracker.sources
        cameras = any(sources[s].camera for s in own)
        radars = any(not sources[s].camera for s in own) or bool(targets)
        names = own + targets + (() if station is None else (station,))
        return tuple(dict.fromkeys(names)), cameras + radars + (station is not None)

    def _quality(
        self, contact: int | None, targets: list[Reported], station: Station | None, kinds: int
    ) -> tuple[float, int, float]:
        share, hits = 0.0, 0
        doubt = 1.0
        if contact is not None:
            share = self._share[contact]
            hits = self._hits[contact]
            grown = 1.0 - 0.5 ** (hits / 4.0)
            doubt *= 1.0 - share * grown * (0.9 if self._confirmed[contact] else 0.4)
        if targets:
            share, hits = max(share, 0.8), max(hits, *(t.tracking for t in targets))
            doubt *= 0.3
        if station is not None:
            doubt *= 1.0 - AIS_CONFIDENCE
        if kinds > 1 and contact is not None and station is None:
            doubt *= 0.5
        return share, hits, min(1.0 - doubt, 0.99)
