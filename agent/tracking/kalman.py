"""Constant-velocity Kalman filter in the local plane, for many tracks at once.

Promises:
- states are rows (east_m, north_m, v_east_mps, v_north_mps), covariances (n, 4, 4), symmetric;
- only element-wise arithmetic: the same rows give the same bits whatever stands around them in the array;
- a negative time step moves the state back and leaves the covariance as it is.

Process noise is white acceleration of power spectral density q (m^2/s^3) per axis (Bar-Shalom, Li, Kirubarajan,
"Estimation with Applications to Tracking and Navigation", 6.2.2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from agent.tracking.arrays import Floats


def predict(x: Floats, p: Floats, dt_s: Floats, q: Floats) -> tuple[Floats, Floats]:
    """States and covariances `dt_s` (n,) later under process noise `q` (n,)."""
    fx = x.copy()
    fx[:, :2] += x[:, 2:] * dt_s[:, None]
    d1 = np.maximum(dt_s, 0.0)
    d = d1[:, None, None]
    fp = p.copy()
    pv, vv = p[:, :2, 2:], p[:, 2:, 2:]
    fp[:, :2, :2] += d * (pv + pv.transpose(0, 2, 1)) + d * d * vv
    fp[:, :2, 2:] += d * vv
    qd = q * d1
    flat = fp.reshape(-1, 16)  # of 4x4: (i, j) stands at 4 i + j
    flat[:, 0:6:5] += (qd * d1 * d1 / 3.0)[:, None]  # east and north
    flat[:, 2:8:5] += (qd * d1 / 2.0)[:, None]
    flat[:, 10:16:5] += qd[:, None]  # their rates
    fp[:, 2:, :2] = fp[:, :2, 2:].transpose(0, 2, 1)
    return fx, fp


def update_position(x: Floats, p: Floats, z: Floats, r: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Update by positions `z` (n, 2) with covariance `r` (n, 2, 2).

    Returns states, covariances, squared normalised innovations (n,) and logs of the innovations' determinants (n,).
    States may have more entries than four; the first two are the position.
    """
    s00 = p[:, 0, 0] + r[:, 0, 0]
    s01 = p[:, 0, 1] + r[:, 0, 1]
    s11 = p[:, 1, 1] + r[:, 1, 1]
    det = s00 * s11 - s01 * s01
    v0 = z[:, 0] - x[:, 0]
    v1 = z[:, 1] - x[:, 1]
    g0, g1 = p[:, :, 0], p[:, :, 1]
    k0 = (g0 * s11[:, None] - g1 * s01[:, None]) / det[:, None]
    k1 = (g1 * s00[:, None] - g0 * s01[:, None]) / det[:, None]
    fx = x + k0 * v0[:, None] + k1 * v1[:, None]
    fp = p - (k0[:, :, None] * g0[:, None, :] + k1[:, :, None] * g1[:, None, :])
    d2 = (v0 * v0 * s11 - 2.0 * v0 * v1 * s01 + v1 * v1 * s00) / det
    return fx, (fp + fp.transpose(0, 2, 1)) / 2.0, d2, np.log(det)


def bearing_model(x: Floats, p: Floats) -> tuple[Floats, Floats, Floats]:
    """What the states look like from the site: bearing (rad), its variance, and the gain's numerator P H' (n, 4)."""
    e, n = x[:, 0], x[:, 1]
    r2 = np.maximum(e * e + n * n, 1.0)
    a, b = n / r2, -e / r2
    g = p[:, :, 0] * a[:, None] + p[:, :, 1] * b[:, None]
    return np.arctan2(e, n), g[:, 0] * a + g[:, 1] * b, g


def update_bearing(x: Floats, p: Floats, bearing_rad: Floats, var_rad2: Floats) -> tuple[Floats, Floats]:
    """Extended update by true bearings from the site (n,) with their variances."""
    h, s, g = bearing_model(x, p)
    s = s + var_rad2
    nu = wrap_pi(bearing_rad - h)
    fx = x + g * (nu / s)[:, None]
    fp = p - g[:, :, None] * g[:, None, :] / s[:, None, None]
    return fx, (fp + fp.transpose(0, 2, 1)) / 2.0


def wrap_pi(rad: Floats) -> Floats:
    """Angles in [-pi, pi)."""
    return np.asarray((rad + np.pi) % (2.0 * np.pi) - np.pi)
