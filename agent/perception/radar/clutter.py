"""The clutter map: what each resolution cell usually shows, learned scan by scan.

Promises:
- a cell's detection threshold is its learned mean level plus a margin in levels. Marine radar video is logarithmic, so
  an offset is what a factor would be in linear video (Nitzberg's clutter-map CFAR in its log form), and it goes on
  working where 4-bit video saturates;
- echoes that were taken for vessels do not teach the map, except every `still_every`-th scan: a ship that crosses does
  not blind the radar behind it, one at anchor stays visible for hours (`still_every` * `scans` turns or so), while
  land and sea clutter are learned within `scans` turns;
- memory: 2 bytes a cell; the arithmetic runs in strips, so its temporaries stay below 2 MB.
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
_MAGIC = b"VCM1"
_ONE = 256  # fixed point: levels are kept in 1/256
_STRIP = 128


class ClutterMap:
    """Exponential mean level per cell, (azimuths, cells), weight 1/`scans`."""

    def __init__(self, azimuths: int, cells: int, range_m: float, *, scans: int, still_every: int) -> None:
        self.range_m = range_m
        self.scans_seen = 0
        self._shift = max(0, round(np.log2(max(1, scans))))
        self._still_every = still_every
        self._mean = np.zeros((azimuths, cells), np.uint16)

    @property
    def shape(self) -> tuple[int, int]:
        """(azimuths, cells)."""
        return self._mean.shape[0], self._mean.shape[1]

    def exceedances(
        self, levels: NDArray[np.uint8], *, min_level: int, margin: int, first_cell: int
    ) -> NDArray[np.int64]:
        """Flat indices, ascending, of the cells that stand out of the map by `margin` and reach `min_level`."""
        found = []
        for rows in self._strips():
            strip = levels[rows].astype(np.uint16)
            strip *= _ONE
            threshold = self._mean[rows] + np.uint16(margin * _ONE)
            np.maximum(threshold, np.uint16(min_level * _ONE), out=threshold)
            over = strip >= threshold
            over[:, :first_cell] = False
            found.append(np.flatnonzero(over) + rows.start * levels.shape[1])
        return np.concatenate(found)

    def learn(self, levels: NDArray[np.uint8], vessels: NDArray[np.int64], unseen: NDArray[np.bool_]) -> None:
        """Take one finished scan in. `vessels` are the flat indices of echoes taken for vessels."""
        self.scans_seen += 1
        flat = self._mean.reshape(-1)
        spared = vessels if not self._still_every or self.scans_seen % self._still_every else vessels[:0]
        kept, kept_rows = flat[spared], self._mean[unseen]
        for rows in self._strips():
            step = levels[rows].astype(np.int32)
            step *= _ONE
            step -= self._mean[rows]
            step >>= self._shift
            step += self._mean[rows]
            self._mean[rows] = step
        flat[spared] = kept
        self._mean[unseen] = kept_rows

    def dump(self) -> bytes:
        """The map as bytes, for the checkpoint."""
        azimuths, cells = self.shape
        head = _HEAD.pack(_MAGIC, azimuths, cells, self.range_m, self.scans_seen)
        return head + zlib.compress(self._mean.tobytes(), 1)

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
        return True

    def _strips(self) -> Iterator[slice]:
        for start in range(0, self._mean.shape[0], _STRIP):
            yield slice(start, min(start + _STRIP, self._mean.shape[0]))
