"""An HTTP camera for tests: real sockets, a real multipart stream, and every way to be broken."""

from __future__ import annotations

import hashlib
import http.server
import re
import threading
import time
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BOUNDARY = "cam-boundary"


def jpeg(number: int, *, width: int = 64, height: int = 48) -> bytes:
    """A picture whose brightness tells its number (0..24)."""
    image = np.full((height, width, 3), number * 10, dtype=np.uint8)
    good, data = cv2.imencode(".jpg", image)
    assert good
    return data.tobytes()


def number_of(image: np.ndarray) -> int:
    return round(float(image.mean()) / 10)


def part(body: bytes, *, length: int | None = -1, boundary: str = BOUNDARY) -> bytes:
    """One part; `length` None leaves Content-Length out, -1 gives the right one."""
    head = f"--{boundary}\r\nContent-Type: image/jpeg\r\n"
    if length is not None:
        head += f"Content-Length: {len(body) if length < 0 else length}\r\n"
    return head.encode() + b"\r\n" + body + b"\r\n"


class Camera:
    """Serves `script()` (chunks of the body; a float is a pause) at /stream. `auth`: "", basic or digest."""

    def __init__(self, script: Callable[[], Iterator[bytes | float]], *, auth: str = "") -> None:
        camera = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                camera.serve(self)

            def log_message(self, *args: Any) -> None:
                pass

        self.script = script
        self.auth = auth
        self.content_type = f"multipart/x-mixed-replace; boundary={BOUNDARY}"
        self.ended = threading.Event()
        self.requests = 0
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def serve(self, request: http.server.BaseHTTPRequestHandler) -> None:
        self.requests += 1
        if self.auth and not self._allowed(request):
            request.send_response(401)
            challenge = 'Basic realm="cam"' if self.auth == "basic" else 'Digest realm="cam", nonce="n1", qop="auth"'
            request.send_header("WWW-Authenticate", challenge)
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        request.send_response(200 if request.path.startswith("/stream") else 404)
        request.send_header("Content-Type", self.content_type)
        request.end_headers()
        try:
            for chunk in self.script():
                if isinstance(chunk, float):
                    if self.ended.wait(chunk):
                        return
                else:
                    request.wfile.write(chunk)
                    request.wfile.flush()
        except OSError:
            return  # the reader has gone

    def _allowed(self, request: http.server.BaseHTTPRequestHandler) -> bool:
        header = request.headers.get("Authorization", "")
        if self.auth == "basic":
            return header == "Basic b3BlcmF0b3I6c2VjcmV0"  # operator:secret
        if not header.startswith("Digest "):
            return False
        f = {k: q or v for k, q, v in re.findall(r'(\w+)=(?:"([^"]*)"|([^\s,]+))', header)}
        ha1, ha2 = (hashlib.md5(t.encode()).hexdigest() for t in ("operator:cam:secret", f"GET:{request.path}"))  # noqa: S324 - RFC 7616
        wanted = hashlib.md5(f"{ha1}:n1:{f['nc']}:{f['cnonce']}:auth:{ha2}".encode()).hexdigest()  # noqa: S324 - RFC 7616
        return bool(f["response"] == wanted and f["username"] == "operator")

    def url(self, user: str = "") -> str:
        return f"http://{user}127.0.0.1:{self.port}/stream?token=hush"

    def close(self) -> None:
        self.ended.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def steady(count: int, *, pause_s: float = 0.0) -> Callable[[], Iterator[bytes | float]]:
    def script() -> Iterator[bytes | float]:
        for i in range(count):
            yield part(jpeg(i % 25))
            yield float(pause_s)

    return script


def wait_until(done: Callable[[], bool], timeout_s: float = 10.0) -> bool:
    end = time.monotonic() + timeout_s
    while not done():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True
