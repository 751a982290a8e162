"""Who is called dark, and whose situation an alert belongs to: what is fixed, what goes silent, what parts company."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.alerts.identity import SIDE_M, SIDE_S, Ghost, left_side
from agent.config.schema import Rule
from agent.core import Core
from agent.fusion.ais import LOST_INTERVALS, SILENT_INTERVALS, Station
from agent.fusion.picture import Known
from agent.messages import Ais, Alert, AlertState, Track, TrackStatus

from .world import Ship, World, alerts, config, run

DARK = Rule(name="no AIS", kind="dark-vessel", options={"ais_wait_s": 60.0})
FERRY = Ship(east=4000.0, north=6000.0, course=[(0.0, -4.0, 0.0)], mmsi=224000001)  # it proves that AIS is received


def raised(ships: list[Ship], duration_s: float, rules: tuple[Rule, ...] = (DARK,)) -> list[Alert]:
    effects = run(Core(config((), rules)), World(ships=[*ships, FERRY]).events(duration_s))
    return [a for a in alerts(effects) if a.state is AlertState.RAISED]


@pytest.mark.parametrize("from_s", [0.0, 100.0])
def test_a_rock_is_not_called_dark_and_a_slow_boat_is(from_s: float) -> None:
    rock = Ship(east=1500.0, north=2000.0, course=[(0.0, 0.0, 0.0)])
    boat = Ship(east=-1500.0, north=2000.0, course=[(from_s, 1.2, 0.0)])
    (alert,) = raised([rock, boat], 600.0)
    e, n, _, _ = boat.at(alert.at_s)
    assert math.hypot(alert.track.east_m - e, alert.track.north_m - n) < 100.0
    assert alert.at_s <= from_s + 200.0  # 1.2 m/s: out of the errors of its place after two minutes


def hopping(hops: list[tuple[float, float, float]], step_s: float = 5.0) -> Ship:
    """A coast that shows another piece from each of (at_s, by east m, by north m) on, as a track follows it."""
    course = [(0.0, 0.0, 0.0)]
    for at_s, east_m, north_m in hops:
        course += [(at_s, east_m / step_s, north_m / step_s), (at_s + step_s, 0.0, 0.0)]
    return Ship(east=1500.0, north=2500.0, course=course)


@given(
    at_s=st.floats(40.0, 300.0), far_m=st.floats(90.0, 140.0), course=st.floats(0.0, 2.0 * math.pi),
    back=st.booleans(), seed=st.integers(1, 99),
)  # fmt: skip
@settings(max_examples=15)
def test_a_coast_that_shows_another_piece_is_not_dark(
    at_s: float, far_m: float, course: float, back: bool, seed: int
) -> None:
    e, n = far_m * math.sin(course), far_m * math.cos(course)
    coast = hopping([(at_s, e, n), *([(at_s + 80.0, -e, -n)] if back else [])])
    effects = run(
        Core(config((), (DARK,))), World(ships=[coast, FERRY], sigma_r=8.0, sigma_b=0.1, seed=seed).events(500.0)
    )
    assert not [a for a in alerts(effects) if a.state is AlertState.RAISED]


@pytest.mark.parametrize(("speed", "radius_m"), [(5.0, 150.0), (8.0, 100.0), (15.0, 300.0)])
def test_a_boat_that_goes_in_circles_is_dark(speed: float, radius_m: float) -> None:
    turn_s = radius_m / speed
    legs = [(float(t), speed * math.cos(t / turn_s), speed * math.sin(t / turn_s)) for t in range(0, 400, 2)]
    (alert,) = raised([Ship(east=1500.0, north=2500.0, course=legs)], 400.0)
    assert alert.at_s < 120.0


def test_a_ship_that_switches_its_ais_off_is_dark_after_the_rule_s_wait() -> None:
    ship = Ship(east=-2000.0, north=2500.0, course=[(0.0, 4.0, 0.0)], mmsi=224000002)
    world = World(ships=[ship, FERRY])
    events = [e for e in world.events(500.0) if not (getattr(e, "mmsi", None) == ship.mmsi and e.at_s > 200.0)]
    (alert,) = (a for a in alerts(run(Core(config((), (DARK,))), events)) if a.state is AlertState.RAISED)
    assert 275.0 <= alert.at_s <= 285.0  # the last report at 200 s, two that may have been lost, the wait
    assert alert.track.mmsi == ship.mmsi
    assert alert.reason_codes == ("ais-silent",)


def test_no_ship_is_silent_while_the_receiver_hears_nobody() -> None:
    ship = Ship(east=-2000.0, north=2500.0, course=[(0.0, 4.0, 0.0)], mmsi=224000002)
    events = World(ships=[ship, FERRY]).events(500.0)
    cut = [e for e in events if not (hasattr(e, "mmsi") and 200.0 < e.at_s < 295.0)]
    assert len(cut) < len(events)
    assert not [a for a in alerts(run(Core(config((), (DARK,))), cut)) if a.state is AlertState.RAISED]


def test_a_ship_whose_ais_and_echo_end_together_is_not_dark() -> None:
    ship = Ship(east=-2000.0, north=2500.0, course=[(0.0, 4.0, 0.0)], mmsi=224000002, until_s=200.0)
    assert not raised([ship], 500.0)


@pytest.mark.parametrize("ends_s", [295.0, 299.0])
def test_a_ship_that_is_not_the_first_one_heard_after_a_gap_is_not_silent(ends_s: float) -> None:
    """Another one's report ends the gap: it says nothing about the rest of the gap."""
    ship = Ship(east=-2000.0, north=2500.0, course=[(0.0, 4.0, 0.0)], mmsi=224000002, ais_from_s=9.0)
    events = World(ships=[ship, FERRY]).events(500.0)  # the ferry reports at whole tens of seconds
    cut = [e for e in events if not (isinstance(e, Ais) and 180.0 < e.at_s < ends_s)]
    assert not [a for a in alerts(run(Core(config((), (DARK,))), cut)) if a.state is AlertState.RAISED]


