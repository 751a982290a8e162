"""When AIS stations speak, and what the receiver on the mast hears of them.

Promises:
- reporting intervals of ITU-R M.1371-5, annex 1, table 1: class A 3 min at anchor, 10 s to 14 kn, 6 s to 23 kn, 2 s
  above, 3 1/3 and 2 s while turning; class B 3 min to 2 kn, 30 s above; static data every 6 min;
- a report leaves in a slot (2,250 a minute) within a tenth of the interval of its nominal time;
- every station is heard within its first seconds: the run starts in the middle of its life, not at power-on;
- positions carry the GNSS receiver's slowly wandering error.
"""

from __future__ import annotations

import math
from heapq import merge
from typing import TYPE_CHECKING

from hardware_sim import ais
from hardware_sim.geo import KNOT_MPS, polar
from hardware_sim.seeds import generator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hardware_sim.world import Vessel, World

SLOT_S = 60.0 / 2250.0
GNSS_SIGMA_M = 3.0
STATIC_INTERVAL_S = 360.0
VHF_K_M = 4.12e3
"""Metres per square root of a metre of aerial height, 4/3 earth; that VHF bends a little further is left out."""


def reporting_interval_s(ais_class: str, sog_mps: float, turn_dps: float) -> float:
    """Nominal interval between position reports, seconds."""
    knots = sog_mps / KNOT_MPS
    if ais_class == "B":
        return 30.0 if knots > 2.0 else 180.0
    if knots <= 0.2:
        return 180.0
    turning = abs(turn_dps) > 5.0 / 30.0  # 5 degrees off the 30 s mean
    if knots <= 14.0:
        return 10.0 / 3.0 if turning else 10.0
    if knots <= 23.0:
        return 2.0 if turning else 6.0
    return 2.0


def sentences(world: World, start_unix_s: float) -> Iterator[tuple[float, bytes]]:
    """(t, VDM sentences) of all stations in order of time, for ever."""
    stations = [_Station(world, v, start_unix_s) for v in world.vessels if v.table.ais is not None]
    return merge(*(s.positions() for s in stations), *(s.statics() for s in stations), key=lambda item: item[0])


class _Station:
    def __init__(self, world: World, vessel: Vessel, start_unix_s: float) -> None:
        self._world, self._vessel, self._start = world, vessel, start_unix_s
        self._rng = generator(world.seed, "ais", vessel.id)
        self._class = vessel.table.ais or "A"
        self._wander = self._rng.uniform(0.0, 2.0 * math.pi, 4)
        self._bits_sent = 0
        self.mmsi = vessel.table.mmsi or 0

    def positions(self) -> Iterator[tuple[float, bytes]]:
        rng = generator(self._world.seed, "ais-slots", self._vessel.id)
        nominal = float(rng.uniform(0.3, 2.5))
        while True:
            state = self._vessel.at(nominal)
            interval = reporting_interval_s(self._class, state.sog_mps, state.turn_dps)
            t = self._slot(nominal + float(rng.uniform(-0.1, 0.1)) * min(interval, 10.0))
            if self._heard(t):
                yield t, self._position(t)
            nominal += interval

    def statics(self) -> Iterator[tuple[float, bytes]]:
        rng = generator(self._world.seed, "ais-static", self._vessel.id)
        t = float(rng.uniform(2.0, 6.0))
        while True:
            if self._heard(t):
                for i, bits in enumerate(self._static()):
                    yield self._slot(t + i), ais.vdm(bits, self._channel(), self.mmsi % 10)
            t += STATIC_INTERVAL_S

    def _slot(self, t: float) -> float:
        """The start of a slot on the UTC minute's grid."""
        at = self._start + max(0.0, t)
        return math.ceil(at / SLOT_S) * SLOT_S - self._start

    def _heard(self, t: float) -> bool:
        state = self._vessel.at(t)
        range_m, _ = polar(state.east_m, state.north_m)
        aerials = math.sqrt(self._world.scenario.site.height_m) + math.sqrt(self._vessel.kind.height_m)
        return range_m <= VHF_K_M * aerials

    def _channel(self) -> str:
        self._bits_sent += 1
        return "AB"[self._bits_sent % 2]

    def _position(self, t: float) -> bytes:
        measured = t - 0.2  # the report says where the ship was when it was put together
        state = self._vessel.at(measured)
        w = self._wander
        east = (
            state.east_m + GNSS_SIGMA_M * math.sin(measured / 97.0 + w[0]) + GNSS_SIGMA_M / 2 * math.sin(t / 31 + w[1])
        )
        north = (
            state.north_m + GNSS_SIGMA_M * math.sin(measured / 83.0 + w[2]) + GNSS_SIGMA_M / 2 * math.sin(t / 29 + w[3])
        )
        lat, lon = self._world.geo(east, north)
        moving = state.sog_mps > 0.1
        p = ais.Position(
            mmsi=self.mmsi,
            lat=lat,
            lon=lon,
            sog_mps=max(0.0, state.sog_mps + float(self._rng.normal(0.0, 0.05))),
            cog_deg=(state.cog_deg + float(self._rng.normal(0.0, 0.7))) % 360.0,
            heading_deg=state.cog_deg if self._class == "A" else None,
            turn_dpm=state.turn_dps * 60.0,
            nav_status=0 if moving else 1,
            utc_second=int(self._start + measured) % 60,
        )
        bits = ais.position_a(p) if self._class == "A" else ais.position_b(p)
        return ais.vdm(bits, self._channel(), self.mmsi % 10)

    def _static(self) -> tuple[ais.Bits, ...]:
        table = self._vessel.table
        s = ais.Static(
            mmsi=self.mmsi,
            name=table.name,
            callsign=table.callsign,
            ship_type=self._vessel.kind.ship_type,
            length_m=self._vessel.length_m,
            beam_m=self._vessel.beam_m,
            draught_m=self._vessel.length_m / 25.0,
            destination="A CORUNA",
        )
        return (ais.static_a(s),) if self._class == "A" else ais.static_b(s)
