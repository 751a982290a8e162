"""Processes that end when their parent does, and not before (Linux)."""

from __future__ import annotations

import ctypes
import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PR_SET_PDEATHSIG = 1
ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""What asks a process to end: Ctrl-C and a service's stop reach a whole group of them."""


@contextmanager
def parent_decides() -> Iterator[None]:
    """Processes started within are deaf to `ENDING` from their first instruction on: their parent ends them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end_with_parent(sig: signal.Signals) -> None:
    """Ask the kernel for `sig` when the thread that started this process ends.

    Raises:
        OSError: the kernel refuses.

    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, int(sig), 0, 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
