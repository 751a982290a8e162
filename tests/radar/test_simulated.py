"""What the simulator sends, read by the drivers: two readings of the same protocols, written apart, have to agree."""

from __future__ import annotations

from itertools import takewhile
from typing import Any

import numpy as np
import pytest

from agent.drivers.radar.video import Spoke
from agent.drivers.table import driver_options, load_driver
from agent.geo import wrap180
from agent.messages import Scan, Stamp, TrackReport
from hardware_sim import scenario
from hardware_sim.geo import polar
from hardware_sim.radar.emissions import EMISSIONS, Station
from hardware_sim.world import World

START_S = 1_750_000_000.0
FERRY = 1
VIDEO = {
    "cat240": "cat240", "cat240-4bit": "cat240", "cat240-zlib": "cat240", "cat240-split": "cat240",
    "cat240-nano": "cat240", "garmin": "garmin", "raymarine": "raymarine", "furuno": "furuno",
}  # fmt: skip


@pytest.fixture(scope="module")
def station() -> Station:
    return Station(World(scenario.load("harbour-mouth"), seed=7), START_S)


def decoded(station: Station, emission: str, driver: str, turns: float, **options: Any) -> tuple[list[Any], Any]:
    decoder = load_driver(driver)("radar", driver_options(driver).model_validate(options))
    sent = EMISSIONS[emission]
    out: list[Any] = []
    for t, data in takewhile(lambda item: item[0] < turns * station.turn_s + 1e-6, sent.stream(station)):
        out += decoder.decode(data, Stamp(t_s=START_S + t, wall_s=START_S + t), f"{sent.group}:{sent.port}")
    return [*out, *decoder.flush(Stamp(t_s=START_S, wall_s=START_S))], decoder


def where(station: Station, t: float) -> tuple[float, float]:
    """(range_m, bearing_deg) of the ferry."""
    state = station.world.vessels[FERRY].at(t)
    return polar(state.east_m, state.north_m)


@pytest.mark.parametrize("emission", VIDEO)
def test_video_shows_the_ferry_where_it_is(station: Station, emission: str) -> None:
    options = {} if emission.startswith("cat240") else {"heading_deg": station.table.heading_deg}
    spokes, decoder = decoded(station, emission, VIDEO[emission], 1.0, **options)
    assert (decoder.counters["errors"], decoder.counters["spokes_lost"], decoder.counters["no_range"]) == (0, 0, 0)
    assert {type(s) for s in spokes} == {Spoke}
    assert len(spokes) in (250, 1440, 2048)
    range_m, bearing_deg = where(station, 0.99 * station.turn_s)
    best, place = -1.0, (0.0, 0.0)
    for s in spokes:
        assert s.valid
        near = int(1500.0 / s.range_m * len(s.samples))
        strength = float(np.sort(s.samples[near:])[-8:].sum())
        if strength > best:
            top = np.flatnonzero(s.samples[near:] >= 0.9 * s.samples[near:].max()) + near + 0.5
            best, place = (
                strength,
                (float(top.mean()) * s.range_m / len(s.samples), s.angle_deg + (s.heading_deg or 0.0)),
            )
    assert place[0] == pytest.approx(range_m, abs=0.01 * range_m + 60.0)
    assert abs(wrap180(place[1] - bearing_deg)) < 4.0


def test_a_turn_of_cat240_is_measured(station: Station) -> None:
    _, decoder = decoded(station, "cat240", "cat240", 3.2)
    assert decoder.gauges["turn_s"] == pytest.approx(station.turn_s, abs=0.01)
    assert decoder.gauges["turn_spokes"] == 2048
    assert decoder.counters["spokes_lost"] == 0


@pytest.mark.parametrize("emission", ["cat048", "cat010"])
def test_targets_are_where_the_vessels_are(station: Station, emission: str) -> None:
    found, decoder = decoded(station, emission, "asterix", 20.0, time="message")
    assert decoder.counters["errors"] == 0
    assert sum(isinstance(m, Scan) for m in found) >= 15
    reports = [m for m in found if isinstance(m, TrackReport) and m.range_m is not None]
    assert reports
    vessels = station.world.vessels
    off = []
    for m in reports:
        t = m.at_s - START_S
        places = [polar(s.east_m, s.north_m) for s in (v.at(t) for v in vessels)]
        range_m, bearing_deg = m.range_m or 0.0, m.bearing_deg or 0.0
        off.append(min(abs(r - range_m) + np.radians(abs(wrap180(b - bearing_deg))) * r for r, b in places))
    assert np.median(off) < 60.0
