"""Which sectors a radar sends at all: what it always leaves out is not missing.

Promises:
- a sector of ten degrees is usual once half of its bins came in most of `_NEW` turns, and stays so for half an hour
  without: one that fails is missed, one that was never sent is not;
- until `_NEW` turns have been seen, and where no sector is usual, everything is expected.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SECTORS = 36
_NEW = 4  # turns
_COMES, _GOES = 0.25, 1.0 / 1024.0  # weights of a turn in which a sector came, and in which it did not
_USUAL = 0.5


class SentSectors:
    """The usual sectors of a picture of so many azimuth bins."""

    def __init__(self, azimuths: int) -> None:
        self._sector = np.arange(azimuths) * SECTORS // azimuths
        self._size = np.bincount(self._sector, minlength=SECTORS)
        self._usual = np.zeros(SECTORS)
        self._turns = 0

    def learn(self, fresh: NDArray[np.bool_]) -> None:
        """Take a turn in: which bins (azimuths,) its spokes have filled."""
        came = np.bincount(self._sector, fresh, SECTORS) >= 0.5 * self._size
        self._usual += np.where(came, _COMES * (1.0 - self._usual), -_GOES * self._usual)
        self._turns += 1

    def share(self, fresh: NDArray[np.bool_]) -> float:
        """Fraction of the bins that usually come which this turn has filled."""
        usual = self._usual >= _USUAL
        if self._turns < _NEW or not usual.any():
            return float(np.count_nonzero(fresh)) / len(fresh)
        came = np.bincount(self._sector, fresh, SECTORS)
        return float(came[usual].sum() / self._size[usual].sum())
