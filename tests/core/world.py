"""A small synthetic coast for the core's tests: vessels with true courses, seen by noisy sensors. Seeded."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from agent.config.schema import Config, Rule, Site, Zone
from agent.geo import LocalFrame, enu_to_polar
from agent.messages import (
    Ais,
    Alert,
    Bearing,
    Plot,
    RuleHealth,
    Scan,
    Tick,
    Track,
    TrackPicture,
    TrackReport,
    TrackStatus,
    View,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.core import Core
    from agent.messages import Effect, Event

SITE = Site(name="Punta", lat=43.36, lon=-8.45, height_m=30.0)
FRAME = LocalFrame(lat=SITE.lat, lon=SITE.lon)
SCAN_S = 2.5


@dataclass(kw_only=True)
class Ship:
    """A vessel on straight legs: `course` lists (from_s, v_east, v_north)."""

    east: float
    north: float
    course: list[tuple[float, float, float]]
    mmsi: int | None = None
    ais_every_s: float = 10.0
    ais_from_s: float = 0.0
    pd: float = 0.9
    from_s: float = 0.0
    until_s: float = math.inf
    name: str | None = None
    kind: str = "a"
    ttm: int | None = None
    hidden: tuple[tuple[float, float], ...] = ()  # spans in which no radar sees it

    def at(self, t: float) -> tuple[float, float, float, float]:
        e, n = self.east, self.north
        legs = [*self.course, (math.inf, 0.0, 0.0)]
        ve = vn = 0.0
        for (start, ve_, vn_), (end, _, _) in itertools.pairwise(legs):
            if t < start:
                break
            ve, vn = ve_, vn_
            dt = min(t, end) - start
            e, n = e + ve * dt, n + vn * dt
        return e, n, ve, vn

    def there(self, t: float) -> bool:
        return self.from_s <= t <= self.until_s


@dataclass(kw_only=True)
class World:
    ships: list[Ship]
    seed: int = 1
    clutter: int = 0
    reach_m: float = 15_000.0
    radar: str | None = "radar-1"
    camera: str | None = None
    arpa: str | None = None
    ais: bool = True
    sigma_r: float = 15.0
    sigma_b: float = 0.3
    start: float = 0.0
    silent: tuple[tuple[float, float], ...] = ()  # the radar stands still
    ais_silent: tuple[tuple[float, float], ...] = ()
    rng: np.random.Generator = field(init=False)

    def events(self, duration_s: float) -> list[Event]:
        """Every sensor's events and a tick a second, in order of time."""
        self.rng = np.random.default_rng(self.seed)
        out: list[tuple[float, int, Event]] = []
        for k in range(int(duration_s / SCAN_S) + 1):
            t = self.start + k * SCAN_S
            if self.radar and not _within(t, self.silent):
                out.append((t, 0, self.scan(t)))
            if self.arpa:
                out += [(t, 1, r) for r in self.reports(t)]
        if self.camera:
            out += [(self.start + 0.5 * k, 2, self.view(self.start + 0.5 * k)) for k in range(int(duration_s * 2))]
        if self.ais:
            out += [(m.at_s, 3, m) for m in self.ais_messages(duration_s)]
        out += [(self.start + float(k), 4, Tick(at_s=self.start + float(k))) for k in range(int(duration_s) + 1)]
        return [e for _, _, e in sorted(out, key=lambda r: (r[0], r[1]))]

    def scan(self, t: float) -> Scan:
        plots = []
        for s in self.ships:
            seen = s.there(t) and not _within(t, s.hidden)
            if seen and self.rng.random() < s.pd:
                plots.append(self._plot(t, *s.at(t)[:2]))
        for _ in range(self.clutter):
            r = self.reach_m * math.sqrt(self.rng.random())
            b = 360.0 * self.rng.random()
            plots.append(self._plot(t, r * math.sin(math.radians(b)), r * math.cos(math.radians(b))))
        return Scan(at_s=t, source=self.radar or "", plots=tuple(plots))

    def _plot(self, t: float, e: float, n: float) -> Plot:
        r, b = enu_to_polar(e, n)
        slant = math.hypot(max(r + self.rng.normal(0.0, self.sigma_r), 50.0), SITE.height_m)
        return Plot(
            at_s=t, source=self.radar or "", range_m=slant, bearing_deg=b + self.rng.normal(0.0, self.sigma_b),
            sigma_range_m=self.sigma_r, sigma_bearing_deg=self.sigma_b,
        )  # fmt: skip

    def view(self, t: float) -> View:
        rows = []
        for s in self.ships:
            if s.there(t) and self.rng.random() < 0.8:
                r, b = enu_to_polar(*s.at(t)[:2])
                near = r < 3000.0
                sigma = 0.08 * r
                rows.append(Bearing(
                    at_s=t, source=self.camera or "", bearing_deg=b + self.rng.normal(0.0, 0.2), sigma_bearing_deg=0.3,
                    range_m=r + self.rng.normal(0.0, sigma) if near else None, sigma_range_m=sigma if near else None,
                    class_="small-craft", confidence=0.7,
                ))  # fmt: skip
        return View(at_s=t, source=self.camera or "", bearings=tuple(rows))

    def reports(self, t: float) -> list[TrackReport]:
        out = []
        for s in self.ships:
            if s.ttm is not None and s.there(t):
                e, n, ve, vn = s.at(t)
                r, b = enu_to_polar(e + self.rng.normal(0, 10.0), n + self.rng.normal(0, 10.0))
                out.append(TrackReport(
                    at_s=t, source=self.arpa or "", number=s.ttm, status="T", range_m=r, bearing_deg=b,
                    sog_mps=math.hypot(ve, vn), cog_deg=enu_to_polar(ve, vn)[1], relative=True,
                ))  # fmt: skip
        return out

    def ais_messages(self, duration_s: float) -> list[Ais]:
        out = []
        for s in self.ships:
            if s.mmsi is None:
                continue
            t = self.start + s.ais_from_s
            while t <= self.start + duration_s:
                if s.there(t) and not _within(t, self.ais_silent):
                    out.append(self.ais_of(s, t))
                t += s.ais_every_s
        return out

    def ais_of(self, s: Ship, t: float) -> Ais:
        e, n, ve, vn = s.at(t)
        lat, lon = FRAME.to_geo(e + self.rng.normal(0, 5.0), n + self.rng.normal(0, 5.0))
        return Ais(
            at_s=t, source="ais-1", mmsi=s.mmsi or 0, kind=s.kind, msg_type=1, lat=lat, lon=lon,
            sog_mps=math.hypot(ve, vn), cog_deg=enu_to_polar(ve, vn)[1], name=s.name,
        )  # fmt: skip


