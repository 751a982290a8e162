"""The picture's vessels as NMEA 0183 targets: one TLL sentence (IEC 61162-1) a vessel, for ECDIS and plotters.

Promises:
- a vessel keeps its target number as long as it is told; numbers are reused, the lowest free one first, up to 1023;
- a sentence has at most 82 characters and only such as the standard lets into a field; a vessel that has ended is `L`;
- TLL has a place, a name and a time: course and speed are not told, and nothing is dressed up as AIS.
"""

from __future__ import annotations

import heapq
from datetime import UTC, datetime
from typing import Any

TALKER = "II"  # integrated instrumentation
NUMBERS = 1024
_NAME_MAX = 20
_RESERVED = frozenset("$*,!\\^~")

Vessel = dict[str, Any]  # as agent/publish/ashore/vessels.py shows it


class Numbers:
    """Target numbers by the vessel's name in the gateway."""

    def __init__(self) -> None:
        self._of: dict[str, int] = {}
        self._free = list(range(NUMBERS))

    def number(self, uid: str) -> int | None:
        """The vessel's number; None where all are taken."""
        if uid not in self._of:
            if not self._free:
                return None
            self._of[uid] = heapq.heappop(self._free)
        return self._of[uid]

    def release(self, uid: str) -> None:
        """The vessel has ended; its number is free."""
        if (number := self._of.pop(uid, None)) is not None:
            heapq.heappush(self._free, number)


def sentence(vessel: Vessel, number: int) -> bytes:
    """`$IITLL,number,latitude,N|S,longitude,E|W,name,hhmmss.ss,T|L,*hh`."""
    at = datetime.fromtimestamp(vessel["at"], UTC)
    name = str(vessel.get("name") or vessel.get("mmsi") or vessel["vessel"])
    clean = "".join(c for c in name if " " <= c <= "}" and c not in _RESERVED)[:_NAME_MAX]
    status = "L" if vessel.get("status") == "lost" else "T"
    fields = [
        f"{TALKER}TLL", f"{number:02d}", *_angle(vessel["lat"], 2, "NS"), *_angle(vessel["lon"], 3, "EW"), clean,
        f"{at:%H%M%S}.{at.microsecond // 10_000:02d}", status, "",
    ]  # fmt: skip
    text = ",".join(fields)
    total = 0
    for c in text.encode("ascii"):
        total ^= c
    return f"${text}*{total:02X}\r\n".encode("ascii")


def _angle(deg: float, width: int, signs: str) -> tuple[str, str]:
    """Degrees and minutes to 1/10,000 of one, and the letter of the half of the world."""
    ticks = round(abs(deg) * 600_000)
    return f"{ticks // 600_000:0{width}d}{ticks % 600_000 / 10_000:07.4f}", signs[deg < 0]
