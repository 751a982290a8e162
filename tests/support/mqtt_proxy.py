"""A TCP proxy before a broker that knows just enough MQTT to misbehave: withhold PUBACKs, refuse MQTT 5, cut.

It also counts what the client has under way (PUBLISH at QoS 1 less PUBACK), which no broker tells.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable

CONNECT, PUBLISH, PUBACK = 1, 3, 4


class MqttProxy:
    """Listens on a free loopback port and forwards to `target`; use as a context manager."""

    def __init__(
        self,
        target: int,
        *,
        drop_puback: Callable[[int], bool] = lambda _n: False,
        refuse_version5: bool = False,
        hang_up_on_version5: bool = False,
    ) -> None:
        self._target = target
        self._drop_puback = drop_puback
        self._refuse_version5 = refuse_version5
        self._hang_up_on_version5 = hang_up_on_version5
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self.pubacks = 0
        self.connections = 0
        self.versions: list[int] = []
        self.most_under_way = 0

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.close()
        self.cut()

    def cut(self) -> None:
        """End all connections."""
        with self._lock:
            sockets, self._sockets = self._sockets, []
        for s in sockets:
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)
            s.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
                upstream = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                return
            with self._lock:
                self._sockets += [client, upstream]
            self.connections += 1
            under_way = [0]  # of this connection: an older one may still be draining
            threading.Thread(
                target=self._pipe, args=(client, upstream, self._from_client, under_way), daemon=True
            ).start()
            threading.Thread(
                target=self._pipe, args=(upstream, client, self._from_broker, under_way), daemon=True
            ).start()

    def _pipe(
        self,
        source: socket.socket,
        sink: socket.socket,
        look: Callable[[bytes, socket.socket, list[int]], bool],
        under_way: list[int],
    ) -> None:
        with contextlib.suppress(OSError, EOFError):
            while True:
                packet = _packet(source)
                if look(packet, source, under_way):
                    sink.sendall(packet)
        for s in (source, sink):
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)

    def _from_client(self, packet: bytes, source: socket.socket, under_way: list[int]) -> bool:
        kind = packet[0] >> 4
        if kind == CONNECT:
            version = packet[packet.index(b"MQTT") + 4]
            self.versions.append(version)
            if version == 5 and (self._refuse_version5 or self._hang_up_on_version5):
                if self._refuse_version5:
                    source.sendall(b"\x20\x02\x00\x01")  # CONNACK of MQTT 3.1.1: unacceptable protocol version
                raise EOFError
        if kind == PUBLISH and packet[0] & 0x06:
            with self._lock:
                under_way[0] += 1
                self.most_under_way = max(self.most_under_way, under_way[0])
        return True

    def _from_broker(self, packet: bytes, _source: socket.socket, under_way: list[int]) -> bool:
        if packet[0] >> 4 == PUBACK:
            self.pubacks += 1
            if self._drop_puback(self.pubacks):
                return False
            with self._lock:
                under_way[0] -= 1
        return True


def _packet(source: socket.socket) -> bytes:
    """One MQTT control packet: first byte, length in seven-bit groups, body."""
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
