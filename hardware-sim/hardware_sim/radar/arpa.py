"""A virtual ARPA: what the radar's own tracker makes of its plots.

Promises:
- plots come from the radar equation with the RCS of the aspect and the vessel's Swerling case, over noise, sea and
  rain, with the errors of IMO MSC.192(79)'s sensor model: beam 0.05 deg, range 20 m, glint L/6; two vessels within the
  beam and the resolution in range are one plot between them, weighted by strength; what land hides gives none, land
  itself neither; false plots come by the false-alarm rate;
- a target is acquired automatically after 3 plots in 5 turns, is `Q` for its first 8 turns and `T` after; lost after 5
  misses in 10, said `L` once; its vector comes from an alpha-beta tracker with growing memory (12 turns), so that it
  lags behind a manoeuvre;
- a plot goes to the oldest target in whose gate it is nearest: after a crossing or a merged echo two targets may have
  swapped, or one may coast on and take the other's plot, as real ones do;
- a report leaves `DELAY_S` after the beam has passed; sentences wait for the serial line (38,400 baud) to be free.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from itertools import count
from typing import TYPE_CHECKING

import numpy as np

from hardware_sim import nmea
from hardware_sim.geo import KNOT_MPS, NM_M, polar, wrap180, wrap360
from hardware_sim.radar import fluctuation
from hardware_sim.radar.land import Land
from hardware_sim.radar.physics import Radar
from hardware_sim.seeds import generator
from hardware_sim.vessels import aspect_deg

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hardware_sim.world import World

FALSE_ALARM = 1e-5
"""Per resolution cell, behind the plot extractor: it wants an echo as wide as the beam."""
DELAY_S = 0.3
FALSE_SNR = -math.log(FALSE_ALARM)
"""A false alarm just crosses its threshold."""
SIGMA_BEARING_DEG = 0.05
SIGMA_RANGE_M = 20.0
MEMORY_TURNS = 12
ACQUIRE_OF = (3, 5)
TRACKING_AFTER = 8
LOST_MISSES_OF = (5, 10)
MAX_SPEED_MPS = 36.0
MAX_TARGETS = 100
LINE_BAUD = 38_400
MERGE_M = 15.0
"""Beyond the resolution in range: what the plot extractor still takes for one echo."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RadarPlot:
    """One detection. `t_s` is when the beam passed; `snr` against noise, single pulse; `size_m` (length, width)."""

    t_s: float
    east_m: float
    north_m: float
    snr: float
    size_m: tuple[float, float]


