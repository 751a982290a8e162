"""zone-exit: a vessel that was inside a zone leaves it. Over after `hold_s`, or when it comes back.

Promises:
- what has made no way since it was first seen has not left anything: a buoy on the border stays where it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from agent.alerts.rules.base import OFF, Positive, Rule, RuleOptions, Verdict
from agent.alerts.way import has_moved
from agent.alerts.zones import place, present

if TYPE_CHECKING:
    from agent.alerts.scene import Scene
    from agent.alerts.zones import Memory
    from agent.fusion.picture import Known


class Options(RuleOptions):
    """`hold_s`: how long the alert stays open after the exit."""

    zone: str
    classes: tuple[str, ...] = ()
    hold_s: Positive = 60.0


class ZoneExit(Rule[Options]):
    """See the module."""

    kind: ClassVar[str] = "zone-exit"
    Options: ClassVar[type[RuleOptions]] = Options

    def judge(self, k: Known, scene: Scene, memory: Memory) -> Verdict:
        """On for `hold_s` after an exit."""
        assert self.area is not None  # noqa: S101 - `zone` is a required key
        t = k.track
        was, moved = memory.get("in", 0.0) > 0.0, has_moved(k, memory)
        if present(self.area, memory, t.east_m, t.north_m, k.sigma_m):
            memory.pop("left", None)
            memory.pop("leaving", None)
            return OFF
        if was:
            memory["leaving"] = 1.0
        if moved and memory.pop("leaving", 0.0):
            memory["left"] = scene.now_s
        left_s = memory.get("left")
        if left_s is None or scene.now_s - left_s > self.options.hold_s:
            return OFF
        if self.options.classes and t.class_ not in self.options.classes:
            return OFF
        return Verdict(
            on=True, reasons=(f"left zone '{self.area.name}' at {place(t.lat, t.lon)}",), codes=("zone-exit",)
        )
