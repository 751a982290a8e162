"""When the reader of a stream wants a picture: no sooner than its rate says, and which one it will come back for.

Promises:
- pure: times come in (monotonic seconds), answers go out;
- a reader that keeps its rate gets pictures that come after it asked: the freshest;
- for one that lags behind its rate, the pictures around its expected return are worth converting before it asks, so
  that it need not wait for the next one; those of the time before are not.
"""

from __future__ import annotations

import math
from collections import deque

EARLY = 0.1  # share of the period that a picture may come early: cameras are not metronomes
_RECENT = 8


class Pace:
    """What a source knows of its reader and its camera. `fps`: pictures a second that the reader wants."""

    def __init__(self, fps: float) -> None:
        self.fps = fps
        self._handed_s = -math.inf  # when the reader got its last picture
        self._away = False  # with a picture: it has not asked since
        self._away_s: deque[float] = deque(maxlen=_RECENT)  # for how long it was busy with its last ones
        self._came_s: deque[float] = deque(maxlen=_RECENT + 1)  # when the camera's last pictures came

    @property
    def due_s(self) -> float:
        """From when on the reader wants its next picture."""
        return self._handed_s + (1.0 - EARLY) / self.fps

    def asked(self, at_s: float) -> None:
        """The reader is back from its last picture and wants another."""
        if self._away:
            self._away_s.append(at_s - self._handed_s)
            self._away = False

    def handed(self, at_s: float) -> None:
        """The reader has got one."""
        self._handed_s, self._away = at_s, True

    def came(self, at_s: float) -> None:
        """The camera has sent one."""
        self._came_s.append(at_s)

    def ahead(self, at_s: float) -> bool:
        """Whether the reader is away and a picture that came at `at_s` may be the last before it is back.

        It may be back as soon as after the shortest of its recent absences. One that is back before `due_s` waits, and
        then takes a fresh one.
        """
        if not (self._away and self._away_s) or len(self._came_s) < 2:
            return False
        back_s = self._handed_s + min(self._away_s)
        period_s = (self._came_s[-1] - self._came_s[0]) / (len(self._came_s) - 1)
        return back_s >= self.due_s and at_s + period_s >= back_s
