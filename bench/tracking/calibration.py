"""Whether the covariance is true over an ordinary day: `python -m bench.tracking.calibration --seed 50001 --count 10`.

The mean NEES of the core's tracks in the made scenes, over targets: each counts with the mean of its own scans, since
scans of one target are not independent; a pair of `crossing` counts as one. Its 95 % interval is Student's over the
targets and, because the values are skewed, that of a bootstrap over them (percentiles of `RESAMPLES` means, seed
`DRAW`). One JSON object a scene, and one for all: does 4 lie in it? `median` is of the targets' means,
`single_in_band` the share of single scans' values in their own 95 % band.
"""

from __future__ import annotations

import argparse
import json
import math
import sys

import numpy as np

from bench.tracking.scenes import SCENES
from bench.tracking.score import Score, score
from bench.tracking.trackers import ours

RESAMPLES, DRAW = 10_000, 1
DOF = 4.0
_Z = 1.959964


def interval(values: list[float]) -> dict[str, object]:
    """Mean of independent values, its intervals, and whether 4 lies in the bootstrap's."""
    v = np.array(values)
    n, mean = len(v), float(v.mean())
    half = student(n - 1) * float(v.std(ddof=1)) / math.sqrt(n)
    rng = np.random.default_rng(DRAW)
    means = np.array([v[rng.integers(0, n, n)].mean() for _ in range(RESAMPLES)])
    low, high = np.quantile(means, (0.025, 0.975)).tolist()
    return {
        "targets": n, "mean": round(mean, 2), "median": round(float(np.median(v)), 2),
        "student": [round(mean - half, 2), round(mean + half, 2)], "bootstrap": [round(low, 2), round(high, 2)],
        "holds": bool(low <= DOF <= high),
    }  # fmt: skip


def student(dof: int) -> float:
    """The 97.5 % quantile of Student's t, from ten degrees on: about the normal one (Abramowitz, Stegun, 26.7.5)."""
    z = _Z
    a = (z**3 + z) / 4.0
    b = (5.0 * z**5 + 16.0 * z**3 + 3.0 * z) / 96.0
    c = (3.0 * z**7 + 19.0 * z**5 + 17.0 * z**3 - 15.0 * z) / 384.0
    return z + a / dof + b / dof**2 + c / dof**3


def independent(name: str, s: Score) -> list[float]:
    """One seed's values that are independent of each other: targets, and the two of a meeting as one."""
    groups: dict[int, list[float]] = {}
    for target, nees in s.each:
        groups.setdefault(target // 2 if name == "crossing" else target, []).append(nees)
    return [sum(v) / len(v) for v in groups.values()]


def of_scans(s: Score) -> dict[str, float]:
    """What single scans say, each as much as any other."""
    n = max(s.nees_n, 1)
    return {"of_all_scans": round(s.nees / n, 2), "single_in_band": round(s.single / n, 3)}


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.tracking.calibration", description=__doc__)
    parser.add_argument("--scene", action="append", choices=tuple(SCENES), help="default: all")
    parser.add_argument("--seed", type=int, default=50_001, help="the first")
    parser.add_argument("--count", type=int, default=10, help="of seeds")
    args = parser.parse_args()
    pooled: list[float] = []
    everything = Score()
    for name in args.scene or SCENES:
        values: list[float] = []
        total = Score()
        for seed in range(args.seed, args.seed + args.count):
            scene = SCENES[name](seed)
            one = score(scene, *ours(scene))
            values += independent(name, one)
            total.add(one)
        pooled += values
        everything.add(total)
        print(json.dumps({"bench": "calibration", "scene": name, **interval(values), **of_scans(total)}), flush=True)
    print(json.dumps({"bench": "calibration", "scene": "all", **interval(pooled), **of_scans(everything)}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
