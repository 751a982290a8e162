"""What the link is like, measured, and which link profile fits it.

Promises:
- pure: times are the caller's, seconds of one monotonic clock;
- a verdict needs `LEAST` answers of the broker; until then, and when in doubt, the profile stays what it is;
- a thinner profile is taken when the same verdict has stood for `thinner_s`, a richer one after `richer_s`, and the
  limits for leaving a profile lie beyond those for taking it: a link at a limit does not flap;
- `metered` is never chosen: what a byte costs cannot be measured.

Measured are the delay from a message to the broker's PUBACK (which holds the round trip, queues and what TCP had to
send again), the share of TCP segments sent again, and connections that broke.
"""

from __future__ import annotations

import statistics
from collections import deque
from typing import Any

LEAST = 5  # answers
SAMPLES = 40  # the newest answers count
KEPT_S = 3600.0
BREAKS_S = 900.0
BREAKS_MANY, BREAKS_FEW = 4, 1  # within it
# ms of the median delay, and the share of segments sent again: taken at the first, left at the second
LAN_MS, LAN_LEFT_MS = 10.0, 30.0
SATELLITE_MS, SATELLITE_LEFT_MS = 400.0, 250.0
RESENT, RESENT_LEFT = 0.05, 0.02
_ORDER = ("lan", "lte", "satellite")  # thinner to the right


class Meter:
    """Fed with what happens on a link; `profile` is the present choice."""

    def __init__(self, *, thinner_s: float, richer_s: float) -> None:
        self.profile = "lte"
        self._hold_s = {True: thinner_s, False: richer_s}
        self._delays: deque[tuple[float, float]] = deque(maxlen=SAMPLES)
        self._breaks: deque[float] = deque(maxlen=100)
        self._segments: deque[tuple[float, int, int]] = deque(maxlen=SAMPLES)
        self._wanted = ("lte", float("-inf"))  # the verdict, and since when

    def answered(self, now: float, delay_s: float) -> None:
        """The broker has answered a message that was sent `delay_s` ago."""
        self._delays.append((now, delay_s))

    def broke(self, now: float) -> None:
        """A connection ended that nobody wanted to end."""
        self._breaks.append(now)

    def counted(self, now: float, segments: int, resent: int) -> None:
        """TCP segments of all connections so far, both ways, and those sent again."""
        self._segments.append((now, segments, resent))

    def choose(self, now: float) -> bool:
        """Judge; whether `profile` has changed."""
        verdict = self._verdict(now)
        if verdict != self._wanted[0]:
            self._wanted = (verdict, now)
        if verdict == self.profile:
            return False
        thinner = _ORDER.index(verdict) > _ORDER.index(self.profile)
        if now - self._wanted[1] < self._hold_s[thinner]:
            return False
        self.profile = verdict
        return True

    def measured(self, now: float) -> dict[str, Any]:
        """For `vigia status`: null where nothing is known yet."""
        delays = self._recent(now)
        return {
            "puback_ms": round(1000.0 * statistics.median(delays)) if delays else None,
            "puback_worst_ms": round(1000.0 * max(delays)) if delays else None,
            "resent_percent": round(100.0 * self._resent(now), 1),
            "breaks": self._recent_breaks(now), "answers": len(delays),
        }  # fmt: skip

    def _recent(self, now: float) -> list[float]:
        # a copy: whoever asks for the status does so beside the publisher's thread, which goes on appending
        return [delay for at, delay in self._delays.copy() if now - at <= KEPT_S]

    def _recent_breaks(self, now: float) -> int:
        return sum(now - at <= BREAKS_S for at in self._breaks.copy())

    def _resent(self, now: float) -> float:
        recent = [x for x in self._segments.copy() if now - x[0] <= BREAKS_S]
        if len(recent) < 2:
            return 0.0
        sent = (recent[-1][1] - recent[0][1]) / 2.0  # about half of them are ours
        return (recent[-1][2] - recent[0][2]) / sent if sent > 0 else 0.0

    def _verdict(self, now: float) -> str:
        delays, breaks, resent = self._recent(now), self._recent_breaks(now), self._resent(now)
        if breaks >= BREAKS_MANY:
            return "satellite"
        if len(delays) < LEAST:
            return self.profile
        ms = 1000.0 * statistics.median(delays)
        bad = ms >= SATELLITE_MS or resent >= RESENT
        fair = ms < SATELLITE_LEFT_MS and resent < RESENT_LEFT and breaks <= BREAKS_FEW
        if bad or (self.profile == "satellite" and not fair):
            return "satellite"
        if breaks == 0 and resent < RESENT_LEFT and ms < (LAN_LEFT_MS if self.profile == "lan" else LAN_MS):
            return "lan"
        return "lte"
