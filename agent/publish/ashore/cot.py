"""The picture's vessels as Cursor on Target: XML, and TAK protobuf version 1.

Promises:
- a vessel is `a-u-S-X` (unknown, sea surface) and never hostile: what people are, people decide;
- its uid is its MMSI where it has one, else the box and track that see it best, so that it survives restarts of the
  gateway; `stale` is always set, and a vessel that has ended is told to be stale now;
- numbers that CoT has no value for are its own "unknown" (9999999.0); ce is the 90 % circle.

Sources: MITRE MTR 060124 (Cursor on Target); the .proto files of ATAK-CIV (takproto/*.proto), written by hand here: the
few fields in use need no library.
"""

from __future__ import annotations

import struct
from datetime import UTC, datetime
from typing import Any
from xml.sax.saxutils import quoteattr

TYPE = "a-u-S-X"
HOW = "m-f"  # machine, fused
UNKNOWN = 9999999.0
_CE90 = 1.52  # times the distance root mean square, for a circular normal distribution
MESH = b"\xbf\x01\xbf"  # header of one datagram: magic, version 1, magic
_STREAM = b"\xbf"  # header of one message on a stream, its length follows

Vessel = dict[str, Any]  # as agent/publish/ashore/vessels.py shows it


def uid(vessel: Vessel) -> str:
    """The name of a vessel in TAK."""
    if "mmsi" in vessel:
        return f"MMSI-{vessel['mmsi']}"
    member = vessel["members"][0]
    return f"vigia-{member['node']}-{member['track']}"


def event_xml(vessel: Vessel, now: float, stale_s: float, alerts: list[dict[str, Any]] | None = None) -> bytes:
    """One CoT event. Times are Unix seconds; `alerts` about the vessel go into its remarks."""
    attributes = {
        "version": "2.0", "uid": uid(vessel), "type": TYPE, "how": HOW, "time": _time(now),
        "start": _time(vessel["at"]),        "stale": _time(_stale(vessel, now, stale_s)),
    }  # fmt: skip
    point = {
        "lat": f"{vessel['lat']:.5f}", "lon": f"{vessel['lon']:.5f}", "hae": UNKNOWN, "ce": f"{_ce(vessel):.1f}",
        "le": UNKNOWN,
    }  # fmt: skip
    track = {"course": f"{vessel['cog_deg']:.1f}", "speed": f"{vessel['sog_mps']:.2f}"}
    text = _remarks(vessel, alerts or [])
    contact = {"callsign": _name(vessel)}
    return (
        f"<event{_attributes(attributes)}><point{_attributes(point)}/><detail><contact{_attributes(contact)}/>"
        f"<track{_attributes(track)}/><remarks>{_escape(text)}</remarks></detail></event>"
    ).encode()


def event_protobuf(
    vessel: Vessel, now: float, stale_s: float, alerts: list[dict[str, Any]] | None = None, *, stream: bool = False
) -> bytes:
    """The same as one TAK protobuf message, with the header of a datagram or of a stream."""
    remarks = f"<remarks>{_escape(_remarks(vessel, alerts or []))}</remarks>"
    detail = (
        _bytes(1, remarks.encode())  # xmlDetail
        + _bytes(2, _bytes(2, _name(vessel).encode()))  # contact.callsign
        + _bytes(7, _double(1, vessel["sog_mps"]) + _double(2, vessel["cog_deg"]))  # track.speed, track.course
    )
    event = (
        _bytes(1, TYPE.encode()) + _bytes(5, uid(vessel).encode()) + _number(6, _ms(now))
        + _number(7, _ms(vessel["at"])) + _number(8, _ms(_stale(vessel, now, stale_s))) + _bytes(9, HOW.encode())
        + _double(10, vessel["lat"]) + _double(11, vessel["lon"]) + _double(12, UNKNOWN) + _double(13, _ce(vessel))
        + _double(14, UNKNOWN) + _bytes(15, detail)
    )  # fmt: skip
    message = _bytes(2, event)  # TakMessage.cotEvent
    return _STREAM + _varint(len(message)) + message if stream else MESH + message


def _stale(vessel: Vessel, now: float, stale_s: float) -> float:
    return now if vessel.get("status") == "lost" else now + stale_s


def _ce(vessel: Vessel) -> float:
    return float(vessel["accuracy_m"]) * _CE90 if "accuracy_m" in vessel else UNKNOWN


def _name(vessel: Vessel) -> str:
    return str(vessel.get("name") or vessel.get("mmsi") or vessel["vessel"])


def _remarks(vessel: Vessel, alerts: list[dict[str, Any]]) -> str:
    parts = [vessel["class"]] if "class" in vessel else []
    parts += [" ".join(a["reasons"]) + (" EXERCISE" if a["exercise"] else "") for a in alerts]
    parts.append("seen by " + ", ".join(sorted({m["node"] for m in vessel["members"]})))
    return "; ".join(parts)


def _time(unix_s: float) -> str:
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def _ms(unix_s: float) -> int:
    return max(0, round(unix_s * 1000))


def _attributes(values: dict[str, Any]) -> str:
    return "".join(f" {k}={quoteattr(_plain(str(v)))}" for k, v in values.items())


def _escape(text: str) -> str:
    return _plain(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _plain(text: str) -> str:
    """Without the characters that XML has no place for."""
    return "".join(c for c in text if c.isprintable())


# Protocol Buffers wire format (protobuf.dev/programming-guides/encoding)


def _varint(n: int) -> bytes:
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def _number(field: int, n: int) -> bytes:
    return _varint(field << 3) + _varint(n)


def _double(field: int, x: float) -> bytes:
    return _varint(field << 3 | 1) + struct.pack("<d", x)


def _bytes(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content
