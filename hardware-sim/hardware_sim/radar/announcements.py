"""What radars send beside video: beacons, by which they are found, and reports of their state.

Promises:
- beacons and reports go on in standby, and reports say which it is (`Station.standby`);
- beacons name the addresses at which a real radar's traffic is, which are those of the emissions: followed, they lead
  to the video in a capture and with `--multicast`, not where everything goes to the loopback.

Sent unasked: beacons every two seconds, reports as a HALO24 sends them to a display that keeps it awake. Nothing here
listens: a request for a beacon changes nothing, and orders are `obedience.py`'s.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from hardware_sim.radar import garmin, navico_reports, raymarine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hardware_sim.radar.emissions import Station
    from hardware_sim.radar.navico import Model

    Stream = Iterator[tuple[float, bytes]]

EVERY_S = 2.0
HOURS_BEFORE = 2636
QUANTUM_PLACE, RD_PLACE = ("232.1.167.1", 2574), ("232.1.243.1", 2574)
COMMAND_PORT = 2575
_LINKS = {raymarine.QUANTUM: 0x2A1B_0C01, raymarine.RD: 0x2A1B_0C02}
_DOPPLER = {
    "off": navico_reports.DOPPLER_OFF,
    "both": navico_reports.DOPPLER_BOTH,
    "approaching": navico_reports.DOPPLER_APPROACHING,
}


def _times() -> Iterator[tuple[int, float]]:
    return ((n, n * EVERY_S + 0.01) for n in count())


def navico_beacons(station: Station, model: Model) -> Stream:
    """Where a HALO or a 4G sends."""
    data = navico_reports.beacon(navico_reports.IDENTITIES[model], station.ip)
    return ((t, data) for _, t in _times())


def navico_status(station: Station, model: Model) -> Stream:
    """State and heartbeat every two seconds, all other reports every four."""
    table, identity = station.table, navico_reports.IDENTITIES[model]
    for n, t in _times():
        yield t, navico_reports.state(navico_reports.STANDBY if station.standby(t) else navico_reports.TRANSMITS)
        yield t, navico_reports.heartbeat()
        if n % 2 == 0:
            yield t, navico_reports.controls(table.range_m, interference_rejection=table.interference_rejection)
            yield t, navico_reports.model(identity, HOURS_BEFORE + int(t / 3600.0))
            yield t, navico_reports.installation(0.0, table.height_m)
            if model == "halo":
                yield t, navico_reports.advanced(_DOPPLER[table.doppler], table.doppler_from_mps)


def garmin_reports(station: Station) -> Stream:
    """All values that are known, every two seconds."""
    selected = round(station.table.range_m)
    for _, t in _times():
        yield t, garmin.report(garmin.TRANSMITS, not station.standby(t))
        yield t, garmin.report(garmin.SELECTED_RANGE, selected)
        yield t, garmin.report(garmin.ANTENNA_SPEED, int(station.table.rpm > 36.0))
        yield t, garmin.report(garmin.ALIGNMENT, 0)


def raymarine_beacons(station: Station, kind: raymarine.Kind) -> Stream:
    """Who it is, and where it sends."""
    place = QUANTUM_PLACE if kind is raymarine.QUANTUM else RD_PLACE
    both = raymarine.beacons(kind, _LINKS[kind], place, (station.ip, COMMAND_PORT))
    return ((t, data) for _, t in _times() for data in both)
