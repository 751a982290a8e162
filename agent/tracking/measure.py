"""Polar measurements to positions with honest covariances.

Promises:
- the conversion is unbiased and its covariance covers the curvature of the polar arc (Mo Longbin et al., "Unbiased
  converted measurements for tracking", IEEE T-AES 34(3), 1998, conditioned on what was measured: Duan et al., 2004), so
  that a filter stays consistent at long range;
- a measurement that cannot be one (not finite, no range, no sigma) is left out, never passed on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.messages import Bearing, Plot
    from agent.tracking.arrays import Floats

MIN_SIGMA_M = 1.0
MIN_SIGMA_BEARING_DEG = 0.01
MAX_RANGE_M = 200_000.0


def polar(
    range_m: Floats, bearing_deg: Floats, sigma_range_m: Floats, sigma_bearing_deg: Floats
) -> tuple[Floats, Floats]:
    """Positions (n, 2) in metres east, north of the site and covariances (n, 2, 2)."""
    b = np.radians(bearing_deg)
    sr2 = np.maximum(sigma_range_m, MIN_SIGMA_M) ** 2
    sb2 = np.radians(np.maximum(sigma_bearing_deg, MIN_SIGMA_BEARING_DEG)) ** 2
    lam = np.exp(-sb2 / 2.0)
    sin, cos = np.sin(b), np.cos(b)
    z = np.stack((lam * range_m * sin, lam * range_m * cos), axis=1)
    r2 = range_m * range_m
    lam2, lam4 = lam * lam, np.exp(-2.0 * sb2)
    mean = (r2 + sr2) / 2.0
    cos2, sin2 = cos * cos - sin * sin, 2.0 * sin * cos
    cov = np.empty((len(z), 2, 2))
    cov[:, 0, 0] = mean * (1.0 - lam4 * cos2) - lam2 * r2 * sin * sin
    cov[:, 1, 1] = mean * (1.0 + lam4 * cos2) - lam2 * r2 * cos * cos
    cov[:, 0, 1] = cov[:, 1, 0] = (mean * lam4 - lam2 * r2 / 2.0) * sin2
    return z, cov


def plots(
    rows: Sequence[Plot], height_m: float, off_m: float = 0.0, off_deg: float = 0.0
) -> tuple[Floats, Floats, Floats, Floats]:
    """Positions, covariances, amplitudes (dB, nan: none) and times (s) of radar plots.

    Slant range becomes range over the sea, the bias is taken off.
    """
    a = np.array(
        [(p.range_m, p.bearing_deg, p.sigma_range_m, p.sigma_bearing_deg, p.amplitude_db, p.at_s) for p in rows],
        dtype=np.float64,
    ).reshape(-1, 6)
    fits = np.isfinite(a[:, :4]).all(axis=1) & (a[:, 0] > 0.0) & (a[:, 0] <= MAX_RANGE_M)
    a = a[fits & (a[:, 2:4] > 0.0).all(axis=1)]
    ground = np.sqrt(np.maximum(a[:, 0] ** 2 - height_m**2, 1.0))
    return *polar(np.maximum(ground - off_m, 1.0), a[:, 1] - off_deg, a[:, 2], a[:, 3]), a[:, 4], a[:, 5]


def usable_bearings(rows: Sequence[Bearing]) -> list[Bearing]:
    """The bearings that are ones: finite, with a sigma, and with a range only if that has a sigma, too."""
    return [b for b in rows if np.isfinite(b.bearing_deg) and 0.0 < b.sigma_bearing_deg < 90.0 and _range_fits(b)]


def _range_fits(b: Bearing) -> bool:
    if b.range_m is None:
        return True
    return b.sigma_range_m is not None and 0.0 < b.range_m <= MAX_RANGE_M and 0.0 < b.sigma_range_m < MAX_RANGE_M
