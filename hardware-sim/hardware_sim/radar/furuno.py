"""Furuno DRS spokes on the wire: datagrams of some sweeps, each coded against the one before.

A datagram is 16 octets and sweeps. Header: 2, sequence, 0, 1, four zeros, (data length - 4) / 4 in nine bits, seven
bits count of sweeps, eleven bits samples a sweep, two bits coding, one bit "headings are valid", two ones, range
index (see `RANGES_NM`), 0, eleven bits samples within that range (496: a sweep goes on beyond it), 1, four zeros. A
sweep: u16 angle (0..8191 from the bow), u16 heading (8,192 a turn), coded samples, zeros up to a multiple of four.

Coding 3: an octet with its two low bits clear is a sample (0, 4 .. 252). Else its six high bits are a count (0 is 64):
low bit set: so many times the last sample; clear: so many samples as in the sweep before, across datagrams too. What is
repeated here is always what stands just before, so that no decoder need ask which "last sample" is meant.
Coding 0: samples as they are. 1: an even octet is a sample, an odd one's seven high bits are how often (0 is 128) the
last one comes again. 2: the first sweep of a datagram as in 1; in the others odd octets count samples that are as in
the sweep before. None of these three has been seen in a capture: as the public decoders read them.

Source: headers captured of a DRS4D-NXT and a FAR-2127 and the public decoders' reading. Where one reads "heading valid"
in the last octet: the FAR-2127's has those bits clear and the one used here set.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SPOKES_PER_TURN = 2048
SAMPLES = 884
SAMPLES_IN_RANGE = 496
ANGLES = 8192
MAX_DATA_BYTES = 2048
MAX_SWEEPS = 8
RANGES_NM = {
    21: 1 / 16, 0: 1 / 8, 1: 1 / 4, 2: 1 / 2, 3: 3 / 4, 4: 1.0, 5: 1.5, 6: 2.0, 7: 3.0, 8: 4.0, 9: 6.0, 10: 8.0,
    11: 12.0, 12: 16.0, 13: 24.0, 14: 32.0, 19: 36.0, 15: 48.0,
}  # fmt: skip
Coding = Literal[0, 1, 2, 3]
_REPEAT, _COPY = 1, 2
_LONGEST = 64
_LONGEST_OF_OLD = 128


class Encoder:
    """The stream of one radar: it remembers the last sweep."""

    def __init__(self, range_index: int, coding: Coding = 3) -> None:
        self._range_index = range_index
        self._coding = coding
        self._sequence = 0
        self._before = np.zeros(SAMPLES, dtype=np.uint8)

    def datagrams(
        self, sweeps: NDArray[np.uint8], first_angle: int, step: int, heading_deg: float | None = None
    ) -> list[bytes]:
        """Sweeps (n, samples) of levels 0..63, eight a datagram or as many as fit.

        `first_angle` and `step` are in 1/8192 turns from the bow; without `heading_deg` headings are not valid.
        """
        heading = 0 if heading_deg is None else round(heading_deg * ANGLES / 360.0) % ANGLES
        out: list[bytes] = []
        body, count = b"", 0
        for i, levels in enumerate(sweeps):
            sweep = levels << 2
            head = struct.pack("<HH", (first_angle + i * step) % ANGLES, heading)
            data = self._coded(head, sweep, first=count in (0, MAX_SWEEPS))
            if count == MAX_SWEEPS or (count and len(body) + len(data) > MAX_DATA_BYTES):
                out.append(self._frame(body, count, valid=heading_deg is not None))
                body, count = b"", 0
                data = self._coded(head, sweep, first=True)
            self._before = sweep
            body, count = body + data, count + 1
        out.append(self._frame(body, count, valid=heading_deg is not None))
        return out

    def _coded(self, head: bytes, sweep: NDArray[np.uint8], *, first: bool) -> bytes:
        """A sweep as it stands in a datagram; `first`: nothing stands before it there."""
        match self._coding:
            case 0:
                data = sweep.tobytes()
            case 3:
                data = encode_sweep(sweep, self._before)
            case 2 if not first:
                data = encode_old(sweep, self._before)
            case _:
                data = encode_old(sweep, None)
        out = head + data
        return out + bytes(-len(out) % 4)

    def _frame(self, body: bytes, sweeps: int, *, valid: bool) -> bytes:
        words = len(body) // 4 - 1
        self._sequence = self._sequence + 1 & 0xFF
        flags = SAMPLES >> 8 | self._coding << 3 | (0x20 if valid else 0) | 0xC0
        head = bytes(
            (2, self._sequence, 0, 1, 0, 0, 0, 0, words & 0xFF, sweeps << 1 | words >> 8, SAMPLES & 0xFF, flags)
        )
        within = bytes((SAMPLES_IN_RANGE & 0xFF, SAMPLES_IN_RANGE >> 8 | 0x08))
        return head + bytes((self._range_index, 0)) + within + body


def encode_sweep(sweep: NDArray[np.uint8], before: NDArray[np.uint8]) -> bytes:
    """One sweep of samples (multiples of four) by coding 3: at each place the longer of copy and repeat."""
    n = len(sweep)
    copies = _run_ends(sweep != before)
    repeats = _run_ends(np.concatenate((np.diff(sweep) != 0, [True])))  # ends at the last sample that is the same
    values = sweep.tolist()
    out = bytearray()
    at = 0
    while at < n:
        copied = copies[at] - at
        run = repeats[at] + 1 - at
        if copied >= run and copied > 0:
            at += copied
            _count(out, copied, _COPY)
        else:
            out.append(values[at])
            _count(out, run - 1, _REPEAT)
            at += run
    return bytes(out)


def encode_old(sweep: NDArray[np.uint8], before: NDArray[np.uint8] | None) -> bytes:
    """One sweep of even samples by coding 1, or by coding 2 against the sweep `before`."""
    same = np.concatenate(([False], np.diff(sweep) == 0)) if before is None else sweep == before
    ends = _run_ends(~same)
    values = sweep.tolist()
    out = bytearray()
    at = 0
    while at < len(values):
        if not same[at]:
            out.append(values[at])
            at += 1
            continue
        n = min(ends[at] - at, _LONGEST_OF_OLD)
        out.append((n % _LONGEST_OF_OLD) << 1 | 1)
        at += n
    return bytes(out)


def _run_ends(stops: NDArray[np.bool_]) -> list[int]:
    """For each place the next one, itself included, that stops; the length where none does."""
    n = len(stops)
    ends = np.where(stops, np.arange(n), n)
    return list(np.minimum.accumulate(ends[::-1])[::-1].tolist())


def _count(out: bytearray, length: int, kind: int) -> None:
    while length > 0:
        n = min(length, _LONGEST)
        out.append((n % _LONGEST) << 2 | kind)
        length -= n
