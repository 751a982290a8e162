r"""NMEA 0183 / IEC 61162-1 sentences, TAG blocks and IEC 61162-450 datagrams: the frame, not the meanings.

Promises:
- a wrong checksum never passes; a missing one passes only where the options say so;
- what a line carries before its sentence (a torn sentence, line noise) costs that much and no more: `skipped_bytes`;
- every unit ends in exactly one of the counters `used`, `ignored` (ours, but nothing to tell), `fragments`,
  `unsupported`, `other` (somebody else's sentence), `proprietary`, `errors`: they add up to `units`;
- `too_long` counts what is longer than the standard allows (82 characters, TAG block 80) and is used nevertheless,
  because many instruments send such sentences.

Frame: `$` or `!`, talker (2), formatter (3), fields, `*`, XOR of the characters between in two hex digits, CR LF.
TAG block: `\key:value,...*hh\` before it, several in a row allowed. IEC 61162-450: a datagram starts with `UdPbC\0` and
holds lines; `RrUdP\0` starts a binary file transfer, counted in `binaries` and not read.
"""

from __future__ import annotations

import binascii
import re
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from pydantic import Field

from agent.drivers.base import MAX_LINE, MAX_STREAMS, DriverOptions, LineDecoder
from agent.errors import ProtocolError
from agent.messages import Measurement

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from agent.messages import Stamp

    Handler = Callable[[list[str], float, "Where"], Sequence[Measurement] | None]
    Other = Callable[[bytes], Iterable[Measurement]]

Where = tuple[str, "TagBlock | None"]  # how a sentence came in: the stream's name, its TAG block

MAX_SENTENCE = 80  # 82 with CR LF
MAX_BODY = MAX_SENTENCE - len("$*HH")
MAX_TAG_BLOCK = 80
MAX_ROUTES = 256  # addresses remembered: more than talkers times formatters on any real line
LWE_TEXT = b"UdPbC\0"
LWE_BINARY = b"RrUdP\0"
_DOLLAR, _BANG, _BACKSLASH = b"$!\\"
_START = re.compile(rb"[$!\\]")
_COMPLETE = re.compile(rb"\*[0-9A-Fa-f]{2}\s*$")
_HEX = {f"{n:0{2}{c}}".encode(): n for n in range(256) for c in "xX"}  # both cases are met in the field
_HEX |= {(f"{n >> 4:x}{n & 15:X}").encode(): n for n in range(256)} | {
    (f"{n >> 4:X}{n & 15:x}").encode(): n for n in range(256)
}
_MILLISECONDS_FROM = 100_000_000_000  # as seconds this is the year 5138; real senders use both units


class TagBlock(NamedTuple):
    """What the TAG blocks before a sentence say (a tuple and not a dataclass: made for every sentence)."""

    source: str = ""
    destination: str = ""
    unix_s: float | None = None  # `c:`
    group: tuple[int, int, int] | None = None  # `g:`: this sentence, of how many, group's id
    line: int | None = None  # `n:`
    length: int = 0  # of the longest block, in characters between the backslashes


class Sentence(NamedTuple):
    """One sentence with a right checksum.

    `fields[0]` is the address, so that `fields[n]` is the n-th field in the standard's count. A proprietary sentence
    has the talker "P" and the rest of its address as formatter.
    """

    talker: str
    formatter: str
    fields: list[str]
    tag: TagBlock | None
    length: int  # from `$` or `!` to the checksum
    skipped: int  # bytes before it that belong to nothing


def checksum(body: bytes) -> int:
    """XOR of at most `MAX_LINE` bytes, by folding one big number: far faster than a loop."""
    n = int.from_bytes(body, "big")
    if len(body) > 64:
        if len(body) > 128:
            n ^= n >> 4096
            n ^= n >> 2048
            n ^= n >> 1024
        n ^= n >> 512
    n ^= n >> 256
    n ^= n >> 128
    n ^= n >> 64
    n ^= n >> 32
    n ^= n >> 16
    return (n ^ n >> 8) & 0xFF


def all_right(bodies: Sequence[bytes], checks: Sequence[bytes]) -> bool:
    """Whether each body is no longer than the standard allows and its two hex digits are right.

    As `checksum`, but for all in one number, each body in a lane of its own.
    """
    longest = max(map(len, bodies), default=0)
    if longest > MAX_BODY:
        return False
    lane = 64 if longest <= 64 else 128
    joined = b"".join([body.ljust(lane, b"\0") for body in bodies])
    n, half = int.from_bytes(joined, "big"), 4 * lane
    while half >= 8:
        n ^= n >> half
        half //= 2
    return n.to_bytes(len(joined), "big")[lane - 1 :: lane] == binascii.unhexlify(b"".join(checks))


