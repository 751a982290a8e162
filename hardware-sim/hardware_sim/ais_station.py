"""What AIS stations send, and when.

Promises:
- reporting intervals of ITU-R M.1371-5, annex 1, tables 1 and 2: class A 3 min at anchor, 10 s to 14 kn, 6 s to 23 kn,
  2 s above, 3 1/3 and 2 s while turning; class B "CS" 3 min to 2 kn, 30 s above; class B "SO" 3 min to 2 kn, 30 s to
  14 kn, 15 s to 23 kn, 5 s above; AtoN 3 min; static data every 6 min;
- a base station reports every 10 s, with the time that it has: the fault `ais-clock` is its clock's;
- an AIS-SART sends eight reports within 14 s once a minute, on both channels in turn (IEC 61097-14), and `SART ACTIVE`;
- a report asks for a slot (2,250 a minute) within a tenth of the interval of its nominal time, at most 1 s; which one
  it gets is told by `ais_slots`;
- every station is heard within its first seconds: the run starts in the middle of its life, not at power-on;
- positions carry the GNSS receiver's slowly wandering error, and what the vessel's table adds to it.
"""

from __future__ import annotations

import math
from itertools import count
from typing import TYPE_CHECKING

from hardware_sim import ais
from hardware_sim.ais_slots import SLOT_S, Transmission, allotted, first_slot
from hardware_sim.faults import Faults
from hardware_sim.geo import KNOT_MPS
from hardware_sim.seeds import generator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hardware_sim.motion import State
    from hardware_sim.tables import BaseStationTable
    from hardware_sim.world import Vessel, World

GNSS_SIGMA_M = 3.0
STATIC_INTERVAL_S = 360.0
ATON_INTERVAL_S = 180.0
BASE_INTERVAL_S = 10.0
SART_BURST = 8
SART_SPACING_S = 75 * SLOT_S
SART_NAV_STATUS = 14
SART_AERIAL_M = 1.0
SPEED_SIGMA_MPS, COURSE_SIGMA_DEG = 0.05, 0.7
LATENCY_S = 0.2  # a report says where the ship was when it was put together
DRAWS = 64  # random numbers are drawn so many at once
AID_TYPES = {"buoy": 15, "rock": 4}
"""ITU-R M.1371-5, table 74: floating, not specified; structure off shore."""


def reporting_interval_s(ais_class: str, sog_mps: float, turn_dps: float, *, at_anchor: bool = False) -> float:
    """Nominal interval between position reports, seconds. A class A ship at anchor may swing with up to 3 knots."""
    knots = sog_mps / KNOT_MPS
    if ais_class == "AtoN":
        return ATON_INTERVAL_S
    if ais_class == "B":
        return 30.0 if knots > 2.0 else 180.0
    if ais_class == "B-SO":
        return 180.0 if knots <= 2.0 else 30.0 if knots <= 14.0 else 15.0 if knots <= 23.0 else 5.0
    if knots <= (3.0 if at_anchor else 0.2):
        return 180.0
    turning = abs(turn_dps) > 5.0 / 30.0  # 5 degrees off the 30 s mean
    if knots <= 14.0:
        return 10.0 / 3.0 if turning else 10.0
    if knots <= 23.0:
        return 2.0 if turning else 6.0
    return 2.0


def transmissions(world: World, start_unix_s: float) -> Iterator[Transmission]:
    """What all stations send, in order of time, for ever."""
    sources = []
    for v in world.vessels:
        if v.table.ais is not None:
            station = _Station(world, v, start_unix_s)
            sources += [station.positions(), station.statics()]
        if v.table.sart_mmsi is not None:
            sources.append(_Station(world, v, start_unix_s).sart(v.table.sart_mmsi))
    sources += [_base_station(world, b, start_unix_s) for b in world.scenario.base_station]
    return allotted(sources, start_unix_s)


