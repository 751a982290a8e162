"""Programs of the agent that start at once: forked from a process that has imported everything. For benchmarks.

Most of a start's seconds are imports. What is forked has none of another run's state: it begins at `main`, with
pseudo-random numbers of its own, and SIGKILL ends it as it ends a program that was started the long way.

`python -m agent.cli.chaos_fork` is that process: a JSON object a line in (`args`, `off_s`), a process id a line out.
"""

from __future__ import annotations

import importlib
import json
import os
import random
import select
import signal
import subprocess
import sys
import time
from typing import Any, Self

_PRELOADED = (
    "agent.cli.main", "agent.cli.run", "agent.cli.watch", "agent.runtime.supervisor", "agent.drivers.ais",
)  # fmt: skip
_DAY_OFF = (-3600.0, 0.0, 3600.0)  # what a step of the wall clock chooses from, in seconds


class Forked:
    """A running program. It is nobody's child that could be waited for, so its handle is a pidfd."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        try:
            self._fd = os.pidfd_open(pid)
        except ProcessLookupError:
            self._fd = -1

    def ended(self) -> bool:
        """Whether it is over."""
        return self._wait(0)

    def send_signal(self, number: int) -> None:
        """To it, if it is still there; never to another process that has its number by now."""
        if not self.ended():
            signal.pidfd_send_signal(self._fd, number)

    def wait(self, timeout_s: float = 60.0) -> bool:
        """Until it is over; False when it is not after `timeout_s`."""
        over = self._wait(timeout_s)
        if over and self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        return over

    def _wait(self, timeout_s: float) -> bool:
        if self._fd < 0:
            return True
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        return bool(poll.poll(timeout_s * 1000))


class Nursery:
    """The process that forks; `close` ends it, not what it has forked."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "agent.cli.chaos_fork"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def start(self, *args: str, off_s: float = 0.0, quiet: bool = False) -> Forked:
        """`vigia ARGS` with a wall clock that is off by `off_s`, and by something else after SIGUSR2.

        `quiet`: what it writes to stderr goes nowhere.
        """
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("the nursery was started without pipes")
        self._process.stdin.write(json.dumps({"args": args, "off_s": off_s, "quiet": quiet}) + "\n")
        return Forked(int(self._process.stdout.readline()))


def main() -> None:
    """Fork what is asked for until stdin ends."""
    for name in _PRELOADED:
        importlib.import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how they ended
    signal.signal(signal.SIGUSR2, _step)  # before the fork: a step may come as soon as the process is there
    while line := sys.stdin.readline():
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            os._exit(_become(order))
        print(pid, flush=True)


_real_time = time.time
_off_s = [0.0]


def _step(*_: Any) -> None:
    _off_s[0] = random.choice([x for x in _DAY_OFF if x != _off_s[0]])


def _become(order: dict[str, Any]) -> int:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    if order["quiet"]:
        os.dup2(null, 2)
    _off_s[0] = order["off_s"]
    time.time = lambda: _real_time() + _off_s[0]
    sys.argv = ["vigia", *order["args"]]
    return int(importlib.import_module("agent.cli.main").main(order["args"]))


if __name__ == "__main__":
    main()
