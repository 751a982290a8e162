"""When the antenna passed each track during a turn: a vessel is where it was then, not where it is at the turn's end.

Promises:
- a plot's own time counts if it lies within its turn; else (not finite, of the future, of an earlier turn, or no turn's
  length known yet) the turn's time does;
- a track is passed at the time of the plot that lies nearest to where the track is at that plot's time, so that a track
  and its plot are compared at one time, also where a turn begins and the plots beside it are a turn apart;
- where all plots have the turn's time, that is every track's time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from agent.tracking import kalman
from agent.tracking.arrays import first_of_each
from agent.tracking.association import near

if TYPE_CHECKING:
    from agent.config.schema import Tracking
    from agent.tracking.arrays import Floats
    from agent.tracking.table import TrackTable

SLACK = 1.1  # turns: an antenna in the wind turns unevenly


def within_turn(measured_s: Floats, at_s: float, period_s: float) -> Floats:
    """Times (n,) of the plots of the turn that ended at `at_s`."""
    fits = (measured_s <= at_s) & (measured_s > at_s - SLACK * period_s)
    return np.where(fits, measured_s, at_s)


def passed(tab: TrackTable, z: Floats, r: Floats, swept_s: Floats, at_s: float, settings: Tracking) -> Floats:
    """Times (n,) of the tracks; `z` (m, 2), `r` (m, 2, 2), `swept_s` (m,): the plots of the turn ended at `at_s`."""
    out = np.full(len(tab), at_s)
    early_s = at_s - swept_s
    if not len(tab) or not early_s.any():
        return out
    x, p = kalman.predict(tab.x, tab.p, at_s - tab.t, np.full(len(tab), settings.acceleration_mps2**2))
    spread = np.maximum(p[:, 0, 0], p[:, 1, 1]) + np.maximum(r[:, 0, 0], r[:, 1, 1]).max()
    reach = np.sqrt(settings.gate_chi2 * spread) + np.hypot(x[:, 2], x[:, 3]) * early_s.max()
    for row, col in near(x[:, :2], z, reach):
        off = z[col] - x[row, :2] + x[row, 2:] * early_s[col, None]
        order = np.lexsort((off[:, 0] ** 2 + off[:, 1] ** 2, row))
        best = order[first_of_each(row[order])]
        out[row[best]] = swept_s[col[best]]
    return out
