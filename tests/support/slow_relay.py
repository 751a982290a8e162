"""A TCP relay before a broker that is as far away as a satellite: a delay each way, and pieces that are lost.

TCP repairs losses, so what a lost piece does to a stream is: it and all behind it come a retransmission timeout later.
Delay and loss may be changed while it runs.
"""

from __future__ import annotations

import contextlib
import queue
import random
import socket
import threading
import time
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable


class SlowRelay:
    """Listens on a free loopback port and forwards to `target`; use as a context manager."""

    def __init__(self, target: int, *, one_way_s: float, loss: float = 0.0, seed: int = 1) -> None:
        self.one_way_s, self.loss = one_way_s, loss
        self.lost = 0
        self._target = target
        self._rng = random.Random(seed)
        self._server = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self.url = f"mqtt://127.0.0.1:{self._server.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        for s in (self._server, *self._sockets):
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10.0)
        for s in (self._server, *self._sockets):
            s.close()

    def _start(self, run: Callable[..., None], *args: Any) -> None:
        self._threads.append(threading.Thread(target=run, args=args, daemon=True))
        self._threads[-1].start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._server.accept()
                upstream = socket.create_connection(("127.0.0.1", self._target))
                self._sockets += [client, upstream]
                for a, b in ((client, upstream), (upstream, client)):
                    pieces: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()
                    self._start(self._read, a, pieces)
                    self._start(self._write, b, pieces)

    def _read(self, source: socket.socket, pieces: queue.SimpleQueue[tuple[float, bytes]]) -> None:
        data = b"-"
        while data:
            try:
                data = source.recv(1400)
            except OSError:
                data = b""
            late_s = 0.0
            if data and self._rng.random() < self.loss:
                self.lost += 1
                late_s = 2.0 * self.one_way_s + 0.2  # RFC 6298: the smoothed round trip and what it varies by
            pieces.put((time.monotonic() + self.one_way_s + late_s, data))

    @staticmethod
    def _write(sink: socket.socket, pieces: queue.SimpleQueue[tuple[float, bytes]]) -> None:
        while True:
            due, data = pieces.get()
            time.sleep(max(0.0, due - time.monotonic()))
            try:
                if not data:
                    sink.shutdown(socket.SHUT_WR)
                    return
                sink.sendall(data)
            except OSError:
                return
