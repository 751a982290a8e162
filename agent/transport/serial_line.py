"""A serial line through pyserial: hang-up, unplugging and a vanished adapter are `SensorUnavailable`."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

import serial

from agent.errors import SensorUnavailable
from agent.transport.base import Chunk, Transport

if TYPE_CHECKING:
    from agent.clock import Clock
    from agent.transport.url import SensorUrl

PARITY = {"none": serial.PARITY_NONE, "even": serial.PARITY_EVEN, "odd": serial.PARITY_ODD}
STOPBITS = {"1": serial.STOPBITS_ONE, "2": serial.STOPBITS_TWO}
PIECE = 4096
VANISHED_READS = 4  # a pty or a USB adapter that is gone may read as silence: look whether the device is still there


class SerialTransport(Transport):
    """Eight data bits; `baud` 4800 by the standard, 38400 for AIS and high-speed lines."""

    def __init__(self, url: SensorUrl, clock: Clock) -> None:
        self._shown = url.shown
        self._path = url.path
        self._clock = clock
        self._silent = 0
        baud = url.number("baud", 4800)
        parity, stopbits = url.choice("parity", tuple(PARITY)), url.choice("stopbits", tuple(STOPBITS))
        try:
            # exclusive: two readers of one line would each get half of the bytes, and neither would know
            self._port = serial.Serial(
                url.path, baud, parity=PARITY[parity], stopbits=STOPBITS[stopbits], timeout=0, exclusive=True
            )
        except (serial.SerialException, ValueError, OSError) as e:
            raise SensorUnavailable(
                f"{self._shown}: cannot be opened: {_why(e)}; check device, cable and rights"
            ) from e

    def read(self, timeout_s: float) -> Chunk | None:
        """What has arrived, or None after `timeout_s`."""
        try:
            self._port.timeout = timeout_s
            data = self._port.read(1)
            if data:
                data += self._port.read(min(self._port.in_waiting, PIECE))
        except (serial.SerialException, OSError, TypeError) as e:  # TypeError: closed by another thread meanwhile
            raise SensorUnavailable(f"{self._shown}: the line is gone: {_why(e)}") from e
        if not data:
            self._silent += 1
            if self._silent % VANISHED_READS == 0 and not os.path.exists(self._path):  # noqa: PTH110 - a device, no file
                raise SensorUnavailable(f"{self._shown}: the device is no longer there; it was unplugged")
            return None
        self._silent = 0
        return Chunk(data=data, at=self._clock.now())

    def write(self, data: bytes) -> None:
        """Send to the device."""
        try:
            self._port.write(data)
        except (serial.SerialException, OSError) as e:
            raise SensorUnavailable(f"{self._shown}: cannot be written: {_why(e)}") from e

    def close(self) -> None:
        """Release the port: an adapter that comes back gets its old name only if nobody holds it. Idempotent."""
        with contextlib.suppress(OSError, serial.SerialException):  # there is nothing left to release
            self._port.cancel_read()
        with contextlib.suppress(OSError, serial.SerialException):
            self._port.close()


def _why(e: Exception) -> str:
    number = getattr(e, "errno", None)
    return os.strerror(number) if isinstance(number, int) and number > 0 else str(e)
