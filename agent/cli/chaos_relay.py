"""A bad link between a box and its broker: slow, torn, or one on which acknowledgements are lost. For benchmarks.

It understands as much MQTT as it takes to see an alert, a PUBACK or the picture's acknowledgement go by, and springs a
trap on it.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random

    from agent.cli.chaos_aims import Trap

FAULTS = ("none", "slow", "torn", "deaf")
_PUBLISH, _PUBACK = 3, 4
_SLOW_BYTES_PER_S = 4000.0
_TORN_BYTES = (200, 4000)  # a connection is cut after so many, in the middle of a packet
_DEAF = 0.2  # of the acknowledgements of the broker get lost


class Relay:
    """Listens on a free loopback port and forwards to `target`; `fault` and `trap` hold for what comes from now on."""

    def __init__(self, target: int, rng: random.Random) -> None:
        self.fault = "none"
        self.trap: Trap | None = None
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
            for source, sink, down in ((client, upstream, False), (upstream, client, True)):
                threading.Thread(
                    target=self._pipe, args=(source, sink, left), kwargs={"down": down}, daemon=True
                ).start()

    def _pipe(self, source: socket.socket, sink: socket.socket, left: list[int], *, down: bool) -> None:
        with contextlib.suppress(OSError, EOFError):
            while True:
                packet = _packet(source)
                moment = _moment(packet, down=down)
                if self._withholds(moment):
                    continue
                trap = self.trap
                if trap is not None and trap.counts(moment):
                    sink.sendall(packet[: round(len(packet) * trap.passed)])
                    trap.spring()
                    sink.sendall(packet[round(len(packet) * trap.passed) :])
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

    def _withholds(self, moment: str) -> bool:
        if self.fault == "deaf" and moment == "puback" and self._rng.random() < _DEAF:
            self.withheld += 1
            return True
        return False


def _moment(packet: bytes, *, down: bool) -> str:
    """What a packet is to the box: an alert of its own, the broker's word, the picture's word, or "" for the rest."""
    kind = packet[0] >> 4
    if down and kind == _PUBACK:
        return "puback"
    if kind != _PUBLISH:
        return ""
    at = 1 + next(i for i, x in enumerate(packet[1:5], 1) if not x & 128)
    topic = packet[at + 2 : at + 2 + int.from_bytes(packet[at : at + 2], "big")]
    if down:
        return "acknowledgement" if topic.endswith(b"/d/k") else ""
    return "send" if topic.endswith(b"/u/a") else ""


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
