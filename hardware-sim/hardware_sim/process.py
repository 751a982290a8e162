"""Processes that end when their parent does (Linux)."""

from __future__ import annotations

import ctypes
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import signal

PR_SET_PDEATHSIG = 1


def end_with_parent(sig: signal.Signals) -> None:
    """Ask the kernel for `sig` when the thread that started this process ends.

    Raises:
        OSError: the kernel refuses.

    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, int(sig), 0, 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
