"""Reads what Vigía boxes send (topic major `s1`): one file of plain Python, to be taken and changed.

    decoder = Decoder()
    for topic, payload in whatever_your_mqtt_client_gives:
        for row in decoder.feed(topic, payload):
            print(row["type"], row)

`feed` gives dictionaries with `type` (birth, state, will, alert, track, health, note, loss, seal) and plain values in
SI units, degrees and Unix seconds. A message whose birth has not come yet raises `NeedsBirth`: keep it and feed it
again after the next birth of that node. Anything else that cannot be read raises `ValueError`, whatever the bytes. It
neither checks signatures nor removes repeats: (node, boot, seq) names a message, except of tracks. The layout is
docs/wire.md and docs/wire.cddl; tests/publish/golden.json holds bytes and what they mean.

Fields are only ever appended: arrays may be longer than what is read here, and the pairs of track and health messages
end at a null, beyond which a newer sender may say more. A sentence of health comes once, in a note, and then by its
number: health has its `sentence` here where the note came before it.
"""

from __future__ import annotations

import math
import struct
from typing import Any

STATUSES = ("tentative", "confirmed", "coasting", "ais", "lost")
ALERT_STATES = ("raised", "updated", "cleared")
SEVERITIES = ("low", "medium", "high")
LIKELIHOODS = ("possible", "likely", "very-likely", "certain")
SENSOR_STATES = ("starting", "ok", "degraded", "stale", "unavailable", "unsupported")
FLOATS = {25: ">e", 26: ">f", 27: ">d"}
SIMPLE = {20: False, 21: True, 22: None}
KNOT_MPS = 1852 / 3600
NEAR = 1 << 18
# status, bearing only, mmsi, dt, wide, class, confidence, dlat, dlon, cog, sog, precision: 96 bits
WIDTHS = (3, 1, 1, 1, 1, 6, 7, 19, 19, 8, 10, 20)


class NeedsBirth(ValueError):  # noqa: N818 - a state, not a mistake
    """The message points into a birth, or an edition of it, that has not come."""


class Decoder:
    """Keeps the births of all nodes: by node, and then by the low half of the boot id."""

    def __init__(self) -> None:
        self.births: dict[tuple[str, int], list[Any]] = {}
        self.notes: dict[tuple[str, int, int], str] = {}  # node, boot, number: grows with the sentences of all boots

    def feed(self, topic: str, payload: bytes) -> list[dict[str, Any]]:
        """What one MQTT message says; an empty list for topics that are not a box's."""
        parts = topic.split("/")
        if len(parts) != 4 or parts[0] != "s1" or parts[2] != "u":
            return []
        node, kind = parts[1], parts[3]
        try:
            if kind == "b":
                return [self._birth(node, _one(payload))]
            if kind == "s":
                return [{"node": node, **_state(payload)}]
            if kind in ("a", "t", "h", "n", "l", "v"):
                return self._message(node, kind, _one(payload))
        except NeedsBirth:
            raise
        except (ValueError, TypeError, IndexError, KeyError, AttributeError, OverflowError, RecursionError) as e:
            raise ValueError(f"{topic}: {e}") from e
        return []

    def _birth(self, node: str, row: list[Any]) -> dict[str, Any]:
        if row[1] != node or len(row) < 13:
            raise ValueError("not this node's birth")
        self.births[node, row[2] & 0xFFFF] = row
        return {
            "type": "birth", "node": node, "boot": row[2], "at": row[3] / 1000, "lat": row[4][0] / 1e5,
            "lon": row[4][1] / 1e5, "sensors": row[5], "classes": row[6], "labels": row[7],
            "rules": [{"kind": r[0], "name": r[1]} for r in row[8]], "zones": row[9], "reasons": row[10],
            "counters": row[11], "info": row[12],
        }  # fmt: skip

    def _message(self, node: str, kind: str, row: list[Any]) -> list[dict[str, Any]]:
        birth = self.births.get((node, row[1]))
        if birth is None:
            raise NeedsBirth(f"no birth of {node} has come whose boot id ends in {row[1]:04x}")
        base = {
            "node": node, "boot": birth[2], "seq": row[2], "at": round(birth[3] / 1000 + row[3] / 10, 1),
            "label": _entry(birth, 7, row[4]),
        }  # fmt: skip
        if kind == "a":
            return [{"type": "alert", **base, **_alert(row, birth, base["at"])}]
        if kind == "t":
            return [
                {"type": "track", **base, "id": n, **_kinematics(k, birth, base["at"], "at")}
                for n, k in _pairs(row[5:])
            ]
        if kind == "h":
            out = {"type": "health", **base, **_health(row, birth)}
            if "note" in out:
                out["sentence"] = self.notes.get((node, birth[2], out["note"]), out["sentence"])
            return [out]
        if kind == "n":
            if isinstance(row[6], str):
                self.notes[node, birth[2], _uint(row[5])] = row[6]
            known = self.notes.get((node, birth[2], _uint(row[5])))
            note = {"sensor": _entry(birth, 5, row[7]), "note": row[5], "sentence": known}
            return [{"type": "note", **base, **note, "counters": _counters(row, birth)}]
        if kind == "l":
            lost = {"lost_boot": row[5], "lost_seqs": row[6], "lost_alerts": row[7], "lost_others": row[8]}
            return [{"type": "loss", **base, **lost}]
        digests = [row[7][i : i + 8].hex() for i in range(0, len(row[7]), 8)]
        return [{"type": "seal", **base, "sealed_boot": row[5], "first": row[6], "digests": digests}]


