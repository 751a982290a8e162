"""A picture's store checked offline: what was signed, what a seal covers, what was changed or removed.

Promises:
- every record gets one verdict: `sealed`, `unsealed` (no seal covers it yet, or the box does not sign), `flipped` (its
  bytes or its signature are wrong), `removed` (a seal, a later number or a later boot shows that it was there),
  `given-up` (the box says so itself), `retired` (this store has removed it in time, by its own word), `before` (it is
  older than the first that this store ever had of the boot, or the boot than the first it had of the box: another
  picture had it, and nothing here can tell what became of it);
- only what a key has signed is believed: keys come from the caller, else from the births, and then the verdict is only
  that the run agrees with itself;
- nothing is written.
"""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agent.errors import InputError, ProtocolError
from agent.publish import birth as births
from agent.publish import cbor, cose
from agent.publish.entries import DIGEST_BYTES, digest
from agent.publish.records import REPLY_SIGNATURE, SEAL_SIGNATURE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agent.publish.birth import Birth

BAD = ("flipped", "removed")


@dataclass(slots=True)
class _Boot:
    birth: Birth
    signed: bool
    messages: dict[int, tuple[str, bytes]] = field(default_factory=dict)
    lost: list[tuple[int, int]] = field(default_factory=list)
    sealed: dict[int, bytes] = field(default_factory=dict)
    flipped: set[int] = field(default_factory=set)
    retired: list[tuple[int, int]] = field(default_factory=list)
    first: int | None = None  # of all that were ever stored here
    last: int = 0


def verdicts(path: Path, keys: dict[str, bytes] | None = None) -> Iterator[dict[str, Any]]:
    """One object a record: `node`, `boot`, `seq`, `kind`, `verdict`; births and whole boots have no `seq`.

    Raises:
        InputError: the file is no picture's store.

    """
    try:
        db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        nodes: dict[str, dict[int, _Boot]] = defaultdict(dict)
        bad = []
        for node, boot, payload in db.execute("SELECT node, boot, payload FROM births ORDER BY n"):
            known = _read_birth(node, boot, payload, keys)
            if known is None:
                bad.append({"node": node, "boot": boot, "kind": "b", "verdict": "flipped"})
            else:
                nodes[node][boot] = known
        orphans: Counter[tuple[str, int]] = Counter()
        for node, boot, seq, kind, payload in db.execute("SELECT node, boot, seq, kind, payload FROM messages"):
            if boot in nodes[node]:
                nodes[node][boot].messages[seq] = (kind, payload)
            else:
                orphans[node, boot] += 1
        marks = _Marks(db)
        db.close()
    except sqlite3.DatabaseError as e:
        raise InputError(f"{path} is no store of `vigia picture`: {e}") from e
    yield from bad
    for (node, boot), count in orphans.items():
        yield {"node": node, "boot": boot, "kind": "b", "verdict": "removed", "messages_without_it": count}
    for node, boots in nodes.items():
        for boot, known in boots.items():
            known.first, known.retired = marks.first.get((node, boot)), marks.retired.get((node, boot), [])
        yield from _judge(node, boots, marks)


class _Marks:
    """What a store says of itself: where each boot begins in it, and what it gave up in time."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.first: dict[tuple[str, int], int] = {}
        self.retired: dict[tuple[str, int], list[tuple[int, int]]] = defaultdict(list)
        if db.execute("PRAGMA user_version").fetchone()[0] < 2:  # it has no marks: what is not there was removed
            return
        for node, boot, first in db.execute("SELECT node, boot, first FROM began"):
            self.first[node, boot] = first
        for node, boot, a, b in db.execute("SELECT node, boot, first, last FROM retired"):
            self.retired[node, boot].append((a, b))

    def missing_boot(self, node: str, boot: int, *, oldest: bool) -> str:
        """Why a boot is not here that a later one names; `oldest`: the later one is the first of the box here."""
        if (node, boot) in self.retired:
            return "retired"
        return "before" if oldest and self.first and (node, boot) not in self.first else "removed"


def _read_birth(node: str, boot: int, payload: bytes, keys: dict[str, bytes] | None) -> _Boot | None:
    try:
        birth = births.decode(payload)
        if birth.key or (keys and node in keys):
            births.check_signature(payload, birth)
    except ProtocolError:
        return None
    if birth.node != node or birth.boot != boot or (keys and birth.key != keys.get(node, birth.key)):
        return None
    return _Boot(birth=birth, signed=bool(birth.key))


def _judge(node: str, boots: dict[int, _Boot], marks: _Marks) -> Iterator[dict[str, Any]]:
    for known in boots.values():
        for seq, (kind, payload) in sorted(known.messages.items()):
            _take(node, known, seq, kind, payload, boots)
    for n, known in enumerate(boots.values()):
        if known.birth.previous is not None:
            boot, last = known.birth.previous
            if boot in boots:
                boots[boot].last = max(boots[boot].last, last)
            elif last:
                verdict = marks.missing_boot(node, boot, oldest=n == 0)
                yield {"node": node, "boot": boot, "kind": "boot", "verdict": verdict, "messages": last}
    for boot, known in boots.items():
        yield {"node": node, "boot": boot, "kind": "b", "verdict": "sealed" if known.signed else "unsealed"}
        top = max([known.last, *known.messages, *known.sealed, *(b for _, b in known.lost)])
        for seq in range(1, top + 1):
            yield {"node": node, "boot": boot, "seq": seq, **_verdict(known, seq)}


def _verdict(known: _Boot, seq: int) -> dict[str, str]:
    message = known.messages.get(seq)
    if message is None:
        return {"kind": "?", "verdict": _why_missing(known, seq)}
    kind, payload = message
    expected = known.sealed.get(seq)
    if seq in known.flipped or (expected is not None and expected != digest(kind, payload)):
        return {"kind": kind, "verdict": "flipped"}
    return {"kind": kind, "verdict": "unsealed" if expected is None else "sealed"}


def _why_missing(known: _Boot, seq: int) -> str:
    for verdict, ranges in (("given-up", known.lost), ("retired", known.retired)):
        if any(a <= seq <= b for a, b in ranges):
            return verdict
    return "before" if known.first is not None and seq < known.first else "removed"


def _take(node: str, known: _Boot, seq: int, kind: str, payload: bytes, boots: dict[int, _Boot]) -> None:
    """What a message says of others. One whose number is not its own, or whose signature is wrong, says nothing."""
    try:
        row = cbor.loads(payload)
        if row[2] != seq or row[1] != known.birth.boot16:
            raise ProtocolError("it is not the message that it is stored as")
        if kind in ("v", "r") and known.signed:
            place = SEAL_SIGNATURE if kind == "v" else REPLY_SIGNATURE
            cose.check_appended(payload, place, f"s1/{node}/u/{kind}".encode(), known.birth.key)
        if kind == "l" and row[5] in boots:
            boots[row[5]].lost += [(a, b) for a, b in row[6]]
        elif kind == "v" and row[5] in boots and known.signed:
            pieces = (row[7][i : i + DIGEST_BYTES] for i in range(0, len(row[7]), DIGEST_BYTES))
            boots[row[5]].sealed.update(enumerate(pieces, row[6]))
    except (ProtocolError, TypeError, ValueError, IndexError, KeyError):
        known.flipped.add(seq)
