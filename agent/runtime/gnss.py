"""Signs of jamming and spoofing: a box does not move, so its receiver's place, speed and time are checked.

Promises:
- one sentence as long as a sign lasts, none when it has gone; a box without a receiver is never blamed for it;
- a single wrong fix says nothing: `FIXES` in a row do;
- what a receiver hears is held against what it usually hears here. Jamming takes all satellites at once: how fast they
  went stands in the sentence. What fades over hours is a slow change of what is usual, and no sign.
"""

from __future__ import annotations

from collections import deque
from statistics import median
from typing import TYPE_CHECKING

from agent.geo import LocalFrame, enu_to_polar
from agent.messages import Nav, SensorHealth, SensorState

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.config.schema import Site
    from agent.messages import Measurement, Stamp

FIXES = 5
AWAY_M = 500.0  # a surveyed place and a cheap receiver agree within tens of metres
TIME_OFF_S = 2.0
MOVES_MPS = 2.5  # above the noise of a cheap receiver that lies still; a slow pull away begins long before AWAY_M
LOST_S = 120.0  # a receiver on a roof that had a fix does not lose it by itself

SUDDEN_S = 30.0
ENOUGH = 60  # reports before one speaks of usual
USUAL_S = 6.0 * 3600.0  # the time constant of usual: satellites rise and set
FEWER = 0.6  # of the usual number
LEAST = 5  # a receiver that usually has fewer is not watched for them
WEAKER_DB = 6.0


class _Usual:
    """A figure against what it usually is. It has fallen while the middle of its last five is below `limit(usual)`."""

    def __init__(self) -> None:
        self.usual = 0.0
        self.now = 0.0
        self.fell_s: float | None = None  # how long the fall took; None while there is none
        self._reports = 0
        self._last: deque[float] = deque(maxlen=FIXES)
        self._at_s = 0.0
        self._well_s = 0.0

    @property
    def told(self) -> bool:
        """Whether there was ever a report."""
        return self._reports > 0

    def take(self, value: float, at_s: float, limit: Callable[[float], float]) -> None:
        """A report; while the figure has fallen, usual stays what it was."""
        self._last.append(value)
        self.now = median(self._last)
        if self._reports < ENOUGH:
            self._reports += 1
            self.usual += (value - self.usual) / self._reports
            self._at_s = self._well_s = at_s
            return
        if self.now < limit(self.usual):
            self.fell_s = max(0.0, at_s - self._well_s) if self.fell_s is None else self.fell_s
            return
        self.fell_s = None
        self.usual += (value - self.usual) * min(1.0, max(0.0, at_s - self._at_s) / USUAL_S)
        self._at_s = at_s
        if value >= (self.usual + limit(self.usual)) / 2.0:  # from here on a fall is counted
            self._well_s = at_s


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
        self._satellites = _Usual()
        self._signal = _Usual()
        self._figures = (("satellites", self._satellites), ("signal_dbhz", self._signal))

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
        if message.satellites is not None:
            self._satellites.take(message.satellites, now.t_s, lambda usual: FEWER * usual if usual >= LEAST else 0.0)
        if message.signal_dbhz is not None:
            self._signal.take(message.signal_dbhz, now.t_s, lambda usual: usual - WEAKER_DB)

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
        if (heard := self._heard()) is not None:
            problems.append(heard)
        return SensorHealth(
            at_s=now.t_s, source="gnss-watch", state=SensorState.DEGRADED if problems else SensorState.OK,
            sentence="; ".join(problems) or "place and time agree",
            counters=(
                ("away_m", round(self._away_m, 1)),
                *((k, round(v.now, 1)) for k, v in self._figures if v.told),
            ),
        )  # fmt: skip

    def _heard(self) -> str | None:
        """What became less, how much, and how fast."""
        said, falls = [], []
        if (fell_s := self._satellites.fell_s) is not None:
            said.append(f"{self._satellites.now:.0f} satellites instead of {self._satellites.usual:.0f}")
            falls.append(fell_s)
        if (fell_s := self._signal.fell_s) is not None:
            said.append(f"the best at {self._signal.now:.0f} dB-Hz instead of {self._signal.usual:.0f}")
            falls.append(fell_s)
        if not falls:
            return None
        fall_s = min(falls)
        why = (
            "all at once, as jamming does it"
            if fall_s <= SUDDEN_S
            else "slowly: antenna, cable, or something before it"
        )
        return f"{self._source} hears {', '.join(said)}, lost within {fall_s:.0f} s ({why})"
