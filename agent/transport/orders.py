"""Orders to a device, by UDP: opened only where a sensor's options ask for it.

Promises:
- datagrams go to the URL's address and port and nowhere else, a group's only out of the interface that it names and no
  farther than one hop;
- it never waits, and takes nothing in: what comes back comes by the sensor's own inputs.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
from typing import TYPE_CHECKING

from agent.errors import ConfigError, SensorUnavailable
from agent.transport.url import parse_url

if TYPE_CHECKING:
    from collections.abc import Iterable


class UdpOrders:
    """Sends to one address. The socket is made when there is something to send, and anew after a failure."""

    def __init__(self, url: str) -> None:
        """Check the address; nothing is opened.

        Raises:
            ConfigError: the URL is wrong, or names no IPv4 address.

        """
        u = parse_url(url)
        self._shown = u.shown
        address = u.address() if u.scheme == "udp" else None
        if not isinstance(address, ipaddress.IPv4Address):
            raise ConfigError(f"{u.shown}: orders go to an IPv4 address, as udp://236.6.9.52:7060?iface=eth1")
        self._address = address
        self._port = u.port
        self._iface = u.query.get("iface", "")
        self._socket: socket.socket | None = None

    def send(self, datagrams: Iterable[bytes]) -> None:
        """Send all, in order.

        Raises:
            SensorUnavailable: the network or the interface is not there.

        """
        try:
            self._socket = self._socket or self._open()
            for data in datagrams:
                self._socket.sendto(data, (str(self._address), self._port))
        except OSError as e:
            self.close()
            raise SensorUnavailable(
                f"{self._shown}: an order cannot be sent: {e.strerror or e}; check address and interface"
            ) from e

    def close(self) -> None:
        """Release the socket. Idempotent."""
        if self._socket is not None:
            self._socket.close()
        self._socket = None

    def _open(self) -> socket.socket:
        out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            out.setblocking(False)
            if self._address.is_multicast:
                out.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 1)
                if self._iface:
                    out.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, self._way_out())
        except OSError:
            out.close()
            raise
        return out

    def _way_out(self) -> bytes:
        """The struct ip_mreqn of ip(7): the interface by its address, or by its name."""
        try:
            return struct.pack("4s4si", bytes(4), ipaddress.IPv4Address(self._iface).packed, 0)
        except ValueError:
            return struct.pack("4s4si", bytes(4), bytes(4), socket.if_nametoindex(self._iface))
