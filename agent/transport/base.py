"""The transport contract: what every source of bytes promises.

Promises:
- `read(timeout_s)` returns within about `timeout_s`: a `Chunk`, or None when nothing came; it never blocks for ever;
- a device or peer that is gone raises `SensorUnavailable` with one plain sentence; the end of a recording raises
  `EndOfData`;
- `close()` may be called any number of times, from any thread, and makes a pending `read` return or raise soon;
- credentials in a URL never appear in a message (`mask_url`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.errors import VigiaError

if TYPE_CHECKING:
    from agent.messages import Stamp


class EndOfData(VigiaError):  # noqa: N818 - an end, not an error; like StopIteration
    """A recording is over."""

    exit_code = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Bytes as they arrived. One datagram where the transport has datagrams, else any piece of a stream.

    `stream` tells sources apart inside one transport: `group:port` of a datagram, else "".
    """

    data: bytes
    at: Stamp
    stream: str = ""


class Transport(ABC):
    """One open source of bytes. `datagrams` tells whether chunk borders mean anything."""

    datagrams: bool = False

    @abstractmethod
    def read(self, timeout_s: float) -> Chunk | None:
        """The next chunk, or None after `timeout_s` without one.

        Raises:
            SensorUnavailable: the device or peer is gone; close and reopen later.
            EndOfData: the recording is over.

        """

    @abstractmethod
    def close(self) -> None:
        """Release the device. Idempotent."""

    def write(self, data: bytes) -> None:
        """Send bytes to the device, where a driver was told to transmit. Receive-only transports refuse."""
        raise NotImplementedError(type(self).__name__ + " only receives")
