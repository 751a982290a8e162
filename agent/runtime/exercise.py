"""One alert through the whole way to the picture, marked as an exercise: what `vigia setup` ends with.

Promises:
- it goes through the same outbox, wire and link as a real one, in an outbox of its own that is thrown away;
- it says who has it: the picture, only the broker, or nobody and why.
"""

from __future__ import annotations

import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from agent.clock import SystemClock
from agent.messages import Alert, AlertState, Likelihood, Severity, Track, TrackStatus
from agent.publish.client import Publisher
from agent.publish.outbox import Outbox

if TYPE_CHECKING:
    from agent.config.schema import Config
    from agent.messages import SensorHealth

RULE = ("test", "setup")


def send_test_alert(config: Config, timeout_s: float) -> tuple[bool, str]:
    """Send one and wait for its acknowledgement: (whether the picture has it, one sentence)."""
    clock = SystemClock()
    reports: list[SensorHealth] = []
    with tempfile.TemporaryDirectory(prefix="vigia-setup-") as folder:
        outbox = Outbox(Path(folder) / "outbox.sqlite", max_bytes=config.publish.outbox_max_bytes)
        publisher = Publisher(config.publish, config.site, outbox, clock, reports.append, rules=[RULE])
        publisher.start()
        try:
            publisher.submit_alerts([_alert(config, clock)])
            done = threading.Event()
            deadline = time.monotonic() + timeout_s
            while (status := publisher.status())["queued"] and time.monotonic() < deadline:
                done.wait(0.1)
        finally:
            publisher.stop(2.0)
            outbox.close()
    if not status["queued"]:
        who = "the picture" if config.publish.acknowledge == "picture" else "the broker"
        return True, f"{who} has acknowledged the test alert"
    if status["connected"] and status["sent"]:
        return False, f"the broker took the test alert, but no picture acknowledged it within {timeout_s:g} s"
    why = status["last_error"] or (reports[-1].sentence if reports else "no connection")
    return False, f"the test alert did not leave the box: {why}"


def _alert(config: Config, clock: SystemClock) -> Alert:
    now = clock.now()
    site = config.site
    zero = (0.0, 0.0, 0.0, 0.0)
    track = Track(
        at_s=now.t_s, id=1, lat=site.lat, lon=site.lon, east_m=0.0, north_m=0.0, cog_deg=0.0, sog_mps=0.0,
        cov=(zero, zero, zero, zero), status=TrackStatus.TENTATIVE, sources=(),
    )  # fmt: skip
    return Alert(
        at_s=now.t_s, wall_s=now.wall_s, id=1, revision=1, situation=1, rule=RULE[0], rule_name=RULE[1],
        state=AlertState.RAISED, severity=Severity.LOW, likelihood=Likelihood.CERTAIN,
        reasons=("A test from the setup of this box: nothing was seen.",), reason_codes=(), zone=None, track=track,
        exercise=True,
    )  # fmt: skip
