"""Faults on a timetable, and what they do to bytes.

Promises:
- whether a fault is on is a pure function of time;
- garbled and truncated data depend on (seed, count) alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

    from hardware_sim.scenario import FaultTable


@dataclass(frozen=True, slots=True)
class Change:
    """A fault begins (`on`) or ends."""

    name: str
    on: bool


class Faults:
    """All faults of a run."""

    def __init__(self, tables: tuple[FaultTable, ...]) -> None:
        self._tables = tables

    def active(self, name: str, t_s: float) -> bool:
        """Whether that fault is on at `t_s`."""
        return any(
            f.name == name and f.at_s <= t_s and (f.duration_s is None or t_s < f.at_s + f.duration_s)
            for f in self._tables
        )

    def changes(self) -> Iterator[tuple[float, Change]]:
        """(t, change) in order of time."""
        times: list[tuple[float, Change]] = []
        for f in self._tables:
            times.append((f.at_s, Change(f.name, on=True)))
            if f.duration_s is not None:
                times.append((f.at_s + f.duration_s, Change(f.name, on=False)))
        yield from sorted(times, key=lambda item: item[0])


def garble(line: bytes, rng: np.random.Generator) -> bytes:
    """One sentence in three spoiled: bits flipped, bytes lost, or foreign bytes in the middle."""
    if rng.uniform() > 1.0 / 3.0:
        return line
    data = bytearray(line)
    at = int(rng.integers(1, len(data) - 2))
    match int(rng.integers(3)):
        case 0:
            data[at] ^= 1 << int(rng.integers(7))
        case 1:
            del data[at : at + int(rng.integers(1, 12))]
        case _:
            data[at:at] = rng.bytes(int(rng.integers(1, 8)))
    return bytes(data)


def truncate(block: bytes, rng: np.random.Generator) -> bytes:
    """One datagram in two cut at a random place."""
    return block if rng.uniform() < 0.5 else block[: int(rng.integers(1, len(block)))]
