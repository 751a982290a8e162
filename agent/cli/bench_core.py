"""The core's speed: a scan of 1,000 targets and 1,000 false plots, steady state, with the ticks that follow.

The garbage collector leaves alone what stood at the start, as in `vigia run`; what that saves the longest tick is told.
"""

from __future__ import annotations

import gc
import math
import random
import statistics
import time
from typing import Any

from agent.config.schema import Config, Site
from agent.core import Core
from agent.messages import Plot, Scan, Tick

TARGETS = 1000
SCAN_S = 2.5
SCANS = 20
SETTLED = 8  # scans until tracks have formed
TICKS = 3  # a scan
REACH_M = 20_000.0


def measure(*, rounds: int, seed: int) -> dict[str, Any]:  # noqa: ARG001 - the shape of all benchmarks
    """The figures, in milliseconds of the scans after tracks have formed."""
    _, walked, _ = _watch(seed)
    gc.collect()
    gc.freeze()
    try:
        scans, ticks, live = _watch(seed)
    finally:
        gc.unfreeze()
    return {
        "scan_ms_median": round(statistics.median(scans), 1),
        "scan_ms_worst": round(max(scans), 1),
        "tick_ms_median": round(statistics.median(ticks), 1),
        "tick_ms_worst": round(max(ticks), 1),
        "tick_ms_worst_not_frozen": round(max(walked), 1),
        "tracks_shown": live,
    }


def _watch(seed: int) -> tuple[list[float], list[float], int]:
    """Milliseconds of every scan and tick, and the tracks shown at the end."""
    rng = random.Random(seed)
    core = Core(Config(site=Site(name="bench", lat=43.0, lon=-8.0, height_m=20.0)))
    targets = [
        (rng.uniform(1500.0, REACH_M), rng.uniform(0.0, 360.0), rng.uniform(0.0, 10.0), rng.uniform(0.0, 6.28))
        for _ in range(TARGETS)
    ]
    scans, ticks = [], []
    live = 0
    for k in range(SCANS):
        t = k * SCAN_S
        plots = [_moved(t, target, rng) for target in targets] + [
            _plot(t, rng.uniform(1500.0, REACH_M), rng.uniform(0.0, 360.0)) for _ in range(TARGETS)
        ]
        began = time.perf_counter()
        core.step(Scan(at_s=t, source="radar", plots=tuple(plots)))
        scans.append((time.perf_counter() - began) * 1000.0)
        for n in range(TICKS):
            began = time.perf_counter()
            effects = core.step(Tick(at_s=t + 0.1 + n * SCAN_S / TICKS))
            ticks.append((time.perf_counter() - began) * 1000.0)
            live = len(getattr(effects[0], "tracks", ()))
    return scans[SETTLED:], ticks[SETTLED * TICKS :], live


def _moved(t: float, target: tuple[float, float, float, float], rng: random.Random) -> Plot:
    range_m, bearing_deg, speed_mps, course = target
    east = range_m * math.sin(math.radians(bearing_deg)) + speed_mps * t * math.sin(course)
    north = range_m * math.cos(math.radians(bearing_deg)) + speed_mps * t * math.cos(course)
    return _plot(
        t, math.hypot(east, north) + rng.gauss(0.0, 15.0), math.degrees(math.atan2(east, north)) + rng.gauss(0.0, 0.2)
    )


def _plot(t: float, range_m: float, bearing_deg: float) -> Plot:
    return Plot(
        at_s=t, source="radar", range_m=range_m, bearing_deg=bearing_deg % 360.0, sigma_range_m=15.0,
        sigma_bearing_deg=0.2,
    )  # fmt: skip
