from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.messages import Nav, Tick
from agent.runtime.intake import PER_SOURCE, Intake
from support.clock import ManualClock


def nav(at_s: float, source: str = "gps") -> Nav:
    return Nav(at_s=at_s, source=source)


def test_late_events_are_put_in_place_and_ticks_stand_between() -> None:
    clock = ManualClock(100.0)
    intake = Intake(clock, tick_s=1.0, reorder_s=0.5)
    for at_s in (100.4, 100.2, 101.2, 100.9):
        intake.put("gps", nav(at_s))
    clock.t_s = 102.0
    got = [e.at_s for _, e in intake.take(0.0)]
    assert got == [100.2, 100.4, 100.9, 101.0, 101.2]


def test_events_leave_in_handfuls_and_a_tick_takes_all_before_it_along() -> None:
    clock = ManualClock(100.0)
    intake = Intake(clock, tick_s=1.1, reorder_s=0.0)  # ticks at whole multiples of 1.1: 100.1, 101.2
    for at_s in (100.04, 100.06, 100.15):
        intake.put("gps", nav(at_s))
    clock.t_s = 100.05
    assert intake.take(0.0) == []
    clock.t_s = 100.16
    assert [round(e.at_s, 6) for _, e in intake.take(0.0)] == [100.04, 100.06, 100.1], "the tick waits for no handful"
    clock.t_s = 100.25
    assert [e.at_s for _, e in intake.take(0.0)] == [100.15]


def test_a_flood_drops_its_own_and_starves_nobody() -> None:
    clock = ManualClock(100.0)
    intake = Intake(clock, tick_s=10.0, reorder_s=0.0)
    for i in range(PER_SOURCE + 500):
        intake.put("flood", nav(100.0, f"{i}"))
    intake.put("quiet", nav(100.0, "me"))
    taken = intake.take(0.0)
    assert any(e.source == "me" for _, e in taken if isinstance(e, Nav))
    assert intake.dropped == {"flood": 500}


def test_a_flood_stamped_a_little_ahead_fills_no_memory_and_starves_nobody() -> None:
    clock = ManualClock(100.0)
    intake = Intake(clock, tick_s=10.0, reorder_s=0.0)
    for _ in range(40):
        for _ in range(300):
            intake.put("flood", nav(104.0, "flood"))
        intake.take(0.0)
    intake.put("quiet", nav(104.0, "me"))
    assert intake.dropped == {"flood": 40 * 300 - PER_SOURCE}
    clock.t_s = 104.5
    taken = [e.source for _, e in intake.take(0.0) if isinstance(e, Nav)]
    assert (taken.count("flood"), taken.count("me")) == (PER_SOURCE, 1)
    intake.put("flood", nav(104.4, "flood"))
    assert [e.source for _, e in intake.take(0.0) if isinstance(e, Nav)] == ["flood"], "there is room again"


def test_events_from_the_future_are_dropped_and_counted() -> None:
    clock = ManualClock(100.0)
    intake = Intake(clock, tick_s=10.0, reorder_s=0.0)
    intake.put("gps", nav(1e6))
    clock.t_s = 105.0
    assert intake.take(0.0) == []
    assert intake.dropped["gps"] == 1


def test_after_a_suspend_not_every_missed_second_is_lived_through() -> None:
    clock = ManualClock(100.0)
    intake = Intake(clock, tick_s=1.0, reorder_s=0.0)
    clock.t_s = 100_000.5
    ticks = [e.at_s for _, e in intake.take(0.0)]
    assert len(ticks) == 2
    assert ticks[-1] == 100_000.0


@given(st.lists(st.floats(0.0, 5.0), max_size=60), st.lists(st.floats(0.01, 1.0), min_size=60, max_size=60))
@settings(deadline=None, max_examples=60)
def test_order_holds_and_nothing_is_lost_within_the_window(lateness: list[float], steps: list[float]) -> None:
    clock = ManualClock(1000.0)
    intake = Intake(clock, tick_s=1.0, reorder_s=5.0)
    out: list[Nav | Tick] = []
    put = 0
    for late_s, step_s in zip(lateness, steps, strict=False):
        clock.t_s += step_s
        intake.put("a", nav(clock.t_s - late_s))
        put += 1
        out += [e for _, e in intake.take(0.0) if isinstance(e, Nav | Tick)]
    clock.t_s += 6.0
    out += [e for _, e in intake.take(0.0) if isinstance(e, Nav | Tick)]
    assert [e.at_s for e in out] == sorted(e.at_s for e in out)
    assert sum(isinstance(e, Nav) for e in out) == put
    ticks = [e.at_s for e in out if isinstance(e, Tick)]
    assert ticks == [1001.0 + i for i in range(len(ticks))]
    assert ticks[-1] > clock.t_s - 5.0 - 1.0