def _item(data: bytes) -> Any:
    """The one CBOR item in `data`.

    A reader of its own, for the few kinds that the wire uses: general ones follow tags, and a tag of five bytes can ask
    for a number that takes a minute to build.
    """
    value, pos = _read(data, 0, 6)
    if pos != len(data):
        raise ValueError("more than one item")
    return value


def _read(data: bytes, pos: int, depth: int) -> tuple[Any, int]:
    """(value, position after it)."""
    major, info = data[pos] >> 5, data[pos] & 31
    pos += 1
    if major == 7 and info in SIMPLE:
        return SIMPLE[info], pos
    if info > 27 or depth == 0 or major == 6:
        raise ValueError("CBOR that has no place in a message")
    size = 0 if info < 24 else 1 << (info - 24)
    argument = data[pos : pos + size]
    pos += size
    if pos > len(data) or (major == 7 and info < 25):
        raise ValueError("the message ends in the middle, or holds an unknown simple value")
    if major == 7:
        return struct.unpack(FLOATS[info], argument)[0], pos
    n = info if info < 24 else int.from_bytes(argument, "big")
    if major < 2:
        return (n if major == 0 else -1 - n), pos
    if n > len(data) - pos:
        raise ValueError("a length beyond the end of the message")
    if major < 4:
        return (data[pos : pos + n] if major == 2 else data[pos : pos + n].decode()), pos + n
    items = []
    for _ in range(n if major == 4 else 2 * n):
        item, pos = _read(data, pos, depth - 1)
        items.append(item)
    return (items if major == 4 else dict(zip(items[::2], items[1::2], strict=True))), pos


def _uint(value: Any) -> int:
    if not isinstance(value, int) or value < 0:
        raise ValueError("not a number where one has to be")
    return value


def _one(payload: bytes) -> list[Any]:
    row = _item(payload)
    if not isinstance(row, list) or not isinstance(row[0], int) or row[0] < 1:
        raise ValueError("not an array that starts with its version")
    return row


def _state(payload: bytes) -> dict[str, Any]:
    if payload and payload[0] >> 5 == 0:  # the last will: two items, version and boot id
        version, at = _read(payload, 0, 1)
        if version < 1:
            raise ValueError("a last will starts with its version")
        return {"type": "will", "boot": _uint(_item(payload[at:])), "online": False}
    row = _one(payload)
    who = "picture" if row[4] else "broker"
    return {"type": "state", "boot": row[1], "t_s": row[2] / 10, "online": row[3] == 1, "acknowledge": who}


def _alert(row: list[Any], birth: list[Any], at: float) -> dict[str, Any]:
    flags, codes = row[10][0], row[10][1:]
    rule = _entry(birth, 8, row[8])
    return {
        "id": row[5], "revision": row[6], "situation": row[5] + row[7], "rule": rule[0], "rule_name": rule[1],
        "state": ALERT_STATES[flags & 3], "severity": SEVERITIES[flags >> 2 & 3],
        "likelihood": LIKELIHOODS[flags >> 4 & 3], "exercise": bool(flags >> 6 & 1),
        "zone": None if row[9] is None else _entry(birth, 9, row[9]),
        "reason_codes": ["other" if c == 255 else _entry(birth, 10, c) for c in codes], "track": row[11],
        **_kinematics(row[12], birth, at, "track_at"),
    }  # fmt: skip


