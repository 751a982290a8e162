"""What the box has told, kept for evidence: every step of an alert, and which configuration and clock it rests on.

Promises:
- what is added is in the operating system's hands, in the order in which it was told; it is not synced: the outbox is
  what makes an alert durable, this is what `vigia export-evidence` finds it by later;
- at most `MAX_BYTES` are kept, and nothing beyond `max_age_s`: the oldest days go first, with a receipt;
- a step that a crash made the core repeat may stand here twice: (id, revision) names it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent.messages import Alert, ClockChange, ConfigChange
from agent.record.log import EventLog, read_log

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

FOLDER = "alerts"
MAX_BYTES = 64_000_000  # some 200,000 steps
SEGMENT_S = 86_400.0
Told = Alert | ConfigChange | ClockChange


class ToldLog:
    """Appends to `alerts/` in the state directory, which is made by the first thing told."""

    def __init__(self, state: Path, max_age_s: float) -> None:
        self._directory = state / FOLDER
        self._max_age_s = max_age_s
        self._log: EventLog | None = None

    def add(self, told: Sequence[Told]) -> None:
        """Write them down.

        Raises:
            OSError: the disk is full or gone; none of them stands there.

        """
        if self._log is None:
            self._log = EventLog(self._directory, MAX_BYTES, self._max_age_s, segment_s=SEGMENT_S, what="alert-history")
        self._log.append([(t.at_s, t) for t in told])

    def close(self) -> None:
        """Sync and release. Idempotent."""
        if self._log is not None:
            self._log.close()


def read_told(state: Path) -> list[Told]:
    """All that is kept, oldest first.

    Raises:
        InputError: there is none, or it cannot be read.

    """
    rows: list[Any] = [row for _, row in read_log(state / FOLDER)]
    return [row for row in rows if isinstance(row, Told)]
