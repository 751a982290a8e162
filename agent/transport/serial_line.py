"""A serial line through pyserial: hang-up, unplugging and a vanished adapter are `SensorUnavailable`."""

from __future__ import annotations

import contextlib
import os
import threading
from typing import TYPE_CHECKING

import serial

from agent.errors import SensorUnavailable
from agent.transport.base import Chunk, Transport

if TYPE_CHECKING:
    from agent.clock import Clock
    from agent.transport.url import SensorUrl

_PARITY = {"none": serial.PARITY_NONE, "even": serial.PARITY_EVEN, "odd": serial.PARITY_ODD}
_STOPBITS = {"1": serial.STOPBITS_ONE, "2": serial.STOPBITS_TWO}
DEFAULT_BAUD = 4800  # IEC 61162-1
PIECE = 4096
VANISHED_READS = 4  # a pty or a USB adapter that is gone may read as silence: look whether the device is still there
WRITE_TIMEOUT_S = 2.0  # a line whose other end holds it must not hold the agent


class SerialTransport(Transport):
    """Eight data bits; `baud` 4800 by the standard, 38400 for AIS and high-speed lines."""

    def __init__(self, url: SensorUrl, clock: Clock) -> None:
        self._shown = url.shown
        self._path = url.path
        self._clock = clock
        self._silent = 0
        self._closed = False
        self._using = threading.RLock()  # held while a read uses the port, so that close does not pull it away
        try:
            # exclusive: two readers of one line would each get half of the bytes, and neither would know
            self._port = serial.Serial(
                url.path,
                url.number("baud", DEFAULT_BAUD),
                parity=_PARITY[url.choice("parity")],
                stopbits=_STOPBITS[url.choice("stopbits")],
                timeout=0,
                write_timeout=WRITE_TIMEOUT_S,
                exclusive=True,
            )
        except (serial.SerialException, ValueError, OSError) as e:  # ValueError: a rate that the device does not have
            raise SensorUnavailable(
                f"{self._shown}: cannot be opened: {_why(e)}; check device, cable, rights and other programs"
            ) from e

    def read(self, timeout_s: float) -> Chunk | None:
        """What has arrived, or None after `timeout_s`."""
        with self._using:
            if self._closed:
                raise SensorUnavailable(f"{self._shown}: closed")
            try:
                if self._port.timeout != timeout_s:  # setting it costs system calls
                    self._port.timeout = timeout_s
                data = self._port.read(1)
                if data:
                    data += self._port.read(min(self._port.in_waiting, PIECE))
            except (serial.SerialException, OSError) as e:
                raise SensorUnavailable(f"{self._shown}: the line is gone: {_why(e)}") from e
            if not data:
                self._silent += 1
                if self._silent % VANISHED_READS == 0 and not os.path.exists(self._path):  # noqa: PTH110 - a device, no file
                    raise SensorUnavailable(f"{self._shown}: the device is no longer there; it was unplugged")
                return None
        self._silent = 0
        return Chunk(data=data, at=self._clock.now())

    def write(self, data: bytes) -> None:
        """Send to the device.

        Raises:
            SensorUnavailable: it does not take it.

        """
        try:
            self._port.write(data)
        except (serial.SerialException, OSError) as e:
            raise SensorUnavailable(f"{self._shown}: cannot be written: {_why(e)}") from e

    def close(self) -> None:
        """Release the port: an adapter that comes back gets its old name only if nobody holds it. Idempotent."""
        self._closed = True
        with contextlib.suppress(OSError, serial.SerialException):  # there is nothing left to release
            self._port.cancel_read()
        with self._using, contextlib.suppress(OSError, serial.SerialException):
            self._port.close()


def _why(e: Exception) -> str:
    number = getattr(e, "errno", None)
    return os.strerror(number) if isinstance(number, int) and number > 0 else str(e)
