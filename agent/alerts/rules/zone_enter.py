"""zone-enter: a vessel comes into a zone, or is first seen inside it. Over when it has left.

Promises:
- what has made no way since it was first seen is inside only when it is deeper than its track's noise could take it: a
  buoy on the border enters nothing, a vessel found at anchor well inside is told of at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import model_validator

from agent.alerts.rules.base import (
    OFF,
    NotNegative,
    Positive,
    Rule,
    RuleOptions,
    SpeedBand,
    Verdict,
    without_ais_s,
)
from agent.alerts.way import has_moved, still_m
from agent.alerts.zones import place, present

if TYPE_CHECKING:
    from agent.alerts.scene import Scene
    from agent.alerts.zones import Memory
    from agent.fusion.picture import Known


class Options(SpeedBand):
    """`only_without_ais`: vessels whose AIS is received are let in; a vessel gets `ais_wait_s` to be heard."""

    zone: str
    classes: tuple[str, ...] = ()
    only_without_ais: bool = False
    ais_wait_s: NotNegative = 30.0
    ais_within_m: Positive | None = None  # three times [ais] gate_m when left out

    @model_validator(mode="after")
    def _band(self) -> Options:
        self.check_band()
        return self


class ZoneEnter(Rule[Options]):
    """See the module."""

    kind: ClassVar[str] = "zone-enter"
    Options: ClassVar[type[RuleOptions]] = Options

    def judge(self, k: Known, scene: Scene, memory: Memory) -> Verdict:
        """On from entry to exit, once its other criteria have been met inside."""
        assert self.area is not None  # noqa: S101 - `zone` is a required key
        opts, t = self.options, k.track
        moved = has_moved(k, memory)
        ais_free_s = without_ais_s(k, scene, memory, opts.ais_within_m or 3.0 * scene.ais_gate_m)
        if not present(self.area, memory, t.east_m, t.north_m, k.sigma_m):
            memory.pop("met", None)
            return OFF
        if opts.only_without_ais and t.mmsi is not None:
            return Verdict(on=False, reasons=("its AIS is now received",), codes=("ais-received",))
        if "met" not in memory:
            deep_m = min(still_m(k, memory), self.area.core_m)
            if not moved and self.area.depth_m(t.east_m, t.north_m) < deep_m:
                return OFF
            if opts.only_without_ais and (ais_free_s < opts.ais_wait_s or scene.ais_dead()):
                return OFF
            if not opts.in_band(t.sog_mps) or (opts.classes and t.class_ not in opts.classes):
                return OFF
            memory["met"] = 1.0
        verb = "entered" if memory.get("out") else "first seen inside"
        reasons = [f"{verb} protected zone '{self.area.name}' at {place(t.lat, t.lon)}"]
        codes = ["zone-enter"]
        if opts.only_without_ais:
            reasons.append(f"no AIS within {opts.ais_within_m or 3.0 * scene.ais_gate_m:.0f} m of it")
            codes.append("no-ais")
        return Verdict(on=True, reasons=tuple(reasons), codes=tuple(codes))
