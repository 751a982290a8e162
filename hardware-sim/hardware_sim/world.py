"""The world of a run: scenario, seed, and every vessel's state at any time.

Promises:
- `state(vessel, t)` is a pure function; asking twice, in any order, from any process gives the same;
- `t` is seconds since the scenario's start and may be negative (the radar has been on before).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hardware_sim.geo import Site
from hardware_sim.motion import Trajectory
from hardware_sim.vessels import CLASSES, VesselClass

if TYPE_CHECKING:
    from hardware_sim.motion import State
    from hardware_sim.scenario import Scenario, VesselTable


@dataclass(frozen=True, slots=True)
class Vessel:
    """One vessel of the run. `length_m` and `beam_m` are this one's, not its kind's."""

    table: VesselTable
    kind: VesselClass
    trajectory: Trajectory
    length_m: float
    beam_m: float

    @property
    def id(self) -> str:
        """Its name, unique in the scenario."""
        return self.table.name

    def at(self, t_s: float) -> State:
        """Where it is."""
        return self.trajectory.at(t_s)


class World:
    """Everything that is true."""

    def __init__(self, scenario: Scenario, seed: int) -> None:
        self.scenario = scenario
        self.seed = seed
        self.site = Site(scenario.site.lat, scenario.site.lon)
        self.vessels = tuple(_vessel(v) for v in scenario.vessel)

    def geo(self, east_m: float, north_m: float) -> tuple[float, float]:
        """(lat, lon) of a point."""
        return self.site.to_geo(east_m, north_m)


def _vessel(table: VesselTable) -> Vessel:
    kind = CLASSES[table.kind]
    scale = 1.0 if table.length_m is None else table.length_m / kind.length_m
    trajectory = Trajectory(
        name=table.name,
        route=table.route_m,
        speed_mps=table.speed_mps,
        turn_dps=kind.max_turn_dps,
        accel_mps2=kind.max_accel_mps2,
        end=table.end,
    )
    return Vessel(table, kind, trajectory, kind.length_m * scale, kind.beam_m * scale)
