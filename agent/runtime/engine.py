"""The core's thread: intake -> log -> core -> outbox, in this order, and checkpoints.

Promises:
- an event is in the log before the core acts on it; the log is synced before the alerts that rest on it are committed;
- alerts are committed to the outbox before anything is sent, and only when a restart would know them too: what they
  rest on is in the log, or in a checkpoint that covers what the log could not take (disk full). What cannot be
  committed is kept and tried again, and is part of every checkpoint meanwhile;
- ids never repeat, also after log and checkpoint were lost: they go on behind the newest that the outbox has seen;
- after kill -9: checkpoint + tail of the log give the same core again; alerts that the tail raises a second time carry
  the same (id, revision), and the outbox knows them;
- a log that cannot be written is reported and does not stop the watch; its events wait, bounded, to be written later;
- an event that makes the core fail ends the process once, not for ever: its half-done state is never checkpointed, and
  the next start passes over that event and reports it.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import threading
from typing import TYPE_CHECKING, Protocol, TypeVar

from agent.core import Core
from agent.errors import InputError, VigiaError
from agent.messages import (
    Alert,
    AlertState,
    ClockChange,
    ConfigChange,
    RuleHealth,
    SensorHealth,
    SensorState,
    TrackPicture,
)
from agent.record.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from agent.record.log import EventLog, ReadReport, read_log, settle
from agent.record.retention import DAY_S
from agent.record.told import ToldLog

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from agent.clock import Clock
    from agent.config.load import LoadedConfig
    from agent.messages import Effect, Event
    from agent.record.log import Position
    from agent.record.told import Told
    from agent.runtime.intake import Intake

log = logging.getLogger("vigia.core")
T = TypeVar("T")
UNLOGGED_MAX = 20_000  # events that wait for a log that cannot be written: some minutes of a busy coast
POISON_MAX = 10  # events of one tail that may be passed over because the core fails on them
TURN_S = 10.0  # that a stop waits for the turn under way
CHECKPOINT_WORTH = 1 << 18  # bytes of log before a checkpoint is written: seconds of a restart's replay ...
CHECKPOINT_WAITS = 6.0  # ... or how many periods have to have passed
CLOCK_STEP_S = 0.5  # a wall clock that moved by more than this is told to the core


class Sink(Protocol):
    """Where effects go: the publisher."""

    def submit_alerts(self, alerts: Sequence[Alert]) -> None:
        """Commit; returns when durable."""

    def submit_tracks(self, picture: TrackPicture) -> None:
        """Offer the newest tracks."""

    def submit_health(self, health: SensorHealth) -> None:
        """Offer a health report."""

    def submit_clock(self, change: ClockChange) -> None:
        """Tell of a step of the wall clock."""


class Engine:
    """Owns core, log and checkpoint. `recover` first, then `start`."""

    def __init__(self, loaded: LoadedConfig, directory: Path) -> None:
        self.loaded = loaded
        self.core = Core(loaded.config)
        self.progress = 0  # grows with every turn of the loop: what the watchdog watches
        self.picture: TrackPicture | None = None
        self.open_alerts: dict[int, Alert] = {}
        self.health: dict[str, SensorHealth] = {}
        self.rules: dict[str, RuleHealth] = {}
        self._said: dict[str, SensorState] = {}
        self.newest_s = 0.0
        self._log_dir = directory / "log"
        self._checkpoint_path = directory / "core.checkpoint"
        storage = loaded.config.storage
        self._log = EventLog(self._log_dir, storage.log_max_bytes, storage.log_max_age_days * DAY_S)
        self._told = ToldLog(directory, storage.log_max_age_days * DAY_S)
        self._pending: list[Alert] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="core", daemon=True)
        self._checkpoint_s = 0.0
        self._covered_bytes = 0  # of the log, by the last one
        self._alerted = False  # alerts have been committed since
        self._refused = False  # the last alerts could not be committed
        self._offset_s: float | None = None
        self._new_config: LoadedConfig | None = None
        self._unlogged: list[tuple[float, Event]] = []  # what the log could not take yet
        self._gap = False  # some of it was given up: only a checkpoint makes the log whole again
        self._refused_s = 0.0  # when the log last refused
        self._replaying = 0  # number of the event in the tail that recovery is at
        self._poison = ""
        self._failed = False  # the core raised: its state is not to be kept
        self._clock: Clock
        self._intake: Intake
        self.sink: Sink  # changed by a reload

    def recover(self, newest_alert: int = 0) -> str:
        """Bring back the core of the last run from checkpoint and log; one sentence on what was found.

        `newest_alert`: the highest alert id that the outbox has seen; new ones go on behind it.
        """
        checkpoint = self._read_checkpoint()
        position = None
        if checkpoint is not None:
            position, self.newest_s = checkpoint.position, checkpoint.at_s
        self._settle(position)
        passed: set[int] = set()
        while True:
            self._begin_from(checkpoint)
            try:
                found = self._replay_tail(position, passed)
                break
            except VigiaError:
                raise
            except Exception as e:
                if len(passed) >= POISON_MAX:
                    raise
                log.exception("event %d of the log's tail makes the core fail; it is passed over", self._replaying)
                passed.add(self._replaying)
                self._poison = f"{type(e).__name__}: {e}"
        # that the numbers jump stands in no event: a checkpoint has to know it before anything rests on it
        self._gap = self._gap or newest_alert > self.core.newest_alert
        self.core.continue_ids(newest_alert)
        before = "no checkpoint" if checkpoint is None else f"checkpoint of {checkpoint.at_s:.1f}"
        skipped = f", {len(passed)} events passed over that make the core fail" if passed else ""
        return f"{before}, {found}{skipped}"

    def _settle(self, position: Position | None) -> None:
        """Alerts will rest on the tail and on the checkpoint's name: a power cut must not take them back."""
        try:
            settle(self._log_dir, position)
        except OSError as e:
            log.warning("the log's tail cannot be forced to the disk: %s; a power cut may repeat alerts", e)
            self._gap = True  # a new checkpoint, durable before any alert, stands in for it

    def _read_checkpoint(self) -> Checkpoint | None:
        """The last checkpoint if this build can go on from it; one of another build is set aside."""
        checkpoint = read_checkpoint(self._checkpoint_path)
        if checkpoint is None:
            return None
        try:
            Core.restore(self.loaded.config, checkpoint.state)
        except InputError as e:
            log.warning("%s; tracks start anew, alert numbers go on", e)
            self._checkpoint_path.replace(self._checkpoint_path.with_suffix(".broken"))
            return Checkpoint(
                at_s=checkpoint.at_s, position=checkpoint.position, digest="", state=b"", pending=checkpoint.pending
            )
        return checkpoint

    def _begin_from(self, checkpoint: Checkpoint | None) -> None:
        """The core and the uncommitted alerts of the checkpoint; without its state, new ones."""
        self._pending = list(checkpoint.pending) if checkpoint is not None else []
        if checkpoint is None or not checkpoint.state:
            self.core = Core(self.loaded.config)
        else:
            self.core = Core.restore(self.loaded.config, checkpoint.state)

    def _replay_tail(self, position: Position | None, passed: set[int]) -> str:
        """Put the log behind `position` through the core, without the events numbered in `passed`."""
        report, self._replaying = ReadReport(), 0
        for _, event in read_log(self._log_dir, position, report):
            self._replaying += 1
            self.newest_s = max(self.newest_s, event.at_s)
            if self._replaying not in passed:
                self._take_effects(self.core.step(event), replayed=True)
        broken = f", {report.broken} broken blocks passed over" if report.broken else ""
        return f"{self._replaying} events replayed from the log{broken}"

    def start(self, clock: Clock, intake: Intake, sink: Sink) -> None:
        """Begin to live: commits what recovery left to commit, then takes events."""
        self._clock, self._intake, self.sink = clock, intake, sink
        now = clock.now()
        change = ConfigChange(at_s=now.t_s, digest=self.loaded.digest, toml=self.loaded.text)
        self._turn([(now.t_s, change)])
        if self._poison:
            self._trouble(
                "core", f"passed over an event in the log that made the core fail ({self._poison}): report it"
            )
        self._thread.start()

    def stop(self) -> None:
        """Finish the turn, write a checkpoint, close the log. Idempotent."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(TURN_S)
        if self._thread.is_alive():  # a state in the middle of a turn is none: log and last checkpoint are enough
            log.error("the core has not ended its turn within %.0f s; its last checkpoint stands", TURN_S)
            return
        if not self._failed:
            self._checkpoint()
        self._log.close()
        self._told.close()

    def alive(self) -> bool:
        """Whether the core's thread runs."""
        return self._thread.is_alive()

    def reconfigure(self, loaded: LoadedConfig) -> None:
        """Use another configuration from the next turn on; tracks and open alerts are kept."""
        self._new_config = loaded

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                events = self._intake.take(0.5)
                self._turn([*self._changes(), *events])
                if self._checkpoint_due(self._clock.now().t_s):
                    self._checkpoint()
                self.progress += 1
        except Exception:
            self._failed = True
            log.exception("the core has failed")

    def _changes(self) -> list[tuple[float, Event]]:
        """Changes of configuration and wall clock, as events."""
        out: list[tuple[float, Event]] = []
        now = self._clock.now()
        if (loaded := self._new_config) is not None:
            self._new_config = None
            self._take_up(loaded)
            out.append((now.t_s, ConfigChange(at_s=self._not_back(now.t_s), digest=loaded.digest, toml=loaded.text)))
        offset_s = now.wall_s - now.t_s
        if self._offset_s is None or abs(offset_s - self._offset_s) > CLOCK_STEP_S:
            self._offset_s = offset_s
            at_s = self._not_back(now.t_s)
            out.append((now.t_s, ClockChange(at_s=at_s, offset_s=round(offset_s, 3), error_ms=now.error_ms)))
        return out

    def _take_up(self, loaded: LoadedConfig) -> None:
        """The core under another configuration; where the site has moved, a new one whose numbers go on."""
        old = self.core
        try:
            self.core = Core.restore(loaded.config, old.state())
        except InputError as e:
            log.warning("%s; tracks start anew", e)
            self.core = Core(loaded.config)
            self.core.continue_ids(old.newest_alert)
        self.loaded = loaded

    def _not_back(self, now_s: float) -> float:
        """Changes take effect where the core is in time: a little behind now, by the reorder window."""
        return min(now_s, max(self.newest_s, now_s - self.loaded.config.tracking.reorder_s))

    def _turn(self, events: Sequence[tuple[float, Event]]) -> None:
        if events:
            self._append(events)
        for _, event in events:
            self.newest_s = max(self.newest_s, event.at_s)
            if isinstance(event, SensorHealth):
                self._note_health(event)
            elif isinstance(event, ClockChange):
                self._offer(self.sink.submit_clock, event)
            if isinstance(event, ClockChange | ConfigChange):
                self._remember([event])
            self._take_effects(self.core.step(event), replayed=False)
        if self._pending:
            self._commit()

    def _append(self, events: Sequence[tuple[float, Event]]) -> None:
        """Write to the log, with what it could not take before; what it refuses waits."""
        failing = "event-log" in self.health
        now_s = self._clock.now().t_s
        if self._gap:
            with contextlib.suppress(OSError):  # said below, with the log's own refusal
                self._write_checkpoint()  # never replay across a gap; it covers all but the new events
        self._unlogged += events
        try:
            if failing and now_s - self._refused_s < 1.0:
                return  # encoding all that waits takes a while: not at every turn
            self._log.append(self._unlogged)
        except OSError as e:
            self._refused_s = now_s
            over = len(self._unlogged) - UNLOGGED_MAX
            if over > 0:
                del self._unlogged[:over]
                self._gap = True
            if not failing:
                self._trouble(
                    "event-log", f"the event log in {self._log_dir} cannot be written: {e.strerror}; free space"
                )
        else:
            self._unlogged.clear()
            if failing and not self._gap:
                self._trouble("event-log", "the event log is written again", SensorState.OK)

    def _take_effects(self, effects: Sequence[Effect], *, replayed: bool) -> None:
        for effect in effects:
            if isinstance(effect, Alert):
                self._pending.append(effect)
                if effect.state is AlertState.CLEARED:
                    self.open_alerts.pop(effect.id, None)
                else:
                    self.open_alerts[effect.id] = effect
            elif isinstance(effect, TrackPicture):
                self.picture = effect
                if not replayed:
                    self.sink.submit_tracks(effect)
            else:
                self.rules[effect.rule_name] = effect
                if not replayed:
                    self._offer(self.sink.submit_health, _rule_health(effect))

    def _commit(self) -> None:
        try:
            if self._unlogged or self._gap:
                self._write_checkpoint()  # what the log lacks has to be known to a restart in another way
            self._log.sync()
            self.sink.submit_alerts(tuple(self._pending))
        except (OSError, sqlite3.Error, VigiaError) as e:
            self._refused = True
            self._trouble(
                "outbox", f"{len(self._pending)} alerts cannot be committed: {e}; kept and tried again; free space"
            )
            return
        for alert in self._pending:
            log.warning("alert %d.%d %s: %s", alert.id, alert.revision, alert.state, "; ".join(alert.reasons))
        self._remember(self._pending)
        self._pending.clear()
        self._alerted = True
        if self._refused:  # else it is the publisher that has something to tell (a new file for a damaged one)
            self._refused = False
            self._trouble("outbox", "alerts are committed again", SensorState.OK)

    def _remember(self, told: Sequence[Told]) -> None:
        """Keep what was told for `vigia export-evidence`; a disk that refuses costs the copy, never the alert."""
        try:
            self._told.add(told)
        except OSError as e:
            log.warning("what was told is not kept for evidence: %s; free space", e)

    def _offer(self, submit: Callable[[T], None], what: T) -> None:
        """Hand over what may be lost without harm: it comes again, or the next one says the same."""
        try:
            submit(what)
        except (OSError, sqlite3.Error, VigiaError) as e:
            log.debug("not taken by the outbox: %s", e)  # the publisher reports its own trouble

    def _checkpoint_due(self, now_s: float) -> bool:
        """A checkpoint shortens the replay after a crash: it waits until that is worth the wear of the disk.

        Not when there were alerts: an outbox that is lost as well would get what the replay raises a second time.
        """
        waited_s = now_s - self._checkpoint_s
        period_s = self.loaded.config.storage.checkpoint_s
        worth = self._log.appended_bytes - self._covered_bytes >= CHECKPOINT_WORTH
        return waited_s >= period_s and (self._alerted or worth or waited_s >= CHECKPOINT_WAITS * period_s)

    def _checkpoint(self) -> None:
        self._checkpoint_s = self._clock.now().t_s
        try:
            # a sync of its own costs several blocks of the file system's journal: only where the log has a hole
            self._write_checkpoint(at_once=bool(self._unlogged or self._gap))
        except OSError as e:
            self._trouble("checkpoint", f"{self._checkpoint_path} cannot be written: {e.strerror}; free space")
        else:
            if "checkpoint" in self.health:
                self._trouble("checkpoint", "checkpoints are written again", SensorState.OK)

    def _write_checkpoint(self, *, at_once: bool = True) -> None:
        """The core as it is now, which covers all events so far, also those that the log could not take.

        Raises:
            OSError: it cannot be written; the last one stands.

        """
        self._log.sync()
        write_checkpoint(
            self._checkpoint_path,
            Checkpoint(
                at_s=self.newest_s,
                position=self._log.position,
                digest=self.loaded.digest,
                state=self.core.state(),
                pending=tuple(self._pending),
            ),
            at_once=at_once,
        )
        self._covered_bytes = self._log.appended_bytes
        self._alerted = False
        self._unlogged.clear()
        self._gap = False

    def _note_health(self, health: SensorHealth) -> None:
        self.health[health.source] = health
        self._say(health)
        self._offer(self.sink.submit_health, health)

    def _say(self, health: SensorHealth) -> None:
        """Once on loss and once on recovery: attempts in between change the state, but are no news."""
        state = health.state
        if state is SensorState.STARTING or self._said.get(health.source) is state:
            return
        self._said[health.source] = state
        level = logging.INFO if state is SensorState.OK else logging.WARNING
        extra = {"sensor": health.source, "state": state.value}
        log.log(level, "sensor %s is %s: %s", health.source, state, health.sentence, extra=extra)

    def _trouble(self, source: str, sentence: str, state: SensorState = SensorState.DEGRADED) -> None:
        known = self.health.get(source)
        if known is not None and known.state is state:
            return
        self._note_health(SensorHealth(at_s=self.newest_s, source=source, state=state, sentence=sentence))
        if state is SensorState.OK:
            del self.health[source]


def _rule_health(rule: RuleHealth) -> SensorHealth:
    state = SensorState.DEGRADED if rule.suspended else SensorState.OK
    return SensorHealth(at_s=rule.at_s, source=f"rule:{rule.rule_name}", state=state, sentence=rule.sentence)
