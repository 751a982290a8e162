"""Examples: python -m bench.tracking --seeds fresh; python -m bench.tracking --scene crossing --peer jpda --seeds dev.

One JSON object a line: the tracker, the scene, and figures summed over its seeds.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import replace
from pathlib import Path

from agent.config.schema import Tracking
from bench.tracking import autoferry
from bench.tracking.scenes import SCENES, Scene
from bench.tracking.score import Score, score
from bench.tracking.trackers import ours, stone_soup

SEEDS = {"dev": 1, "test": 1001, "fresh": 10_001}  # the first of each; a constant was once chosen after a look at test


def main() -> int:
    """Judge and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.tracking", description=__doc__)
    parser.add_argument("--scene", action="append", choices=(*SCENES, "autoferry"), help="default: all")
    parser.add_argument("--seeds", choices=tuple(SEEDS), default="fresh")
    parser.add_argument("--peer", action="append", choices=("gnn", "jpda"), default=[], help="Stone Soup beside ours")
    parser.add_argument("--count", type=int, default=3, help="of seeds")
    parser.add_argument("--scans", type=int, help="only the first so many: the peer takes its time")
    parser.add_argument("--without-ours", action="store_true")
    parser.add_argument("--false-per-day", type=float, default=1.0, help="[tracking] false_tracks_per_day of ours")
    args = parser.parse_args()
    for name in args.scene or (*SCENES, "autoferry"):
        scenes = _scenes(name, range(SEEDS[args.seeds], SEEDS[args.seeds] + args.count))
        scenes = [replace(s, moments=s.moments[: args.scans]) for s in scenes]
        for tracker in (*(() if args.without_ours else ("vigia",)), *args.peer):
            total = Score()
            for scene in scenes:
                found = (
                    ours(scene, Tracking(false_tracks_per_day=args.false_per_day))
                    if tracker == "vigia"
                    else stone_soup(scene, tracker, 40.0 if name == "autoferry" else 150.0)
                )
                total.add(score(scene, *found))
            print(json.dumps({"tracker": tracker, "scene": name, "seeds": args.seeds, **total.summary()}), flush=True)
    return 0


def _scenes(name: str, seeds: range) -> list[Scene]:
    if name != "autoferry":
        return [SCENES[name](seed) for seed in seeds]
    folder = os.environ.get("VIGIA_FIELD_DATA")
    if not folder:
        print("autoferry: left out, VIGIA_FIELD_DATA names no folder", file=sys.stderr)
        return []
    return [autoferry.load(Path(folder) / "fusion", n) for n in autoferry.SCENARIOS]


sys.exit(main())
