"""Navico spokes on the wire: what a HALO or a 4G sends to its data group, byte for byte.

A datagram is an 8-byte frame header and up to 32 spokes of 24 + 512 bytes (17,160 bytes in all). Spoke header, little
endian: length 0x18, status 0x02, u16 scan counter, mark 00 44, u16 large range, u16 angle (0..4095, relative to the
bow), u16 heading (bit 14 set: true, low 12 bits in 1/4096 turns), u16 small range, u16 rotation, 8 bytes that captures
show constant. The low nibble of a sample pair is the nearer.

The last of the 1,024 samples lies, for a HALO, at large * small / 512 metres; for a 4G at small / 4 metres when large
is 0x80, else at large * 64. A 4G's scan counter runs from 0 to 4095; what its last ten bytes mean is not known: zeros.

With Doppler on, a HALO's level 15 is an approaching echo and 14 a receding one, and strength ends below; with
"approaching" only 15 is taken. That it does so is told by report 08 (`navico_reports.py`).

Source: captures of HALO24, HALO3006 and 4G scanners, and the public decoders' reading of them.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Model = Literal["halo", "4g"]
SPOKES_PER_TURN = 2048
SAMPLES = 1024
SPOKES_PER_DATAGRAM = 32
DATAGRAMS_PER_TURN = SPOKES_PER_TURN // SPOKES_PER_DATAGRAM
FRAME_HEADER = bytes.fromhex("0100000000200002")
SPOKE_BYTES = 24 + SAMPLES // 2
DATAGRAM_BYTES = len(FRAME_HEADER) + SPOKES_PER_DATAGRAM * SPOKE_BYTES
ROTATION = 0x28ED
TAIL = bytes.fromhex("900b00c0000000e0")
SMALL_RANGE = 512
"""With this, the large range is metres."""
_HEADER = struct.Struct("<BBH2sHHHHH8s")


def spoke_header(*, scan: int, range_m: int, angle: int, heading: int, model: Model = "halo") -> bytes:
    """The 24 bytes before a spoke's samples; `angle` in 1/4096 turns from the bow, `heading` as on the wire."""
    mark = b"\x00\x44"
    if model == "halo":
        return _HEADER.pack(0x18, 0x02, scan, mark, range_m, angle, heading, SMALL_RANGE, ROTATION, TAIL)
    large, small = (0x80, range_m * 4) if range_m * 4 < 0xFFFF else (round(range_m / 64), 0)
    return _HEADER.pack(0x18, 0x02, scan & 0x0FFF, mark, large, angle, heading, small, 0, bytes(8))


def heading_word(heading_deg: float) -> int:
    """A true heading as the spokes carry it."""
    return 0x4000 | round(heading_deg * 4096.0 / 360.0) & 0x0FFF


def scan_word(spoke_count: int) -> int:
    """The scan counter: bit 15 toggles with each turn, the low 12 bits count spokes."""
    turn = spoke_count // SPOKES_PER_TURN
    return (0x8000 if turn % 2 else 0) | spoke_count & 0x0FFF


def datagram(samples: NDArray[np.uint8], first_spoke: int, range_m: int, heading: int, model: Model = "halo") -> bytes:
    """One datagram of (32, 1024) samples 0..15; `first_spoke` counts spokes since the radar began to transmit."""
    block = np.empty((SPOKES_PER_DATAGRAM, SPOKE_BYTES), dtype=np.uint8)
    headers = b"".join(
        spoke_header(
            scan=scan_word(first_spoke + i),
            range_m=range_m,
            angle=(first_spoke + i) % SPOKES_PER_TURN * 2,
            heading=heading,
            model=model,
        )
        for i in range(SPOKES_PER_DATAGRAM)
    )
    block[:, :24] = np.frombuffer(headers, dtype=np.uint8).reshape(SPOKES_PER_DATAGRAM, 24)
    np.left_shift(samples[:, 1::2], 4, out=block[:, 24:])
    block[:, 24:] |= samples[:, 0::2]
    return FRAME_HEADER + block.tobytes()
