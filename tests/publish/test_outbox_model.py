"""The outbox against a model of its promise, on files that tear, fill up, and come back from a power cut.

The model knows every message that was ever committed. After every step each of them is in the store, acknowledged, or
named by a loss record, and in one of these only; the counts in the loss records are exact; what went was of the lowest
priority and the oldest; and the seals cover every message with its digest, without a hole.
"""

from __future__ import annotations

import resource
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from agent.errors import ProtocolError, VigiaError
from agent.publish import cbor
from agent.publish.entries import (
    DIGEST_BYTES,
    RANK_HEALTH,
    RANK_HIGH,
    RANK_LOSS,
    RANK_LOW,
    RANK_MEDIUM,
    RANK_POISON,
    Entry,
    Message,
    Run,
    digest,
)
from agent.publish.losses import Forced
from agent.publish.outbox import ROW_BYTES, SEAL_AFTER, Outbox

FAST = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - files in memory: syncing them costs nothing
MAX_BYTES = 9000  # about sixty messages
RANKS = {"l": RANK_LOSS, "v": RANK_HIGH}


@dataclass(slots=True)
class Known:
    """One message that is in the store."""

    id: int
    kind: str
    payload: bytes
    rank: int
    expires_s: int | None = None
    quarantined: bool = False


def encode_loss(forced: Forced, seq: int) -> bytes:
    return cbor.dumps([1, 7, seq, 0, 0, forced.boot, forced.ranges, forced.alerts, forced.others])


def encode_seal(run: Run, seq: int) -> bytes:
    return cbor.dumps([1, 7, seq, 0, 0, run.boot, run.first, run.digests])


def refusing(_seq: int) -> bytes:
    raise ProtocolError("this does not fit into a message")


def constant(payload: bytes) -> Callable[[int], bytes]:
    return lambda _seq: payload


