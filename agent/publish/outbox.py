"""What has to reach the picture, on disk until it is there.

Promises:
- `append` returns after the batch is on the disk (SQLite, WAL, synchronous=FULL, one commit a batch), and a batch is
  there wholly or not at all; what was not committed was never handed out;
- a message's identity (boot, seq) and bytes are fixed in that commit: every repeat is the same message;
- an alert step (id, revision, time) is taken once: a core that repeats itself after a crash adds nothing;
- beyond `max_bytes` the lowest priority and oldest go first, in the same commit as the loss record that names them;
- opening costs the same whatever the backlog; space of what was acknowledged goes back to the disk;
- a damaged file is kept aside under another name, a new one started, and `take_notes` tells of it in one sentence.

One connection behind one lock: the core's thread appends, the publisher's thread reads and forgets.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from agent.errors import ProtocolError, VigiaError
from agent.publish import cbor
from agent.publish.ranges import Ranges

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

SCHEMA_VERSION = 1
ROW_BYTES = 120  # what a row takes beside its payload: columns, two indexes, and pages that are not full
KEYS_KEPT = 20_000  # alert steps remembered after their message has gone: far beyond any replay after a crash
BOOTS_KEPT = 256  # boot ids remembered, so that their low halves are not used again soon

_FREE_PAGES_KEPT = 256  # 1 MiB is left for the next messages; what is free beyond goes back to the disk
_WAL_BYTES_KEPT = 1 << 20
_RANGES_PER_LOSS = 200  # keeps a loss record to a few kB whatever went
_T = TypeVar("_T")

# How long a message is kept when space runs out: the higher rank goes first.
RANK_LOSS, RANK_HIGH, RANK_MEDIUM, RANK_LOW, RANK_HEALTH = range(5)

_SCHEMA = """
CREATE TABLE boots (n INTEGER PRIMARY KEY, boot INTEGER NOT NULL UNIQUE, birth BLOB, next_seq INTEGER NOT NULL);
CREATE TABLE messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT, boot INTEGER NOT NULL, seq INTEGER NOT NULL, kind TEXT NOT NULL,
    rank INTEGER NOT NULL, alert INTEGER, payload BLOB NOT NULL, quarantined INTEGER NOT NULL DEFAULT 0,
    UNIQUE (boot, seq)
);
CREATE INDEX by_rank ON messages (rank DESC, id);
CREATE INDEX by_alert ON messages (alert, id) WHERE alert IS NOT NULL;
CREATE TABLE keys (
    n INTEGER PRIMARY KEY, alert INTEGER NOT NULL, revision INTEGER NOT NULL, at_ds INTEGER NOT NULL,
    UNIQUE (alert, revision, at_ds)
);
CREATE TABLE totals (messages INTEGER NOT NULL, bytes INTEGER NOT NULL, lost INTEGER NOT NULL);
INSERT INTO totals VALUES (0, 0, 0);
PRAGMA user_version = 1
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Something to send. `encode(seq)` makes its payload; `key` is (alert id, revision, time in 0.1 s) of an alert."""

    kind: str
    rank: int
    encode: Callable[[int], bytes]
    key: tuple[int, int, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """Something that is on the disk. `id` is the outbox' own number, in order of arrival."""

    id: int
    boot: int
    seq: int
    kind: str
    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Forced:
    """What had to go to make room: of one boot, as seq ranges and counts."""

    boot: int
    ranges: tuple[tuple[int, int], ...]
    alerts: int
    others: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """What an `append` did: messages stored (loss records too), and entries that could not be encoded."""

    messages: tuple[Message, ...]
    refused: tuple[str, ...] = ()


