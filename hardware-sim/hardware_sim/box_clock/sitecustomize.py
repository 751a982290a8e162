"""Moves the wall clock of a Python process by what a file says: the box's side of the fault `box-clock`.

Every Python process that is started with this folder in PYTHONPATH and HARDWARE_SIM_BOX_CLOCK=FILE loads this by itself
(it is what Python's `site` looks for), and so do the processes that it starts. `time.time()`, `time.time_ns()` and
`time.clock_gettime(CLOCK_REALTIME)` are moved; monotonic clocks go on, as when NTP, GNSS or a technician sets the time.
Not moved: `datetime.now()`, the times of files, and what C libraries ask the kernel for (SQLite, TLS).

Why not libfaketime: 0.9.10 breaks `time.sleep` of Python where monotonic clocks are left alone. Why no time namespace:
Linux has none for the wall clock.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

_clock_gettime = time.clock_gettime


def _install(file: Path) -> None:
    real, real_ns = time.time, time.time_ns

    def ahead_s() -> float:
        try:
            return float(file.read_text(encoding="ascii") or 0)
        except FileNotFoundError:
            return 0.0

    time.time = lambda: real() + ahead_s()
    time.time_ns = lambda: real_ns() + round(ahead_s() * 1e9)
    time.clock_gettime = lambda clock: _clock_gettime(clock) + (ahead_s() if clock == time.CLOCK_REALTIME else 0.0)


if "HARDWARE_SIM_BOX_CLOCK" in os.environ:
    _install(Path(os.environ["HARDWARE_SIM_BOX_CLOCK"]))
