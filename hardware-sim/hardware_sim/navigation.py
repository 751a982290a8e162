"""The box's own position, heading and wind: RMC, GGA, HDT and MWV once a second.

The GNSS position wanders by a metre or two, the wind gusts; both are smooth functions of time. The faults `gnss-jump`
and `gnss-clock` move position and time while they are on.
"""

from __future__ import annotations

import math
from itertools import count
from typing import TYPE_CHECKING

from hardware_sim import nmea
from hardware_sim.seeds import generator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hardware_sim.faults import Faults
    from hardware_sim.world import World


def sentences(world: World, start_unix_s: float, faults: Faults) -> Iterator[tuple[float, bytes]]:
    """(t, one sentence) in order of time, for ever."""
    rng = generator(world.seed, "nav")
    phase = rng.uniform(0.0, 2.0 * math.pi, 4)
    scenario = world.scenario
    heading = scenario.radar.heading_deg
    for k in count():
        t = k + 0.05
        east = 1.2 * math.sin(t / 61.0 + phase[0])
        north = 1.2 * math.sin(t / 47.0 + phase[1])
        lat, lon = world.geo(east + faults.value("gnss-jump", t), north)
        at = start_unix_s + k + faults.value("gnss-clock", t)
        yield t, nmea.rmc(at, lat, lon)
        yield t + 0.02, nmea.gga(at, lat, lon, scenario.site.height_m)
        yield t + 0.04, nmea.hdt(heading)
        gust = 1.0 + 0.15 * math.sin(t / 7.0 + phase[2])
        veer = 6.0 * math.sin(t / 23.0 + phase[3])
        yield (
            t + 0.06,
            nmea.mwv(scenario.weather.wind_mps * gust, (scenario.weather.wind_from_deg + veer) % 360.0, heading),
        )
