"""A picture's store checked and thinned: what was flipped or removed is named, what went in time stays acknowledged."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.messages import AlertState
from agent.publish import cose, records
from agent.publish.ashore.retention import used_bytes
from agent.publish.ashore.store import PictureStore
from agent.publish.ashore.verify import verdicts
from agent.publish.encoder import Encoder
from agent.publish.outbox import Outbox
from agent.publish.trust import Trust

from . import samples
from .stored import KEY, TOPIC, feed


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A signed run of 100 alerts over two boots, as a picture has stored it."""
    store = PictureStore(tmp_path / "run.sqlite", Trust())
    box = Outbox(tmp_path / "outbox.sqlite", max_bytes=10_000_000)
    for boot in (0x11110001, 0x22220002):
        birth = replace(samples.BIRTH, boot=boot, previous=box.previous_boot())
        encoder = Encoder(birth, samples.BORN_S, KEY)

        def seal(run_: Any, seq: int, encoder: Encoder = encoder) -> bytes:
            from agent.publish import records  # noqa: PLC0415 - only here

            return records.encode_seal(encoder.head(seq, samples.BORN_S), run_, TOPIC + "v", KEY)

        box.start_boot(boot, encoder.birth(), lambda _f, _s: b"", seal)
        for i in range(50):
            alert = samples.alert(boot % 1000 + i, 0)
            entry = encode_entry(encoder, alert)
            box.append([entry], birth=encoder.birth)
        feed(store, ("b", encoder.birth()), *((m.kind, m.payload) for m in box.pending(0, 1000, health=False)))
        box.acknowledge(boot, 40)
    box.close()
    store.close()
    return tmp_path / "run.sqlite"


def encode_entry(encoder: Encoder, alert: Any) -> Any:
    from agent.publish.entries import Entry  # noqa: PLC0415 - only here

    key = (alert.id, alert.revision, round(alert.at_s * 10))
    return Entry(kind="a", rank=1, encode=lambda seq: encoder.alert(alert, seq), key=key)


def bad(path: Path, keys: dict[str, bytes] | None = None) -> list[tuple[int, int | None, str]]:
    rows = verdicts(path, keys)
    return [(r["boot"], r.get("seq"), r["verdict"]) for r in rows if r["verdict"] in ("flipped", "removed")]


def test_an_untouched_run_is_intact(run: Path) -> None:
    assert bad(run, {"tarifa-1": KEY.public}) == []
    counts = [r["verdict"] for r in verdicts(run)]
    assert counts.count("sealed") == 2 + 51 + 32  # births, the first boot with its seal, the second up to its seal
    assert counts.count("unsealed") == 52 - 32


@pytest.mark.parametrize("seq", [1, 7, 32, 33, 34, 50])
def test_a_flipped_record_is_named(run: Path, seq: int) -> None:
    with sqlite3.connect(run) as db:
        payload = bytearray(
            db.execute("SELECT payload FROM messages WHERE boot=? AND seq=?", (0x11110001, seq)).fetchone()[0]
        )
        payload[-3] ^= 4
        db.execute("UPDATE messages SET payload=? WHERE boot=? AND seq=?", (bytes(payload), 0x11110001, seq))
    db.close()
    assert (0x11110001, seq, "flipped") in bad(run)
    assert len(bad(run)) == 1


@pytest.mark.parametrize("seq", [1, 20, 33, 51])
def test_a_removed_record_is_named(run: Path, seq: int) -> None:
    with sqlite3.connect(run) as db:
        db.execute("DELETE FROM messages WHERE boot=? AND seq=?", (0x11110001, seq))
    db.close()
    assert bad(run) == [(0x11110001, seq, "removed")]


def test_a_removed_boot_is_named(run: Path) -> None:
    with sqlite3.connect(run) as db:
        db.execute("DELETE FROM messages WHERE boot=?", (0x11110001,))
        db.execute("DELETE FROM births WHERE boot=?", (0x11110001,))
    db.close()
    assert bad(run) == [(0x11110001, None, "removed")]


def later_picture(run: Path, boot: int, since: int, path: Path) -> None:
    """A second picture, which began when the box was at number `since` of a boot."""
    first, second = sqlite3.connect(run), PictureStore(path, Trust())
    births_ = first.execute("SELECT boot, payload FROM births ORDER BY n").fetchall()
    rows = first.execute("SELECT boot, seq, kind, payload FROM messages ORDER BY n").fetchall()
    with second.batch():
        for number, payload in births_[[b for b, _ in births_].index(boot) :]:
            second.feed(TOPIC + "b", payload, 1.0)
            for b, seq, kind, message in rows:
                if b == number and (b != boot or seq >= since):
                    second.feed(TOPIC + kind, message, 1.0)
    first.close()
    second.close()