@given(
    kind=st.sampled_from(["a", "b", "sart"]), speed=st.floats(0.0, 20.0), age_s=st.floats(0.0, 600.0),
    gap_s=st.floats(10.0, 600.0), gap_ends_s=st.floats(-10.0, 600.0),
)  # fmt: skip
def test_silence_counts_only_beyond_six_of_the_longest_intervals_of_its_class(
    kind: str, speed: float, age_s: float, gap_s: float, gap_ends_s: float
) -> None:
    """What nobody was heard in counts for one interval."""
    s = Station(mmsi=1, kind=kind, source="ais", heard_s=0.0, x=np.array([0.0, 0.0, speed, 0.0]), p=np.eye(4))
    moving = {"a": speed > 1.55, "b": speed > 1.03}.get(kind, False)
    longest_s = {"a": 10.0, "b": 30.0}[kind] if moving else 180.0
    gap_s = min(gap_s, max(gap_ends_s, 0.0))
    heard_s = age_s - (max(gap_s - longest_s, 0.0) if gap_ends_s > 0.0 else 0.0)
    silent = heard_s > SILENT_INTERVALS * longest_s
    assert s.quiet_s(age_s, [(gap_ends_s, gap_s)]) == (heard_s - LOST_INTERVALS * longest_s if silent else 0.0)


def new(e: float, n: float, ve: float, vn: float) -> Known:
    track = Track(
        at_s=100.0, id=9, lat=43.0, lon=-8.0, east_m=e, north_m=n, cog_deg=0.0, sog_mps=math.hypot(ve, vn),
        cov=tuple(tuple(25.0 if i == j else 0.0 for j in range(4)) for i in range(4)), status=TrackStatus.CONFIRMED,
        sources=("radar-1",), confidence=0.9,
    )  # fmt: skip
    return Known(
        track=track, state=(e, n, ve, vn), kinds=1, share=1.0, hits=6, confirmed_s=100.0, static=False, ais_reports=0
    )


def ghost(vessel: int, e: float = 0.0, n: float = 0.0) -> Ghost:
    return Ghost(vessel=vessel, at_s=100.0, lost_s=math.inf, state=(e, n, 0.0, 0.0), sigma_m=5.0, mmsi=None)


@given(
    course=st.floats(0.0, 2.0 * math.pi), speed=st.floats(2.0, 30.0), ago_s=st.floats(0.0, 2.0 * SIDE_S),
    off_m=st.floats(-400.0, 400.0),
)  # fmt: skip
def test_who_comes_from_whose_side(course: float, speed: float, ago_s: float, off_m: float) -> None:
    ve, vn = speed * math.sin(course), speed * math.cos(course)
    across = off_m * math.cos(course), -off_m * math.sin(course)
    k = new(ve * ago_s + across[0], vn * ago_s + across[1], ve, vn)
    way_m = max(ago_s - SIDE_S, 0.0) * speed
    near = math.hypot(off_m, way_m) <= SIDE_M + 30.0
    if abs(math.hypot(off_m, way_m) - SIDE_M - 30.0) > 0.01:
        assert left_side([ghost(3)], k) == (3 if near else None)


def test_of_two_side_by_side_the_younger_has_left_and_nobody_leaves_the_side_of_one_ahead() -> None:
    k = new(200.0, 0.0, 10.0, 0.0)
    assert left_side([ghost(3), ghost(7, 20.0), ghost(8, 5000.0)], k) == 7
    assert left_side([ghost(3, 900.0)], k) is None
    standing = dataclasses.replace(k, state=(50.0, 0.0, 0.5, 0.0))
    assert left_side([ghost(3)], standing) is None


def test_the_boat_that_leaves_a_ship_s_side_belongs_to_its_situation() -> None:
    """It came with the ship, as one echo; another boat far off has a situation of its own."""
    ship = Ship(east=-1000.0, north=3000.0, course=[(0.0, 0.0, 2.0)])
    boat = Ship(east=-980.0, north=3000.0, course=[(0.0, 0.0, 2.0), (200.0, 12.0, 0.0)], from_s=195.0)
    other = Ship(east=3000.0, north=1000.0, course=[(0.0, 3.0, 0.0)], from_s=100.0)
    fast = Rule(name="fast", kind="speed", options={"min_mps": 10.0})
    found = raised([ship, boat, other], 400.0, (DARK, fast))
    situations: dict[str, set[int]] = {}
    for a in found:
        who = "other" if a.track.east_m > 2900.0 and a.track.north_m < 1500.0 else "pair"
        situations.setdefault(who, set()).add(a.situation)
    assert {a.rule for a in found} == {"dark-vessel", "speed"}
    assert {who: len(s) for who, s in situations.items()} == {"pair": 1, "other": 1}
