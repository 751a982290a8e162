"""A radar whose spokes come but whose turns are never complete says so, and why.

Promises:
- silent for `LEAST_S` and for `TURNS` turns as long as the last ones; by the spokes' own times, so that a radar that
  sends nothing is none of this;
- one sentence, with the count of what happened most since the last complete turn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections import Counter

LEAST_S = 15.0
TURNS = 4
_CAUSES = {
    "invalid": "spokes that are marked as not valid or have no range",
    "no_heading": "spokes without a heading",
    "turns_lost": "turns of which less than half came",
    "restarts": "changes of range or pauses",
    "odd": "spokes of another range than the rest",
}


class Progress:
    """When the last turn of one stream of spokes was complete, and what has been counted since."""

    def __init__(self) -> None:
        self._heard_s = 0.0
        self._since_s: float | None = None
        self._turn_s = 0.0
        self._before: dict[str, int] = {}

    def heard(self, at_s: float, counters: Counter[str]) -> None:
        """A spoke came, of whatever worth."""
        if self._since_s is None:
            self.begin(at_s, counters)
        self._heard_s = at_s

    def begin(self, at_s: float, counters: Counter[str]) -> None:
        """Turns count from here."""
        self._since_s = at_s
        self._before = {name: counters[name] for name in _CAUSES}

    def turn(self, at_s: float, period_s: float | None, counters: Counter[str]) -> None:
        """A turn is complete."""
        self._turn_s = period_s or self._turn_s
        self.begin(at_s, counters)

    def sentence(self, counters: Counter[str], turned_deg: float) -> str:
        """Empty while turns are complete often enough. `turned_deg`: what the antenna has turned since a turn began."""
        for_s = 0.0 if self._since_s is None else self._heard_s - self._since_s
        if for_s <= max(LEAST_S, TURNS * self._turn_s):
            return ""
        counts = {name: counters[name] - self._before[name] for name in _CAUSES}
        most = max(_CAUSES, key=lambda name: counts[name])
        why = f"{counts[most]} {_CAUSES[most]}" if counts[most] else f"the antenna has turned {turned_deg:.0f} deg"
        return f"spokes come, but no turn has been complete for {for_s:.0f} s: {why}"
