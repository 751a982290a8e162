"""Scans a second with 1,000 targets and 1,000 false plots, beside Stone Soup: `python -m bench.tracking.rate`.

Stone Soup (GNN, as in bench/tracking/stone_soup.py) takes minutes for such a scan, so it gets the largest case that is
feasible here and is scaled to ours linearly, which is kind: what it takes grows faster, and both sizes are printed. All
is CPU time of one process, the scans of initiation
included. One JSON object.
"""

from __future__ import annotations

import json
import math
import sys

import numpy as np

from bench.tracking.scenes import PERIOD_S, SIGMA_BEARING_DEG, SIGMA_RANGE_M, Moment, Scene
from bench.tracking.trackers import ours, stone_soup

FULL, SCANS = 1000, 14
SIZES = (25, 50, 100)  # of the peer
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
    return Scene(
        name="rate", seed=seed, moments=tuple(moments), area_m2=math.pi * reach**2, clutter=n, pd=0.98, skip=0
    )


def main() -> int:
    """Measure and print."""
    seed = 10_001
    peer = {n: stone_soup(scene(n, seed), "gnn")[1] / SCANS for n in SIZES}
    tracks, seconds = ours(scene(FULL, seed))
    mine = seconds / SCANS
    largest = max(SIZES)
    scaled = peer[largest] * FULL / largest
    print(json.dumps({
        "bench": "tracking-rate", "targets": FULL, "false_plots": FULL, "tracks": len(tracks[-1]),
        "ms_a_scan": round(1000.0 * mine, 1), "peer_ms_a_scan": {n: round(1000.0 * s, 1) for n, s in peer.items()},
        "peer_scaled_ms": round(1000.0 * scaled, 1), "times": round(scaled / mine, 1), "asked": ASKED,
    }))  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