class Outbox:
    """The store, at `path`, of at most about `max_bytes`.

    Raises:
        VigiaError: the file cannot be opened, or another process has it.

    """

    def __init__(self, path: Path, max_bytes: int) -> None:
        self.path = path
        self.max_bytes = max_bytes
        self._notes: deque[str] = deque(maxlen=100)
        self._lock = threading.RLock()
        self._boot = 0
        self._seq = 0
        self._birth: bytes | None = None
        self._encode_loss: Callable[[Forced, int], bytes] | None = None
        self._db: sqlite3.Connection
        self._open()

    # ------------------------------------------------------------------ this boot

    def start_boot(self, boot: int, birth: bytes, encode_loss: Callable[[Forced, int], bytes]) -> None:
        """Messages from now on belong to `boot`; births of boots that have nothing left to send are dropped."""
        with self._lock:
            known = self._read("SELECT next_seq FROM boots WHERE boot=?", (boot,))
            self._seq = known[0][0] - 1 if known else 0
            self._boot, self._birth, self._encode_loss = boot, birth, encode_loss
            self._write(self._register_boot)

    def free_boot(self, candidates: Iterable[int]) -> int:
        """The first of `candidates` whose low half no remembered boot has."""
        used = {row[0] & 0xFFFF for row in self._read("SELECT boot FROM boots")}
        return next(c for c in candidates if c & 0xFFFF not in used)

    def save_birth(self, birth: bytes) -> None:
        """A newer edition of this boot's birth."""
        with self._lock:
            self._birth = birth
            self._write(lambda: self._db.execute("UPDATE boots SET birth=? WHERE boot=?", (birth, self._boot)))

    def birth(self, boot: int) -> bytes | None:
        """The birth that messages of `boot` need."""
        rows = self._read("SELECT birth FROM boots WHERE boot=?", (boot,))
        return rows[0][0] if rows else None

    def take_notes(self) -> list[str]:
        """What happened to the store itself since the last call: damage and losses, one sentence each."""
        notes = []
        while self._notes:
            notes.append(self._notes.popleft())
        return notes

    # ------------------------------------------------------------------ in

    def append(self, entries: Sequence[Entry], birth: Callable[[], bytes] | None = None) -> Committed:
        """Store a batch in one commit; durable when this returns.

        `birth` gives this boot's birth after encoding, if encoding may have changed it: it goes into the same commit.

        Raises:
            VigiaError: the disk did not take it. Nothing of the batch is stored; the caller keeps it and tries again.

        """
        with self._lock:
            return self._write(lambda: self._append(entries, birth))

    def _append(self, entries: Sequence[Entry], birth: Callable[[], bytes] | None) -> Committed:
        stored: list[Message] = []
        refused: list[str] = []
        size = 0
        first_seq = self._seq
        for entry in entries:
            if entry.key is not None and not self._claim(entry.key):
                continue
            try:
                payload = entry.encode(self._seq + 1)
            except ProtocolError as e:
                refused.append(str(e))
                continue
            stored.append(self._insert(entry.kind, entry.rank, payload, None if entry.key is None else entry.key[0]))
            size += len(payload) + ROW_BYTES
        if birth is not None and (latest := birth()) != self._birth:
            self._birth = latest
            self._db.execute("UPDATE boots SET birth=? WHERE boot=?", (latest, self._boot))
        if self._seq == first_seq and not refused:
            return Committed(messages=())
        self._count(len(stored), size)
        losses, gone = self._make_room()
        stored = [m for m in stored if m.id not in gone] + losses
        self._db.execute("UPDATE boots SET next_seq=? WHERE boot=?", (self._seq + 1, self._boot))
        return Committed(messages=tuple(stored), refused=tuple(refused))

    def _claim(self, key: tuple[int, int, int]) -> bool:
        cursor = self._db.execute("INSERT OR IGNORE INTO keys (alert, revision, at_ds) VALUES (?, ?, ?)", key)
        if cursor.rowcount and cursor.lastrowid:
            self._db.execute("DELETE FROM keys WHERE n <= ?", (cursor.lastrowid - KEYS_KEPT,))
        return cursor.rowcount > 0

    def _insert(self, kind: str, rank: int, payload: bytes, alert: int | None) -> Message:
        self._seq += 1
        cursor = self._db.execute(
            "INSERT INTO messages (boot, seq, kind, rank, alert, payload) VALUES (?, ?, ?, ?, ?, ?)",
            (self._boot, self._seq, kind, rank, alert, payload),
        )
        return Message(id=cursor.lastrowid or 0, boot=self._boot, seq=self._seq, kind=kind, payload=payload)

    # ------------------------------------------------------------------ out

    def pending(self, after: int, limit: int, *, health: bool, upto: int | None = None) -> list[Message]:
        """Messages with an id beyond `after` (up to `upto`), oldest first: of health, or of everything else."""
        ranks = f"= {RANK_HEALTH}" if health else f"< {RANK_HEALTH}"
        query = (
            f"SELECT id, boot, seq, kind, payload FROM messages WHERE id > ? AND id <= ? AND rank {ranks} "  # noqa: S608 - a constant of this module
            "AND NOT quarantined ORDER BY id LIMIT ?"
        )
        return self._messages(query, (after, (1 << 62) if upto is None else upto, limit))

    def get(self, message_id: int) -> Message | None:
        """One message, unless it has gone."""
        query = "SELECT id, boot, seq, kind, payload FROM messages WHERE id=? AND NOT quarantined"
        return next(iter(self._messages(query, (message_id,))), None)

    def earlier_steps(self, message: Message) -> list[Message]:
        """Older messages of the same alert that are still here, oldest first."""
        query = (
            "SELECT id, boot, seq, kind, payload FROM messages WHERE id < ?1 AND NOT quarantined "
            "AND alert = (SELECT alert FROM messages WHERE id=?1) ORDER BY id"
        )
        return self._messages(query, (message.id,))

    def last_id(self) -> int:
        """The id of the newest message there ever was."""
        rows = self._read("SELECT seq FROM sqlite_sequence WHERE name='messages'")
        return int(rows[0][0]) if rows else 0

    def totals(self) -> tuple[int, int, int]:
        """(messages waiting, bytes they take, messages ever forced out)."""
        messages, size, lost = self._read("SELECT messages, bytes, lost FROM totals")[0]
        return int(messages), int(size), int(lost)

    def _messages(self, query: str, values: tuple[int, ...]) -> list[Message]:
        rows = self._read(query, values)
        return [Message(id=r[0], boot=r[1], seq=r[2], kind=r[3], payload=r[4]) for r in rows]

    # ------------------------------------------------------------------ gone

    def acknowledge(self, boot: int, contiguous: int, ranges: Iterable[tuple[int, int]] = ()) -> list[int]:
        """Forget what the picture has; returns the ids.

        Raises:
            ProtocolError: it acknowledges messages of this boot that were never made.

        """
        top = max([contiguous, *(b for _, b in ranges)])
        if boot == self._boot and top > self._seq:
            raise ProtocolError(f"the picture acknowledges message {top} of this boot; there are only {self._seq}")
        spans = [(0, contiguous), *ranges]

        def run() -> list[int]:
            ids = []
            for a, b in spans:
                rows = self._db.execute(
                    "DELETE FROM messages WHERE boot=? AND seq BETWEEN ? AND ? RETURNING id, length(payload)",
                    (boot, a, min(b, (1 << 62))),
                ).fetchall()
                self._count(-len(rows), -sum(size + ROW_BYTES for _, size in rows))
                ids += [i for i, _ in rows]
            if ids:
                self._forget_boots()
            return ids

        return self._shrinking(run)

    def forget(self, ids: Sequence[int]) -> None:
        """Forget messages that the broker has, where that is enough."""

        def run() -> None:
            for i in ids:
                row = self._db.execute("DELETE FROM messages WHERE id=? RETURNING length(payload)", (i,)).fetchone()
                if row is not None:
                    self._count(-1, -row[0] - ROW_BYTES)
            self._forget_boots()

        self._shrinking(run)

    def quarantine(self, message_id: int) -> None:
        """Keep a message that the broker will not have, but never offer it again."""
        self._write(lambda: self._db.execute("UPDATE messages SET quarantined=1 WHERE id=?", (message_id,)))

    def close(self) -> None:
        """Release the file. Idempotent."""
        with self._lock:
            self._db.close()

    def _make_room(self) -> tuple[list[Message], set[int]]:
        """Force out the lowest priority and oldest until nine tenths of the space are enough; record what went.

        Returns the loss records and the ids that went.
        """
        _, size, _ = self.totals()
        if size <= self.max_bytes:
            return [], set()
        forced, gone = self._force_out(size - self.max_bytes * 9 // 10)
        self._notes.append(
            f"The outbox is full ({self.max_bytes} bytes): {sum(f.alerts for f in forced)} alerts and "
            f"{sum(f.others for f in forced)} other messages were given up; restore the link or raise "
            "publish.outbox_max_bytes."
        )
        return [self._record(f) for f in forced], gone

    def _force_out(self, least: int) -> tuple[list[Forced], set[int]]:
        tally = _Tally()
        freed = 0
        gone: set[int] = set()
        rows = self._db.execute("SELECT id, boot, seq, kind, payload FROM messages ORDER BY rank DESC, id")
        for i, boot, seq, kind, payload in rows:
            tally.add(boot, seq, kind, payload)
            gone.add(i)
            freed += len(payload) + ROW_BYTES
            if freed >= least:
                break
        rows.close()
        self._db.executemany("DELETE FROM messages WHERE id=?", [(i,) for i in gone])
        self._count(-len(gone), -freed)
        self._db.execute("UPDATE totals SET lost = lost + ?", (tally.messages,))
        return tally.forced(), gone

    def _record(self, forced: Forced) -> Message:
        if self._encode_loss is None:
            raise VigiaError("the outbox was used before start_boot: it cannot record what it forces out")
        payload = self._encode_loss(forced, self._seq + 1)
        self._count(1, len(payload) + ROW_BYTES)
        return self._insert("l", RANK_LOSS, payload, None)

    # ------------------------------------------------------------------ the file

    def _register_boot(self) -> None:
        self._db.execute(
            "INSERT INTO boots (boot, birth, next_seq) VALUES (?, ?, ?) "
            "ON CONFLICT (boot) DO UPDATE SET birth=excluded.birth",
            (self._boot, self._birth, self._seq + 1),
        )
        self._forget_boots()

    def _forget_boots(self) -> None:
        self._db.execute(
            "UPDATE boots SET birth=NULL WHERE birth IS NOT NULL AND boot<>? "
            "AND NOT EXISTS (SELECT 1 FROM messages WHERE messages.boot = boots.boot)",
            (self._boot,),
        )
        self._db.execute("DELETE FROM boots WHERE birth IS NULL AND n <= (SELECT max(n) FROM boots) - ?", (BOOTS_KEPT,))

    def _count(self, messages: int, size: int) -> None:
        self._db.execute("UPDATE totals SET messages = messages + ?, bytes = bytes + ?", (messages, size))

    def _shrinking(self, action: Callable[[], _T]) -> _T:
        """A write that frees space, and the space's way back to the disk."""
        with self._lock:
            result = self._write(action)
            free = self._db.execute("PRAGMA freelist_count").fetchone()[0]
            if free > _FREE_PAGES_KEPT:
                self._db.execute(f"PRAGMA incremental_vacuum({free - _FREE_PAGES_KEPT // 2})").fetchall()
            return result

    def _write(self, action: Callable[[], _T]) -> _T:
        """Run `action` in one transaction; on a damaged file start a new one and run it there."""
        with self._lock:
            try:
                return self._transaction(action)
            except sqlite3.DatabaseError as e:
                if not _is_damage(e):
                    raise VigiaError(f"the outbox {self.path} did not take a write: {e}; free or mend the disk.") from e
                self._replace(str(e))
                return self._transaction(action)

    def _transaction(self, action: Callable[[], _T]) -> _T:
        before = self._seq, self._birth
        try:
            self._db.execute("BEGIN IMMEDIATE")
            result = action()
            self._db.execute("COMMIT")
        except BaseException:
            self._seq, self._birth = before
            with contextlib.suppress(sqlite3.Error):  # the first error is the one to tell
                self._db.execute("ROLLBACK")
            raise
        return result

    def _read(self, query: str, values: tuple[int, ...] = ()) -> list[Any]:
        with self._lock:
            try:
                return self._db.execute(query, values).fetchall()
            except sqlite3.DatabaseError as e:
                if not _is_damage(e):
                    raise VigiaError(f"the outbox {self.path} cannot be read: {e}; free or mend the disk.") from e
                self._replace(str(e))
                return self._db.execute(query, values).fetchall()

    def _open(self) -> None:
        try:
            self._db = self._connect()
        except sqlite3.DatabaseError as e:
            if not _is_damage(e):
                raise VigiaError(f"the outbox {self.path} cannot be opened: {e}; is another agent running?") from e
            self._replace(str(e))

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=2.0)
        try:
            db.execute("PRAGMA auto_vacuum = INCREMENTAL")  # holds for a new file only, and before anything else
            db.execute("PRAGMA locking_mode = EXCLUSIVE")  # a second agent on the same outbox is refused
            db.execute("PRAGMA journal_mode = WAL").fetchall()
            db.execute("PRAGMA synchronous = FULL")
            db.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES_KEPT}").fetchall()
            db.execute("BEGIN EXCLUSIVE")
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                for statement in _SCHEMA.split(";"):
                    db.execute(statement)
            elif version != SCHEMA_VERSION:
                raise _DamagedError(f"it is of version {version}, this agent reads version {SCHEMA_VERSION}")
            if db.execute("SELECT messages FROM totals").fetchone() is None:
                raise _DamagedError("its table of totals is empty")
            db.execute("COMMIT")
        except sqlite3.DatabaseError:
            db.close()
            raise
        return db

    def _replace(self, why: str) -> None:
        """Put the file aside, start a new one, and carry this boot over, so that no identity is used twice."""
        if self._boot:
            self._db.close()
        aside = next(p for p in (Path(f"{self.path}.damaged-{n}") for n in range(1, 10_000)) if not p.exists())
        try:
            for suffix in ("", "-wal", "-shm"):
                source = Path(f"{self.path}{suffix}")
                if source.exists():
                    source.rename(f"{aside}{suffix}")
            self._db = self._connect()
        except (OSError, sqlite3.DatabaseError) as e:
            raise VigiaError(f"the outbox {self.path} is damaged ({why}) and cannot be put aside: {e}") from e
        if self._boot:
            self._transaction(self._carry_over)
        self._notes.append(
            f"The outbox {self.path} was damaged ({why}) and is kept as {aside.name}; a new one was started, and what "
            "had not reached the picture is in the old file only."
        )

    def _carry_over(self) -> None:
        self._register_boot()
        if self._seq:  # which of them had gone out, only the damaged file knew
            self._record(Forced(boot=self._boot, ranges=((1, self._seq),), alerts=0, others=0))


