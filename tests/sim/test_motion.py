"""Vessels move as vessels do, and as a pure function of time."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hardware_sim.errors import ScenarioError
from hardware_sim.geo import wrap180
from hardware_sim.motion import Trajectory

SQUARE = ((0.0, 0.0), (0.0, 400.0), (400.0, 400.0), (400.0, 0.0))


def trajectory(**change: object) -> Trajectory:
    given_: dict[str, object] = {
        "name": "x",
        "route": SQUARE,
        "speed_mps": 8.0,
        "turn_dps": 6.0,
        "accel_mps2": 0.5,
        "end": "hold",
    }
    return Trajectory(**(given_ | change))  # type: ignore[arg-type] # the tests' changes are of the right types


@pytest.mark.parametrize("end", ["hold", "on", "loop"])
def test_speed_and_turn_stay_within_limits_and_position_follows_speed(end: str) -> None:
    path = trajectory(end=end)
    step = 0.05
    states = [path.at(-20.0 + i * step) for i in range(5000)]
    for a, b in pairwise(states):
        way = math.hypot(b.east_m - a.east_m, b.north_m - a.north_m)
        assert way <= 8.0 * step * 1.001
        assert way == pytest.approx((a.sog_mps + b.sog_mps) / 2 * step, abs=0.02)
        assert abs(wrap180(b.cog_deg - a.cog_deg)) <= 6.0 * step * 1.001
        assert abs(b.sog_mps - a.sog_mps) <= 0.5 * step * 1.001


def test_before_the_start_it_comes_in_along_the_first_leg() -> None:
    s = trajectory().at(-10.0)
    assert (s.east_m, s.north_m) == pytest.approx((0.0, -80.0))


def test_hold_stops_at_the_last_waypoint() -> None:
    s = trajectory().at(1e4)
    assert (s.east_m, s.north_m, s.sog_mps) == pytest.approx((400.0, 0.0, 0.0))


def test_on_keeps_its_course() -> None:
    a, b = trajectory(end="on").at(1000.0), trajectory(end="on").at(1010.0)
    assert (b.east_m - a.east_m, b.north_m - a.north_m) == pytest.approx((0.0, -80.0))


def test_a_loop_repeats_exactly() -> None:
    path = trajectory(end="loop")
    period = (4 * 400.0 - 8 * 8.0 / math.radians(6.0)) / 8.0 + 4 * 90.0 / 6.0  # legs less their cuts, and four arcs
    for t in (0.0, 33.3, 150.0):
        a, b = path.at(t), path.at(t + period)
        assert (a.east_m, a.north_m) == pytest.approx((b.east_m, b.north_m), abs=1e-6)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(-100, 500), min_size=2, max_size=20))
def test_the_order_of_asking_does_not_matter(times: list[float]) -> None:
    path = trajectory(end="loop")
    assert [path.at(t) for t in times] == [path.at(t) for t in reversed(times)][::-1]


def test_turns_to_port_and_starboard_end_on_the_next_leg() -> None:
    zigzag = trajectory(route=((0.0, 0.0), (0.0, 500.0), (500.0, 800.0), (500.0, 1500.0)), end="on")
    s = zigzag.at(120.0)
    assert s.cog_deg == pytest.approx(math.degrees(math.atan2(500, 300)))
    assert (s.east_m - 0.0) / (s.north_m - 500.0) == pytest.approx(500 / 300)
    assert zigzag.at(1000.0).east_m == pytest.approx(500.0)


@pytest.mark.parametrize(
    ("route", "says"),
    [
        (((0.0, 0.0), (0.0, 100.0), (60.0, 100.0), (60.0, 0.0)), "its turns need"),
        (((0.0, 0.0), (0.0, 500.0), (1.0, 0.0)), "turns back"),
        (((0.0, 0.0), (0.0, 30.0)), "to stop"),
    ],
)
def test_a_route_that_the_vessel_cannot_sail_is_refused(route: tuple[tuple[float, float], ...], says: str) -> None:
    with pytest.raises(ScenarioError, match=says):
        trajectory(route=route)
