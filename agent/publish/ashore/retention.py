"""What a picture's store gives up in time, oldest first, and what it remembers of that.

Promises:
- `retire` works inside the caller's transaction and removes at most `MOST` messages a call (`STEP` where only space is
  short), so that receiving goes on; call it again while it returns as many;
- what it removed stays counted as received: the numbers are kept as ranges, acknowledgements name them, and `vigia
  verify` calls them `retired` and not removed;
- open alerts, live tracks and the births of boots that still have messages stay.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from agent.publish.ranges import Ranges

if TYPE_CHECKING:
    import sqlite3

MOST, STEP = 2000, 200


def used_bytes(db: sqlite3.Connection) -> int:
    """Bytes of the file that hold something; what is free in it is used again."""
    pages, free, size = (db.execute(f"PRAGMA {p}").fetchone()[0] for p in ("page_count", "freelist_count", "page_size"))
    return int((pages - free) * size)


def retire(db: sqlite3.Connection, before: float, max_bytes: int | None) -> int:
    """Remove the oldest of what was received before `before` (Unix s), or while the file holds more than `max_bytes`.

    Pictures from cameras go first when space is short: who asked for one can ask again. Returns how many messages went.
    """
    full = max_bytes is not None and used_bytes(db) > max_bytes
    db.execute("DELETE FROM images WHERE json_extract(row, '$.received_at') < ?", (before,))
    if full:
        db.execute("DELETE FROM images WHERE n IN (SELECT n FROM images ORDER BY n LIMIT 20)")
        db.execute(
            "DELETE FROM alerts WHERE rowid IN (SELECT rowid FROM alerts WHERE state = 'cleared' ORDER BY at LIMIT ?)",
            (STEP,),
        )
    oldest = db.execute("SELECT n, received_at FROM messages ORDER BY n LIMIT ?", (MOST,)).fetchall()
    last = max((n for i, (n, at) in enumerate(oldest) if (full and i < STEP) or at < before), default=None)
    if last is None:
        return 0
    gone = db.execute("DELETE FROM messages WHERE n <= ? RETURNING node, boot, seq", (last,)).fetchall()
    by_boot: dict[tuple[str, int], list[int]] = defaultdict(list)
    for node, boot, seq in gone:
        by_boot[node, boot].append(seq)
    for (node, boot), seqs in by_boot.items():
        _remember(db, node, boot, seqs)
    db.execute("DELETE FROM alerts WHERE state = 'cleared' AND at < ?", (before,))
    _forget_boots(db)
    return len(gone)


def retired(db: sqlite3.Connection, node: str, boot: int, beyond: int = 0) -> list[tuple[int, int]]:
    """Ranges of numbers of a boot that were given up, those that end beyond `beyond`."""
    query = "SELECT first, last FROM retired WHERE node=? AND boot=? AND last > ?"
    return [(int(a), int(b)) for a, b in db.execute(query, (node, boot, beyond))]


def _remember(db: sqlite3.Connection, node: str, boot: int, seqs: list[int]) -> None:
    ranges = Ranges(retired(db, node, boot))
    for seq in seqs:
        ranges.add(seq, seq)
    db.execute("DELETE FROM retired WHERE node=? AND boot=?", (node, boot))
    db.executemany("INSERT INTO retired VALUES (?, ?, ?, ?)", [(node, boot, a, b) for a, b in ranges])


def _forget_boots(db: sqlite3.Connection) -> None:
    """Births and sentences of boots that have nothing left here, but for each box' newest."""
    for table in ("births", "notes"):
        db.execute(
            f"DELETE FROM {table} WHERE EXISTS (SELECT 1 FROM retired r WHERE r.node={table}.node AND r.boot={table}.boot) "  # noqa: S608, E501 - our own names
            f"AND NOT EXISTS (SELECT 1 FROM messages m WHERE m.node={table}.node AND m.boot={table}.boot) "
            f"AND NOT EXISTS (SELECT 1 FROM nodes o WHERE o.node={table}.node AND o.boot={table}.boot)"
        )
