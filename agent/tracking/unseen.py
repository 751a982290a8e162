"""How likely a turn looked at the place where a track is.

Promises:
- 1 where the whole turn was seen; a place within what was not looked at (`messages.Unseen`) counts for as much as the
  track, with the error of its place, and its echo, as wide as the beam, lie in there;
- spans that are none (not finite, no share) are passed over.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from agent.tracking import kalman
from agent.tracking.density import SECTORS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.messages import Unseen
    from agent.tracking.arrays import Floats

LEAST_DEG, LEAST_M = 0.1, 10.0  # no place is known better


def looked_at(
    unseen: Sequence[Unseen], x: Floats, p: Floats, beam_deg: float, off_m: float = 0.0, off_deg: float = 0.0
) -> Floats:
    """Probability (n,) for the states `x` (n, 4), `p` (n, 4, 4); `off_m`, `off_deg`: the bias of the radar's places."""
    spans = _spans(unseen)
    if not len(spans) or not len(x):
        return np.ones(len(x))
    bearing, var, _ = kalman.bearing_model(x, p)
    width = beam_deg if math.isfinite(beam_deg) else 0.0
    sigma = np.sqrt(np.degrees(1.0) ** 2 * var + width**2 / 12.0 + LEAST_DEG**2)[:, None]
    far = np.hypot(x[:, 0], x[:, 1])
    reach = np.maximum(far, 1.0)
    along = (p[:, 0, 0] * x[:, 0] ** 2 + 2.0 * p[:, 0, 1] * x[:, 0] * x[:, 1] + p[:, 1, 1] * x[:, 1] ** 2) / reach**2
    sigma_m = np.sqrt(np.maximum(along, 0.0) + LEAST_M**2)[:, None]
    start, width_deg, near, end, share = spans.T
    half = width_deg / 2.0
    turned = (np.degrees(bearing)[:, None] + off_deg - start - half + 180.0) % 360.0 - 180.0  # from the span's middle
    inside = np.where(half >= 180.0, 1.0, _below((half - turned) / sigma) - _below((-half - turned) / sigma))
    within = _below((end - far[:, None] - off_m) / sigma_m) - _below((near - far[:, None] - off_m) / sigma_m)
    return np.asarray(np.maximum(1.0 - (share * inside * within).sum(axis=1), 0.0))


def exposure(unseen: Sequence[Unseen], off_deg: float = 0.0) -> Floats:
    """Share (SECTORS,) of each of the clutter's sectors (agent/tracking/density.py) that spokes came from."""
    wide = 360.0 / SECTORS
    out = np.ones(SECTORS)
    for start, width, near, end, share in _spans(unseen).tolist():
        if near > 0.0 or end < math.inf:
            continue  # blank by configuration: nothing is ever learned there
        begin = (start - off_deg - wide * np.arange(SECTORS)) % 360.0  # from each sector's first bearing
        over = np.maximum(np.minimum(begin + width, wide) - begin, 0.0)
        over += np.maximum(np.minimum(begin + width - 360.0, wide), 0.0)  # comes round into it
        out -= share * over / wide
    return np.maximum(out, 0.0)


def _spans(unseen: Sequence[Unseen]) -> Floats:
    """Rows of first bearing, width (deg), nearest, farthest (m), share."""
    rows = np.array(
        [(u.from_deg, u.to_deg, u.from_m, math.inf if u.to_m is None else u.to_m, u.share) for u in unseen],
        dtype=np.float64,
    ).reshape(-1, 5)
    rows = rows[np.isfinite(rows[:, [0, 1, 2, 4]]).all(axis=1) & (rows[:, 4] > 0.0) & ~(rows[:, 3] <= rows[:, 2])]
    width = (rows[:, 1] - rows[:, 0]) % 360.0
    rows[:, 1] = np.where(width > 0.0, width, 360.0)
    rows[:, 2] = np.where(rows[:, 2] > 0.0, rows[:, 2], -math.inf)
    rows[:, 4] = np.minimum(rows[:, 4], 1.0)
    return rows


def _below(z: Floats) -> Floats:
    """The normal distribution, to a hundredth: a logistic of the same slope."""
    return np.asarray(0.5 + 0.5 * np.tanh(0.851 * z))
