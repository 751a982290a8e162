"""What the radar model gives, measured: `python -m hardware_sim.radar.measure NAME`, one JSON object per line.

Promises:
- `sea`: intensity moments of simulated video against the K distribution's, by sea state, polarisation and range;
- `range`: for every kind, out to where 8 of 10 turns show it in simulated video, against the radar equation behind the
  same threshold;
- `imo`: how far the targets of IMO MSC.192(79), table 2, are seen in 8 of 10 turns, against the table;
- `speed`: processor seconds per turn of the antenna, against what 24 and 48 turns a minute leave.

A figure depends on the seed alone, but for `speed`, which depends on the machine.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from itertools import takewhile
from typing import TYPE_CHECKING, Any

import numpy as np

from hardware_sim import scenario
from hardware_sim.geo import NM_M, polar
from hardware_sim.radar.emissions import EMISSIONS, Station
from hardware_sim.radar.fluctuation import detection_probability, draw, swerling
from hardware_sim.radar.physics import Radar
from hardware_sim.radar.propagation import mean_two_way_factor
from hardware_sim.radar.video import Grid, Video
from hardware_sim.scenario import CoastTable, RadarTable, Scenario
from hardware_sim.seeds import generator
from hardware_sim.tables import VesselTable
from hardware_sim.vessels import CLASSES
from hardware_sim.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator

    Figure = dict[str, Any]

BASE = "harbour-mouth"
FALSE_ALARM = 1e-4
SEEN = 0.8
"""Share of turns: 8 of 10, as IMO asks."""
SEA_TURNS = 40
SEA_GRID = Grid(spokes=512, cells=512, range_m=6000.0, sectors=32)
FAR_GRID = Grid(spokes=2048, cells=2400, range_m=48_000.0, sectors=64)
STEPS = 12
CALM = 1
"""Sea state."""
IMO_TABLE = (
    # what, metres high, m2 at X band, NM; ships have no m2 there: those of this model's patrol boat and tanker
    ("shore, 60 m", 60.0, 50_000.0, 20.0),
    ("shore, 6 m", 6.0, 5_000.0, 8.0),
    ("shore, 3 m", 3.0, 2_500.0, 6.0),
    ("ship above 5,000 GT", 10.0, 20_000.0, 11.0),
    ("ship above 500 GT", 5.0, 250.0, 8.0),
    ("small vessel with reflector", 4.0, 7.5, 5.0),
    ("buoy with corner reflector", 3.5, 10.0, 4.9),
    ("typical buoy", 3.5, 5.0, 4.6),
    ("10 m boat without reflector", 2.0, 2.5, 3.4),
)


def with_tables(base: Scenario, vessels: tuple[VesselTable, ...], **tables: dict[str, Any]) -> Scenario:
    """That scenario with these vessels alone and other keys in its tables."""
    update: dict[str, Any] = {name: getattr(base, name).model_copy(update=keys) for name, keys in tables.items()}
    return base.model_copy(update={**update, "vessel": vessels, "traffic": (), "expect": (), "forbid": ()})


def still(name: str, kind: str, place: tuple[float, float]) -> VesselTable:
    """A vessel that lies there."""
    return VesselTable(name=name, kind=kind, route_m=(place,), speed_mps=0.0, end="hold")


def head_on(name: str, kind: str, place: tuple[float, float]) -> VesselTable:
    """A vessel that hardly moves, its bow towards the radar (what cannot move has no bow)."""
    if CLASSES[kind].max_speed_mps == 0.0:
        return still(name, kind, place)
    nearer = (0.9 * place[0], 0.9 * place[1])
    return VesselTable(name=name, kind=kind, route_m=(place, nearer), speed_mps=0.001, end="on")


def sea(seed: int = 1) -> Iterator[Figure]:
    """Moments of the sea's power against the model's mean, where the look is 45 degrees off the swell."""
    base = scenario.load(BASE)
    nobody = (still("far", "panga", (0.0, 90_000.0)),)
    for sea_state, wind, polarisation in ((3, 6.0, "horizontal"), (4, 8.5, "horizontal"), (4, 8.5, "vertical")):
        weather = {"sea_state": sea_state, "wind_mps": wind}
        chosen = with_tables(base, nobody, weather=weather, radar={"polarisation": polarisation})
        world, radar = World(chosen, seed), Radar(chosen.radar)
        video = Video(world, SEA_GRID)
        looks = chosen.radar.heading_deg - chosen.weather.wind_from_deg
        sectors = [
            s
            for s in range(SEA_GRID.sectors)
            if abs(math.cos(2.0 * math.radians(looks + (s + 0.5) * 360.0 / SEA_GRID.sectors))) < 0.25
        ]
        turns = [k * 16 for k in range(SEA_TURNS)]  # 40 s apart: another texture
        power = np.concatenate([video.sector(t * SEA_GRID.sectors + s) for t in turns for s in sectors])
        for low, high in ((30, 45), (60, 85), (120, 150)):
            ranges = SEA_GRID.ranges_m[low:high]
            mean = radar.clutter_to_noise(ranges, sea_state)
            z = power[:, low:high].astype(np.float64) / mean
            nu = float(radar.k_shapes(ranges).mean())
            yield {
                "figure": "sea", "sea_state": sea_state, "polarisation": polarisation,
                "range_m": round(float(ranges.mean())), "cnr_db": round(10.0 * math.log10(float(mean.mean())), 1),
                "nu": round(nu, 3), "mean": round(float(z.mean()), 3),
                "m2": round(float((z**2).mean() / z.mean() ** 2), 2), "m2_model": round(2.0 * (1.0 + 1.0 / nu), 2),
                "m3": round(float((z**3).mean() / z.mean() ** 3), 1),
                "m3_model": round(6.0 * (1.0 + 1.0 / nu) * (1.0 + 2.0 / nu), 1),
            }  # fmt: skip


def video_threshold(pulses: int) -> float:
    """Power against mean noise that noise of so many averaged pulses exceeds with `FALSE_ALARM`."""
    low, high = 0.0, 50.0
    for _ in range(60):
        middle = (low + high) / 2.0
        if _exceeds(middle, pulses) > FALSE_ALARM:
            low = middle
        else:
            high = middle
    return high


def predicted_share(kind: str, range_m: float, radar: Radar, threshold: float, pulses: int) -> float:
    """Share of turns in which an echo head on, by the radar equation, with noise and clutter exceeds the threshold.

    Clutter, which is weak here, counts as more noise, and the threshold rises with it.
    """
    c = CLASSES[kind]
    floor = 1.0 + float(radar.clutter_to_noise(np.array(range_m), CALM))
    echo = radar.snr(c.rcs_at(0.0), range_m) * radar.propagation(range_m, c.radar_heights_m, CALM) / floor
    rng = generator(0, "predicted", kind)
    draws = [draw(rng, swerling(kind)) for _ in range(2000)]
    return float(np.mean([_exceeds(threshold - echo * d, pulses) for d in draws]))


def detection(seed: int = 1, turns: int = 40, kinds: tuple[str, ...] = tuple(CLASSES)) -> Iterator[Figure]:
    """Out to which range each kind is seen in 8 of 10 turns, in video and by the radar equation.

    A kind lies, head on, at `STEPS` ranges round the predicted one, each on a bearing of its own, in sea state 1; it is
    seen in a turn when a cell beside its place exceeds the threshold.
    """
    base = scenario.load(BASE)
    wide = {"range_m": FAR_GRID.range_m, "heading_deg": 0.0}
    calm = {"sea_state": CALM, "wind_mps": 2.5}
    radar = Radar(base.radar.model_copy(update=wide))
    pulses = int(radar.table.prf_hz * radar.turn_s / FAR_GRID.spokes)
    threshold = video_threshold(pulses)
    ranges = np.geomspace(300.0, 47_000.0, 500)
    spots: list[tuple[str, float, float, float]] = []  # kind, range, bearing, predicted share
    farthest: dict[str, float] = {}
    step_deg = 360.0 / (len(kinds) * STEPS)
    for kind in kinds:
        shares = [predicted_share(kind, float(r), radar, threshold, pulses) for r in ranges[::4]]
        farthest[kind] = float(ranges[::4][max((i for i, s in enumerate(shares) if s >= SEEN), default=0)])
        for r in np.linspace(0.7, 1.25, STEPS) * farthest[kind]:
            range_m = min(float(r), FAR_GRID.range_m - 500.0)
            share = predicted_share(kind, range_m, radar, threshold, pulses)
            spots.append((kind, range_m, len(spots) * step_deg, share))
    vessels = []
    for i, (kind, range_m, bearing, _) in enumerate(spots):
        b = math.radians(bearing)
        vessels.append(head_on(f"{i}", kind, (range_m * math.sin(b), range_m * math.cos(b))))
    world = World(with_tables(base, tuple(vessels), weather=calm, radar=wide), seed)
    seen = _seen(world, threshold, turns)
    for kind in kinds:
        mine = [(r, s, share) for (k, r, _, s), share in zip(spots, seen, strict=True) if k == kind]
        yield {
            "figure": "range", "kind": kind, "swerling": swerling(kind), "predicted_m": round(farthest[kind]),
            "seen_to_m": round(max((r for r, _, share in mine if share >= SEEN), default=0.0)),
            "mean_share_predicted": round(float(np.mean([s for _, s, _ in mine])), 3),
            "mean_share_seen": round(float(np.mean([share for _, _, share in mine])), 3),
        }  # fmt: skip


def imo(height_m: float = 15.0) -> Iterator[Figure]:
    """How far IMO's targets are seen in 8 of 10 turns, no clutter, integrated over the beam; the mast as in the table.

    An echo comes from the upper half of the target's height. A corner reflector is steady, all others fluctuate as
    Swerling I.
    """
    radar = Radar(RadarTable(height_m=height_m, range_m=48_000.0))
    ranges = np.arange(0.5 * NM_M, 26.0 * NM_M, 50.0)
    noise = 1.0 / radar.hits**0.8
    for what, height, rcs_m2, table_nm in IMO_TABLE:
        lift = mean_two_way_factor(ranges, height_m, (height / 2.0, height), 1, vertical=False)
        ratio = radar.snr_at(rcs_m2, ranges) * lift / noise
        case: Any = 0 if "corner" in what else 1
        shares = np.array([detection_probability(float(s), FALSE_ALARM, case) for s in ratio])
        at_table = float(np.interp(table_nm * NM_M, ranges, shares))
        good = ranges[shares >= SEEN]
        yield {
            "figure": "imo", "target": what, "table_nm": table_nm,
            "seen_to_nm": round(float(good.max()) / NM_M, 1) if len(good) else 0.0,
            "share_at_table": round(at_table, 3),
        }  # fmt: skip


SPEED_OF = (
    "spokes", "navico-4g", "cat240", "cat240-4bit", "cat240-zlib", "cat240-split", "garmin", "raymarine",
    "raymarine-rd", "raymarine-rd-hd", "furuno", "furuno-0", "furuno-1", "furuno-2",
)  # fmt: skip
"""Emissions of video."""


def speed(turns: int = 6) -> Iterator[Figure]:
    """Processor time of a turn: thirty vessels, showers, a coast, other radars' spikes, 2,048 x 1,024 samples."""
    base = scenario.load(BASE)
    coast = CoastTable(polygon_m=((-6000.0, -400.0), (900.0, -300.0), (5000.0, -2500.0), (-6000.0, -6000.0)))
    rng = generator(1, "speed")
    kinds = ("panga", "fishing", "cargo")
    places = rng.uniform(300.0, 5000.0, (30, 2))
    crowd = tuple(still(f"v{i}", kinds[i % 3], (float(e), float(n))) for i, (e, n) in enumerate(places))
    busy = with_tables(base, crowd, weather={"rain_mm_h": 5.0, "sea_state": 4}, radar={"interference_rejection": False})
    for label, chosen in (("three vessels", base), ("busy", busy.model_copy(update={"coast": (coast,)}))):
        for name in SPEED_OF:
            station = Station(World(chosen, 1), 1_750_000_000.0)
            began = time.process_time()
            station.prepare((name,))
            ready = time.process_time()
            stream = EMISSIONS[name].stream(station)
            end_s = turns * station.turn_s
            sent = sum(len(d) for _, d in takewhile(lambda x, end_s=end_s: x[0] <= end_s, stream))  # type: ignore[misc] # binds end_s now
            used = (time.process_time() - ready) / turns
            yield {
                "figure": "speed", "scene": label, "emission": name, "start_s": round(ready - began, 2),
                "turn_s": round(used, 3), "share_of_a_core_at_24_rpm": round(used / 2.5, 3),
                "share_of_a_core_at_48_rpm": round(used / 1.25, 3), "kbyte_a_turn": round(sent / turns / 1000.0),
            }  # fmt: skip


