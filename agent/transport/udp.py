"""UDP: one chunk a datagram. A multicast group is joined on the interface that the URL names.

Promises:
- only datagrams to the URL's own address and port, and for a group only through the interface that was asked for, even
  when another program on the box joined the same group elsewhere;
- an interface that vanishes (a USB adapter, a VLAN that is made anew) is `SensorUnavailable`, not silence: the kernel
  forgets the membership with it.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import select
import socket
import struct
import threading
from typing import TYPE_CHECKING

from agent.errors import SensorUnavailable
from agent.transport.base import Chunk, Transport

if TYPE_CHECKING:
    from agent.clock import Clock
    from agent.transport.url import Address, SensorUrl

BUFFER_BYTES = 4 * 1024 * 1024  # radar video comes in bursts of 17 kB datagrams
MAX_DATAGRAM = 65_535
# ip(7), ipv6(7): 0 takes no datagrams of groups that only others joined. The socket module does not name them.
_IP_MULTICAST_ALL, _IPV6_MULTICAST_ALL = 49, 29


class UdpTransport(Transport):
    """Listens. `stream` of a chunk is `group:port`, or the local address's; IPv6 in brackets."""

    datagrams = True

    def __init__(self, url: SensorUrl, clock: Clock) -> None:
        self._shown = url.shown
        self._clock = clock
        self._closed = False
        self._using = threading.RLock()  # held while a read uses the sockets, so that close does not pull them away
        self._iface = url.query.get("iface", "")
        self._index = 0
        address = url.address()
        host = "0.0.0.0" if address is None else str(address)  # noqa: S104 - all addresses, as the operator wrote
        ipv6 = address is not None and address.version == 6
        self._stream = f"[{host}]:{url.port}" if ipv6 else f"{host}:{url.port}"
        self._socket = socket.socket(socket.AF_INET6 if ipv6 else socket.AF_INET, socket.SOCK_DGRAM)
        self._wake, self._waker = socket.socketpair()
        try:
            self._listen(address, host, url.port)
        except OSError as e:
            self.close()
            raise SensorUnavailable(
                f"{self._shown}: cannot listen: {e.strerror or e}; check address, interface and other programs"
            ) from e
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)
        self._poll.register(self._wake, select.POLLIN)

    def _listen(self, address: Address | None, host: str, port: int) -> None:
        # a group or a broadcast is for several programs; of two that read one unicast port, one would hear nothing
        if address is None or address.is_multicast:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        if self._iface and not _is_address(self._iface):
            self._index = socket.if_nametoindex(self._iface)
        scope = (0, self._index) if address is not None and address.version == 6 else ()
        self._socket.bind((host, port, *scope))
        if address is not None and address.is_multicast:
            self._join(address)
        self._socket.setblocking(False)

    def _join(self, group: Address) -> None:
        if group.version == 6:
            request = group.packed + struct.pack("@I", self._index)
            self._socket.setsockopt(socket.IPPROTO_IPV6, _IPV6_MULTICAST_ALL, 0)
            self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, request)
            return
        local = ipaddress.IPv4Address(self._iface).packed if self._iface and not self._index else bytes(4)
        request = struct.pack("4s4si", group.packed, local, self._index)  # struct ip_mreqn, ip(7)
        self._socket.setsockopt(socket.IPPROTO_IP, _IP_MULTICAST_ALL, 0)
        self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)

    def read(self, timeout_s: float) -> Chunk | None:
        """The next datagram, or None after `timeout_s`."""
        with self._using:
            if self._closed:
                raise SensorUnavailable(f"{self._shown}: closed")
            try:
                ready = self._poll.poll(timeout_s * 1000.0)
                if not ready:
                    self._still_there()
                    return None
                data = self._socket.recv(MAX_DATAGRAM)
            except BlockingIOError:
                return None  # close woke us, or a datagram with a wrong checksum
            except OSError as e:
                raise SensorUnavailable(f"{self._shown}: listening ended: {e.strerror or e}") from e
        return Chunk(data=data, at=self._clock.now(), stream=self._stream)

    def _still_there(self) -> None:
        """Raise OSError if the interface of the membership is no longer the one of its name."""
        if self._index and socket.if_nametoindex(self._iface) != self._index:
            raise OSError(errno.ENODEV, f"interface {self._iface} was made anew")

    def close(self) -> None:
        """Stop listening; a pending `read` returns. Idempotent."""
        self._closed = True
        with contextlib.suppress(OSError):  # closed before
            self._waker.shutdown(socket.SHUT_RDWR)
        with self._using:
            for s in (self._waker, self._wake, self._socket):
                s.close()


def _is_address(text: str) -> bool:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True
