"""The clutter map: what each resolution cell usually shows, learned scan by scan.

Promises:
- a cell's detection threshold is its learned mean level plus a margin in levels. Marine radar video is logarithmic, so
  an offset is what a factor would be in linear video (Nitzberg's clutter-map CFAR in its log form), and it goes on
  working where 4-bit video saturates;
- the threshold at the edge of clutter is that of the clutter;
- land and sea clutter are learned within a few turns: the first weighs a half, those after it ever less, to 1/`scans`;
- what stands still is not hidden: cells that hold an echo of a vessel's size in `STANDING` of the last eight turns (a
  ship at anchor, a buoy, a rock) are not learned, however long; neither is any such echo in the first eight turns;
- memory: 4 bytes a cell; the arithmetic runs in strips, so its temporaries stay below 2 MB.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np

from agent.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_HEAD = struct.Struct("<4sHHdI")  # magic, azimuths, cells, range_m, scans
_MAGIC = b"VCM2"
_MAX_SHIFT = 8  # fixed point: levels are kept in 1/256
_STRIP = 64
_TURNS = 8
_EDGE_ROWS, _EDGE_CELLS = 3, 1
STANDING = 4
_COUNT = np.array([i.bit_count() for i in range(256)], np.uint8)


class ClutterMap:
    """Exponential mean level per cell, (azimuths, cells), weight 1/`scans` (to a power of two, 128 at most)."""

    def __init__(self, azimuths: int, cells: int, range_m: float, *, scans: int, min_level: int, margin: int) -> None:
        self.range_m = range_m
        self.scans_seen = 0
        self._shift = min(max(0, round(np.log2(max(1, scans)))), _MAX_SHIFT)
        self._min_level = min_level
        self._margin = margin
        self._mean = np.zeros((azimuths, cells), np.uint16)
        self._limit = np.full((azimuths, cells), min_level, np.uint8)
        self._held = np.zeros((azimuths, cells), np.uint8)  # bit k: held a vessel's echo k turns ago

    @property
    def shape(self) -> tuple[int, int]:
        """(azimuths, cells)."""
        return self._mean.shape[0], self._mean.shape[1]

    def exceedances(
        self, levels: NDArray[np.uint8], *, first_cell: int, masked: NDArray[np.bool_]
    ) -> NDArray[np.int64]:
        """Flat indices, ascending, of the cells from `first_cell` on that reach their thresholds.

        `masked` (azimuths, cells) or empty: where nothing is looked for.
        """
        over = levels >= self._limit
        over[:, :first_cell] = False
        if masked.size:
            over &= ~masked
        return np.flatnonzero(over.reshape(-1))

    def limits(self, index: NDArray[np.int64]) -> NDArray[np.int64]:
        """Thresholds of these cells."""
        return self._limit.reshape(-1)[index].astype(np.int64)

    def learn(self, levels: NDArray[np.uint8], vessels: NDArray[np.int64], unseen: NDArray[np.bool_]) -> None:
        """Take one finished scan in. `vessels` are the flat indices of echoes taken for vessels."""
        flat, held = self._mean.reshape(-1), self._held.reshape(-1)
        np.left_shift(self._held, 1, out=self._held)
        held[vessels] |= 1
        spared = vessels if self.scans_seen < _TURNS else vessels[_COUNT[held[vessels]] >= STANDING]
        kept, kept_rows = flat[spared], self._mean[unseen]
        shift = min(self._shift, (self.scans_seen + 1).bit_length())
        for rows in self._strips():
            mean = self._mean[rows]
            mean -= mean >> shift
            step = levels[rows].astype(np.uint16)
            step <<= _MAX_SHIFT - shift
            mean += step
        flat[spared] = kept
        self._mean[unseen] = kept_rows
        self.scans_seen += 1
        self._set_limits()

    def _set_limits(self) -> None:
        """A cell's limit follows the highest mean around it: the edge of land is not in the same cell every turn."""
        azimuths, cells = self.shape
        around = np.arange(-_EDGE_ROWS, _STRIP + _EDGE_ROWS)
        top = np.uint8(255 - self._margin)
        for rows in self._strips():
            taken = (around[: rows.stop - rows.start + 2 * _EDGE_ROWS] + rows.start) % azimuths
            mean = (self._mean[taken] >> _MAX_SHIFT).astype(np.uint8)
            n = rows.stop - rows.start
            high = mean[:n]
            for k in range(1, 2 * _EDGE_ROWS + 1):
                high = np.maximum(high, mean[k : k + n])
            limit = high.copy()
            for k in range(1, min(_EDGE_CELLS, cells - 1) + 1):
                np.maximum(limit[:, k:], high[:, :-k], out=limit[:, k:])
                np.maximum(limit[:, :-k], high[:, k:], out=limit[:, :-k])
            np.minimum(limit, top, out=limit)
            limit += np.uint8(self._margin)
            np.maximum(limit, np.uint8(self._min_level), out=self._limit[rows])

    def dump(self) -> bytes:
        """The map as bytes, for the checkpoint."""
        azimuths, cells = self.shape
        head = _HEAD.pack(_MAGIC, azimuths, cells, self.range_m, self.scans_seen)
        return head + zlib.compress(self._mean.tobytes(), 1)

    @staticmethod
    def check(data: bytes) -> None:
        """Look at a dumped map's head and sum.

        Raises:
            InputError: the bytes are no dumped map.

        """
        try:
            magic, azimuths, cells, _, _ = _HEAD.unpack_from(data)
            size = len(zlib.decompress(data[_HEAD.size :])) if magic == _MAGIC else -1
        except (struct.error, zlib.error) as e:
            raise InputError("the saved clutter map is damaged; the radar learns a new one") from e
        if size != 2 * azimuths * cells:
            raise InputError("the saved clutter map is none of this version; the radar learns a new one")

    def load(self, data: bytes) -> bool:
        """Take a dumped map over; False, and nothing changed, where it is of another range or size.

        Raises:
            InputError: the bytes are no dumped map.

        """
        try:
            magic, azimuths, cells, range_m, scans = _HEAD.unpack_from(data)
            if magic != _MAGIC:
                raise InputError("the saved clutter map is not one; delete it, the radar learns a new one")
            if (azimuths, cells) != self.shape or range_m != self.range_m:
                return False
            body = zlib.decompressobj().decompress(data[_HEAD.size :], self._mean.nbytes)
            self._mean[:] = np.frombuffer(body, "<u2").reshape(self.shape)
        except (struct.error, zlib.error, ValueError) as e:
            raise InputError("the saved clutter map is damaged; delete it, the radar learns a new one") from e
        self.scans_seen = scans
        self._set_limits()
        return True

    def _strips(self) -> Iterator[slice]:
        for start in range(0, self._mean.shape[0], _STRIP):
            yield slice(start, min(start + _STRIP, self._mean.shape[0]))