def parse_sentence(line: bytes, *, require_checksum: bool = True) -> Sentence:
    """The sentence in a line, with the TAG blocks before it.

    Raises:
        ProtocolError: no sentence, wrong checksum, broken TAG block.

    """
    if len(line) > MAX_LINE:
        raise ProtocolError(f"a line of {len(line)} bytes is no sentence")
    fields, tag, length, skipped = split_sentence(line, require_checksum=require_checksum)
    talker, formatter = _address(fields[0])
    return Sentence(talker, formatter, fields, tag, length, skipped)


def split_sentence(line: bytes, *, require_checksum: bool = True) -> tuple[list[str], TagBlock | None, int, int]:
    """(fields, TAG block, length, bytes skipped) of `parse_sentence`, without the cost of its result."""
    tag, skipped = None, 0
    if not line or (line[0] != _DOLLAR and line[0] != _BANG):
        line, tag, skipped = _front(line)
    star = line.find(b"*")
    if star < 0:
        if require_checksum:
            raise ProtocolError(f"no checksum in {_show(line)}; if the device sends none, set require_checksum = false")
        star = len(line.rstrip())
        body = line[1:star]
    else:
        body = line[1:star]
        if _HEX.get(line[star + 1 : star + 3]) != checksum(body):
            return _resume(line, skipped, require_checksum=require_checksum)
    return body.decode("latin-1").split(","), tag, star + 3, skipped


def _address(address: str) -> tuple[str, str]:
    """(talker, formatter) of a sentence's first field."""
    if len(address) < 4:
        raise ProtocolError(f"{address[:20]!r} is no talker and formatter")
    cut = 1 if address[0] == "P" else 2
    return address[:cut], address[cut:]


def _resume(line: bytes, skipped: int, *, require_checksum: bool) -> tuple[list[str], TagBlock | None, int, int]:
    """A sentence torn off by the start of the next one, as serial overruns make them: the next one may be whole."""
    at = max(line.rfind(b"$"), line.rfind(b"!"))
    if at <= 0 or b"*" not in line[at:]:
        raise ProtocolError(f"wrong checksum in {_show(line)}: check the cable and the baud rate")
    fields, tag, length, later = split_sentence(line[at:], require_checksum=require_checksum)
    return fields, tag, length, skipped + at + later


def _front(line: bytes) -> tuple[bytes, TagBlock | None, int]:
    """Split what stands before a sentence: (line from `$` or `!`, TAG block, bytes that belong to nothing)."""
    found = _START.search(line)
    if found is None:
        raise ProtocolError(f"no sentence in {_show(line)}: check the baud rate and that this is NMEA")
    skipped = found.start()
    line = line[skipped:]
    tag = None
    while line[:1] == b"\\":
        end = line.find(b"\\", 1)
        if end < 0:
            raise ProtocolError(f"a TAG block without an end: {_show(line)}")
        tag = _tag_block(line[1:end], tag or TagBlock())
        line = line[end + 1 :]
    if not line or (line[0] != _DOLLAR and line[0] != _BANG):
        raise ProtocolError(f"no sentence after the TAG block: {_show(line)}")
    return line, tag, skipped


def _tag_block(block: bytes, before: TagBlock) -> TagBlock:
    body, star, check = block.partition(b"*")
    if not star:
        raise ProtocolError(f"a TAG block without a checksum: {_show(block)}")
    if _HEX.get(check) != checksum(body):
        raise ProtocolError(f"wrong checksum in the TAG block {_show(block)}")
    source, destination, unix_s, group, line, _ = before
    for item in body.decode("latin-1").split(","):
        key, colon, value = item.partition(":")
        if not colon:
            raise ProtocolError(f"{item[:20]!r} in a TAG block is no key:value")
        if key == "s":
            source = value
        elif key == "d":
            destination = value
        elif key == "c":
            n = _whole(key, value)
            unix_s = n / 1000.0 if n >= _MILLISECONDS_FROM else float(n)
        elif key == "n":
            line = _whole(key, value)
        elif key == "r":
            _whole(key, value)
        elif key == "g":
            group = _group(value)
    return TagBlock(source, destination, unix_s, group, line, max(before.length, len(block)))


def _group(value: str) -> tuple[int, int, int] | None:
    """`g:` is three numbers; some senders put a name there, which groups nothing."""
    parts = value.split("-")
    if len(parts) != 3 or not all(p.isdecimal() and len(p) <= 9 for p in parts):
        return None
    return int(parts[0]), int(parts[1]), int(parts[2])


