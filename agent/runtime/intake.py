"""The core's door: events from all sources, bounded per source, put in order of when they were measured.

Promises:
- one source can hold at most `PER_SOURCE` events at the door and as many that wait for their time; a flood drops its
  own, counted, and starves nobody else;
- events leave in order of `at_s` as long as they are at most `reorder_s` late; later ones leave with the next, counted;
- events leave in handfuls, `HANDFUL_S` of them at once: only a tick has effects, and the log is written once for all;
- ticks are never kept waiting for it: they leave when they are due, with all that was measured before them; they
  stand at whole multiples of the tick period, after every event measured before them.
"""

from __future__ import annotations

import heapq
import math
import threading
from collections import Counter, deque
from typing import TYPE_CHECKING

from agent.messages import Tick

if TYPE_CHECKING:
    from agent.clock import Clock
    from agent.messages import Event

PER_SOURCE = 2000
BATCH = 500  # events a source may hand over per turn: fairness between sources
HANDFUL_S = 0.25
FUTURE_S = 5.0  # an event "measured" further ahead than this is stamped wrong: dropped and counted


class Intake:
    """Thread-safe: many producers call `put`, the core thread calls `take`."""

    def __init__(self, clock: Clock, *, tick_s: float, reorder_s: float) -> None:
        self._clock = clock
        self._tick_s = tick_s
        self._reorder_s = reorder_s
        self._queues: dict[str, deque[tuple[float, Event]]] = {}
        self._ready = threading.Condition()
        self._heap: list[tuple[float, int, float, Event, str]] = []
        self._waiting: Counter[str] = Counter()  # in the heap, by source
        self._count = 0
        self._released_s = 0.0
        self._next_tick_s = (clock.now().t_s // tick_s + 1) * tick_s
        self.dropped: Counter[str] = Counter()
        self.late: Counter[str] = Counter()

    def put(self, source: str, event: Event) -> None:
        """Hand over an event; never blocks."""
        seen_s = self._clock.now().t_s
        with self._ready:
            queue = self._queues.get(source)
            if queue is None:
                queue = self._queues[source] = deque(maxlen=PER_SOURCE)
            if len(queue) == PER_SOURCE:
                self.dropped[source] += 1
            queue.append((seen_s, event))
            if len(queue) == 1:
                self._ready.notify()

    def take(self, timeout_s: float) -> list[tuple[float, Event]]:
        """(seen_s, event) that are due now, in order; waits up to `timeout_s` for the first or the next tick."""
        with self._ready:
            if not any(self._queues.values()):
                now = self._clock.now().t_s
                handful_s = math.ceil(self._heap[0][0] / HANDFUL_S) * HANDFUL_S if self._heap else math.inf
                due = min(self._next_tick_s, handful_s) + self._reorder_s
                self._ready.wait(min(timeout_s, max(due - now, 0.0)))
            for source, queue in self._queues.items():
                for _ in range(min(len(queue), BATCH)):
                    self._place(source, *queue.popleft())
        return self._release()

    def _place(self, source: str, seen_s: float, event: Event) -> None:
        at_s = event.at_s
        if at_s > seen_s + FUTURE_S or self._waiting[source] >= PER_SOURCE:
            self.dropped[source] += 1
            return
        if at_s < self._released_s:
            self.late[source] += 1
        self._count += 1
        self._waiting[source] += 1
        heapq.heappush(self._heap, (at_s, self._count, seen_s, event, source))

    def _release(self) -> list[tuple[float, Event]]:
        out: list[tuple[float, Event]] = []
        now_s = self._clock.now().t_s - self._reorder_s
        handfuls_s = now_s // HANDFUL_S * HANDFUL_S
        while True:
            at_s = self._heap[0][0] if self._heap else 1e18
            if self._next_tick_s <= at_s and self._next_tick_s <= now_s:
                out.append((self._next_tick_s, Tick(at_s=self._next_tick_s)))
                self._released_s = self._next_tick_s
                self._next_tick_s += self._tick_s
                self._skip_missed_ticks(now_s)
            elif at_s <= handfuls_s or at_s < self._next_tick_s <= now_s:
                _, _, seen_s, event, source = heapq.heappop(self._heap)
                self._waiting[source] -= 1
                self._released_s = max(self._released_s, at_s)
                out.append((seen_s, event))
            else:
                return out

    def _skip_missed_ticks(self, now_s: float) -> None:
        """After a suspend there is no use in living through every second that nobody saw."""
        if now_s - self._next_tick_s > 60.0:
            self._next_tick_s = (now_s // self._tick_s) * self._tick_s
