"""Where sentences and datagrams leave: UDP and TCP on the loopback, UDP groups, serial lines; where orders come in.

Promises:
- nothing here ever blocks: what a listener does not take in time is dropped, as on a real wire;
- `unplug` takes each of them away and `plug` brings it back at the same place;
- a serial line has a name of its own (a link, like /dev/serial/by-id) that goes when it is unplugged and comes back.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import termios
import tty
from contextlib import suppress
from typing import TYPE_CHECKING

from hardware_sim.errors import DeviceError

if TYPE_CHECKING:
    from pathlib import Path

LOOPBACK = "127.0.0.1"
ORDERS = 256
"""Datagrams that are taken in one go."""
BACKLOG_BYTES = 2048
"""Half of what the kernel's line discipline holds: below that its count of waiting bytes is exact."""


def free_udp_port() -> int:
    """A UDP port of the loopback that nobody listens on now."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind((LOOPBACK, 0))
        return int(s.getsockname()[1])


class UdpOut:
    """Datagrams to one port of the loopback."""

    def __init__(self) -> None:
        self.host, self.port = LOOPBACK, free_udp_port()
        self.dropped = 0
        self._plugged = True
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)

    def send(self, data: bytes) -> None:
        """Send, or drop when the kernel's buffer is full."""
        if not self._plugged:
            return
        try:
            self._socket.sendto(data, (self.host, self.port))
        except (BlockingIOError, ConnectionRefusedError):
            self.dropped += 1

    def unplug(self) -> None:
        """Nothing arrives any more; a listener on UDP cannot tell that from silence."""
        self._plugged = False

    def plug(self) -> None:
        """It arrives again."""
        self._plugged = True

    def close(self) -> None:
        """Release the socket."""
        self._socket.close()


class GroupOut(UdpOut):
    """Datagrams to a multicast group, out of the interface that has the address `via`; one hop far.

    Raises:
        DeviceError: no interface has that address.

    """

    def __init__(self, group: str, port: int, via: str) -> None:
        super().__init__()
        self.host, self.port = group, port
        try:
            self._socket.bind((via, 0))  # what it is sent from, on a machine with several
            self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(via))
        except OSError as error:
            self._socket.close()
            raise DeviceError(f"--multicast {via}: no interface of this machine has that address") from error


class UdpIn:
    """Where a device takes orders: a port of the loopback, or with `via` a multicast group on the interface there.

    Raises:
        DeviceError: no interface has that address.

    """

    def __init__(self, place: tuple[str, int] | None = None, via: str | None = None) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        try:
            if place is None or via is None:
                self._socket.bind((LOOPBACK, 0))
            else:
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                self._socket.bind(place)
                member = socket.inet_aton(place[0]) + socket.inet_aton(via)
                self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
        except OSError as error:
            self._socket.close()
            raise DeviceError(f"no orders can be taken at {place} by {via}: {error.strerror or error}") from error
        host, port = self._socket.getsockname()
        self.host, self.port = str(host), int(port)

    def take(self) -> list[bytes]:
        """What has come in; never waits."""
        out: list[bytes] = []
        while len(out) < ORDERS:
            try:
                out.append(self._socket.recv(2048))
            except BlockingIOError:
                break
        return out

    def close(self) -> None:
        """Release the socket."""
        self._socket.close()


class TcpOut:
    """A server on the loopback, as multiplexers and AIS receivers have: every client gets everything from now on."""

    def __init__(self) -> None:
        self.dropped = 0
        self._clients: list[socket.socket] = []
        self._unplugged = False
        self.port = 0
        self._listen()

    def _listen(self) -> None:
        self._server = socket.create_server((LOOPBACK, self.port))
        self._server.setblocking(False)
        self.port = int(self._server.getsockname()[1])

    def unplug(self) -> None:
        """End all connections; new ones are refused."""
        if not self._unplugged:
            self._unplugged = True
            self.close()

    def plug(self) -> None:
        """Listen again, on the same port."""
        if self._unplugged:
            self._unplugged = False
            self._listen()

    def send(self, data: bytes) -> None:
        """Send to all who are there; who has gone, or takes nothing any more, is let go."""
        if self._unplugged:
            return
        self._greet()
        for client in list(self._clients):
            try:
                taken = client.send(data)
            except OSError:
                taken = 0
            if taken < len(data):  # half a sentence is worse than none: the client has to come back
                self.dropped += 1
                self._clients.remove(client)
                client.close()

    def _greet(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except BlockingIOError:
                return
            client.setblocking(False)
            self._clients.append(client)

    def close(self) -> None:
        """End all connections and stop listening."""
        for client in self._clients:
            client.close()
        self._clients.clear()
        self._server.close()


class SerialOut:
    """The device's end of a serial line. The listener opens `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.dropped = 0
        self._fds: tuple[int, int] | None = None
        self.plug()

    def plug(self) -> None:
        """Make the line and its name."""
        if self._fds is not None:
            return
        master, slave = os.openpty()
        tty.setraw(slave)
        os.set_blocking(master, False)
        self._fds = (master, slave)  # our own slave stays open, so that a listener may come and go
        self.path.unlink(missing_ok=True)
        self.path.symlink_to(os.ttyname(slave))

    def unplug(self) -> None:
        """Hang up: the listener's reads fail, the name is gone."""
        if self._fds is None:
            return
        self.path.unlink(missing_ok=True)
        for fd in self._fds:
            os.close(fd)
        self._fds = None

    def send(self, data: bytes) -> None:
        """Send. What nobody has read for `BACKLOG_BYTES` is lost: a line without a reader keeps nothing."""
        if self._fds is None:
            return
        master, slave = self._fds
        waiting = struct.unpack("i", fcntl.ioctl(slave, termios.FIONREAD, bytes(4)))[0]
        if waiting + len(data) > BACKLOG_BYTES:
            self.dropped += 1
            termios.tcflush(slave, termios.TCIFLUSH)
        with suppress(BlockingIOError):
            os.write(master, data)

    def close(self) -> None:
        """Unplug for good."""
        self.unplug()


Line = UdpOut | TcpOut | SerialOut