def _whole(key: str, value: str) -> int:
    if not value.isdecimal() or len(value) > 15:
        raise ProtocolError(f"{key}: in a TAG block is {value[:20]!r}, not a number")
    return int(value)


def _show(line: bytes) -> str:
    """Enough of a line to find it in a log."""
    text = line[:60].decode("ascii", "backslashreplace")
    return repr(text) + ("..." if len(line) > 60 else "")


# ---------------------------------------------------------------- fields


def number(text: str, what: str) -> float | None:
    """A numeric field; None if blank (radar_pi pads with spaces).

    Raises:
        ProtocolError: not a number, or absurdly large.

    """
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        if text.isspace():
            return None
        raise ProtocolError(f"{what} is {text[:20]!r}, not a number") from None
    if -1e7 < value < 1e7:  # False for nan and inf
        return value
    raise ProtocolError(f"{what} is {text[:20]!r}, not a number")


def angle(text: str, what: str) -> float | None:
    """A direction in degrees, [0, 360); None if blank."""
    value = number(text, what)
    if value is None:
        return None
    if not 0.0 <= value <= 360.0:
        raise ProtocolError(f"{what} is {value:g} degrees, not between 0 and 360")
    return 0.0 if value == 360.0 else value


def letter(text: str, allowed: str, what: str, blank: str = "") -> str:
    """A one-letter field out of `allowed`; `blank` if empty."""
    text = text.strip()
    if not text:
        return blank
    if len(text) != 1 or text not in allowed:
        raise ProtocolError(f"{what} is {text[:20]!r}, not one of {', '.join(allowed)}")
    return text


def position(fields: list[str], at: int) -> tuple[float, float] | None:
    """(lat, lon) in degrees from the four fields llmm.mm, N/S, yyymm.mm, E/W beginning at `at`; None if blank."""
    lat = _degrees(fields[at], fields[at + 1], "NS", 90.0, "latitude")
    lon = _degrees(fields[at + 2], fields[at + 3], "EW", 180.0, "longitude")
    if lat is None or lon is None:
        return None
    return lat, lon


def _degrees(text: str, side: str, sides: str, limit: float, what: str) -> float | None:
    value = number(text, what)
    if value is None:
        return None
    side = side.strip()
    degrees = int(value / 100.0)
    minutes = value - 100.0 * degrees
    result = degrees + minutes / 60.0
    if value < 0.0 or minutes >= 60.0 or result > limit or len(side) != 1 or side not in sides:
        raise ProtocolError(f"{what} is {text[:20]!r} {side[:3]!r}: not ddmm.mm and one of {sides[0]}, {sides[1]}")
    return -result if side == sides[1] else result


def time_of_day_s(text: str) -> float | None:
    """Seconds since midnight UTC from hhmmss or hhmmss.ss; None if blank."""
    if not text or text.isspace():
        return None
    text = text.strip()
    whole, _, part = text.partition(".")
    if len(whole) != 6 or not whole.isdecimal() or (part and not part.isdecimal()):
        raise ProtocolError(f"time is {text[:20]!r}, not hhmmss.ss")
    hours, minutes, seconds = int(whole[:2]), int(whole[2:4]), float(text[4:])
    if hours > 23 or minutes > 59 or seconds >= 61.0:
        raise ProtocolError(f"time is {text[:20]!r}, not hhmmss.ss")
    return 3600.0 * hours + 60.0 * minutes + seconds


_ESCAPE = re.compile(r"\^([0-9A-Fa-f]{2})")  # IEC 61162-1: ^hh stands for a reserved or non-ASCII character


def label(text: str) -> str | None:
    """A name for people: escapes resolved, unprintable characters removed; None if nothing is left."""
    if "^" in text:
        text = _ESCAPE.sub(lambda m: chr(int(m[1], 16)), text)
    if not text.isprintable():
        text = "".join(c for c in text if c.isprintable())
    return text.strip() or None


# ---------------------------------------------------------------- the decoder


class NmeaOptions(DriverOptions):
    """Options of every NMEA driver."""

    require_checksum: bool = Field(default=True, description="false: accept sentences that carry no checksum at all")


class SentencePart(ABC):
    """The sentences of one subject (radar, AIS, own ship). Decoders are made of one or several parts."""

    def __init__(self, source: str, options: NmeaOptions, counters: Counter[str]) -> None:
        self.source = source
        self.options = options
        self.counters = counters

    @property
    @abstractmethod
    def handlers(self) -> Mapping[str, Handler]:
        """Formatter -> function of (fields, t_s, where) that gives measurements; `fields[0]` is the address.

        None stands for a unit that the handler has put into a counter of its own; an empty result for one that is
        right and has nothing to tell.
        """

    def quick(self, block: bytes, t_s: float, other: Other) -> list[Measurement] | None:  # noqa: ARG002 - the contract
        """The measurements of whole lines, most of which are this subject's commonest sentence.

        They, and the counters, have to be what `handlers` would make of them; `other` reads a line of another kind,
        in its turn. None, and nothing changed, if the block is better read line by line.
        """
        return None


