"""Datagrams of yacht radars packed from their protocols' descriptions, for tests: shares nothing with the decoders."""

from __future__ import annotations

import struct
from collections.abc import Sequence


def garmin_spoke(samples: bytes, angle: int, *, extent_m: int = 4167, range_m: int = 3704) -> bytes:
    n = len(samples)
    head = struct.pack("<IIHHHHIIHHHIH", 0x0998, 28 + n, 1, 28 + n, angle, 0, range_m, extent_m, 0, n, 0, n, 0)
    return head + samples


def garmin_report(kind: int, value: int, size: int = 4) -> bytes:
    return struct.pack("<II", kind, size) + value.to_bytes(size, "little")


def runs(samples: Sequence[int]) -> bytes:
    """Raymarine's coding: runs of three and more, and every 5C, as `5C count value`."""
    out = bytearray()
    at = 0
    while at < len(samples):
        end = at
        while end < len(samples) and samples[end] == samples[at] and end - at < 255:
            end += 1
        if end - at > 2 or samples[at] == 0x5C:
            out += bytes((0x5C, end - at, samples[at]))
        else:
            out += bytes(samples[at:end])
        at = end
    return bytes(out)


def quantum_spoke(
    samples: Sequence[int], azimuth: int, *, number: int = 1, turn: int = 250, per_range: int = 100,
    stated: int | None = None,
) -> bytes:  # fmt: skip
    data = runs(samples)
    n = len(samples) if stated is None else stated
    return struct.pack("<I8H", 0x00280003, number, 0x0101, n, turn, 8, per_range, azimuth, len(data)) + data


def quantum_status(slot: int, table: Sequence[int], state: int = 1) -> bytes:
    out = bytearray(260)
    struct.pack_into("<IB", out, 0, 0x00280002, state)
    out[20] = slot
    struct.pack_into(f"<{len(table)}I", out, 148, *table)
    return bytes(out)


def rd_frame(*spokes: tuple[int, bytes, bool], extra: int = 0, stated: int | None = None) -> bytes:
    """Spokes of (azimuth, octets already coded, HD), each with a second block of `extra` octets."""
    count = len(spokes) if stated is None else stated
    out = struct.pack("<8I", 0x00010003, 0, 0x1C, count, 0, 0, 1, 0x20)
    for azimuth, data, hd in spokes:
        kind = (3, 2, 3, 1, 0, 0, 1) if hd else (1, 2, 1, 1, 0x1F4, 0, 1)
        out += struct.pack("<10I", 1, 0x28, azimuth, *kind)
        if extra:
            out += struct.pack("<2I", 2, extra) + bytes(extra - 8)
        padded = data + b"\xff" * (-len(data) % 4)
        out += struct.pack("<3I", 0x80000003, 12 + len(padded), len(data)) + padded
    return out


def rd_status(slot: int, table: Sequence[int]) -> bytes:
    out = bytearray(250)
    struct.pack_into(f"<I{len(table)}I", out, 0, 0x00010001, *table)
    out[193] = slot
    return bytes(out)


def furuno_frame(
    *sweeps: tuple[int, int, bytes], samples: int, encoding: int = 3, sequence: int = 0, slot: int = 6, scale: int = 0,
    heading: bool = True, second: bool = False, stated: int | None = None,
) -> bytes:  # fmt: skip
    """Sweeps of (angle, heading, octets already coded)."""
    count = len(sweeps) if stated is None else stated
    out = bytearray(16)
    out[0], out[1], out[9] = 2, sequence, count << 1
    out[10], out[11] = samples & 0xFF, samples >> 8 | encoding << 3 | (0x20 if heading else 0)
    out[12], out[14], out[15] = slot, scale & 0xFF, scale >> 8 | (0x40 if second else 0)
    for angle, head, data in sweeps:
        out += struct.pack("<HH", angle, head) + data + bytes(-len(data) % 4)
    return bytes(out)


def fold(sweep: Sequence[int], before: Sequence[int] | None, encoding: int) -> bytes:
    """One sweep in encoding 1, 2 or 3, with repeats and copies wherever they can be."""
    most, shift = (64, 2) if encoding == 3 else (128, 1)
    out = bytearray()
    at = 0
    while at < len(sweep):
        repeat = copy = 0
        if at and encoding != 2:
            while repeat < most and at + repeat < len(sweep) and sweep[at + repeat] == sweep[at - 1]:
                repeat += 1
        if before is not None and encoding != 1:
            while copy < most and at + copy < len(sweep) and sweep[at + copy] == before[at + copy]:
                copy += 1
        best = max(repeat, copy)
        if best < 2:
            out.append(sweep[at])
            at += 1
        else:
            low = (1 if repeat >= copy else 2) if encoding == 3 else 1
            out.append((best % most) << shift | low)
            at += best
    return bytes(out)
