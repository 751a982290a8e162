"""The world of a run: scenario, seed, and every vessel's state at any time.

Promises:
- where a vessel is is a pure function of (scenario, seed, time); asking twice, in any order, from any process gives the
  same;
- `t` is seconds since the scenario's start and may be negative (the radar has been on before);
- the scenario's own vessels come first, in its order, then its traffic's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hardware_sim import behaviours, traffic
from hardware_sim.environment import tide_m
from hardware_sim.geo import Site
from hardware_sim.seeds import generator
from hardware_sim.vessels import CLASSES, VesselClass

if TYPE_CHECKING:
    from hardware_sim.motion import Motion, State
    from hardware_sim.scenario import Scenario
    from hardware_sim.tables import VesselTable


@dataclass(frozen=True, slots=True)
class Vessel:
    """One vessel of the run. `length_m` and `beam_m` are this one's, not its kind's."""

    table: VesselTable
    kind: VesselClass
    trajectory: Motion
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
    """Everything that is true.

    Raises:
        ScenarioError: a vessel has a route that it cannot sail.

    """

    def __init__(self, scenario: Scenario, seed: int) -> None:
        self.scenario = scenario
        self.seed = seed
        self.site = Site(scenario.site.lat, scenario.site.lon)
        tables = list(scenario.vessel)
        for i, crowd in enumerate(scenario.traffic):
            tables += traffic.vessels(crowd, i, seed, scenario.time.duration_s)
        made: dict[str, Vessel] = {}
        for table in sorted(tables, key=lambda v: v.towed_by is not None):  # tugs before what they tow
            made[table.name] = self._vessel(table, made)
        self.vessels = tuple(made[v.name] for v in tables)

    def geo(self, east_m: float, north_m: float) -> tuple[float, float]:
        """(lat, lon) of a point."""
        return self.site.to_geo(east_m, north_m)

    def tide_m(self, t_s: float) -> float:
        """Height of the sea above its mean."""
        return tide_m(self.scenario.tide, t_s)

    def _vessel(self, table: VesselTable, made: dict[str, Vessel]) -> Vessel:
        kind = CLASSES[table.kind]
        scale = 1.0 if table.length_m is None else table.length_m / kind.length_m
        if table.towed_by is not None:
            tug = made[table.towed_by]
            motion: Motion = behaviours.Towed(tug=tug.trajectory, delay_s=table.tow_m / tug.table.speed_mps)
        else:
            sea = self.scenario.weather, self.scenario.tide
            motion = behaviours.motion(table, kind, sea, generator(self.seed, "behaviour", table.name))
        return Vessel(table, kind, motion, kind.length_m * scale, kind.beam_m * scale)
