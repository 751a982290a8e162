"""New tracks from plots that no track explains.

Promises:
- one plot starts one tentative track at rest with the speed of any vessel as its uncertainty; M of N looks confirm it
  (agent/tracking/history.py), and only if its speed is a vessel's;
- a plot that cannot be told from a track's own echo (within that track's and its own error) starts nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from agent.tracking.association import gate

if TYPE_CHECKING:
    from agent.tracking.arrays import Bools, Floats

SPEED_SHARE = 0.4  # of the greatest speed: one sigma of a new track's velocity, per axis
UNRESOLVED_CHI2 = 4.0
LIVES = 3.0  # turns: with 4 hits of 6 asked, three misses end it


def start(z: Floats, r: Floats, max_speed_mps: float) -> tuple[Floats, Floats]:
    """States and covariances of new tracks at positions `z` (n, 2) with covariances `r`."""
    x = np.zeros((len(z), 4))
    x[:, :2] = z
    p = np.zeros((len(z), 4, 4))
    p[:, :2, :2] = r
    p[:, 2, 2] = p[:, 3, 3] = (SPEED_SHARE * max_speed_mps) ** 2
    return x, p


def area_m2(r: Floats, max_speed_mps: float, period_s: float, gate_chi2: float) -> Floats:
    """Areas (n,) of the gates of tracks that began a turn ago at positions with covariances `r` (n, 2, 2)."""
    s = 2.0 * r + np.eye(2) * (SPEED_SHARE * max_speed_mps * period_s) ** 2
    return np.asarray(np.pi * gate_chi2 * np.sqrt(np.linalg.det(s)))


def chance(mean: Floats) -> Floats:
    """How likely the cheapest assignment gives a track an echo of chance, `mean` such echoes per gate.

    Each such echo begins a track, too, that lives for `LIVES` turns, so that echoes and tracks thin each other out:
    pairs grow with the gate's area as (echoes left)(tracks left).
    """
    some = np.exp(-(LIVES - 1.0) * mean)
    return np.asarray((1.0 - some) / (LIVES - some))


def within_reach(before: Floats, p: Floats, z: Floats, r: Floats, dt_s: Floats, max_speed_mps: float) -> Bools:
    """Whether a vessel could have come from `before` (n, 2) to `z` (n, 2) in `dt_s`, all error taken into account."""
    gone = np.hypot(z[:, 0] - before[:, 0], z[:, 1] - before[:, 1])
    sigma = np.sqrt(p[:, 0, 0] + p[:, 1, 1] + r[:, 0, 0] + r[:, 1, 1])
    return np.asarray(gone <= max_speed_mps * np.maximum(dt_s, 0.0) + 3.0 * sigma)


def unresolved(x: Floats, p: Floats, z: Floats, r: Floats) -> Bools:
    """Which of the positions `z` lie on one of the tracks `x`, `p` that have just been updated."""
    out = np.zeros(len(z), dtype=np.bool_)
    out[gate(x, p, z, r, UNRESOLVED_CHI2).col] = True
    return out