def _seen(world: World, threshold: float, turns: int) -> list[float]:
    """Share of turns in which each vessel's place exceeds the threshold (above noise and mean clutter)."""
    grid = FAR_GRID
    video = Video(world, grid)
    over = threshold * (1.0 + video.mean_clutter).astype(np.float32)
    hits = np.zeros(len(world.vessels))
    spots: list[tuple[int, int]] = []
    for vessel in world.vessels:
        state = vessel.at(0.0)
        range_m, bearing = polar(state.east_m, state.north_m)
        spots.append((round(bearing / grid.spoke_deg) % grid.spokes, int(range_m / grid.cell_m)))
    for turn in range(turns):
        first = turn * grid.sectors
        picture = np.concatenate([video.sector(first + s) for s in range(grid.sectors)])
        for i, (row, cell) in enumerate(spots):
            window = picture[row - 1 : row + 2, cell - 1 : cell + 2] if row > 0 else picture[:2, cell - 1 : cell + 2]
            hits[i] += bool((window > over[cell - 1 : cell + 2]).any())
    return [float(h) for h in hits / turns]


def _exceeds(threshold: float, pulses: int) -> float:
    """How often the average of so many exponential powers of mean 1 exceeds a threshold."""
    if threshold <= 0.0:
        return 1.0
    x = threshold * pulses
    return math.exp(-x) * sum(x**k / math.factorial(k) for k in range(pulses))


FIGURES = {"sea": sea, "range": detection, "imo": imo, "speed": speed}


def main(argv: list[str] | None = None) -> int:
    """Print the figures asked for, or all."""
    parser = argparse.ArgumentParser(
        prog="hardware_sim.radar.measure", description="Measured figures of the radar model."
    )
    parser.add_argument("name", nargs="*", help=f"of {', '.join(FIGURES)} (default: all)")
    names = parser.parse_args(argv).name or list(FIGURES)
    unknown = [n for n in names if n not in FIGURES]
    if unknown:
        print(f"no figure {unknown[0]!r}; there are {', '.join(FIGURES)}", file=sys.stderr)
        return 64
    for name in names:
        for figure in FIGURES[name]():
            print(json.dumps(figure), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
