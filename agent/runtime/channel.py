"""Messages between the parent and its children: length-prefixed CBOR on a socket pair.

Promises:
- a message is at most `MAX_MESSAGE`; a longer claim ends the channel, it never makes the parent allocate;
- a closed or broken peer raises `ChannelClosed`, never hangs; `recv` returns None when nothing came in time.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from typing import Any

import cbor2

from agent.errors import SensorUnavailable

MAX_MESSAGE = 8 * 1024 * 1024
_LENGTH = struct.Struct("<I")


class ChannelClosed(SensorUnavailable):
    """The other process is gone, or talks nonsense."""


class Channel:
    """One end. Sending is safe from several threads; receiving from one."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._lock = threading.Lock()
        self._buffer = bytearray()

    def send(self, message: list[Any]) -> None:
        """Send one message; blocks at most while the peer's buffer is full, 10 s at the longest."""
        body = cbor2.dumps(message)
        if len(body) > MAX_MESSAGE:
            raise ValueError(f"a message of {len(body)} bytes is over the channel's {MAX_MESSAGE}")
        try:
            with self._lock:
                self._sock.settimeout(10.0)
                self._sock.sendall(_LENGTH.pack(len(body)) + body)
        except OSError as e:
            raise ChannelClosed(f"the process at the other end is gone: {e}") from e

    def recv(self, timeout_s: float) -> list[Any] | None:
        """The next message, or None after `timeout_s` without one."""
        while (message := self._take()) is None:
            try:
                self._sock.settimeout(timeout_s)
                data = self._sock.recv(65_536)
            except TimeoutError:
                return None
            except OSError as e:
                raise ChannelClosed(f"the process at the other end is gone: {e}") from e
            if not data:
                raise ChannelClosed("the process at the other end has ended")
            self._buffer += data
        return message

    def close(self) -> None:
        """Close both directions. Idempotent."""
        with contextlib.suppress(OSError):  # the peer was faster
            self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()

    def _take(self) -> list[Any] | None:
        if len(self._buffer) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(self._buffer)
        if length > MAX_MESSAGE:
            raise ChannelClosed(f"the other process announced a message of {length} bytes; more than {MAX_MESSAGE}")
        end = _LENGTH.size + length
        if len(self._buffer) < end:
            return None
        body = bytes(self._buffer[_LENGTH.size : end])
        del self._buffer[:end]
        try:
            message = cbor2.loads(body)
        except cbor2.CBORDecodeError as e:
            raise ChannelClosed(f"the other process sent what is not CBOR: {e}") from e
        if not isinstance(message, list) or not message:
            raise ChannelClosed("the other process sent something that is no message")
        return message
