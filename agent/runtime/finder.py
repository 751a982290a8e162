"""What is plugged in: cameras and serial lines by their stable names, and what a line says when it is listened to.

Promises:
- names are those that survive replugging (/dev/v4l/by-path, /dev/serial/by-id), else the device's own;
- a line is opened for reading only, one rate after the other, and closed again; nothing is written to a device;
- a line that cannot be opened, or says nothing, is a find as well, with the reason.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from agent.errors import SensorUnavailable
from agent.transport import open_transport

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from agent.clock import Clock

RATES = (38400, 4800)  # AIS and high-speed lines; IEC 61162-1
LISTEN_S = 3.0
RADAR = ("TTM", "TLL", "TTD")
AIS = ("VDM", "VDO")
NAV = ("GGA", "RMC", "GLL", "HDT", "HDG", "MWV", "VTG", "ZDA", "THS")


@dataclass(frozen=True, slots=True, kw_only=True)
class Find:
    """One device: the URL to write, the driver (None: not known), and why we think so."""

    url: str
    driver: str | None
    evidence: str


def devices(root: Path = Path("/dev")) -> tuple[list[Path], list[Path]]:
    """(cameras, serial lines) that are plugged in."""
    cameras = sorted((root / "v4l/by-path").glob("*-video-index0")) or sorted(root.glob("video[0-9]*"))
    lines = sorted((root / "serial/by-id").iterdir()) if (root / "serial/by-id").is_dir() else []
    return cameras, lines or [*sorted(root.glob("ttyUSB*")), *sorted(root.glob("ttyACM*"))]


def find(lines: Iterable[Path], cameras: Iterable[Path], clock: Clock) -> Iterator[Find]:
    """Look at each device; takes up to `LISTEN_S` for each line and rate."""
    for path in cameras:
        yield Find(url=f"v4l2://{path}", driver="camera", evidence="a camera on this box")
    for path in lines:
        yield _listen(path, clock)


def _listen(path: Path, clock: Clock) -> Find:
    heard = ""
    for rate in RATES:
        url = f"serial://{path}?baud={rate}"
        try:
            kinds, amount = _sentences(url, clock)
        except SensorUnavailable as e:
            return Find(url=url, driver=None, evidence=str(e))
        if kinds:
            said = ", ".join(f"{n} {k}" for k, n in kinds.most_common(6))
            return Find(url=url, driver=driver_for(kinds), evidence=f"{said} at {rate} baud")
        heard = heard or (f"{amount} bytes that are no NMEA sentences" if amount else "")
    return Find(url=url, driver=None, evidence=heard or f"silent for {LISTEN_S * len(RATES):g} s")


def driver_for(kinds: Iterable[str]) -> str | None:
    """The driver for a line with these sentences; `nmea` where several kinds share it."""
    groups = {d for k in kinds for d, of in (("nmea-radar", RADAR), ("ais", AIS), ("nav", NAV)) if k in of}
    return None if not groups else groups.pop() if len(groups) == 1 else "nmea"


def _sentences(url: str, clock: Clock) -> tuple[Counter[str], int]:
    """Sentence formatters heard on a line with a right checksum, and the bytes that came."""
    kinds: Counter[str] = Counter()
    data = b""
    transport = open_transport(url, clock)
    try:
        end_s = time.monotonic() + LISTEN_S
        while (left_s := end_s - time.monotonic()) > 0.0:
            if (chunk := transport.read(min(left_s, 0.5))) is not None:
                data += chunk.data
    finally:
        transport.close()
    for line in data.splitlines():
        start = max(line.rfind(b"$"), line.rfind(b"!"))
        body, star, rest = line[start + 1 :].partition(b"*")
        checksum = 0
        for byte in body:
            checksum ^= byte
        if start >= 0 and star and rest[:2].upper() == b"%02X" % checksum and len(body) > 5:
            kinds[body.split(b",")[0][-3:].decode("ascii", "replace")] += 1
    return kinds, len(data)