def _both(first: Handler, second: Handler) -> Handler:
    """A sentence that two parts want (a heading: to report it, and to turn a radar's relative bearings)."""

    def handler(fields: list[str], t_s: float, where: Where) -> Sequence[Measurement]:
        return (*(first(fields, t_s, where) or ()), *(second(fields, t_s, where) or ()))

    return handler


class NmeaDecoder(LineDecoder[Measurement]):
    """Sentences to the measurements that `parts` find in them; serial, TCP, UDP, and IEC 61162-450 datagrams.

    A terminal server may split a sentence over datagrams, and a datagram may end without CR LF: both work.
    """

    Options: ClassVar[type[DriverOptions]] = NmeaOptions
    options: NmeaOptions
    parts: ClassVar[tuple[type[SentencePart], ...]] = ()

    def __init__(self, source: str, options: NmeaOptions | None = None) -> None:
        super().__init__(source, options)
        self._require_checksum = self.options.require_checksum
        self._handlers: dict[str, Handler] = {}
        self._routes: dict[str, Handler] = {}
        made = [part(source, self.options, self.counters) for part in self.parts]
        self._quick = next((p.quick for p in made if type(p).quick is not SentencePart.quick), None)
        for part in made:
            for formatter, handler in part.handlers.items():
                before = self._handlers.get(formatter)
                self._handlers[formatter] = handler if before is None else _both(before, handler)

    def decode(self, data: bytes, at: Stamp, stream: str = "") -> Iterator[Measurement]:
        """Measurements in `data`. Lines of one common kind, as a radar sends them for seconds, are read together."""
        head = self._rest.get(stream, b"")
        whole = head + data if head else data
        end = whole.rfind(b"\n") + 1
        rest = whole[end:]
        waits = stream and (head or rest)  # datagrams have rules of their own for what is not a whole line
        if (
            self._quick is None or self.closed or not end or waits or len(self._rest) >= MAX_STREAMS
            or len(head) > MAX_LINE or len(rest) > MAX_LINE or b"\r" in rest
        ):  # fmt: skip
            return super().decode(data, at, stream)
        held = self._rest.pop(stream, None)
        found = self._quick(whole[:end], at.t_s, lambda line: self._decode_units(self._units(line, stream), at, stream))
        if found is None:
            if held is not None:
                self._rest[stream] = held
            return super().decode(data, at, stream)
        if rest:
            self._rest[stream] = rest
        self.counters["bytes"] += len(data)
        return iter(found)

    def _units(self, data: bytes, stream: str) -> Sequence[bytes]:
        if stream:
            if data[:6] == LWE_BINARY:
                self.counters["binaries"] += 1
                return ()
            if data[:6] == LWE_TEXT:
                data = b"\n" + data[6:] + b"\n"  # a datagram of the standard holds whole lines
            elif stream in self._rest and data[:1] in (b"$", b"!", b"\\"):
                data = b"\n" + data  # what waited will never be continued
            if _COMPLETE.search(data, max(0, len(data) - 8)):
                data += b"\n"
        return super()._units(data, stream)

    def _decode_unit(self, unit: bytes, at: Stamp, stream: str) -> Iterable[Measurement]:
        fields, tag, length, skipped = split_sentence(unit, require_checksum=self._require_checksum)
        if skipped or tag is not None or length > MAX_SENTENCE:
            self._note(tag, length, skipped)
        handler = self._routes.get(fields[0])
        if handler is None:
            handler = self._route(fields[0])
            if handler is None:
                return ()
        found = handler(fields, at.t_s, (stream, tag))
        if found is None:
            return ()
        self.counters["used" if found else "ignored"] += 1
        return found

    def _route(self, address: str) -> Handler | None:
        """The handler for an address, remembered; None, and counted, if the sentence is not for this driver."""
        talker, formatter = _address(address)
        handler = self._handlers.get(formatter)
        if handler is None or talker == "P":
            self.counters["proprietary" if talker == "P" else "other"] += 1
            return None
        if len(self._routes) < MAX_ROUTES:
            self._routes[address] = handler
        return handler

    def _note(self, tag: TagBlock | None, length: int, skipped: int) -> None:
        if skipped:
            self.counters["skipped_bytes"] += skipped
        if length > MAX_SENTENCE or (tag is not None and tag.length > MAX_TAG_BLOCK):
            self.counters["too_long"] += 1
