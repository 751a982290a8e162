"""Health of one sensor, judged from what it delivers: the state, and the evidence in one sentence.

Promises:
- silence is judged by time: no data for `stale_s` is `stale`, whatever the device's return codes say;
- a report is made on every change of state and every `REPORT_S` otherwise; nothing is reported twice in a row;
- a sensor that has gone away keeps its last counters until it is opened again;
- mostly broken input is `degraded`, also when nothing usable is left of it, with the last broken unit's sentence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.messages import SensorHealth, SensorState

if TYPE_CHECKING:
    from collections.abc import Mapping

REPORT_S = 30.0
WINDOW_S = 5.0  # over which the share of broken units is judged


class HealthTracker:
    """Feed it what happens; ask it what to report."""

    def __init__(self, source: str, stale_s: float, now_s: float) -> None:
        self.source = source
        self.stale_s = stale_s
        self.state = SensorState.STARTING
        self.sentence = "started, nothing received yet"
        self._began_s = now_s
        self._data_s: float | None = None
        self._reported_s = -1e18
        self._reported: tuple[SensorState, str] | None = None
        self._window = (now_s, 0, 0)
        self._broken = False
        self._down = False
        self._numbers: dict[str, float] = {}

    def data(self, now_s: float) -> None:
        """Something usable arrived."""
        self._data_s = now_s
        self._down = False

    def unavailable(self, sentence: str, *, unsupported: bool = False) -> None:
        """The device could not be opened, or went away."""
        self._down = True
        self._data_s = None
        self.state = SensorState.UNSUPPORTED if unsupported else SensorState.UNAVAILABLE
        self.sentence = sentence

    def opened(self, now_s: float) -> None:
        """The device is open (again); silence counts from here."""
        self._down = False
        self._began_s = now_s
        self._data_s = None
        self._numbers = {}
        self.state = SensorState.STARTING
        self.sentence = "opened, nothing received yet"

    def judge(
        self,
        now_s: float,
        counters: Mapping[str, int],
        last_error: str = "",
        note: tuple[SensorState, str] | None = None,
        figures: Mapping[str, float] | None = None,
    ) -> SensorHealth | None:
        """The report that is due now, if any. `note` is what perception says (a dark lens, lost spokes).

        `counters` of a sensor that is not there may be empty: its last ones are told.
        `figures` go with the counters: what does not add up, as the length of a turn.
        """
        if not self._down:
            self._judge_data(now_s, counters, last_error, note)
        if counters or not self._down:
            self._numbers = {k: float(v) for k, v in sorted({**counters, **(figures or {})}.items())}
        key = (self.state, self.sentence if self.state is not SensorState.OK else "")
        if key == self._reported and now_s - self._reported_s < REPORT_S:
            return None
        if self._reported is not None and key[0] == self._reported[0] and now_s - self._reported_s < WINDOW_S:
            return None  # the same state in other words: evidence may wait
        self._reported, self._reported_s = key, now_s
        return SensorHealth(
            at_s=now_s, source=self.source, state=self.state, sentence=self.sentence,
            counters=tuple(self._numbers.items()),
        )  # fmt: skip

    def _judge_data(
        self, now_s: float, counters: Mapping[str, int], last_error: str, note: tuple[SensorState, str] | None
    ) -> None:
        self._judge_window(now_s, counters)
        since = now_s - (self._data_s if self._data_s is not None else self._began_s)
        if self._broken:
            self.state = SensorState.DEGRADED
            self.sentence = f"more than half of the input is broken: {last_error}"
        elif since > self.stale_s:
            self.state = SensorState.STALE
            why = f": {note[1]}" if note is not None and note[0] is not SensorState.OK else ""
            self.sentence = f"nothing usable received for over {self.stale_s:g} s{why}"
        elif note is not None:
            self.state, self.sentence = note
        elif self._data_s is not None:
            self.state, self.sentence = SensorState.OK, "data arrives"

    def _judge_window(self, now_s: float, counters: Mapping[str, int]) -> None:
        began_s, units, errors = self._window
        if now_s - began_s < WINDOW_S:
            return
        new_units, new_errors = counters.get("units", 0), counters.get("errors", 0)
        self._broken = new_errors - errors > max(3, 0.5 * (new_units - units))
        self._window = (now_s, new_units, new_errors)
