"""Raymarine Quantum on the wire: spokes and the status that says what their range is, little endian.

A spoke report is 20 octets and run-length coded 8-bit samples: 03 00 28 00, u16 sequence, u16 0x0101, u16 samples of
the spoke, u16 spokes a turn (250), u16 8, u16 samples within the selected range, u16 azimuth (0 is astern), u16 octets
that follow. 5C n v stands for n times v; a 5C of its own is a run of one. Values end at 0xFD: FE is a receding echo and
FF an approaching one of a Quantum 2 with Doppler on.

A status report is 260 octets: 02 00 28 00, at 4 the state (1: it transmits), at 20 which range is selected, at 148 a
table of 20 ranges as u32 in 1/1000 NM. The last sample lies at that range times samples over samples within range.

Beacons go to 224.0.0.1:5800. One of 56 octets: u32 1, u32 kind of radar, u32 link, at 20 the name in 32. One of 36: u32
0, the same u32 link, u32 kind of radar, at 20 where reports go and at 28 where commands are taken, each four octets of
address and u16 port, little endian as well.

Source: captures of a Quantum and the public decoders' reading of them. The status' other fields are zeros here.
"""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SPOKES_PER_TURN = 250
SAMPLES = 240
SAMPLES_IN_RANGE = 200
TOP, APPROACHING = 0xFD, 0xFF
RANGES_MILLI_NM = (
    31, 63, 125, 250, 375, 500, 750, 1000, 1500, 2000, 3000, 4000, 6000, 8000, 12000, 16000, 24000, 32000, 48000, 64000,
)  # fmt: skip
ESCAPE = 0x5C
STATUS_BYTES = 260
BEACON_GROUP, BEACON_PORT = "224.0.0.1", 5800
_SPOKE = struct.Struct("<IHHHHHHHH")


class Kind(NamedTuple):
    """What beacons call a radar: its kind in the one of 56 octets, in the one of 36, its name."""

    named: int
    placed: int
    name: str


QUANTUM = Kind(0x66, 0x28, "QuantumRadar")
RD = Kind(0x01, 0x01, "RD radar")
"""The kinds as captured; an RD's name is ours."""


def spoke(samples: NDArray[np.uint8], sequence: int, number: int) -> bytes:
    """The report of one spoke; `number` 0..249 from the bow, clockwise."""
    data = run_lengths(samples)
    azimuth = (number + SPOKES_PER_TURN // 2) % SPOKES_PER_TURN
    head = (sequence & 0xFFFF, 0x0101, len(samples), SPOKES_PER_TURN, 8, SAMPLES_IN_RANGE, azimuth, len(data))
    return _SPOKE.pack(0x0028_0003, *head) + data


def status(range_index: int, *, transmits: bool = True) -> bytes:
    """The status report of a radar on that range of the table."""
    out = bytearray(STATUS_BYTES)
    struct.pack_into("<IB", out, 0, 0x0028_0002, transmits)
    out[20] = range_index
    struct.pack_into("<20I", out, 148, *RANGES_MILLI_NM)
    return bytes(out)


def beacons(kind: Kind, link: int, report: tuple[str, int], command: tuple[str, int]) -> tuple[bytes, bytes]:
    """The beacon that names a radar, and the one that says where it sends."""
    named = struct.pack("<III8x32s4x", 1, kind.named, link, kind.name.encode("ascii"))
    places = b"".join(socket.inet_aton(ip)[::-1] + struct.pack("<H2x", port) for ip, port in (report, command))
    return named, struct.pack("<III8x", 0, link, kind.placed) + places


def run_lengths(samples: NDArray[np.uint8], longest: int = 255) -> bytes:
    """Runs of four and more coded, others as they are; a run is no longer than `longest`."""
    starts = np.concatenate(([0], np.flatnonzero(np.diff(samples)) + 1))
    lengths = np.diff(np.concatenate((starts, [len(samples)])))
    out = bytearray()
    for value, length in zip(samples[starts].tolist(), lengths.tolist(), strict=True):
        left = length
        while left > 0:
            n = min(left, longest)
            out += bytes((ESCAPE, n, value)) if n >= 4 or value == ESCAPE else bytes((value,)) * n
            left -= n
    return bytes(out)