_Echo = tuple[tuple[float, float], RadarPlot]
"""Where a vessel is (range_m, bearing_deg), and the plot that is measured of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetReport:
    """What the tracker says of a target in a turn. `t_s` is when the beam passed, `plot` None when it saw nothing.

    `status` is L (lost, the last report), Q (acquiring) or T (tracking).
    """

    t_s: float
    number: int
    east_m: float
    north_m: float
    v_east: float
    v_north: float
    status: str
    plot: RadarPlot | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One turn of the antenna: its reports, and the plots that belong to no acquired target."""

    reports: list[TargetReport]
    loose: list[RadarPlot]


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
    last: RadarPlot | None = None

    def predicted(self, t_s: float) -> tuple[float, float]:
        dt = t_s - self.t_s
        return self.east_m + self.v_east * dt, self.north_m + self.v_north * dt

    def update(self, plot: RadarPlot) -> None:
        """Alpha-beta with the gains of a straight-line fit over the last `hits` turns, never over more than memory."""
        self.hits, self.last = self.hits + 1, plot
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
        self._land = self._coasts()
        self._targets: list[_Target] = []

    def plots(self, turn: int) -> list[RadarPlot]:
        """What one turn of the antenna detects, in order of time. `turn` may be negative."""
        rng = generator(self._world.seed, "plots", turn)
        found = [p for v in range(len(self._world.vessels)) if (p := self._echo(rng, turn, v)) is not None]
        plots = self._merged(sorted(found, key=lambda x: -x[1].snr))
        return sorted(plots + self._false_plots(rng, turn), key=lambda p: p.t_s)

    def turn(self, turn: int) -> Turn:
        """Work through one turn of the antenna; turns come in order."""
        plots = self.plots(turn)
        reports = []
        end = (turn + 1) * self._radar.turn_s
        for target in sorted(self._targets, key=lambda x: -x.hits):
            hit = self._take(target, plots)
            target.turns += 1
            target.history = [*target.history[-(LOST_MISSES_OF[1] - 1) :], hit is not None]
            if hit is not None:
                target.update(hit)
            if (said := self._report(target, hit, end)) is not None:
                reports.append(said)
        loose = [x.last for x in self._targets if x.number is None and x.history[-1] and x.last is not None]
        self._targets = [x for x in self._targets if not _lost(x)]
        self._targets += [
            _Target(number=None, t_s=p.t_s, east_m=p.east_m, north_m=p.north_m) for p in plots
        ]  # what no target took may become one
        return Turn(
            reports=sorted(reports, key=lambda r: (r.t_s, r.number)), loose=sorted(loose + plots, key=lambda p: p.t_s)
        )

    def _echo(self, rng: np.random.Generator, turn: int, which: int) -> _Echo | None:
        """The echo of one vessel, or none. Draws the same count of numbers whatever happens."""
        draw, beam, ranging, glint_a, glint_r = rng.uniform(), *rng.normal(size=4)
        vessel = self._world.vessels[which]
        table, weather = self._world.scenario.radar, self._world.scenario.weather
        t = self._passing(turn, which)
        state = vessel.at(t)
        range_m, bearing = polar(state.east_m, state.north_m)
        if range_m > table.range_m:
            return None
        if self._land is not None and self._land.hides(bearing, range_m, vessel.kind.height_m):
            return None
        rcs = vessel.kind.rcs_at(aspect_deg(state.east_m, state.north_m, state.heading_deg))
        signal = self._radar.snr(rcs, range_m)
        signal *= self._radar.propagation(range_m, vessel.kind.radar_heights_m, weather.sea_state)
        signal *= float(self._radar.rain_loss(np.array(range_m), weather.rain_mm_h))
        noise = 1.0 / self._radar.hits**0.8  # integration gain of a square-law integrator
        case = fluctuation.swerling(vessel.table.kind)
        ratio = signal / (noise + self._clutter(range_m))
        if draw > fluctuation.detection_probability(ratio, FALSE_ALARM, case):
            return None
        measured_m = range_m + SIGMA_RANGE_M * ranging + vessel.length_m / 6.0 * glint_r
        off_deg = SIGMA_BEARING_DEG * beam + math.degrees(vessel.beam_m / 6.0 / range_m) * glint_a
        b = math.radians(bearing + off_deg)
        plot = RadarPlot(
            t_s=t,
            east_m=measured_m * math.sin(b),
            north_m=measured_m * math.cos(b),
            snr=signal,
            size_m=(vessel.length_m, vessel.beam_m),
        )
        return (range_m, bearing), plot

    def _merged(self, echoes: list[_Echo]) -> list[RadarPlot]:
        """One plot of those that the radar cannot tell apart, judged by where they are, not by what is measured."""
        beam, cell = self._world.scenario.radar.beam_width_deg, self._radar.range_resolution_m + MERGE_M
        out: list[_Echo] = []
        for (r, b), p in echoes:
            for i, ((rq, bq), q) in enumerate(out):
                if abs(r - rq) < cell + (p.size_m[0] + q.size_m[0]) / 4.0 and abs(wrap180(b - bq)) < beam:
                    share = p.snr / (p.snr + q.snr)
                    both = replace(
                        q,
                        t_s=q.t_s + share * (p.t_s - q.t_s),
                        east_m=q.east_m + share * (p.east_m - q.east_m),
                        north_m=q.north_m + share * (p.north_m - q.north_m),
                        snr=p.snr + q.snr,
                    )
                    out[i] = ((rq, bq), both)
                    break
            else:
                out.append(((r, b), p))
        return [p for _, p in out]

    def _coasts(self) -> Land | None:
        """The land that hides vessels, on a grid of half a degree and 40 m."""
        scenario = self._world.scenario
        if not scenario.coast:
            return None
        bearings = np.arange(0.0, 360.0, 0.5)
        ranges = np.arange(20.0, scenario.radar.range_m, 40.0)
        return Land(scenario.coast, self._radar, bearings, ranges, generator(self._world.seed, "land"))

    def _clutter(self, range_m: float) -> float:
        """Mean clutter against noise. The sea's does not integrate: it hardly changes while the beam passes."""
        weather, at = self._world.scenario.weather, np.array([range_m])
        rain = self._radar.rain_to_noise(at, weather.rain_mm_h) / self._radar.hits**0.8  # new drops for every pulse
        sea = self._radar.clutter_to_noise(at, weather.sea_state)
        return float(((sea + rain) * self._radar.rain_loss(at, weather.rain_mm_h))[0])

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
            place = (range_m * math.sin(b), range_m * math.cos(b))
            out.append(RadarPlot(t_s=t, east_m=place[0], north_m=place[1], snr=FALSE_SNR, size_m=(10.0, 10.0)))
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

    def _report(self, target: _Target, hit: RadarPlot | None, end_s: float) -> TargetReport | None:
        """What is said about a target in this turn, numbering it when it is acquired."""
        if target.number is None:
            if sum(target.history[-ACQUIRE_OF[1] :]) < ACQUIRE_OF[0]:
                return None
            target.number = self._free_number()
            if target.number is None:
                return None
        at = target.t_s if hit is not None else self._expected(target, end_s)
        e, n = target.predicted(at)
        return TargetReport(
            t_s=at,
            number=target.number,
            east_m=e,
            north_m=n,
            v_east=target.v_east,
            v_north=target.v_north,
            status="L" if _lost(target) else "Q" if target.turns < TRACKING_AFTER else "T",
            plot=hit,
        )

    def _expected(self, target: _Target, end_s: float) -> float:
        """When the beam passed where a missed target should have been."""
        e, n = target.predicted(end_s)
        _, bearing = polar(e, n)
        relative = wrap360(bearing - self._world.scenario.radar.heading_deg)
        return end_s - self._radar.turn_s * (1.0 - relative / 360.0)

    def _free_number(self) -> int | None:
        """The lowest that no target has; None when the tracker is full, as every radar's is some day."""
        used = {x.number for x in self._targets}
        return next((i for i in range(1, MAX_TARGETS) if i not in used), None)


