"""The publisher: Vigía's way to the shared picture over MQTT.

Promises:
- `submit_alerts` returns after the alerts are in the outbox on disk, whatever the link does; only then are they sent;
- the publisher's thread never blocks on the network for more than half a second (dialling has a thread of its own),
  so its progress counter stands still only when it is really stuck;
- a broker that is away or refuses is one sentence to `on_health` and growing delays up to `retry_max_s`, no loss;
- no sentence shows a password.

One publisher is one boot: a new configuration is a new publisher, with a new boot id and a new birth.
"""

from __future__ import annotations

import contextlib
import re
import secrets
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agent import __version__
from agent.errors import ConfigError, ProtocolError, VigiaError
from agent.geo import LocalFrame
from agent.messages import SensorHealth, SensorState, Severity
from agent.publish import birth as births
from agent.publish import cose, kinematics, records, wire
from agent.publish.birth import Birth
from agent.publish.commands import Desk
from agent.publish.courier import Courier
from agent.publish.encoder import Encoder
from agent.publish.entries import RANK_HEALTH, RANK_HIGH, RANK_LOW, RANK_MEDIUM, RANK_NOTE, Entry
from agent.publish.notes import Notes
from agent.publish.outbox import SupersededError
from agent.publish.sender import Sender, Tuning
from agent.publish.trackfeed import Tracks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agent.clock import Clock
    from agent.config.schema import Publish, Site
    from agent.messages import Alert, ClockChange, TrackPicture
    from agent.publish.commands import Command
    from agent.publish.cose import NodeKey
    from agent.publish.entries import Run
    from agent.publish.losses import Forced
    from agent.publish.outbox import Outbox

OUTBOX = "outbox"
LOSS_TOLD_S = 600.0  # how long a damage or loss that is over stays the outbox' state
_CLOCK_STEP_MS = 500  # a smaller correction of the wall clock is not worth a new birth
_RANKS = {
    Severity.HIGH: RANK_HIGH,
    Severity.MEDIUM: RANK_MEDIUM,
    Severity.LOW: RANK_LOW,
}
_NUMBERS = re.compile(r"\d+(?:[.,]\d+)*")


@dataclass(slots=True, kw_only=True)
class _Reported:
    """The last health message of one sensor."""

    state: SensorState
    pattern: str  # its sentence without the numbers
    at: float
    message_id: int


