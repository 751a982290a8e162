"""A virtual ARPA: what the radar's own tracker makes of its plots and says as TTM sentences.

Promises:
- plots come from the radar equation with Swerling I fluctuation over noise and clutter (Pd = Pfa^(1/(1+SINR))), with
  the errors of IMO MSC.192(79)'s sensor model: beam 0.05 deg, range 20 m, glint L/6; false plots by the false-alarm
  rate;
- a target is acquired automatically after 3 plots in 5 turns, is `Q` for its first 8 turns and `T` after; lost after 5
  misses in 10, said `L` once; its vector comes from an alpha-beta tracker with growing memory (12 turns);
- a sentence leaves a fixed time after the beam has passed the target, one per target and turn; 0.01 NM and 0.1 deg.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from hardware_sim import nmea
from hardware_sim.geo import KNOT_MPS, NM_M, polar, wrap180, wrap360
from hardware_sim.radar.physics import Radar, detection_probability
from hardware_sim.seeds import generator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hardware_sim.world import World

FALSE_ALARM = 1e-5
"""Per resolution cell, behind the plot extractor: it wants an echo as wide as the beam."""
DELAY_S = 0.3
SIGMA_BEARING_DEG = 0.05
SIGMA_RANGE_M = 20.0
MEMORY_TURNS = 12
ACQUIRE_OF = (3, 5)
TRACKING_AFTER = 8
LOST_MISSES_OF = (5, 10)
MAX_SPEED_MPS = 36.0
MAX_TARGETS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class RadarPlot:
    """One detection. `t_s` is when the beam passed."""

    t_s: float
    east_m: float
    north_m: float


@dataclass(slots=True, kw_only=True)
class _Target:
    number: int | None
    t_s: float
    east_m: float
    north_m: float
    v_east: float = 0.0
    v_north: float = 0.0
    turns: int = 1
    hits: int = 1
    history: list[bool] = field(default_factory=lambda: [True])

    def predicted(self, t_s: float) -> tuple[float, float]:
        dt = t_s - self.t_s
        return self.east_m + self.v_east * dt, self.north_m + self.v_north * dt

    def update(self, plot: RadarPlot) -> None:
        """Alpha-beta with the gains of a straight-line fit over the last `hits` turns, never over more than memory."""
        self.hits += 1
        k = min(self.hits, MEMORY_TURNS)
        alpha = 2.0 * (2.0 * k - 1.0) / (k * (k + 1.0))
        beta = 6.0 / (k * (k + 1.0))
        dt = plot.t_s - self.t_s
        e, n = self.predicted(plot.t_s)
        re, rn = plot.east_m - e, plot.north_m - n
        self.t_s, self.east_m, self.north_m = plot.t_s, e + alpha * re, n + alpha * rn
        self.v_east += beta * re / dt
        self.v_north += beta * rn / dt

    def gate_m(self, t_s: float) -> float:
        speed = MAX_SPEED_MPS if self.hits == 1 else 8.0
        return 90.0 + speed * (t_s - self.t_s)


class Arpa:
    """The radar's tracker, turn by turn."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._radar = Radar(world.scenario.radar)
        self._targets: list[_Target] = []

    def plots(self, turn: int) -> list[RadarPlot]:
        """What one turn of the antenna detects, in order of time. `turn` may be negative."""
        rng = generator(self._world.seed, "plots", turn)
        found = [p for v in range(len(self._world.vessels)) if (p := self._echo(rng, turn, v)) is not None]
        found += self._false_plots(rng, turn)
        return sorted(found, key=lambda p: p.t_s)

    def turn(self, turn: int, start_unix_s: float) -> list[tuple[float, bytes]]:
        """(t, sentence) that one turn of the antenna leads to."""
        plots = self.plots(turn)
        out = []
        end = (turn + 1) * self._radar.turn_s
        for target in sorted(self._targets, key=lambda x: -x.hits):
            hit = self._take(target, plots)
            target.turns += 1
            target.history = [*target.history[-(LOST_MISSES_OF[1] - 1) :], hit is not None]
            if hit is not None:
                target.update(hit)
            if (line := self._report(target, end, start_unix_s)) is not None:
                out.append(line)
        self._targets = [x for x in self._targets if not _lost(x)]
        self._targets += [
            _Target(number=None, t_s=p.t_s, east_m=p.east_m, north_m=p.north_m) for p in plots
        ]  # what no target took may become one
        return sorted(out)

    def _echo(self, rng: np.random.Generator, turn: int, which: int) -> RadarPlot | None:
        """The plot of one vessel, or none. Draws the same count of numbers whatever happens."""
        draw, beam, ranging, glint_a, glint_r = rng.uniform(), *rng.normal(size=4)
        vessel = self._world.vessels[which]
        table = self._world.scenario.radar
        t = self._passing(turn, which)
        state = vessel.at(t)
        range_m, bearing = polar(state.east_m, state.north_m)
        if range_m > table.range_m:
            return None
        sea = self._world.scenario.weather.sea_state
        signal = self._radar.snr(vessel.kind.rcs_m2, range_m)
        signal *= self._radar.propagation(range_m, vessel.kind.radar_heights_m, sea)
        noise = 1.0 / self._radar.hits**0.8  # integration gain of a square-law integrator
        if draw > detection_probability(signal / (noise + self._clutter(range_m)), FALSE_ALARM):
            return None
        range_m += SIGMA_RANGE_M * ranging + vessel.length_m / 6.0 * glint_r
        bearing += SIGMA_BEARING_DEG * beam + math.degrees(vessel.beam_m / 6.0 / range_m) * glint_a
        b = math.radians(bearing)
        return RadarPlot(t_s=t, east_m=range_m * math.sin(b), north_m=range_m * math.cos(b))

    def _clutter(self, range_m: float) -> float:
        """Mean clutter against noise: it does not integrate, the sea hardly changes while the beam passes."""
        cnr = self._radar.clutter_to_noise(np.array([range_m]), self._world.scenario.weather.sea_state)
        return float(cnr[0])

    def _passing(self, turn: int, which: int) -> float:
        """When the beam passes the vessel in this turn (one correction for its motion is enough)."""
        first = self._relative(which, 0.0)
        t = (turn + first / 360.0) * self._radar.turn_s
        for _ in range(2):  # unwrapped from where it was first: a vessel crossing the bow is passed once a turn
            relative = first + wrap180(self._relative(which, t) - first)
            t = (turn + relative / 360.0) * self._radar.turn_s
        return t

    def _relative(self, which: int, t: float) -> float:
        """Bearing of a vessel from the radar's bow mark."""
        state = self._world.vessels[which].at(t)
        _, bearing = polar(state.east_m, state.north_m)
        return wrap360(bearing - self._world.scenario.radar.heading_deg)

    def _false_plots(self, rng: np.random.Generator, turn: int) -> list[RadarPlot]:
        """False alarms: their mean count is cells x Pfa, their places even over the cells (so denser nearby)."""
        table = self._world.scenario.radar
        cells = 360.0 / table.beam_width_deg * table.range_m / self._radar.range_resolution_m
        out = []
        for _ in range(int(rng.poisson(cells * FALSE_ALARM))):
            range_m, relative = float(rng.uniform(50.0, table.range_m)), float(rng.uniform(0.0, 360.0))
            b = math.radians(relative + table.heading_deg)
            t = (turn + relative / 360.0) * self._radar.turn_s
            out.append(RadarPlot(t_s=t, east_m=range_m * math.sin(b), north_m=range_m * math.cos(b)))
        return out

    def _take(self, target: _Target, plots: list[RadarPlot]) -> RadarPlot | None:
        """The nearest plot in the target's gate, taken out of the list."""
        best, best_m = None, math.inf
        for p in plots:
            e, n = target.predicted(p.t_s)
            d = math.hypot(p.east_m - e, p.north_m - n)
            if d < min(best_m, target.gate_m(p.t_s)) and p.t_s > target.t_s + 0.5 * self._radar.turn_s:
                best, best_m = p, d
        if best is not None:
            plots.remove(best)
        return best

    def _report(self, target: _Target, end_s: float, start_unix_s: float) -> tuple[float, bytes] | None:
        """The sentence about a target in this turn, numbering it when it is acquired."""
        if target.number is None:
            if sum(target.history[-ACQUIRE_OF[1] :]) < ACQUIRE_OF[0]:
                return None
            target.number = self._free_number()
        status = "L" if _lost(target) else "Q" if target.turns < TRACKING_AFTER else "T"
        at = target.t_s if target.history[-1] else self._expected(target, end_s)
        e, n = target.predicted(at)
        range_m, bearing = polar(e, n)
        speed, course = polar(target.v_east, target.v_north)
        cpa_m, tcpa_s = _cpa(e, n, target.v_east, target.v_north)
        line = nmea.ttm(
            number=target.number,
            range_nm=range_m / NM_M,
            bearing_deg=bearing,
            speed_kn=speed / KNOT_MPS,
            course_deg=course,
            cpa_nm=cpa_m / NM_M,
            tcpa_min=max(-99.0, min(99.0, tcpa_s / 60.0)),
            status=status,
            unix_s=start_unix_s + at,
        )
        return at + DELAY_S, line

    def _expected(self, target: _Target, end_s: float) -> float:
        """When the beam passed where a missed target should have been."""
        e, n = target.predicted(end_s)
        _, bearing = polar(e, n)
        relative = wrap360(bearing - self._world.scenario.radar.heading_deg)
        return end_s - self._radar.turn_s * (1.0 - relative / 360.0)

    def _free_number(self) -> int:
        used = {x.number for x in self._targets}
        return next(i for i in range(1, MAX_TARGETS) if i not in used)


