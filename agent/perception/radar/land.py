"""Known land: what always answered tells a deaf radar from an empty sea.

Promises:
- land is learned: a sample of the picture is known once it was strong in nine of ten turns, and stood out of what its
  range shows elsewhere, for `ENOUGH` periods of `PERIOD` turns (two hours at 24 turns a minute). Sea and rain clutter
  lie all around at a range and do not stand out; what is taken for a vessel is never land;
- a sector of ten degrees is known by `SAMPLES` such samples, and shows its land while a quarter of them rise above the
  picture's floor at all, beyond what the rest of the picture does by chance: land that rain or sea control weakens
  still answers, and noise on all of the picture does not;
- `lost` when less than half of the known sectors have shown theirs for `TURNS` turns, until three fifths do again for
  as long. With fewer than `SECTORS_NEEDED` known sectors, as on an open sea, nothing is ever lost;
- while it is missed, nothing is learned and nothing forgotten. Land that alone stops answering (a hill that is built
  over, ice) is forgotten within a few hours;
- a loss that comes slower than that is not seen here: the land is forgotten with it;
- memory: seven bytes a sample, of at most 512 x 256.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np

from agent.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

PERIOD = 256  # turns; their levels' sum still fits 16 bits
ENOUGH = 12
SECTORS = 36
SAMPLES = 20
SECTORS_NEEDED = 3
TURNS = 12
_MOST = 144  # a day of periods
_FORGET = 4  # periods that one without an answer costs
_STEADY = 0.9
_ANSWERS = 0.25
_MISSED, _BACK = 0.5, 0.6
_MOSTLY = 0.95
_SMOOTH = 0.25  # weight of a turn
_RING = 0.25  # quantile along a range that is what it shows elsewhere
_ROWS, _CELLS = 512, 256
_HEAD = struct.Struct("<4sHHd")  # magic, rows, cells, range_m
_MAGIC = b"VKL1"


class KnownLand:
    """The land of one radar picture of (azimuths, cells) that ends at `range_m`.

    `strong`: the level from which a sample may be land; `contrast`: levels by which it stands out of its range;
    `step`: levels above the floor that make an answer.
    """

    def __init__(self, azimuths: int, cells: int, range_m: float, *, strong: int, contrast: int, step: int) -> None:
        self.known = 0
        self.shown = 0
        self.lost = False
        self._range_m = range_m
        self._strong, self._contrast, self._step = strong, contrast, step
        self._every = (max(1, azimuths // _ROWS), max(1, cells // _CELLS))
        rows, columns = -(-azimuths // self._every[0]), -(-cells // self._every[1])
        self._shape = (azimuths, cells)
        self._score = np.zeros((rows, columns), np.uint8)  # periods
        self._hits = np.zeros((rows, columns), np.uint16)
        self._sum = np.zeros((rows, columns), np.uint16)
        self._seen = np.zeros(rows, np.int64)
        self._turns = 0
        self._where = np.zeros(0, np.int64)  # flat indices of the known samples
        self._sector = np.zeros(0, np.int64)  # theirs
        self._of_row = np.arange(rows) * SECTORS // rows
        self._usable = np.zeros(SECTORS, np.bool_)
        self._share = np.ones(SECTORS)
        self._against = 0  # turns in a row that speak against `lost` as it is

    def turn(self, levels: NDArray[np.uint8], vessels: NDArray[np.int64], unseen: NDArray[np.bool_]) -> None:
        """Take a turn in: its levels, the flat indices of cells taken for vessels, and the rows that were not seen."""
        every_row, every_cell = self._every
        sample, seen = np.ascontiguousarray(levels[::every_row, ::every_cell]), ~unseen[::every_row]
        if seen.any():
            self._judge(sample, seen)
        strong = sample >= self._strong
        row, cell = np.divmod(vessels, self._shape[1])
        here = (row % every_row == 0) & (cell % every_cell == 0)
        strong[row[here] // every_row, cell[here] // every_cell] = False
        self._hits += strong
        self._sum += sample
        self._seen += seen
        self._turns += 1
        if self._turns == PERIOD:
            if not self._doubtful():
                self._learn()
            self._hits[:], self._sum[:], self._seen[:], self._turns = 0, 0, 0, 0

    def sentence(self) -> str:
        """What is missed; empty while nothing is."""
        if not self.lost:
            return ""
        return (
            f"{self.shown} of {self.known} sectors that always showed land show it: "
            "antenna, gain, or sea or rain clutter settings?"
        )

    def _judge(self, sample: NDArray[np.uint8], seen: NDArray[np.bool_]) -> None:
        if self.known < SECTORS_NEEDED:
            self.lost, self.shown, self._against = False, self.known, 0
            return
        values = sample[seen].reshape(-1)
        answer = int(np.partition(values, len(values) // 4)[len(values) // 4]) + self._step
        visible = seen[self._where // sample.shape[1]]
        sector, level = self._sector[visible], sample.reshape(-1)[self._where[visible]]
        looked = np.bincount(sector, minlength=SECTORS)
        answered = np.bincount(sector[level >= answer], minlength=SECTORS)
        others = max(1, len(values) - len(level))
        chance = min(_MOSTLY, (np.count_nonzero(values >= answer) - int(answered.sum())) / others)
        fresh = looked > 0
        share = (answered[fresh] / looked[fresh] - chance) / (1.0 - chance)
        self._share[fresh] += _SMOOTH * (share - self._share[fresh])
        self.shown = int(np.count_nonzero(self._usable & (self._share >= _ANSWERS)))
        wrong = self.shown >= _BACK * self.known if self.lost else self.shown < _MISSED * self.known
        self._against = self._against + 1 if wrong else 0
        if self._against >= TURNS:
            self.lost, self._against = not self.lost, 0

    def _doubtful(self) -> bool:
        """Whether the land is missed, or is about to be."""
        return self.lost or (self.known >= SECTORS_NEEDED and self.shown < _BACK * self.known)

    def _learn(self) -> None:
        looked = self._seen >= PERIOD // 2
        if not looked.any():
            return
        mean = self._sum[looked] / self._seen[looked, None]
        stands_out = mean >= np.quantile(mean, _RING, axis=0) + self._contrast
        steady = stands_out & (self._hits[looked] >= _STEADY * self._seen[looked, None])
        score = self._score[looked].astype(np.int64)
        self._score[looked] = np.where(steady, np.minimum(score + 1, _MOST), np.maximum(score - _FORGET, 0))
        self._take()

    def _take(self) -> None:
        """Which samples and sectors are known now; a sector that is new shows its land."""
        row, column = np.nonzero(self._score >= ENOUGH)
        self._where, self._sector = row * self._score.shape[1] + column, self._of_row[row]
        usable = np.bincount(self._sector, minlength=SECTORS) >= SAMPLES
        self._share[usable & ~self._usable] = 1.0
        self._usable, self.known = usable, int(np.count_nonzero(usable))
        self.shown = int(np.count_nonzero(usable & (self._share >= _ANSWERS)))

    def dump(self) -> bytes:
        """What is known, as bytes."""
        rows, columns = self._score.shape
        return _HEAD.pack(_MAGIC, rows, columns, self._range_m) + zlib.compress(self._score.tobytes(), 1)

    @staticmethod
    def check(data: bytes) -> None:
        """Look at a dump's head and sum.

        Raises:
            InputError: the bytes are no dump.

        """
        try:
            magic, rows, columns, _ = _HEAD.unpack_from(data)
            size = len(zlib.decompress(data[_HEAD.size :])) if magic == _MAGIC else -1
        except (struct.error, zlib.error) as e:
            raise InputError("what is saved of known land is damaged; the radar learns it anew") from e
        if size != rows * columns:
            raise InputError("what is saved of known land is none of this version; the radar learns it anew")

    def load(self, data: bytes) -> None:
        """Take over what was known, from bytes that `check` lets pass, unless it is of another picture."""
        _, rows, columns, range_m = _HEAD.unpack_from(data)
        if (rows, columns) != self._score.shape or range_m != self._range_m:
            return
        self._score[:] = np.frombuffer(zlib.decompress(data[_HEAD.size :]), np.uint8).reshape(self._score.shape)
        self._take()
