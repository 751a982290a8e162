"""What the picture has received, in one SQLite file that several consumers share.

Promises:
- what `feed` took in a `batch` is on the disk when the batch ends; only after that `acknowledgements` names it;
- a durable message is stored once, whoever of the consumers receives it and however often: (node, boot, seq);
- its bytes are stored as they came, so that `vigia verify` can check them years later;
- a message whose birth has not come, or whose sender is not believed, is not acknowledged; the first kind is held, at
  most `HELD_MAX`, and taken when the birth comes;
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
# One text a version: what brings a file of the version before to it. Append only.
_STEPS = (
    """
CREATE TABLE births (n INTEGER PRIMARY KEY, node TEXT NOT NULL, boot INTEGER NOT NULL, boot16 INTEGER NOT NULL,
    payload BLOB NOT NULL, received_at REAL NOT NULL, UNIQUE (node, boot));
CREATE INDEX births_by_half ON births (node, boot16);
CREATE TABLE keys (node TEXT PRIMARY KEY, key BLOB NOT NULL);
CREATE TABLE messages (n INTEGER PRIMARY KEY, node TEXT NOT NULL, boot INTEGER NOT NULL, seq INTEGER NOT NULL,
    kind TEXT NOT NULL, received_at REAL NOT NULL, payload BLOB NOT NULL, UNIQUE (node, boot, seq));
CREATE TABLE lost (node TEXT NOT NULL, boot INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
    PRIMARY KEY (node, boot, first, last));
CREATE TABLE held (n INTEGER PRIMARY KEY, node TEXT NOT NULL, kind TEXT NOT NULL, payload BLOB NOT NULL,
    received_at REAL NOT NULL);
CREATE TABLE alerts (node TEXT NOT NULL, id INTEGER NOT NULL, revision INTEGER NOT NULL, at REAL NOT NULL,
    state TEXT NOT NULL, row TEXT NOT NULL, PRIMARY KEY (node, id));
CREATE INDEX open_alerts ON alerts (at) WHERE state <> 'cleared';
CREATE TABLE tracks (node TEXT NOT NULL, id INTEGER NOT NULL, boot INTEGER NOT NULL, seq INTEGER NOT NULL,
    at REAL NOT NULL, mmsi INTEGER, row TEXT NOT NULL, PRIMARY KEY (node, id)) WITHOUT ROWID;
CREATE TABLE nodes (node TEXT PRIMARY KEY, boot INTEGER, online INTEGER, row TEXT NOT NULL, health TEXT NOT NULL
    DEFAULT '{}');
CREATE TABLE images (n INTEGER PRIMARY KEY, node TEXT NOT NULL, command TEXT NOT NULL, row TEXT NOT NULL)
""",
    # 2: sentences of health by number
    """
CREATE TABLE notes (node TEXT NOT NULL, boot INTEGER NOT NULL, note INTEGER NOT NULL, sentence TEXT NOT NULL,
    PRIMARY KEY (node, boot, note)) WITHOUT ROWID
""",
)
SCHEMA_VERSION = len(_STEPS)


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
        self._births: dict[tuple[str, int], tuple[bytes, Birth]] = {}  # by node and half boot id
        self._contiguous: dict[tuple[str, int], int] = {}
        self._dirty: dict[tuple[str, int], None] = {}
        self._new: list[dict[str, Any]] = []
        try:
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=_BUSY_S)
            self._db.execute("PRAGMA journal_mode = WAL").fetchall()
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute("BEGIN IMMEDIATE")
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            for step in _STEPS[version:]:
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
            yield self._new
            self._db.execute("COMMIT")
        except sqlite3.DatabaseError as e:
            self._dirty = before
            self._births.clear()
            self._db.rollback()
            raise InputError(f"what was received cannot be stored in {self.path}: {e}; nothing is acknowledged") from e
        except BaseException:
            self._dirty = before
            self._births.clear()
            self._db.rollback()
            raise

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
        self._births[node, birth.boot16] = (payload, birth)
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

    def _known_birth(self, node: str, boot16: int) -> Birth | None:
        """The newest birth whose boot id ends so; another consumer may have received it."""
        row = self._db.execute(
            "SELECT payload FROM births WHERE node=? AND boot16=? ORDER BY n DESC LIMIT 1", (node, boot16)
        ).fetchone()
        if row is None:
            return None
        cached = self._births.get((node, boot16))
        if cached is None or cached[0] != row[0]:
            cached = self._births[node, boot16] = (row[0], births.decode(row[0]))
        return cached[1]

    def _hold(self, node: str, kind: str, payload: bytes, received_at: float) -> None:
        n = self._db.execute("INSERT INTO held VALUES (NULL, ?, ?, ?, ?)", (node, kind, payload, received_at)).lastrowid
        self._db.execute("DELETE FROM held WHERE n <= ?", ((n or 0) - HELD_MAX,))

    def _durable(self, node: str, kind: str, payload: bytes, received_at: float) -> None:
        head = wire.head(payload)
        birth = self._known_birth(node, head.boot16)
        if birth is None:
            self._hold(node, kind, payload, received_at)
            return
        if self._trust is not None:
            self._trust.check_message(node, kind, payload, birth)
        try:
            row = wire.decode(kind, payload, birth)[0]
        except wire.UnknownBirthError:
            self._hold(node, kind, payload, received_at)
            return
        self._dirty[node, birth.boot] = None
        cursor = self._db.execute(
            "INSERT OR IGNORE INTO messages (node, boot, seq, kind, received_at, payload) VALUES (?, ?, ?, ?, ?, ?)",
            (node, birth.boot, head.seq, kind, received_at, payload),
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
        head = wire.head(payload)
        birth = self._known_birth(node, head.boot16)
        if birth is None:
            return  # a newer batch comes soon
        try:
            rows = wire.decode("t", payload, birth)
        except wire.UnknownBirthError:
            self._hold(node, "t", payload, received_at)
            return
        for row in rows:
            row["received_at"] = received_at
            self._track(node, birth.boot, head.seq, row)

    def _track(self, node: str, boot: int, seq: int, row: dict[str, Any]) -> None:
        known = self._db.execute(
            "SELECT boot, seq, mmsi FROM tracks WHERE node=? AND id=?", (node, row["id"])
        ).fetchone()
        if known is not None and known[0] == boot and seq <= known[1]:
            return  # another consumer has had a newer one
        if row["status"] == "lost":
            self._db.execute("DELETE FROM tracks WHERE node=? AND id=?", (node, row["id"]))
            self._new.append(row)
            return
        if row.get("mmsi") == wire.NO_MMSI:
            del row["mmsi"]
        elif "mmsi" not in row and known is not None and known[0] == boot and known[2] is not None:
            row["mmsi"] = known[2]
        self._db.execute(
            "INSERT OR REPLACE INTO tracks VALUES (?, ?, ?, ?, ?, ?, ?)",
            (node, row["id"], boot, seq, row["at"], row.get("mmsi"), _json(row)),
        )
        self._new.append(row)

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


def _json(row: dict[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
