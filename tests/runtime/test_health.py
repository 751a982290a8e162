from __future__ import annotations

from agent.messages import SensorState
from agent.runtime.backoff import Backoff
from agent.runtime.health import HealthTracker


def test_silence_is_told_once_and_recovery_once() -> None:
    h = HealthTracker("radar", stale_s=5.0, now_s=0.0)
    states = []
    for t in range(60):
        if t < 5 or t > 40:
            h.data(float(t))
        if (report := h.judge(float(t), {"units": t})) is not None:
            states.append((t, report.state))
    assert states[0] == (0, SensorState.OK)
    assert [s for s in states if s[1] is SensorState.STALE] == [(10, SensorState.STALE), (40, SensorState.STALE)]
    assert states[-1] == (41, SensorState.OK)


def test_mostly_broken_input_is_degraded_with_the_sentence() -> None:
    h = HealthTracker("radar", stale_s=15.0, now_s=0.0)
    for t in range(30):
        h.data(float(t))
        h.judge(float(t), {"units": t * 10, "errors": t * 8}, "checksum is 4A, should be 4B")
    assert h.state is SensorState.DEGRADED
    assert "should be 4B" in h.sentence


def test_silence_tells_why_where_it_is_known() -> None:
    h = HealthTracker("radar", stale_s=5.0, now_s=0.0)
    h.data(0.0)
    h.judge(20.0, {}, note=(SensorState.DEGRADED, "somebody else put it into standby"))
    assert (h.state, h.sentence[-35:]) == (SensorState.STALE, ": somebody else put it into standby")
    h.judge(40.0, {}, note=(SensorState.OK, "looks for 10 of every 60 s"))
    assert h.sentence == "nothing usable received for over 5 s"


def test_figures_go_with_the_counters() -> None:
    h = HealthTracker("radar", stale_s=15.0, now_s=0.0)
    h.data(0.0)
    report = h.judge(1.0, {"turns": 3}, figures={"turn_s": 2.5, "turn_lost": 7.0})
    assert report is not None
    assert report.counters == (("turn_lost", 7.0), ("turn_s", 2.5), ("turns", 3.0))


def test_a_sensor_that_has_gone_keeps_its_last_counters_until_it_is_opened_again() -> None:
    h = HealthTracker("radar", stale_s=15.0, now_s=0.0)
    h.data(0.0)
    h.judge(0.0, {"units": 3, "errors": 0})
    assert h.judge(1.0, {"units": 9, "errors": 2}, figures={"turn_s": 2.5}) is None  # not told then, and known
    h.unavailable("the recording is over")
    for at_s in (2.0, 40.0):
        report = h.judge(at_s, {})
        assert report is not None
        assert report.counters == (("errors", 2.0), ("turn_s", 2.5), ("units", 9.0))
    h.opened(41.0)
    anew = h.judge(50.0, {})
    assert anew is not None
    assert anew.counters == ()


def test_unavailable_then_open() -> None:
    h = HealthTracker("radar", stale_s=15.0, now_s=0.0)
    h.unavailable("/dev/ttyUSB0 is not there")
    first = h.judge(1.0, {})
    assert first is not None
    assert first.state is SensorState.UNAVAILABLE
    assert h.judge(2.0, {}) is None
    h.opened(3.0)
    h.data(3.5)
    again = h.judge(4.0, {})
    assert again is not None
    assert again.state is SensorState.OK


def test_backoff_grows_and_starts_anew_after_success_that_held() -> None:
    b = Backoff(first_s=1.0, max_s=8.0)
    assert [b.failure(float(i)) for i in range(5)] == [1.0, 2.0, 4.0, 8.0, 8.0]
    b.success(10.0)
    assert b.failure(11.0) == 8.0  # it flapped
    b.success(12.0)
    assert b.failure(30.0) == 1.0
