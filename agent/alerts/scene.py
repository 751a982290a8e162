"""What the rules may look at besides one vessel: the time, the AIS receiver, the sensors' health."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from agent.messages import SensorState

if TYPE_CHECKING:
    from agent.fusion.picture import Known
    from agent.tracking.arrays import Bools, Floats, Ints

DEAD_STATES = (SensorState.UNAVAILABLE, SensorState.UNSUPPORTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One tick. `ais_*` arrays: one row per AIS station heard lately, at its extrapolated place.

    `ais_vessel`: id of the vessel it belongs to; `ais_explained`: whether that vessel has an echo of its own.
    `ais_heard`: newest message of each receiver; `ais_alive_s`: since when one of them has been heard without a gap.
    """

    now_s: float
    ais_heard: tuple[tuple[str, float], ...]
    ais_alive_s: float
    ais_reach_m: float
    ais_place: Floats
    ais_vessel: Ints
    ais_explained: Bools
    ais_gate_m: float
    sensor_states: dict[str, SensorState]

    def ais_failure(self, healthy_s: float) -> str | None:
        """Why nothing follows from the absence of AIS now; None when the receiver is heard."""
        if not self.ais_heard:
            return "no AIS receiver has been heard yet"
        alive = [n for n, _ in self.ais_heard if self.sensor_states.get(n) not in DEAD_STATES]
        if not alive:
            return f"the AIS receiver {self.ais_heard[0][0]} is not available"
        last = max(at for n, at in self.ais_heard if n in alive)
        if self.now_s - last > healthy_s:
            return f"the AIS receiver has been silent for more than {healthy_s:.0f} s"
        return None

    def ais_dead(self) -> bool:
        """Whether every receiver that was ever heard is known to be broken: "without AIS" means nothing then."""
        return bool(self.ais_heard) and all(self.sensor_states.get(n) in DEAD_STATES for n, _ in self.ais_heard)

    def ais_near(self, k: Known, within_m: float) -> bool:
        """Whether an AIS station may be this vessel: one without an echo within `within_m`, or any in fusion's gate."""
        if not len(self.ais_vessel):
            return False
        d = np.hypot(self.ais_place[:, 0] - k.state[0], self.ais_place[:, 1] - k.state[1])
        reach = np.where(self.ais_explained, self.ais_gate_m, within_m)
        return bool(((d <= reach) & (self.ais_vessel != k.track.id)).any())