def turns(world: World) -> Iterator[tuple[int, Turn]]:
    """(number, what the tracker says) of every turn for ever; the radar has been on before, as the scenario says."""
    arpa = Arpa(world)
    first = -math.ceil(world.scenario.radar.on_since_s * world.scenario.radar.rpm / 60.0)
    for turn in count(first):
        yield turn, arpa.turn(turn)


def reports(world: World) -> Iterator[tuple[float, TargetReport]]:
    """(t, report) in order of the time when it is there to be sent, from t = 0 on, for ever."""
    turn_s = 60.0 / world.scenario.radar.rpm
    pending: list[tuple[float, TargetReport]] = []
    for turn, said in turns(world):
        pending = sorted([*pending, *((r.t_s + DELAY_S, r) for r in said.reports)], key=lambda x: (x[0], x[1].number))
        done = [item for item in pending if item[0] <= turn * turn_s]  # later turns cannot say anything earlier
        pending = pending[len(done) :]
        yield from (item for item in done if item[0] >= 0.0)


def ttm(report: TargetReport, start_unix_s: float) -> bytes:
    """The TTM sentence of a report."""
    range_m, bearing = polar(report.east_m, report.north_m)
    speed, course = polar(report.v_east, report.v_north)
    cpa_m, tcpa_s = _cpa(report.east_m, report.north_m, report.v_east, report.v_north)
    return nmea.ttm(
        number=report.number,
        range_nm=range_m / NM_M,
        bearing_deg=bearing,
        speed_kn=speed / KNOT_MPS,
        course_deg=course,
        cpa_nm=cpa_m / NM_M,
        tcpa_min=max(-99.0, min(99.0, tcpa_s / 60.0)),
        status=report.status,
        unix_s=start_unix_s + report.t_s,
    )


def tll(report: TargetReport, world: World, start_unix_s: float) -> bytes:
    """The TLL sentence of a report, of a radar that knows where it stands."""
    lat, lon = world.geo(report.east_m, report.north_m)
    at = start_unix_s + report.t_s
    return nmea.tll(number=report.number, lat=lat, lon=lon, name="", status=report.status, unix_s=at)


def sentences(world: World, start_unix_s: float, kinds: tuple[str, ...] = ("TTM",)) -> Iterator[tuple[float, bytes]]:
    """(t, TTM, TLL or one after the other) as the serial line lets them out: t is when the last bit has left."""
    free_s = 0.0
    for t, report in reports(world):
        for kind in kinds:
            line = ttm(report, start_unix_s) if kind == "TTM" else tll(report, world, start_unix_s)
            free_s = max(t, free_s) + len(line) * 10.0 / LINE_BAUD
            yield free_s, line


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
