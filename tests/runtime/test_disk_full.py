"""The engine on a disk that fills: nothing is committed that a restart would not know, nothing is numbered twice."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agent.core import Core
from agent.messages import Alert, ClockChange, Effect, Event, Nav, SensorHealth, SensorState, TrackPicture
from agent.record import checkpoint
from agent.record.log import EventLog
from agent.runtime import configuration, engine
from agent.runtime.engine import Engine
from agent.runtime.intake import Intake
from publish.samples import alert
from support.clock import ManualClock

SITE = '[site]\nname = "Cabo"\nlat = 43.38\nlon = -8.40\nheight_m = 20\n'


@dataclass
class Sink:
    """An outbox that may refuse."""

    full: bool = False
    committed: list[Alert] = field(default_factory=list)

    def submit_alerts(self, alerts: Sequence[Alert]) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.committed += alerts

    def submit_tracks(self, picture: TrackPicture) -> None:
        assert picture is not None

    def submit_health(self, health: SensorHealth) -> None:
        assert health is not None

    def submit_clock(self, change: ClockChange) -> None:
        assert change is not None


@dataclass
class Disk:
    """What refuses to be written."""

    log: bool = False
    checkpoint: bool = False


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    """A disk with switches; a core that numbers an alert for every position it hears of."""
    state = Disk()
    append, write = EventLog.append, checkpoint.write_checkpoint

    def appending(self: EventLog, events: Sequence[tuple[float, Event]]) -> None:
        if state.log:
            raise OSError(errno.ENOSPC, "No space left on device")
        append(self, events)

    def writing(path: Path, c: checkpoint.Checkpoint, *, at_once: bool) -> int:
        if state.checkpoint:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(path, c, at_once=at_once)

    step = Core.step

    def alerting(self: Core, event: Event) -> tuple[Effect, ...]:
        effects = step(self, event)
        if not isinstance(event, Nav):
            return effects
        self._book._alert_id += 1
        return (*effects, alert(self._book._alert_id, at_s=event.at_s))

    monkeypatch.setattr(EventLog, "append", appending)
    monkeypatch.setattr(engine, "write_checkpoint", writing)
    monkeypatch.setattr(Core, "step", alerting)
    return state


killed: list[Engine] = []


@pytest.fixture(autouse=True)
def _let_go_of_files() -> Iterator[None]:
    """A process that is killed leaves no open file behind; a test has to close them."""
    yield
    while killed:
        it = killed.pop()
        it._log.close()
        it._told.close()


def boot(tmp_path: Path, sink: Sink, newest_alert: int = 0) -> Engine:
    config = tmp_path / "c.toml"
    config.write_text(SITE)
    it = Engine(configuration.load(config), tmp_path)
    killed.append(it)
    it.recover(newest_alert)
    clock = ManualClock(it.newest_s + 1.0)
    it._thread.start = lambda: None  # type: ignore[method-assign] # turn by turn, by hand
    it.start(clock, Intake(clock, tick_s=1.0, reorder_s=0.0), sink)
    return it


def hear(it: Engine, at_s: float) -> None:
    assert isinstance(it._clock, ManualClock)
    it._clock.t_s = at_s
    it._turn([(at_s, Nav(at_s=at_s, source="gps"))])


def ids(sink: Sink) -> list[int]:
    return [a.id for a in sink.committed]


def test_without_a_log_an_alert_is_committed_behind_a_checkpoint_that_knows_it(tmp_path: Path, disk: Disk) -> None:
    sink = Sink()
    it = boot(tmp_path, sink)
    disk.log = True
    hear(it, 101.0)
    assert ids(sink) == [1]
    after = Sink()  # kill -9: nothing is closed
    disk.log = False
    again = boot(tmp_path, after)
    hear(again, 102.0)
    assert {(a.id, a.at_s) for a in after.committed} <= {(1, 101.0), (2, 102.0)}
    assert after.committed[-1].id == 2


def test_without_log_and_checkpoint_an_alert_waits_and_a_restart_numbers_nothing_twice(
    tmp_path: Path, disk: Disk
) -> None:
    sink = Sink()
    it = boot(tmp_path, sink)
    disk.log = disk.checkpoint = True
    hear(it, 101.0)
    hear(it, 102.0)
    assert ids(sink) == []
    disk.log = False  # space again: what waited is in the log first, then committed
    hear(it, 103.0)
    assert ids(sink) == [1, 2, 3]
    after = Sink()
    boot(tmp_path, after)
    assert ids(after) == [1, 2, 3]  # the outbox knows these steps; nothing else is raised


def test_a_log_that_gave_events_up_is_never_replayed_across_the_gap(
    tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "UNLOGGED_MAX", 2)
    sink = Sink()
    it = boot(tmp_path, sink)
    disk.log = disk.checkpoint = True
    for k in range(5):
        hear(it, 101.0 + 2 * k)
    disk.log = disk.checkpoint = False
    hear(it, 120.0)
    assert ids(sink) == [1, 2, 3, 4, 5, 6]
    after = Sink()
    again = boot(tmp_path, after)
    assert again.newest_s >= 120.0
    assert again.core.newest_alert == 6


def test_a_log_that_refuses_from_the_start_makes_no_checkpoint_that_replays_it_all(tmp_path: Path, disk: Disk) -> None:
    it = boot(tmp_path, Sink())
    hear(it, 101.0)
    it.stop()
    disk.log = True
    hear(boot(tmp_path, Sink()), 110.0)
    disk.log = False
    after = Sink()
    again = boot(tmp_path, after)
    assert again.core.newest_alert == 2
    assert ids(after) in ([], [2])


def test_what_the_outbox_tells_of_itself_is_not_taken_back_by_the_next_alert(tmp_path: Path, disk: Disk) -> None:
    sink = Sink()
    it = boot(tmp_path, sink)
    note = SensorHealth(at_s=101.0, source="outbox", state=SensorState.DEGRADED, sentence="was damaged, a new one")
    it._turn([(101.0, note)])
    hear(it, 102.0)
    assert ids(sink)
    assert it.health["outbox"] == note
    sink.full = True
    it.health.clear()
    hear(it, 103.0)
    assert "cannot be committed" in it.health["outbox"].sentence
    sink.full = False
    hear(it, 104.0)
    assert "outbox" not in it.health


def test_an_outbox_that_refuses_leaves_the_alerts_in_the_checkpoint(tmp_path: Path, disk: Disk) -> None:
    assert not disk.log
    sink = Sink(full=True)
    it = boot(tmp_path, sink)
    hear(it, 101.0)
    it._checkpoint()
    after = Sink()
    boot(tmp_path, after)
    assert ids(after) == [1]


def test_ids_go_on_behind_the_outbox_when_log_and_checkpoint_are_lost(tmp_path: Path, disk: Disk) -> None:
    assert not disk.log
    sink = Sink()
    it = boot(tmp_path, sink, newest_alert=41)
    hear(it, 101.0)
    assert ids(sink) == [42]


def test_a_checkpoint_of_another_build_is_set_aside_and_the_box_starts(
    tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not disk.log
    it = boot(tmp_path, Sink())
    hear(it, 101.0)
    it._checkpoint()
    monkeypatch.setattr("agent.core.VERSION", 99)
    sink = Sink()
    again = boot(tmp_path, sink, newest_alert=1)
    hear(again, 102.0)
    assert ids(sink) == [2]
    assert (tmp_path / "core.broken").exists()
