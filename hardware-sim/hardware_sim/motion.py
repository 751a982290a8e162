"""Where a vessel is at time t, as a pure function: a route of straight legs joined by turns.

Promises:
- `Trajectory.at(t)` depends on t alone; no step size, no state, no drift; `many` gives the same for many times at once;
- turns are circular arcs no faster than the vessel's turn rate, starts and stops keep its acceleration;
- before t = 0 a vessel comes in along its first leg (or has been going round its loop for ever, or lies still if it
  starts from rest).
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from hardware_sim.errors import ScenarioError
from hardware_sim.geo import wrap180, wrap360

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

Point = tuple[float, float]


class State(NamedTuple):
    """Position in the local frame, motion over ground, rate of turn (positive to starboard), where the bow points.

    It is a tuple, not a dataclass, because it is made faster and a fast run makes forty for each simulated second.
    """

    east_m: float
    north_m: float
    cog_deg: float
    sog_mps: float
    turn_dps: float
    heading_deg: float


@dataclass(frozen=True, slots=True, kw_only=True)
class States:
    """The same at many times: arrays of one length."""

    east_m: Floats
    north_m: Floats
    cog_deg: Floats
    sog_mps: Floats
    heading_deg: Floats


class Motion(Protocol):
    """Anything that is somewhere at every time."""

    def at(self, t: float) -> State:
        """The state at `t` seconds from the start of the scenario."""

    def many(self, t: Floats) -> States:
        """The states at many times."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Segment:
    """From `t0` on for `duration_s`: a line (with constant acceleration) or an arc (at constant speed)."""

    t0: float
    duration_s: float
    east_m: float
    north_m: float
    course_deg: float
    speed_mps: float
    accel_mps2: float = 0.0
    turn_dps: float = 0.0

    def at(self, t: float) -> State:
        s = t - self.t0
        if self.turn_dps == 0.0:
            way = self.speed_mps * s + 0.5 * self.accel_mps2 * s * s
            b = math.radians(self.course_deg)
            east, north = self.east_m + way * math.sin(b), self.north_m + way * math.cos(b)
            course = self.course_deg
        else:
            radius = self.speed_mps / math.radians(self.turn_dps)  # signed: negative to port
            b0 = math.radians(self.course_deg)
            b1 = b0 + math.radians(self.turn_dps * s)
            east = self.east_m - radius * (math.cos(b1) - math.cos(b0))
            north = self.north_m + radius * (math.sin(b1) - math.sin(b0))
            course = wrap360(math.degrees(b1))
        speed = max(0.0, self.speed_mps + self.accel_mps2 * s)
        return State(
            east_m=east, north_m=north, cog_deg=course, sog_mps=speed, turn_dps=self.turn_dps, heading_deg=course
        )


