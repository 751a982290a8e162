"""dark-vessel: a confirmed vessel, seen long enough, that sends no AIS although AIS would be received.

Promises:
- nothing follows from silence unless the receiver is proven: heard lately, and able to reach as far as the vessel (by a
  station heard that far, or by `ais_reach_m`); otherwise the rule says that it is suspended;
- of several receivers those count that would hear the vessel: those that heard it last, or else those that hear vessels
  as far in its direction; while none of them is heard the rule is suspended for it;
- the wait counts only while the receiver is heard, so that switching it on makes nobody dark;
- a vessel whose AIS has gone silent, for longer than its class and speed allow, while the site goes on seeing it, waits
  from its last report on, less two that may have been lost; what the receiver does not hear while it hears nobody
  proves nothing;
- what has neither made way nor ever sent AIS is not called a vessel: it may be a rock.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

from pydantic import model_validator

from agent.alerts.rules.base import (
    OFF,
    UNKNOWN,
    NotNegative,
    Positive,
    Rule,
    RuleOptions,
    SpeedBand,
    Verdict,
    without_ais_s,
)
from agent.alerts.way import has_moved
from agent.alerts.zones import present

if TYPE_CHECKING:
    from agent.alerts.scene import Scene
    from agent.alerts.zones import Memory
    from agent.fusion.picture import Known


class Options(SpeedBand):
    """At least one key has to be set: small craft without AIS are normal, so the operator says where they are not.

    `ais_wait_s`: the reporting interval to wait for (class B at anchor: 180 s); `ais_healthy_s`: a receiver silent for
    longer proves nothing; `ais_reach_m`: how far a living receiver reaches for certain, beyond it a station proves it.
    """

    ais_wait_s: Positive = 300.0
    ais_healthy_s: Positive = 120.0
    ais_reach_m: NotNegative = 10_000.0
    ais_within_m: Positive | None = None  # three times [ais] gate_m when left out
    min_range_m: NotNegative | None = None
    max_range_m: Positive | None = None
    classes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _criterion(self) -> Options:
        if not self.model_fields_set - {"cooldown_s"}:
            raise ValueError(
                "has no criterion: set at least one of zone, min_range_m, max_range_m, min_mps, classes, ais_wait_s"
            )
        self.check_band()
        return self


class DarkVessel(Rule[Options]):
    """See the module."""

    kind: ClassVar[str] = "dark-vessel"
    Options: ClassVar[type[RuleOptions]] = Options

    def judge(self, k: Known, scene: Scene, memory: Memory) -> Verdict:
        """On once the wait is over; off when AIS comes, or the vessel leaves the rule's zone or ranges."""
        opts, t = self.options, k.track
        within_m = opts.ais_within_m or 3.0 * scene.ais_gate_m
        quiet = k.ais_quiet_s > 0.0
        if quiet and not scene.ais_near(k, within_m):
            memory["since"] = scene.now_s - k.ais_quiet_s
            free_s = k.ais_quiet_s
        else:
            free_s = without_ais_s(k, scene, memory, within_m)
        vessel = has_moved(k, memory)
        on = memory.get("on", 0.0) > 0.0
        if t.mmsi is not None and not quiet:
            memory["on"] = 0.0
            name = f" as {t.name}" if t.name else ""
            return Verdict(on=False, reasons=(f"AIS now received{name}, MMSI {t.mmsi}",), codes=("ais-received",))
        if self.failure(scene):
            memory["since"] = scene.now_s
            return UNKNOWN
        if not self._applies(k, memory, on=on):
            memory["on"] = 0.0
            return OFF
        if on:
            return Verdict(on=True)
        range_m = math.hypot(t.east_m, t.north_m)
        ears = scene.ais_listening(k, opts.ais_healthy_s)
        due = min(free_s, ears.for_s) >= opts.ais_wait_s
        if not due and ears.missing and free_s >= opts.ais_wait_s and vessel:
            only = " or ".join(ears.missing)
            return Verdict(on=None, blocked=f"there are vessels whose AIS only {only} would hear, now silent")
        reach_m = max(ears.reach_m, opts.ais_reach_m)
        if due and range_m > reach_m:
            return Verdict(
                on=None, blocked=f"AIS is proven to {reach_m / 1000.0:.0f} km only, and vessels are beyond it"
            )
        if not due or not vessel:
            return OFF
        memory["on"] = 1.0
        heard = f"hears stations to {ears.reach_m / 1000.0:.0f} km" if ears.reach_m else "is heard"
        if quiet:
            text = f"its AIS, MMSI {t.mmsi}, silent for {free_s:.0f} s while it is seen and the AIS receiver {heard}"
            return Verdict(on=True, reasons=(text,), codes=("ais-silent",))
        text = (
            f"no AIS for {free_s:.0f} s within {within_m:.0f} m of a confirmed track of {' and '.join(t.sources)} "
            f"while the AIS receiver {heard}"
        )
        return Verdict(on=True, reasons=(text,), codes=("no-ais",))

    def failure(self, scene: Scene) -> str | None:
        """The AIS receiver's failure, if any."""
        return scene.ais_failure(self.options.ais_healthy_s)

    def health_needed(self) -> bool:
        """It rests on AIS."""
        return True

    def _applies(self, k: Known, memory: Memory, *, on: bool) -> bool:
        opts, t = self.options, k.track
        range_m = math.hypot(t.east_m, t.north_m)
        inside = self.area is None or present(self.area, memory, t.east_m, t.north_m, k.sigma_m)
        near = opts.max_range_m is None or range_m <= opts.max_range_m * (1.1 if on else 1.0)
        far = opts.min_range_m is None or range_m >= opts.min_range_m * (0.9 if on else 1.0)
        classed = not opts.classes or t.class_ in opts.classes
        return inside and near and far and classed and (on or opts.in_band(t.sog_mps))
