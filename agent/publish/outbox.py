"""What has to reach the picture, on disk until it is there.

Promises:
- `append` returns after the batch is on the disk (SQLite, WAL, synchronous=FULL, one commit a batch), and a batch is
  there wholly or not at all; what was not committed was never handed out;
- a message's identity (boot, seq) and bytes are fixed in that commit: every repeat is the same message;
- an alert step (id, revision, time) is taken once: a core that repeats itself after a crash adds nothing;
- beyond `max_bytes` the lowest priority and oldest go first; what has expired goes, and what no broker takes is put
  aside: each in the same commit as the loss record that names it;
- every `SEAL_AFTER` messages their digests are sealed by a message that the owner signs; a run that a crash cut short
  is sealed by the next boot;
- opening costs the same whatever the backlog; space of what was acknowledged goes back to the disk.

One connection behind one lock: the core's thread appends, the publisher's thread reads and forgets. What becomes of a
damaged file is in store.py.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, TypeVar

from agent.errors import ProtocolError, VigiaError
from agent.publish.audit import Audit
from agent.publish.entries import (
    DIGEST_BYTES,
    RANK_HEALTH,
    RANK_HIGH,
    RANK_LOSS,
    RANK_POISON,
    Committed,
    Entry,
    Message,
    Run,
    digest,
)
from agent.publish.losses import Forced, Tally
from agent.publish.ranges import Ranges
from agent.publish.steps import Key, Steps
from agent.publish.store import Store

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Generator, Iterable, Sequence
    from pathlib import Path

ROW_BYTES = 80  # what a row takes beside its payload, at most: columns, an index, its key, and pages that are not full
BOOTS_KEPT = 256  # boot ids remembered, so that their low halves are not used again soon
_MOST = 1 << 62  # no id or number is higher
SEAL_AFTER = 32  # messages: their digests are 256 bytes

_T = TypeVar("_T")
_Row = tuple[str, int, bytes, "Key | None", "int | None"]  # kind, rank, payload, key, expires_s
_BACKLOG_RANKS = {True: f">= {RANK_HEALTH}", False: f"< {RANK_HEALTH}"}


class SupersededError(VigiaError):
    """Somebody still writes for a boot that another one has replaced. Example: a publisher during a reload."""


class Outbox:
    """The store, at `path`, of at most about `max_bytes`.

    Raises:
        VigiaError: the file cannot be opened, or another process has it.

    """

    def __init__(self, path: Path, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.departures = 0  # grows whenever messages leave: who has read some may have read what is gone
        self._boot = 0
        self._seq = 0
        self._id = 0
        self._bytes = 0  # as the last count of this transaction left them
        self._birth: bytes | None = None
        self._sealed = 0
        self._unsealed = b""
        self._fresh = False  # something but seals has come since the last seal
        self._encode_loss: Callable[[Forced, int], bytes] | None = None
        self._encode_seal: Callable[[Run, int], bytes] | None = None
        self._store = Store(path, state=self._memory, restore=self._remember, carry_over=self._carry_over)
        self._steps = Steps(self._store)
        self._id = self.last_id()
        self._lock = self._store.lock
        self.path = path
        self.audit = Audit(self._store)
        self.take_notes = self._store.take_notes
        self.close = self._store.close

    # ------------------------------------------------------------------ this boot

    def start_boot(
        self,
        boot: int,
        birth: bytes,
        encode_loss: Callable[[Forced, int], bytes],
        encode_seal: Callable[[Run, int], bytes] | None = None,
    ) -> None:
        """Messages from now on belong to `boot`; births of boots that have nothing left to send are dropped.

        Without `encode_seal` nothing is sealed.
        """
        with self._lock:
            self._encode_loss, self._encode_seal = encode_loss, encode_seal
            self._store.write(lambda: self._start_boot(boot, birth))

    def _start_boot(self, boot: int, birth: bytes) -> None:
        known = self._db.execute("SELECT next_seq, sealed, unsealed FROM boots WHERE boot=?", (boot,)).fetchone()
        self._seq, self._sealed, self._unsealed = (known[0] - 1, known[1], known[2]) if known else (0, 0, b"")
        self._boot, self._birth = boot, birth
        self._register_boot()
        if self._encode_seal is not None:
            self._seal_older_boots()
            self._save_run()

    def free_boot(self, candidates: Iterable[int]) -> int:
        """The first of `candidates` whose low half no remembered boot has."""
        used = {row[0] & 0xFFFF for row in self._store.read("SELECT boot FROM boots")}
        return next(c for c in candidates if c & 0xFFFF not in used)

    def previous_boot(self) -> tuple[int, int] | None:
        """(boot, last seq) of the boot that was started last, or None on a new box."""
        rows = self._store.read("SELECT boot, next_seq - 1 FROM boots ORDER BY n DESC LIMIT 1")
        return (int(rows[0][0]), int(rows[0][1])) if rows else None

    def save_birth(self, birth: bytes) -> None:
        """A newer edition of this boot's birth."""
        with self._lock:
            self._birth = birth
            self._store.write(lambda: self._db.execute("UPDATE boots SET birth=? WHERE boot=?", (birth, self._boot)))

    def birth(self, boot: int) -> bytes | None:
        """The birth that messages of `boot` need."""
        rows = self._store.read("SELECT birth FROM boots WHERE boot=?", (boot,))
        return rows[0][0] if rows else None

    # ------------------------------------------------------------------ in

    def append(
        self, entries: Sequence[Entry], birth: Callable[[], bytes] | None = None, boot: int | None = None
    ) -> Committed:
        """Store a batch in one commit; durable when this returns.

        `birth` gives this boot's birth after encoding, if encoding may have changed it: it goes into the same commit.
        `boot` is the boot that the caller encodes for.

        Raises:
            SupersededError: another boot has been started meanwhile: its numbers are not the caller's.
            VigiaError: the disk did not take it. Nothing of the batch is stored; the caller keeps it and tries again.

        """
        with self._lock:
            if boot is not None and boot != self._boot:
                raise SupersededError("another boot has been started on this outbox; nothing is stored for the old one")
            return self._store.write(lambda: self._append(entries, birth))

    def _append(self, entries: Sequence[Entry], birth: Callable[[], bytes] | None) -> Committed:
        rows: list[_Row] = []
        refused: list[str] = []
        new = self._steps.claim([entry.key for entry in entries], self._id)
        taken: set[Key] = set()
        for entry in entries:
            if entry.key is not None:
                if entry.key in taken or entry.key not in new:
                    continue
                taken.add(entry.key)
            try:
                payload = entry.encode(self._seq + len(rows) + 1)
            except ProtocolError as e:
                refused.append(str(e))
                continue
            rows.append((entry.kind, entry.rank, payload, entry.key, entry.expires_s))
        if birth is not None and (latest := birth()) != self._birth:
            self._birth = latest
            self._db.execute("UPDATE boots SET birth=? WHERE boot=?", (latest, self._boot))
        if not rows and not refused:
            return Committed(messages=())
        self._steps.mend(new, [row[3] for row in rows], self._id)
        before = self._id
        stored = self._insert(rows)
        self._steps.trim(before, self._id)
        if self._encode_seal is not None and len(self._unsealed) >= SEAL_AFTER * DIGEST_BYTES:
            stored.append(self._seal())
        losses, gone = self._make_room()
        stored = [m for m in stored if m.id not in gone] + losses
        self._save_run()
        return Committed(messages=tuple(stored), refused=tuple(refused))

    def newest_alert(self) -> int:
        """The highest alert id that was ever committed here; 0 for none."""
        with self._lock:
            return self._steps.newest_alert()

    def _insert(self, rows: Sequence[_Row]) -> list[Message]:
        made = [
            Message(id=self._id + n, boot=self._boot, seq=self._seq + n, kind=row[0], payload=row[2])
            for n, row in enumerate(rows, 1)
        ]
        if self._encode_seal is not None:
            self._unsealed += b"".join([digest(m.kind, m.payload) for m in made])
            self._fresh |= any(m.kind != "v" for m in made)
        self._store.insert(
            "INSERT INTO messages (id, boot, seq, kind, rank, alert, payload, expires_s)",
            [
                (m.id, m.boot, m.seq, m.kind, rank, None if key is None else key[0], m.payload, expires_s)
                for m, (_, rank, _, key, expires_s) in zip(made, rows, strict=True)
            ],
        )
        self._seq += len(made)
        self._id += len(made)
        self._count(len(made), sum(len(m.payload) for m in made) + ROW_BYTES * len(made))
        return made

    # ------------------------------------------------------------------ seals

    def seal(self) -> tuple[Message, ...]:
        """Seal what has come since the last seal, if anything but seals has; returns the new message."""
        with self._lock:
            if self._encode_seal is None or not self._fresh:
                return ()

            def run() -> tuple[Message, ...]:
                message = self._seal()
                self._save_run()
                return (message,)

            return self._store.write(run)

    def _seal(self) -> Message:
        """Make the seal of this boot's run. The seal itself opens the next run, so each one covers the one before."""
        run = Run(boot=self._boot, first=self._sealed + 1, digests=self._unsealed)
        self._sealed, self._unsealed, self._fresh = self._seq, b"", False
        return self._insert_seal(run)

    def _insert_seal(self, run: Run) -> Message:
        if self._encode_seal is None:
            raise VigiaError("the outbox was told to seal before start_boot gave it a way to")
        payload = self._encode_seal(run, self._seq + 1)
        return self._insert([("v", RANK_HIGH, payload, None, None)])[0]

    def _seal_older_boots(self) -> None:
        query = "SELECT boot, sealed, unsealed FROM boots WHERE boot<>? AND length(unsealed) > 0 ORDER BY n"
        for boot, sealed, unsealed in self._db.execute(query, (self._boot,)).fetchall():
            self._insert_seal(Run(boot=boot, first=sealed + 1, digests=unsealed))
            self._db.execute("UPDATE boots SET sealed=next_seq-1, unsealed=x'' WHERE boot=?", (boot,))

    def _save_run(self) -> None:
        self._db.execute(
            "UPDATE boots SET next_seq=?, sealed=?, unsealed=? WHERE boot=?",
            (self._seq + 1, self._sealed, self._unsealed, self._boot),
        )

    # ------------------------------------------------------------------ out

    def pending(self, after: int, limit: int, *, health: bool, upto: int | None = None) -> list[Message]:
        """Messages with an id beyond `after` (up to `upto`), oldest first: of health, or of everything else."""
        query = (
            "SELECT id, boot, seq, kind, payload FROM messages WHERE id > ? AND id <= ? "  # noqa: S608 - our constant
            f"AND rank {_BACKLOG_RANKS[health]} "
            "AND NOT quarantined ORDER BY id LIMIT ?"
        )
        return self._messages(query, (after, _MOST if upto is None else upto, limit))

    def get(self, message_id: int) -> Message | None:
        """One message, unless it has gone."""
        query = "SELECT id, boot, seq, kind, payload FROM messages WHERE id=? AND NOT quarantined"
        return next(iter(self._messages(query, (message_id,))), None)

    def earlier_steps(self, message: Message) -> list[Message]:
        """Older messages of the same alert that are still here, oldest first."""
        query = (
            "WITH it (alert) AS (SELECT alert FROM messages WHERE id=?1) "
            "SELECT id, boot, seq, kind, payload FROM messages JOIN it USING (alert) "
            "WHERE id IN (SELECT keys.id FROM keys JOIN it USING (alert) WHERE keys.id < ?1) "
            "AND NOT quarantined ORDER BY id"
        )
        return self._messages(query, (message.id,))

    def try_to_write(self) -> None:
        """Change nothing, through the disk.

        Raises:
            VigiaError: it does not take it.

        """
        self._store.write(lambda: self._db.execute("UPDATE totals SET lost = lost"))

    def last_id(self) -> int:
        """The id of the newest message there ever was."""
        return int(self._store.read("SELECT last_id FROM totals")[0][0])

    def totals(self) -> tuple[int, int, int]:
        """(messages waiting, bytes they take, messages ever forced out)."""
        messages, size, lost = self._store.read("SELECT messages, bytes, lost FROM totals")[0]
        return int(messages), int(size), int(lost)

    def _messages(self, query: str, values: tuple[int, ...]) -> list[Message]:
        rows = self._store.read(query, values)
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
            known = self._db.execute("SELECT shift FROM boots WHERE boot=?", (boot,)).fetchone()
            if known is None:
                return []
            for a, b in spans:
                first, last = min(a, _MOST), min(b, _MOST)
                ids_of = (0, _MOST) if known[0] is None else (first + known[0], last + known[0])
                rows = self._db.execute(
                    "DELETE FROM messages WHERE id BETWEEN ? AND ? AND boot=? AND seq BETWEEN ? AND ? "
                    "AND NOT quarantined RETURNING id, length(payload)",
                    (*ids_of, boot, first, last),
                ).fetchall()
                self._count(-len(rows), -sum(size + ROW_BYTES for _, size in rows))
                ids += [i for i, _ in rows]
            if ids:
                self._forget_boots()
            return ids

        # a power cut that undoes it costs a repeat, which the picture knows: not worth a write of its own
        return self._shrinking(run, lazy=True)

    def forget(self, ids: Sequence[int]) -> None:
        """Forget messages that the broker has, where that is enough."""

        def run() -> None:
            query = "DELETE FROM messages WHERE id BETWEEN ? AND ? RETURNING length(payload)"
            for span in Ranges((i, i) for i in ids):
                sizes = self._db.execute(query, span).fetchall()
                self._count(-len(sizes), -sum(size + ROW_BYTES for (size,) in sizes))
            self._forget_boots()

        self._shrinking(run, lazy=True)  # as after an acknowledgement

    def quarantine(self, message_id: int) -> tuple[Message, ...]:
        """Keep a message that the broker will not have, but never offer it again; returns its loss record."""

        def run() -> tuple[Message, ...]:
            row = self._db.execute(
                "UPDATE messages SET quarantined=1, rank=?, expires_s=NULL WHERE id=? AND NOT quarantined "
                "RETURNING boot, seq, kind, payload",
                (RANK_POISON, message_id),
            ).fetchone()
            if row is None:
                return ()
            tally = Tally()
            tally.add(*row)
            self._count(-1, 0)
            return self._give_up(tally)

        return self._store.write(run)

    def expire(self, now_s: float) -> tuple[Message, ...]:
        """Give up what is worth nothing any more at logic time `now_s`; returns the loss records."""

        def run() -> tuple[Message, ...]:
            rows = self._db.execute(
                "DELETE FROM messages WHERE expires_s <= ? RETURNING boot, seq, kind, payload", (int(now_s),)
            ).fetchall()
            tally = Tally()
            for row in rows:
                tally.add(*row)
            self._count(-len(rows), -sum(len(row[3]) + ROW_BYTES for row in rows))
            return self._give_up(tally) if rows else ()

        if not self._store.read("SELECT 1 FROM messages WHERE expires_s <= ? LIMIT 1", (int(now_s),)):
            return ()
        return self._shrinking(run)

    def _give_up(self, tally: Tally) -> tuple[Message, ...]:
        self._db.execute("UPDATE totals SET lost = lost + ?", (tally.messages,))
        losses = tuple(self._record(f) for f in tally.forced())
        self._save_run()
        return losses

    def _make_room(self) -> tuple[list[Message], set[int]]:
        """Force out the lowest priority and oldest until nine tenths of the space are enough; record what went.

        Returns the loss records and the ids that went.
        """
        if self._bytes <= self.max_bytes:
            return [], set()
        forced, gone = self._force_out(self._bytes - self.max_bytes * 9 // 10)
        self._store.note(
            f"The outbox is full ({self.max_bytes} bytes): {sum(f.alerts for f in forced)} alerts and "
            f"{sum(f.others for f in forced)} other messages were given up; restore the link or raise "
            "publish.outbox_max_bytes."
        )
        return [self._record(f) for f in forced], gone

    def _force_out(self, least: int) -> tuple[list[Forced], set[int]]:
        tally = Tally()
        freed = waiting = 0
        gone: set[int] = set()
        with contextlib.closing(self._least_worth_first()) as rows:
            for i, boot, seq, kind, payload, quarantined in rows:
                if not quarantined:  # else it was recorded when it was put aside
                    tally.add(boot, seq, kind, payload)
                    waiting += 1
                gone.add(i)
                freed += len(payload) + ROW_BYTES
                if freed >= least:
                    break
        self._db.executemany("DELETE FROM messages WHERE id=?", [(i,) for i in gone])
        self._count(-waiting, -freed)
        self._db.execute("UPDATE totals SET lost = lost + ?", (tally.messages,))
        return tally.forced(), gone

    def _least_worth_first(self) -> Generator[tuple[int, int, int, str, bytes, int], None, None]:
        # looks at everything for each rank of alerts: rarely, and an index would cost every message a page on the disk
        for rank in range(RANK_POISON, RANK_LOSS - 1, -1):
            indexed = f"rank {_BACKLOG_RANKS[True]} AND " if rank >= RANK_HEALTH else ""
            query = (
                f"SELECT id, boot, seq, kind, payload, quarantined FROM messages WHERE {indexed}rank = {rank} "  # noqa: S608 - our constants
                "ORDER BY id"
            )
            with contextlib.closing(self._db.execute(query)) as rows:
                yield from rows

    def _record(self, forced: Forced) -> Message:
        if self._encode_loss is None:
            raise VigiaError("the outbox was used before start_boot: it cannot record what it forces out")
        payload = self._encode_loss(forced, self._seq + 1)
        return self._insert([("l", RANK_LOSS, payload, None, None)])[0]

    # ------------------------------------------------------------------ the file

    @property
    def _db(self) -> sqlite3.Connection:
        return self._store.db

    def _memory(self) -> tuple[int, int, int, bytes | None, int, bytes]:
        return self._boot, self._seq, self._id, self._birth, self._sealed, self._unsealed

    def _remember(self, memory: tuple[int, int, int, bytes | None, int, bytes]) -> None:
        self._boot, self._seq, self._id, self._birth, self._sealed, self._unsealed = memory

    def _register_boot(self) -> None:
        self._db.execute(
            "INSERT INTO boots (boot, birth, next_seq, sealed, unsealed, shift) VALUES (?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (boot) DO UPDATE SET birth=excluded.birth, shift=NULLIF(shift, NULLIF(shift, excluded.shift))",
            (self._boot, self._birth, self._seq + 1, self._sealed, self._unsealed, self._id - self._seq),
        )
        self._forget_boots()

    def _forget_boots(self) -> None:
        self._db.execute(
            "UPDATE boots SET birth=NULL WHERE birth IS NOT NULL AND boot<>? AND CASE WHEN shift IS NULL "
            "THEN NOT EXISTS (SELECT 1 FROM messages WHERE messages.boot = boots.boot) ELSE NOT EXISTS ("
            "SELECT 1 FROM messages WHERE id > shift AND id < shift + next_seq AND messages.boot = boots.boot) END",
            (self._boot,),
        )
        self._db.execute("DELETE FROM boots WHERE birth IS NULL AND n <= (SELECT max(n) FROM boots) - ?", (BOOTS_KEPT,))

    def _count(self, messages: int, size: int) -> None:
        self.departures += messages < 0
        query = "UPDATE totals SET messages = messages + ?, bytes = bytes + ?, last_id = ? RETURNING bytes"
        self._bytes = int(self._db.execute(query, (messages, size, self._id)).fetchall()[0][0])

    def _shrinking(self, action: Callable[[], _T], *, lazy: bool = False) -> _T:
        """A write that frees space, and the space's way back to the disk."""
        with self._lock:
            result = self._store.write(action, lazy=lazy)
            self._store.give_back()
            return result

    def _carry_over(self) -> None:
        """In a new file that replaces a damaged one: no identity of this boot is used twice, and what went is told."""
        self.departures += 1
        self._id = 0
        if not self._boot:
            return
        self._sealed, self._unsealed = self._seq, b""
        self._register_boot()
        if self._seq:  # which of them had gone out, only the damaged file knew
            self._record(Forced(boot=self._boot, ranges=((1, self._seq),), alerts=0, others=0))
            self._save_run()
