"""The outbox' file over damage, versions, boots and time: what is kept, what is told, what goes back to the disk."""

from __future__ import annotations

import sqlite3
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.publish.entries import RANK_HIGH, RANK_LOW, RANK_MEDIUM, Entry
from agent.publish.outbox import ROW_BYTES, Outbox

from .test_outbox_model import FAST, constant, encode_loss, encode_seal


def fill(path: Path, count: int = 400, *, keep_log: bool = False) -> None:
    box = Outbox(path, 10_000_000)
    box.start_boot(1, b"birth", encode_loss, encode_seal)
    for at in range(0, count, 20):
        ids = range(at, min(at + 20, count))
        box.append([Entry(kind="a", rank=RANK_MEDIUM, encode=constant(b"%06d" % i * 8), key=(i, 0, i)) for i in ids])
    wal = Path(f"{path}-wal").read_bytes()
    box.close()
    if keep_log:
        Path(f"{path}-wal").write_bytes(wal)


@pytest.mark.parametrize("which", ["", "-wal"])
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_damage_is_survived_and_told(which: str, data: st.DataObject) -> None:
    """Flipped and cut bytes: the agent starts, commits, and says what became of the old file."""
    with tempfile.TemporaryDirectory(prefix="vigia-outbox-", dir=FAST) as name:
        path = Path(name) / "outbox.sqlite"
        fill(path, keep_log=True)
        victim = Path(f"{path}{which}")
        content = bytearray(victim.read_bytes() if victim.exists() else b"")
        for _ in range(data.draw(st.integers(1, 30))):
            if content:
                content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
        victim.write_bytes(content[: data.draw(st.integers(0, len(content)))] if data.draw(st.booleans()) else content)
        box = Outbox(path, 10_000_000)
        box.start_boot(2, b"birth", encode_loss, encode_seal)
        stored = box.append([Entry(kind="a", rank=RANK_HIGH, encode=lambda _s: b"new", key=(10**6, 0, 0))]).messages
        box.acknowledge(1, 400)
        box.expire(10)
        assert box.get(stored[0].id) == stored[0]
        notes = box.take_notes()
        aside = list(path.parent.glob("outbox.sqlite.damaged-*"))
        assert bool(notes) == bool([a for a in aside if not a.name.endswith(("-wal", "-shm"))])
        box.close()
        again = Outbox(path, 10_000_000)
        assert again.get(stored[0].id) == stored[0]
        again.close()


V1 = """
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
INSERT INTO totals VALUES (4, 490, 5);
INSERT INTO boots VALUES (1, 77, x'b1', 6);
INSERT INTO messages VALUES (2, 77, 2, 'a', 2, 9, x'0102', 0), (3, 77, 3, 'h', 4, NULL, x'03', 0),
    (4, 77, 4, 'a', 2, 8, x'04', 0), (5, 77, 5, 'a', 1, 9, x'05', 0);
INSERT INTO keys VALUES (1, 9, 0, 100), (2, 8, 1, 110), (3, 9, 1, 120), (4, 9, 2, 130), (5, 7, 0, 140);
PRAGMA user_version = 1;
"""


