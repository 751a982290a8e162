"""Stamps: logic time from the boot-time clock, wall time for people.

Promises:
- `t_s` never goes back and never jumps while the process lives, whatever NTP, GNSS or a technician do to the wall
  clock;
- it goes on over suspend (CLOCK_BOOTTIME), and every process of one agent shares it through `anchor_s`;
- `not_before_s` (the newest time in the last checkpoint) keeps it from going back over restarts as well.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Protocol

from agent.messages import Stamp

UNSYNCED_ERROR_MS = 5_000.0  # what a free-running box may be off by before anybody notices
SYNCED_ERROR_MS = 50.0
_TIMESYNC_FLAG = Path("/run/systemd/timesync/synchronized")


def boottime_s() -> float:
    """Seconds of CLOCK_BOOTTIME: shared by all processes of a machine, runs on over suspend."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) / 1e9


class Clock(Protocol):
    """Where stamps come from; tests inject their own."""

    def now(self) -> Stamp:
        """The present moment."""
        ...


class SystemClock:
    """The real clock. `anchor_s` is what is added to the boot-time clock to make logic time."""

    def __init__(self, anchor_s: float | None = None, not_before_s: float = 0.0) -> None:
        if anchor_s is None:
            anchor_s = max(time.time(), not_before_s) - boottime_s()
        self.anchor_s = anchor_s

    def now(self) -> Stamp:
        """The present moment."""
        return Stamp(t_s=boottime_s() + self.anchor_s, wall_s=time.time(), error_ms=wall_error_ms())


def wall_error_ms() -> float:
    """How far the wall clock may be off, as far as the box can tell without asking a server."""
    return SYNCED_ERROR_MS if _TIMESYNC_FLAG.exists() else UNSYNCED_ERROR_MS