@contextmanager
def files_no_longer_than(size: int) -> Iterator[None]:
    """The kernel refuses writes beyond `size` in any file: in the middle of one, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


class OutboxMachine(RuleBasedStateMachine):
    """What an operator, a core, a picture and a bad disk may do, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="vigia-outbox-", dir=FAST))
        self.path = self.folder / "outbox.sqlite"
        self.boot = 1000
        self.here: dict[tuple[int, int], Known] = {}
        self.ever: dict[tuple[int, int], tuple[str, bytes]] = {}
        self.acked: set[tuple[int, int]] = set()
        self.lost: set[tuple[int, int]] = set()
        self.keys: set[tuple[int, int, int]] = set()
        self.next_key = 0
        self.now_s = 0
        self.box = Outbox(self.path, MAX_BYTES)

    def teardown(self) -> None:
        self.box.close()
        shutil.rmtree(self.folder)

    @initialize()
    def first_boot(self) -> None:
        self.start_boot()

    def start_boot(self) -> None:
        before = self.rows()
        self.box.start_boot(self.boot, b"birth of %d" % self.boot, encode_loss, encode_seal)
        self.take([m for m in self.rows() if m.id not in {b.id for b in before}], {})

    # ------------------------------------------------------------------ the model

    def rows(self) -> list[Message]:
        """Everything in the store that may be sent."""
        return sorted(
            [*self.box.pending(0, 10_000, health=False), *self.box.pending(0, 10_000, health=True)], key=lambda m: m.id
        )

    def take(self, messages: list[Message], facts: dict[bytes, tuple[int, int | None]]) -> None:
        """These are new; `facts` gives rank and expiry by the start of the payload."""
        for m in messages:
            assert (m.boot, m.seq) not in self.ever
            rank, expires_s = facts.get(m.payload[:9], (RANKS.get(m.kind, 0), None))
            self.here[m.boot, m.seq] = Known(m.id, m.kind, m.payload, rank, expires_s)
            self.ever[m.boot, m.seq] = (m.kind, m.payload)

    def settle(self, new: dict[tuple[int, int], tuple[str, bytes]]) -> None:
        """What is no longer in the store was given up: by priority, then age."""
        present = {(m.boot, m.seq): m for m in self.rows()}
        waiting = {k for k, m in self.here.items() if not m.quarantined}
        gone = waiting - set(present)
        given_up = [self.here.pop(k) for k in gone]
        kept = max(((m.rank, -m.id) for m in self.here.values() if not m.quarantined), default=(-1, 0))
        assert all((g.rank, -g.id) > kept for g in given_up)
        stored = {row[0] for row in self.box._store.read("SELECT id FROM messages WHERE quarantined")}
        for k in [k for k, m in self.here.items() if m.quarantined and m.id not in stored]:
            del self.here[k]  # it was recorded when it was put aside
        self.ever.update({k: v for k, v in new.items() if k not in self.ever})
        top = max((s for b, s in self.ever if b == self.boot), default=0)
        for key in ((self.boot, s) for s in range(1, top)):
            if key not in self.ever:
                self.ever[key] = ("?", b"")  # given up in the commit that made it, so nobody has seen its bytes
        self.lost |= set(self.ever) - set(self.here) - self.acked

    def append(self, entries: list[Entry], facts: dict[bytes, tuple[int, int | None]]) -> None:
        """Append and follow: which of the new ones went at once is told by what `encode` was asked for."""
        made: dict[tuple[int, int], tuple[str, bytes]] = {}

        def noting(entry: Entry) -> Entry:
            def encode(seq: int) -> bytes:
                payload = entry.encode(seq)
                made[self.boot, seq] = (entry.kind, payload)
                return payload

            return Entry(kind=entry.kind, rank=entry.rank, encode=encode, key=entry.key, expires_s=entry.expires_s)

        committed = self.box.append([noting(e) for e in entries])
        self.take(list(committed.messages), facts)
        self.settle(made)
        self.keys |= {e.key for e in entries if e.key is not None}

    def entries(self, plan: list[tuple[int, int, int]]) -> tuple[list[Entry], dict[bytes, tuple[int, int | None]]]:
        """Entries of (rank, size, repeat): 0 for a new alert step, else one of the last ones again."""
        out: list[Entry] = []
        facts: dict[bytes, tuple[int, int | None]] = {}
        for rank, size, repeat in plan:
            if rank == RANK_HEALTH:
                self.next_key += 1
                head = b"h%08d" % self.next_key
                facts[head] = (rank, self.now_s + 50)
                body = head + bytes(size)
                out.append(Entry(kind="h", rank=rank, encode=constant(body), expires_s=self.now_s + 50))
                continue
            if not repeat or repeat > self.next_key:
                self.next_key += 1
                n = self.next_key
            else:
                n = self.next_key - repeat + 1
            head = b"a%08d" % n
            facts.setdefault(head, (rank, None))  # a step that comes twice is taken as it came first
            body = head + bytes(size)
            encode = refusing if n % 7 == 0 else constant(body)
            out.append(Entry(kind="a", rank=rank, encode=encode, key=(n // 3, n % 3, n)))
        return out, facts

    plans = st.lists(
        st.tuples(
            st.sampled_from([RANK_HIGH, RANK_MEDIUM, RANK_LOW, RANK_HEALTH]), st.integers(0, 60), st.integers(0, 3)
        ),
        min_size=1,
        max_size=25,
    )

    # ------------------------------------------------------------------ steps

    @rule(plan=plans)
    def commit(self, plan: list[tuple[int, int, int]]) -> None:
        self.append(*self.entries(plan))

    @rule(plan=plans, room=st.integers(0, 9000))
    def commit_on_a_full_disk(self, plan: list[tuple[int, int, int]], room: int) -> None:
        """All of it or nothing of it, and it can be tried again."""
        entries, facts = self.entries(plan)
        wal = Path(f"{self.path}-wal")
        limit = (wal.stat().st_size if wal.exists() else 0) + room
        before = self.rows()
        refused = False
        with files_no_longer_than(limit):
            try:
                self.box.append([])
                committed = self.box.append(entries)
            except VigiaError:
                refused = True
        if refused:
            assert self.rows() == before
            self.append(entries, facts)
        else:
            self.take(list(committed.messages), facts)
            self.settle({})
            self.keys |= {e.key for e in entries if e.key is not None}

    @rule(plan=plans, cut=st.integers(0, 40_000), garbage=st.booleans())
    def power_cut_while_committing(self, plan: list[tuple[int, int, int]], cut: int, garbage: bool) -> None:
        """The batch is there wholly or not at all; everything before it is there."""
        entries, facts = self.entries(plan)
        wal = Path(f"{self.path}-wal")
        old = wal.read_bytes() if wal.exists() else b""
        before_keys, before = set(self.keys), self.rows()
        snapshot = dict(self.here), dict(self.ever), set(self.lost)
        self.append(entries, facts)
        after = self.rows()
        main, new = self.path.read_bytes(), wal.read_bytes()
        self.box.close()
        self.path.write_bytes(main)
        torn = new
        if new.startswith(old):  # else the log was begun anew: what it held before is in the main file by now
            torn = new[: min(len(new), len(old) + cut)]
            if garbage:
                torn += bytes(range(256)) * 3
        wal.write_bytes(torn)
        self.box = Outbox(self.path, MAX_BYTES)
        assert self.box.take_notes() == []
        now = self.rows()
        assert now in (before, after)
        if now != after:
            self.here, self.ever, self.lost = snapshot
            self.keys = before_keys
        self.reboot()

    def reboot(self) -> None:
        self.boot += 1
        self.start_boot()

    @rule(same=st.booleans())
    def restart(self, same: bool) -> None:
        self.box.close()
        self.box = Outbox(self.path, MAX_BYTES)
        self.boot += not same
        self.start_boot()

    @rule(data=st.data())
    def acknowledge(self, data: st.DataObject) -> None:
        boot = data.draw(st.integers(max(1000, self.boot - 2), self.boot))
        top = max((s for b, s in self.ever if b == boot), default=0)
        contiguous = data.draw(st.integers(0, top))
        ranges = [(s, min(top, s + 1)) for s in data.draw(st.lists(st.integers(1, top), max_size=3))] if top else []
        gone = set(self.box.acknowledge(boot, contiguous, ranges))
        expected = {
            k
            for k, m in self.here.items()
            if k[0] == boot and not m.quarantined and (k[1] <= contiguous or any(a <= k[1] <= b for a, b in ranges))
        }
        assert gone == {self.here[k].id for k in expected}
        for k in expected:
            del self.here[k]
        self.acked |= expected

    @rule()
    def acknowledge_too_much(self) -> None:
        top = max((s for b, s in self.ever if b == self.boot), default=0)
        with pytest.raises(ProtocolError):
            self.box.acknowledge(self.boot, top + 1)

    @precondition(lambda self: any(not m.quarantined for m in self.here.values()))
    @rule(data=st.data())
    def poison(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(k for k, m in self.here.items() if not m.quarantined)))
        losses = self.box.quarantine(self.here[key].id)
        assert losses
        self.here[key].quarantined = True
        self.here[key].rank = RANK_POISON
        self.lost.add(key)
        self.take(list(losses), {})

    @rule(seconds=st.integers(1, 80))
    def time_passes(self, seconds: int) -> None:
        self.now_s += seconds
        losses = self.box.expire(self.now_s)
        expired = {
            k
            for k, m in self.here.items()
            if m.expires_s is not None and m.expires_s <= self.now_s and not m.quarantined
        }
        assert bool(losses) == bool(expired)
        for k in expired:
            del self.here[k]
        self.lost |= expired
        self.take(list(losses), {})

    @rule()
    def seal(self) -> None:
        self.take(list(self.box.seal()), {})

    # ------------------------------------------------------------------ what always holds

    @invariant()
    def everything_is_somewhere(self) -> None:
        waiting = {k: m for k, m in self.here.items() if not m.quarantined}
        assert [(m.boot, m.seq, m.kind, m.payload) for m in self.rows()] == [
            (*k, m.kind, m.payload) for k, m in sorted(waiting.items(), key=lambda kv: kv[1].id)
        ]
        assert set(self.ever) == set(waiting) | self.acked | self.lost
        assert len(self.ever) == len(waiting) + len(self.acked) + len(self.lost)

    @invariant()
    def an_alert_finds_its_earlier_steps(self) -> None:
        alerts = [m for m in self.rows() if m.kind == "a"]
        of = {m.id: int(m.payload[1:9]) // 3 for m in alerts}
        for m in alerts:
            assert self.box.earlier_steps(m) == [e for e in alerts if e.id < m.id and of[e.id] == of[m.id]]

    @invariant()
    def totals_are_sums(self) -> None:
        messages, size, _ = self.box.totals()
        assert messages == sum(not m.quarantined for m in self.here.values())
        assert size == sum(len(m.payload) + ROW_BYTES for m in self.here.values())
        assert size <= MAX_BYTES * 1.5  # one batch over, and the records of what went

    @invariant()
    def loss_records_are_exact(self) -> None:
        named: set[tuple[int, int]] = set()
        alerts = others = 0
        for k, (kind, payload) in self.ever.items():
            if kind == "l" and k not in self.lost:
                row = cbor.loads(payload)
                named |= {(row[5], s) for a, b in row[6] for s in range(a, b + 1)}
                alerts, others = alerts + row[7], others + row[8]
        assert named == self.lost
        kinds = [self.ever[k][0] for k in self.lost]
        unknown = kinds.count("?")
        assert kinds.count("a") <= alerts <= kinds.count("a") + unknown
        assert alerts + others == len(kinds) - kinds.count("l")

    @invariant()
    def seals_cover_without_a_hole(self) -> None:
        next_first: dict[int, int] = {}
        for kind, payload in (self.ever[k] for k in sorted(self.ever)):
            if kind != "v":
                continue
            row = cbor.loads(payload)
            assert row[6] == next_first.get(row[5], 1)
            pieces = [row[7][i : i + DIGEST_BYTES] for i in range(0, len(row[7]), DIGEST_BYTES)]
            assert len(pieces) <= SEAL_AFTER + 60
            next_first[row[5]] = row[6] + len(pieces)
            for i, piece in enumerate(pieces):
                sealed_kind, sealed = self.ever[row[5], row[6] + i]
                assert sealed_kind == "?" or piece == digest(sealed_kind, sealed)


TestOutbox = OutboxMachine.TestCase
TestOutbox.settings = settings(
    max_examples=60, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
