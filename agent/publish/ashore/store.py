"""What the picture has received, in one SQLite file that several consumers share.

Promises:
- what `feed` took in a `batch` is on the disk when the batch ends; only after that `acknowledgements` names it;
- a durable message is stored once, whoever of the consumers receives it and however often: (node, boot, seq);
- its bytes are stored as they came, so that `vigia verify` can check them years later;
- a message whose birth has not come, or whose sender is not believed, is not acknowledged; the first kind is held, at
  most `HELD_MAX`, and taken when the birth comes;
- what was given up in time (see retention.py) still counts as received;
- whatever the bytes, `feed` raises nothing but `VigiaError` for the disk.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from agent.errors import InputError, ProtocolError
from agent.publish import birth as births
from agent.publish import records, wire
from agent.publish.ashore import retention
from agent.publish.ashore.schema import SCHEMA_VERSION, STEPS
from agent.publish.picture import ACK_RANGES_MAX
from agent.publish.ranges import Ranges

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agent.publish.birth import Birth
    from agent.publish.trust import Trust

HELD_MAX = 20_000
_DURABLE = ("a", "h", "n", "l", "v", "r")
_BUSY_S = 20.0


class PictureStore:
    """The file at `path`; made on first use.

    Raises:
        InputError: it cannot be opened, or is something else.

    """

    def __init__(self, path: Path, trust: Trust | None = None) -> None:
        self.path = path
        self.errors = self.repeats = self.stored = 0
        self.last_error = ""
        self._trust = trust
        self._births: dict[tuple[str, int], Birth] = {}  # by node and half boot id, as far as this consumer knows
        self._first: dict[tuple[str, int], int] = {}  # the lowest number stored, by node and boot
        self._any_retired = False
        self._contiguous: dict[tuple[str, int], int] = {}
        self._dirty: dict[tuple[str, int], None] = {}
        self._new: list[dict[str, Any]] = []
        try:
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=_BUSY_S)
            self._db.execute("PRAGMA journal_mode = WAL").fetchall()
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute("PRAGMA wal_autocheckpoint = 8000").fetchall()  # pages of live tracks are written once
            self._db.execute("BEGIN IMMEDIATE")
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            for step in STEPS[version:]:
                for statement in step.split(";"):
                    self._db.execute(statement)
            if version < SCHEMA_VERSION:
                self._db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            self._db.execute("COMMIT")
        except sqlite3.DatabaseError as e:
            raise InputError(f"{path} cannot be used as the picture's store: {e}; choose another --store") from e
        if version > SCHEMA_VERSION:
            raise InputError(f"{path} was written by a newer version ({version}); update this one")
        if trust is not None:
            for node, key in self._db.execute("SELECT node, key FROM keys"):
                trust.keys.setdefault(node, key)

    def close(self) -> None:
        """Release the file. Idempotent."""
        self._db.close()

    # ------------------------------------------------------------------ in

    @contextmanager
    def batch(self) -> Iterator[list[dict[str, Any]]]:
        """One transaction; the list has what was new in it once it has ended.

        Raises:
            InputError: the disk did not take it; nothing of it counts as received.

        """
        self._new = []
        before = dict(self._dirty)
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._any_retired = self._db.execute("SELECT 1 FROM retired LIMIT 1").fetchone() is not None
            yield self._new
            self._db.execute("COMMIT")
        except sqlite3.DatabaseError as e:
            self._dirty = before
            self._forget_cached()
            self._db.rollback()
            raise InputError(f"what was received cannot be stored in {self.path}: {e}; nothing is acknowledged") from e
        except BaseException:
            self._dirty = before
            self._forget_cached()
            self._db.rollback()
            raise

    def _forget_cached(self) -> None:
        """What was learned in a transaction that did not come to be."""
        self._births.clear()
        self._first.clear()

    def feed(self, topic: str, payload: bytes, received_at: float) -> None:
        """A message as MQTT gave it; inside a batch. What is new in it is added to the batch's list."""
        parts = topic.split("/")
        if len(parts) != 4 or parts[0] != wire.TOPIC_MAJOR or parts[2] != "u" or not parts[1]:
            return
        try:
            self._feed(parts[1], parts[3], payload, received_at)
        except ProtocolError as e:
            self.errors += 1
            self.last_error = f"{topic}: {e}"

    def _feed(self, node: str, kind: str, payload: bytes, received_at: float) -> None:
        if kind == "b":
            self._birth(node, payload, received_at)
        elif kind == "s":
            self._state(node, payload, received_at)
        elif kind in _DURABLE:
            self._durable(node, kind, payload, received_at)
        elif kind == "t":
            self._tracks(node, payload, received_at)
        elif kind == "i":
            self._image(node, payload, received_at)

    def _birth(self, node: str, payload: bytes, received_at: float) -> None:
        birth = births.decode(payload)
        if birth.node != node:
            raise ProtocolError(f"a birth of {birth.node[:40]!r} came on the topic of {node[:40]!r}")
        if self._trust is not None:
            self._trust.check_birth(payload, birth)
            if birth.key:
                self._db.execute("INSERT OR IGNORE INTO keys VALUES (?, ?)", (node, birth.key))
        self._dirty[node, birth.boot] = None
        known = self._db.execute("SELECT payload FROM births WHERE node=? AND boot=?", (node, birth.boot)).fetchone()
        if known is not None and known[0] == payload:
            return
        self._db.execute(
            "INSERT INTO births (node, boot, boot16, payload, received_at) VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT (node, boot) DO UPDATE SET payload=excluded.payload",
            (node, birth.boot, birth.boot16, payload, received_at),
        )
        self._births[node, birth.boot16] = birth
        row = {**wire.decode_birth(payload), "received_at": received_at}
        self._db.execute(
            "INSERT INTO nodes (node, boot, online, row) VALUES (?, ?, 1, ?) "
            "ON CONFLICT (node) DO UPDATE SET boot=excluded.boot, row=excluded.row",
            (node, birth.boot, _json(row)),
        )
        self._new.append(row)
        held = self._db.execute("DELETE FROM held WHERE node=? RETURNING n, kind, payload, received_at", (node,))
        for _, kind, waiting, since in sorted(held.fetchall()):
            try:
                self._feed(node, kind, waiting, since)
            except ProtocolError as e:
                self.errors += 1
                self.last_error = f"{node}/{kind}: {e}"

    def _state(self, node: str, payload: bytes, received_at: float) -> None:
        state = wire.decode_state(payload)
        known = self._db.execute("SELECT boot, online FROM nodes WHERE node=?", (node,)).fetchone()
        if known is None or (known[0] != state["boot"] and not state["online"]):
            return  # of a box that nobody has heard of, or the death of an older boot
        if bool(known[1]) != state["online"]:
            self._db.execute("UPDATE nodes SET online=? WHERE node=?", (int(state["online"]), node))
            self._new.append({**state, "node": node, "received_at": received_at})

    def _known_birth(self, node: str, boot16: int, *, fresh: bool = False) -> Birth | None:
        """The newest birth whose boot id ends so; `fresh`: another consumer may have received a newer edition."""
        if not fresh and (node, boot16) in self._births:
            return self._births[node, boot16]
        row = self._db.execute(
            "SELECT payload FROM births WHERE node=? AND boot16=? ORDER BY n DESC LIMIT 1", (node, boot16)
        ).fetchone()
        if row is None:
            return None
        self._births[node, boot16] = births.decode(row[0])
        return self._births[node, boot16]

    def _read(self, node: str, kind: str, payload: bytes) -> tuple[Birth, list[dict[str, Any]]] | None:
        """A message's birth and its objects; None while the birth, or the edition that it needs, has not come."""
        fields = wire.fields(payload)
        birth = self._known_birth(node, fields[1])
        if birth is None:
            return None
        if self._trust is not None and kind != "t":
            self._trust.check_message(node, kind, payload, birth)
        try:
            return birth, wire.decode_fields(kind, fields, birth)
        except wire.UnknownBirthError:
            birth = self._known_birth(node, fields[1], fresh=True)
        try:
            return None if birth is None else (birth, wire.decode_fields(kind, fields, birth))
        except wire.UnknownBirthError:
            return None

    def _hold(self, node: str, kind: str, payload: bytes, received_at: float) -> None:
        n = self._db.execute("INSERT INTO held VALUES (NULL, ?, ?, ?, ?)", (node, kind, payload, received_at)).lastrowid
        self._db.execute("DELETE FROM held WHERE n <= ?", ((n or 0) - HELD_MAX,))

    def _durable(self, node: str, kind: str, payload: bytes, received_at: float) -> None:
        read = self._read(node, kind, payload)
        if read is None:
            self._hold(node, kind, payload, received_at)
            return
        birth, (row,) = read
        self._dirty[node, birth.boot] = None
        if self._begins(node, birth.boot, row["seq"]):
            self.repeats += 1
            return
        cursor = self._db.execute(
            "INSERT OR IGNORE INTO messages (node, boot, seq, kind, received_at, payload) VALUES (?, ?, ?, ?, ?, ?)",
            (node, birth.boot, row["seq"], kind, received_at, payload),
        )
        if not cursor.rowcount:
            self.repeats += 1
            return
        self.stored += 1
        row = {**row, "received_at": received_at}
        self._new.append(row)
        if kind == "a":
            self._db.execute(
                "INSERT INTO alerts VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (node, id) DO UPDATE SET "
                "revision=excluded.revision, at=excluded.at, state=excluded.state, row=excluded.row "
                "WHERE excluded.revision >= alerts.revision",
                (node, row["id"], row["revision"], row["at"], row["state"], _json(row)),
            )
        elif kind == "h":
            self._health(node, row)
        elif kind == "n":
            self._note(node, row)
        elif kind == "l":
            self._dirty[node, row["lost_boot"]] = None
            spans = [(node, row["lost_boot"], a, b) for a, b in row["lost_seqs"]]
            self._db.executemany("INSERT OR IGNORE INTO lost VALUES (?, ?, ?, ?)", spans)

    def _begins(self, node: str, boot: int, seq: int) -> bool:
        """Note the lowest number of a boot that was ever stored; whether this one was stored and given up in time."""
        first = self._first.get((node, boot))
        if first is not None and seq > first:
            return self._was_retired(node, boot, seq)
        (self._first[node, boot],) = self._db.execute(
            "INSERT INTO began VALUES (?, ?, ?) "
            "ON CONFLICT DO UPDATE SET first=min(first, excluded.first) RETURNING first",
            (node, boot, seq),
        ).fetchone()
        return self._was_retired(node, boot, seq)

    def _was_retired(self, node: str, boot: int, seq: int) -> bool:
        if not self._any_retired:
            return False
        query = "SELECT 1 FROM retired WHERE node=? AND boot=? AND first <= ? AND last >= ?"
        return self._db.execute(query, (node, boot, seq, seq)).fetchone() is not None

    def _health(self, node: str, row: dict[str, Any]) -> None:
        """The newest word of one sensor. A change names its sentence by number, a repeat leaves it as it was."""
        known = self._sensors(node)
        said = known.get(row["sensor"], {})
        newer_by = "seq" if said.get("boot") == row["boot"] else "at"
        if row[newer_by] < said.get(newer_by, row[newer_by]):
            return  # another consumer has had a newer one, or a newer boot has spoken
        if "note" in row:
            query = "SELECT sentence FROM notes WHERE node=? AND boot=? AND note=?"
            told = self._db.execute(query, (node, row["boot"], row["note"])).fetchone()
            row["sentence"] = None if told is None else told[0]
        elif row["sentence"] is None and (said.get("boot"), said.get("state")) == (row["boot"], row["state"]):
            row |= {k: said[k] for k in ("sentence", "note") if k in said}
        kept = ("state", "sentence", "at", "boot", "seq", "note")
        known[row["sensor"]] = {k: row[k] for k in kept if k in row}
        self._save_sensors(node, known)

    def _note(self, node: str, row: dict[str, Any]) -> None:
        """A sentence; through a shared subscription the health that names it may have come before."""
        if row["sentence"] is None:
            return
        self._db.execute(
            "INSERT OR REPLACE INTO notes VALUES (?, ?, ?, ?)", (node, row["boot"], row["note"], row["sentence"])
        )
        known = self._sensors(node)
        waiting = [s for s in known.values() if (s.get("boot"), s.get("note")) == (row["boot"], row["note"])]
        for sensor in waiting:
            sensor["sentence"] = row["sentence"]
        if waiting:
            self._save_sensors(node, known)

    def _sensors(self, node: str) -> dict[str, Any]:
        row = self._db.execute("SELECT health FROM nodes WHERE node=?", (node,)).fetchone()
        return {} if row is None else dict(json.loads(row[0]))

    def _save_sensors(self, node: str, sensors: dict[str, Any]) -> None:
        self._db.execute("UPDATE nodes SET health=? WHERE node=?", (_json(sensors), node))

    def _tracks(self, node: str, payload: bytes, received_at: float) -> None:
        read = self._read(node, "t", payload)
        if read is None:
            if self._known_birth(node, wire.head(payload).boot16) is not None:
                self._hold(node, "t", payload, received_at)
            return  # without any birth: a newer batch comes soon
        birth, rows = read
        query = "SELECT id, boot, seq, mmsi FROM tracks WHERE node=? AND id IN (SELECT value FROM json_each(?))"
        ids = _json([row["id"] for row in rows])
        known = {i: (boot, seq, mmsi) for i, boot, seq, mmsi in self._db.execute(query, (node, ids))}
        newest: dict[int, dict[str, Any]] = {}
        for row in rows:
            row["received_at"] = received_at
            if self._is_newest(row, birth.boot, known.get(row["id"])):
                newest[row["id"]] = row
                self._new.append(row)
        lost = [(node, i) for i, row in newest.items() if row["status"] == "lost"]
        if lost:
            self._db.executemany("DELETE FROM tracks WHERE node=? AND id=?", lost)
        self._db.executemany(
            "INSERT OR REPLACE INTO tracks VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                (node, i, birth.boot, row["seq"], row["at"], row.get("mmsi"), _json(row))
                for i, row in newest.items()
                if row["status"] != "lost"
            ],
        )

    @staticmethod
    def _is_newest(row: dict[str, Any], boot: int, known: tuple[int, int, int | None] | None) -> bool:
        """Whether no consumer has had a newer one; what the box does not repeat, the MMSI, is filled in."""
        same_boot = known is not None and known[0] == boot
        if known is not None and same_boot and row["seq"] <= known[1]:
            return False
        if row.get("mmsi") == wire.NO_MMSI:
            del row["mmsi"]
        elif known is not None and same_boot and "mmsi" not in row and known[2] is not None and row["status"] != "lost":
            row["mmsi"] = known[2]
        return True

    def _image(self, node: str, payload: bytes, received_at: float) -> None:
        birth = self._known_birth(node, wire.head(payload, records.IMAGE_MAX_BYTES).boot16)
        if birth is None:
            raise ProtocolError("a picture came before the birth that names its camera")
        row = wire.decode("i", payload, birth)[0]
        row = {**row, "received_at": received_at}
        self._db.execute("INSERT INTO images (node, command, row) VALUES (?, ?, ?)", (node, row["command"], _json(row)))
        self._new.append(row)

    # ------------------------------------------------------------------ back to the boxes

    def acknowledgements(self, *, everything: bool = False) -> list[tuple[str, bytes]]:
        """(topic, payload) to publish retained, of boots from which something came, or of all; the newest boot last."""
        wanted = list(self._dirty)
        self._dirty.clear()
        if everything:
            wanted = [(str(n), int(b)) for n, b in self._db.execute("SELECT node, boot FROM births ORDER BY n")]
        else:
            newest = dict(self._db.execute("SELECT node, boot FROM nodes").fetchall()) if len(wanted) > 1 else {}
            wanted.sort(key=lambda key: newest.get(key[0]) == key[1])
        return [(wire.topic(node, "d", "k"), self._ack(node, boot)) for node, boot in wanted]

    def _ack(self, node: str, boot: int) -> bytes:
        at = self._contiguous.get((node, boot), 0)
        query = "SELECT seq, seq FROM messages WHERE node=? AND boot=? AND seq > ? ORDER BY seq LIMIT 20000"
        have = Ranges((int(a), int(b)) for a, b in self._db.execute(query, (node, boot, at)))
        lost = "SELECT first, last FROM lost WHERE node=? AND boot=? AND last > ?"
        for a, b in self._db.execute(lost, (node, boot, at)):
            have.add(max(int(a), at + 1), int(b))
        for a, b in retention.retired(self._db, node, boot, at):
            have.add(max(a, at + 1), b)
        contiguous = have.contiguous_from(at + 1)
        self._contiguous[node, boot] = contiguous
        ranges = tuple(r for r in have if r[0] > contiguous)[:ACK_RANGES_MAX]
        return wire.encode_ack(wire.Ack(boot=boot, contiguous=contiguous, ranges=ranges))

    # ------------------------------------------------------------------ out

    def tracks(self, since: float) -> list[dict[str, Any]]:
        """Live tracks of all boxes whose newest word is not older than `since` (Unix s)."""
        return [json.loads(r) for (r,) in self._db.execute("SELECT row FROM tracks WHERE at >= ?", (since,))]

    def forget_tracks(self, before: float) -> None:
        """Tracks of which nothing was heard since; inside a batch."""
        self._db.execute("DELETE FROM tracks WHERE at < ?", (before,))

    def retire(self, before: float, max_bytes: int | None = None) -> int:
        """Give up the oldest messages, see retention.py; inside a batch. Returns how many."""
        return retention.retire(self._db, before, max_bytes)

    def open_alerts(self) -> list[dict[str, Any]]:
        """The newest step of every alert that is not cleared, oldest first."""
        rows = self._db.execute("SELECT row FROM alerts WHERE state <> 'cleared' ORDER BY at")
        return [json.loads(r) for (r,) in rows]

    def nodes(self) -> list[dict[str, Any]]:
        """Every box that was ever heard of, with the health of its sensors."""
        rows = self._db.execute("SELECT node, boot, online, row, health FROM nodes ORDER BY node").fetchall()
        out = []
        for node, boot, online, row, health in rows:
            birth = json.loads(row)
            place = {k: birth[k] for k in ("lat", "lon", "info")}
            out.append({"node": node, "boot": boot, "online": bool(online), **place, "health": json.loads(health)})
        return out

    def counts(self) -> dict[str, int]:
        """How much is stored."""
        count = self._db.execute("SELECT (SELECT count(*) FROM messages), (SELECT count(*) FROM held)").fetchone()
        return {"messages": count[0], "held": count[1], "errors": self.errors, "repeats": self.repeats}


_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode
