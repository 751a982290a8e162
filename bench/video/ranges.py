"""How far the real chain sees each class of vessel: `python -m bench.video.ranges --seed 1`.

Simulated video (a calm sea, noise) goes as ASTERIX CAT240 octets, of 4 bits behind sea control and of 8 bits
logarithmic, through the decoder and `PlotExtractor` with its default options but for `beamwidth_deg`, which is the
antenna's. Vessels of a class cross at eight aspects and many ranges; one is seen in a turn when a plot lies within a
beam width, and within the pulse and half the hull, of where it was when the beam passed.

One JSON object for each coding and class: the farthest range at which 8, and at which 5, of 10 turns show it, and what
the radar equation says (integration over the beam, the vessel's own Swerling case) for a false-alarm probability of
1e-4 and for the extractor's own, which a radar without vessels measures first: plots for each cell of a beam width and
a pulse. `one_pulse_nm` is the equation without integration over the beam, behind the level that the coding puts
`weak_level` at: what is lost against it is lost behind the threshold.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from agent.drivers.radar.cat240 import Cat240Decoder, Cat240Options
from agent.geo import NM_M
from agent.messages import Plot, Scan, Stamp
from agent.perception.radar.extract import PlotExtractor
from hardware_sim.radar.emissions import Station, merged
from hardware_sim.radar.fluctuation import detection_probability, swerling
from hardware_sim.radar.physics import Radar
from hardware_sim.radar.receiver import FOUR_BITS, NOISE_THRESHOLD_DB
from hardware_sim.radar.video import Grid
from hardware_sim.scenario import RadarTable, Scenario
from hardware_sim.vessels import CLASSES
from hardware_sim.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hardware_sim.world import Vessel

CODINGS = {"cat240-4bit": 15, "cat240": 255}  # emission, highest level
CLASSES_SEEN = ("panga", "fishing", "trawler", "ferry")
HEIGHT_M, SEA = 15.0, 1
PFA_ASKED, OFF_ASKED = 1e-4, 0.15
CELL_M = 15.0  # of a pulse of 25 m: nothing falls between two cells
WARM_TURNS, TURNS = 33, 24  # the map is young for 32
SHARES, ASPECTS = np.geomspace(0.4, 1.2, 14), 8
SPEED_MPS = 6.0
NOBODY = {"name": "nobody", "kind": "buoy", "route_m": [(95_000.0, 0.0)]}


class FineStation(Station):
    """A radar whose cells are finer than its pulse, whatever its range."""

    def fine_grid(self) -> Grid:
        """2,048 spokes."""
        return Grid(spokes=2048, cells=round(self.table.range_m / CELL_M), range_m=self.table.range_m, sectors=64)


def scenario(vessels: list[dict[str, Any]], range_m: float, sea: int = SEA) -> Scenario:
    """These vessels around a radar of 15 m height."""
    return Scenario.model_validate({
        "name": "ranges", "title": "ranges", "vessel": vessels,
        "site": {"name": "bench", "lat": 43.0, "lon": -8.0, "height_m": HEIGHT_M},
        "camera": {"height_m": HEIGHT_M, "bearing_deg": 0.0, "hfov_deg": 50.0},
        "radar": {"height_m": HEIGHT_M, "range_m": range_m},
        "weather": {"sea_state": sea, "wind_mps": {1: 2.0, 3: 7.0}[sea], "wind_from_deg": 300.0},
    })  # fmt: skip


class Chain:
    """Octets of one coding to scans: the decoder and the extractor as the box has them."""

    def __init__(self, coding: str, beam_deg: float, options: dict[str, str]) -> None:
        self._decoder = Cat240Decoder("radar", Cat240Options.model_validate({"beamwidth_deg": beam_deg, **options}))
        self._extractor = PlotExtractor("radar", self._decoder.options.for_video(CODINGS[coding]))

    def feed(self, t_s: float, octets: bytes) -> Iterator[Scan]:
        """The turns that end with these octets."""
        for spoke in self._decoder.decode(octets, Stamp(t_s=t_s, wall_s=t_s), "radar"):
            scan = self._extractor.feed(spoke)
            if scan is not None:
                yield scan


def scans(world: World, chains: dict[str, Chain], turns: int) -> Iterator[tuple[str, int, Scan]]:
    """(coding, turn from 0, scan) of so many turns."""
    count = dict.fromkeys(chains, 0)
    for t, coding, octets in merged(FineStation(world), tuple(chains)):
        for scan in chains[coding].feed(t, octets):
            yield coding, count[coding], scan
            count[coding] += 1
        if min(count.values()) == turns:
            return


# ---------------------------------------------------------------- the equation


def far_radar() -> Radar:
    """The radar of all the scenarios, as far as any class is seen."""
    return Radar(RadarTable(height_m=HEIGHT_M, range_m=45_000.0))


def equation_m(kind: str, radar: Radar, pfa: float, pd: float, *, hits: float | None = None) -> float:
    """The farthest range at which the mean over eight aspects reaches `pd`, with so many hits (None: the beam's)."""
    integration = (radar.hits if hits is None else hits) ** 0.8
    gains = CLASSES[kind].aspect_gain(np.arange(ASPECTS, dtype=np.float64) * (360.0 / ASPECTS)).tolist()

    def likely(range_m: float) -> float:
        lobes = radar.propagation(range_m, CLASSES[kind].radar_heights_m, SEA)
        signal = radar.snr(CLASSES[kind].rcs_m2, range_m) * lobes * integration
        return float(np.mean([detection_probability(signal * g, pfa, swerling(kind)) for g in gains]))

    ranges = np.arange(500.0, 40_000.0, 100.0)
    return crossing_m(ranges, np.array([likely(r) for r in ranges.tolist()]), pd)


def crossing_m(ranges_m: np.ndarray, shares: np.ndarray, pd: float) -> float:
    """Where the share falls through `pd` for the last time, between two ranges in a straight line; NaN: nowhere."""
    over = np.flatnonzero(shares >= pd)
    if not len(over) or over[-1] == len(shares) - 1:
        return math.nan
    i = int(over[-1])
    part = (shares[i] - pd) / (shares[i] - shares[i + 1])
    return float(ranges_m[i] + part * (ranges_m[i + 1] - ranges_m[i]))


# ---------------------------------------------------------------- the chain


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What one class gave: (range, whether it was seen) of each look."""

    looks: list[tuple[float, bool]] = field(default_factory=list)


def fleet(kind: str, reach_m: float) -> list[dict[str, Any]]:
    """Vessels all around, neighbours far apart in range, each in the middle of its way halfway through the looks."""
    n, middle_s = len(SHARES) * ASPECTS, (WARM_TURNS + TURNS / 2) * 2.5
    out = []
    for i in range(n):
        bearing = math.radians((i * 37 % n + 0.5) * 360.0 / n)
        range_m = float(SHARES[i // ASPECTS]) * reach_m
        course = bearing + math.radians(i % ASPECTS * 360.0 / ASPECTS)
        x, y = range_m * math.sin(bearing), range_m * math.cos(bearing)
        way_x, way_y = (SPEED_MPS * middle_s * f for f in (math.sin(course), math.cos(course)))
        route = [(x - way_x, y - way_y), (x + way_x, y + way_y)]
        out.append({"name": f"v{i}", "kind": kind, "speed_mps": SPEED_MPS, "route_m": route})
    return out


def is_at(plot: Plot, range_m: float, bearing_deg: float, radar: Radar, length_m: float) -> bool:
    """Within a beam width, and within the pulse and half the hull."""
    off_deg = (plot.bearing_deg - bearing_deg + 180.0) % 360.0 - 180.0
    near = radar.range_resolution_m + length_m / 2.0
    return abs(off_deg) <= radar.table.beam_width_deg and abs(plot.range_m - range_m) <= near


def look(vessel: Vessel, turn: int, turn_s: float) -> tuple[float, float]:
    """(range, bearing) of a vessel when the beam that starts at north passes it in that turn."""
    t = (turn + 0.5) * turn_s
    for _ in range(3):
        state = vessel.at(t)
        bearing = math.degrees(math.atan2(state.east_m, state.north_m)) % 360.0
        t = (turn + bearing / 360.0) * turn_s
    return math.hypot(state.east_m, state.north_m), bearing


def seen_of(kind: str, seed: int, options: dict[str, str]) -> dict[str, Seen]:
    """The looks at a class, by coding."""
    radar = far_radar()
    reach_m = equation_m(kind, radar, PFA_ASKED, 0.8)
    world = World(scenario(fleet(kind, reach_m), 1.3 * reach_m), seed)
    out = {coding: Seen() for coding in CODINGS}
    for coding, turn, scan in scans(world, _chains(radar, options), WARM_TURNS + TURNS):
        if turn < WARM_TURNS:
            continue
        for vessel in world.vessels:
            range_m, bearing = look(vessel, turn, radar.turn_s)
            hit = any(is_at(p, range_m, bearing, radar, vessel.length_m) for p in scan.plots)
            out[coding].looks.append((range_m, hit))
    return out


def _chains(radar: Radar, options: dict[str, str]) -> dict[str, Chain]:
    return {coding: Chain(coding, radar.table.beam_width_deg, options) for coding in CODINGS}


def at_most(plots: int) -> float:
    """The count that is taken for the mean: where none came, the mean that gives none in one of twenty times."""
    return float(plots) if plots else -math.log(0.05)


def false_alarm(seed: int, turns: int, options: dict[str, str]) -> dict[str, tuple[int, float]]:
    """(plots, resolution cells looked at) of a radar that sees nobody, by coding; its outer half: no sea there."""
    range_m = 12_000.0
    world = World(scenario([NOBODY], range_m), seed)
    radar = Radar(world.scenario.radar)
    cells = turns * 360.0 / radar.table.beam_width_deg * range_m / 2.0 / radar.range_resolution_m
    plots: dict[str, int] = defaultdict(int)
    for coding, turn, scan in scans(world, _chains(radar, options), WARM_TURNS + turns):
        if turn >= WARM_TURNS:
            plots[coding] += sum(p.range_m > range_m / 2.0 for p in scan.plots)
    return {coding: (plots[coding], cells) for coding in CODINGS}


def shares_by_range(looks: list[tuple[float, bool]], step: float = 0.06) -> tuple[np.ndarray, np.ndarray]:
    """Mean range and share seen of bins that are `step` of their range wide, where 40 looks or more are."""
    bins: dict[int, list[tuple[float, bool]]] = defaultdict(list)
    for range_m, hit in looks:
        bins[math.floor(math.log(range_m) / step)].append((range_m, hit))
    full = [np.mean(bins[k], axis=0) for k in sorted(bins) if len(bins[k]) >= 40]
    table = np.array(full).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def figures(kind: str, coding: str, seen: Seen, pfa: float) -> dict[str, Any]:
    """One line."""
    radar = far_radar()
    ranges, shares = shares_by_range(seen.looks)
    out: dict[str, Any] = {"bench": "ranges", "coding": coding, "kind": kind, "looks": len(seen.looks)}
    weak_db = NOISE_THRESHOLD_DB + FOUR_BITS.step_db * (Cat240Options().weak_level - FOUR_BITS.first)
    for pd in (0.8, 0.5):
        does = crossing_m(ranges, shares, pd)
        asked, own = (equation_m(kind, radar, p, pd) for p in (PFA_ASKED, pfa))
        pulse = equation_m(kind, radar, math.exp(-(10.0 ** (weak_db / 10.0))), pd, hits=1.0)
        out[f"pd_{pd}"] = {
            "does_nm": _nm(does), "pfa_1e-4_nm": _nm(asked), "off": round(does / asked - 1.0, 3),
            "own_pfa_nm": _nm(own), "off_own": round(does / own - 1.0, 3), "one_pulse_nm": _nm(pulse),
            "off_one_pulse": round(does / pulse - 1.0, 3),
        }  # fmt: skip
    return out


def _nm(range_m: float) -> float:
    return round(range_m / NM_M, 2)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.video.ranges", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kind", action="append", choices=CLASSES_SEEN)
    parser.add_argument("--noise-turns", type=int, default=200)
    parser.add_argument("--option", action="append", default=[], metavar="KEY=VALUE", help="of the plot extractor")
    args = parser.parse_args()
    options = dict(pair.split("=", 1) for pair in args.option)
    pfa = {}
    for coding, (plots, cells) in false_alarm(args.seed, args.noise_turns, options).items():
        pfa[coding] = at_most(plots) / cells
        print(json.dumps({
            "bench": "false-alarm", "coding": coding, "turns": args.noise_turns, "cells": round(cells), "plots": plots,
            "pfa": plots / cells, "pfa_taken": pfa[coding],
        }), flush=True)  # fmt: skip
    for kind in args.kind or CLASSES_SEEN:
        for coding, seen in seen_of(kind, args.seed, options).items():
            print(json.dumps(figures(kind, coding, seen, pfa[coding])), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
