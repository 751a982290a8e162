"""Which contact a camera's bearing shows.

Promises:
- a contact known worse than `BEARING_SIGMA_MAX_DEG` explains no bearing;
- a camera's range helps to choose, but with the bias that tide and pitch give all of a camera's ranges for hours.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from agent.tracking import kalman, measure
from agent.tracking.association import assign

if TYPE_CHECKING:
    from agent.messages import Bearing
    from agent.tracking.arrays import Floats, Ints

BEARING_SIGMA_MAX_DEG = 3.0
CAMERA_RANGE_BIAS = 0.1  # share of the range


def match(x: Floats, p: Floats, rows: list[Bearing], chi2: float) -> tuple[Ints, Ints]:
    """Bearings (with ranges where they have them) among the states `x` (n, 4), `p`: rows and columns of the pairs."""
    none = np.empty(0, dtype=np.int64)
    if not rows or not len(x):
        return none, none
    h, s, _ = kalman.bearing_model(x, p)
    z = np.array([math.radians(b.bearing_deg) for b in rows])
    var = np.array([math.radians(b.sigma_bearing_deg) ** 2 for b in rows])
    d2 = kalman.wrap_pi(z[None, :] - h[:, None]) ** 2 / (s[:, None] + var[None, :])
    fits = (d2 <= chi2) & (s <= math.radians(BEARING_SIGMA_MAX_DEG) ** 2)[:, None]
    far = np.hypot(x[:, 0], x[:, 1])
    along = (p[:, 0, 0] * x[:, 0] ** 2 + 2.0 * p[:, 0, 1] * x[:, 0] * x[:, 1] + p[:, 1, 1] * x[:, 1] ** 2) / far**2
    cost = d2.copy()
    for j, b in enumerate(rows):
        if b.range_m is not None and b.sigma_range_m is not None:
            var_r = along + b.sigma_range_m**2 + (CAMERA_RANGE_BIAS * b.range_m) ** 2
            d2r = (far - b.range_m) ** 2 / var_r
            fits[:, j] &= d2r <= chi2
            cost[:, j] += d2r
    i, j2 = np.nonzero(fits)
    return assign(i, j2, cost[i, j2], np.full(len(i), 2.0 * chi2))


def positions(rows: list[Bearing]) -> tuple[Floats, Floats]:
    """Positions (n, 2) and covariances of bearings that have a range."""
    a = np.array(
        [(b.range_m, b.bearing_deg, b.sigma_range_m, b.sigma_bearing_deg) for b in rows], dtype=np.float64
    ).reshape(-1, 4)
    return measure.polar(a[:, 0], a[:, 1], a[:, 2], a[:, 3])
