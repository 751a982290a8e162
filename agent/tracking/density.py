"""How thick clutter lies around a radar: plots per square metre that no track explains, learned place by place.

Promises:
- the figure is a mean over about `SCANS` turns in rings and sectors around the site, from the first turn on; it is
  never below what a few stray echoes in the whole picture would give;
- memory and work are fixed; `state()` holds every bit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from agent.tracking.arrays import dump, load

if TYPE_CHECKING:
    from agent.tracking.arrays import Floats, Ints

SCANS = 40
SECTORS = 16
EDGES_M = np.concatenate(([0.0], 400.0 * 1.5 ** np.arange(16)))  # to 175 km
FLOOR = 0.1  # plots per ring and sector before anything is known
_AREA = np.pi * (EDGES_M[1:] ** 2 - EDGES_M[:-1] ** 2) / SECTORS


class ClutterDensity:
    """Of one radar."""

    def __init__(self) -> None:
        self._count: Floats = np.zeros((len(_AREA), SECTORS))
        self._scans = 0

    def at(self, ring: Ints, sector: Ints) -> Floats:
        """Clutter plots per square metre and turn in these cells (`cells`), each (n,)."""
        # a ring's and the two sectors' beside it steady a figure that a handful of plots would make jump
        c = self._count
        beside = c[ring, (sector - 1) % SECTORS] + c[ring, (sector + 1) % SECTORS]
        return np.asarray((0.5 * c[ring, sector] + 0.25 * beside + FLOOR * 0.05) / _AREA[ring])

    def learn(self, ring: Ints, sector: Ints, exposure: Floats | None = None) -> None:
        """One turn's unexplained plots: their cells; `exposure` (SECTORS,): the share of each that was looked at."""
        now = np.bincount(ring * SECTORS + sector, minlength=self._count.size).reshape(self._count.shape)
        self._scans = min(self._scans + 1, SCANS)
        self._count += (now - (self._count if exposure is None else self._count * exposure)) / self._scans

    @property
    def per_turn(self) -> float:
        """Unexplained plots of a turn, everywhere."""
        return float(self._count.sum())

    def state(self) -> list[Any]:
        """For the checkpoint."""
        return [dump(self._count), self._scans]

    @classmethod
    def restore(cls, data: Any) -> ClutterDensity:
        """What `state` was made of."""
        out = cls()
        count, out._scans = data
        out._count = load(count)
        return out


def rings(z: Floats) -> Ints:
    """Which of the 16 rings around the site the positions `z` (n, 2) lie in."""
    ring = EDGES_M.searchsorted(np.hypot(z[:, 0], z[:, 1]), side="right") - 1
    return np.minimum(np.maximum(ring, 0), len(_AREA) - 1)


def cells(z: Floats) -> tuple[Ints, Ints]:
    """Ring and sector of the positions `z` (n, 2), each (n,)."""
    turn = np.arctan2(z[:, 0], z[:, 1]) / (2.0 * np.pi) % 1.0
    return rings(z), np.minimum((turn * SECTORS).astype(np.int64), SECTORS - 1)
