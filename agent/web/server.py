"""The page's process: `python -m agent.web.server FD PORT`. Serves the newest snapshot on 127.0.0.1.

Promises:
- it listens on loopback only and answers GET only: nothing that a request carries changes anything on the box;
- every request passes agent/web/guard.py first: the box's token or its cookie, no foreign Host, no foreign page;
- the token comes over the daemon's channel: it stands in no command line, no environment and no log;
- it holds nothing but the newest snapshot and the newest picture of each camera; it ends when the daemon does.
"""

from __future__ import annotations

import os
import re
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from agent.runtime.channel import Channel, ChannelClosed
from agent.web.guard import Guard

_CAMERA = re.compile(r"^/camera/([A-Za-z0-9_.-]{1,32})\.jpg$")
_POLICY = (
    "default-src 'none'; img-src 'self'; style-src 'unsafe-inline'; script-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_ASK = (
    "This page wants the box's own link (it does so from every new browser, after a month, and when the box has a new "
    "token).\nRun `sudo vigia status --page` on the box and open what it prints.\n"
)
MAX_CLIENTS = 32


class State:
    """What the page shows; written by the feeder, read by the handlers."""

    def __init__(self) -> None:
        self.snapshot = b"{}"
        self.pictures: dict[str, bytes] = {}
        self.wanted: dict[str, float] = {}
        self.clients = threading.BoundedSemaphore(MAX_CLIENTS)


class Handler(BaseHTTPRequestHandler):
    """GET /, /page.js, /state.json, /camera/NAME.jpg."""

    state: ClassVar[State]
    guard: ClassVar[Guard]
    server_version = "vigia"
    sys_version = ""
    protocol_version = "HTTP/1.1"
    timeout = 10

    def do_GET(self) -> None:
        """Answer one request."""
        if why := self.guard.foreign(self.headers):
            self._answer(403, "text/plain", f"{why}\n".encode())
            return
        url = urlsplit(self.path)
        path, token = url.path, parse_qs(url.query).get("token", [""])[0]
        if path == "/" and self.guard.knows_token(token):
            self._answer(200, "text/html; charset=utf-8", _file("page.html"), {"Set-Cookie": self.guard.grant()})
        elif not self.guard.knows_cookie(self.headers.get("Cookie", "")):
            self._answer(401, "text/plain; charset=utf-8", _ASK.encode())
        elif path == "/":
            self._answer(200, "text/html; charset=utf-8", _file("page.html"))
        elif path == "/page.js":
            self._answer(200, "text/javascript; charset=utf-8", _file("page.js"))
        elif path == "/state.json":
            self._answer(200, "application/json", self.state.snapshot)
        elif (camera := _CAMERA.match(path)) is not None:
            self._camera(camera.group(1))
        else:
            self._answer(404, "text/plain", b"not here\n")

    def _camera(self, name: str) -> None:
        if len(self.state.wanted) < MAX_CLIENTS or name in self.state.wanted:
            self.state.wanted[name] = time.monotonic()
        picture = self.state.pictures.get(name)
        if picture is None:
            self._answer(404, "text/plain", b"no picture yet\n")
        else:
            self._answer(200, "image/jpeg", picture)

    def _refuse(self) -> None:
        """Another method than GET: nothing here can be changed."""
        self.close_connection = True  # its body is not read
        self._answer(405, "text/plain", b"this page is for reading only\n", {"Allow": "GET", "Connection": "close"})

    do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_HEAD = _refuse  # noqa: N815 - the base class's names

    def _answer(self, code: int, kind: str, body: bytes, more: dict[str, str] | None = None) -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in (HEADERS | (more or {})).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name for it
        """Say nothing: requests are no news."""


class Server(ThreadingHTTPServer):
    """A loopback server with a bounded number of clients."""

    daemon_threads = True

    def process_request(self, request: Any, client_address: Any) -> None:
        """Take a client only while there is room."""
        if not Handler.state.clients.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Give the room back afterwards."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            Handler.state.clients.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that hangs up in the middle is no error."""


def _file(name: str) -> bytes:
    return resources.files("agent.web").joinpath(name).read_bytes()


def feed(channel: Channel, state: State) -> None:
    """Take snapshots from the daemon until it ends; ask for pictures that somebody looks at."""
    asked: dict[str, float] = {}
    while True:
        message = channel.recv(0.2)
        if message is not None and message[0] == "snapshot":
            state.snapshot = str(message[1]).encode()
        elif message is not None and message[0] == "picture":
            state.pictures[str(message[1])] = bytes(message[2])
        now_s = time.monotonic()
        for name, wanted_s in list(state.wanted.items()):
            if now_s - wanted_s < 3.0 and now_s - asked.get(name, 0.0) > 0.4:
                asked[name] = now_s
                channel.send(["want", name])


def main(argv: list[str]) -> int:
    """Entry of the process: file descriptor of the channel, and the port (0: any free one)."""
    channel = Channel(socket.socket(fileno=int(argv[0])))
    message = channel.recv(10.0)
    if message is None or message[0] != "token":
        return 1
    Handler.state, Handler.guard = State(), Guard(str(message[1]))
    try:
        server = Server(("127.0.0.1", int(argv[1])), Handler)
    except OSError as e:
        print(f"the page cannot listen on 127.0.0.1:{argv[1]}: {e.strerror}; set [web] port", file=sys.stderr)
        time.sleep(30.0)  # the daemon starts us again; not in a tight loop
        return 69
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        channel.send(["ready", server.server_address[1]])
        feed(channel, Handler.state)
    except ChannelClosed:
        os._exit(0)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
