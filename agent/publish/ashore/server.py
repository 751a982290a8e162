"""The live picture for other programs: JSON and GeoJSON over HTTP, and a WebSocket, on loopback only.

Promises:
- it listens on 127.0.0.1, answers GET only, and refuses a Host header that is not loopback (DNS rebinding) and a
  WebSocket of a foreign origin;
- a client that is slow costs the others nothing: it gets what is newest when it can take it; at most `MAX_CLIENTS`;
- what is served was made once a second at most, however many ask.

    /state.json      {at, vessels, alerts, nodes, counts}
    /tracks.geojson  vessels as a FeatureCollection (RFC 7946)
    /ws              WebSocket (RFC 6455): the state as one text message whenever it changes
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from agent.errors import SensorUnavailable

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator
    from typing import BinaryIO

MAX_CLIENTS = 32
PING_S = 20.0
_LOOPBACK = re.compile(r"^(https?://)?(127\.0\.0\.1|localhost|\[::1\])(:\d+)?$")
_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3
_TEXT, _CLOSE, _PING = 0x81, 0x88, 0x89
_LINE_BYTES = 8192
_MESSAGE_BYTES = 64 << 20  # far above the state of a full picture


class Live:
    """The newest state; `publish` hands over a new one, `wait` sleeps until there is one."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._version = 0
        self.state = b"{}"
        self.geojson = b'{"type":"FeatureCollection","features":[]}'
        self.closed = False
        self.clients = threading.BoundedSemaphore(MAX_CLIENTS)

    def publish(self, state: dict[str, Any]) -> None:
        """This is how things are now."""
        text = json.dumps(state, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
        places = json.dumps(geojson(state["vessels"]), ensure_ascii=False, separators=(",", ":")).encode()
        with self._condition:
            self.state, self.geojson = text, places
            self._version += 1
            self._condition.notify_all()

    def close(self) -> None:
        """Let everybody who waits go."""
        with self._condition:
            self.closed = True
            self._condition.notify_all()

    def wait(self, seen: int, timeout_s: float) -> tuple[int, bytes]:
        """(version, state) as soon as the version is not `seen`, or after `timeout_s`."""
        with self._condition:
            self._condition.wait_for(lambda: self._version != seen or self.closed, timeout_s)
            return self._version, self.state


def geojson(vessels: list[dict[str, Any]]) -> dict[str, Any]:
    """Vessels as points."""
    return {
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature",
                "id": v["vessel"],
                "geometry": {"type": "Point", "coordinates": [v["lon"], v["lat"]]},
                "properties": {k: x for k, x in v.items() if k not in ("lat", "lon")},
            }
            for v in vessels
        ],
    }


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    server_version = "vigia"
    sys_version = ""
    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_GET(self) -> None:
        """Answer one request."""
        live = self.server.live
        path = self.path.split("?", 1)[0]
        if not _LOOPBACK.match(self.headers.get("Host", "")) or not _LOOPBACK.match(
            self.headers.get("Origin", "localhost")
        ):
            self._answer(403, "text/plain", b"this picture answers on 127.0.0.1 only\n")
        elif path == "/state.json":
            self._answer(200, "application/json", live.state)
        elif path == "/tracks.geojson":
            self._answer(200, "application/geo+json", live.geojson)
        elif path == "/ws":
            self._websocket(live)
        else:
            self._answer(404, "text/plain", b"not here: /state.json, /tracks.geojson, /ws\n")

    def _answer(self, code: int, kind: str, body: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(body)

    def _websocket(self, live: Live) -> None:
        key = self.headers.get("Sec-WebSocket-Key", "")
        if self.headers.get("Upgrade", "").lower() != "websocket" or not key:
            self._answer(400, "text/plain", b"this is a WebSocket\n")
            return
        digest = hashlib.sha1((key + _GUID).encode(), usedforsecurity=False).digest()
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(digest).decode())
        self.end_headers()
        self.close_connection = True
        listener = threading.Thread(target=self._listen, daemon=True)
        listener.start()
        seen = -1
        try:
            while listener.is_alive() and not live.closed:
                version, state = live.wait(seen, PING_S)
                self.wfile.write(frame(_PING, b"") if version == seen else frame(_TEXT, state))
                self.wfile.flush()
                seen = version
            self.wfile.write(frame(_CLOSE, b"\x03\xe9"))  # going away
        except OSError:
            return  # it has hung up

    def _listen(self) -> None:
        """Until the client closes; what it says is of no interest, a pong least of all."""
        self.connection.settimeout(3 * PING_S)
        try:
            while True:
                head = self.rfile.read(2)
                if len(head) < 2 or head[0] & 15 == _CLOSE & 15:
                    return
                length = head[1] & 127
                size = {126: 2, 127: 8}.get(length, 0)
                length = int.from_bytes(self.rfile.read(size), "big") if size else length
                if length > 4096:
                    return
                self.rfile.read(length + 4)  # with its mask
        except (OSError, ValueError):
            return

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name for it
        """Say nothing: requests are no news."""


def frame(first: int, payload: bytes) -> bytes:
    """One unmasked WebSocket frame, as a server sends it."""
    n = len(payload)
    if n < 126:
        return bytes([first, n]) + payload
    if n < 1 << 16:
        return bytes([first, 126]) + n.to_bytes(2, "big") + payload
    return bytes([first, 127]) + n.to_bytes(8, "big") + payload


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port: int, live: Live) -> None:
        self.live = live
        super().__init__(("127.0.0.1", port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Take a client only while there is room."""
        if not self.live.clients.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Give the room back afterwards."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.live.clients.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up in the middle is no error."""


class LiveServer:
    """Serves `live` on 127.0.0.1:`port` (0: any free one, then `port` says which).

    Raises:
        SensorUnavailable: the port is taken.

    """

    def __init__(self, port: int, live: Live) -> None:
        self._live = live
        try:
            self._server = _Server(port, live)
        except OSError as e:
            raise SensorUnavailable(
                f"127.0.0.1:{port} cannot be listened on: {e.strerror}; choose another --port"
            ) from e
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, name="live", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop serving."""
        self._live.close()
        self._server.shutdown()
        self._server.server_close()


def receive_texts(sock: socket.socket, host: str, path: str = "/ws") -> Iterator[str]:
    """A generator of the texts that a server's WebSocket sends: the smallest client, for gateways and tests.

    Raises:
        SensorUnavailable: the server does not speak WebSocket, or announces a message that no picture sends.

    """
    key = base64.b64encode(b"vigia-gateway-16").decode()
    request = (
        f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    sock.sendall(request.encode())
    with sock.makefile("rb") as stream:
        yield from _texts(stream, host)


def _texts(stream: BinaryIO, host: str) -> Iterator[str]:
    status = stream.readline(_LINE_BYTES)
    if b" 101 " not in status:
        raise SensorUnavailable(f"{host} does not serve a picture: {status.decode(errors='replace').strip()}")
    while stream.readline(_LINE_BYTES).strip():
        pass
    while True:
        head = stream.read(2)
        if len(head) < 2 or head[0] == _CLOSE:
            return
        length = head[1] & 127
        size = {126: 2, 127: 8}.get(length, 0)
        length = int.from_bytes(stream.read(size), "big") if size else length
        if length > _MESSAGE_BYTES:
            raise SensorUnavailable(f"{host} announces a message of {length} bytes: that is no picture's")
        body = stream.read(length)
        if head[0] == _TEXT:
            yield body.decode()
