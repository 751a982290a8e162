"""What vessels do besides sailing a route: lie at anchor, drift, fish, loiter, tow, stop and go on.

Promises:
- every behaviour is a `Motion`: a pure function of time, in closed form, the same for one moment and for many;
- what is random about a behaviour is drawn once, when it is made;
- a position never jumps: a piece of a voyage begins where the one before has come to rest.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hardware_sim import environment
from hardware_sim.environment import Drift, Sway
from hardware_sim.motion import Motion, State, States, Trajectory

if TYPE_CHECKING:
    from collections.abc import Callable

    from hardware_sim.motion import Floats, Point
    from hardware_sim.tables import TideTable, VesselTable, WeatherTable
    from hardware_sim.vessels import VesselClass

SWING_S = (140.0, 310.0)
"""Periods of a small craft's yawing about its anchor and of its slow surging; those of ships are longer, by this:"""
SWING_MPS = 0.25
"""The fastest that a vessel yaws about its anchor, and surges."""


def _moving(east_m: Floats, north_m: Floats, v_east: Floats, v_north: Floats, heading_deg: Floats | None) -> States:
    cog = np.degrees(np.arctan2(v_east, v_north)) % 360.0
    return States(
        east_m=east_m,
        north_m=north_m,
        cog_deg=cog,
        sog_mps=np.hypot(v_east, v_north),
        heading_deg=cog if heading_deg is None else heading_deg,
    )


STEERAGE_MPS = 0.5
"""A vessel slower than this is not said to wander."""


def _swayed_at(sways: tuple[Sway, ...], t: float) -> tuple[float, float]:
    """(displacement, velocity), both 0 displacement at t = 0."""
    way = speed = 0.0
    for s in sways:
        angle = s.omega * t + s.phase
        way += s.amplitude_m * (math.sin(angle) - s.at_0)
        speed += s.amplitude_m * s.omega * math.cos(angle)
    return way, speed


def _swayed(sways: tuple[Sway, ...], t: Floats) -> tuple[Floats, Floats]:
    """The same at many times."""
    way, speed = np.zeros_like(t), np.zeros_like(t)
    for s in sways:
        way += s.amplitude_m * (np.sin(s.omega * t + s.phase) - s.at_0)
        speed += s.amplitude_m * s.omega * np.cos(s.omega * t + s.phase)
    return way, speed


