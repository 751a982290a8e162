"""The birth message: what a box says once so that it need not say it in every message.

Promises:
- a birth belongs to one boot (one start of the agent); its tables only grow and never change order, so a message
  written under an older edition reads the same under a newer one;
- a newer edition of the same boot may correct `t0_ms` (the wall clock was wrong) and may have longer tables;
- `decode` raises `ProtocolError` and nothing else.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from agent.errors import ProtocolError
from agent.publish import cbor, cose

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.publish.cose import NodeKey

VERSION = 1
SIGNATURE = 15  # its place in the array
_TABLE_MAX = 1000  # entries; a table longer than this is not a birth of ours
_TEXT_MAX = 64  # characters of one name


@dataclass(frozen=True, slots=True, kw_only=True)
class Birth:
    """Everything that a receiver needs to read the messages of one boot.

    `t0_ms` is Unix time (UTC, ms) at which message time 0 stands; `ref_e5` the reference position (lat, lon) in 1e-5
    deg; `rules` are (kind, name); `info` is for people and never needed to decode.
    `key` is the node's public key where it signs; `previous` the boot before this one and its last number.
    """

    node: str
    boot: int
    t0_ms: int
    ref_e5: tuple[int, int]
    sensors: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    labels: tuple[str, ...] = ("default",)
    rules: tuple[tuple[str, str], ...] = ()
    zones: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    counters: tuple[str, ...] = ()
    info: dict[str, Any] = field(default_factory=dict)
    key: bytes = b""
    previous: tuple[int, int] | None = None

    @property
    def boot16(self) -> int:
        """The low half of the boot id, which every message carries."""
        return self.boot & 0xFFFF


class Tables:
    """A birth that learns names as they come. `edition` goes up whenever its payload changes."""

    def __init__(self, birth: Birth) -> None:
        self.birth = birth
        self.edition = 1
        self._index: dict[str, dict[Any, int]] = {}
        for table in ("sensors", "classes", "rules", "zones", "reasons", "counters"):
            self._index[table] = {name: i for i, name in enumerate(getattr(birth, table))}

    def index(self, table: str, name: str | tuple[str, str]) -> int:
        """The place of `name` in `table`; a name that is new is appended to it.

        Raises:
            ProtocolError: the name is too long, or the table full: a receiver would refuse the whole birth.

        """
        known = self._index[table]
        if name not in known:
            if len(known) >= _TABLE_MAX or any(len(x) > _TEXT_MAX for x in ([name] if isinstance(name, str) else name)):
                raise ProtocolError(f"{str(name)[:40]!r} does not fit into the birth's table of {table}")
            known[name] = len(known)
            self._change(**{table: (*getattr(self.birth, table), name)})
        return known[name]

    def mask(self, sensors: Iterable[str]) -> int:
        """Bit mask of sensors."""
        out = 0
        for name in sensors:
            out |= 1 << self.index("sensors", name)
        return out

    def correct_clock(self, t0_ms: int) -> None:
        """Message time 0 stands at another Unix time than was thought."""
        if t0_ms != self.birth.t0_ms:
            self._change(t0_ms=t0_ms)

    def tell(self, info: dict[str, Any]) -> None:
        """Something that people are told has changed."""
        if info.items() - self.birth.info.items():
            self._change(info={**self.birth.info, **info})

    def _change(self, **fields: Any) -> None:
        self.birth = replace(self.birth, **fields)
        self.edition += 1


def encode(birth: Birth, key: NodeKey | None = None) -> bytes:
    """The payload of `s1/<node>/u/b`; signed with `key`, whose public half is in it, where one is given."""
    row = [
        VERSION, birth.node, birth.boot, birth.t0_ms, list(birth.ref_e5), birth.sensors, birth.classes, birth.labels,
        birth.rules, birth.zones, birth.reasons, birth.counters, birth.info,
    ]  # fmt: skip
    if key is None:
        return cbor.dumps(row)
    previous = None if birth.previous is None else list(birth.previous)
    return cose.append_signature([*row, key.public, previous], context(birth.node), key)


def context(node: str) -> bytes:
    """What a birth's signature covers beside the birth: its topic."""
    return f"s1/{node}/u/b".encode()


