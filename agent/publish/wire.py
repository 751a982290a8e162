"""The messages of topic major `s1`, small CBOR payloads: what they are, and payloads to JSON objects.

encoder.py makes them of Vigía's types.

Promises:
- an alert with all its fields takes at most 48 bytes, a track in a batch of twenty at most 20, a health message 34
  whatever is in it, the last will 6 (golden messages in tests/publish/golden.json, layout in docs/wire.cddl);
- `decode*` raises `ProtocolError` and nothing else, whatever the bytes; fields after the known ones are ignored (pairs
  of tracks and counters end at a null, beyond which a newer sender may say more);
- a message that points beyond its birth's tables raises `UnknownBirthError`: a newer birth will make it readable;
- `seq` counts a boot's durable messages (alerts, health, notes, losses) from 1 without holes; tracks have a count of
  their own, because a batch that a newer one replaced must leave no hole in what the picture acknowledges.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agent.errors import ProtocolError
from agent.messages import AlertState, Likelihood, SensorState, Severity
from agent.publish import birth as births
from agent.publish import cbor, kinematics, records
from agent.publish.birth import VERSION, Birth, is_int, is_uint, is_version
from agent.publish.reasons import sentence

if TYPE_CHECKING:
    from collections.abc import Sequence
    from enum import StrEnum

TOPIC_MAJOR = "s1"
SENTENCE_MAX_BYTES = 160
HEALTH_MAX_BYTES = 34  # counters that do not fit go into the note
BATCH = 20  # tracks in one message
NO_MMSI = 0  # in a track: what receivers remember of its identity no longer holds

# Order is part of the format: append only.
ALERT_STATES = (AlertState.RAISED, AlertState.UPDATED, AlertState.CLEARED)
SEVERITIES = (Severity.LOW, Severity.MEDIUM, Severity.HIGH)
LIKELIHOODS = (Likelihood.POSSIBLE, Likelihood.LIKELY, Likelihood.VERY_LIKELY, Likelihood.CERTAIN)
SENSOR_STATES = (
    SensorState.STARTING, SensorState.OK, SensorState.DEGRADED, SensorState.STALE, SensorState.UNAVAILABLE,
    SensorState.UNSUPPORTED,
)  # fmt: skip
OTHER_REASON = 255
_UNLISTED = "other"


class UnknownBirthError(ProtocolError):
    """A message cannot be read yet: its birth, or the newest edition of it, has not come. Keep it and wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What every alert, track batch, health and loss starts with. `boot16` is the low half of the boot id."""

    boot16: int
    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ack:
    """What the picture has of one boot: everything up to `contiguous`, and `ranges` (inclusive) beyond it."""

    boot: int
    contiguous: int
    ranges: tuple[tuple[int, int], ...] = ()

    def covers(self, seq: int) -> bool:
        """Whether the picture has the message."""
        return seq <= self.contiguous or any(a <= seq <= b for a, b in self.ranges)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """Messages of `boot` that the outbox had to give up: inclusive seq ranges, and how many of which kind."""

    boot: int
    ranges: tuple[tuple[int, int], ...]
    alerts: int
    others: int


def topic(node: str, direction: str, kind: str) -> str:
    """`s1/<node>/<u|d>/<kind>`."""
    return f"{TOPIC_MAJOR}/{node}/{direction}/{kind}"


def will(boot: int) -> bytes:
    """The last will: version and full boot id as a CBOR sequence, so that a stale death can be told."""
    return cbor.dumps(VERSION) + cbor.dumps(boot)


def encode_ack(ack: Ack) -> bytes:
    """The payload of `s1/<node>/d/k`: `[v, boot, contiguous, [*[from, to]]]`."""
    return cbor.dumps([VERSION, ack.boot, ack.contiguous, ack.ranges])


def decode_ack(payload: bytes) -> Ack:
    """What the picture says it has.

    Raises:
        ProtocolError: the payload is no acknowledgement.

    """
    row = _row(payload, 4, "an acknowledgement")
    if not is_uint(row[1], 32) or not is_uint(row[2]):
        raise ProtocolError("an acknowledgement names a boot id and a sequence number")
    return Ack(boot=row[1], contiguous=row[2], ranges=_ranges(row[3]))


def head(payload: bytes, most: int = cbor.MAX_BYTES) -> Head:
    """Which birth an alert, track batch, health or loss belongs to.

    Raises:
        ProtocolError: the payload is none of them.

    """
    row = fields(payload, most)
    return Head(boot16=row[1], seq=row[2])


def decode(kind: str, payload: bytes, birth: Birth) -> list[dict[str, Any]]:
    """The JSON objects in a payload of topic letter `kind` (a, t, h, n, l, v, r or i), read with the birth of its boot.

    Raises:
        UnknownBirthError: the birth is another boot's, or an older edition.
        ProtocolError: the payload is broken.

    """
    return decode_fields(kind, fields(payload, records.IMAGE_MAX_BYTES if kind == "i" else cbor.MAX_BYTES), birth)


def decode_fields(kind: str, row: list[Any], birth: Birth) -> list[dict[str, Any]]:
    """The same of `fields(payload)`, for who has looked at them before.

    Raises:
        UnknownBirthError: the birth is another boot's, or an older edition.
        ProtocolError: the payload is broken.

    """
    if row[1] != birth.boot16:
        raise UnknownBirthError(f"the message belongs to a boot that ends in {row[1]:04x}, its birth has not come")
    base = {
        "node": birth.node, "boot": birth.boot, "seq": row[2], "at": _at(birth, row[3]),
        "label": _name(birth.labels, row[4], "label"),
    }  # fmt: skip
    if kind == "a":
        return [_alert(row, birth, base)]
    if kind == "t":
        return _tracks(row, birth, base)
    if kind == "h":
        return [_health(row, birth, base)]
    if kind == "n":
        return [_note(row, birth, base)]
    if kind == "l":
        return [_loss(row, base)]
    if kind in ("v", "r", "i"):
        return [records.decode(kind, row, birth, base)]
    raise ProtocolError(f"no message has the topic letter {kind[:8]!r}")


def decode_birth(payload: bytes) -> dict[str, Any]:
    """A birth as a JSON object; `birth.decode` gives the type itself.

    Raises:
        ProtocolError: the payload is no birth.

    """
    b = births.decode(payload)
    return {
        "type": "birth", "node": b.node, "boot": b.boot, "at": b.t0_ms / 1000, "lat": b.ref_e5[0] / kinematics.E5,
        "lon": b.ref_e5[1] / kinematics.E5, "sensors": list(b.sensors), "classes": list(b.classes),
        "labels": list(b.labels), "rules": [{"kind": kind, "name": name} for kind, name in b.rules],
        "zones": list(b.zones), "reasons": list(b.reasons), "counters": list(b.counters), "info": b.info,
    }  # fmt: skip


def decode_state(payload: bytes) -> dict[str, Any]:
    """A state message, or the last will, which comes on the same topic.

    Raises:
        ProtocolError: the payload is neither.

    """
    values = cbor.loads_sequence(payload)
    if len(values) == 2 and is_version(values[0]) and is_uint(values[1], 32):
        return {"type": "will", "boot": values[1], "online": False}
    row = _row(payload, 5, "a state message")
    if not is_uint(row[1], 32) or not is_int(row[2]) or row[3] not in (0, 1) or row[4] not in (0, 1):
        raise ProtocolError("a state message names a boot id, a time, and two yes-or-no facts")
    return {
        "type": "state", "boot": row[1], "t_s": row[2] / 10, "online": row[3] == 1,
        "acknowledge": "picture" if row[4] else "broker",
    }  # fmt: skip


def _alert(row: list[Any], birth: Birth, base: dict[str, Any]) -> dict[str, Any]:
    if len(row) < 13 or not all(is_int(x) for x in row[5:8]) or not isinstance(row[10], bytes) or not row[10]:
        raise ProtocolError("an alert is an array of 13 fields at least, with its flags in the eleventh")
    flags, codes = row[10][0], row[10][1:]
    rule = _name(birth.rules, row[8], "rule")
    out: dict[str, Any] = {
        "type": "alert", **base, "id": row[5], "revision": row[6], "situation": row[5] + row[7],
        "rule": rule[0], "rule_name": rule[1],
        "state": str(_choice(ALERT_STATES, flags & 3, "alert state")),
        "severity": str(_choice(SEVERITIES, flags >> 2 & 3, "severity")),
        "likelihood": str(LIKELIHOODS[flags >> 4 & 3]),
        "exercise": bool(flags >> 6 & 1),
        "zone": None if row[9] is None else _name(birth.zones, row[9], "zone"),
        "reason_codes": [_UNLISTED if c == OTHER_REASON else _name(birth.reasons, c, "reason") for c in codes],
        "track": _track_id(row[11]),
        **_kinematics(row[12], birth, base["at"], own_time="track_at"),
    }  # fmt: skip
    out["reasons"] = [sentence(code, out) for code in out["reason_codes"]]
    return out


def _tracks(row: list[Any], birth: Birth, base: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"type": "track", **base, "id": _track_id(n), **_kinematics(k, birth, base["at"], own_time="at")}
        for n, k in _pairs(row, 5, "a batch of tracks ends after a track's number")
    ]


def _health(row: list[Any], birth: Birth, base: dict[str, Any]) -> dict[str, Any]:
    """Its sentence is in a note, by number; boxes up to 0.1.0 had it here."""
    wrong = "a health message is a sensor, a state, a sentence or nothing, pairs of counters, and the number of a note"
    if len(row) < 8 or not (row[7] is None or isinstance(row[7], str)):
        raise ProtocolError(wrong)
    out = {
        "type": "health", **base, "sensor": _name(birth.sensors, row[5], "sensor"),
        "state": str(_choice(SENSOR_STATES, row[6], "sensor state")), "sentence": row[7],
        "counters": _counters(row, birth, wrong),
    }  # fmt: skip
    at = 8 + 2 * len(_pairs(row, 8, wrong)) + 1
    if at < len(row) and is_uint(row[at], 32):  # else it is from the future
        out["note"] = row[at]
    return out


def _note(row: list[Any], birth: Birth, base: dict[str, Any]) -> dict[str, Any]:
    wrong = "a note is its own number, a sentence or nothing, a sensor, and pairs of counters"
    if len(row) < 8 or not is_uint(row[5], 32) or not (row[6] is None or isinstance(row[6], str)):
        raise ProtocolError(wrong)
    return {
        "type": "note", **base, "sensor": _name(birth.sensors, row[7], "sensor"), "note": row[5], "sentence": row[6],
        "counters": _counters(row, birth, wrong),
    }  # fmt: skip


def _counters(row: list[Any], birth: Birth, wrong: str) -> dict[str, float | None]:
    counters = {}
    for name, value in _pairs(row, 8, wrong):
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ProtocolError("a counter in a health message is no number")
        counters[_name(birth.counters, name, "counter")] = float(f"{value:.4g}") if math.isfinite(value) else None
    return counters


def _loss(row: list[Any], base: dict[str, Any]) -> dict[str, Any]:
    if len(row) < 9 or not is_uint(row[5], 32) or not is_uint(row[7]) or not is_uint(row[8]):
        raise ProtocolError("a loss record names a boot id, what was lost and how many")
    return {
        "type": "loss", **base, "lost_boot": row[5], "lost_seqs": [list(r) for r in _ranges(row[6])],
        "lost_alerts": row[7], "lost_others": row[8],
    }  # fmt: skip


def _kinematics(value: Any, birth: Birth, at: float, *, own_time: str) -> dict[str, Any]:
    if not isinstance(value, bytes):
        raise ProtocolError("a track's kinematics are a byte string")
    k = kinematics.unpack(value, birth.ref_e5)
    bits = [i for i in range(k.sources.bit_length()) if k.sources >> i & 1]
    out: dict[str, Any] = {
        "lat": round(k.lat, 5), "lon": round(k.lon, 5), "cog_deg": round(k.cog_deg, 1), "sog_mps": round(k.sog_mps, 2),
        "status": str(k.status), "sources": [_name(birth.sensors, i, "sensor") for i in bits],
    }  # fmt: skip
    if k.dt_s:
        out[own_time] = round(at + k.dt_s, 1)
    if k.mmsi is not None:
        out["mmsi"] = k.mmsi
    if k.class_index is not None:
        out["class"] = _name(birth.classes, k.class_index, "class")
    if k.confidence is not None:
        out["confidence"] = k.confidence
    if k.major_m is not None and k.minor_m is not None:
        out["accuracy_m"] = float(f"{math.hypot(k.major_m, k.minor_m):.3g}")  # one sigma in distance (DRMS)
        out["ellipse"] = {
            "major_m": float(f"{k.major_m:.3g}"),
            "minor_m": float(f"{k.minor_m:.3g}"),
            "angle_deg": round(k.axis_deg, 1),
        }
    if k.bearing_deg is not None:
        out["bearing_deg"] = round(k.bearing_deg, 2)
    if k.sigma_bearing_deg is not None:
        out["sigma_bearing_deg"] = float(f"{k.sigma_bearing_deg:.3g}")
    return out


def _row(payload: bytes, least: int, what: str, most: int = cbor.MAX_BYTES) -> list[Any]:
    row = cbor.loads(payload, most)
    if not isinstance(row, list) or len(row) < least or not is_version(row[0]):
        raise ProtocolError(f"{what} is an array that starts with its version and has {least} fields at least")
    return row


def fields(payload: bytes, most: int = cbor.MAX_BYTES) -> list[Any]:
    """The fields of an alert, track batch, health, note, loss, seal, reply or image; the second and third are its head.

    Raises:
        ProtocolError: the payload is none of them.

    """
    row = _row(payload, 5, "a message", most)
    if not (is_uint(row[1], 16) and is_uint(row[2]) and is_int(row[3])):
        raise ProtocolError("a message starts with its version, half the boot id, a number and a time")
    return row


def _at(birth: Birth, t_ds: int) -> float:
    if abs(t_ds) > 1 << 40:
        raise ProtocolError("a message is thousands of years away from its birth")
    return round(birth.t0_ms / 1000 + t_ds / 10, 1)


def _name(table: Sequence[Any], index: Any, what: str) -> Any:
    if not is_uint(index):
        raise ProtocolError(f"the {what} in a message is no index")
    if index >= len(table):
        raise UnknownBirthError(f"{what} {index} is not in the birth: a newer edition of it has not come")
    return table[index]


def _choice(values: Sequence[StrEnum], index: Any, what: str) -> StrEnum:
    if not is_uint(index) or index >= len(values):
        raise ProtocolError(f"{what} {str(index)[:20]} is unknown to this receiver: update it")
    return values[int(index)]


def _pairs(row: list[Any], first: int, odd: str) -> list[tuple[Any, Any]]:
    """Pairs from `first` up to a null or the end; what follows a null is from the future."""
    end = next((i for i in range(first, len(row), 2) if row[i] is None), len(row))
    if (end - first) % 2:
        raise ProtocolError(odd)
    return list(zip(row[first:end:2], row[first + 1 : end : 2], strict=True))


def _track_id(value: Any) -> int:
    if not is_int(value):
        raise ProtocolError("a track's number is no integer")
    return int(value)


def _ranges(value: Any) -> tuple[tuple[int, int], ...]:
    if not isinstance(value, list):
        raise ProtocolError("ranges are an array of [from, to]")
    out = []
    for pair in value:
        if not isinstance(pair, list) or len(pair) != 2 or not all(is_uint(x) for x in pair) or pair[0] > pair[1]:
            raise ProtocolError("a range is [from, to] with from not beyond to")
        out.append((pair[0], pair[1]))
    return tuple(out)
