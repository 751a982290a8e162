"""Signs of jamming and spoofing: a box does not move, so its receiver's place, speed and time are checked.

Promises:
- one sentence as long as a sign lasts, none when it has gone; a box without a receiver is never blamed for it;
- a single wrong fix says nothing: `FIXES` in a row do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.geo import LocalFrame, enu_to_polar
from agent.messages import Nav, SensorHealth, SensorState

if TYPE_CHECKING:
    from agent.config.schema import Site
    from agent.messages import Measurement, Stamp

FIXES = 5
AWAY_M = 500.0  # a surveyed place and a cheap receiver agree within tens of metres
TIME_OFF_S = 2.0
MOVES_MPS = 2.5  # above the noise of a cheap receiver that lies still; a slow pull away begins long before AWAY_M
LOST_S = 120.0  # a receiver on a roof that had a fix does not lose it by itself


class GnssWatch:
    """Feed it measurements; ask it for its report."""

    def __init__(self, site: Site) -> None:
        self._frame = LocalFrame(lat=site.lat, lon=site.lon)
        self._away = 0
        self._away_m = 0.0
        self._moves = 0
        self._moves_mps = 0.0
        self._time_off = 0
        self._time_off_s = 0.0
        self._fix_s: float | None = None
        self._source = ""

    def take(self, message: Measurement, now: Stamp) -> None:
        """Learn from a measurement."""
        if not isinstance(message, Nav):
            return
        if message.lat is not None and message.lon is not None and message.fix_ok is not False:
            self._source, self._fix_s = message.source, now.t_s
            self._away_m = enu_to_polar(*self._frame.to_enu(message.lat, message.lon))[0]
            self._away = self._away + 1 if self._away_m > AWAY_M else 0
        if message.sog_mps is not None and message.fix_ok is not False:
            self._moves_mps = message.sog_mps
            self._moves = self._moves + 1 if self._moves_mps > MOVES_MPS else 0
        if message.utc_s is not None:
            self._time_off_s = message.utc_s - now.wall_s
            self._time_off = self._time_off + 1 if abs(self._time_off_s) > TIME_OFF_S else 0

    def report(self, now: Stamp) -> SensorHealth | None:
        """Health of `gnss-watch`; None where there was never a fix."""
        if self._fix_s is None:
            return None
        problems = []
        if self._away >= FIXES:
            problems.append(
                f"{self._source} says that the box is {self._away_m:.0f} m from its configured place: spoofed, or the "
                "place is wrong"
            )
        if self._moves >= FIXES:
            problems.append(f"{self._source} says that the box moves at {self._moves_mps:.1f} m/s: spoofed, or adrift")
        if self._time_off >= FIXES:
            problems.append(f"GNSS time and the box's clock differ by {self._time_off_s:+.1f} s")
        if now.t_s - self._fix_s > LOST_S:
            problems.append(f"{self._source} has had no fix for {now.t_s - self._fix_s:.0f} s: jammed, or the antenna")
        return SensorHealth(
            at_s=now.t_s, source="gnss-watch", state=SensorState.DEGRADED if problems else SensorState.OK,
            sentence="; ".join(problems) or "place and time agree", counters=(("away_m", round(self._away_m, 1)),),
        )  # fmt: skip