def _base_station(world: World, table: BaseStationTable, start_unix_s: float) -> Iterator[Transmission]:
    """Message 4 in slots that are reserved for it, on both channels in turn."""
    faults = Faults(world.scenario.fault)
    lat, lon = world.geo(table.east_m, table.north_m)
    first = float(generator(world.seed, "ais-base", table.mmsi).uniform(0.0, BASE_INTERVAL_S))
    for n in count():
        slot, t = first_slot(start_unix_s, first + n * BASE_INTERVAL_S)

        def build(t: float = t) -> ais.Base:
            at = start_unix_s + t + faults.value("ais-clock", t)
            return ais.Base(mmsi=table.mmsi, lat=lat, lon=lon, unix_s=at)

        yield Transmission(
            t=t,
            slot=slot,
            channel="AB"[n % 2],
            mmsi=table.mmsi,
            build=build,
            east_m=table.east_m,
            north_m=table.north_m,
            aerial_m=table.height_m,
            reserved=True,
        )


class _Station:
    def __init__(self, world: World, vessel: Vessel, start_unix_s: float) -> None:
        self._world, self._vessel, self._start = world, vessel, start_unix_s
        self._class = vessel.table.ais or "A"
        self._wander = generator(world.seed, "ais", vessel.id).uniform(0.0, 2.0 * math.pi, 4).tolist()
        self._sent = 0
        self.mmsi = vessel.table.mmsi or 0

    def positions(self) -> Iterator[Transmission]:
        rng = generator(self._world.seed, "ais-slots", self._vessel.id)
        nominal = float(rng.uniform(0.3, 2.5))
        interval = self._interval(self._vessel.at(nominal))
        while True:
            for wait, v_noise, c_noise in rng.standard_normal((DRAWS, 3)).tolist():
                early = max(-0.1, min(0.1, 0.05 * wait))
                slot, t = first_slot(self._start, nominal + early * min(interval, 10.0))
                state = self._vessel.at(t - LATENCY_S)
                if self._on(t):
                    yield self._report(slot, t, state, (v_noise, c_noise))
                interval = self._interval(state)
                nominal += interval

    def _interval(self, state: State) -> float:
        at_anchor = self._vessel.table.behaviour == "anchored"
        return reporting_interval_s(self._class, state.sog_mps, state.turn_dps, at_anchor=at_anchor)

    def statics(self) -> Iterator[Transmission]:
        rng = generator(self._world.seed, "ais-static", self._vessel.id)
        t = float(rng.uniform(2.0, 6.0))
        while self._class != "AtoN":  # its one message says everything
            if self._on(t):
                for i, part in enumerate((5,) if self._class == "A" else (24, 25)):
                    slot, at = first_slot(self._start, t + i)
                    state, slots = self._vessel.at(at), 2 if part == 5 else 1
                    yield self._on_air(slot, at, lambda part=part: self._static(part), state, slots)  # type: ignore[misc] # early binding
            t += STATIC_INTERVAL_S

    def sart(self, mmsi: int) -> Iterator[Transmission]:
        """Bursts once a minute; the text after the first report of every fourth."""
        rng = generator(self._world.seed, "ais-sart", self._vessel.id)
        t = self._vessel.table.sart_from_s
        for burst in count():
            noise = rng.standard_normal((SART_BURST, 2)).tolist()
            for i, n in enumerate(noise):
                slot, at = first_slot(self._start, t + i * SART_SPACING_S)
                state = self._vessel.at(at - LATENCY_S)
                yield self._of_sart(slot, at, lambda a=at, s=state, n=n: self._position(a, s, n, mmsi), state, mmsi)  # type: ignore[misc] # early binding
                if i == 0 and burst % 4 == 0:
                    text = ais.SafetyText(mmsi=mmsi, text="SART ACTIVE")
                    yield self._of_sart(slot + 1, at + SLOT_S, lambda text=text: text, self._vessel.at(at), mmsi)  # type: ignore[misc] # early binding
            t += 60.0

    def _on(self, t: float) -> bool:
        off_s = self._vessel.table.ais_off_s
        return not off_s or not any(off <= t < on for off, on in off_s)

    def _channel(self) -> str:
        self._sent += 1
        return "AB"[self._sent % 2]

    def _on_air(self, slot: int, t: float, build: Callable[[], ais.Message], state: State, slots: int) -> Transmission:
        return Transmission(
            t=t,
            slot=slot,
            slots=slots,
            channel=self._channel(),
            mmsi=self.mmsi,
            build=build,
            east_m=state.east_m,
            north_m=state.north_m,
            aerial_m=self._vessel.kind.height_m,
        )

    def _of_sart(self, slot: int, t: float, build: Callable[[], ais.Message], state: State, mmsi: int) -> Transmission:
        return Transmission(
            t=t,
            slot=slot,
            channel=self._channel(),
            mmsi=mmsi,
            build=build,
            east_m=state.east_m,
            north_m=state.north_m,
            aerial_m=SART_AERIAL_M,
            reserved=True,
        )

    def _report(self, slot: int, t: float, state: State, noise: tuple[float, float]) -> Transmission:
        if self._class == "AtoN":
            return self._on_air(slot, t, lambda: self._aton(t), state, 2)
        return self._on_air(slot, t, lambda: self._position(t, state, noise, None), state, 1)

    def _position(self, t: float, state: State, noise: tuple[float, float], sart_mmsi: int | None) -> ais.Position:
        w, measured = self._wander, t - LATENCY_S
        east = (
            state.east_m + GNSS_SIGMA_M * math.sin(measured / 97.0 + w[0]) + GNSS_SIGMA_M / 2 * math.sin(t / 31 + w[1])
        )
        north = (
            state.north_m + GNSS_SIGMA_M * math.sin(measured / 83.0 + w[2]) + GNSS_SIGMA_M / 2 * math.sin(t / 29 + w[3])
        )
        table = self._vessel.table
        if sart_mmsi is None and measured >= table.ais_shift_from_s:
            east, north = east + table.ais_shift_m[0], north + table.ais_shift_m[1]
        lat, lon = self._world.geo(east, north)
        return ais.Position(
            mmsi=sart_mmsi or self.mmsi,
            lat=lat,
            lon=lon,
            sog_mps=max(0.0, state.sog_mps + SPEED_SIGMA_MPS * noise[0]),
            cog_deg=(state.cog_deg + COURSE_SIGMA_DEG * noise[1]) % 360.0,
            heading_deg=state.heading_deg if self._class == "A" and sart_mmsi is None else None,
            turn_dpm=state.turn_dps * 60.0,
            nav_status=self._nav_status(state) if sart_mmsi is None else SART_NAV_STATUS,
            utc_second=int(self._start + measured) % 60,
            ais_class="A" if sart_mmsi is not None else self._class,
        )

    def _nav_status(self, state: State) -> int:
        """ITU-R M.1371-5, table 45: under way, at anchor, moored, engaged in fishing."""
        match self._vessel.table.behaviour:
            case "anchored":
                return 1
            case "fishing":
                return 7
            case _:
                return 0 if state.sog_mps > 0.1 else 5

    def _aton(self, t: float) -> ais.Aton:
        state = self._vessel.at(t)
        lat, lon = self._world.geo(state.east_m, state.north_m)
        return ais.Aton(
            mmsi=self.mmsi,
            name=self._vessel.table.name,
            aid_type=AID_TYPES.get(self._vessel.table.kind, 0),
            lat=lat,
            lon=lon,
            utc_second=int(self._start + t) % 60,
            length_m=self._vessel.length_m,
            beam_m=self._vessel.beam_m,
        )

    def _static(self, part: int) -> ais.Static:
        table = self._vessel.table
        return ais.Static(
            mmsi=self.mmsi,
            name=table.name,
            callsign=table.callsign,
            ship_type=self._vessel.kind.ship_type,
            length_m=self._vessel.length_m,
            beam_m=self._vessel.beam_m,
            draught_m=self._vessel.length_m / 25.0,
            destination="A CORUNA",
            part=part,
        )
