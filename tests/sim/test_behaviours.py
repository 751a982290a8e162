"""What vessels do, as pure functions of time that one moment and many agree about."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hardware_sim import behaviours
from hardware_sim.errors import ScenarioError
from hardware_sim.geo import wrap180
from hardware_sim.motion import Motion
from hardware_sim.scenario import Scenario, load
from hardware_sim.seeds import generator
from hardware_sim.tables import TideTable, TrafficTable, VesselTable, WeatherTable
from hardware_sim.traffic import vessels
from hardware_sim.vessels import CLASSES, aspect_deg
from hardware_sim.world import World

SEA = WeatherTable(wind_mps=10.0, wind_from_deg=270.0, current_mps=0.5), TideTable()
THERE_AND_BACK: dict[str, Any] = {
    "kind": "panga", "route_m": ((0, 5000), (0, 1000)), "speed_mps": 10.0, "end": "hold", "stay_s": 300.0,
    "leg": ({"route_m": ((0, 5000),), "speed_mps": 12.0, "end": "hold"},), "arrive_s": 600.0,
}  # fmt: skip
CASES: dict[str, dict[str, Any]] = {
    "route": {"kind": "ferry", "route_m": ((0, 0), (0, 4000), (3000, 6000)), "speed_mps": 9.0},
    "landing": THERE_AND_BACK,
    "fishing": {"kind": "fishing", "behaviour": "fishing", "route_m": ((500, 900),), "speed_mps": 1.8},
    "anchored": {"kind": "cargo", "behaviour": "anchored", "route_m": ((0, 5000),)},
    "drifting": {"kind": "panga", "behaviour": "drifting", "route_m": ((0, 5000),)},
    "breaks-down": {"kind": "sailing", "route_m": ((0, 9000), (0, 5000)), "speed_mps": 3.0, "end": "drift"},
    "wanders": {"kind": "cargo", "route_m": ((0, 0), (0, 9000)), "speed_mps": 7.0, "wander_m": 20.0},
    "late": {"kind": "cargo", "route_m": ((0, 0), (0, 9000)), "speed_mps": 7.0, "start_s": 500.0},
}


def made(name: str, sea: tuple[WeatherTable, TideTable] = SEA, seed: int = 1) -> Motion:
    table = VesselTable(name=name, **CASES[name])
    return behaviours.motion(table, CLASSES[table.kind], sea, generator(seed, name))


@pytest.mark.parametrize("name", CASES)
def test_position_follows_speed_within_the_kind_s_limits_and_never_jumps(name: str) -> None:
    t = np.arange(-200.0, 2500.0, 0.1)
    s = made(name).many(t)
    way = np.hypot(np.diff(s.east_m), np.diff(s.north_m))
    mean_speed = (s.sog_mps[1:] + s.sog_mps[:-1]) / 2.0
    assert np.abs(way / 0.1 - mean_speed).max() < (0.4 if name in ("landing", "breaks-down", "wanders") else 0.05)
    assert np.abs(way / 0.1 - mean_speed).mean() < 0.02
    assert s.sog_mps.max() <= CLASSES[CASES[name]["kind"]].max_speed_mps


@pytest.mark.parametrize("name", CASES)
def test_one_moment_and_many_agree(name: str) -> None:
    motion = made(name)
    t = np.array([-50.0, 0.0, 10.0, 333.3, 600.0, 777.0, 901.0, 2000.0])
    many = motion.many(t)
    for i, at in enumerate(t.tolist()):
        one = motion.at(at)
        assert (one.east_m, one.north_m) == pytest.approx((many.east_m[i], many.north_m[i]), abs=1e-6)
        assert one.sog_mps == pytest.approx(many.sog_mps[i], abs=1e-9)
        assert wrap180(one.heading_deg - many.heading_deg[i]) == pytest.approx(0.0, abs=1e-6)


def test_a_landing_arrives_stays_and_goes_back() -> None:
    motion = made("landing")
    assert motion.at(599.0).sog_mps > 0.0
    for t in (601.0, 750.0, 899.0):
        assert (motion.at(t).north_m, motion.at(t).sog_mps) == pytest.approx((1000.0, 0.0), abs=0.01)
    assert motion.at(930.0).north_m > 1000.0
    assert motion.at(2000.0).north_m == pytest.approx(5000.0)
    assert motion.at(0.0).north_m > 5000.0  # it came from farther out


def test_drifting_goes_with_current_and_leeway() -> None:
    a, b = made("drifting").at(0.0), made("drifting").at(1000.0)
    assert b.east_m - a.east_m == pytest.approx(1000.0 * 0.03 * 10.0)
    assert b.north_m - a.north_m == pytest.approx(500.0)


def test_the_tide_s_stream_brings_a_drifter_back_after_a_tide() -> None:
    sea = WeatherTable(wind_mps=0.0), TideTable(range_m=3.0, stream_mps=1.0, stream_to_deg=90.0, high_water_s=0.0)
    motion = made("drifting", sea)
    period = 12.4206 * 3600.0
    assert motion.at(period).east_m == pytest.approx(0.0, abs=1.0)
    assert motion.at(period / 4.0).east_m < -3000.0  # after high water it falls: the stream goes west
    assert made("drifting", sea).at(period * 0.75).sog_mps == pytest.approx(1.0, abs=1e-3)


def test_anchored_stays_within_a_length_and_heads_into_the_wind() -> None:
    s = made("anchored").many(np.arange(0.0, 7200.0, 5.0))
    assert np.hypot(s.east_m, s.north_m - 5000.0).max() < 1.4 * CLASSES["cargo"].length_m
    assert np.ptp(np.hypot(s.east_m, s.north_m - 5000.0)) > 20.0
    assert set(s.heading_deg.tolist()) == {270.0}


@pytest.mark.parametrize("kind", ["panga", "trawler", "tanker"])
def test_at_anchor_a_big_ship_swings_no_faster_than_a_small_one(kind: str) -> None:
    table = VesselTable(name="a", kind=kind, behaviour="anchored", route_m=((0, 5000),))
    s = behaviours.motion(table, CLASSES[kind], SEA, generator(1, "a")).many(np.arange(0.0, 14_400.0, 5.0))
    assert s.sog_mps.max() <= math.hypot(behaviours.SWING_MPS, behaviours.SWING_MPS) + 1e-9
    assert s.sog_mps.max() > 0.05


def test_a_tow_follows_its_tug() -> None:
    base = load("harbour-mouth").model_dump()
    tug = {"name": "Tug", "kind": "tug", "route_m": ((0, 0), (0, 4000)), "speed_mps": 4.0}
    tow = {"name": "Barge", "kind": "barge", "towed_by": "Tug", "tow_m": 200.0}
    world = World(Scenario.model_validate({**base, "vessel": (tow, tug), "expect": (), "forbid": ()}), 0)
    barge, tug_vessel = world.vessels
    assert math.dist(
        (barge.at(300.0).east_m, barge.at(300.0).north_m), (tug_vessel.at(300.0).east_m, tug_vessel.at(300.0).north_m)
    ) == pytest.approx(200.0)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"behaviour": "anchored"}, "one point"),
        ({"route_m": ()}, "give route_m"),
        ({"end": "loop", "leg": THERE_AND_BACK["leg"]}, "three waypoints"),
        ({"end": "on", "leg": THERE_AND_BACK["leg"]}, "ends in `hold`"),
        ({"arrive_s": 5.0}, "arrive_s needs"),
        ({"ais": "A", "mmsi": 992_240_001}, "begins with 200"),
        ({"ais": "AtoN", "mmsi": 224_000_001}, "begins with 992"),
        ({"towed_by": "x"}, "goes where its tug goes"),
    ],
)
def test_nonsense_is_refused_with_the_vessel_s_name(change: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=f"'route': .*{says}"):
        VesselTable(**{"name": "route", **CASES["route"], **({"route_m": ((0, 0), (1, 1))} if "end" in change else {}),
                       **change})  # fmt: skip


LANE = TrafficTable(
    name="lane", pattern="lane", kinds=("cargo", "tanker"), speed_mps=(5.0, 9.0), per_hour=6.0,
    route_m=((-20_000.0, 6000.0), (20_000.0, 6000.0)),
)  # fmt: skip


def test_a_lane_is_a_poisson_process_and_has_ships_on_it_from_the_start() -> None:
    counts = [sum(v.start_s >= 0.0 for v in vessels(LANE, 0, seed, 3600.0)) for seed in range(200)]
    assert np.mean(counts) == pytest.approx(6.0, abs=0.6)
    assert np.var(counts) == pytest.approx(6.0, abs=2.0)
    early = [v for v in vessels(LANE, 0, 3, 3600.0) if v.start_s < 0.0]
    assert len(early) > 2


@given(st.integers(0, 1000))
@settings(max_examples=15, deadline=None)
def test_traffic_depends_on_seed_and_name_alone_and_can_be_sailed(seed: int) -> None:
    tables = [LANE]
    tables += [
        TrafficTable(name=p, pattern=p, kinds=("fishing", "panga", "sailing"), speed_mps=(1.0, 4.0), count=12)
        for p in ("fleet", "swarm")
    ]
    base = load("harbour-mouth").model_copy(update={"traffic": tuple(tables), "expect": (), "forbid": ()})
    world = World(base, seed)
    assert len({v.id for v in world.vessels}) == len(world.vessels)
    numbers = [v.table.mmsi for v in world.vessels if v.table.mmsi]
    assert len(set(numbers)) == len(numbers)
    alone = World(base.model_copy(update={"traffic": tuple(tables[1:2])}), seed)
    assert [(v.id, v.at(99.0)) for v in alone.vessels][3:] == [
        (v.id, v.at(99.0)) for v in world.vessels if v.id.startswith("fleet")
    ]


def test_rcs_is_brightest_on_the_beam_and_its_mean_is_the_table_s() -> None:
    for name, kind in CLASSES.items():
        gains = kind.aspect_gain(np.arange(0.0, 360.0))
        assert gains.mean() == pytest.approx(1.0), name
        assert kind.rcs_at(90.0) >= kind.rcs_at(0.0)
    ship = CLASSES["cargo"]
    assert 10.0 * math.log10(ship.rcs_at(90.0) / ship.rcs_at(0.0)) == pytest.approx(10.0)
    assert aspect_deg(0.0, 5000.0, 180.0) == pytest.approx(0.0)
    assert aspect_deg(0.0, 5000.0, 90.0) == pytest.approx(90.0)


def test_a_route_that_cannot_be_sailed_is_refused_by_the_world() -> None:
    base = load("harbour-mouth")
    wrong = VesselTable(name="ship", kind="cargo", route_m=((0, 0), (0, 900), (800, 900)), speed_mps=9.0)
    with pytest.raises(ScenarioError, match="its turns need"):
        World(base.model_copy(update={"vessel": (wrong,)}), 0)
