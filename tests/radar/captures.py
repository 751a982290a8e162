"""Packet captures written by hand from the formats' descriptions, for the tests of their reader."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

SRC, DST = bytes((10, 0, 0, 7)), bytes((236, 6, 9, 51))
SRC6, DST6 = bytes(15) + b"\x01", b"\xff\x02" + bytes(13) + b"\x05"


def udp(payload: bytes, port: int = 7059, length: int | None = None) -> bytes:
    return struct.pack(">HHHH", 4000, port, 8 + len(payload) if length is None else length, 0) + payload


def ipv4(body: bytes, *, offset: int = 0, more: bool = False, ident: int = 1, protocol: int = 17) -> bytes:
    flags = (0x2000 if more else 0) | offset // 8
    return struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(body), ident, flags, 64, protocol, 0) + SRC + DST + body


def ipv6(body: bytes, *, kind: int = 17) -> bytes:
    return struct.pack(">IHBB", 6 << 28, len(body), kind, 64) + SRC6 + DST6 + body


def fragments(body: bytes, size: int = 1480, ident: int = 1) -> list[bytes]:
    return [
        ipv4(body[at : at + size], offset=at, more=at + size < len(body), ident=ident)
        for at in range(0, len(body), size)
    ]


def ethernet(packet: bytes, kind: int = 0x0800, vlans: Iterable[int] = ()) -> bytes:
    tags = b"".join(struct.pack(">HH", tag, 5) for tag in vlans)
    return bytes(12) + tags + struct.pack(">H", kind) + packet


def pcap(packets: Iterable[tuple[float, bytes]], *, order: str = "<", nano: bool = False, link: int = 1) -> bytes:
    tick = 1e-9 if nano else 1e-6
    out = struct.pack(order + "IHHiIII", 0xA1B23C4D if nano else 0xA1B2C3D4, 2, 4, 0, 0, 65535, link)
    for t, packet in packets:
        out += struct.pack(order + "IIII", int(t), round((t - int(t)) / tick), len(packet), len(packet)) + packet
    return out


def block(kind: int, body: bytes, order: str) -> bytes:
    body += bytes(-len(body) % 4)
    size = struct.pack(order + "I", 12 + len(body))
    return struct.pack(order + "I", kind) + size + body + size


def pcapng(packets: Iterable[tuple[float, bytes]], *, order: str = "<", link: int = 1, exponent: int = 6) -> bytes:
    section = block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), order)
    options = struct.pack(order + "HHB3x", 9, 1, exponent) + struct.pack(order + "HH", 0, 0)
    out = section + block(1, struct.pack(order + "HHI", link, 0, 0) + options, order)
    out += block(5, bytes(12), order)  # interface statistics: to be skipped
    for t, packet in packets:
        ticks = int(t) * 10**exponent + round((t - int(t)) * 10**exponent)
        head = struct.pack(order + "IIIII", 0, ticks >> 32, ticks & 0xFFFFFFFF, len(packet), len(packet))
        out += block(6, head + packet, order)
    return out
