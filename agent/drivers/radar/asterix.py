"""ASTERIX (EUROCONTROL-SPEC-0149): blocks, records and items of all categories; the meanings stand with the drivers.

Promises:
- a block that states a wrong length, an item that reaches beyond its record, or an FSPEC longer than its category's
  profile is one error; what was read of the block before it counts;
- explicit items (RE, SP) are passed over by their own length octet, whatever is in them;
- no claimed count is believed: nothing is allocated before the octets are seen to be there.

Block: CAT u8 | LEN u16 (with these three octets) | records. Record: FSPEC (seven bits an octet, most significant first,
the least significant says that another octet follows) | the items whose bits are set. Big endian, two's complement.
Several blocks may share a datagram. Over TCP, and in recordings without addresses, blocks follow one another.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar

from pydantic import Field

from agent.drivers.base import DriverOptions
from agent.drivers.radar.framed import FramedDecoder
from agent.errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence

    from agent.messages import Stamp

T = TypeVar("T")
DAY_S = 86_400.0
TICK_S = 1.0 / 128.0
_HEAD = 3
_VIDEO = 240  # the one category with large blocks
_LONG, _LONGEST = 8192, 65_535
# published categories: in a stream, the start of a block is known by them and by a length that can be
_CATEGORIES = frozenset(
    (*range(1, 5), *range(7, 12), *range(15, 22), 23, 25, *range(30, 35), 48, *range(62, 66), 129, 150, 205, 240, 247)
)
_STARTS = re.compile(
    b"[" + b"".join(b"\\x%02x" % c for c in sorted(_CATEGORIES)) + b"][\\x00-\\x20]|\\x%02x[\\x00-\\xff]" % _VIDEO
)
_MAX_FSPEC = 5  # octets: no category here has more than 35 items


@dataclass(frozen=True, slots=True)
class Extended:
    """A first part of `first` octets, further ones of `more`; the least significant bit of a part says "goes on"."""

    first: int = 1
    more: int = 1


@dataclass(frozen=True, slots=True)
class Repeated:
    """A count octet, then so many times `size` octets."""

    size: int


@dataclass(frozen=True, slots=True)
class Explicit:
    """A length octet that counts itself."""


@dataclass(frozen=True, slots=True)
class Compound:
    """An FSPEC of its own, then the parts that it names."""

    parts: tuple[Layout | None, ...]


Layout = int | Extended | Repeated | Explicit | Compound
Item = tuple[str, Layout]
Profile = tuple[Item | None, ...]  # by field reference number; None where the standard leaves a number free


def end_of(layout: Layout, data: bytes, at: int) -> int:
    """Where an item that begins at `at` ends. It may lie beyond the data: for the caller to check.

    Raises:
        ProtocolError: the item's own count or length octet is not there, or is impossible.

    """
    if isinstance(layout, int):
        return at + layout
    if at >= len(data):
        raise ProtocolError("an ASTERIX record ends before its last item")
    if isinstance(layout, Extended):
        at += layout.first
        while at <= len(data) and data[at - 1] & 1:
            at += layout.more
        return at
    if isinstance(layout, Repeated):
        return at + 1 + data[at] * layout.size
    if isinstance(layout, Explicit):
        if data[at] == 0:
            raise ProtocolError("an explicit ASTERIX item states a length of 0")
        return at + data[at]
    found: list[Layout]
    found, at = _fspec(data, at, layout.parts)
    for part in found:
        at = end_of(part, data, at)
    return at


def parts_of(item: bytes, layout: Compound) -> dict[int, bytes]:
    """The parts of a compound item that was found to be whole, by their place (0 is the first)."""
    at, bits = 0, []
    while True:
        octet = item[at]
        bits += [octet >> b & 1 for b in range(7, 0, -1)]
        at += 1
        if not octet & 1:
            break
    out = {}
    for place, bit in enumerate(bits):
        if bit and place < len(layout.parts) and (part := layout.parts[place]) is not None:
            end = end_of(part, item, at)
            out[place] = item[at:end]
            at = end
    return out


def _fspec(data: bytes, at: int, profile: Sequence[T | None]) -> tuple[list[T], int]:
    """(the entries of `profile` whose bits are set, where the FSPEC ends)."""
    out: list[T] = []
    for first in range(0, 7 * _MAX_FSPEC, 7):
        if at >= len(data):
            raise ProtocolError("an ASTERIX record ends in its FSPEC")
        octet = data[at]
        at += 1
        for i in range(7):
            if octet >> (7 - i) & 1:
                item = profile[first + i] if first + i < len(profile) else None
                if item is None:
                    raise ProtocolError(f"an ASTERIX FSPEC names field {first + i + 1}, which its category has not")
                out.append(item)
        if not octet & 1:
            return out, at
    raise ProtocolError(f"an ASTERIX FSPEC of more than {_MAX_FSPEC} octets")


def split_record(profile: Profile, data: bytes, at: int) -> tuple[dict[str, bytes], int]:
    """(the octets of each item by its number, where the record ends).

    Raises:
        ProtocolError: the record reaches beyond the block.

    """
    found, at = _fspec(data, at, profile)
    items = {}
    for name, layout in found:
        end = end_of(layout, data, at)
        if end > len(data):
            raise ProtocolError(f"item {name} of an ASTERIX record reaches {end - len(data)} octets beyond its block")
        items[name] = data[at:end]
        at = end
    return items, at


def split_blocks(data: bytes) -> list[bytes]:
    """Blocks of a datagram; octets after the last whole one are a piece of their own, and so is a false length."""
    out = []
    at = 0
    while at < len(data):
        size = int.from_bytes(data[at + 1 : at + 3], "big")
        if size < _HEAD or at + size > len(data):
            out.append(data[at:])
            break
        out.append(data[at : at + size])
        at += size
    return out


def is_asterix(datagram: bytes, wanted: Container[int]) -> bool:
    """Whether a datagram is whole blocks of published categories, one of them at least of a `wanted` category."""
    blocks = split_blocks(datagram)
    whole = all(len(b) >= _HEAD and b[0] in _CATEGORIES and b[1] << 8 | b[2] == len(b) for b in blocks)
    return whole and any(b[0] in wanted for b in blocks)


class AsterixOptions(DriverOptions):
    """Options of every ASTERIX driver."""

    time: Literal["arrival", "message"] = Field(
        default="arrival", description="message: the time of day in the messages, if the radar's clock is set by GNSS"
    )


def moment_s(ticks: bytes | None, at: Stamp, source: str) -> float:
    """Logic time of a u24 time of day (1/128 s since UTC midnight), within 12 h of `at`; `at` where it is not used."""
    if source == "arrival" or ticks is None:
        return at.t_s
    off_s = int.from_bytes(ticks, "big") * TICK_S - at.wall_s % DAY_S
    return at.t_s + (off_s + DAY_S / 2.0) % DAY_S - DAY_S / 2.0


class AsterixDecoder(FramedDecoder[T]):
    """Base of ASTERIX drivers. Counters: records, ignored (blocks of categories that are not this driver's)."""

    starts = _STARTS
    start_octets = 2
    profiles: dict[int, Profile]

    def _units(self, data: bytes, stream: str) -> Sequence[bytes]:
        if not stream:
            return self._cut(self._rest + data)
        if len(data) >= _HEAD and data[1] << 8 | data[2] == len(data):
            return (data,)
        return split_blocks(data)

    def _frame_size(self, data: bytes, at: int) -> int | None:
        if len(data) - at < _HEAD:
            return None
        size = data[at + 1] << 8 | data[at + 2]
        known = data[at] in self.profiles or data[at] in _CATEGORIES
        return size if known and _HEAD <= size <= (_LONGEST if data[at] == _VIDEO else _LONG) else 0

    def _records(self, block: bytes) -> Iterator[dict[str, bytes]]:
        """Items of the records of a block of a known category."""
        profile, at = self.profiles[block[0]], _HEAD
        while at < len(block):
            items, at = split_record(profile, block, at)
            self.counters["records"] += 1
            yield items

    def _known(self, block: bytes) -> bool:
        """Whether the block is whole and of a category of this driver; one of another is counted.

        Raises:
            ProtocolError: it is no block.

        """
        if len(block) < _HEAD or block[1] << 8 | block[2] != len(block):
            stated = int.from_bytes(block[1:3], "big")
            raise ProtocolError(f"{len(block)} bytes where an ASTERIX block states {stated}")
        if block[0] in self.profiles:
            return True
        self.counters["ignored"] += 1
        return False
