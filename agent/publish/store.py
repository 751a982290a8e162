"""The outbox' file: SQLite in WAL mode, synchronous=FULL, one process at a time, whatever the disk does to it.

Promises:
- `write` runs its action in one transaction: after it returns the change is on the disk, after an error nothing is;
  with `lazy` a power cut may undo it (kill -9 may not), and what is written after it never comes without it;
- a file of an older version is brought up to date in one transaction and keeps everything; one of a newer version, and
  one that is damaged, is kept aside under another name, a new one started, and `take_notes` tells of it;
- nothing but `VigiaError` (with one sentence) and what the action itself raises comes out.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections import deque
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from agent.errors import VigiaError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# A message touches about ten pages on its way in and six on its way out, and each goes to the disk whole: the smallest
# pages cost a third of what 4096 bytes cost (docs/service.md). A file keeps the pages that it was made with.
_PAGE_BYTES = 512
_FREE_BYTES_KEPT = 1 << 20  # left for the next messages; what is free beyond goes back to the disk
_WAL_BYTES_KEPT = 1 << 20
_ROWS_AT_ONCE = 32  # each number of rows is a statement that SQLite's module keeps: it has room for 128
_T = TypeVar("_T")

# One text a version: what brings a file of the version before to it. Append only.
_STEPS = (
    """
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
INSERT INTO totals VALUES (0, 0, 0)
""",
    # 2: expiry; the run of digests that no seal covers yet; commands that were carried out
    """
ALTER TABLE messages ADD COLUMN expires_s INTEGER;
CREATE INDEX by_expiry ON messages (expires_s) WHERE expires_s IS NOT NULL;
ALTER TABLE boots ADD COLUMN sealed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE boots ADD COLUMN unsealed BLOB NOT NULL DEFAULT x'';
UPDATE boots SET sealed = next_seq - 1;
CREATE TABLE commands (
    id BLOB PRIMARY KEY, name TEXT NOT NULL, expires_s INTEGER NOT NULL, at_s INTEGER NOT NULL, result TEXT NOT NULL
)
""",
    # 3: notes have a rank of their own, between health and what was put aside
    "UPDATE messages SET rank = 6 WHERE rank = 5",
    # 4: what an alert touches is less by three indexes and a counter. An alert step knows the id of its message, so
    # that it is found through its key; which one is which, a file of before says by their order. Of ranks only what
    # comes after alerts is looked for. A boot's messages have ids that go along with their numbers: `shift` says how
    # far apart (null where that changed); the highest id there ever was stands in the totals.
    """
CREATE TABLE steps (
    alert INTEGER NOT NULL, revision INTEGER NOT NULL, at_ds INTEGER NOT NULL, id INTEGER NOT NULL,
    PRIMARY KEY (alert, revision, at_ds)
) WITHOUT ROWID;
INSERT INTO steps SELECT k.alert, k.revision, k.at_ds,
    COALESCE(m.id, (SELECT seq FROM sqlite_sequence WHERE name='messages'), 0)
    FROM (SELECT *, row_number() OVER (PARTITION BY alert ORDER BY n DESC) AS age FROM keys) AS k
    LEFT JOIN (
        SELECT id, alert, row_number() OVER (PARTITION BY alert ORDER BY id DESC) AS age FROM messages
        WHERE alert IS NOT NULL
    ) AS m ON m.alert = k.alert AND m.age = k.age;
DROP TABLE keys;
ALTER TABLE steps RENAME TO keys;
ALTER TABLE totals ADD COLUMN last_id INTEGER NOT NULL DEFAULT 0;
UPDATE totals SET bytes = (SELECT COALESCE(SUM(length(payload) + 80), 0) FROM messages),
    last_id = COALESCE((SELECT seq FROM sqlite_sequence WHERE name='messages'), 0);
