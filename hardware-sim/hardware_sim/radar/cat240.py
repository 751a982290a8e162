"""ASTERIX category 240, edition 1.3: rotating radar video.

Promises:
- a video message holds cells of 4 or 8 bits, raw or deflated, with the cell's duration in femto- or nanoseconds;
- a radial may be said in several messages, each with its own START_RG, all with one azimuth and one time;
- cell n of a message lies at CELL_DUR * (START_RG + n) * c / 2; 4-bit cells are packed high nibble first.

What the category leaves to an agreement between sender and receiver, and what is sent here: 0 degrees is north, the
compressor is zlib (RFC 1950) over the octets of one message.

Source: Eurocontrol SUR.ET1.ST05.2000-STD-240; byte layout checked with two decoders of other people in the tests.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Literal

from hardware_sim.radar.asterix import azimuth, block, record, time_of_day

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from hardware_sim.radar.asterix import Source

CATEGORY = 240
LIGHT_MPS = 299_792_458.0
_RESOLUTION = {4: 3, 8: 4}
_BLOCKS = ((9, 4, 255), (10, 64, 255), (11, 256, 254))
"""Items 050, 051 and 052: field reference number, octets a block, most blocks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coding:
    """How cells are written. `max_cells` None: a radial is never split."""

    bits: Literal[4, 8] = 8
    compressed: bool = False
    nano: bool = False
    max_cells: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Radial:
    """One radial: `samples` (cells,) uint8, 0..15 for 4 bits; the first lies `first_cell` cells from the radar.

    `start_deg` and `end_deg` are true; `cell_m` is the cells' spacing in range.
    """

    unix_s: float
    start_deg: float
    end_deg: float
    cell_m: float
    samples: NDArray[np.uint8]
    first_cell: int = 0


def summary(source: Source, sequence: int, text: str) -> bytes:
    """A video summary message (type 1): what the stream says of itself."""
    said = text.encode("ascii")
    return block(
        CATEGORY,
        record({1: source.item(), 2: b"\x01", 3: _sequence(sequence), 4: bytes((len(said),)) + said}),
    )


def messages(source: Source, numbers: Iterator[int], radial: Radial, coding: Coding) -> Iterator[bytes]:
    """The messages of one radial; each takes the next of `numbers` as its sequence number."""
    step = coding.max_cells or len(radial.samples)
    for at in range(0, len(radial.samples), step):
        yield _video(source, next(numbers), radial, coding, at, radial.samples[at : at + step])


def sequence_numbers() -> Iterator[int]:
    """0, 1, 2 ... as the messages of one stream are numbered; 32 bits, then again from 0."""
    return (n & 0xFFFF_FFFF for n in count())


def _sequence(number: int) -> bytes:
    return number.to_bytes(4, "big")


def _video(source: Source, number: int, radial: Radial, coding: Coding, offset: int, cells: NDArray[np.uint8]) -> bytes:
    octets = cells.tobytes() if coding.bits == 8 else _pack(cells)
    if coding.compressed:
        octets = zlib.compress(octets)
    frn, size = next((frn, size) for frn, size, most in _BLOCKS if len(octets) <= size * most)
    blocks = -(-len(octets) // size)
    per_s = 1e9 if coding.nano else 1e15
    header = (
        azimuth(radial.start_deg)
        + azimuth(radial.end_deg)
        + (radial.first_cell + offset).to_bytes(4, "big")
        + round(2.0 * radial.cell_m / LIGHT_MPS * per_s).to_bytes(4, "big")
    )
    return block(
        CATEGORY,
        record(
            {
                1: source.item(),
                2: b"\x02",
                3: _sequence(number),
                5 if coding.nano else 6: header,
                7: bytes((0x80 if coding.compressed else 0, _RESOLUTION[coding.bits])),
                8: len(octets).to_bytes(2, "big") + len(cells).to_bytes(3, "big"),
                frn: bytes((blocks,)) + octets.ljust(blocks * size, b"\0"),
                12: time_of_day(radial.unix_s),
            }
        ),
    )


def _pack(cells: NDArray[np.uint8]) -> bytes:
    """Two cells an octet, the nearer in the high nibble; an odd last one stands alone."""
    high, low = cells[0::2].copy(), cells[1::2]
    high <<= 4
    high[: len(low)] |= low
    return high.tobytes()
