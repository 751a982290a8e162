"""Examples: python -m bench.camera --hours 0.5; python -m bench.camera --hours 20 --processes 2 --seed 9001.

False confirmed tracks an hour on rendered video without a vessel, in wind up to 10 m/s. Many short windows, each of
another camera, weather, light and shore, as the detector's training draws them, but from seeds of its own: pictures two
a second through the camera's pipeline as configured by default and the tracks of the core, M of N looks. One JSON
object: tracks, their rate, and the exact 95 % upper bound of a Poisson rate.

A thing that stands still and is taken for a vessel counts once in each of its windows, which makes far more an hour
than it would be before one camera: `windows_with` tells how many windows had any, and
`false_tracks_if_standing_were_enough` what it would be without `camera_standing_score`.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import sys
import time

from bench.camera.windows import FPS, Found, Window, judged, summary
from hardware_sim.render.renderer import DETAILS


def main() -> int:
    """Judge and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.camera", description=__doc__)
    parser.add_argument("--hours", type=float, default=0.5, help="simulated hours")
    parser.add_argument("--seconds", type=float, default=20.0, help="of one window")
    parser.add_argument("--minutes", type=float, default=1e9, help="stop after so many real minutes")
    parser.add_argument("--seed", type=int, default=9001, help="of the first window; each takes the next")
    parser.add_argument("--detail", choices=DETAILS, default="full")
    parser.add_argument("--model", help="an .onnx file; default: the shipped one")
    parser.add_argument("--processes", type=int, default=1)
    args = parser.parse_args()
    looks = max(1, round(args.seconds * FPS))
    many = math.ceil(3600.0 * args.hours * FPS / looks)
    asked = [Window(seed=args.seed + i, looks=looks, detail=args.detail, model=args.model) for i in range(many)]
    end_s = time.monotonic() + 60.0 * args.minutes
    rows: list[Found] = []
    with multiprocessing.get_context("spawn").Pool(args.processes) as pool:
        for found in pool.imap(judged, asked):
            rows.append(found)
            if time.monotonic() > end_s:
                break
        pool.terminate()
    print(json.dumps(summary(rows, looks)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