def _within(t: float, spans: tuple[tuple[float, float], ...]) -> bool:
    return any(a <= t <= b for a, b in spans)


def square(name: str, east: float, north: float, half_m: float) -> Zone:
    corners = [(-1, -1), (1, -1), (1, 1), (-1, 1)]
    return Zone(name=name, polygon=tuple(FRAME.to_geo(east + half_m * a, north + half_m * b) for a, b in corners))


def config(zones: Iterable[Zone] = (), rules: Iterable[Rule] = (), **tables: Any) -> Config:
    return Config(site=SITE, zone=tuple(zones), rule=tuple(rules), **tables)


def run(core: Core, events: Iterable[Event]) -> list[Effect]:
    return [effect for event in events for effect in core.step(event)]


def alerts(effects: Iterable[Effect]) -> list[Alert]:
    return [e for e in effects if isinstance(e, Alert)]


def health(effects: Iterable[Effect]) -> list[RuleHealth]:
    return [e for e in effects if isinstance(e, RuleHealth)]


def pictures(effects: Iterable[Effect]) -> list[TrackPicture]:
    return [e for e in effects if isinstance(e, TrackPicture)]


def firm(picture: TrackPicture) -> list[Track]:
    """Its tracks, less the tentative ones."""
    return [t for t in picture.tracks if t.status is not TrackStatus.TENTATIVE]


def nearest(tracks: Iterable[Track], ship: Ship, t: float) -> tuple[float, Track | None]:
    """(distance, track) of the track nearest to a ship's true place."""
    e, n, _, _ = ship.at(t)
    best = min(tracks, key=lambda k: math.hypot(k.east_m - e, k.north_m - n), default=None)
    return (math.hypot(best.east_m - e, best.north_m - n), best) if best else (math.inf, None)
