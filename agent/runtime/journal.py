"""Where the daemon's log goes: structured entries of the journal under systemd, lines on stderr elsewhere.

Promises:
- an entry carries MESSAGE, PRIORITY and LOGGER, and SENSOR and STATE where it is about one sensor, so that
  `journalctl -u vigia SENSOR=radar-1` finds them; a trace stands in the entry, not in lines of its own;
- the same complaint is written `BURST` times in `WINDOW_S` at most; the next one says how many were left out;
- a journal that takes no entries gets lines on stderr: nothing is lost silently and nothing waits.

Source: systemd's native journal protocol, https://systemd.io/JOURNAL_NATIVE_PROTOCOL/.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import struct
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

BURST = 5
WINDOW_S = 300.0
KEYS = 1000  # complaints that are remembered
SOCKET = "/run/systemd/journal/socket"
PRIORITY = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}


def setup_logging(form: str, level: str) -> None:
    """Send log records to the journal, or as `text` or `json` lines to stderr."""
    handler: logging.Handler = logging.StreamHandler(sys.stderr)
    if form == "json":
        handler.setFormatter(_JsonLines())
    elif _stderr_is_journal():
        handler = JournalHandler()
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
    handler.addFilter(RateLimit())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


class RateLimit(logging.Filter):
    """Lets the first `BURST` records of a kind pass in every window; a kind is logger, wording, first argument."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._seen: dict[tuple[str, str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether this record is written."""
        first = str(record.args[0]) if isinstance(record.args, tuple) and record.args else ""
        key = (record.name, str(record.msg), first)
        now_s = self._clock()
        began_s, count = self._seen.get(key, (now_s, 0))
        if now_s - began_s > WINDOW_S:
            if count > BURST:
                record.msg = f"{record.msg} (and {count - BURST} more like this in the last {now_s - began_s:.0f} s)"
            began_s, count = now_s, 0
        if len(self._seen) >= KEYS and key not in self._seen:
            self._seen.pop(next(iter(self._seen)))
        self._seen[key] = (began_s, count + 1)
        return count < BURST


class JournalHandler(logging.Handler):
    """One datagram an entry, to the journal's own socket."""

    def __init__(self, path: str = SOCKET) -> None:
        super().__init__()
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
        self._trace = logging.Formatter()

    def emit(self, record: logging.LogRecord) -> None:
        """Write one entry."""
        priority = PRIORITY.get(record.levelno, 6)
        message = f"{record.name}: {record.getMessage()}"
        if record.exc_info:
            message += "\n" + self._trace.formatException(record.exc_info)
        fields = {"MESSAGE": message, "PRIORITY": str(priority), "SYSLOG_IDENTIFIER": "vigia", "LOGGER": record.name}
        for name in ("sensor", "state"):
            if (value := getattr(record, name, None)) is not None:
                fields[name.upper()] = str(value)
        try:
            self._socket.sendto(b"".join(_field(k, v) for k, v in fields.items()), self._path)
        except OSError:
            line = message.replace("\n", "\n  ")
            print(f"<{priority}>{line}", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
        super().close()


def _field(name: str, value: str) -> bytes:
    data = value.encode("utf-8", "replace")
    if b"\n" not in data:
        return f"{name}=".encode() + data + b"\n"
    return name.encode() + b"\n" + struct.pack("<Q", len(data)) + data + b"\n"


def _stderr_is_journal() -> bool:
    """Whether systemd connected stderr to the journal: $JOURNAL_STREAM is its device:inode (systemd.exec(5))."""
    try:
        stat = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):
        return False  # no stderr at all
    return os.environ.get("JOURNAL_STREAM") == f"{stat.st_dev}:{stat.st_ino}"


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        out: dict[str, object] = {
            "at": round(record.created, 3),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name in ("sensor", "state"):
            if (value := getattr(record, name, None)) is not None:
                out[name] = str(value)
        if record.exc_info:
            out["trace"] = self.formatException(record.exc_info)
        return json.dumps(out, ensure_ascii=False)
