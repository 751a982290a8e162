"""ASTERIX framing: items to records, records to data blocks.

Promises:
- a data block is the category, its own length with these three octets, and records; a record is the field
  specification (seven presence bits an octet, then one that says that another follows) and its items in UAP order;
- everything is big-endian; a number that does not fit its field is an error of the caller, never cut.

Source: Eurocontrol ASTERIX part 1 (SUR.ET1.ST05.2000-STD-01-01).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_BLOCK_BYTES = 65_535
TICKS_PER_S = 128.0
TICKS_PER_DAY = 86_400 * 128
FULL_CIRCLE = 65_536
NM_M = 1852.0
SPEED_LSB_MPS = NM_M * 2.0**-14
"""Ground speeds are in 2^-14 NM/s, about 0.22 knots."""


@dataclass(frozen=True, slots=True)
class Source:
    """Who says it: system area code and system identification code, an octet each."""

    sac: int
    sic: int

    def item(self) -> bytes:
        """Item 010 of every category."""
        return bytes((self.sac, self.sic))


def record(items: Mapping[int, bytes]) -> bytes:
    """One record of the items, by their field reference number (1 is the first of the UAP)."""
    octets = [0] * max(1, math.ceil(max(items) / 7))
    for frn in items:
        octets[(frn - 1) // 7] |= 0x80 >> (frn - 1) % 7
    fspec = bytes(octet | (i < len(octets) - 1) for i, octet in enumerate(octets))
    return fspec + b"".join(items[frn] for frn in sorted(items))


def block(category: int, *records: bytes) -> bytes:
    """One data block.

    Raises:
        ValueError: it would be longer than its length field can say.

    """
    body = b"".join(records)
    size = 3 + len(body)
    if size > MAX_BLOCK_BYTES:
        raise ValueError(f"an ASTERIX block of {size} octets cannot be; put fewer records or cells into it")
    return bytes((category,)) + size.to_bytes(2, "big") + body


def time_of_day(unix_s: float) -> bytes:
    """Three octets of 1/128 s since midnight UTC."""
    return (round(unix_s * TICKS_PER_S) % TICKS_PER_DAY).to_bytes(3, "big")


def azimuth(deg: float) -> bytes:
    """Two octets of 360/65536 degrees."""
    return (round(deg * FULL_CIRCLE / 360.0) % FULL_CIRCLE).to_bytes(2, "big")


def unsigned(value: float, octets: int) -> bytes:
    """A rounded number, at most what the field holds (a range beyond the field is said as its end)."""
    top: int = 256**octets - 1
    return min(max(round(value), 0), top).to_bytes(octets, "big")


def velocity(speed_mps: float, course_deg: float) -> bytes:
    """Ground speed and course as items 200 of categories 010 and 048 have them."""
    return unsigned(speed_mps / SPEED_LSB_MPS, 2) + azimuth(course_deg)
