"""Navico discovery beacons and reports on the wire: how a display finds a HALO or a 4G, and what it is told of it.

A beacon (222 octets, to 236.6.7.5:6878): 01 B2, 16 ASCII serial, the radar's own address, u16 count and so many
services. A service is u16 kind, u16 which range (0120 A, 0220 B), u16 count and so many (u32 role, address); roles are
10 data, 11 send, 12 report; kind 10 is the radar itself. Addresses are four octets and a port in network order, all
else little endian.

Reports (`XX C4`, to the report address): 01 state (1 standby, 2 transmits), 02 controls with the selected range in dm,
03 model, hours, date of the firmware in UTF-16, 04 alignment in 0.1 deg, 08 Doppler state and threshold in cm/s;
`11 C6` a heartbeat. What their other octets mean is not known: zeros, or what a HALO24 sends. That report 04 holds the
antenna's height in mm at 10 is a guess from two captures.

Source: a HALO24's capture, whose beacon this is octet by octet, and the public decoders' reading of it. That a 4G sends
the same layout, and its addresses but for range A's, are by their word only.
"""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from hardware_sim.radar.navico import Model

Address = tuple[str, int]

BEACON_GROUP, BEACON_PORT = "236.6.7.5", 6878
BEACON_BYTES = 222
STANDBY, TRANSMITS = 1, 2
DOPPLER_OFF, DOPPLER_BOTH, DOPPLER_APPROACHING = 0, 1, 2
_RANGES = {"a": 0x0120, "b": 0x0220}
_RADAR = 0x10
_ROLES = (0x10, 0x11, 0x12)  # data, send, report


class Service(NamedTuple):
    """A kind of traffic of one range, and its addresses: data, send and (of some) report."""

    kind: int
    range: str
    addresses: tuple[Address, ...]


class Identity(NamedTuple):
    """One radar: serial number, port of its own, octets 2 to 4 of its model report, what it sends where."""

    serial: str
    port: int
    model: bytes
    services: tuple[Service, ...]

    def address(self, role: str, range_name: str = "a") -> Address:
        """Where `data` or `report`s of a range go."""
        of = next(s for s in self.services if s.kind == _RADAR and s.range == range_name)
        return of.addresses[{"data": 0, "send": 1, "report": 2}[role]]


def _services(*rows: tuple[int, str, str]) -> tuple[Service, ...]:
    """Of (kind, range, `LAST.PART:PORT ...` within 236.6)."""
    return tuple(
        Service(
            kind,
            which,
            tuple(("236.6." + host, int(port)) for host, port in (a.split(":") for a in said.split())),
        )
        for kind, which, said in rows
    )


IDENTITIES: dict[Model, Identity] = {
    "halo": Identity(
        "1902501034",
        0x3131,
        b"\x00\x00\x07",
        _services(
            (0xFFFD, "a", "9.48:7056 7.22:6694"),
            (0x1F, "a", "9.49:7057 9.50:7058"),
            (_RADAR, "a", "9.51:7059 9.52:7060 9.51:7061"),
            (_RADAR, "b", "9.53:7062 9.54:7063 9.53:7064"),
            (0x12, "a", "9.51:7065 9.55:7066 9.51:7067"),
            (0x12, "b", "9.53:7068 9.56:7069 9.53:7070"),
        ),
    ),
    "4g": Identity(
        "1403302452",
        0x3131,
        b"\x01\x00\x00",
        _services(
            (0xFFFD, "a", "7.22:6694 7.22:6694"),
            (0x1F, "a", "7.22:6694 7.22:6694"),
            (_RADAR, "a", "7.8:6678 7.10:6680 7.9:6679"),
            (_RADAR, "b", "7.13:6657 7.14:6658 7.15:6659"),
            (0x12, "a", "7.18:6688 7.20:6690 7.19:6689"),
            (0x12, "b", "7.12:6660 7.13:6661 7.14:6662"),
        ),
    ),
}


def beacon(identity: Identity, ip: str) -> bytes:
    """The beacon of a radar whose own address is `ip`."""
    out = b"\x01\xb2" + identity.serial.encode("ascii").ljust(16, b"\0") + _address((ip, identity.port))
    out += struct.pack("<H", len(identity.services))
    for kind, which, addresses in identity.services:
        out += struct.pack("<HHH", kind, _RANGES[which], len(addresses))
        for role, address in zip(_ROLES, addresses, strict=False):
            out += struct.pack("<I", role) + _address(address)
    return out


def state(code: int) -> bytes:
    """Report 01: what the radar does."""
    return b"\x01\xc4" + bytes((code,)) + bytes(14) + b"\x01"


def controls(range_m: float, *, interference_rejection: bool) -> bytes:
    """Report 02: the selected range; gain and sea control are automatic, rain control is off."""
    out = bytearray(99)
    struct.pack_into("<BBI", out, 0, 0x02, 0xC4, round(range_m * 10.0))
    out[7:9] = b"\x01\x01"
    out[12], out[13], out[17] = 0x80, 1, 0x40
    out[34] = 2 if interference_rejection else 0
    return bytes(out)


def model(identity: Identity, hours: int) -> bytes:
    """Report 03: which radar, how long it has run, of when its firmware is."""
    out = bytearray(129)
    out[:5] = b"\x03\xc4" + identity.model
    struct.pack_into("<I", out, 34, hours)
    for at, text in ((58, "Sep 29 2023"), (90, "03:17:35")):
        data = text.encode("utf-16-le")
        out[at : at + len(data)] = data
    return bytes(out)


def installation(alignment_deg: float, height_m: float) -> bytes:
    """Report 04: how the antenna stands."""
    out = bytearray(66)
    struct.pack_into("<BB4xh2xH", out, 0, 0x04, 0xC4, round(alignment_deg * 10.0), min(0xFFFF, round(height_m * 1e3)))
    return bytes(out)


def advanced(doppler: int, threshold_mps: float) -> bytes:
    """Report 08 of a radar with Doppler: which echoes it colours, and from which radial speed on."""
    out = bytearray.fromhex("08c402000301000000c02b0102021900010000000001")
    out[18] = doppler
    struct.pack_into("<H", out, 19, round(threshold_mps * 100.0))
    return bytes(out)


def heartbeat() -> bytes:
    """Every two seconds, whatever the radar does."""
    return b"\x11\xc6\x00"


def _address(address: Address) -> bytes:
    return socket.inet_aton(address[0]) + struct.pack(">H", address[1])
