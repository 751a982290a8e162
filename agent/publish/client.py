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
import queue
import random
import re
import secrets
import select
import socket
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agent import __version__
from agent.errors import ConfigError, ProtocolError, SensorUnavailable, VigiaError
from agent.geo import LocalFrame
from agent.messages import SensorHealth, SensorState, Severity
from agent.publish import broker as brokers
from agent.publish import kinematics, wire
from agent.publish import link as links
from agent.publish import outbox as outboxes
from agent.publish.birth import Birth
from agent.publish.certificate import not_after
from agent.publish.sender import BrokerRefusedError, Sender, Tuning
from agent.publish.trackfeed import Tracks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agent.clock import Clock
    from agent.config.schema import Publish, Site
    from agent.messages import Alert, ClockChange, TrackPicture
    from agent.publish.losses import Forced
    from agent.publish.outbox import Entry, Outbox

LINK = "link"  # the publisher's own name in health messages
OUTBOX = "outbox"
CERTIFICATE = "certificate"
_CERTIFICATE_DAYS = 14  # before the end: time enough to send somebody
_CLOCK_STEP_MS = 500  # a smaller correction of the wall clock is not worth a new birth
_RANKS = {
    Severity.HIGH: outboxes.RANK_HIGH,
    Severity.MEDIUM: outboxes.RANK_MEDIUM,
    Severity.LOW: outboxes.RANK_LOW,
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
    `sensors`, `rules` (kind, name) and `zones` go into the birth; others are learned as they come.
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
    ) -> None:
        self._monotonic = monotonic
        self._config = config
        self._node = site.node_id
        self._outbox = outbox
        self._clock = clock
        self._on_health = on_health
        self._tuning = tuning or Tuning()
        self.boot = outbox.free_boot(iter(_random_boot, 0)) if boot is None else boot
        self._encoder_lock = threading.Lock()
        self._encoder = self._make_encoder(site, sensors, rules, zones)
        outbox.start_boot(self.boot, self._encoder.birth(), self._encode_loss)
        self._tracks = Tracks(
            self._encoder, self._encoder_lock, LocalFrame(lat=site.lat, lon=site.lon), error_m=config.track_error_m,
            max_age_s=config.track_max_age_s, batch_s=config.track_batch_s, monotonic=monotonic,
        )  # fmt: skip
        self._sender = Sender(
            outbox, node=self._node, boot=self.boot, by_picture=config.acknowledge == "picture", window=config.window,
            birth=self._birth, tracks=self._tracks, tuning=self._tuning, brief=config.session_every_s > 0,
        )  # fmt: skip
        self._health_lock = threading.RLock()  # `on_health` may hand its own health straight back
        self._reported: dict[str, _Reported] = {}
        self._deferred: dict[str, SensorHealth] = {}
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)
        self._stopping = threading.Event()
        self._stop_by = 0.0
        self._thread: threading.Thread | None = None
        self._link: links.Link | None = None
        self._dialled: queue.SimpleQueue[links.Link | str] = queue.SimpleQueue()
        self._dialling = False
        self._dialled_at = 0.0
        self._let_in = False
        self._version5 = config.protocol != "3.1.1"
        self._failures = 0
        self._next_dial = 0.0
        self._next_state = float("inf")
        self._choice = 0  # of the brokers, in the order of the configuration
        self._chosen_at = 0.0
        self._urgent = threading.Event()
        self._next_session = 0.0
        self._satisfied_at: float | None = None
        self._state_said = False
        self._next_chore = 0.0
        self._tls_stamp: tuple[int, ...] = ()
        self._traffic = links.Traffic()
        self._born = self._monotonic()
        self._last_error = ""
        self._last_report: dict[str, tuple[SensorState, str]] = {}
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
        self._wake()
        if self._thread is not None:
            self._thread.join(timeout)
            if not self._thread.is_alive():
                self._wake_in.close()
                self._wake_out.close()

    def submit_alerts(self, alerts: Sequence[Alert]) -> None:
        """Commit alerts, then send them. Steps that the outbox has had before are not taken again.

        Raises:
            VigiaError: the disk did not take them; nothing of this call is stored, so call again with the same.

        """
        self._commit([self._alert_entry(alert) for alert in alerts])
        if alerts:
            self._urgent.set()
            self._wake()

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
        self._wake()

    def status(self) -> dict[str, Any]:
        """For `vigia status` and the watchdog: `progress` grows as long as the publisher's thread lives."""
        queued, size, lost = self._outbox.totals()
        return {
            "node": self._node, "boot": self.boot, "connected": self._let_in, "protocol": self._protocol_name(),
            "queued": queued, "queued_bytes": size, "in_flight": self._sender.in_flight,
            "unacknowledged": self._sender.unacknowledged, "sent": self._sender.sent_total,
            "acked": self._sender.acknowledged_total, "lost": lost, "quarantined": self._sender.quarantined_total,
            "last_error": self._last_error, "progress": self._progress, "profile": self._config.profile,
            "broker": self._choice, **self._traffic_status(),
        }  # fmt: skip

    def _traffic_status(self) -> dict[str, Any]:
        """Bytes over the socket since this start, and what that makes a day once an hour is over."""
        link = self._link
        traffic = self._traffic if link is None else self._traffic.plus(link.traffic())
        up_s = self._monotonic() - self._born
        both = traffic.bytes_up + traffic.bytes_down
        return {
            "bytes_up": traffic.bytes_up, "bytes_down": traffic.bytes_down, "segments": traffic.segments,
            "bytes_per_day": round(both / up_s * 86_400) if up_s >= 3600.0 else None,
        }  # fmt: skip

    # ------------------------------------------------------------------ into the outbox

    def _commit(self, entries: Sequence[Entry]) -> list[int]:
        if not entries:
            return []
        with self._encoder_lock:
            committed = self._outbox.append(entries, birth=self._encoder.birth)
        self._sender.announce(committed.messages, self._monotonic())
        self._wake()
        for sentence in committed.refused:
            self._report(OUTBOX, SensorState.DEGRADED, sentence)
        return [m.id for m in committed.messages if m.kind != "l"]

    def _alert_entry(self, alert: Alert) -> Entry:
        return outboxes.Entry(
            kind="a",
            rank=_RANKS[alert.severity],
            encode=lambda seq: self._encoder.alert(alert, seq),
            key=(alert.id, alert.revision, round(alert.at_s * 10)),
        )

    def _encode_loss(self, forced: Forced, seq: int) -> bytes:
        loss = wire.Loss(boot=forced.boot, ranges=forced.ranges, alerts=forced.alerts, others=forced.others)
        return self._encoder.loss(loss, seq, self._clock.now().t_s)

    def _consider_health(self, health: SensorHealth, now: float) -> None:
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
        entry = outboxes.Entry(
            kind="h", rank=outboxes.RANK_HEALTH, encode=lambda seq: self._encoder.health(health, seq, changed=changed),
            expires_s=int(health.at_s + self._config.health_expire_s),
        )  # fmt: skip
        ids = self._commit([entry])
        self._deferred.pop(health.source, None)
        self._reported[health.source] = _Reported(
            state=health.state, pattern=pattern, at=now, message_id=ids[0] if ids else 0
        )

    def _birth(self) -> tuple[int, bytes]:
        with self._encoder_lock:
            return self._encoder.tables.edition, self._encoder.birth()

    def _make_encoder(
        self, site: Site, sensors: Sequence[str], rules: Sequence[tuple[str, str]], zones: Sequence[str]
    ) -> wire.Encoder:
        stamp = self._clock.now()
        birth = Birth(
            node=self._node, boot=self.boot, t0_ms=max(0, round(stamp.wall_s * 1000)),
            ref_e5=(round(site.lat * kinematics.E5), round(site.lon * kinematics.E5)), sensors=tuple(sensors),
            rules=tuple(rules), zones=tuple(zones),
            info={
                "site": site.name, "software": __version__, "exercise": site.exercise,
                "clock_error_ms": round(stamp.error_ms), "track_error_m": self._config.track_error_m,
                "track_max_age_s": self._config.track_max_age_s, "health_s": self._config.health_s,
            },
        )  # fmt: skip
        return wire.Encoder(birth, stamp.t_s)

    # ------------------------------------------------------------------ the publisher's thread

    def _run(self) -> None:
        while not self._finished():
            self._progress += 1
            self.turn()
        self._say_goodbye()

    def turn(self) -> None:
        """One turn of the publisher's thread; a simulation of days calls it instead of `start`."""
        try:
            self._round(self._monotonic())
        except VigiaError as e:  # the disk did not take it; it may again
            self._report(OUTBOX, SensorState.UNAVAILABLE, str(e))
            self._drop_link("the outbox does not work.")
            self._sleep(self._tuning.pump_s)

    def _round(self, now: float) -> None:
        self._tell_notes()
        self._flush_deferred(now)
        if now >= self._next_chore:
            self._next_chore = now + self._tuning.chores_s
            self._chores(now)
        if self._link is None:
            self._without_link(now)
        else:
            self._with_link(self._link)

    def _finished(self) -> bool:
        if not self._stopping.is_set():
            return False
        return not self._let_in or self._sender.idle or self._monotonic() >= self._stop_by

    def _chores(self, now: float) -> None:
        """Once a minute: what is worth nothing any more, a renewed certificate, one that runs out, the first broker."""
        self._sender.announce(self._outbox.expire(self._clock.now().t_s), now)
        self._look_at_certificate()
        if self._link is None or not self._let_in:
            return
        if self._tls_stamp != brokers.tls_stamp(self._config) and self._identity_works():
            self._hang_up(now, 0.0)
        elif self._choice and now - self._chosen_at >= self._tuning.return_s and self._sender.idle:
            self._choice = 0
            self._hang_up(now, 0.0)

    def _identity_works(self) -> bool:
        """Whether the files that have changed can be used: they may be in the middle of being renewed."""
        try:
            brokers.from_config(self._config, self._choice)
        except ConfigError as e:
            self._report(CERTIFICATE, SensorState.DEGRADED, f"The renewed TLS files cannot be used yet: {e}")
            return False
        return True

    def _look_at_certificate(self) -> None:
        if self._config.cert_file is None:
            return
        try:
            left_s = not_after(self._config.cert_file) - self._clock.now().wall_s
        except ConfigError as e:
            self._report(CERTIFICATE, SensorState.DEGRADED, str(e))
            return
        days = int(left_s // 86_400)
        if left_s < 0:
            self._report(CERTIFICATE, SensorState.UNAVAILABLE, f"The certificate {self._config.cert_file} has run out.")
        elif days < _CERTIFICATE_DAYS:
            sentence = f"The certificate {self._config.cert_file} runs out in {days} days: renew it."
            self._report(CERTIFICATE, SensorState.DEGRADED, sentence)
        else:
            self._report(CERTIFICATE, SensorState.OK, "The certificate is valid.")

    def _without_link(self, now: float) -> None:
        if self._dialling:
            self._take_dialled()
        elif self._wants_link(now):
            self._dialling = True
            self._tls_stamp = brokers.tls_stamp(self._config)
            arguments = (self._version5, self._choice)
            threading.Thread(target=self._dial, args=arguments, name="dial", daemon=True).start()
        else:
            self._sleep(min(self._tuning.pump_s, max(0.0, self._next_dial - now)))

    def _wants_link(self, now: float) -> bool:
        if self._config.broker is None or now < self._next_dial or self._stopping.is_set():
            return False
        return not self._config.session_every_s or self._urgent.is_set() or now >= self._next_session

    def _hang_up(self, now: float, pause_s: float) -> None:
        """End a connection in order: nothing is wrong with it."""
        if self._link is not None:
            self._link.close()
            self._traffic = self._traffic.plus(self._link.traffic())
        self._link, self._let_in = None, False
        self._sender.disconnected()
        self._next_dial = now + pause_s

    def _session_over(self, now: float) -> bool:
        """A short session ends when the picture has what there was, or takes too long to say so."""
        if not self._config.session_every_s:
            return False
        if not self._sender.satisfied:
            self._satisfied_at = None
        elif self._satisfied_at is None:
            self._satisfied_at = now
        over = self._satisfied_at is not None and now - self._satisfied_at >= self._tuning.session_linger_s
        if not over and now - self._dialled_at < self._tuning.session_max_s:
            return False
        self._urgent.clear()
        self._next_session = now + self._config.session_every_s
        return True

    def _dial(self, version5: bool, choice: int) -> None:
        """In a thread of its own: name lookup and TLS may take their time."""
        try:
            broker = brokers.from_config(self._config, choice)
            if broker is None:
                raise ConfigError("no broker is configured")
            options = links.Options(
                client_id=self._node, keepalive_s=self._config.keepalive_s, session=True,
                will_topic=wire.topic(self._node, "u", "s"), will_payload=wire.will(self.boot),
            )  # fmt: skip
            self._dialled.put(links.open_link(broker, options, version5=version5))
        except (SensorUnavailable, ConfigError) as e:
            self._dialled.put(str(e))

    def _take_dialled(self) -> None:
        try:
            result = self._dialled.get(timeout=self._tuning.pump_s)
        except queue.Empty:
            return
        self._dialling = False
        if isinstance(result, str):
            self._lost(result)
        else:
            self._link, self._dialled_at = result, self._monotonic()

    def _with_link(self, link: links.Link) -> None:
        now = self._monotonic()
        if not self._let_in and now - self._dialled_at > self._tuning.connack_timeout_s:
            self._drop_link("the broker does not answer the MQTT greeting.")
            return
        if self._sender.overdue(now, self._config.puback_timeout_s):
            self._drop_link("the broker owes an acknowledgement for too long; connecting anew and sending again.")
            return
        if self._let_in and self._session_over(now):
            self._hang_up(now, 0.0)
            return
        try:
            if self._let_in:
                if now >= self._next_state:
                    self._send_state(now, online=True)
                self._sender.step(now)
            timeout = min(self._tuning.pump_s, self._sender.next_due(now), self._tracks.due_in(now))
            self._handle(link, link.pump(timeout, self._wake_out))
        except BrokerRefusedError as e:
            self._drop_link(f"the broker does not take messages from this box: {e}; check its access rules.")

    def _handle(self, link: links.Link, events: list[links.Event]) -> None:
        forgettable: list[int] = []
        for event in events:
            now = self._monotonic()
            if isinstance(event, links.Acked):
                forgettable += self._sender.puback(event.mid, event.code, event.refused, now)
            elif isinstance(event, links.Received):
                self._received(event, now)
            elif isinstance(event, links.Connected):
                self._connected(link, event, now)
            elif isinstance(event, links.Subscribed):
                self._subscribed(event, now)
            else:
                self._closed(event)
        if forgettable:
            self._outbox.forget(forgettable)

    def _connected(self, link: links.Link, event: links.Connected, now: float) -> None:
        self._let_in = True
        self._failures = self._choice  # where it fails, the next one is tried
        self._sender.connected(link, event.receive_maximum, now)
        self._tracks.distrust()
        self._satisfied_at, self._chosen_at = None, now
        link.subscribe([wire.topic(self._node, "d", "k")])
        if not (self._state_said and self._config.session_every_s):
            self._next_state = now
        self._last_error = ""
        self._report(LINK, SensorState.OK, f"Connected to the broker by {self._protocol_name()}.")

    def _subscribed(self, event: links.Subscribed, now: float) -> None:
        self._sender.subscribed(now)
        if event.refused is not None and self._config.acknowledge == "picture":
            self._last_error = f"the broker does not let this box read {wire.topic(self._node, 'd', 'k')}"
            self._report(
                LINK, SensorState.DEGRADED,
                f"The broker does not let this box hear the picture's acknowledgements ({event.refused}); the outbox "
                "cannot shrink until its access rules allow it.",
            )  # fmt: skip

    def _received(self, event: links.Received, now: float) -> None:
        if event.topic != wire.topic(self._node, "d", "k"):
            return
        try:
            self._sender.acknowledged(event.payload, now, retained=event.retained)
        except ProtocolError as e:
            self._last_error = str(e)

    def _closed(self, event: links.Closed) -> None:
        """A broker that hangs up before it has answered may be one for the other version."""
        other_version = self._config.protocol == "auto" and not self._let_in and not event.refused
        if other_version:
            self._version5 = not self._version5
        self._lost(event.sentence, again_at_once=other_version and event.old_protocol)

    def _drop_link(self, sentence: str) -> None:
        if self._link is not None:
            self._link.abort()
        self._lost(sentence)

    def _lost(self, sentence: str, *, again_at_once: bool = False) -> None:
        if self._link is not None:
            self._traffic = self._traffic.plus(self._link.traffic())
        self._link = None
        self._let_in = False
        self._sender.disconnected()
        self._last_error = sentence
        now = self._monotonic()
        if again_at_once:
            self._next_dial = now
            return
        brokers_known = 1 + len(self._config.fallback_brokers)
        rounds = self._failures // brokers_known
        delay = min(self._config.retry_max_s, self._tuning.retry_min_s * 2.0 ** min(rounds, 20))
        self._failures += 1
        self._choice = self._failures % brokers_known
        self._next_dial = now + delay * random.uniform(0.5, 1.0)
        self._report(LINK, SensorState.UNAVAILABLE, f"No link to the picture: {sentence}")

    def _send_state(self, now: float, *, online: bool) -> bool:
        by_picture = self._config.acknowledge == "picture"
        payload = self._encoder.state(self._clock.now().t_s, online=online, by_picture=by_picture)
        if not self._sender.state(payload, now):
            return False
        self._next_state = now + self._config.health_s
        self._state_said = online
        return True

    def _say_goodbye(self) -> None:
        link = self._link
        if link is not None:
            if self._let_in and self._send_state(self._monotonic(), online=False):
                link.pump(0.2)
                link.close()
            else:
                link.abort()  # the window has no room for it: the last will says it
        elif self._dialling:
            threading.Thread(target=self._discard_dialled, daemon=True).start()
        self._link, self._let_in = None, False

    def _discard_dialled(self) -> None:
        result = self._dialled.get()
        if not isinstance(result, str):
            result.abort()

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
            self._on_health(SensorHealth(at_s=self._clock.now().t_s, source=source, state=state, sentence=sentence))

    def _protocol_name(self) -> str:
        return "MQTT 5" if self._version5 else "MQTT 3.1.1"

    def _sleep(self, seconds: float) -> None:
        ready, _, _ = select.select([self._wake_out], [], [], max(0.01, seconds))
        if ready:
            self._wake_out.recv(4096)

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError, OSError):  # it is awake already, or has ended
            self._wake_in.send(b"\0")


def _random_boot() -> int:
    return secrets.randbelow((1 << 32) - (1 << 16)) + (1 << 16)  # always five bytes on the wire