class Publisher:
    """Takes alerts, tracks and health; sends them to the broker of `config`.

    `clock` gives logic and wall time; `on_health` hears of the link and the outbox, from any thread. Names of
    `sensors`, `rules` (kind, name) and `zones` go into the birth; others are learned as they come. With a `key` births
    and seals are signed; `carry_out` does what a command asks and says what it did.
    """

    def __init__(
        self,
        config: Publish,
        site: Site,
        outbox: Outbox,
        clock: Clock,
        on_health: Callable[[SensorHealth], None],
        *,
        boot: int | None = None,
        sensors: Sequence[str] = (),
        rules: Sequence[tuple[str, str]] = (),
        zones: Sequence[str] = (),
        tuning: Tuning | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        key: NodeKey | None = None,
        carry_out: Callable[[Command], str] | None = None,
    ) -> None:
        self._monotonic = monotonic
        self._config = self._configured = config
        self._node = site.node_id
        self._outbox = outbox
        self._clock = clock
        self._on_health = on_health
        self._tuning = tuning or Tuning()
        self.boot = outbox.free_boot(iter(random_boot, 0)) if boot is None else boot
        self._encoder_lock = threading.Lock()
        self._key = key if config.sign else None
        self._encoder = self._make_encoder(site, sensors, rules, zones)
        seal = None if self._key is None else self._encode_seal
        outbox.start_boot(self.boot, self._encoder.birth(), self._encode_loss, seal)
        self._desk = None if carry_out is None or not config.command_keys else self._make_desk(carry_out)
        self._tracks = Tracks(
            self._encoder, self._encoder_lock, LocalFrame(lat=site.lat, lon=site.lon), error_m=config.track_error_m,
            max_age_s=config.track_max_age_s, batch_s=config.track_batch_s, monotonic=monotonic,
            sign=config.sign_tracks,
        )  # fmt: skip
        self._sender = Sender(
            outbox, node=self._node, boot=self.boot, by_picture=config.acknowledge == "picture", window=config.window,
            birth=self._birth, older_birth=self._older_birth, tracks=self._tracks, tuning=self._tuning,
            brief=config.session_every_s > 0, answered=self._answered,
        )  # fmt: skip
        self._health_lock = threading.RLock()  # `on_health` may hand its own health straight back
        self._reported: dict[str, _Reported] = {}
        self._deferred: dict[str, SensorHealth] = {}
        self._notes = Notes()
        self._lost = outbox.totals()[2]
        self._stopping = threading.Event()
        self._stop_by = 0.0
        self._thread: threading.Thread | None = None
        self._next_chore = 0.0
        self._images = 0
        self._alerts_since_seal = False
        self._next_seal = monotonic() + config.health_s
        self._courier = Courier(
            config, outbox, self._sender, self._tracks, self._tuning, node=self._node, boot=self.boot,
            monotonic=monotonic, wall=lambda: clock.now().wall_s, report=self._report, state=self._state,
            command=self._command,
        )  # fmt: skip
        self._last_report: dict[str, tuple[SensorState, str]] = {}
        self._outbox_trouble: tuple[SensorState, float] | None = None  # not ok since (monotonic)
        self._progress = 0

    # ------------------------------------------------------------------ for the core

    def start(self) -> None:
        """Begin to send."""
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """Send what is new for at most `timeout` seconds, say goodbye, and end. The outbox stays open. Idempotent."""
        self._stop_by = self._monotonic() + timeout * 0.8
        self._stopping.set()
        self._courier.wake()
        if self._thread is None:
            self._courier.say_goodbye()
        else:
            self._thread.join(timeout)
            if self._thread.is_alive():
                return  # it still uses them
        if self._desk is not None:
            self._desk.stop()
        self._courier.close()

    def submit_alerts(self, alerts: Sequence[Alert]) -> None:
        """Commit alerts, then send them. Steps that the outbox has had before are not taken again.

        Raises:
            VigiaError: the disk did not take them; nothing of this call is stored, so call again with the same.

        """
        self._commit([self._alert_entry(alert) for alert in alerts])
        if alerts:
            self._alerts_since_seal = True
            self._courier.hurry()

    def submit_tracks(self, picture: TrackPicture) -> None:
        """The newest picture; what of it is worth sending is decided when there is room to send."""
        self._tracks.submit(picture)

    def submit_health(self, health: SensorHealth) -> None:
        """Send a health state if it changed or `health_s` has passed; a flapping one only now and then.

        Raises:
            VigiaError: the disk did not take it.

        """
        with self._health_lock:
            self._consider_health(health, self._monotonic())

    def submit_clock(self, change: ClockChange) -> None:
        """The wall clock stepped: correct the time that the receiver puts on this boot's messages.

        Raises:
            VigiaError: the disk did not take the new birth.

        """
        t0_ms = round((self._encoder.born_at_s + change.offset_s) * 1000)
        with self._encoder_lock:
            if abs(t0_ms - self._encoder.tables.birth.t0_ms) < _CLOCK_STEP_MS:
                return
            self._encoder.tables.correct_clock(t0_ms)
            self._outbox.save_birth(self._encoder.birth())
        self._courier.wake()

    def status(self) -> dict[str, Any]:
        """For `vigia status` and the watchdog: `progress` grows as long as the publisher's thread lives."""
        queued, size, lost = self._outbox.totals()
        return {
            "node": self._node, "boot": self.boot, "connected": self._courier.let_in,
            "protocol": self._courier.protocol_name(),
            "queued": queued, "queued_bytes": size, "in_flight": self._sender.in_flight,
            "unacknowledged": self._sender.unacknowledged, "sent": self._sender.sent_total,
            "acked": self._sender.acknowledged_total, "lost": lost, "quarantined": self._sender.quarantined_total,
            "last_error": self._courier.last_error, "progress": self._progress, "profile": self._config.profile,
            "profile_by": "measurement" if self._configured.profile == "auto" else "configuration",
            "link": self._courier.meter.measured(self._monotonic()), "broker": self._courier.choice,
            "commands_refused": 0 if self._desk is None else self._desk.refused, **self._courier.traffic_status(),
        }  # fmt: skip

    # ------------------------------------------------------------------ into the outbox

    def _commit(self, entries: Sequence[Entry]) -> list[int]:
        if not entries:
            return []
        with self._encoder_lock:
            committed = self._outbox.append(entries, birth=self._encoder.birth, boot=self.boot)
        self._sender.announce(committed.messages, self._monotonic())
        self._courier.wake()
        for sentence in committed.refused:
            self._report(OUTBOX, SensorState.DEGRADED, sentence)
        return [m.id for m in committed.messages if m.kind != "l"]

    def _alert_entry(self, alert: Alert) -> Entry:
        return Entry(
            kind="a",
            rank=_RANKS[alert.severity],
            encode=lambda seq: self._encoder.alert(alert, seq),
            key=(alert.id, alert.revision, round(alert.at_s * 10)),
        )

    def _encode_loss(self, forced: Forced, seq: int) -> bytes:
        loss = wire.Loss(boot=forced.boot, ranges=forced.ranges, alerts=forced.alerts, others=forced.others)
        return self._encoder.loss(loss, seq, self._clock.now().t_s)

    def _encode_seal(self, run: Run, seq: int) -> bytes:
        if self._key is None:
            raise ConfigError("nothing can be sealed without a key")
        head = self._encoder.head(seq, self._clock.now().t_s)
        return records.encode_seal(head, run, self._encoder.topic("v"), self._key)

    def send_image(self, sensor: str, command: bytes, jpeg: bytes) -> None:
        """A picture that a command asked for; sent once, and not kept where there is no link.

        Raises:
            ProtocolError: it is too large for the link.

        """
        if len(jpeg) > records.IMAGE_MAX_BYTES - 200:
            raise ProtocolError(f"the picture of {sensor} has {len(jpeg)} bytes: too large to be sent")
        with self._encoder_lock:
            self._images += 1
            head = self._encoder.head(self._images, self._clock.now().t_s)
            payload = records.encode_image(head, self._encoder.tables.index("sensors", sensor), command, jpeg)
        self._sender.offer("i", payload)
        self._courier.wake()

    def _make_desk(self, carry_out: Callable[[Command], str]) -> Desk:
        return Desk(
            node=self._node, keys=[bytes.fromhex(k) for k in self._config.command_keys],
            allowed=self._config.commands, outbox=self._outbox, wall=lambda: self._clock.now().wall_s,
            carry_out=carry_out, reply=self._reply,
        )  # fmt: skip

    def _command(self, payload: bytes, retained: bool) -> None:
        if self._desk is not None:
            self._desk.take(payload, retained)

    def _reply(self, command: bytes, done: bool, sentence: str) -> None:
        if self._key is None:
            return  # nobody could believe it

        def encode(seq: int) -> bytes:
            head = self._encoder.head(seq, self._clock.now().t_s)
            topic, key = self._encoder.topic("r"), self._key
            return b"" if key is None else records.encode_reply(head, command, sentence, topic, key, done=done)

        self._commit([Entry(kind="r", rank=RANK_HIGH, encode=encode)])

    def _consider_health(self, health: SensorHealth, now: float) -> None:
        self._notice_losses()
        last = self._reported.get(health.source)
        pattern = _NUMBERS.sub("#", health.sentence)
        changed = last is None or (last.state, last.pattern) != (health.state, pattern)
        if last is not None:
            if changed and now - last.at < self._tuning.health_gap_s:
                self._deferred[health.source] = health
                return
            due = now - last.at >= self._config.health_s
            if not changed and (not due or self._outbox.get(last.message_id) is not None):
                self._deferred.pop(health.source, None)  # it is back where the picture thinks it is
                return
        ids = self._commit_health(health, changed=changed)
        self._deferred.pop(health.source, None)
        self._reported[health.source] = _Reported(
            state=health.state, pattern=pattern, at=now, message_id=ids[-1] if ids else 0
        )

    def _commit_health(self, health: SensorHealth, *, changed: bool) -> list[int]:
        """A change says the number of its sentence; the sentence itself, and what else is long, is a note before it."""
        number, told = self._notes.number(health.sentence)
        expires_s = int(health.at_s + self._config.health_expire_s)
        entries = [Entry(
            kind="h", rank=RANK_HEALTH, expires_s=expires_s,
            encode=lambda seq: self._encoder.health(health, seq, number if changed else None),
        )]  # fmt: skip
        with self._encoder_lock:
            needs_note = changed and (not told or self._encoder.left_out(health, number))
        if needs_note:
            entries.insert(0, Entry(
                kind="n", rank=RANK_NOTE, expires_s=expires_s,
                encode=lambda seq: self._encoder.note(health, seq, number, told=told),
            ))  # fmt: skip
        ids = self._commit(entries)
        if needs_note:
            self._notes.told(health.sentence, number)
        return ids

    def _notice_losses(self) -> None:
        """What was given up may have been a sentence: every sensor tells its own again."""
        lost = self._outbox.totals()[2]
        if lost != self._lost:
            self._lost = lost
            self._notes.forget()
            for reported in self._reported.values():
                reported.pattern = ""

    def _older_birth(self, boot: int) -> bytes | None:
        """The birth of an older boot; signed now where it was made before the box had a key."""
        payload = self._outbox.birth(boot)
        if payload is None or self._key is None:
            return payload
        try:
            birth = births.decode(payload)
        except ProtocolError:
            return payload  # the disk has changed it: the picture will say so
        return payload if birth.key else births.encode(birth, self._key)

    def _birth(self) -> tuple[int, bytes]:
        with self._encoder_lock:
            return self._encoder.tables.edition, self._encoder.birth()

    def _make_encoder(
        self, site: Site, sensors: Sequence[str], rules: Sequence[tuple[str, str]], zones: Sequence[str]
    ) -> Encoder:
        stamp = self._clock.now()
        birth = Birth(
            node=self._node, boot=self.boot, t0_ms=max(0, round(stamp.wall_s * 1000)),
            ref_e5=(round(site.lat * kinematics.E5), round(site.lon * kinematics.E5)), sensors=tuple(sensors),
            rules=tuple(rules), zones=tuple(zones), previous=self._outbox.previous_boot(),
            info={
                "site": site.name, "software": __version__, "exercise": site.exercise,
                "clock_error_ms": round(stamp.error_ms), **_for_people(self._config),
            },
        )  # fmt: skip
        secret = None if self._config.mac_key_file is None else cose.read_secret(self._config.mac_key_file)
        return Encoder(birth, stamp.t_s, self._key, secret)

    # ------------------------------------------------------------------ the publisher's thread

    def _run(self) -> None:
        while not self._finished():
            self._progress += 1
            self.turn()
        self._courier.say_goodbye()

    def turn(self) -> None:
        """One turn of the publisher's thread; a simulation of days calls it instead of `start`."""
        try:
            self._round(self._monotonic())
        except VigiaError as e:  # the disk did not take it; it may again
            self._report(OUTBOX, SensorState.UNAVAILABLE, str(e))
            self._courier.drop("the outbox does not work.")
            self._courier.sleep(self._tuning.pump_s)

    @property
    def connected(self) -> bool:
        """Whether a broker has let this box in."""
        return self._courier.let_in

    @property
    def busy(self) -> bool:
        """Whether an answer of the network is being waited for: what a simulation of days waits for as well."""
        return self._courier.busy

    def _round(self, now: float) -> None:
        self._tell_notes()
        with contextlib.suppress(SupersededError):  # the new publisher reports health now
            self._flush_deferred(now)
        if now >= self._next_chore:
            self._next_chore = now + self._tuning.chores_s
            self._chores(now)
        self._courier.step(now)

    def _finished(self) -> bool:
        if not self._stopping.is_set():
            return False
        return not self._courier.let_in or self._sender.idle or self._monotonic() >= self._stop_by

    def _chores(self, now: float) -> None:
        """Once a minute: give up what is worth nothing any more, seal what has come, look after the connection."""
        self._outbox_again(now)
        moment = self._clock.now().t_s
        self._sender.announce(self._outbox.expire(moment), now)
        if now >= self._next_seal and self._alerts_since_seal:
            self._alerts_since_seal = False  # health waits until there are enough for a seal
            self._next_seal = now + self._config.health_s
            self._sender.announce(self._outbox.seal(), now)
        self._courier.chores(now)
        if self._configured.profile == "auto" and self._courier.meter.choose(now):
            self._adopt(self._configured.with_profile(self._courier.meter.profile))

    def _answered(self, now: float, delay_s: float) -> None:
        self._courier.meter.answered(now, delay_s)

    def _adopt(self, config: Publish) -> None:
        """Another link profile in the same boot; receivers are told by a new edition of the birth."""
        self._config = config
        self._courier.adopt(config)
        pace = {"error_m": config.track_error_m, "max_age_s": config.track_max_age_s, "batch_s": config.track_batch_s}
        self._tracks.pace(**pace)
        with self._encoder_lock:
            self._encoder.tables.tell(_for_people(config))
            self._outbox.save_birth(self._encoder.birth())
        self._courier.wake()

    def _outbox_again(self, now: float) -> None:
        """Tell that the outbox is well again: it takes a write, and a loss has stood long enough to be seen.

        Raises:
            VigiaError: it still does not.

        """
        if self._outbox_trouble is None:
            return
        state, since = self._outbox_trouble
        if state is SensorState.DEGRADED and now - since < LOSS_TOLD_S:
            return
        self._outbox.try_to_write()
        self._report(OUTBOX, SensorState.OK, "messages are stored again")

    def _state(self, online: bool) -> bytes:
        by_picture = self._config.acknowledge == "picture"
        return self._encoder.state(self._clock.now().t_s, online=online, by_picture=by_picture)

    # ------------------------------------------------------------------ small things

    def _flush_deferred(self, now: float) -> None:
        with self._health_lock:
            for source in [s for s in self._deferred if now - self._reported[s].at >= self._tuning.health_gap_s]:
                self._consider_health(self._deferred[source], now)

    def _tell_notes(self) -> None:
        for note in self._outbox.take_notes():
            self._report(OUTBOX, SensorState.DEGRADED, note)

    def _report(self, source: str, state: SensorState, sentence: str) -> None:
        """Once when it is lost, once when it is back."""
        if self._last_report.get(source) != (state, sentence):
            self._last_report[source] = (state, sentence)
            if source == OUTBOX:
                self._outbox_trouble = None if state is SensorState.OK else (state, self._monotonic())
            self._on_health(SensorHealth(at_s=self._clock.now().t_s, source=source, state=state, sentence=sentence))


def _for_people(config: Publish) -> dict[str, Any]:
    """What a birth says of the link profile."""
    return {
        "track_error_m": config.track_error_m, "track_max_age_s": config.track_max_age_s, "health_s": config.health_s,
    }  # fmt: skip


def random_boot() -> int:
    """A boot id that nobody has had, as good as certainly."""
    return secrets.randbelow((1 << 32) - (1 << 16)) + (1 << 16)  # always five bytes on the wire