def test_what_is_older_than_the_picture_was_not_removed(run: Path, tmp_path: Path) -> None:
    """Two boots: the picture began in the middle of the second, or of the first; what goes later was removed."""
    late = tmp_path / "late.sqlite"
    later_picture(run, 0x22220002, 20, late)
    told = [(r["boot"], r.get("seq"), r["verdict"]) for r in verdicts(late) if r["verdict"] == "before"]
    assert told == [(0x11110001, None, "before"), *((0x22220002, n, "before") for n in range(1, 20))]
    assert bad(late) == []
    with sqlite3.connect(late) as db:
        db.execute("DELETE FROM messages WHERE seq IN (20, 21, 30)")
    db.close()
    assert bad(late) == [(0x22220002, n, "removed") for n in (20, 21, 30)]
    early = tmp_path / "early.sqlite"
    later_picture(run, 0x11110001, 45, early)
    assert bad(early) == []
    with sqlite3.connect(early) as db:
        db.execute("DELETE FROM messages WHERE boot=?", (0x11110001,))
        db.execute("DELETE FROM births WHERE boot=?", (0x11110001,))
    db.close()
    assert bad(early) == [(0x11110001, None, "removed")]


# ---------------------------------------------------------------- retention


def test_the_oldest_go_first_and_stay_acknowledged(run: Path) -> None:
    """By age: the messages of before, in order; the box hears the same as before, and nothing counts as removed."""
    store = PictureStore(run, Trust())
    before = dict(store.acknowledgements(everything=True))
    store.close()
    with sqlite3.connect(run) as db:
        db.execute("UPDATE messages SET received_at = n")
        oldest = db.execute("SELECT boot, seq, kind, payload FROM messages ORDER BY n LIMIT 60").fetchall()
    db.close()
    store = PictureStore(run, Trust())
    with store.batch():
        assert store.retire(60.5) == 60
        assert store.retire(60.5) == 0
    assert dict(store.acknowledgements(everything=True)) == {t: p for t, p in before.items() if t}
    assert feed(store, *((kind, payload) for _, _, kind, payload in oldest[-5:])) == []
    assert store.repeats == 5
    store.close()
    assert bad(run) == []
    assert [(r["boot"], r["seq"]) for r in verdicts(run) if r["verdict"] == "retired" and "seq" in r] == [
        (b, n) for b, n, _, _ in oldest if b != 0x11110001
    ]
    assert [r["boot"] for r in verdicts(run) if r["verdict"] == "retired" and r["kind"] == "boot"] == [0x11110001]


def test_a_full_store_gives_up_pictures_and_then_the_oldest(tmp_path: Path) -> None:
    store = PictureStore(tmp_path / "p.sqlite")
    encoder = Encoder(samples.BIRTH, samples.BORN_S)
    feed(store, ("b", encoder.birth()))
    head = encoder.head(1, samples.BORN_S)
    feed(store, *(("i", records.encode_image(head, 1, bytes(8), bytes(50_000))) for _ in range(10)))
    ended = (samples.alert(4000 + i, 0, state=AlertState.CLEARED) for i in range(1, 1001))
    feed(store, *(("a", encoder.alert(a, a.id - 4000)) for a in ended))
    most = 600_000
    while True:
        with store.batch():
            gone = store.retire(0.0, most)
        if not gone:
            break
    count = store.counts()["messages"]
    store.close()
    with sqlite3.connect(tmp_path / "p.sqlite") as db:
        assert used_bytes(db) <= most
        assert db.execute("SELECT count(*) FROM images").fetchone()[0] == 0
        assert db.execute("SELECT min(seq) FROM messages").fetchone()[0] == 1001 - count
        assert 1 < 1001 - count <= 800
    db.close()


def test_a_run_signed_anew_does_not_fit_the_known_key(run: Path) -> None:
    other = cose.key_of(bytes(32))
    assert bad(run, {"tarifa-1": other.public})


def test_vigia_verify_tells_by_its_exit_code(run: Path) -> None:
    def verify(*args: str) -> tuple[int, list[dict[str, Any]]]:
        command = [sys.executable, "-m", "agent.cli.main", "verify", *args]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.returncode, [json.loads(x) for x in done.stdout.splitlines()]

    code, rows = verify(str(run))
    assert (code, rows[-1]["intact"]) == (0, True)
    with sqlite3.connect(run) as db:
        db.execute("DELETE FROM messages WHERE seq=5")
    db.close()
    code, rows = verify(str(run))
    assert (code, rows[-1]["intact"]) == (65, False)
    assert {r["seq"] for r in rows[:-1]} == {5}
    assert verify("nothing.sqlite")[0] == 65
