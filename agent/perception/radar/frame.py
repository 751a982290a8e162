"""One antenna turn as a polar picture: azimuth bins of true bearing by range cells.

Promises:
- spokes may come in any order inside a turn, repeat, or be missing: each takes the bin of its true bearing; a turn is
  over when the antenna has moved 360 degrees either way since the turn began, wherever it began;
- a jump of over `LATE_DEG` is a sector that was not sent once `HELD` spokes
  in a row go on from there and the antenna had the time for it; else spokes are late or stray, and move no turn on;
- a hole of up to `MAX_HOLE` bins (angle rounding, coarse spokes) is filled from its neighbour; wider holes are `unseen`
  and hold zeros: nothing is detected and nothing learned there;
- a change of range or of sample count is seen by `fits`, and `reset` starts a new frame for it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from agent.geo import wrap180, wrap360

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from agent.drivers.radar.video import Spoke

MAX_HOLE = 3
MAX_SAMPLES = 8192
HELD = 4
LATE_DEG = 30.0  # a spoke that datagrams have overtaken lies less far behind
_MAX_STEP_DEG = 90.0  # a larger jump between two spokes alone says nothing about which way the antenna went
_WAY_WEIGHT, _WAY_KNOWN = 1.0 / 16.0, 0.5
_IN_TIME = 0.5  # of the time that the antenna needs for a gap must have passed: spokes come in batches


class PolarFrame:
    """`levels` is (azimuths, cells) uint8; row i holds true bearings [i, i+1) * 360 / azimuths."""

    def __init__(self, azimuths: int, offset_m: float = 0.0) -> None:
        """`offset_m`: what the driver has added to every range: the samples begin there, and are no longer for it."""
        self.azimuths = azimuths
        self.offset_m = offset_m
        self.levels: NDArray[np.uint8] = np.zeros((azimuths, 0), np.uint8)
        self.range_m = 0.0
        self.swept_s = np.full(azimuths, np.nan)  # when the antenna passed the bin; nan: not in this turn
        self._fresh = np.zeros(azimuths, bool)
        self._offset_sum = 0.0
        self._spokes = 0
        self.at_s: float | None = None  # the latest of the spokes that were put: it never runs backwards
        self._turned_deg = 0.0
        self._beyond_deg = 0.0  # of the next turn, when this one is over
        self._last_deg: float | None = None
        self._last_s = self._began_s = 0.0
        self._way = 0.0  # clockwise 1 ... -1
        self._rate_dps: float | None = None
        self._held: list[Spoke] = []

    @property
    def cell_m(self) -> float:
        """Length of a range cell."""
        cells: int = self.levels.shape[1]
        return (self.range_m - self.offset_m) / max(1, cells)

    @property
    def fresh(self) -> NDArray[np.bool_]:
        """(azimuths,) True where this turn has filled a bin so far."""
        return self._fresh

    @property
    def turned_deg(self) -> float:
        """How far the antenna has turned since the turn began."""
        return abs(self._turned_deg)

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
        self._last_deg, self._rate_dps = None, None
        self._held = []
        self.start_turn()

    def start_turn(self) -> None:
        """Forget which bins are filled; the antenna's position is kept."""
        self._fresh[:] = False
        self.swept_s[:] = np.nan
        self._offset_sum, self._spokes = 0.0, 0
        self._turned_deg, self._beyond_deg = self._beyond_deg, 0.0
        self._began_s = self._last_s

    def move(self, spoke: Spoke) -> tuple[bool, Sequence[Spoke]]:
        """Move the antenna to the spoke. Returns (the turn is complete, spokes to `put`: of the next turn if it is)."""
        last = self._last_deg
        if last is None:
            self._last_deg, self._last_s, self._began_s = spoke.angle_deg, spoke.at_s, spoke.at_s
            return False, (spoke,)
        if self._held:
            return self._after_jump(spoke, last)
        step = wrap180(spoke.angle_deg - last)
        if abs(self._way) >= _WAY_KNOWN and abs(step) > LATE_DEG:
            self._held.append(spoke)
            return False, ()
        self._turned_deg += step if abs(step) <= _MAX_STEP_DEG else 0.0
        if 0.0 < abs(step) <= LATE_DEG:
            self._way += _WAY_WEIGHT * (math.copysign(1.0, step) - self._way)
        self._last_deg, self._last_s = spoke.angle_deg, spoke.at_s
        return self._complete(), (spoke,)

    def _after_jump(self, spoke: Spoke, last_deg: float) -> tuple[bool, Sequence[Spoke]]:
        """Whether spokes go on from where the held ones have jumped to, or from before it."""
        if abs(wrap180(spoke.angle_deg - self._held[-1].angle_deg)) > LATE_DEG:
            for stray in self._held:
                self.put(stray)
            self._held = []
            return self.move(spoke)
        self._held.append(spoke)
        if len(self._held) < HELD:
            return False, ()
        held, self._held = self._held, []
        jump, beyond = wrap180(held[0].angle_deg - last_deg), wrap180(spoke.angle_deg - held[0].angle_deg)
        gap = jump % 360.0 if self._way > 0.0 else -(-jump % 360.0)
        if self._in_time(abs(gap), held[0].at_s - self._last_s):
            self._turned_deg += gap
        elif abs(jump) <= _MAX_STEP_DEG:
            self._turned_deg += jump
        complete = self._complete()
        if complete:
            self._beyond_deg = beyond
        else:
            self._turned_deg += beyond
        self._last_deg, self._last_s = spoke.angle_deg, spoke.at_s
        return complete, held

    def _in_time(self, gap_deg: float, passed_s: float) -> bool:
        """Whether the antenna can have turned so far, as fast as it turns; always in a recording without times."""
        elapsed_s = self._last_s - self._began_s
        if elapsed_s > 0.0 and abs(self._turned_deg) >= LATE_DEG:
            self._rate_dps = abs(self._turned_deg) / elapsed_s
        return self._rate_dps is None or passed_s * self._rate_dps >= _IN_TIME * gap_deg

    def _complete(self) -> bool:
        return abs(self._turned_deg) >= 360.0 - 1e-6

    def put(self, spoke: Spoke) -> None:
        """Write the samples at their true bearing; a spoke without heading is not for a frame."""
        position = wrap360(spoke.angle_deg + (spoke.heading_deg or 0.0)) * self.azimuths / 360.0
        row = int(position) % self.azimuths
        self.at_s = spoke.at_s if self.at_s is None else max(self.at_s, spoke.at_s)
        self.levels[row] = spoke.samples
        self.swept_s[row] = self.at_s
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
            self.swept_s[rows] = self.swept_s[rows - 1]
            unseen[rows] = False
        self.levels[unseen] = 0
        return unseen, self._offset_sum / max(1, self._spokes)
