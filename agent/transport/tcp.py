"""TCP client: a stream of bytes from a server, e.g. a serial-to-Ethernet box or an AIS receiver."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING

from agent.errors import SensorUnavailable
from agent.transport.base import Chunk, Transport

if TYPE_CHECKING:
    from agent.clock import Clock
    from agent.transport.url import SensorUrl

PIECE = 65_536
MIN_TIMEOUT_S = 0.001  # 0 would mean "do not wait" to connect and to read, in two different ways


class TcpTransport(Transport):
    """Connects at once; keepalive finds a peer that vanished within about two minutes."""

    def __init__(self, url: SensorUrl, clock: Clock, timeout_s: float) -> None:
        self._shown = url.shown
        self._clock = clock
        try:
            self._socket = socket.create_connection((url.host, url.port), max(timeout_s, MIN_TIMEOUT_S))
        except OSError as e:
            raise SensorUnavailable(f"{self._shown}: cannot connect: {e.strerror or e}; check address and cable") from e
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 15)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4)

    def read(self, timeout_s: float) -> Chunk | None:
        """The next piece of the stream, or None after `timeout_s`."""
        try:
            self._socket.settimeout(max(timeout_s, MIN_TIMEOUT_S))
            data = self._socket.recv(PIECE)
        except TimeoutError as e:
            if e.errno is not None:  # ETIMEDOUT: keepalive gave the peer up
                raise SensorUnavailable(f"{self._shown}: the server does not answer any more; check the cable") from e
            return None
        except OSError as e:
            raise SensorUnavailable(f"{self._shown}: the connection broke: {e.strerror or e}") from e
        if not data:
            raise SensorUnavailable(f"{self._shown}: the server closed the connection")
        return Chunk(data=data, at=self._clock.now())

    def write(self, data: bytes) -> None:
        """Send to the server.

        Raises:
            SensorUnavailable: the connection broke.

        """
        try:
            self._socket.sendall(data)
        except OSError as e:
            raise SensorUnavailable(f"{self._shown}: cannot be written: {e.strerror or e}") from e

    def close(self) -> None:
        """Disconnect; a pending `read` raises. Idempotent."""
        with contextlib.suppress(OSError):  # the server was faster
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
