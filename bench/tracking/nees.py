"""Whether the modes' covariance is true, by what a vessel does: `python -m bench.tracking.nees`.

`RUNS` independent tracks each (imm alone: one plot a turn with probability 0.9, no clutter), so that the mean NEES at
one time has the chi-square band of 4 RUNS degrees of freedom over RUNS (Bar-Shalom, Li, Kirubarajan, 5.4.2); errors of
one track from turn to turn are not independent, so that turns do not count as runs. Printed per regime: the mean over
its turns, the least and the greatest of a turn, that band, and the share of single values in a single track's own 95 %
band (0.48 to 11.14).
"""

from __future__ import annotations

import json
import math
import sys

import numpy as np

from agent.tracking import imm, initiation, kalman
from agent.tracking.measure import polar
from bench.tracking.scenes import PERIOD_S, SIGMA_BEARING_DEG, SIGMA_RANGE_M
from bench.tracking.score import SINGLE, chi2_quantile

RUNS, SEED, PD = 400, 10_001, 0.9
ACCELERATION, MAX_SPEED = 0.3, 40.0
BEGIN, STEPS = 60, 5  # the turn at which something happens; integration steps a turn
_Z = 1.959964

Floats = np.ndarray


def paths(rng: np.random.Generator, turns: int, kind: str) -> Floats:
    """States (turns, RUNS, 4) of vessels that hold their course (yawing), turn for 30 s, or swing at anchor."""
    n = RUNS
    r, b, c = rng.uniform(3000.0, 12_000.0, n), *rng.uniform(0.0, 2.0 * math.pi, (2, n))
    x, y = r * np.sin(b), r * np.cos(b)
    anchored = kind == "anchored"
    v = np.zeros(n) if anchored else rng.uniform(3.0, 10.0, n)
    yaw = np.radians(rng.uniform(0.5, 2.5, n))
    period = rng.uniform(400.0, 900.0, n) if anchored else rng.uniform(20.0, 60.0, n)
    swing = rng.uniform(5.0, 40.0, n) if anchored else np.zeros(n)
    phase = rng.uniform(0.0, 2.0 * math.pi, n)
    rate = np.radians(rng.uniform(1.0, 3.0, n)) * rng.choice([-1.0, 1.0], n)
    out, dt = np.empty((turns, n, 4)), PERIOD_S / STEPS
    for k in range(turns):
        a = 2.0 * math.pi * k * PERIOD_S / period + phase
        h, s = c + yaw * np.sin(a), swing * 2.0 * math.pi / period
        out[k, :, 0], out[k, :, 1] = x + swing * np.sin(a), y - swing * np.cos(a)
        out[k, :, 2], out[k, :, 3] = v * np.sin(h) + s * np.cos(a), v * np.cos(h) + s * np.sin(a)
        for i in range(STEPS):
            t = k * PERIOD_S + i * dt
            if kind == "turning" and BEGIN * PERIOD_S <= t < BEGIN * PERIOD_S + 30.0:
                c = c + dt * rate
            h = c + yaw * np.sin(2.0 * math.pi * (t + dt / 2.0) / period + phase)
            x, y = x + dt * v * np.sin(h), y + dt * v * np.cos(h)
    return out


def follow(rng: np.random.Generator, truth: Floats) -> Floats:
    """NEES (turns, RUNS) of tracks along these paths; 0 in the first turns."""
    n, dt = truth.shape[1], np.full(truth.shape[1], PERIOD_S)
    out = np.zeros(truth.shape[:2])
    x, p = initiation.start(*_seen(rng, truth[0]), MAX_SPEED)
    for k in range(1, 4):
        x, p = kalman.predict(x, p, dt, np.full(n, ACCELERATION**2))
        x, p, _, _ = kalman.update_position(x, p, *_seen(rng, truth[k]))
    m = imm.spread(x, p)
    for k in range(4, len(truth)):
        m = imm.predict(m, dt, ACCELERATION)
        z, r = _seen(rng, truth[k])
        seen = np.flatnonzero(rng.random(n) < PD)
        new = imm.update_shared(m.take(seen), np.arange(len(seen)), z[seen], r[seen], np.full(len(seen), 0.999))
        m.x[seen], m.p[seen], m.mu[seen] = new.x, new.p, new.mu
        x, p = imm.combine(m)
        d = (x - truth[k])[:, :, None]
        out[k] = (d * np.linalg.solve(p, d)).sum(axis=(1, 2))
    return out


def _seen(rng: np.random.Generator, state: Floats) -> tuple[Floats, Floats]:
    n = len(state)
    far = np.hypot(state[:, 0], state[:, 1]) + rng.normal(0.0, SIGMA_RANGE_M, n)
    bearing = np.degrees(np.arctan2(state[:, 0], state[:, 1])) + rng.normal(0.0, SIGMA_BEARING_DEG, n)
    return polar(far, bearing, np.full(n, SIGMA_RANGE_M), np.full(n, SIGMA_BEARING_DEG))


def main() -> int:
    """Measure and print, one object per regime."""
    rng = np.random.default_rng(SEED)
    nees = {kind: follow(rng, paths(rng, 100, kind)) for kind in ("straight", "turning", "anchored")}
    regimes = {
        "straight": nees["straight"][BEGIN:], "turn, first 12 s": nees["turning"][BEGIN + 1 : BEGIN + 6],
        "turn, 12 to 30 s": nees["turning"][BEGIN + 6 : BEGIN + 13],
        "after the turn": nees["turning"][BEGIN + 13 : BEGIN + 30], "anchored": nees["anchored"][BEGIN:],
    }  # fmt: skip
    band = [round(chi2_quantile(4.0 * RUNS, z) / RUNS, 2) for z in (-_Z, _Z)]
    for name, values in regimes.items():
        each = values.mean(axis=1)
        print(json.dumps({
            "bench": "nees", "regime": name, "runs": RUNS, "mean": round(float(values.mean()), 2),
            "least": round(float(each.min()), 2), "greatest": round(float(each.max()), 2), "band": band,
            "single_in_band": round(float(np.mean((values > SINGLE[0]) & (values < SINGLE[1]))), 3),
        }), flush=True)  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
