"""Durable alerts a second in groups of ten through the outbox, beside bare SQLite in the same mode on the same disk."""

from __future__ import annotations

import sqlite3
import tempfile
import time
from pathlib import Path
from typing import Any

from agent.publish.entries import RANK_MEDIUM, Entry
from agent.publish.outbox import Outbox

GROUP = 10
GROUPS = 1000
PAYLOAD = bytes(48)


def measure(*, rounds: int, seed: int) -> dict[str, Any]:  # noqa: ARG001 - the shape of all benchmarks
    """The figures; the two take turns, so that the disk's moods meet both."""
    ours = bare = 0.0
    with tempfile.TemporaryDirectory(prefix="vigia-outbox-", dir=Path.cwd()) as name:
        box = Outbox(Path(name) / "outbox.sqlite", max_bytes=100_000_000)
        box.start_boot(1, b"birth", lambda _forced, _seq: b"loss")
        db = sqlite3.connect(Path(name) / "bare.sqlite")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("CREATE TABLE messages (id INTEGER PRIMARY KEY, seq INTEGER, payload BLOB)")
        for group in range(GROUPS):
            ids = range(group * GROUP, (group + 1) * GROUP)
            began = time.perf_counter()
            box.append([Entry(kind="a", rank=RANK_MEDIUM, encode=lambda _seq: PAYLOAD, key=(i, 0, i)) for i in ids])
            middle = time.perf_counter()
            with db:
                db.executemany("INSERT INTO messages (seq, payload) VALUES (?, ?)", [(i, PAYLOAD) for i in ids])
            ours, bare = ours + middle - began, bare + time.perf_counter() - middle
        db.close()
        box.close()
    total = GROUP * GROUPS
    return {
        "outbox_per_s": round(total / ours),
        "bare_sqlite_per_s": round(total / bare),
        "ratio": round(bare / ours, 3),
    }