def _health(row: list[Any], birth: list[Any]) -> dict[str, Any]:
    out = {
        "sensor": _entry(birth, 5, row[5]), "state": SENSOR_STATES[row[6]], "sentence": row[7],
        "counters": _counters(row, birth),
    }  # fmt: skip
    at = 8 + 2 * len(_pairs(row[8:])) + 1
    if at < len(row) and isinstance(row[at], int):
        out["note"] = row[at]
    return out


def _counters(row: list[Any], birth: list[Any]) -> dict[str, Any]:
    return {_entry(birth, 11, i): float(f"{x:.4g}") if math.isfinite(x) else None for i, x in _pairs(row[8:])}


def _kinematics(k: bytes, birth: list[Any], at: float, own_time: str) -> dict[str, Any]:
    bits, values = int.from_bytes(k[:12], "big"), []
    for width in reversed(WIDTHS):
        values.append(bits & (1 << width) - 1)
        bits >>= width
    status, bearing_only, has_mmsi, has_dt, wide, klass, percent, dlat, dlon, cog, sog, precision = values[::-1]
    pos = 12

    def number(size: int, *, signed: bool) -> int:
        nonlocal pos
        pos += size
        if pos > len(k):
            raise ValueError("kinematics end in the middle of a field")
        return int.from_bytes(k[pos - size : pos], "big", signed=signed)

    dt = number(2, signed=True) if has_dt else 0
    if wide:
        lat, lon = number(4, signed=True), number(4, signed=True)
    else:
        lat, lon = dlat - NEAR + birth[4][0], dlon - NEAR + birth[4][1]
        lon = (lon + 18_000_000) % 36_000_000 - 18_000_000 if abs(lon) > 18_000_000 else lon
    mmsi = number(4, signed=False) if has_mmsi else None
    mask, shift = 0, 0
    while True:  # LEB128
        byte = number(1, signed=False)
        mask |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            break
    out: dict[str, Any] = {
        "lat": round(lat / 1e5, 5), "lon": round(lon / 1e5, 5), "cog_deg": round(cog * 360 / 256, 1),
        "sog_mps": round(sog / 10 * KNOT_MPS, 2), "status": STATUSES[status],
        "sources": [_entry(birth, 5, i) for i in range(mask.bit_length()) if mask >> i & 1],
    }  # fmt: skip
    if dt:
        out[own_time] = round(at + dt / 10, 1)
    if mmsi is not None:
        out["mmsi"] = mmsi
    if klass != 63:
        out["class"] = _entry(birth, 6, klass)
    if percent != 127:
        out["confidence"] = percent / 100
    if bearing_only:
        out["bearing_deg"] = round((precision >> 7) * 360 / 8192, 2)
        if precision & 127 != 127:
            out["sigma_bearing_deg"] = float(f"{0.01 * math.exp((precision & 127) * math.log(1.08)):.3g}")
        return out
    major, minor, angle = precision >> 13, precision >> 6 & 127, precision & 63
    if major != 127 and minor != 127:
        major_m, minor_m = math.exp(major * math.log(1.1)), math.exp(minor * math.log(1.1))
        out["accuracy_m"] = float(f"{math.hypot(major_m, minor_m):.3g}")
        angle_deg = round(angle * 180 / 64, 1)
        out["ellipse"] = {
            "major_m": float(f"{major_m:.3g}"), "minor_m": float(f"{minor_m:.3g}"), "angle_deg": angle_deg,
        }  # fmt: skip
    return out


def _pairs(values: list[Any]) -> list[tuple[Any, Any]]:
    """Pairs up to a null or the end."""
    end = next((i for i in range(0, len(values), 2) if values[i] is None), len(values))
    return list(zip(values[0:end:2], values[1:end:2], strict=True))


def _entry(birth: list[Any], table: int, index: int) -> Any:
    if not 0 <= index < len(birth[table]):
        raise NeedsBirth(f"entry {index} of table {table} is not in the birth: a newer edition has not come")
    return birth[table][index]
