"""kill -9 and power cuts, again and again: every committed alert reaches the picture, once, whatever dies when.

A real mosquitto without persistence (every third time that a broker starts the simulator's hub in its place), the
real agent fed with AIS over UDP, and `vigia watch --ack` as the picture, which is itself killed now and then so that
acknowledgements are withheld. Between agent and broker is a link that is slow, torn in the middle of packets, or
loses the broker's PUBACKs; in one round of five the disk is full for a while; in one of three the box' wall clock
steps by an hour, and every fifth start is an hour off. Six of ten kills wait for their moment: a write of a commit, an
alert on the link, a PUBACK, the picture's acknowledgement; one of ten hits the start, the rest any time. As root the
box has a file system of its own, and a quarter of the kills of a box that had started are power cuts.

What was committed is read from the outbox' own table of alert steps; what arrived, from the picture's file and from a
third client that sees every repeat on the wire. Several boxes (`--jobs`) share the rounds, each with its own ports,
files and seed; their figures are added up. SIGTERM ends it after the rounds that run, with the verdict so far.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from typing import Any

from agent.errors import SensorUnavailable


def measure(*, rounds: int, seed: int, jobs: int = 1) -> dict[str, Any]:
    """Run the chaos; the figures.

    Raises:
        SensorUnavailable: mosquitto is not installed, or no box came to its end.

    """
    program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
    if program is None:
        raise SensorUnavailable("mosquitto is not installed; on Debian: apt-get install mosquitto")
    boxes = []
    for job in range(jobs):
        command = [*_apart(), sys.executable, "-m", "agent.cli.chaos_box", program]
        command += [str(rounds // jobs + (job < rounds % jobs)), str(seed + job)]
        boxes.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))  # noqa: S603 - our own program

    def pass_on(*_: object) -> None:
        for box in boxes:
            box.terminate()

    before = signal.signal(signal.SIGTERM, pass_on)
    try:
        said = [box.communicate()[0] for box in boxes]
    finally:
        signal.signal(signal.SIGTERM, before)
    whole = [json.loads(text) for text, box in zip(said, boxes, strict=True) if box.returncode == 0]
    if not whole:
        raise SensorUnavailable("no box of the chaos came to its end; what stopped them is told above")
    total: Counter[str] = Counter()
    for figures in whole:
        total.update(figures)
    return {"jobs": jobs, "jobs_that_broke": jobs - len(whole), **total}


def _apart() -> list[str]:
    """A command that gives a box mounts and ports of its own, as root.

    A mount that others hold on to cannot be mounted anew after a power cut; the port of a broker that is down may be
    taken by another box, whose alerts this one's picture would then acknowledge.
    """
    command = ["unshare", "--mount", "--net"]
    if os.geteuid() != 0 or shutil.which(command[0]) is None:
        return []
    tried = subprocess.run([*command, "true"], capture_output=True, check=False)  # noqa: S603 - of the system
    return command if tried.returncode == 0 else []
