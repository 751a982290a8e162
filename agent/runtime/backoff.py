"""Growing delays between attempts, the same ones for sensors, children and servers."""

from __future__ import annotations


class Backoff:
    """Delays first_s, doubled up to max_s; a success that held `max_s` starts anew."""

    def __init__(self, first_s: float = 0.5, max_s: float = 30.0) -> None:
        self._first_s = first_s
        self._max_s = max_s
        self._next_s = first_s
        self._success_s: float | None = None

    def success(self, now_s: float) -> None:
        """The thing works at `now_s`."""
        if self._success_s is None:
            self._success_s = now_s

    def failure(self, now_s: float) -> float:
        """It failed at `now_s`: how long to wait before the next attempt."""
        if self._success_s is not None and now_s - self._success_s > self._max_s:
            self._next_s = self._first_s
        self._success_s = None
        delay_s = self._next_s
        self._next_s = min(self._next_s * 2.0, self._max_s)
        return delay_s
