"""What the simulator sends, read by the drivers: two readings of the same protocols, written apart, have to agree."""

from __future__ import annotations

from itertools import takewhile
from typing import Any

import numpy as np
import pytest

from agent.drivers.radar.navico import NavicoDecoder
from agent.drivers.radar.video import Spoke
from agent.drivers.table import driver_options, load_driver
from agent.geo import wrap180
from agent.messages import Scan, Stamp, TrackReport
from hardware_sim import scenario
from hardware_sim.geo import polar
from hardware_sim.motion import State
from hardware_sim.radar import navico_reports
from hardware_sim.radar.emissions import EMISSIONS, Station, merged
from hardware_sim.world import World

START_S = 1_750_000_000.0
FERRY = 1
VIDEO = {
    "cat240": "cat240", "cat240-4bit": "cat240", "cat240-zlib": "cat240", "cat240-split": "cat240",
    "cat240-nano": "cat240", "garmin": "garmin", "raymarine": "raymarine", "furuno": "furuno", "furuno-0": "furuno",
    "furuno-1": "furuno", "furuno-2": "furuno", "raymarine-rd": "raymarine", "raymarine-rd-hd": "raymarine",
}  # fmt: skip
UNVERIFIED = ("furuno-0", "furuno-1", "furuno-2", "raymarine-rd", "raymarine-rd-hd")


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
    options: dict[str, Any] = {} if emission.startswith("cat240") else {"heading_deg": station.table.heading_deg}
    options |= {"unverified": True} if emission in UNVERIFIED else {}
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


def test_all_codings_of_a_furuno_say_the_same(station: Station) -> None:
    options = {"heading_deg": station.table.heading_deg, "unverified": True}
    names = ("furuno", "furuno-0", "furuno-1", "furuno-2")
    turns = [[s.samples.tolist() for s in decoded(station, n, "furuno", 0.2, **options)[0]] for n in names]
    assert turns.count(turns[0]) == 4
    assert any(any(row) for row in turns[0])


@pytest.mark.parametrize(("name", "video"), [("halo", "spokes"), ("navico-4g", "navico-4g")])
def test_a_navico_is_known_by_its_beacon_and_reports(station: Station, name: str, video: str) -> None:
    """All that comes from one radar, in order of time, at the addresses that its beacon states."""
    decoder = load_driver("navico")("radar", driver_options("navico")())
    spokes: list[Spoke] = []
    for t, kind, data in takewhile(lambda x: x[0] < 0.3, merged(station, (f"{name}-beacon", f"{name}-reports", video))):
        sent = EMISSIONS[kind]
        spokes += decoder.decode(data, Stamp(t_s=t, wall_s=t), f"{sent.group}:{sent.port}")
    assert decoder.counters["errors"] == 0
    assert isinstance(decoder, NavicoDecoder)
    for kind in (f"{name}-reports", video):
        place = f"{EMISSIONS[kind].group}:{EMISSIONS[kind].port}"
        assert decoder.addresses[place] == "a"
        assert decoder.serials[place] == navico_reports.IDENTITIES["halo" if name == "halo" else "4g"].serial
    gauges = {k: decoder.gauges.get(k) for k in ("state", "range_m", "hours", "alignment_deg")}
    assert gauges == {"state": 2.0, "range_m": 6000.0, "hours": 2636.0, "alignment_deg": 0.0}
    assert {s.range_m for s in spokes} == {6000.0}
    assert {s.valid for s in spokes} == {True}


@pytest.mark.parametrize(
    ("names", "driver", "levels", "cells"),
    [
        (("halo-beacon", "halo-reports", "spokes"), "navico", (14, 15), 1024),
        (("raymarine",), "raymarine", (254, 255), 240),
    ],
)
def test_an_approaching_panga_has_a_level_of_its_own(
    names: tuple[str, ...], driver: str, levels: tuple[int, int], cells: int
) -> None:
    """The panga runs in, the ferry goes away: Doppler as the driver hands it on, where the vessels are."""
    base = scenario.load("harbour-mouth")
    chosen = base.model_copy(update={"radar": base.radar.model_copy(update={"doppler": "both"})})
    station = Station(World(chosen, seed=7), START_S)
    options = {} if driver == "navico" else {"doppler": True, "heading_deg": base.radar.heading_deg}
    decoder = load_driver(driver)("radar", driver_options(driver).model_validate(options))
    colours: dict[int, list[tuple[float, float]]] = {level: [] for level in levels}
    for t, kind, data in takewhile(lambda x: x[0] < 2.6, merged(station, names)):
        sent = EMISSIONS[kind]
        for spoke in decoder.decode(data, Stamp(t_s=t, wall_s=t), f"{sent.group}:{sent.port}"):
            assert spoke.doppler == levels
            for level, places in colours.items():
                lit = np.flatnonzero(spoke.samples == level)
                bearing = spoke.angle_deg + (spoke.heading_deg or 0.0)
                places += [((c + 0.5) * spoke.range_m / cells, bearing) for c in lit.tolist()]
    assert len(colours[levels[1]]) > 1
    for level, places in colours.items():
        towards = level == levels[1]
        moving = [s for s in (v.at(1.3) for v in station.world.vessels) if (radial_mps(s) < -2.0) is towards]
        moving = [s for s in moving if abs(radial_mps(s)) > 2.0]
        for range_m, bearing in places:
            near = [polar(s.east_m, s.north_m) for s in moving]
            assert any(abs(r - range_m) < 150.0 and abs(wrap180(b - bearing)) < 12.0 for r, b in near)


def radial_mps(state: State) -> float:
    bearing = polar(state.east_m, state.north_m)[1]
    return float(state.sog_mps * np.cos(np.radians(state.cog_deg - bearing)))


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