def test_an_outbox_of_the_first_version_keeps_everything(tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite"
    db = sqlite3.connect(path)
    db.executescript(V1)
    db.close()
    box = Outbox(path, 10_000_000)
    assert box.take_notes() == []
    assert box.previous_boot() == (77, 5)
    box.start_boot(78, b"birth", encode_loss, encode_seal)
    assert [m.payload for m in box.pending(0, 10, health=False)] == [b"\x01\x02", b"\x04", b"\x05"]
    assert [m.payload for m in box.pending(0, 10, health=True)] == [b"\x03"]
    assert box.birth(77) == b"\xb1"
    assert box.totals() == (4, 5 + 4 * ROW_BYTES, 5)
    assert box.newest_alert() == 9
    for key in ((9, 0, 100), (8, 1, 110), (9, 2, 130), (7, 0, 140)):
        assert box.append([Entry(kind="a", rank=1, encode=lambda _s: b"x", key=key)]).messages == ()
    (newer,) = box.append([Entry(kind="a", rank=1, encode=lambda _s: b"\x06", key=(9, 3, 150))]).messages
    assert [m.payload for m in box.earlier_steps(newer)] == [b"\x01\x02", b"\x05"]
    assert len(box.acknowledge(77, 5)) == 4
    assert box.earlier_steps(newer) == []
    box.close()


def test_a_boot_that_goes_on_after_another_is_acknowledged_like_any(tmp_path: Path) -> None:
    """Its messages' ids are no longer as far from their numbers as they were."""
    box = Outbox(tmp_path / "outbox.sqlite", 1_000_000)

    def append(boot: int, *numbers: int) -> list[int]:
        box.start_boot(boot, b"birth of %d" % boot, encode_loss)
        entries = [Entry(kind="a", rank=RANK_LOW, encode=constant(b"x"), key=(n, 0, 0)) for n in numbers]
        return [m.id for m in box.append(entries).messages]

    first, second, third = append(7, 1, 2, 3), append(8, 4, 5), append(7, 6, 7)
    assert box.acknowledge(7, 2, [(4, 4)]) == [*first[:2], third[0]]
    assert box.birth(8) == b"birth of 8"
    assert box.acknowledge(8, 2) == second
    assert box.birth(8) is None
    fourth = append(9, 8)
    assert box.acknowledge(9, 1) == fourth
    assert box.birth(7) == b"birth of 7"
    assert box.acknowledge(7, 5) == [first[2], third[1]]
    assert box.birth(7) is None
    assert box.totals() == (0, 0, 0)
    box.close()


def test_alert_steps_are_forgotten_long_after_their_messages_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.publish.steps.KEPT", 100)
    box = Outbox(tmp_path / "outbox.sqlite", 100_000_000)
    box.start_boot(1, b"birth", encode_loss)

    def append(first: int, count: int) -> int:
        ids = range(first, first + count)
        entries = [Entry(kind="a", rank=RANK_LOW, encode=constant(b"x"), key=(i, 0, i)) for i in ids]
        return len(box.append(entries).messages)

    monkeypatch.setattr("agent.publish.steps._LOOK_AT", 2000)
    append(0, 1500)
    box.acknowledge(1, 700)
    for first in range(1500, 6500, 1000):  # with every 1,024th message it looks at some more
        append(first, 1000)
    assert append(0, 700) == 700, "they went more than 100 messages ago"
    assert append(700, 5800) == 0, "they are still here"
    box.close()


def test_an_outbox_of_a_newer_version_is_kept_aside(tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite"
    fill(path, 3)
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.close()
    box = Outbox(path, 10_000_000)
    assert "version 99" in box.take_notes()[0]
    assert (tmp_path / "outbox.sqlite.damaged-1").exists()
    box.close()


def test_the_disk_gets_its_space_back(tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite"
    box = Outbox(path, 100_000_000)
    box.start_boot(1, b"birth", encode_loss, encode_seal)
    for group in range(100):
        ids = range(group * 200, group * 200 + 200)
        box.append([Entry(kind="a", rank=RANK_LOW, encode=lambda _s: bytes(300), key=(i, 0, i)) for i in ids])
    full = path.stat().st_size + Path(f"{path}-wal").stat().st_size
    box.acknowledge(1, box.last_id())
    box.append([Entry(kind="a", rank=RANK_LOW, encode=lambda _s: b"", key=(10**6, 0, 0))])
    box.close()
    assert full > 8_000_000
    assert path.stat().st_size < full / 3  # the alert steps that are remembered stay


def test_a_command_is_taken_once_also_over_a_restart(tmp_path: Path) -> None:
    box = Outbox(tmp_path / "outbox.sqlite", 1_000_000)
    assert box.audit.claim(b"id-1", "snapshot", 1000, 900)
    assert not box.audit.claim(b"id-1", "snapshot", 1000, 901)
    box.audit.finish(b"id-1", "done")
    box.close()
    box = Outbox(tmp_path / "outbox.sqlite", 1_000_000)
    assert not box.audit.claim(b"id-1", "snapshot", 1000, 1000 + 86_400)
    assert box.audit.all() == [(b"id-1", "snapshot", 900, "done")]
    box.close()
