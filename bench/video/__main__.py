"""Examples: python -m bench.video --sea 3; python -m bench.video --sea 1 --sea 4 --turns 80 --seed 1001.

Or the vessels, weather and land of a scenario: python -m bench.video --scenario bad-day --option heading_deg=335.

The simulator's radar video of boats of several speeds through the plot extractor and the core. One JSON object per sea
state: plots that are nobody's per turn, the share of turns in which each vessel has a plot, false confirmed tracks, and
the turns that each vessel's track took to be confirmed.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from agent.config.schema import Config, Site
from agent.core import Core
from agent.drivers.radar.navico import NavicoDecoder, NavicoOptions
from agent.messages import Scan, Stamp, Tick, TrackPicture, TrackStatus
from agent.perception.radar.extract import PlotExtractor
from hardware_sim import scenario
from hardware_sim.radar.emissions import EMISSIONS, Station
from hardware_sim.world import World

REACH_M = 6000.0
NEAR_M = 60.0  # and the bearing's share: a plot is a vessel's within this
FLEET = (  # kind, speed, range at the start, bearing, course: crossing, inbound, outbound
    ("go-fast", 25.0, 3500.0, 20.0, 260.0), ("panga", 13.0, 2500.0, 70.0, 200.0), ("panga", 6.0, 2000.0, 120.0, 30.0),
    ("panga", 2.0, 1500.0, 170.0, 80.0), ("go-fast", 25.0, 4500.0, 215.0, 35.0), ("buoy", 0.0, 2800.0, 150.0, 0.0),
    ("fishing", 4.0, 4000.0, 300.0, 10.0), ("fishing", 0.5, 5000.0, 330.0, 90.0), ("ferry", 9.0, 4500.0, 100.0, 10.0),
    ("inflatable", 0.5, 3000.0, 250.0, 90.0), ("inflatable", 10.0, 5000.0, 20.0, 180.0),
    ("jetski", 20.0, 2500.0, 275.0, 180.0),
)  # fmt: skip


def main() -> int:
    """Judge and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.video", description=__doc__)
    parser.add_argument("--sea", type=int, action="append", choices=range(7), help="sea states; default 1, 3")
    parser.add_argument(
        "--scenario", help="the simulator's vessels, weather and land of that name instead of the fleet"
    )
    parser.add_argument("--turns", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--option", action="append", default=[], metavar="KEY=VALUE", help="of the plot extractor")
    args = parser.parse_args()
    options = dict(pair.split("=", 1) for pair in args.option)
    if args.scenario:
        world = World(scenario.load(args.scenario), seed=args.seed)
        print(json.dumps({"scenario": args.scenario, **judge(world, args.turns, options)}))
        return 0
    for sea in args.sea or (1, 3):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "fleet.toml"
            path.write_text(_scenario(sea, args.turns), encoding="utf-8")
            world = World(scenario.load(str(path)), seed=args.seed)
        print(json.dumps({"sea_state": sea, **judge(world, args.turns, options)}), flush=True)
    return 0


def judge(world: World, turns: int, options: dict[str, str]) -> dict[str, Any]:
    """The figures of one world."""
    decoder = NavicoDecoder("radar", NavicoOptions.model_validate({"beamwidth_deg": 1.2, **options}))
    extractor = PlotExtractor("radar", decoder.options)
    site = world.scenario.site
    core = Core(Config(site=Site(name="bench", lat=site.lat, lon=site.lon, height_m=world.scenario.radar.height_m)))
    seen: Counter[str] = Counter()
    confirmed: dict[str, int] = {}
    false_tracks: dict[int, int] = {}
    false_plots = scans = 0
    for t, block in EMISSIONS["spokes"].stream(Station(world)):
        if scans >= turns:
            break
        for spoke in decoder.decode(block, Stamp(t_s=t, wall_s=t), "radar"):
            scan = extractor.feed(spoke)
            if scan is not None:
                scans += 1
                false_plots += _plots(scan, world, seen)
                core.step(scan)
                (picture, *_) = core.step(Tick(at_s=scan.at_s))
                if isinstance(picture, TrackPicture):
                    _tracks(picture, world, scans, confirmed, false_tracks)
    return {
        "turns": scans, "false_plots_per_turn": round(false_plots / scans, 1),
        "detected": {v.table.name: round(seen[v.table.name] / scans, 2) for v in world.vessels},
        "confirmed_in_turns": {v.table.name: confirmed.get(v.table.name) for v in world.vessels},
        "false_tracks_from_turn": list(false_tracks.values()),
    }  # fmt: skip


def _plots(scan: Scan, world: World, seen: Counter[str]) -> int:
    """Counts whose plots there are; returns those that are nobody's. A plot was made up to a turn before its time."""
    rest = 0
    found: dict[str, None] = {}
    places = [(v.table.name, s.east_m, s.north_m) for v in world.vessels for s in _lately(v, scan.at_s)]
    for p in scan.plots:
        b = math.radians(p.bearing_deg)
        x, y = p.range_m * math.sin(b), p.range_m * math.cos(b)
        near = [n for n, e, m in places if math.hypot(x - e, y - m) < NEAR_M + 0.01 * p.range_m]
        found.update(dict.fromkeys(near[:1]))
        rest += not near
    seen.update(list(found))
    return rest


def _lately(vessel: Any, at_s: float) -> list[Any]:
    return [vessel.at(at_s - back) for back in (0.0, 1.25, 2.5)]


def _tracks(
    picture: TrackPicture, world: World, turn: int, confirmed: dict[str, int], false_tracks: dict[int, int]
) -> None:
    for track in picture.tracks:
        if track.status is not TrackStatus.CONFIRMED:
            continue
        place = (track.east_m, track.north_m)
        near = [
            v.table.name for v in world.vessels
            if any(math.dist(place, (s.east_m, s.north_m)) < 200.0 for s in _lately(v, picture.at_s))
        ]  # fmt: skip
        for name in near:
            confirmed.setdefault(name, turn)
        if not near:
            false_tracks.setdefault(track.id, turn)


def _scenario(sea: int, turns: int) -> str:
    head = (
        'title = "fleet"\n[site]\nname = "bench"\nlat = 43.38\nlon = -8.40\nheight_m = 20.0\n'
        "[camera]\nheight_m = 20.0\nbearing_deg = 330.0\npitch_deg = -1.5\nhfov_deg = 40.0\nwidth_px = 640\n"
        f"height_px = 360\n[radar]\nheight_m = 22.0\nrange_m = {REACH_M}\n"
        f"[weather]\nsea_state = {sea}\nwind_mps = {2.5 + 2.0 * sea}\nwind_from_deg = 290.0\n"
    )
    out = [head]
    for n, (kind, speed, far, bearing, course) in enumerate(FLEET):
        x, y = far * math.sin(math.radians(bearing)), far * math.cos(math.radians(bearing))
        way = max(speed * (turns + 4) * 2.5, 1.0)
        end = (x + way * math.sin(math.radians(course)), y + way * math.cos(math.radians(course)))
        out.append(
            f'[[vessel]]\nname = "{kind}-{n}-{speed:g}"\nkind = "{kind}"\nspeed_mps = {speed}\n'
            f'route_m = [[{x:.1f}, {y:.1f}], [{end[0]:.1f}, {end[1]:.1f}]]\nend = "hold"\n'
        )
    return "\n".join(out)


sys.exit(main())
