"""One antenna turn as a polar picture: azimuth bins of true bearing by range cells.

Promises:
- spokes may come in any order inside a turn, repeat, or be missing: each takes the bin of its true bearing; a turn is
  over when the antenna has moved 360 degrees either way since the turn began, wherever it began;
- a hole of up to `MAX_HOLE` bins (angle rounding, coarse spokes) is filled from its neighbour; wider holes are `unseen`
  and hold zeros: nothing is detected and nothing learned there;
- a change of range or of sample count is seen by `fits`, and `reset` starts a new frame for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from agent.geo import wrap180, wrap360

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agent.drivers.radar.video import Spoke

MAX_HOLE = 3
MAX_SAMPLES = 8192
_MAX_STEP_DEG = 90.0  # a larger jump between two spokes says nothing about which way the antenna went


class PolarFrame:
    """`levels` is (azimuths, cells) uint8; row i holds true bearings [i, i+1) * 360 / azimuths."""

    def __init__(self, azimuths: int, offset_m: float = 0.0) -> None:
        """`offset_m`: what the driver has added to every range: the samples begin there, and are no longer for it."""
        self.azimuths = azimuths
        self.offset_m = offset_m
        self.levels: NDArray[np.uint8] = np.zeros((azimuths, 0), np.uint8)
        self.range_m = 0.0
        self._fresh = np.zeros(azimuths, bool)
        self._offset_sum = 0.0
        self._spokes = 0
        self._turned_deg = 0.0
        self._last_deg: float | None = None

    @property
    def cell_m(self) -> float:
        """Length of a range cell."""
        cells: int = self.levels.shape[1]
        return (self.range_m - self.offset_m) / max(1, cells)

    @property
    def seen(self) -> float:
        """Fraction of the azimuth bins that this turn has filled so far."""
        return int(np.count_nonzero(self._fresh)) / self.azimuths

    def fits(self, spoke: Spoke) -> bool:
        """Whether the spoke has this frame's geometry; if not, `reset` before `put`."""
        cells: int = self.levels.shape[1]
        return self.range_m == spoke.range_m and cells == len(spoke.samples)

    def reset(self, spoke: Spoke) -> None:
        """Start anew with the spoke's geometry."""
        self.range_m = spoke.range_m
        self.levels = np.zeros((self.azimuths, len(spoke.samples)), np.uint8)
        self._last_deg = None
        self.start_turn()

    def start_turn(self) -> None:
        """Forget which bins are filled; the antenna's position is kept."""
        self._fresh[:] = False
        self._offset_sum, self._spokes, self._turned_deg = 0.0, 0, 0.0

    def passes(self, spoke: Spoke) -> bool:
        """Move the antenna to the spoke; True when this completes a turn, and the spoke belongs to the next one."""
        if self._last_deg is not None:
            step = wrap180(spoke.angle_deg - self._last_deg)
            self._turned_deg += step if abs(step) <= _MAX_STEP_DEG else 0.0
        self._last_deg = spoke.angle_deg
        return abs(self._turned_deg) >= 360.0 - 1e-6

    def put(self, spoke: Spoke, heading_deg: float) -> None:
        """Write the spoke's samples at its true bearing."""
        position = wrap360(spoke.angle_deg + heading_deg) * self.azimuths / 360.0
        row = int(position) % self.azimuths
        self.levels[row] = spoke.samples
        self._fresh[row] = True
        self._offset_sum += position - int(position)
        self._spokes += 1

    def finish(self) -> tuple[NDArray[np.bool_], float]:
        """Fill small holes and blank the rest. Returns which bins are unseen, and where in its bin a spoke lies [0, 1).

        The second figure is the turn's mean: it makes bearings exact although bins are coarser than angles.
        """
        unseen = ~self._fresh
        for _ in range(MAX_HOLE if unseen.any() else 0):
            rows = np.flatnonzero(unseen & ~np.roll(unseen, 1))
            self.levels[rows] = self.levels[rows - 1]
            unseen[rows] = False
        self.levels[unseen] = 0
        return unseen, self._offset_sum / max(1, self._spokes)
