"""UDP: one chunk a datagram. A multicast group is joined on the interface that the URL names."""

from __future__ import annotations

import ipaddress
import select
import socket
import struct
from typing import TYPE_CHECKING

from agent.errors import ConfigError, SensorUnavailable
from agent.transport.base import Chunk, Transport

if TYPE_CHECKING:
    from agent.clock import Clock
    from agent.transport.url import SensorUrl

BUFFER_BYTES = 4 * 1024 * 1024  # radar video comes in bursts of 17 kB datagrams
MAX_DATAGRAM = 65_535


class UdpTransport(Transport):
    """Listens. `stream` of a chunk is `group:port`, or the local address's."""

    datagrams = True

    def __init__(self, url: SensorUrl, clock: Clock) -> None:
        self._shown = url.shown
        self._clock = clock
        address = _address(url)
        self._stream = f"{address or '0.0.0.0'}:{url.port}"  # noqa: S104 - a name, not a binding
        family = socket.AF_INET6 if address is not None and address.version == 6 else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._wake, self._waker = socket.socketpair()
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
            self._socket.bind((str(address) if address is not None else "", url.port))
            if address is not None and address.is_multicast:
                self._join(address, url.query.get("iface"))
            self._socket.setblocking(False)
        except OSError as e:
            self.close()
            raise SensorUnavailable(
                f"{self._shown}: cannot listen: {e.strerror or e}; check address and interface"
            ) from e

    def _join(self, group: ipaddress.IPv4Address | ipaddress.IPv6Address, iface: str | None) -> None:
        if group.version == 6:
            index = socket.if_nametoindex(iface) if iface else 0
            request = group.packed + struct.pack("@I", index)
            self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, request)
            return
        local, index = bytes(4), 0
        if iface and iface[0].isdigit():
            local = ipaddress.IPv4Address(iface).packed
        elif iface:
            index = socket.if_nametoindex(iface)
        request = struct.pack("4s4si", group.packed, local, index)  # struct ip_mreqn, ip(7)
        self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)

    def read(self, timeout_s: float) -> Chunk | None:
        """The next datagram, or None after `timeout_s`."""
        try:
            ready, _, _ = select.select([self._socket, self._wake], [], [], timeout_s)
            if self._socket not in ready:
                return None
            data = self._socket.recv(MAX_DATAGRAM)
        except BlockingIOError:
            return None  # a datagram with a wrong checksum woke us
        except (OSError, ValueError) as e:
            raise SensorUnavailable(f"{self._shown}: listening ended: {e}") from e
        return Chunk(data=data, at=self._clock.now(), stream=self._stream)

    def close(self) -> None:
        """Stop listening; a pending `read` returns. Idempotent."""
        if self._waker.fileno() >= 0:
            self._waker.close()
            self._socket.close()


def _address(url: SensorUrl) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    if not url.host or url.host == "0.0.0.0":  # noqa: S104 - what an operator may write
        return None
    try:
        return ipaddress.ip_address("127.0.0.1" if url.host == "localhost" else url.host)
    except ValueError as e:
        raise ConfigError(
            f"{url.shown}: {url.host} is no address; write the group's or the local address in numbers"
        ) from e
