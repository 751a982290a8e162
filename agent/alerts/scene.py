"""What the rules may look at besides one vessel: the time, the AIS receivers, the sensors' health."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from agent.messages import SensorState

if TYPE_CHECKING:
    from agent.fusion.picture import Known
    from agent.fusion.receivers import Receiver
    from agent.tracking.arrays import Bools, Floats, Ints

AS_FAR = 1.5  # who hears vessels this many times as far in a direction as another one hears there for it, too
DEAD_STATES = (SensorState.UNAVAILABLE, SensorState.UNSUPPORTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """Of the receivers that would hear one vessel: for how long one of them has listened since it last reported.

    `reach_m`: how far those that are heard now have lately heard a station; `missing`: their names if none is heard.
    """

    for_s: float
    reach_m: float
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One tick. `ais_*` arrays: one row per AIS station heard lately, at its extrapolated place.

    `ais_vessel`: id of the vessel it belongs to; `ais_explained`: whether that vessel has an echo of its own.
    `receivers`: those that have ever been heard; `ais_reach_m`: the farthest station that each has heard lately.
    """

    now_s: float
    receivers: tuple[Receiver, ...]
    ais_reach_m: dict[str, float]
    ais_place: Floats
    ais_vessel: Ints
    ais_explained: Bools
    ais_gate_m: float
    sensor_states: dict[str, SensorState]

    def ais_failure(self, healthy_s: float) -> str | None:
        """Why nothing follows from the absence of AIS now; None when the receiver is heard."""
        if not self.receivers:
            return "no AIS receiver has been heard yet"
        alive = [r for r in self.receivers if self._works(r)]
        if not alive:
            return f"the AIS receiver {self.receivers[0].name} is not available"
        if not any(self._heard(r, healthy_s) for r in alive):
            return f"the AIS receiver has been silent for more than {healthy_s:.0f} s"
        return None

    def ais_dead(self) -> bool:
        """Whether every receiver that was ever heard is known to be broken: "without AIS" means nothing then."""
        return bool(self.receivers) and not any(self._works(r) for r in self.receivers)

    def ais_listening(self, k: Known, healthy_s: float) -> Listening:
        """How those receivers listen that would hear this vessel if it sent."""
        able = self._able(k)
        heard = [r for r in able if self._works(r) and self._heard(r, healthy_s)]
        spans = [self.now_s - max(r.alive_s, k.ais_last_s) for r in heard]
        # who heard it last may have listened in vain before falling silent
        spans += [r.heard_s - max(r.alive_s, k.ais_last_s) for r in able if r.name in k.ais_heard_by]
        return Listening(
            for_s=max(spans, default=0.0),
            reach_m=max((self.ais_reach_m[r.name] for r in heard), default=0.0),
            missing=() if heard else tuple(r.name for r in able),
        )

    def _able(self, k: Known) -> list[Receiver]:
        """Those that heard it last; of a vessel that none has heard, those that hear as far in its direction."""
        last = [r for r in self.receivers if r.name in k.ais_heard_by]
        if last or len(self.receivers) == 1:
            return last or list(self.receivers)
        covers = [r.cover_m(k.state[0], k.state[1]) for r in self.receivers]
        enough_m = min(math.hypot(k.state[0], k.state[1]), max(covers, default=0.0) / AS_FAR)
        return [r for r, cover_m in zip(self.receivers, covers, strict=True) if cover_m >= enough_m]

    def _works(self, r: Receiver) -> bool:
        return self.sensor_states.get(r.name) not in DEAD_STATES

    def _heard(self, r: Receiver, healthy_s: float) -> bool:
        return self.now_s - r.heard_s <= healthy_s

    def ais_near(self, k: Known, within_m: float) -> bool:
        """Whether an AIS station may be this vessel: one without an echo within `within_m`, or any in fusion's gate."""
        if not len(self.ais_vessel):
            return False
        d = np.hypot(self.ais_place[:, 0] - k.state[0], self.ais_place[:, 1] - k.state[1])
        reach = np.where(self.ais_explained, self.ais_gate_m, within_m)
        return bool(((d <= reach) & (self.ais_vessel != k.track.id)).any())
