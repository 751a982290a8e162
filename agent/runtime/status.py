"""`vigia status`: the running daemon answers on a unix socket with one JSON object, to its own user and root only."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

from agent.errors import SensorUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

log = logging.getLogger("vigia.status")
MAX_PATH = 107  # of a unix socket's address


class StatusServer:
    """Answers every connection with `answer()` and closes it."""

    def __init__(self, path: Path, answer: Callable[[], dict[str, Any]]) -> None:
        self.path = path
        self._answer = answer
        self._socket: socket.socket | None = None
        self._thread = threading.Thread(target=self._run, name="status", daemon=True)

    def start(self) -> None:
        """Listen; a path too long for a socket, or a disk without room, is said and done without. Idempotent."""
        if self._socket is not None:
            return
        if len(os.fsencode(self.path)) > MAX_PATH:
            log.warning("%s is too long for a socket: `vigia status` will not work; use a shorter directory", self.path)
            return
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self.path.unlink(missing_ok=True)
            listener.bind(str(self.path))
            self.path.chmod(0o600)
            listener.listen(4)
        except OSError as e:
            listener.close()
            log.warning("%s cannot be made: %s; `vigia status` will not work until it can", self.path, e.strerror)
            return
        self._socket = listener
        self._thread.start()

    def stop(self) -> None:
        """Close and remove the socket. Idempotent."""
        if (listener := self._socket) is not None:
            self._socket = None
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
            self.path.unlink(missing_ok=True)

    def _run(self) -> None:
        while (listener := self._socket) is not None:
            try:
                connection, _ = listener.accept()
            except OSError:
                if self._socket is None:
                    return  # stop() closed it
                time.sleep(1.0)  # no file handle is free: the next caller may be luckier
                continue
            with connection, contextlib.suppress(OSError):  # a caller that hangs up has what it wanted
                connection.settimeout(2.0)
                try:
                    answer = json.dumps(self._answer())
                except Exception:
                    log.exception("the status could not be put together; the next caller may be luckier")
                    continue
                connection.sendall(answer.encode() + b"\n")


def ask_status(path: Path) -> dict[str, Any]:
    """The answer of the daemon behind `path`.

    Raises:
        SensorUnavailable: nobody answers.

    """
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
            s.settimeout(5.0)
            s.connect(str(path))
            data = b""
            while piece := s.recv(65_536):
                data += piece
        answer: dict[str, Any] = json.loads(data)
    except (OSError, ValueError) as e:
        raise SensorUnavailable(f"no running vigia answers at {path} ({e}); is the service started?") from e
    return answer
