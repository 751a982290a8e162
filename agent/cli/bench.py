"""Examples: vigia bench wire --json; vigia bench outbox-chaos --rounds 50; vigia bench cost; vigia bench all.

Each benchmark prints one JSON object with its figures; with --out DIR the object is also written to DIR/NAME.json.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

HELP = "Measurements, with the peer in the same run where there is one."
BENCHMARKS = {
    "wire": "payload sizes over the sample messages",
    "formats": "bytes of an alert and of a day beside Frigate-like JSON, CoT and SAPIENT with the same content",
    "outbox": "durable alerts a second against bare SQLite",
    "quiet-day": "bytes of a day without an alert, by link profile, counted at the socket under mutual TLS 1.3",
    "picture-load": "many simulated boxes against one mosquitto and the picture's consumers",
    "outbox-loss": "what is lost in a crash and in an outage of a minute, beside plain paho at QoS 1",
    "outbox-start": "start with a million queued beside an empty outbox",
    "outbox-drain": "messages a second out of the outbox beside bare paho at QoS 1",
    "core": "events a second through the core; a scan of 1,000 targets and 1,000 false plots",
    "radar-decode": "CAT240 messages a second beside asterix-decoder, TTM beside pynmea2",
    "vision": "the camera's path against bare inference, plain decoding, and NMS and letterbox of others",
    "vision-tracks": "tracks in the picture beside ByteTrack, OC-SORT and BoT-SORT on the same boxes",
    "vision-tiles": "tiles and the merge of their boxes beside sahi",
    "camera-cycles": "cameras opened, struck by faults and closed --rounds times: handles, threads, memory",
    "video": "radar video of 4096 x 2048 at 24 rpm to plots, decoding told apart: times real time on one core",
    "cost": "memory, start and CPU at rest of the whole agent on simulated sensors",
    "outbox-chaos": "kill -9 and power cuts of the agent, broker outages, bad links, full disks",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `vigia bench`."""
    parser.add_argument(
        "name", choices=("all", *BENCHMARKS), help="; ".join(f"{k}: {v}" for k, v in BENCHMARKS.items())
    )
    parser.add_argument("--json", action="store_true", help="only the JSON objects, no table")
    parser.add_argument("--rounds", type=int, default=50, help="of outbox-chaos and camera-cycles: how many")
    parser.add_argument("--jobs", type=int, default=1, help="of outbox-chaos: boxes that share the rounds")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, metavar="DIR")


def run(args: argparse.Namespace) -> int:
    """Run one benchmark, or all but the long one."""
    names = [n for n in BENCHMARKS if n != "outbox-chaos"] if args.name == "all" else [args.name]
    for name in names:
        module = importlib.import_module("agent.cli.bench_" + name.replace("-", "_"))
        more = {"jobs": args.jobs} if name == "outbox-chaos" else {}
        figures = {"bench": name, **module.measure(rounds=args.rounds, seed=args.seed, **more)}
        print(json.dumps(figures), flush=True)
        if args.out is not None:
            args.out.mkdir(parents=True, exist_ok=True)
            (args.out / f"{name}.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
        if not args.json:
            for key, value in figures.items():
                print(f"  {key:34} {value}", file=sys.stderr)
    return 0