@dataclass(frozen=True, slots=True, kw_only=True)
class Floating:
    """Something that goes where sea and wind take it; it is at `point` at t = 0, and before, unless `always` afloat."""

    point: Point
    drift: Drift
    heading_deg: float
    always: bool = False

    def at(self, t: float) -> State:
        """See Motion."""
        s = t if self.always else max(t, 0.0)
        east, v_east = _swayed_at(self.drift.east, s)
        north, v_north = _swayed_at(self.drift.north, s)
        ve, vn = (self.drift.east_mps + v_east, self.drift.north_mps + v_north) if s == t else (0.0, 0.0)
        return State(
            east_m=self.point[0] + self.drift.east_mps * s + east,
            north_m=self.point[1] + self.drift.north_mps * s + north,
            cog_deg=math.degrees(math.atan2(ve, vn)) % 360.0,
            sog_mps=math.hypot(ve, vn),
            turn_dps=0.0,
            heading_deg=self.heading_deg,
        )

    def many(self, t: Floats) -> States:
        """See Motion."""
        s = t if self.always else np.maximum(t, 0.0)
        afloat = s == t
        east, v_east = _swayed(self.drift.east, s)
        north, v_north = _swayed(self.drift.north, s)
        return _moving(
            self.point[0] + self.drift.east_mps * s + east,
            self.point[1] + self.drift.north_mps * s + north,
            np.where(afloat, self.drift.east_mps + v_east, 0.0),
            np.where(afloat, self.drift.north_mps + v_north, 0.0),
            np.full_like(s, self.heading_deg),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Wandering:
    """A motion whose helm lets it off its line a little, now to this side, now to that."""

    line: Motion
    east: tuple[Sway, ...]
    north: tuple[Sway, ...]

    def at(self, t: float) -> State:
        """See Motion."""
        s = self.line.at(t)
        c = math.radians(s.cog_deg)
        east, v_east = _swayed_at(self.east, t)
        north, v_north = _swayed_at(self.north, t)
        ve, vn = s.sog_mps * math.sin(c), s.sog_mps * math.cos(c)
        if s.sog_mps > STEERAGE_MPS:
            ve, vn = ve + v_east, vn + v_north
        cog = math.degrees(math.atan2(ve, vn)) % 360.0
        return State(
            east_m=s.east_m + east,
            north_m=s.north_m + north,
            cog_deg=cog,
            sog_mps=math.hypot(ve, vn),
            turn_dps=s.turn_dps,
            heading_deg=cog,
        )

    def many(self, t: Floats) -> States:
        """See Motion."""
        s = self.line.many(t)
        c = np.radians(s.cog_deg)
        east, v_east = _swayed(self.east, t)
        north, v_north = _swayed(self.north, t)
        under_way = s.sog_mps > STEERAGE_MPS
        return _moving(
            s.east_m + east,
            s.north_m + north,
            s.sog_mps * np.sin(c) + np.where(under_way, v_east, 0.0),
            s.sog_mps * np.cos(c) + np.where(under_way, v_north, 0.0),
            None,
        )


class Voyage:
    """Pieces one after the other: (from when on, motion in its own time)."""

    def __init__(self, pieces: list[tuple[float, Motion]]) -> None:
        self._starts = [t for t, _ in pieces]
        self._pieces = [m for _, m in pieces]

    def at(self, t: float) -> State:
        """See Motion."""
        i = max(0, bisect_right(self._starts, t) - 1)
        return self._pieces[i].at(t - self._starts[i])

    def many(self, t: Floats) -> States:
        """See Motion."""
        which = np.maximum(np.searchsorted(self._starts, t, side="right") - 1, 0)
        out = np.empty((5, len(t)))
        for i in np.unique(which).tolist():
            of = which == i
            s = self._pieces[i].many(t[of] - self._starts[i])
            out[:, of] = s.east_m, s.north_m, s.cog_deg, s.sog_mps, s.heading_deg
        return States(east_m=out[0], north_m=out[1], cog_deg=out[2], sog_mps=out[3], heading_deg=out[4])


@dataclass(frozen=True, slots=True, kw_only=True)
class Towed:
    """What follows a tug on its wake, `delay_s` behind."""

    tug: Motion
    delay_s: float

    def at(self, t: float) -> State:
        """See Motion."""
        return self.tug.at(t - self.delay_s)

    def many(self, t: Floats) -> States:
        """See Motion."""
        return self.tug.many(t - self.delay_s)


def motion(
    table: VesselTable, kind: VesselClass, sea: tuple[WeatherTable, TideTable], rng: np.random.Generator
) -> Motion:
    """What the vessel of that table does.

    Raises:
        ScenarioError: its route cannot be sailed.

    """
    weather, tide = sea
    match table.behaviour:
        case "anchored":
            return _anchored(table.route_m[0], table.length_m or kind.length_m, weather, rng)
        case "drifting":
            taken = environment.drift(weather, tide, kind.leeway)
            return Floating(point=table.route_m[0], drift=taken, heading_deg=_beam_on(weather), always=True)
        case "fishing" | "loitering":
            route = _rounds(table.route_m[0], table.radius_m, rng)
            return Trajectory(
                name=table.name,
                route=route,
                speed_mps=table.speed_mps,
                turn_dps=kind.max_turn_dps,
                accel_mps2=kind.max_accel_mps2,
                end="loop",
            )
        case _:
            voyage = _voyage(table, kind, lambda: environment.drift(weather, tide, kind.leeway), _beam_on(weather))
            return _with_wander(voyage, table.wander_m, rng) if table.wander_m else voyage


def _voyage(table: VesselTable, kind: VesselClass, drift: Callable[[], Drift], heading_deg: float) -> Motion:
    pieces: list[tuple[float, Motion]] = []
    t, shift, here = 0.0, table.start_s, None
    if table.speed_mps == 0.0 or len(table.route_m) == 1:
        return _trajectory(table, kind, table.route_m, 0.0, "hold", from_rest=False)
    for i, leg in enumerate(table.legs):
        route = leg.route_m if here is None or leg.route_m[0] == here else (here, *leg.route_m)
        end = "hold" if leg.end == "drift" else leg.end
        piece = _trajectory(table, kind, route, leg.speed_mps, end, from_rest=i > 0 or table.moored)
        pieces.append((t, piece))
        if i == 0 and table.arrive_s is not None:
            shift = table.arrive_s - piece.ends_s
        t, here = t + piece.ends_s + leg.stay_s, route[-1]
        if leg.end == "drift":
            pieces.append((t, Floating(point=here, drift=drift(), heading_deg=heading_deg)))
    if len(pieces) == 1 and shift == 0.0:
        return pieces[0][1]
    return Voyage([(start + shift, piece) for start, piece in pieces])


def _trajectory(
    table: VesselTable, kind: VesselClass, route: tuple[Point, ...], speed_mps: float, end: str, *, from_rest: bool
) -> Trajectory:
    return Trajectory(
        name=table.name,
        route=route,
        speed_mps=speed_mps,
        turn_dps=kind.max_turn_dps or 1.0,
        accel_mps2=kind.max_accel_mps2,
        end=end,
        from_rest=from_rest,
    )


def _with_wander(line: Motion, wander_m: float, rng: np.random.Generator) -> Wandering:
    def sways() -> tuple[Sway, ...]:
        periods, phases = rng.uniform(120.0, 600.0, 2), rng.uniform(0.0, 2.0 * math.pi, 2)
        return tuple(
            Sway(amplitude_m=wander_m / math.sqrt(2.0), omega=2.0 * math.pi / float(p), phase=float(f))
            for p, f in zip(periods, phases, strict=True)
        )

    return Wandering(line=line, east=sways(), north=sways())


def _anchored(point: Point, length_m: float, weather: WeatherTable, rng: np.random.Generator) -> Floating:
    """Yaws across the wind by half its length, surges by a sixth; heads into the wind."""
    across, along = math.radians(weather.wind_from_deg + 90.0), math.radians(weather.wind_from_deg)
    sizes, phases = (length_m / 2.0, length_m / 6.0), rng.uniform(0.0, 2.0 * math.pi, 2)
    east, north = [], []
    for direction, size, period, phase in zip((across, along), sizes, SWING_S, phases, strict=True):
        omega = min(2.0 * math.pi / period, SWING_MPS / size)
        east.append(Sway(amplitude_m=size * math.sin(direction), omega=omega, phase=float(phase)))
        north.append(Sway(amplitude_m=size * math.cos(direction), omega=omega, phase=float(phase)))
    drift = Drift(east_mps=0.0, north_mps=0.0, east=tuple(east), north=tuple(north))
    return Floating(point=point, drift=drift, heading_deg=weather.wind_from_deg, always=True)


def _beam_on(weather: WeatherTable) -> float:
    """Without steerage way a boat lies across the wind."""
    return (weather.wind_from_deg + 90.0) % 360.0


def _rounds(centre: Point, radius_m: float, rng: np.random.Generator) -> tuple[Point, ...]:
    """Seven waypoints about a centre, none alike; half of them go round the other way."""
    corners = 7
    angles = np.radians(np.arange(corners) * 360.0 / corners + rng.uniform(-12.0, 12.0, corners) + rng.uniform(0, 360))
    reach = radius_m * rng.uniform(0.6, 1.0, corners)
    points = [(centre[0] + r * math.sin(a), centre[1] + r * math.cos(a)) for a, r in zip(angles, reach, strict=True)]
    return tuple(points[::-1] if rng.uniform() < 0.5 else points)