class Trajectory:
    """A route sailed at one speed.

    `end`: "hold" slows down and stops at the last waypoint, "on" keeps the last course, "loop" goes round for ever (the
    vessel then starts where the first leg leaves the first waypoint's turn). `from_rest`: it lies at the first waypoint
    until t = 0. `ends_s` is when it has come to rest, infinite if it never does.
    """

    def __init__(
        self,
        *,
        name: str,
        route: tuple[Point, ...],
        speed_mps: float,
        turn_dps: float,
        accel_mps2: float,
        end: str,
        from_rest: bool = False,
    ) -> None:
        self._segments: list[_Segment] = []
        self._period_s: float | None = None
        if speed_mps == 0.0 or len(route) == 1:
            e, n = route[0]
            self._add(e, n, 0.0, 0.0, math.inf)
        elif end == "loop":
            self._build_loop(name, route, speed_mps, turn_dps)
        else:
            self._build_open(name, route, speed_mps, turn_dps, accel_mps2, hold=end == "hold", from_rest=from_rest)
        self._starts = [s.t0 for s in self._segments]
        last = self._segments[-1]
        self.ends_s = last.t0 if last.speed_mps == 0.0 else math.inf  # a loop's last segment moves
        self._table = np.array(
            [(s.t0, s.east_m, s.north_m, s.course_deg, s.speed_mps, s.accel_mps2, s.turn_dps) for s in self._segments]
        )

    def at(self, t: float) -> State:
        """The state at `t` seconds from the start of the scenario."""
        if self._period_s is not None:
            t %= self._period_s
        return self._segments[max(0, bisect_right(self._starts, t) - 1)].at(t)

    def many(self, t: Floats) -> States:
        """The states at many times."""
        if self._period_s is not None:
            t = t % self._period_s
        which = np.maximum(np.searchsorted(self._table[:, 0], t, side="right") - 1, 0)
        t0, east, north, course, speed, accel, turn = self._table[which].T
        s = t - t0
        way = speed * s + 0.5 * accel * s * s
        b0 = np.radians(course)
        b1 = b0 + np.radians(turn) * s
        radius = np.divide(speed, np.radians(turn), out=np.zeros_like(speed), where=turn != 0.0)
        return States(
            east_m=east + np.where(turn == 0.0, way * np.sin(b0), -radius * (np.cos(b1) - np.cos(b0))),
            north_m=north + np.where(turn == 0.0, way * np.cos(b0), radius * (np.sin(b1) - np.sin(b0))),
            cog_deg=np.degrees(b1) % 360.0,
            heading_deg=np.degrees(b1) % 360.0,
            sog_mps=np.maximum(0.0, speed + accel * s),
        )

    def _add(
        self,
        east_m: float,
        north_m: float,
        course_deg: float,
        speed_mps: float,
        duration_s: float,
        *,
        accel_mps2: float = 0.0,
        turn_dps: float = 0.0,
    ) -> None:
        last = self._segments[-1] if self._segments else None
        self._segments.append(
            _Segment(
                t0=0.0 if last is None else last.t0 + last.duration_s,
                duration_s=duration_s,
                east_m=east_m,
                north_m=north_m,
                course_deg=course_deg,
                speed_mps=speed_mps,
                accel_mps2=accel_mps2,
                turn_dps=turn_dps,
            )
        )

    def _leg(self, a: Point, b: Point, cut_a: float, cut_b: float, speed: float) -> None:
        """The straight part of a leg, without what the turns at its ends take."""
        length, course = _leg_of(a, b)
        e, n = _ahead(a, course, cut_a)
        self._add(e, n, course, speed, (length - cut_a - cut_b) / speed)

    def _turn(self, before: Point, at: Point, after: Point, cut: float, speed: float, turn_dps: float) -> None:
        _, c0 = _leg_of(before, at)
        _, c1 = _leg_of(at, after)
        change = wrap180(c1 - c0)
        if abs(change) > 1e-9:
            e, n = _ahead(at, c0, -cut)
            self._add(e, n, c0, speed, abs(change) / turn_dps, turn_dps=math.copysign(turn_dps, change))

    def _build_open(
        self,
        name: str,
        route: tuple[Point, ...],
        speed: float,
        turn_dps: float,
        accel: float,
        *,
        hold: bool,
        from_rest: bool,
    ) -> None:
        run_up = speed**2 / (2.0 * accel)
        cuts = [0.0, *_cuts(name, route, speed, turn_dps, closed=False), 0.0]
        _check(name, route, cuts, closed=False)
        last = len(route) - 2
        if from_rest:
            _, course = _leg_of(route[0], route[1])
            self._add(*route[0], course, 0.0, 0.0)  # what came before t = 0
            self._add(*route[0], course, 0.0, speed / accel, accel_mps2=accel)
        for i in range(last + 1):
            start = run_up if from_rest and i == 0 else 0.0
            stop = run_up if hold and i == last else 0.0
            length, course = _leg_of(route[i], route[i + 1])
            if start + stop > length - cuts[i] - cuts[i + 1]:
                raise ScenarioError(
                    f"vessel {name!r}: leg {i + 1} is shorter than the {start + stop:.0f} m it needs to gather way "
                    "and to stop; lengthen it"
                )
            self._leg(route[i], route[i + 1], cuts[i] + start, cuts[i + 1] + stop, speed)
            if i < last:
                self._turn(route[i], route[i + 1], route[i + 2], cuts[i + 1], speed, turn_dps)
        _, course = _leg_of(route[-2], route[-1])
        if hold:
            e, n = _ahead(route[-1], course, -run_up)
            self._add(e, n, course, speed, speed / accel, accel_mps2=-accel)
            self._add(*route[-1], course, 0.0, math.inf)
        else:
            self._add(*route[-1], course, speed, math.inf)

    def _build_loop(self, name: str, route: tuple[Point, ...], speed: float, turn_dps: float) -> None:
        cuts = _cuts(name, route, speed, turn_dps, closed=True)
        _check(name, route, cuts, closed=True)
        n = len(route)
        for i in range(n):
            a, b, c = route[i], route[(i + 1) % n], route[(i + 2) % n]
            self._leg(a, b, cuts[i], cuts[(i + 1) % n], speed)
            self._turn(a, b, c, cuts[(i + 1) % n], speed, turn_dps)
        last = self._segments[-1]
        self._period_s = last.t0 + last.duration_s


def _leg_of(a: Point, b: Point) -> tuple[float, float]:
    """(length_m, course_deg) of a leg."""
    return math.dist(a, b), wrap360(math.degrees(math.atan2(b[0] - a[0], b[1] - a[1])))


def _ahead(p: Point, course_deg: float, way_m: float) -> Point:
    b = math.radians(course_deg)
    return p[0] + way_m * math.sin(b), p[1] + way_m * math.cos(b)


def _cuts(name: str, route: tuple[Point, ...], speed: float, turn_dps: float, *, closed: bool) -> list[float]:
    """How far before and after each waypoint its turn begins and ends (the inner waypoints only unless closed)."""
    n = len(route)
    radius = speed / math.radians(turn_dps)
    cuts = []
    for i in range(n) if closed else range(1, n - 1):
        _, c0 = _leg_of(route[i - 1], route[i])
        _, c1 = _leg_of(route[i], route[(i + 1) % n])
        change = abs(wrap180(c1 - c0))
        if change > 170.0:
            raise ScenarioError(
                f"vessel {name!r}: waypoint {i + 1} turns back by {change:.0f} deg; make the turn of two waypoints"
            )
        cuts.append(radius * math.tan(math.radians(change) / 2.0))
    return cuts


def _check(name: str, route: tuple[Point, ...], cuts: list[float], *, closed: bool) -> None:
    n = len(route)
    for i in range(n if closed else n - 1):
        length, _ = _leg_of(route[i], route[(i + 1) % n])
        need = cuts[i] + cuts[(i + 1) % n]
        if length <= need:
            raise ScenarioError(
                f"vessel {name!r}: leg {i + 1} is {length:.0f} m long, its turns need {need:.0f} m; "
                "move the waypoints apart or sail slower"
            )
