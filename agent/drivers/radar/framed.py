"""Bases of the radar drivers: datagrams and streams of frames, and what is counted of an antenna's turns.

Promises:
- a datagram (`stream` is `ip:port`) is taken as it is; bytes without datagrams (TCP, a recording without addresses:
  `stream` is empty) are cut where their frames say, with at most one frame waiting;
- lost, repeated and late spokes are counted by the radar's own numbers (`spokes_lost`, `spokes_repeated`,
  `spokes_late`), never guessed from time; a late one is no longer lost. A turn's period and losses are in `gauges` when
  the antenna passes its zero.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from agent.drivers.base import Decoder
from agent.drivers.nav import NavDecoder
from agent.drivers.radar.video import Spoke, VideoOptions
from agent.errors import ProtocolError
from agent.messages import Nav

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator, Sequence

    from agent.messages import Stamp

T = TypeVar("T")
HEADING_LIFE_S = 10.0  # of a heading that was heard as a sentence
_SENTENCE_STARTS = (b"$", b"!", b"\\", b"U")  # U: IEC 61162-450
MAX_SOURCES = 16  # streams of one sensor: a radar has two ranges, a feed a few radars
_MAX_GAP = 4096  # spokes: a wider gap is a radar that was started anew
_MAX_LATE = 256  # spokes, as some datagrams hold; what is older was not late on its way


class FramedDecoder(Decoder[T]):
    """Base of decoders whose unit is a frame that states its own length.

    In a stream, octets that begin no frame are counted in `skipped_bytes`, and each run of them is one of `errors`.
    """

    datagrams = True
    starts: ClassVar[re.Pattern[bytes]] = re.compile(
        rb"(?!)"
    )  # what `start_octets` octets of every frame's start match
    start_octets: ClassVar[int] = 1

    def __init__(self, source: str, options: Any = None) -> None:
        super().__init__(source, options)
        self._rest = b""
        self._astray = False

    def flush(self, at: Stamp) -> Iterator[T]:
        """What a recording ends with, complete or not."""
        rest, self._rest = self._rest, b""
        if rest and not self.closed:
            yield from self._decode_units((rest,), at, "")

    def close(self) -> None:
        """No more measurements. Idempotent."""
        super().close()
        self._rest = b""

    def _units(self, data: bytes, stream: str) -> Sequence[bytes]:
        return (data,) if stream else self._cut(self._rest + data)

    def _cut(self, data: bytes) -> list[bytes]:
        """Whole frames of a stream; what is not yet complete waits. Any split of the stream gives the same frames."""
        out: list[bytes] = []
        at = 0
        while (size := self._frame_size(data, at)) is not None and at + size <= len(data):
            if size:
                out.append(data[at : at + size])
                at += size
                self._astray = False
            else:
                at = self._skip(data, at)
        self._rest = data[at:]
        return out

    def _skip(self, data: bytes, at: int) -> int:
        """Where the next frame may begin; octet by octet would let a flood of noise hold up the process."""
        found = self.starts.search(data, at + 1)
        # an end that is too short to match may be the beginning of a start
        end = found.start() if found else max(at + 1, len(data) - self.start_octets + 1)
        self.counters["skipped_bytes"] += end - at
        if not self._astray:
            self._astray = True
            self.counters["units"] += 1
            self.counters["errors"] += 1
            self.last_error = f"no frame begins with {data[at : at + 3].hex()}: is this the right device or file?"
        return end

    @abstractmethod
    def _frame_size(self, data: bytes, at: int) -> int | None:
        """Size of the frame that begins at `at` (a bounded one); 0: none begins there; None: too little to tell."""


@dataclass(slots=True)
class Antenna:
    """One antenna, or one range of a radar that has two: the names of what it sends, and its turn so far.

    `source` is the sensor's name for the first one, `NAME/2`, `NAME/b`... for others; `stream` is where it came in.
    """

    source: str
    stream: str
    prefix: str  # of its gauges
    number: int = -1
    angle_deg: float = -1.0
    began_s: float | None = None
    turn_s: float | None = None
    spokes: int = 0
    lost: int = 0
    turns: int = 0
    missing: dict[int, int] = field(default_factory=dict)  # lately counted as lost: number, turn; at most `_MAX_LATE`

    def note(self, decoder: VideoDecoder, number: int, modulus: int, angle_deg: float, at_s: float) -> None:
        """Count one spoke: what is missing before it by `number` (modulo `modulus`), and the turn that it may end."""
        counters = decoder.counters
        counters["spokes"] += 1
        if self.number >= 0 and (step := (number - self.number) % modulus) != 1:
            late = min(_MAX_LATE, modulus // 8)
            if step == 0 or step >= modulus - late:  # the antenna has been there already
                self.spokes += 1
                self._behind(decoder, number)
                return
            self._ahead(counters, step, modulus, late)
        self.number = number
        if angle_deg < self.angle_deg - 180.0:
            counters["turns"] += 1
            self._turn(decoder.gauges, at_s)
        self.angle_deg = angle_deg
        self.spokes += 1

    def _ahead(self, counters: Counter[str], step: int, modulus: int, late: int) -> None:
        if step > min(_MAX_GAP, modulus // 2):
            counters["spokes_restarts"] += 1
            self.missing.clear()
            return
        counters["spokes_lost"] += step - 1
        self.lost += step - 1
        number = self.number + step
        for old in [n for n in self.missing if (number - n) % modulus > late]:
            del self.missing[old]
        for n in range(max(self.number + 1, number - late), number):
            self.missing[n % modulus] = self.turns

    def _behind(self, decoder: VideoDecoder, number: int) -> None:
        turn = self.missing.get(number, -1)
        if turn != self.turns and not (turn == self.turns - 1 >= 0 and self.spokes <= _MAX_LATE):
            decoder.counters["spokes_repeated"] += 1
            return
        del self.missing[number]
        decoder.counters["spokes_late"] += 1
        decoder.counters["spokes_lost"] -= 1
        if turn == self.turns:
            self.lost -= 1
        elif (told := self.prefix + "turn_lost") in decoder.gauges:
            decoder.gauges[told] -= 1.0

    def _turn(self, gauges: dict[str, float], at_s: float) -> None:
        if self.began_s is not None:
            period_s = at_s - self.began_s
            gauges[self.prefix + "turn_s"] = period_s
            gauges[self.prefix + "turn_spokes"] = float(self.spokes)
            gauges[self.prefix + "turn_lost"] = float(self.lost)
            if self.turn_s is not None:
                gauges[self.prefix + "turn_jitter_s"] = abs(period_s - self.turn_s)
            self.turn_s = period_s
        self.began_s, self.spokes, self.lost = at_s, 0, 0
        # numbers of the turn before may come again in this one, where they count the turn's spokes
        self.missing = {n: turn for n, turn in self.missing.items() if turn == self.turns}
        self.turns += 1


class VideoDecoder(FramedDecoder[Spoke]):
    """Base of radar video drivers. A spoke's heading is its own, else the surveyed one, else a compass's beside it.

    Counters of all: spokes, spokes_lost, spokes_repeated, spokes_late, spokes_restarts, turns, no_heading, sentences,
    ignored.
    `gauges`: `turn_s`, `turn_jitter_s` (difference to the turn before), `turn_spokes`, `turn_lost`, and what the radar
    reports of itself; those of a further source begin with its suffix.
    """

    Options = VideoOptions
    options: VideoOptions

    def __init__(self, source: str, options: Any = None) -> None:
        super().__init__(source, options)
        self.gauges: dict[str, float] = {}
        self._compass: NavDecoder | None = None  # made when the first sentence comes
        self._heard: tuple[float, float] | None = None  # when, degrees
        self._antennas: dict[tuple[str, Any], Antenna] = {}

    def _antenna(self, stream: str, key: Any, *, suffix: str = "", shown: str = "") -> Antenna:
        """The antenna that `key` names within a stream; the first of all bears the sensor's name.

        Raises:
            ProtocolError: too many.

        """
        known = self._antennas.get((stream, key))
        if known is None:
            if len(self._antennas) >= MAX_SOURCES:
                raise ProtocolError(f"more than {MAX_SOURCES} radars or ranges: a mixed-up network, or not a radar")
            taken = {a.source for a in self._antennas.values()}
            wanted, n = f"{self.source}/{suffix}" if suffix else self.source, 2
            while wanted in taken:
                wanted, n = f"{self.source}/{suffix}{n}", n + 1
            prefix = wanted.removeprefix(self.source).lstrip("/")
            known = self._antennas[stream, key] = Antenna(wanted, shown or stream, prefix and prefix + "_")
        return known

    def decode(self, data: bytes, at: Stamp, stream: str = "") -> Iterator[Spoke]:
        """Spokes in `data`. Sentences beside the video (a compass on the same network) tell the heading."""
        if data[:1] in _SENTENCE_STARTS and stream and not self.closed:
            self._hear(data, at, stream)
            return iter(())
        if self.closed:
            return iter(())
        self.counters["bytes"] += len(data)
        return self._decode_units(self._units(data, stream), at, stream)

    def _hear(self, data: bytes, at: Stamp, stream: str) -> None:
        self.counters["bytes"] += len(data)
        self.counters["units"] += 1
        self.counters["ignored"] += 1  # as video; what they tell is heard all the same
        self.counters["sentences"] += 1
        self._compass = self._compass or NavDecoder(self.source)
        for m in self._compass.decode(data, at, stream):
            if isinstance(m, Nav) and m.heading_deg is not None:
                self._heard = (at.t_s, m.heading_deg)

    def _no_heading(self, at_s: float) -> float | None:
        """The heading of a spoke that carries none: the surveyed one, else the compass's while it is fresh."""
        if self.options.heading_deg is not None:
            return self.options.heading_deg
        if self._heard is not None and abs(at_s - self._heard[0]) <= HEADING_LIFE_S:
            return self._heard[1]
        self.counters["no_heading"] += 1
        return None
