"""Recordings as transports: captures by datagram, raw files by pieces at the rate of a line."""

from __future__ import annotations

import gzip
import threading
import zlib
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal, cast

from agent.errors import ConfigError, InputError, SensorUnavailable
from agent.messages import Stamp
from agent.transport.base import Chunk, EndOfData, Transport
from agent.transport.pcap import PcapTransport, is_capture

if TYPE_CHECKING:
    from agent.clock import Clock
    from agent.transport.url import SensorUrl

PIECE = 1024
RATE_BPS = 38_400  # of a raw file: the fast NMEA line, 10 bits a byte
_CAPTURES = (".pcap", ".pcapng", ".cap", ".pcap.gz", ".pcapng.gz", ".cap.gz")


def open_file(url: SensorUrl, clock: Clock) -> Transport:
    """A capture by its first bytes or its name, anything else raw.

    Raises:
        ConfigError: the URL's keys do not fit this file.
        InputError: it cannot be read, or is not the capture that its name says.
        SensorUnavailable: there is no such file.

    """
    path = Path(url.path)
    pace: Literal["real", "fast"] = "fast" if url.choice("pace") == "fast" else "real"
    loop = url.choice("loop") == "1"
    if not path.is_file():
        raise SensorUnavailable(f"{url.shown}: no such recording; correct the sensor's url")
    capture = path.name.lower().endswith(_CAPTURES) or is_capture(path)
    for key in ("fps", "rate_bps") if capture else ("fps", "port", "group"):
        if key in url.query:
            what = "a capture" if capture else "a recording without addresses"
            raise ConfigError(f"{url.shown}: {key} means nothing for {what}; leave it out")
    if capture:
        port, group = url.number("port", 0) or None, url.query.get("group")
        return PcapTransport(path, clock, port=port, group=group, pace=pace, loop=loop)
    return RawFile(path, clock, rate_bps=url.number("rate_bps", RATE_BPS), pace=pace, loop=loop, shown=url.shown)


class RawFile(Transport):
    """Bytes of a file (also gzipped) in pieces of at most `PIECE`.

    `pace="real"` releases them at `rate_bps` (10 bits a byte); `"fast"` at once, with stamps as if at that rate.
    """

    def __init__(
        self, path: Path, clock: Clock, *, rate_bps: int, pace: Literal["real", "fast"], loop: bool, shown: str
    ) -> None:
        self._shown = shown
        self._clock = clock
        self._fast, self._loop = pace == "fast", loop
        self._byte_s = 10.0 / rate_bps
        self._start = clock.now()
        self._elapsed_s = 0.0  # until the next piece is due
        self._closed = threading.Event()
        try:
            with path.open("rb") as probe:
                zipped = probe.read(2) == b"\x1f\x8b"
            opened = gzip.open(path, "rb") if zipped else path.open("rb")  # noqa: SIM115 - `close` closes it
            self._file = cast("IO[bytes]", opened)
        except OSError as e:
            raise InputError(f"{shown}: cannot be read: {e.strerror or e}") from e

    def read(self, timeout_s: float) -> Chunk | None:
        """The next piece when its time has come, or None after `timeout_s`."""
        if not self._fast:
            wait_s = self._start.t_s + self._elapsed_s - self._clock.now().t_s
            if wait_s > 0.0:
                self._closed.wait(min(wait_s, timeout_s))
            if wait_s > timeout_s and not self._closed.is_set():
                return None
        data = self._piece()
        at = self._stamp() if self._fast else self._clock.now()
        self._elapsed_s += len(data) * self._byte_s
        return Chunk(data=data, at=at)

    def _piece(self) -> bytes:
        try:
            data = b"" if self._closed.is_set() else self._file.read(PIECE)
            if not data and self._loop and self._elapsed_s and not self._closed.is_set():
                self._file.seek(0)
                data = self._file.read(PIECE)
        except (OSError, EOFError, zlib.error) as e:
            raise EndOfData(f"{self._shown}: the recording breaks off: {e}") from e
        except ValueError:  # closed by another thread meanwhile
            data = b""
        if not data:
            raise EndOfData(f"{self._shown}: {'closed' if self._closed.is_set() else 'the recording is over'}")
        return data

    def _stamp(self) -> Stamp:
        start = self._start
        return Stamp(t_s=start.t_s + self._elapsed_s, wall_s=start.wall_s + self._elapsed_s, error_ms=start.error_ms)

    def close(self) -> None:
        """Release the file; a pending `read` returns. Idempotent."""
        self._closed.set()
        self._file.close()
