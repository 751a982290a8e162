"""Several AIS receivers: what one does not hear while it is silent proves nothing where another one hears nobody."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config.schema import Rule, Sensor
from agent.core import Core
from agent.fusion.receivers import COVER_S, GAP_S, SECTORS, Receiver
from agent.messages import Ais, Alert, AlertState, Event, SensorHealth, SensorState

from .world import Ship, World, alerts, config, health, run

DARK = Rule(name="no AIS", kind="dark-vessel", options={"ais_wait_s": 60.0})
FERRY = Ship(east=4000.0, north=6000.0, course=[(0.0, -4.0, 0.0)], mmsi=224000001)  # both receivers hear it
SHIP = Ship(east=-4000.0, north=-2500.0, course=[(0.0, 2.0, 0.0)], mmsi=224000002)  # the far one alone hears it
BEHIND = Ship(east=-5500.0, north=-2900.0, course=[(0.0, 1.0, 0.2)], from_s=320.0)  # it comes there, and sends no AIS
DEAD, BACK = 200.5, 1300.5  # when the far receiver falls silent, and is heard again
Hears = Callable[[Ais], bool]


def near(m: Ais) -> bool:
    return m.mmsi == FERRY.mmsi


def far(m: Ais) -> bool:
    return not DEAD < m.at_s < BACK


def heard(ships: list[Ship], duration_s: float, *, by_near: Hears = near, by_far: Hears = far) -> list[Event]:
    """The events of a coast whose AIS two receivers hear, each its part, the far one a moment later."""
    out: list[Event] = []
    for e in World(ships=[*ships, FERRY]).events(duration_s):
        if not isinstance(e, Ais):
            out.append(e)
            continue
        out += [replace(e, source="near")] if by_near(e) else []
        out += [replace(e, source="far")] if by_far(e) else []
    return out


def raised(events: list[Event]) -> list[Alert]:
    return [a for a in alerts(run(Core(config((), (DARK,))), events)) if a.state is AlertState.RAISED]


def test_a_ship_that_only_the_silent_receiver_hears_is_not_dark() -> None:
    """Not within minutes, nor when its station has been forgotten, nor in the first minute after the outage."""
    assert not raised(heard([SHIP], 1500.0))


def test_it_is_dark_when_the_receiver_hears_others_again_and_not_it() -> None:
    events = heard([SHIP], 1500.0, by_far=lambda m: far(m) and (m.mmsi == FERRY.mmsi or m.at_s < BACK))
    (alert,) = raised(events)
    assert BACK + 55.0 <= alert.at_s <= BACK + 75.0


def test_who_went_silent_before_the_receiver_did_stays_due() -> None:
    events = heard([SHIP], 700.0, by_far=lambda m: m.at_s < 300.0 and (m.mmsi == FERRY.mmsi or m.at_s < 150.0))
    (alert,) = raised(events)
    assert alert.at_s < 240.0
    assert alert.reason_codes == ("ais-silent",)


def test_a_ship_that_the_other_receiver_hears_too_is_dark_during_the_outage() -> None:
    off_s = 300.0
    events = heard([SHIP], 600.0, by_near=lambda m: near(m) or m.at_s <= off_s)
    (alert,) = raised(events)
    assert off_s + 75.0 <= alert.at_s <= off_s + 85.0  # as with one receiver: tests/core/test_dark.py
    assert alert.track.mmsi == SHIP.mmsi


def test_where_only_the_silent_receiver_heard_ships_the_rule_is_suspended_and_says_why() -> None:
    effects = run(Core(config((), (DARK,))), heard([SHIP, BEHIND], 1600.0))
    (alert,) = (a for a in alerts(effects) if a.state is AlertState.RAISED)
    assert alert.track.north_m < -2500.0
    assert BACK + 55.0 <= alert.at_s <= BACK + 75.0  # it is heard again, and does not hear this one
    said = [(h.suspended, h.sentence) for h in health(effects) if h.at_s > DEAD]
    assert said == [(True, "there are vessels whose AIS only far would hear, now silent"), (False, "")]


def test_elsewhere_it_goes_on() -> None:
    boat = Ship(east=2500.0, north=3500.0, course=[(0.0, 2.0, -2.0)], from_s=320.0)  # where the ferry is heard
    quiet = Ship(east=2500.0, north=-1500.0, course=[(0.0, 3.0, 0.0)], from_s=320.0)  # where nobody was ever heard
    found = raised(heard([SHIP, boat, quiet], 600.0))
    assert len(found) == 2
    assert all(a.at_s < 480.0 for a in found)


@pytest.mark.parametrize("state", [SensorState.UNAVAILABLE, SensorState.UNSUPPORTED])
def test_a_receiver_known_to_be_broken_is_missing_at_once(state: SensorState) -> None:
    at_s = BEHIND.from_s - 10.0
    events = heard([SHIP, BEHIND], 800.0, by_far=lambda m: m.at_s < at_s)
    events.append(SensorHealth(at_s=at_s, source="far", state=state, sentence="gone"))
    assert not raised(sorted(events, key=lambda e: e.at_s))


def test_a_checkpoint_in_the_outage_keeps_what_was_heard_by_whom() -> None:
    events = heard([SHIP, BEHIND], 1500.0)
    whole = Core(config((), (DARK,)))
    cut = next(i for i, e in enumerate(events) if e.at_s > 900.0)
    run(whole, events[:cut])
    again = Core.restore(config((), (DARK,)), whole.state())
    assert run(again, events[cut:]) == run(whole, events[cut:])
    assert again.state() == whole.state()


def test_a_receiver_that_is_configured_no_more_is_not_missed() -> None:
    events = heard([SHIP, BEHIND], 800.0)
    core = Core(config((), (DARK,)))
    cut = next(i for i, e in enumerate(events) if e.at_s > BEHIND.from_s)
    assert not alerts(run(core, events[:cut]))
    named = (
        Sensor(name="near", driver="ais", url="udp://127.0.0.1:1"),
        Sensor(name="radar-1", driver="ttm", url="udp://127.0.0.1:2"),
    )
    found = alerts(run(Core.restore(config((), (DARK,), sensor=named), core.state()), events[cut:]))
    assert [a.track.north_m < -2500.0 for a in found if a.state is AlertState.RAISED and a.track.mmsi is None]


@given(
    bearing=st.floats(0.0, 359.9), far_m=st.floats(1.0, 90_000.0), at_s=st.floats(0.0, 1e6),
    later_s=st.floats(0.0, 3.0 * COVER_S),
)  # fmt: skip
def test_cover_is_of_one_direction_and_fades_while_it_listens(
    bearing: float, far_m: float, at_s: float, later_s: float
) -> None:
    def off(degrees: float, range_m: float) -> tuple[float, float]:
        a = math.radians(degrees)
        return range_m * math.sin(a), range_m * math.cos(a)

    r = Receiver(name="r")
    r.place(at_s, *off(bearing, far_m))
    assert math.isclose(r.cover_m(*off(bearing, 5.0)), far_m)
    assert r.cover_m(*off(bearing + 360.0 / SECTORS, 5.0)) == 0.0
    behind = off(bearing + 180.0, 10.0)
    r.place(at_s + later_s, *behind)
    assert math.isclose(r.cover_m(*off(bearing, 5.0)), far_m)  # it fell silent: what it had stays
    r.place(at_s + later_s + 1.1 * COVER_S, *behind)
    assert (r.cover_m(*off(bearing, 5.0)) == 0.0) == (later_s > COVER_S)


@given(times=st.lists(st.floats(0.0, 2000.0), min_size=1, max_size=20), healthy_s=st.floats(GAP_S, 600.0))
def test_gaps_and_life_are_its_own_messages_only(times: list[float], healthy_s: float) -> None:
    times = sorted(times)
    r = Receiver(name="r")
    for t in times:
        r.hear(t, healthy_s)
    steps = [(b, b - a) for a, b in itertools.pairwise(times) if b - a > GAP_S]
    assert r.gaps == steps
    assert r.heard_s == times[-1]
    assert r.alive_s == next((end for end, long_s in reversed(steps) if long_s > healthy_s), times[0])
    r.forget(times[-1] - 500.0)
    assert r.gaps == [g for g in steps if g[0] >= times[-1] - 500.0]
    assert Receiver.of(r.row()) == r
