"""The receiving end: payloads in, JSON objects out, acknowledgements back. No sockets, no clock, no files.

Promises:
- every durable message comes out once, however often it arrives: (node, boot, seq) is remembered as ranges;
- a message whose birth has not come is held (bounded) and comes out when the birth does; what cannot be decoded is
  never acknowledged;
- an acknowledgement names the full boot id and only what came out of `feed`: publish it after that is written;
- a death of an older boot than the one that spoke last is stale and ignored;
- whatever the bytes, `feed` raises nothing.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Any

from agent.errors import ProtocolError
from agent.publish import birth as births
from agent.publish import records, wire
from agent.publish.ranges import Ranges
from agent.publish.trust import Trust  # noqa: TC001 - a type of a parameter that callers look up

BOOTS_KEPT = 256  # per node, as many as a box remembers
HELD_MAX = 2000  # messages of a node that wait for their birth
ACK_RANGES_MAX = 100  # what does not fit is sent again by the box and dropped here
STEPS_KEPT = 5000  # alerts whose newest step is remembered
NOTES_KEPT = 5000
_DURABLE = ("a", "h", "n", "l", "v", "r")


@dataclass(slots=True)
class _Boot:
    birth: births.Birth | None = None
    payload: bytes = b""
    seen: Ranges = field(default_factory=Ranges)
    track_seq: int = 0


@dataclass(slots=True)
class _Node:
    boots: OrderedDict[int, _Boot] = field(default_factory=OrderedDict)
    current: int | None = None
    last_state: bytes = b""
    held: deque[tuple[str, bytes, float]] = field(default_factory=lambda: deque(maxlen=HELD_MAX))
    dirty: dict[int, None] = field(default_factory=dict)  # boots to acknowledge, in order of arrival
    identities: OrderedDict[tuple[int, int], int] = field(default_factory=OrderedDict)  # (boot, track) -> MMSI
    steps: OrderedDict[int, int] = field(default_factory=OrderedDict)  # alert id -> newest revision
    notes: OrderedDict[tuple[int, int], str] = field(default_factory=OrderedDict)  # (boot, note) -> sentence


class PictureReceiver:
    """State of a picture for any number of nodes. `errors` counts what could not be read, `last_error` says why.

    With `trust`, what is not signed as it should be counts as not readable.
    """

    def __init__(self, trust: Trust | None = None) -> None:
        self._trust = trust
        self._nodes: dict[str, _Node] = {}
        self.errors = 0
        self.repeats = 0
        self.last_error = ""

    def feed(self, topic: str, payload: bytes, received_at: float) -> list[dict[str, Any]]:
        """What a message says that is new; each object has `type`, `node` and `received_at` (Unix s)."""
        parts = topic.split("/")
        if len(parts) != 4 or parts[0] != wire.TOPIC_MAJOR or parts[2] != "u" or not parts[1]:
            return []
        name, kind = parts[1], parts[3]
        node = self._nodes.setdefault(name, _Node())
        try:
            if kind == "b":
                return self._birth(name, node, payload, received_at)
            if kind == "s":
                return self._state(name, node, payload, received_at)
            if kind == "i":
                return self._image(node, payload, received_at)
            if kind in (*_DURABLE, "t"):
                return self._message(name, node, kind, payload, received_at)
        except ProtocolError as e:
            self._broken(topic, e)
        return []

    def ack_payload(self, node: str) -> bytes | None:
        """The acknowledgement of the boot that spoke last; None where no birth of the node is known."""
        known = self._nodes.get(node)
        if known is None or known.current is None or known.current not in known.boots:
            return None
        return self._ack(known, known.current)

    def take_acks(self, *, everything: bool = False) -> list[tuple[str, bytes]]:
        """(topic, payload) to publish retained: of boots from which something came, or of all; the current one last."""
        out = []
        for name, node in self._nodes.items():
            wanted = [b for b, s in node.boots.items() if s.birth is not None and (everything or b in node.dirty)]
            node.dirty.clear()
            older_first = [b for b in wanted if b != node.current] + [b for b in wanted if b == node.current]
            out += [(wire.topic(name, "d", "k"), self._ack(node, boot)) for boot in older_first]
        return out

    def mark_seen(self, node: str, boot: int, seq: int) -> None:
        """A durable message is known from elsewhere (the output of an earlier run)."""
        _boot(self._nodes.setdefault(node, _Node()), boot).seen.add(seq, seq)

    def dump(self) -> dict[str, Any]:
        """Everything needed to go on after a restart, as plain JSON."""
        return {
            name: {
                "current": node.current,
                "boots": [
                    [boot, state.payload.hex(), [list(r) for r in state.seen]] for boot, state in node.boots.items()
                ],
                "notes": [[boot, number, sentence] for (boot, number), sentence in node.notes.items()],
            }
            for name, node in self._nodes.items()
        }

    @classmethod
    def load(cls, state: dict[str, Any]) -> PictureReceiver:
        """The receiver that `dump` described.

        Raises:
            ProtocolError: `state` is no such description.

        """
        receiver = cls()
        try:
            for name, value in state.items():
                node = receiver._nodes.setdefault(name, _Node())
                node.current = value["current"]
                for boot, payload, seen in value["boots"]:
                    kept = _boot(node, int(boot))
                    kept.payload = bytes.fromhex(payload)
                    kept.birth = births.decode(kept.payload) if payload else None
                    kept.seen = Ranges((int(a), int(b)) for a, b in seen)
                for boot, number, sentence in value.get("notes", ()):
                    node.notes[int(boot), int(number)] = str(sentence)
        except (AttributeError, KeyError, TypeError, ValueError) as e:
            raise ProtocolError(f"the picture's state does not fit: {e!r}") from e
        return receiver

    # ------------------------------------------------------------------ the kinds of messages

    def _birth(self, name: str, node: _Node, payload: bytes, received_at: float) -> list[dict[str, Any]]:
        birth = births.decode(payload)
        if birth.node != name:
            raise ProtocolError(f"a birth of {birth.node[:40]!r} came on the topic of {name[:40]!r}")
        if self._trust is not None:
            self._trust.check_birth(payload, birth)
        boot = _boot(node, birth.boot)
        node.dirty[birth.boot] = None
        if node.current is None:
            node.current = birth.boot
        if boot.payload == payload:
            return []
        boot.birth, boot.payload = birth, payload
        out = [{**wire.decode_birth(payload), "received_at": received_at}]
        held, node.held = list(node.held), deque(maxlen=HELD_MAX)
        for kind, waiting, since in held:
            try:
                out += self._message(name, node, kind, waiting, since)
            except ProtocolError as e:
                self._broken(f"{name}/{kind}", e)
        return out

    def _state(self, name: str, node: _Node, payload: bytes, received_at: float) -> list[dict[str, Any]]:
        state = wire.decode_state(payload)
        stale = node.current is not None and state["boot"] != node.current and not state["online"]
        if stale or payload == node.last_state:
            return []
        node.last_state = payload
        if state["online"]:
            node.current = state["boot"]
        boot = node.boots.get(state["boot"])
        t_s = state.pop("t_s", None)
        if t_s is not None and boot is not None and boot.birth is not None:
            state["at"] = round(boot.birth.t0_ms / 1000 + t_s, 1)
        return [{"type": state["type"], "node": name, "received_at": received_at, **state}]

    def _image(self, node: _Node, payload: bytes, received_at: float) -> list[dict[str, Any]]:
        birth = self._birth_of(node, wire.head(payload, records.IMAGE_MAX_BYTES).boot16)
        if birth is None:
            raise ProtocolError("a picture came before the birth that names its camera")
        return [{**wire.decode("i", payload, birth)[0], "received_at": received_at}]

    def _message(self, name: str, node: _Node, kind: str, payload: bytes, received_at: float) -> list[dict[str, Any]]:
        head = wire.head(payload)
        birth = self._birth_of(node, head.boot16)
        if birth is None:
            node.held.append((kind, payload, received_at))
            return []
        boot = node.boots[birth.boot]
        if self._is_repeat(boot, kind, head.seq):
            self.repeats += 1
            if kind in _DURABLE:
                node.dirty[birth.boot] = None  # the box has not heard that it is here
            return []
        if self._trust is not None:
            self._trust.check_message(name, kind, payload, birth)
        try:
            rows = wire.decode(kind, payload, birth)
        except wire.UnknownBirthError:
            node.held.append((kind, payload, received_at))
            return []
        if kind in _DURABLE:
            boot.seen.add(head.seq, head.seq)
            node.dirty[birth.boot] = None
        else:
            boot.track_seq = head.seq
        for row in rows:
            self._complete(node, birth.boot, row)
        return [{"type": row["type"], "node": name, "received_at": received_at, **row} for row in rows]

    @staticmethod
    def _is_repeat(boot: _Boot, kind: str, seq: int) -> bool:
        """Of tracks, anything not newer than the newest is one: they are worth nothing late."""
        return seq in boot.seen if kind in _DURABLE else seq <= boot.track_seq

    def _complete(self, node: _Node, boot: int, row: dict[str, Any]) -> None:
        """Add what earlier messages said: a track's MMSI, a sentence, that an alert came late, what was lost."""
        if row["type"] == "track":
            self._identify(node, boot, row)
        elif row["type"] == "note" and row["sentence"] is not None:
            _remember(node.notes, (boot, row["note"]), row["sentence"], NOTES_KEPT)
        elif row["type"] in ("health", "note") and "note" in row:
            row["sentence"] = node.notes.get((boot, row["note"]), row["sentence"])
        elif row["type"] == "alert":
            newest = node.steps.get(row["id"], -1)
            row["late"] = row["revision"] < newest
            _remember(node.steps, row["id"], max(newest, row["revision"]), STEPS_KEPT)
        elif row["type"] == "loss" and row["lost_boot"] in node.boots:
            lost = node.boots[row["lost_boot"]]
            node.dirty[row["lost_boot"]] = None
            for a, b in row["lost_seqs"]:
                lost.seen.add(a, b)

    @staticmethod
    def _identify(node: _Node, boot: int, row: dict[str, Any]) -> None:
        key = (boot, row["id"])
        if row.get("mmsi") == wire.NO_MMSI:
            del row["mmsi"]
            node.identities.pop(key, None)
        elif "mmsi" in row:
            _remember(node.identities, key, row["mmsi"], STEPS_KEPT)
        elif key in node.identities:
            row["mmsi"] = node.identities[key]
        if row["status"] == "lost":
            node.identities.pop(key, None)

    @staticmethod
    def _birth_of(node: _Node, boot16: int) -> births.Birth | None:
        """The newest birth whose boot id ends so."""
        for boot, state in reversed(node.boots.items()):
            if boot & 0xFFFF == boot16 and state.birth is not None:
                return state.birth
        return None

    @staticmethod
    def _ack(node: _Node, boot: int) -> bytes:
        seen = node.boots[boot].seen
        contiguous = seen.contiguous_from(1)
        ranges = tuple(r for r in seen if r[0] > contiguous)[:ACK_RANGES_MAX]
        return wire.encode_ack(wire.Ack(boot=boot, contiguous=contiguous, ranges=ranges))

    def _broken(self, where: str, error: ProtocolError) -> None:
        self.errors += 1
        self.last_error = f"{where}: {error}"


def _boot(node: _Node, boot: int) -> _Boot:
    """A boot's state; beyond `BOOTS_KEPT` the one that was first heard of goes, never the current one."""
    if boot not in node.boots:
        node.boots[boot] = _Boot()
        while len(node.boots) > BOOTS_KEPT:
            del node.boots[next(b for b in node.boots if b not in (node.current, boot))]
    return node.boots[boot]


def _remember(table: OrderedDict[Any, Any], key: Any, value: Any, most: int) -> None:
    table[key] = value
    table.move_to_end(key)
    while len(table) > most:
        table.popitem(last=False)
