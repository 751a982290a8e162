"""The faulty cameras of `vigia bench camera-cycles`, as a process of its own. Prints its port; ends with its input.

The path of the request says the fault: a picture and half of another, a picture and noise, nothing at all, 404; what is
asked by RTSP is hung up on or answered with noise.
"""

from __future__ import annotations

import random
import socketserver
import sys
import threading

import cv2
import numpy as np

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=b\r\n\r\n"
_GOOD, _DATA = cv2.imencode(".jpg", np.random.default_rng(1).integers(0, 255, (240, 320, 3), dtype=np.uint8))
_PART = b"--b\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n" % (len(_DATA), _DATA.tobytes())
_NOISE = random.Random(1).randbytes(4000)
_ANSWERS = {
    b"/cut": _HEAD + _PART + _PART[: len(_PART) // 2],
    b"/garbage": _HEAD + _PART + _NOISE,
    b"/hangup": b"",
    b"/missing": b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
    b"/rtsp-hangup": b"",
    b"/rtsp-garbage": b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Length: 4000\r\n\r\n" + _NOISE,
}


class Handler(socketserver.StreamRequestHandler):
    """One request, one answer, and the line goes dead."""

    timeout = 5.0

    def handle(self) -> None:
        """Answer by the path."""
        try:
            words = self.rfile.readline(4096).split()
            while self.rfile.readline(4096).strip():
                pass
            asked = words[1] if len(words) > 1 else b""
            answer = next((a for path, a in _ANSWERS.items() if asked.endswith(path)), b"")
            self.wfile.write(answer)
        except OSError:
            return  # the reader has gone


class Server(socketserver.ThreadingTCPServer):
    """On a free port of this machine."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64


if __name__ == "__main__":
    with Server(("127.0.0.1", 0), Handler) as server:
        print(server.server_address[1], flush=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        sys.stdin.read()
