"""What the outbox had to give up, counted exactly.

Promises:
- every message given up is in exactly one record, by boot as seq ranges, and counted once as an alert or as another;
- a loss record that is itself given up passes on what it recorded, so that nothing lost is forgotten.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.errors import ProtocolError
from agent.publish import cbor
from agent.publish.ranges import Ranges

if TYPE_CHECKING:
    from collections.abc import Iterable

_RANGES_PER_LOSS = 200  # keeps a loss record to a few kB whatever went


@dataclass(frozen=True, slots=True, kw_only=True)
class Forced:
    """What had to go: of one boot, as seq ranges and counts."""

    boot: int
    ranges: tuple[tuple[int, int], ...]
    alerts: int
    others: int


class Tally:
    """What was given up, by boot."""

    def __init__(self) -> None:
        self.messages = 0
        self._ranges: dict[int, Ranges] = {}
        self._counts: dict[int, list[int]] = {}

    def add(self, boot: int, seq: int, kind: str, payload: bytes) -> None:
        """One message."""
        self._enter(boot, ((seq, seq),), alerts=int(kind == "a"), others=int(kind not in "al"))
        if kind != "l":
            self.messages += 1
            return
        try:
            row = cbor.loads(payload)
            self._enter(row[5], row[6], alerts=row[7], others=row[8])
        except (
            ProtocolError,
            IndexError,
            KeyError,
            TypeError,
            ValueError,
        ):  # the disk changed its bytes: what it recorded is gone with it
            self._enter(boot, (), others=1)

    def _enter(self, boot: int, ranges: Iterable[tuple[int, int]], *, alerts: int = 0, others: int = 0) -> None:
        mine = self._ranges.setdefault(boot, Ranges())
        for a, b in ranges:
            mine.add(a, b)
        counts = self._counts.setdefault(boot, [0, 0])
        counts[0] += alerts
        counts[1] += others

    def forced(self) -> list[Forced]:
        """One record a boot, more where the ranges are many; the first of them has the counts."""
        out = []
        for boot, ranges in self._ranges.items():
            pieces = list(ranges)
            for at in range(0, max(1, len(pieces)), _RANGES_PER_LOSS):
                alerts, others = self._counts[boot] if at == 0 else (0, 0)
                piece = tuple(pieces[at : at + _RANGES_PER_LOSS])
                out.append(Forced(boot=boot, ranges=piece, alerts=alerts, others=others))
        return out
