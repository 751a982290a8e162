"""When the chaos kills: at a moment that it waits for outside the agent, or at any. For benchmarks.

The moments are seen from without: a commit by what the kernel tells of writes to the outbox' log (inotify), a message,
the broker's PUBACK and the picture's acknowledgement by the relay that passes them on. What `spring` does, it does at
once, in the thread that saw the moment: a kill lands between two writes of one commit, or with half a packet passed.
"""

from __future__ import annotations

import ctypes
import os
import select
import struct
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Callable
    from pathlib import Path

# How many of the moment go by before the trap springs, at most.
AT_COMMIT = {"commit": 80}  # writes to the log: ten alerts are about forty
AT_LINK = {"send": 16, "puback": 20, "acknowledgement": 2}
_LATER_S = (0.0, 0.001, 0.01)  # after the moment, at most
_PASSED = (0.0, 0.5, 1.0)  # how much of the packet has gone on when the trap springs
_IN_MODIFY = 0x2
_EVENT = struct.Struct("iIII")
_LOOK_S = 0.2


class Trap:
    """Springs once, at the moment `at` after some of them; `act` is what it does then."""

    def __init__(self, at: str, rng: random.Random, act: Callable[[], None]) -> None:
        self.at = at
        self.sprung = threading.Event()
        self.passed = rng.choice(_PASSED)
        self._later_s = rng.uniform(0.0, rng.choice(_LATER_S))
        self._left = rng.randint(1, (AT_COMMIT | AT_LINK)[at])
        self._act = act
        self._lock = threading.Lock()

    def counts(self, moment: str) -> bool:
        """Whether this is the moment."""
        if moment != self.at:
            return False
        with self._lock:
            self._left -= 1
            return self._left == 0

    def spring(self) -> None:
        """Now."""
        if self._later_s:
            time.sleep(self._later_s)
        self._act()
        self.sprung.set()


class Writes(threading.Thread):
    """Tells `trap` of every write to files of `folder` that begin with `name`, until `stop`."""

    def __init__(self, folder: Path, name: str, trap: Trap) -> None:
        super().__init__(daemon=True)
        self._name, self._trap = name.encode(), trap
        self._stopping = threading.Event()
        libc = ctypes.CDLL(None, use_errno=True)
        self._fd = libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        if self._fd < 0 or libc.inotify_add_watch(self._fd, os.fsencode(folder), _IN_MODIFY) < 0:
            raise OSError(ctypes.get_errno(), "inotify cannot watch", str(folder))

    def run(self) -> None:
        """Look until the trap has sprung."""
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        while not self._stopping.is_set() and not self._trap.sprung.is_set():
            if not poll.poll(_LOOK_S * 1000):
                continue
            events, at = os.read(self._fd, 1 << 16), 0
            while at < len(events):
                length = _EVENT.unpack_from(events, at)[3]
                at += _EVENT.size
                if events[at : at + length].startswith(self._name) and self._trap.counts("commit"):
                    self._trap.spring()
                at += length
        os.close(self._fd)

    def stop(self) -> None:
        """End; returns when it has."""
        self._stopping.set()
        self.join()