class _Tally:
    """What was forced out, by boot."""

    def __init__(self) -> None:
        self.messages = 0
        self._ranges: dict[int, Ranges] = {}
        self._counts: dict[int, list[int]] = {}

    def add(self, boot: int, seq: int, kind: str, payload: bytes) -> None:
        """One message. What a loss record recorded is passed on, so that nothing lost is forgotten."""
        self._enter(boot, ((seq, seq),), alerts=int(kind == "a"), others=int(kind not in "al"))
        if kind != "l":
            self.messages += 1
            return
        try:
            row = cbor.loads(payload)
            self._enter(row[5], row[6], alerts=row[7], others=row[8])
        except ProtocolError:  # the disk changed its bytes: what it recorded is gone with it
            self._enter(boot, (), others=1)

    def _enter(self, boot: int, ranges: Iterable[tuple[int, int]], *, alerts: int = 0, others: int = 0) -> None:
        mine = self._ranges.setdefault(boot, Ranges())
        for a, b in ranges:
            mine.add(a, b)
        counts = self._counts.setdefault(boot, [0, 0])
        counts[0] += alerts
        counts[1] += others

    def forced(self) -> list[Forced]:
        """One record a boot, more where the ranges are many; the first of them has the counts."""
        out = []
        for boot, ranges in self._ranges.items():
            pieces = list(ranges)
            for at in range(0, max(1, len(pieces)), _RANGES_PER_LOSS):
                alerts, others = self._counts[boot] if at == 0 else (0, 0)
                piece = tuple(pieces[at : at + _RANGES_PER_LOSS])
                out.append(Forced(boot=boot, ranges=piece, alerts=alerts, others=others))
        return out


class _DamagedError(sqlite3.DatabaseError):
    """The file is whole, but not one of ours."""


def _is_damage(e: sqlite3.DatabaseError) -> bool:
    if isinstance(e, _DamagedError):
        return True
    code = getattr(e, "sqlite_errorcode", None)
    if code is None:
        return False
    no_table = code == sqlite3.SQLITE_ERROR and "no such" in str(e)  # the header survived, the tables did not
    return code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or no_table
