"""Scans a second with 1,000 targets and 1,000 false plots, beside Stone Soup: `python -m bench.tracking.rate`.

Stone Soup (GNN, as in bench/tracking/stone_soup.py, which already hands it only the plots near each track) takes half a
minute for such a scan, so it gets the largest case that is feasible here. That is scaled to ours twice: linearly, and
by the power with which its time has grown from the case before. All is CPU time of one process, initiation included;
the tick, which makes the picture of it, is told apart: Stone Soup has none. One JSON object.
"""

from __future__ import annotations

import gc
import json
import math
import sys
import time

import numpy as np

from agent.core import Core
from agent.messages import Scan, Tick, TrackPicture
from bench.tracking.scenes import PERIOD_S, SIGMA_BEARING_DEG, SIGMA_RANGE_M, Moment, Scene
from bench.tracking.trackers import CONFIG, plots_of, stone_soup

FULL, SCANS = 1000, 14
SIZES = (100, 200, 400, 800)  # of the peer
DENSITY = FULL / (math.pi * 20_000.0**2)  # targets per square metre, the same in all sizes
ASKED = 300.0


def scene(n: int, seed: int) -> Scene:
    """`n` steady targets and `n` false plots a scan, in an area that goes with their number."""
    rng = np.random.default_rng(seed)
    reach = math.sqrt(n / DENSITY / math.pi)
    r, b, c = reach * np.sqrt(rng.random(n)) + 300.0, *(2.0 * math.pi * rng.random((2, n)))
    speed = rng.uniform(0.0, 10.0, n)
    moments = []
    for k in range(SCANS):
        t = k * PERIOD_S
        x, y = r * np.sin(b) + speed * np.sin(c) * t, r * np.cos(b) + speed * np.cos(c) * t
        far, wide = reach * np.sqrt(rng.random(n)) + 300.0, 2.0 * math.pi * rng.random(n)
        x, y = np.concatenate((x, far * np.sin(wide))), np.concatenate((y, far * np.cos(wide)))
        plots = np.full((2 * n, 5), np.nan)
        plots[:, 0] = np.maximum(np.hypot(x, y) + rng.normal(0.0, SIGMA_RANGE_M, 2 * n), 30.0)
        plots[:, 1] = (np.degrees(np.arctan2(x, y)) + rng.normal(0.0, SIGMA_BEARING_DEG, 2 * n)) % 360.0
        plots[:, 2], plots[:, 3] = SIGMA_RANGE_M, SIGMA_BEARING_DEG
        moments.append(Moment(t=t, plots=plots, truth={}))
    return Scene(name="rate", seed=seed, moments=tuple(moments), area_m2=math.pi * reach**2, clutter=n, pd=0.98, skip=0)


def main() -> int:
    """Measure and print."""
    seed = 10_001
    peer = {n: stone_soup(scene(n, seed), "gnn")[1] / SCANS for n in SIZES}
    mine, tick, tracks = _ours(scene(FULL, seed))
    before, largest = sorted(SIZES)[-2:]
    power = math.log(peer[largest] / peer[before]) / math.log(largest / before)
    linear, grown = peer[largest] * FULL / largest, peer[largest] * (FULL / largest) ** power
    print(json.dumps({
        "bench": "tracking-rate", "targets": FULL, "false_plots": FULL, "tracks": tracks,
        "ms_a_scan": round(1000.0 * mine, 1), "ms_a_tick": round(1000.0 * tick, 1),
        "peer_ms_a_scan": {n: round(1000.0 * s, 1) for n, s in peer.items()}, "peer_power": round(power, 2),
        "times_linear": round(linear / mine, 1), "times_by_power": round(grown / mine, 1), "asked": ASKED,
    }))  # fmt: skip
    return 0


def _ours(scene: Scene) -> tuple[float, float, int]:
    """CPU seconds of a scan and of a tick, and how many tracks there are in the end."""
    core, spent, tracks = Core(CONFIG), [0.0, 0.0], 0
    scans = [Scan(at_s=m.t, source="radar", plots=plots_of(m), period_s=PERIOD_S) for m in scene.moments]
    gc.freeze()  # a box does not hold all turns of the day, for the collector to look through
    for m, scan in zip(scene.moments, scans, strict=True):
        begin = time.process_time()
        core.step(scan)
        middle = time.process_time()
        (picture, *_) = core.step(Tick(at_s=m.t))
        spent[0] += middle - begin
        spent[1] += time.process_time() - middle
        tracks = len(picture.tracks) if isinstance(picture, TrackPicture) else 0
    return spent[0] / len(scene.moments), spent[1] / len(scene.moments), tracks


if __name__ == "__main__":
    sys.exit(main())
