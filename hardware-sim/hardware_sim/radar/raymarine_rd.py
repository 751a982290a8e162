"""Raymarine RD on the wire: frames of some spokes with 4-bit (D) or 8-bit (HD) samples, and its status, little endian.

A frame is 32 octets (u32 0x00010003, 0, 0x1C, count of spokes, number of the first one, 0, 1, octets of the first
spoke) and spokes of 2,048 a turn. A spoke: 40 octets (u32 1, 0x28, azimuth with 0 astern, then 1 2 1 1 1F4 0 1 of a D
or 3 2 3 1 0 0 1 of an HD); of a D 28 octets more (u32 2, 0x1C, zeros); 12 octets (u32 3, in the last spoke 80000003;
u32 length with these 12; u32 octets of data); data, filled with FF to a multiple of four. Data are run-length coded,
5C n v for n times v, n at most 128. A D has 512 samples, two an octet, low nibble first; an HD 1,024 in the upper seven
bits.

A status is u32 0x00010001 (HD: 0x00018801), 11 ranges as u32 in 1/1000 NM, the state (1: it transmits) at 180 (HD: 124)
and which range is selected at 193 (HD: 296). The last sample lies at twice the selected range.

Source: the public decoders' reading, of frames also captures of both. They differ about words 4 and 7 of a frame, which
none of them uses. The status' other octets are zeros here, and how long an HD's is, is not known: 300.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

from hardware_sim.radar.raymarine import run_lengths

if TYPE_CHECKING:
    from numpy.typing import NDArray

SPOKES_PER_TURN = 2048
SPOKES_PER_FRAME = 8
SAMPLES, SAMPLES_HD = 512, 1024
RANGES_MILLI_NM = (125, 250, 500, 750, 1500, 3000, 6000, 12_000, 24_000, 48_000, 72_000)
REACH = 2.0
"""The last sample against the selected range."""
LONGEST_RUN = 128
_PLAIN, _HD = (1, 2, 1, 1, 0x1F4, 0, 1), (3, 2, 3, 1, 0, 0, 1)
_EXTRA = struct.pack("<7I", 2, 0x1C, 0, 0, 0, 0, 0)


def frame(samples: NDArray[np.uint8], first: int, *, hd: bool) -> bytes:
    """Spokes (n, 512 of 0..15, or 1,024 of 0..127); `first` counts spokes from the bow since it began to transmit."""
    last = len(samples) - 1
    spokes = [_spoke(row, (first + i) % SPOKES_PER_TURN, hd=hd, last=i == last) for i, row in enumerate(samples)]
    counted, octets = (first & 0xFFFF_FFFF, len(spokes[0])) if hd else (0, 0)
    return struct.pack("<8I", 0x0001_0003, 0, 0x1C, len(spokes), counted, 0, 1, octets) + b"".join(spokes)


def _spoke(row: NDArray[np.uint8], number: int, *, hd: bool, last: bool) -> bytes:
    azimuth = (number + SPOKES_PER_TURN // 2) % SPOKES_PER_TURN
    octets = np.left_shift(row, 1) if hd else np.bitwise_or(row[0::2], np.left_shift(row[1::2], 4))
    data = run_lengths(octets, LONGEST_RUN)
    fill = b"\xff" * (-len(data) % 4)
    head = struct.pack("<10I", 1, 0x28, azimuth, *(_HD if hd else _PLAIN)) + (b"" if hd else _EXTRA)
    mark = 0x8000_0003 if last else 3
    return head + struct.pack("<3I", mark, 12 + len(data) + len(fill), len(data)) + data + fill


def status(range_index: int, *, hd: bool, transmits: bool) -> bytes:
    """The status report of a radar on that range of the table."""
    out = bytearray(300 if hd else 245)
    struct.pack_into("<12I", out, 0, 0x0001_8801 if hd else 0x0001_0001, *RANGES_MILLI_NM)
    out[180] = transmits or hd
    if hd:
        out[124], out[296] = transmits, range_index
    else:
        out[193] = range_index
    return bytes(out)