def sentences(world: World, start_unix_s: float) -> Iterator[tuple[float, bytes]]:
    """(t, TTM) in order of time from t = 0 on, for ever; the radar has been on before, as the scenario says."""
    arpa = Arpa(world)
    turn_s = 60.0 / world.scenario.radar.rpm
    turn = -math.ceil(world.scenario.radar.on_since_s / turn_s)
    pending: list[tuple[float, bytes]] = []
    while True:
        pending = sorted(pending + arpa.turn(turn, start_unix_s))
        done = [item for item in pending if item[0] <= turn * turn_s]  # later turns cannot say anything earlier
        pending = pending[len(done) :]
        yield from (item for item in done if item[0] >= 0.0)
        turn += 1


def _lost(target: _Target) -> bool:
    misses = target.history.count(False)
    if target.number is None:  # not acquired yet: gone as soon as it cannot be within its five turns
        return len(target.history) >= ACQUIRE_OF[1] or misses > ACQUIRE_OF[1] - ACQUIRE_OF[0]
    return misses >= LOST_MISSES_OF[0]


def _cpa(e: float, n: float, ve: float, vn: float) -> tuple[float, float]:
    """(distance_m, time_s) of closest approach to the radar; a negative time has passed."""
    v2 = ve * ve + vn * vn
    if v2 < 1e-6:
        return math.hypot(e, n), 0.0
    t = -(e * ve + n * vn) / v2
    return math.hypot(e + ve * t, n + vn * t), t
