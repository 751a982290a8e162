"""Which part of a turn was not looked at, as the scan tells it: spokes that did not come, sectors that are blanked.

Promises:
- at most `MOST` spans of lost spokes, `MOST` of blank sectors: exact runs of bins while they are few enough, else the
  share that is missing of each of `MOST` sectors;
- what small holes were filled with (agent/perception/radar/frame.py) counts as looked at.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from agent.messages import Unseen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

MOST = 64


def lost(unseen: NDArray[np.bool_]) -> tuple[Unseen, ...]:
    """Spans of the azimuth bins (n,) that nothing was seen in; over north where they touch there."""
    n = len(unseen)
    first = np.flatnonzero(unseen & ~np.roll(unseen, 1))
    if not len(first):
        return (Unseen(from_deg=0.0, to_deg=360.0),) if unseen.any() else ()
    if len(first) > MOST:
        return _by_sectors(unseen)
    end = np.flatnonzero(~unseen & np.roll(unseen, 1))
    if end[0] < first[0]:
        end = np.roll(end, -1)
    return tuple(
        Unseen(from_deg=a * 360.0 / n, to_deg=b * 360.0 / n)
        for a, b in zip(first.tolist(), end.tolist(), strict=True)
    )  # fmt: skip


def _by_sectors(unseen: NDArray[np.bool_]) -> tuple[Unseen, ...]:
    sector = np.arange(len(unseen)) * MOST // len(unseen)
    share = np.bincount(sector, unseen, MOST) / np.bincount(sector, minlength=MOST)
    return tuple(
        Unseen(from_deg=k * 360.0 / MOST, to_deg=(k + 1) * 360.0 / MOST, share=s)
        for k, s in enumerate(share.tolist())
        if s > 0.0
    )


def blanked(sectors: Sequence[tuple[float, float, float, float]]) -> tuple[Unseen, ...]:
    """Of the configuration's `blank_sectors`, the first `MOST`."""
    return tuple(
        Unseen(from_deg=a, to_deg=b, from_m=near, to_m=far if math.isfinite(far) else None)
        for a, b, near, far in sectors[:MOST]
    )
