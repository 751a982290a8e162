"""Which alert steps (id, revision, time) the outbox has taken, so that each is taken once.

Promises:
- a step is known from the commit that takes it on, and at least `KEPT` messages beyond the end of its own;
- it names its message: an alert's earlier steps are found through their keys.

Everything here runs in the transaction of the caller.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from agent.publish.store import Store

Key = tuple[int, int, int]  # of an alert step: alert id, revision, time in 0.1 s

KEPT = 20_000  # messages after which a step whose message has gone is forgotten: far beyond any replay after a crash
_TRIM_EVERY = 1024  # messages, and then it looks at
_LOOK_AT = 4096  # keys at most, by turns: with a long backlog to look at all would take seconds
_ALL = (1 << 63) - 1


class Steps:
    """The table of keys in `store`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._trimmed = -1  # up to this alert

    def newest_alert(self) -> int:
        """The highest alert id that was ever taken; 0 for none."""
        return int(self._store.db.execute("SELECT COALESCE(MAX(alert), 0) FROM keys").fetchone()[0])

    def claim(self, keys: Iterable[Key | None], last_id: int) -> dict[Key, int]:
        """Remember the steps of a batch that comes after message `last_id`; returns those that were new.

        Each is noted, and returned, with the id that its message gets if the whole batch goes in; `mend` the others.
        """
        claims = [(*key, i) for i, key in enumerate(keys, last_id + 1) if key is not None]
        if not claims:
            return {}
        new = self._store.insert("INSERT OR IGNORE INTO keys (alert, revision, at_ds, id)", claims)
        if new < len(claims):  # a core repeats itself after a crash
            query = "SELECT alert, revision, at_ds, id FROM keys WHERE id > ?"
            claims = self._store.db.execute(query, (last_id,)).fetchall()
        return {(alert, revision, at_ds): i for alert, revision, at_ds, i in claims}

    def mend(self, noted: Mapping[Key, int], stored: Sequence[Key | None], last_id: int) -> None:
        """After `claim`, when the messages to store (their keys, in order) are known: note their true ids.

        A step whose message was refused stays known and names none of the batch.
        """
        ids = {key: i for i, key in enumerate(stored, last_id + 1)}
        wrong = [(ids.get(key, last_id), *key) for key, i in noted.items() if ids.get(key) != i]
        if wrong:
            query = "UPDATE keys SET id=? WHERE alert=? AND revision=? AND at_ds=?"
            self._store.db.executemany(query, wrong)

    def trim(self, before: int, now: int) -> None:
        """Forget what went long ago, some of it at a time; the last message's id was `before` and is `now`."""
        if before // _TRIM_EVERY == now // _TRIM_EVERY:
            return
        query = "SELECT alert FROM keys WHERE alert > ? ORDER BY alert LIMIT 1 OFFSET ?"
        last = self._store.db.execute(query, (self._trimmed, _LOOK_AT)).fetchone()
        upto = _ALL if last is None else int(last[0])
        self._store.db.execute(
            "DELETE FROM keys WHERE alert > ? AND alert <= ? AND id <= ? AND NOT EXISTS "
            "(SELECT 1 FROM messages WHERE messages.id = keys.id AND messages.alert = keys.alert)",
            (self._trimmed, upto, now - KEPT),
        )
        self._trimmed = -1 if last is None else upto
