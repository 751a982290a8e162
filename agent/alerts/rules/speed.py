"""speed: a vessel goes at a speed within a band, anywhere or in a zone. Over when it has left the band."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

from pydantic import model_validator

from agent.alerts.rules.base import OFF, UNKNOWN, NotNegative, Rule, RuleOptions, SpeedBand, Verdict
from agent.alerts.zones import place, present
from agent.geo import KNOT_MPS

if TYPE_CHECKING:
    from agent.alerts.scene import Scene
    from agent.alerts.zones import Memory
    from agent.fusion.picture import Known

SLACK = 0.1  # hysteresis, a share of the limits
SIGMA_SHARE = 0.25  # a speed known worse than this share of it is not judged
SIGMA_MIN_MPS = 1.0


class Options(SpeedBand):
    """At least one limit; `hold_s`: for how long the speed has to be in the band, or out of it."""

    hold_s: NotNegative = 10.0
    classes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _criterion(self) -> Options:
        if self.min_mps is None and self.max_mps is None:
            raise ValueError("needs min_mps or max_mps (metres per second): without one it has no criterion")
        self.check_band()
        return self


class Speed(Rule[Options]):
    """See the module."""

    kind: ClassVar[str] = "speed"
    Options: ClassVar[type[RuleOptions]] = Options

    def judge(self, k: Known, scene: Scene, memory: Memory) -> Verdict:
        """On while the speed is in the band, both ends held for `hold_s`."""
        opts, t = self.options, k.track
        if self.area is not None and not present(self.area, memory, t.east_m, t.north_m, k.sigma_m):
            memory["on"] = 0.0
            memory.pop("turn", None)
            return OFF
        if opts.classes and t.class_ not in opts.classes:
            return OFF
        sigma = math.sqrt(max(t.cov[2][2], t.cov[3][3]))
        if sigma > max(SIGMA_MIN_MPS, SIGMA_SHARE * t.sog_mps):
            return UNKNOWN
        on = memory.get("on", 0.0) > 0.0
        if opts.in_band(t.sog_mps, SLACK if on else 0.0) == on:
            memory.pop("turn", None)
        elif scene.now_s - memory.setdefault("turn", scene.now_s) >= opts.hold_s:
            on = not on
            memory.pop("turn", None)
        memory["on"] = float(on)
        if not on:
            return OFF
        where = f" in zone '{self.area.name}'" if self.area is not None else ""
        text = f"speed {t.sog_mps:.1f} m/s ({t.sog_mps / KNOT_MPS:.0f} kn){where} at {place(t.lat, t.lon)}"
        return Verdict(on=True, reasons=(text,), codes=("speed",))
