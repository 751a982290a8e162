"""Recordings of emissions, made as fast as it goes: a capture, or the bytes one after the other.

Promises:
- `.pcap`: classic, microseconds, Ethernet; UDP from a radar's address to the group and port of the real device, in IP
  fragments of 1,500 octets as a network has them; checksums right (UDP: left out, as IPv4 allows);
- any other name: the datagrams or sentences end to end (`.ast`: what ASTERIX tools read);
- the same scenario, seed, start and duration give the same bytes.
"""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING

from hardware_sim.radar.emissions import EMISSIONS, RADAR_ADDRESS, Station, merged

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hardware_sim.world import World

MTU = 1500
RADAR_PORT = 50_000
_GLOBAL = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, 1)
_RADAR_MAC = bytes.fromhex("020000000001")


def record(world: World, names: tuple[str, ...], path: Path, start_unix_s: float, duration_s: float) -> int:
    """Write what these emissions send from the start on; the count of datagrams (or sentences)."""
    station = Station(world, start_unix_s)
    written = 0
    with path.open("wb") as out:
        if path.suffix == ".pcap":
            out.write(_GLOBAL)
        for t, name, data in merged(station, names):
            if t > duration_s:
                break
            if path.suffix == ".pcap":
                emission = EMISSIONS[name]
                for packet in ethernet_packets(data, emission.group, emission.port, written):
                    seconds, micros = divmod(round((start_unix_s + t) * 1e6), 1_000_000)
                    out.write(struct.pack("<IIII", seconds, micros, len(packet), len(packet)) + packet)
            else:
                out.write(data)
            written += 1
    return written


def ethernet_packets(payload: bytes, group: str, port: int, number: int) -> Iterator[bytes]:
    """The frames that carry a UDP datagram to a multicast group; `number` is its IP identification."""
    datagram = struct.pack(">HHHH", RADAR_PORT, port, 8 + len(payload), 0) + payload
    to = socket.inet_aton(group)
    frame = b"\x01\x00\x5e" + bytes((to[1] & 0x7F,)) + to[2:] + _RADAR_MAC + b"\x08\x00"
    step = (MTU - 20) // 8 * 8
    for at in range(0, len(datagram), step):
        part = datagram[at : at + step]
        more = 0x2000 if at + step < len(datagram) else 0
        yield frame + _ip_header(len(part), number & 0xFFFF, more | at // 8, to) + part


def _ip_header(size: int, number: int, flags: int, to: bytes) -> bytes:
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + size, number, flags, 64, 17, 0)
    head += socket.inet_aton(RADAR_ADDRESS) + to
    total = sum(struct.unpack(">10H", head))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return head[:10] + struct.pack(">H", ~total & 0xFFFF) + head[12:]
