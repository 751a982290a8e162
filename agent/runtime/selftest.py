"""What the daemon tries on itself at start, before it says that it watches.

The model tries itself on a drawn picture when a camera loads it (agent/inference/load.py); that is the camera's health.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.messages import SensorHealth, SensorState
from agent.runtime.emergency import disk_refuses

if TYPE_CHECKING:
    from pathlib import Path

    from agent.clock import Clock
    from agent.publish.outbox import Outbox

EARLIEST_S = 1_767_225_600.0  # 2026-01-01: no box of this version ran before


def self_test(directory: Path, outbox: Outbox, boot: int, clock: Clock, newest_s: float) -> SensorHealth:
    """Disk, outbox and clock: `self-test` is ok, or degraded with one sentence for each thing that failed."""
    now = clock.now()
    problems = []
    if why := disk_refuses(directory):
        problems.append(f"{directory} does not keep what is written: {why}")
    if not outbox.birth(boot):
        problems.append("the outbox has not kept the birth that was just put into it")
    if now.wall_s < EARLIEST_S:
        problems.append("the clock is years behind: no battery, and no time server yet")
    elif newest_s and now.wall_s < newest_s - 3600.0:
        problems.append(f"the clock is {newest_s - now.wall_s:.0f} s behind the newest event in the log")
    state = SensorState.DEGRADED if problems else SensorState.OK
    return SensorHealth(at_s=now.t_s, source="self-test", state=state, sentence="; ".join(problems) or "passed")