def check_signature(payload: bytes, birth: Birth) -> None:
    """Check that the key named in a birth has signed it.

    Raises:
        ProtocolError: it has not.

    """
    if not birth.key:
        raise ProtocolError(f"the birth of {birth.node[:40]!r} is not signed")
    cose.check_appended(payload, SIGNATURE, context(birth.node), birth.key)


def decode(payload: bytes) -> Birth:
    """The birth in a payload.

    Raises:
        ProtocolError: it is none.

    """
    row = cbor.loads(payload)
    if not isinstance(row, list) or len(row) < 13:
        raise ProtocolError("a birth is an array of 13 fields at least")
    version, node, boot, t0_ms, ref = row[:5]
    if not is_version(version) or not isinstance(node, str) or not is_uint(boot, 32):
        raise ProtocolError("a birth starts with its version, the node's name and the boot id")
    if not is_uint(t0_ms, 48) or not isinstance(ref, list) or len(ref) != 2 or not all(is_int(x) for x in ref):
        raise ProtocolError(f"the birth of {node[:40]!r} has no time or no reference position")
    if abs(ref[0]) > 9_000_000 or abs(ref[1]) > 18_000_000:
        raise ProtocolError(f"the birth of {node[:40]!r} has its reference position off the Earth")
    if not isinstance(row[12], dict):
        raise ProtocolError(f"the birth of {node[:40]!r} has an info field that is no map")
    return Birth(
        node=node, boot=boot, t0_ms=t0_ms, ref_e5=(ref[0], ref[1]), sensors=_names(row[5]), classes=_names(row[6]),
        labels=_names(row[7]), rules=_pairs(row[8]), zones=_names(row[9]), reasons=_names(row[10]),
        counters=_names(row[11]), info={str(k): v for k, v in row[12].items() if _is_plain(v)},
        key=_key(row), previous=_previous(row),
    )  # fmt: skip


def _key(row: list[Any]) -> bytes:
    key = row[13] if len(row) > 13 else None
    return key if isinstance(key, bytes) and len(key) == cose.KEY_BYTES else b""


def _previous(row: list[Any]) -> tuple[int, int] | None:
    previous = row[14] if len(row) > 14 else None
    if isinstance(previous, list) and len(previous) == 2 and is_uint(previous[0], 32) and is_uint(previous[1]):
        return previous[0], previous[1]
    return None


def is_int(x: Any) -> bool:
    """An integer of at most 64 bits, and no boolean."""
    return isinstance(x, int) and not isinstance(x, bool) and -(1 << 63) <= x < 1 << 63


def is_uint(x: Any, bits: int = 63) -> bool:
    """An integer from 0 to below 2**bits."""
    return is_int(x) and 0 <= x < 1 << bits


def is_version(x: Any) -> bool:
    """A schema version: fields are only appended, so every version of this topic major can be read."""
    return is_uint(x, 8) and x >= VERSION


def _is_plain(x: Any) -> bool:
    return isinstance(x, str | int) or (isinstance(x, float) and math.isfinite(x))


def _names(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > _TABLE_MAX:
        raise ProtocolError("a table in a birth is an array of names")
    if not all(isinstance(x, str) and len(x) <= _TEXT_MAX for x in value):
        raise ProtocolError("a table in a birth holds something else than short texts")
    return tuple(value)


def _pairs(value: Any) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, list) or len(value) > _TABLE_MAX:
        raise ProtocolError("the rules in a birth are an array")
    out = []
    for pair in value:
        kind_name = _names(pair)
        if len(kind_name) < 2:
            raise ProtocolError("a rule in a birth is its kind and its name")
        out.append((kind_name[0], kind_name[1]))
    return tuple(out)
