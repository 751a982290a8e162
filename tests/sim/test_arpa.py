"""The radar's own tracker: what it says in TTM, and what it says when a target fades."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise, takewhile

import pytest

from hardware_sim.geo import KNOT_MPS, NM_M, polar, wrap180
from hardware_sim.radar import arpa
from hardware_sim.radar.measure_arpa import crossing, outcome
from hardware_sim.scenario import CoastTable
from hardware_sim.world import World

Route = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Said:
    t: float
    number: int
    range_m: float
    bearing_deg: float
    speed_mps: float
    course_deg: float
    status: str


def said(world: World, until_s: float) -> list[Said]:
    out = []
    for t, line in takewhile(lambda x: x[0] < until_s, arpa.sentences(world, 1_750_000_000.0)):
        f = line.decode().split("*")[0].split(",")
        out.append(Said(t, int(f[1]), float(f[2]) * NM_M, float(f[3]), float(f[5]) * KNOT_MPS, float(f[6]), f[12]))
    return out


def about(world: World, vessel: int, items: list[Said]) -> list[Said]:
    """Sentences that lie within 120 m of where that vessel was when the beam passed (about: they wait for the line)."""
    out = []
    for s in items:
        state = world.vessels[vessel].at(s.t - arpa.DELAY_S - 0.02)
        b = math.radians(s.bearing_deg)
        d = math.hypot(s.range_m * math.sin(b) - state.east_m, s.range_m * math.cos(b) - state.north_m)
        if d < 120.0:
            out.append(s)
    return out


@pytest.fixture(scope="module")
def minute(harbour: World) -> list[Said]:
    return said(harbour, 60.0)


def test_every_vessel_is_tracked_from_the_first_turn(harbour: World, minute: list[Said]) -> None:
    for i, vessel in enumerate(harbour.vessels):
        mine = about(harbour, i, minute)
        assert mine[0].t < 3.0, vessel.id
        assert len(mine) >= 22, vessel.id
        assert mine[0].status == "T"
        assert len({s.number for s in mine}) == 1
        gaps = [b.t - a.t for a, b in pairwise(mine)]
        assert min(gaps) > 2.0  # once a turn, also for the ferry that crosses the bow mark


def test_vectors_settle(harbour: World, minute: list[Said]) -> None:
    for i, vessel in enumerate(harbour.vessels[:2]):  # the fishing boat is too slow for a course
        state = vessel.at(30.0)
        for s in about(harbour, i, minute):
            assert s.speed_mps == pytest.approx(state.sog_mps, abs=2.5), vessel.id
            assert abs(wrap180(s.course_deg - state.cog_deg)) < 20.0, vessel.id


def test_in_order_and_repeatable(harbour: World, minute: list[Said]) -> None:
    assert [s.t for s in minute] == sorted(s.t for s in minute)
    assert said(World(harbour.scenario, harbour.seed), 60.0) == minute
    assert said(World(harbour.scenario, harbour.seed + 1), 60.0) != minute


def test_acquisition_takes_turns_and_a_lost_target_is_said_once(harbour: World) -> None:
    """A vessel that leaves the radar's range: Q at first, T later, L once at the end."""
    table = harbour.scenario.vessel[1].model_copy(
        update={"route_m": ((0.0, 5200.0), (0.0, 9000.0)), "speed_mps": 15.0, "ais": None, "mmsi": None}
    )
    radar = harbour.scenario.radar.model_copy(update={"on_since_s": 2.5})
    changed = harbour.scenario.model_copy(update={"vessel": (table,), "expect": (), "forbid": (), "radar": radar})
    items = said(World(changed, 1), 120.0)
    number = items[0].number
    states = [s.status for s in items if s.number == number]
    assert states == ["Q"] * states.count("Q") + ["T"] * states.count("T") + ["L"]
    assert 4 <= states.count("Q") <= 7
    assert items[0].t > 2.5  # the third turn: one before the start, two after
    assert polar(*(0.0, 6000.0))[0] - 200.0 < items[-1].range_m


def test_a_boat_in_the_sea_s_clutter_is_seen_less(harbour: World) -> None:
    rough = harbour.scenario.model_copy(
        update={"weather": harbour.scenario.weather.model_copy(update={"sea_state": 5})}
    )
    seen = {}
    for name, chosen in (("calm", harbour.scenario), ("rough", rough)):
        tracker = arpa.Arpa(World(chosen, 5))
        seen[name] = sum(
            any(math.dist((p.east_m, p.north_m), _at(harbour, p.t_s)) < 90.0 for p in tracker.plots(turn))
            for turn in range(24)
        )
    assert seen["calm"] >= 22
    assert seen["rough"] < seen["calm"] - 5


def _at(world: World, t: float) -> tuple[float, float]:
    s = world.vessels[0].at(t)
    return s.east_m, s.north_m


def test_false_plots_by_the_false_alarm_rate(harbour: World) -> None:
    empty = harbour.scenario.model_copy(
        update={
            "vessel": (harbour.scenario.vessel[0].model_copy(update={"route_m": ((0.0, 9000.0),), "speed_mps": 0.0}),)
        }
    )
    tracker = arpa.Arpa(World(empty, 2))
    count = sum(len(tracker.plots(turn)) for turn in range(400))
    expected = 400 * 300 * (6000 / (299_792_458 / 12e6)) * 1e-5
    assert count == pytest.approx(expected, abs=4 * math.sqrt(expected))


