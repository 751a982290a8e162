"""Beacons by which yacht radars are found: where their video and reports go. Pure: bytes in, facts out.

Promises:
- a beacon that is cut off, or names no multicast group, gives no radar and raises nothing: anybody may send anything to
  the groups of beacons;
- `url`, `also` and `control` are what a `[[sensor]]` of the configuration takes.

Protocol: Navico's as in `navico.py`; a Raymarine's of 36 octets is u32 0, u32 link, u32 kind, at 20 where it sends and
at 28 where it takes orders (four octets of address and u16 port, little endian); one of 56 is u32 1, u32 kind, u32
link, at 20 its name in 32.
"""

from __future__ import annotations

from dataclasses import dataclass

from agent.drivers.radar.navico import beacon_streams
from agent.errors import ProtocolError

_RAYMARINE_PLACES, _RAYMARINE_NAME = 36, 56
_RAYMARINE_RADARS = frozenset({0x28, 0x66, 0x4D, 0x01})  # Quantum in both beacons, Quantum by WiFi, RD


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A radar that says where it is. `identity`: its serial number, or its link; `range_name` of a radar with two."""

    driver: str
    url: str
    also: tuple[str, ...] = ()
    control: str = ""
    identity: str
    range_name: str = ""


def radars(data: bytes) -> list[Found]:
    """What one datagram says; empty where it is no beacon of a radar."""
    if data[:2] == b"\x01\xb2":
        return _navico(data)
    if len(data) == _RAYMARINE_PLACES and data[:4] == bytes(4):
        return _raymarine(data)
    return []


def raymarine_name(data: bytes) -> tuple[str, str] | None:
    """(link, name of the radar) from a beacon that names it."""
    if len(data) != _RAYMARINE_NAME or data[:4] != b"\x01\0\0\0" or _kind(data, 4) not in _RAYMARINE_RADARS:
        return None
    return data[8:12].hex(), data[20:52].split(b"\0")[0].decode("ascii", "replace")


def _navico(data: bytes) -> list[Found]:
    try:
        serial, streams = beacon_streams(data)
    except ProtocolError:
        return []
    out = []
    for name in ("a", "b"):
        of = {s.kind: s.address for s in streams if s.range_name == name}
        if "data" in of:
            also = (f"udp://{of['report']}",) if "report" in of else ()
            url = f"udp://{of['data']}"
            control = f"udp://{of['send']}" if "send" in of else ""
            out.append(Found(driver="navico", url=url, also=also, control=control, identity=serial, range_name=name))
    return out


def _raymarine(data: bytes) -> list[Found]:
    if _kind(data, 8) not in _RAYMARINE_RADARS or not 224 <= data[23] <= 239:
        return []
    url, control = _raymarine_place(data, 20), _raymarine_place(data, 28)
    return [Found(driver="raymarine", url=url, control=control, identity=data[4:8].hex())]


def _raymarine_place(data: bytes, at: int) -> str:
    """The address' octets stand in reverse; "" where it is all zeros."""
    if not any(data[at : at + 4]):
        return ""
    address = ".".join(str(b) for b in reversed(data[at : at + 4]))
    return f"udp://{address}:{int.from_bytes(data[at + 4 : at + 6], 'little')}"


def _kind(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "little")
