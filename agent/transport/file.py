"""Recordings as transports: captures by datagram, raw files by pieces at a stated rate."""

from __future__ import annotations

import gzip
import threading
import zlib
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal

from agent.errors import ConfigError, SensorUnavailable
from agent.transport.base import Chunk, EndOfData, Transport
from agent.transport.pcap import PcapTransport, is_capture

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.clock import Clock
    from agent.transport.url import SensorUrl

PIECE = 1024
RATE_BPS = 38_400  # of a raw file at pace=real: the fast NMEA line, 10 bits a byte


def open_file(url: SensorUrl, clock: Clock) -> Transport:
    """A capture by its first bytes, anything else raw.

    Raises:
        ConfigError: the URL's keys do not fit.
        SensorUnavailable: there is no such file.

    """
    path = Path(url.path)
    pace = url.choice("pace", ("real", "fast"))
    loop = url.query.get("loop", "0") not in ("", "0", "false", "no")
    if not path.is_file():
        raise SensorUnavailable(f"{url.shown}: no such recording; correct the sensor's url")
    if is_capture(path):
        port = url.number("port", 0) or None
        literal: Literal["real", "fast"] = "fast" if pace == "fast" else "real"
        try:
            return PcapTransport(path, clock, port=port, group=url.query.get("group"), pace=literal, loop=loop)
        except ValueError as e:
            raise ConfigError(f"{url.shown}: group={url.query.get('group')} is no IP address") from e
    rate_bps = url.number("rate_bps", RATE_BPS) if pace == "real" else 0
    return RawFile(path, clock, rate_bps=rate_bps, loop=loop, shown=url.shown)


class RawFile(Transport):
    """Bytes of a file in pieces; `rate_bps` 0 is as fast as it goes."""

    def __init__(self, path: Path, clock: Clock, *, rate_bps: int, loop: bool, shown: str) -> None:
        self._shown = shown
        self._clock = clock
        self._loop = loop
        self._pause_s = PIECE * 10 / rate_bps if rate_bps else 0.0
        self._due_s = clock.now().t_s
        self._closed = threading.Event()
        self._any = False
        try:
            opener: Callable[[Path, str], Any] = gzip.open if path.suffix == ".gz" else open
            self._file: IO[bytes] = opener(path, "rb")
        except OSError as e:
            raise SensorUnavailable(f"{shown}: cannot be read: {e.strerror or e}") from e

    def read(self, timeout_s: float) -> Chunk | None:
        """The next piece when its time has come, or None after `timeout_s`."""
        wait_s = self._due_s - self._clock.now().t_s
        if self._pause_s and wait_s > 0.0:
            self._closed.wait(min(wait_s, timeout_s))
            if wait_s > timeout_s:
                return None
        if self._closed.is_set():
            raise EndOfData(f"{self._shown}: closed")
        try:
            data = self._file.read(PIECE)
            if not data and self._loop and self._any:
                self._file.seek(0)
                data = self._file.read(PIECE)
        except (OSError, EOFError, zlib.error) as e:
            raise EndOfData(f"{self._shown}: the recording breaks off: {e}") from e
        if not data:
            raise EndOfData(f"{self._shown}: the recording is over")
        self._any = True
        self._due_s += self._pause_s
        return Chunk(data=data, at=self._clock.now())

    def close(self) -> None:
        """Release the file; a pending `read` returns. Idempotent."""
        if not self._closed.is_set():
            self._closed.set()
            self._file.close()
