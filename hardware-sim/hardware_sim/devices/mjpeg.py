"""A network camera's web server: MJPEG and snapshots.

Promises:
- `/camera.mjpg` is multipart/x-mixed-replace, each part with Content-Type, Content-Length and X-Timestamp (Unix seconds
  of the exposure); `/snapshot.jpg` is the next picture; anything else is 404;
- one picture is made for all clients; a client that is too slow misses pictures, one that takes nothing is cut off;
- while `frozen`, connections are accepted and stay open, and nothing comes.
"""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BOUNDARY = "vigiaframe"
CLIENT_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Picture:
    """A compressed picture; `number` counts from 1."""

    number: int
    unix_s: float
    jpeg: bytes


class Stage:
    """Where the renderer puts pictures and the clients' threads wait for them; clients come for `jpeg` or `h264`."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._picture: Picture | None = None
        self._clients = Counter[str]()
        self.frozen = False
        self.closed = False

    def show(self, unix_s: float, jpeg: bytes) -> None:
        """A new picture for everybody."""
        with self._changed:
            number = self._picture.number + 1 if self._picture else 1
            self._picture = Picture(number, unix_s, jpeg)
            self._changed.notify_all()

    def next_after(self, number: int) -> Picture | None:
        """The newest picture after that one, waiting for it; None when the stage closes."""
        with self._changed:
            while not self.closed:
                if not self.frozen and self._picture is not None and self._picture.number > number:
                    return self._picture
                self._changed.wait(1.0)
        return None

    @property
    def latest(self) -> int:
        """Number of the newest picture, 0 before the first."""
        with self._changed:
            return self._picture.number if self._picture else 0

    @property
    def clients(self) -> int:
        """How many wait for pictures."""
        with self._changed:
            return self._clients.total()

    def wanted(self, form: str) -> bool:
        """Whether somebody waits for pictures in that form."""
        with self._changed:
            return self._clients[form] > 0

    @contextmanager
    def visit(self, form: str = "jpeg") -> Iterator[None]:
        """Count a client in and out."""
        with self._changed:
            self._clients[form] += 1
            self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._clients[form] -= 1

    def wait_for_client(self, timeout_s: float) -> bool:
        """Whether there is a client, waiting up to `timeout_s` for one."""
        with self._changed:
            return self._changed.wait_for(lambda: self._clients.total() > 0 or self.closed, timeout_s)

    def close(self) -> None:
        """Let all clients go."""
        with self._changed:
            self.closed = True
            self._changed.notify_all()


def server(stage: Stage, port: int) -> ThreadingHTTPServer:
    """A server on 127.0.0.1:`port` (0: any free one), not yet serving."""

    class Handler(BaseHTTPRequestHandler):
        timeout = CLIENT_TIMEOUT_S

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path == "/camera.mjpg":
                self._guard(self._stream)
            elif path == "/snapshot.jpg":
                self._guard(self._snapshot)
            else:
                self.send_error(404)

        def _guard(self, answer: Callable[[], None]) -> None:
            with stage.visit():
                try:
                    answer()
                except (BrokenPipeError, ConnectionResetError, TimeoutError):
                    self.close_connection = True

        def _stream(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", f"multipart/x-mixed-replace; boundary={BOUNDARY}")
            self.send_header("Cache-Control", "no-store")
            self.send_header("Connection", "close")
            self.end_headers()
            number = 0
            while (picture := stage.next_after(number)) is not None:
                number = picture.number
                head = (
                    f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture.jpeg)}\r\n"
                    f"X-Timestamp: {picture.unix_s:.3f}\r\n\r\n"
                )
                self.wfile.write(head.encode("ascii") + picture.jpeg + b"\r\n")

        def _snapshot(self) -> None:
            picture = stage.next_after(stage.latest)
            if picture is None:
                return
            self.send_response(200)
            self.send_header("Content-Type", "image/jpeg")
            self.send_header("Content-Length", str(len(picture.jpeg)))
            self.send_header("X-Timestamp", f"{picture.unix_s:.3f}")
            self.end_headers()
            self.wfile.write(picture.jpeg)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's own name
            """A camera keeps no log."""

    http = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    http.daemon_threads = True
    http.block_on_close = False
    return http