def pair(harbour: World, first: Route, second: Route, seed: int, **radar: float) -> World:
    """Two trawlers alone on a calm sea."""
    base = harbour.scenario.vessel[2].model_copy(update={"kind": "trawler", "end": "on", "ais": None, "mmsi": None})
    vessels = tuple(
        base.model_copy(update={"name": name, "route_m": route, "speed_mps": 6.0})
        for name, route in (("a", first), ("b", second))
    )
    scenario = harbour.scenario.model_copy(
        update={
            "vessel": vessels, "expect": (), "forbid": (),
            "weather": harbour.scenario.weather.model_copy(update={"sea_state": 1}),
            "radar": harbour.scenario.radar.model_copy(update={"on_since_s": 60.0, **radar}),
        }
    )  # fmt: skip
    return World(scenario, seed)


def test_two_vessels_within_the_beam_are_one_plot(harbour: World) -> None:
    # 2 NM off, 1.2 degrees are 78 m
    near = pair(harbour, ((0.0, 3700.0), (0.0, 9000.0)), ((30.0, 3700.0), (30.0, 9000.0)), 3)
    apart = pair(harbour, ((0.0, 3700.0), (0.0, 9000.0)), ((200.0, 3700.0), (200.0, 9000.0)), 3)
    counts = [
        [sum(p.snr > 1000.0 for p in arpa.Arpa(world).plots(turn)) for turn in range(20)] for world in (near, apart)
    ]
    assert set(counts[0]) <= {0, 1}
    assert sum(counts[0]) >= 18
    assert sum(counts[1]) >= 36


def test_targets_that_meet_on_like_courses_swap_in_some_runs_and_on_unlike_ones_in_none() -> None:
    swaps = {angle: sum(outcome(World(crossing(angle), seed))[0] for seed in range(100, 112)) for angle in (10.0, 90.0)}
    assert 3 <= swaps[10.0] <= 11
    assert swaps[90.0] == 0


def test_the_vector_lags_behind_a_manoeuvre(harbour: World) -> None:
    """A turn of 90 degrees at t = 50 s: the course said is half-way after some turns, right after a dozen."""
    world = pair(harbour, ((0.0, 3000.0), (300.0, 3000.0), (300.0, 6000.0)), ((0.0, 90_000.0), (0.0, 99_000.0)), 2)
    courses = {}
    for _, r in takewhile(lambda x: x[0] < 140.0, arpa.reports(world)):
        state = world.vessels[0].at(r.t_s)
        if math.dist((state.east_m, state.north_m), (r.east_m, r.north_m)) < 200.0:
            courses[r.t_s] = wrap180(polar(r.v_east, r.v_north)[1] - state.cog_deg)
    turned = next(t for t in range(40, 100) if abs(wrap180(world.vessels[0].at(float(t)).cog_deg)) < 2.0)
    soon = [abs(c) for t, c in courses.items() if turned <= t < turned + 6.0]
    late = [abs(c) for t, c in courses.items() if turned + 50.0 < t]
    assert min(soon) > 20.0
    assert max(late) < 20.0


def test_sentences_queue_for_the_serial_line(harbour: World) -> None:
    lines = list(takewhile(lambda x: x[0] < 60.0, arpa.sentences(harbour, 1_750_000_000.0)))
    for (t0, _), (t1, line) in pairwise(lines):
        assert t1 - t0 >= len(line) * 10.0 / 38_400 - 1e-9
    first = next(t for t, _ in arpa.reports(harbour))
    assert lines[0][0] == pytest.approx(first + len(lines[0][1]) * 10.0 / 38_400)


def test_a_full_tracker_acquires_nothing_more(harbour: World) -> None:
    base = harbour.scenario.vessel[2].model_copy(update={"ais": None, "mmsi": None, "kind": "trawler", "end": "on"})
    many = tuple(
        base.model_copy(update={"name": f"v{k}", "route_m": ((e, n), (e, n + 9000.0)), "speed_mps": 5.0})
        for k, (e, n) in enumerate((400.0 * i, 400.0 * j) for i in range(-6, 6) for j in range(1, 11))
    )
    world = World(harbour.scenario.model_copy(update={"vessel": many, "expect": (), "forbid": ()}), 1)
    numbers = {r.number for _, r in takewhile(lambda x: x[0] < 5.0, arpa.reports(world))}
    assert numbers == set(range(1, 100))


def test_land_hides_vessels_from_it(harbour: World) -> None:
    world = pair(harbour, ((0.0, 3500.0), (0.0, 3600.0)), ((0.0, 1000.0), (0.0, 1100.0)), 4)
    wall = CoastTable(polygon_m=((-900.0, 1800.0), (900.0, 1800.0), (900.0, 2600.0), (-900.0, 2600.0)), height_m=90.0)
    behind = World(world.scenario.model_copy(update={"coast": (wall,)}), 4)
    farthest = [
        max(p.north_m for turn in range(8) for p in arpa.Arpa(w).plots(turn) if p.snr > 1000.0) for w in (world, behind)
    ]
    assert farthest[0] > 3300.0
    assert farthest[1] < 1400.0
