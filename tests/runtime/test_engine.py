"""The engine after a core that failed: it starts again, once without the event, and says so."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from agent.core import Core
from agent.messages import Alert, ClockChange, Effect, Event, Nav, SensorHealth, Tick, TrackPicture
from agent.record.log import EventLog
from agent.runtime import configuration
from agent.runtime.engine import CHECKPOINT_WAITS, CHECKPOINT_WORTH, POISON_MAX, Engine
from agent.runtime.intake import Intake
from publish.samples import alert
from support.clock import ManualClock

SITE = '[site]\nname = "Cabo"\nlat = 43.38\nlon = -8.40\nheight_m = 20\n'


class Nobody:
    """A sink that takes everything."""

    def __init__(self) -> None:
        self.health: list[SensorHealth] = []

    def submit_alerts(self, alerts: Sequence[Alert]) -> None:
        assert alerts is not None

    def submit_tracks(self, picture: TrackPicture) -> None:
        assert picture is not None

    def submit_health(self, health: SensorHealth) -> None:
        self.health.append(health)

    def submit_clock(self, change: ClockChange) -> None:
        assert change is not None


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    config = tmp_path / "c.toml"
    config.write_text(SITE)
    log = EventLog(tmp_path / "log", 10_000_000)
    events: list[Event] = [Tick(at_s=100.0), Nav(at_s=100.5, source="bad"), Tick(at_s=101.0)]
    log.append([(e.at_s, e) for e in events])
    log.close()
    return Engine(configuration.load(config), tmp_path)


def fail_on(monkeypatch: pytest.MonkeyPatch, source: str) -> list[Event]:
    """A core that raises on measurements of `source`; the events that it took."""
    taken: list[Event] = []
    step = Core.step

    def broken(self: Core, event: Event) -> tuple[Effect, ...]:
        if isinstance(event, Nav) and event.source.startswith(source):
            raise ZeroDivisionError("division by zero")
        taken.append(event)
        return step(self, event)

    monkeypatch.setattr(Core, "step", broken)
    return taken


def test_the_event_is_passed_over_and_reported(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = fail_on(monkeypatch, "bad")
    assert "1 events passed over" in engine.recover()
    assert [e.at_s for e in taken[-2:]] == [100.0, 101.0]
    assert engine.core.now_s == 101.0
    sink = Nobody()
    clock = ManualClock(102.0)
    engine.start(clock, Intake(clock, tick_s=1.0, reorder_s=0.3), sink)
    engine.stop()
    assert [h.source for h in sink.health] == ["core"]
    assert "ZeroDivisionError" in sink.health[0].sentence


def test_a_core_that_fails_live_leaves_no_checkpoint(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    engine.recover()
    fail_on(monkeypatch, "worse")
    clock = ManualClock(102.0)
    intake = Intake(clock, tick_s=1.0, reorder_s=0.0)
    intake.put("worse", Nav(at_s=102.0, source="worse"))
    engine.start(clock, intake, Nobody())
    engine._thread.join(10.0)
    assert not engine.alive()
    before = engine._checkpoint_path.exists()
    engine.stop()
    assert engine._checkpoint_path.exists() == before


def test_a_core_that_fails_on_everything_is_not_hidden(
    tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = EventLog(tmp_path / "log", 10_000_000)
    log.append([(102.0 + i, Nav(at_s=102.0 + i, source=f"bad{i}")) for i in range(POISON_MAX)])
    log.close()
    fail_on(monkeypatch, "bad")
    with pytest.raises(ZeroDivisionError):
        engine.recover()


def test_a_checkpoint_waits_until_it_is_worth_it_but_not_after_an_alert(engine: Engine) -> None:
    engine.recover()
    clock = ManualClock(102.0)
    engine._thread.start = lambda: None  # type: ignore[method-assign] # turn by turn, by hand
    engine.start(clock, Intake(clock, tick_s=1.0, reorder_s=0.0), Nobody())
    engine._checkpoint()
    period_s = engine.loaded.config.storage.checkpoint_s
    begun_s = clock.t_s
    assert not engine._checkpoint_due(begun_s + period_s), "nothing has come since"
    assert engine._checkpoint_due(begun_s + CHECKPOINT_WAITS * period_s)
    engine._pending.append(alert(1))
    clock.t_s += 1.0
    engine._turn([(clock.t_s, Tick(at_s=clock.t_s))])
    assert not engine._checkpoint_due(begun_s + period_s - 1.0)
    assert engine._checkpoint_due(begun_s + period_s), "an alert was committed"
    engine._checkpoint()
    assert not engine._checkpoint_due(clock.t_s + period_s)
    name = "".join(f"{n * 2654435761 % 2**32:08x}" for n in range(CHECKPOINT_WORTH // 4))  # halves in the log
    engine._turn([(clock.t_s, Nav(at_s=clock.t_s, source=name[len(name) // 2 :]))])
    assert not engine._checkpoint_due(clock.t_s + period_s), "not by enough"
    engine._turn([(clock.t_s, Nav(at_s=clock.t_s, source=name))])
    assert engine._checkpoint_due(clock.t_s + period_s), "the log has grown"
    engine.stop()


def test_what_a_killed_box_left_unsynced_is_on_the_disk_before_a_restart_goes_on_from_it(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut after the restart would else take back events that alerts rest on, and numbers come twice."""
    (segment,) = (tmp_path / "log").iterdir()
    forced: list[str] = []
    before: list[str] = []
    fsync, step = os.fsync, Core.step

    def recorded(fd: int) -> None:
        forced.append(str(Path(f"/proc/self/fd/{fd}").readlink()))
        fsync(fd)

    def watched(self: Core, event: Event) -> tuple[Effect, ...]:
        before.extend(forced)
        return step(self, event)

    monkeypatch.setattr(os, "fsync", recorded)
    monkeypatch.setattr(Core, "step", watched)
    assert "3 events replayed" in engine.recover()
    assert {str(segment), str(tmp_path / "log"), str(tmp_path)} <= {*before}


def test_a_restart_after_a_restart_goes_on_behind_the_numbers_that_the_outbox_knew(
    engine: Engine, tmp_path: Path
) -> None:
    engine.recover(newest_alert=50)
    clock = ManualClock(102.0)
    engine._thread.start = lambda: None  # type: ignore[method-assign] # turn by turn, by hand
    engine.start(clock, Intake(clock, tick_s=1.0, reorder_s=0.0), Nobody())  # and is killed at once
    again = Engine(engine.loaded, tmp_path)
    again.recover()
    assert again.core.newest_alert == 50
    engine._log.close()
    engine._told.close()


def test_a_stop_in_the_middle_of_a_turn_writes_no_checkpoint(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.recover()
    clock = ManualClock(102.0)
    intake = Intake(clock, tick_s=1.0, reorder_s=0.0)
    inside, go_on = threading.Event(), threading.Event()

    def slow(_: float) -> list[tuple[float, Event]]:
        inside.set()
        go_on.wait(30.0)
        return []

    monkeypatch.setattr(intake, "take", slow)
    monkeypatch.setattr("agent.runtime.engine.TURN_S", 0.05)
    engine.start(clock, intake, Nobody())
    assert inside.wait(30.0)
    (tmp_path / "core.checkpoint").unlink(missing_ok=True)
    engine.stop()
    assert not (tmp_path / "core.checkpoint").exists()
    go_on.set()
    engine.stop()
    engine._thread.join(30.0)
    engine.stop()
    assert (tmp_path / "core.checkpoint").exists()
