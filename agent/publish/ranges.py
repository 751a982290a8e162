"""Sets of sequence numbers as few ranges.

Promises:
- ranges are inclusive, sorted, and neither overlap nor touch;
- memory grows with the number of holes, not with the numbers.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Ranges:
    """A growing set of integers."""

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        for a, b in ranges:
            self.add(a, b)

    def __contains__(self, n: int) -> bool:
        i = bisect_left(self._ends, n)
        return i < len(self._ends) and self._starts[i] <= n

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(list(zip(self._starts, self._ends, strict=True)))

    def __len__(self) -> int:
        return len(self._starts)

    def add(self, first: int, last: int) -> None:
        """Put in everything from `first` to `last`."""
        i = bisect_left(self._ends, first - 1)
        j = i
        while j < len(self._starts) and self._starts[j] <= last + 1:
            first, last = min(first, self._starts[j]), max(last, self._ends[j])
            j += 1
        self._starts[i:j], self._ends[i:j] = [first], [last]

    def contiguous_from(self, first: int) -> int:
        """The last number up to which everything from `first` on is in; `first - 1` when `first` is not."""
        i = bisect_left(self._ends, first)
        return self._ends[i] if i < len(self._ends) and self._starts[i] <= first else first - 1