ALTER TABLE boots ADD COLUMN shift INTEGER;
UPDATE boots SET shift = (
    SELECT CASE WHEN MIN(id - seq) = MAX(id - seq) THEN MIN(id - seq) END FROM messages WHERE messages.boot = boots.boot
);
CREATE TABLE lean (
    id INTEGER PRIMARY KEY, boot INTEGER NOT NULL, seq INTEGER NOT NULL, kind TEXT NOT NULL, rank INTEGER NOT NULL,
    alert INTEGER, payload BLOB NOT NULL, quarantined INTEGER NOT NULL DEFAULT 0, expires_s INTEGER
);
INSERT INTO lean SELECT id, boot, seq, kind, rank, alert, payload, quarantined, expires_s FROM messages ORDER BY id;
DROP TABLE messages;
ALTER TABLE lean RENAME TO messages;
CREATE INDEX by_expiry ON messages (expires_s) WHERE expires_s IS NOT NULL;
CREATE INDEX by_age_of_lesser ON messages (id) WHERE rank >= 4
""",
)
SCHEMA_VERSION = len(_STEPS)


class Store:
    """One file at `path`. `state` and `restore` let an owner roll its memory back together with a transaction.

    `carry_over` runs in the first transaction of a file that replaces a damaged one.

    Raises:
        VigiaError: the file cannot be opened, or another process has it.

    """

    def __init__(
        self,
        path: Path,
        *,
        state: Callable[[], Any],
        restore: Callable[[Any], None],
        carry_over: Callable[[], None],
    ) -> None:
        self.path = path
        self.lock = threading.RLock()
        self._state, self._restore, self._carry_over = state, restore, carry_over
        self._notes: deque[str] = deque(maxlen=100)
        self.db: sqlite3.Connection
        try:
            self.db = self._connect()
        except sqlite3.DatabaseError as e:
            if not _is_damage(e):
                raise VigiaError(f"the outbox {path} cannot be opened: {e}; is another agent running?") from e
            self._replace(str(e))

    def note(self, sentence: str) -> None:
        """Something that `take_notes` shall tell."""
        self._notes.append(sentence)

    def take_notes(self) -> list[str]:
        """What happened to the store itself since the last call: damage and losses, one sentence each."""
        notes = []
        while self._notes:
            notes.append(self._notes.popleft())
        return notes

    def write(self, action: Callable[[], _T], *, lazy: bool = False) -> _T:
        """Run `action` in one transaction; on a damaged file start a new one and run it there."""
        with self.lock:
            try:
                return self._lazily(action) if lazy else self._transaction(action)
            except sqlite3.DatabaseError as e:
                if not _is_damage(e):
                    raise VigiaError(f"the outbox {self.path} did not take a write: {e}; free or mend the disk.") from e
                self._replace_and_carry_over(str(e))
                return self._again(lambda: self._transaction(action))

    def read(self, query: str, values: tuple[Any, ...] = ()) -> list[Any]:
        """All rows of a query."""
        with self.lock:
            try:
                return self.db.execute(query, values).fetchall()
            except sqlite3.DatabaseError as e:
                if not _is_damage(e):
                    raise VigiaError(f"the outbox {self.path} cannot be read: {e}; free or mend the disk.") from e
                self._replace_and_carry_over(str(e))
                return self._again(lambda: self.db.execute(query, values).fetchall())

    def insert(self, into: str, rows: Sequence[tuple[Any, ...]]) -> int:
        """In a transaction: put `rows` into a table; `into` is all that comes before VALUES. Returns how many went in.

        `executemany` takes a third longer: it begins and ends a statement for each row.
        """
        inserted = 0
        for at in range(0, len(rows), _ROWS_AT_ONCE):
            some = rows[at : at + _ROWS_AT_ONCE]
            places = "(" + ",".join("?" * len(some[0])) + ")"
            query = f"{into} VALUES {','.join([places] * len(some))}"
            inserted += self.db.execute(query, list(chain.from_iterable(some))).rowcount
        return inserted

    def give_back(self) -> None:
        """Free space goes back to the disk; what cannot be given back now stays for the next time."""
        with self.lock, contextlib.suppress(sqlite3.DatabaseError):  # damage shows at the next read or write
            free = self.db.execute("PRAGMA freelist_count").fetchone()[0]
            kept = _FREE_BYTES_KEPT // self._page_bytes
            if free > kept:
                # `execute` would step this once, and it gives back one page a step
                self.db.executescript(f"PRAGMA incremental_vacuum({free - kept // 2})")

    def close(self) -> None:
        """Release the file. Idempotent."""
        with self.lock, contextlib.suppress(sqlite3.DatabaseError):  # a full disk cannot take the last checkpoint
            self.db.close()

    def _lazily(self, action: Callable[[], _T]) -> _T:
        self.db.execute("PRAGMA synchronous = NORMAL")
        try:
            return self._transaction(action)
        finally:
            self.db.execute("PRAGMA synchronous = FULL")

    def _transaction(self, action: Callable[[], _T]) -> _T:
        before = self._state()
        try:
            self.db.execute("BEGIN IMMEDIATE")
            result = action()
            self.db.execute("COMMIT")
        except BaseException:
            self._restore(before)
            with contextlib.suppress(sqlite3.Error):  # the first error is the one to tell
                self.db.execute("ROLLBACK")
            raise
        return result

    def _again(self, action: Callable[[], _T]) -> _T:
        try:
            return action()
        except sqlite3.DatabaseError as e:
            raise VigiaError(f"the outbox {self.path} fails again after it was replaced: {e}; mend the disk.") from e

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=2.0)
        try:
            db.execute(f"PRAGMA page_size = {_PAGE_BYTES}")  # this and the next hold for a new file only, ...
            db.execute("PRAGMA auto_vacuum = INCREMENTAL")  # ... and before anything else
            db.execute("PRAGMA locking_mode = EXCLUSIVE")  # a second agent on the same outbox is refused
            db.execute("PRAGMA journal_mode = WAL").fetchall()
            db.execute("PRAGMA synchronous = FULL")
            self._page_bytes = int(db.execute("PRAGMA page_size").fetchone()[0])
            db.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES_KEPT}").fetchall()
            db.execute(f"PRAGMA wal_autocheckpoint = {_WAL_BYTES_KEPT // self._page_bytes}").fetchall()
            db.execute("BEGIN EXCLUSIVE")
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if version > SCHEMA_VERSION:
                raise _DamagedError(f"it is of version {version}, this agent reads up to version {SCHEMA_VERSION}")
            for step in _STEPS[version:]:
                for statement in step.split(";"):
                    db.execute(statement)
            if version < SCHEMA_VERSION:  # a full disk can open a file that is up to date, and read it
                db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            if db.execute("SELECT messages FROM totals").fetchone() is None:
                raise _DamagedError("its table of totals is empty")
            db.execute("COMMIT")
        except sqlite3.DatabaseError:
            db.close()
            raise
        return db

    def _replace(self, why: str) -> None:
        """Put the file aside and start a new one."""
        aside = next(p for p in (Path(f"{self.path}.damaged-{n}") for n in range(1, 10_000)) if not p.exists())
        try:
            for suffix in ("", "-wal", "-shm"):
                source = Path(f"{self.path}{suffix}")
                if source.exists():
                    source.rename(f"{aside}{suffix}")
            self.db = self._connect()
        except (OSError, sqlite3.DatabaseError) as e:
            raise VigiaError(f"the outbox {self.path} is damaged ({why}) and cannot be put aside: {e}") from e
        self._notes.append(
            f"The outbox {self.path} was damaged ({why}) and is kept as {aside.name}; a new one was started, and what "
            "had not reached the picture is in the old file only."
        )

    def _replace_and_carry_over(self, why: str) -> None:
        with contextlib.suppress(sqlite3.DatabaseError):  # it is damaged: closing it may fail as well
            self.db.close()
        self._replace(why)
        self._again(lambda: self._transaction(self._carry_over))


class _DamagedError(sqlite3.DatabaseError):
    """The file is whole, but not one of ours."""


def _is_damage(e: sqlite3.DatabaseError) -> bool:
    if isinstance(e, _DamagedError):
        return True
    code = getattr(e, "sqlite_errorcode", None)
    if code is None:
        return False
    # the header survived, the tables or what stands in them did not
    strange = code == sqlite3.SQLITE_ERROR and any(
        x in str(e) for x in ("no such", "already exists", "duplicate column")
    )
    return code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or strange
