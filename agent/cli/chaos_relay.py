"""A bad link between a box and its broker: slow, torn, or one on which acknowledgements are lost. For benchmarks.

It understands as much MQTT as it takes to see a PUBACK go by.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

FAULTS = ("none", "slow", "torn", "deaf")
_PUBACK = 4
_SLOW_BYTES_PER_S = 4000.0
_TORN_BYTES = (200, 4000)  # a connection is cut after so many, in the middle of a packet
_DEAF = 0.2  # of the acknowledgements of the broker get lost


class Relay:
    """Listens on a free loopback port and forwards to `target`; `fault` holds for what comes from now on."""

    def __init__(self, target: int, rng: random.Random) -> None:
        self.fault = "none"
        self._target, self._rng = target, rng
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        self.cuts = self.withheld = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        self._server.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            try:
                upstream = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                client.close()  # the broker is down
                continue
            left = [self._rng.randint(*_TORN_BYTES)]
            for source, sink, look in ((client, upstream, _all), (upstream, client, self._from_broker)):
                threading.Thread(target=self._pipe, args=(source, sink, look, left), daemon=True).start()

    def _pipe(self, source: socket.socket, sink: socket.socket, look: Callable[[bytes], bool], left: list[int]) -> None:
        with contextlib.suppress(OSError, EOFError):
            while True:
                packet = _packet(source)
                if not look(packet):
                    continue
                if self.fault == "slow":
                    time.sleep(len(packet) / _SLOW_BYTES_PER_S)
                left[0] -= len(packet)
                if self.fault == "torn" and left[0] < 0:
                    self.cuts += 1
                    sink.sendall(packet[: len(packet) // 2])
                    break
                sink.sendall(packet)
        for s in (source, sink):
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)
            s.close()

    def _from_broker(self, packet: bytes) -> bool:
        if self.fault == "deaf" and packet[0] >> 4 == _PUBACK and self._rng.random() < _DEAF:
            self.withheld += 1
            return False
        return True


def _all(_packet: bytes) -> bool:
    return True


def _packet(source: socket.socket) -> bytes:
    """One MQTT control packet: first byte, length in groups of seven bits, body."""
    head = _exactly(source, 2)
    length, shift = head[1] & 127, 7
    while head[-1] & 128:
        head += _exactly(source, 1)
        length |= (head[-1] & 127) << shift
        shift += 7
    return head + _exactly(source, length)


def _exactly(source: socket.socket, n: int) -> bytes:
    data = b""
    while len(data) < n:
        piece = source.recv(n - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data
