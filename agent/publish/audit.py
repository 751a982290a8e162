"""Commands that this box has seen, on the outbox' disk: none is carried out twice, and what became of each is kept.

Promises:
- `claim` is durable when it returns: a command that was begun before a crash is not begun again;
- an id is remembered for two days beyond the command's expiry, whatever the clock does meanwhile by less than that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.publish.store import Store

COMMANDS_KEPT_S = 2 * 86_400  # after a command has expired: a clock that steps back by less cannot bring it back


class Audit:
    """The table of commands in `store`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def claim(self, command_id: bytes, name: str, expires_s: int, now_s: int) -> bool:
        """Whether this command has not been seen before; durable when it returns. Times are Unix seconds."""

        def run() -> bool:
            self._store.db.execute("DELETE FROM commands WHERE expires_s < ?", (now_s - COMMANDS_KEPT_S,))
            cursor = self._store.db.execute(
                "INSERT OR IGNORE INTO commands VALUES (?, ?, ?, ?, 'begun')", (command_id, name, expires_s, now_s)
            )
            return cursor.rowcount > 0

        return self._store.write(run)

    def finish(self, command_id: bytes, result: str) -> None:
        """What became of a command."""
        self._store.write(
            lambda: self._store.db.execute("UPDATE commands SET result=? WHERE id=?", (result, command_id))
        )

    def all(self) -> list[tuple[bytes, str, int, str]]:
        """(id, name, when, result), oldest first."""
        return [tuple(r) for r in self._store.read("SELECT id, name, at_s, result FROM commands ORDER BY at_s, rowid")]
