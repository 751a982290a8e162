"""What is left of a radar's bias after an hour of the simulator's traffic: `python -m bench.tracking.registering`.

Scenarios of hardware-sim at plot level, AIS by its own physics; every plot is put `OFF_M` farther and `OFF_DEG` to the
right, and the core, as delivered, is asked every ten minutes what it takes off again. One JSON object a line.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import tempfile
from pathlib import Path

from agent.config.schema import Config, Site
from agent.core import Core
from agent.messages import Scan
from agent.record.events_json import read_events
from hardware_sim.fast.run import write
from hardware_sim.scenario import load

OFF_M, OFF_DEG = -130.0, 0.9
ASKED_M, ASKED_DEG = 20.0, 0.1


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.tracking.registering", description=__doc__)
    parser.add_argument("--scenario", action="append", help="default: ferry-lane")
    parser.add_argument("--seed", type=int, default=10_001)
    parser.add_argument("--minutes", type=int, default=60)
    args = parser.parse_args()
    for name in args.scenario or ["ferry-lane"]:
        scenario = load(name)
        s = scenario.site
        config = Config(site=Site(name=s.name, lat=s.lat, lon=s.lon, height_m=s.height_m))
        core = Core(config)
        with tempfile.TemporaryDirectory() as folder:
            write(scenario, args.seed, 60.0 * args.minutes, Path(folder), tick_s=5.0)
            with (Path(folder) / "events.jsonl").open(encoding="utf-8") as lines:
                begin, told = None, 0
                for event in read_events(lines, config):
                    begin = event.at_s if begin is None else begin
                    core.step(_off(event) if isinstance(event, Scan) else event)
                    minutes = int((event.at_s - begin) // 600.0) * 10
                    if minutes > told:
                        told = minutes
                        print(json.dumps(_row(core, name, args.seed, minutes)), flush=True)
        print(json.dumps(_row(core, name, args.seed, args.minutes)), flush=True)
    return 0


def _off(scan: Scan) -> Scan:
    plots = (
        dataclasses.replace(p, range_m=max(p.range_m + OFF_M, 1.0), bearing_deg=(p.bearing_deg + OFF_DEG) % 360.0)
        for p in scan.plots
    )
    return dataclasses.replace(scan, plots=tuple(plots))


def _row(core: Core, scenario: str, seed: int, minutes: int) -> dict[str, object]:
    head: dict[str, object] = {"bench": "registration", "scenario": scenario, "seed": seed, "minutes": minutes}
    for bias, off_m, off_deg in core.registrations.values():
        head |= {
            "trusted": bias.trusted, "sentence": bias.sentence, "ships": bias.ships, "left_m": round(OFF_M - off_m, 1),
            "left_deg": round(OFF_DEG - off_deg, 3), "asked": [ASKED_M, ASKED_DEG],
        }  # fmt: skip
    return head


if __name__ == "__main__":
    sys.exit(main())
