"""The connection: whom to dial and when, what to do with what comes back, how to end it.

Promises:
- nothing here blocks on the network for longer than `Tuning.pump_s`; dialling has a thread of its own;
- brokers are tried in the order of the configuration; who had to go to a fallback comes back to the first;
- a broker that is away or refuses is one sentence to `report` and growing delays up to `retry_max_s`, no loss;
- a renewed certificate is used for a new connection as soon as it fits its key; one that runs out is told of in time;
- with `session_every_s` a connection lasts as long as there is something to say and to hear, no longer.

All methods but `wake` and `hurry` belong to the publisher's thread. Times are seconds of a monotonic clock.
"""

from __future__ import annotations

import contextlib
import queue
import random
import select
import socket
import threading
from typing import TYPE_CHECKING, Any

from agent.errors import ConfigError, ProtocolError, SensorUnavailable
from agent.messages import SensorState
from agent.publish import broker as brokers
from agent.publish import link as links
from agent.publish import wire
from agent.publish.certificate import not_after
from agent.publish.meter import Meter
from agent.publish.sender import BrokerRefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.config.schema import Publish
    from agent.publish.outbox import Outbox
    from agent.publish.sender import Sender, Tuning
    from agent.publish.trackfeed import Tracks

LINK = "link"  # its own name in health messages
CERTIFICATE = "certificate"
_FORGET_AT_ONCE, _FORGET_S = 1000, 0.5  # a commit costs a disk its sync, a repeat costs the link 100 bytes
_CERTIFICATE_DAYS = 14  # before the end: time enough to send somebody


class Courier:
    """Keeps the connection to the broker of `config` and lets `sender` use it.

    `report(source, state, sentence)` hears of troubles, `state(online)` makes the state message, `command(payload,
    retained)` takes what comes on the command topic, `wall()` is Unix time for the certificate.
    """

    def __init__(
        self,
        config: Publish,
        outbox: Outbox,
        sender: Sender,
        tracks: Tracks,
        tuning: Tuning,
        *,
        node: str,
        boot: int,
        monotonic: Callable[[], float],
        wall: Callable[[], float],
        report: Callable[[str, SensorState, str], None],
        state: Callable[[bool], bytes],
        command: Callable[[bytes, bool], None],
    ) -> None:
        self._config, self._outbox, self._sender, self._tracks, self._tuning = config, outbox, sender, tracks, tuning
        self._node, self._boot = node, boot
        self._monotonic, self._wall = monotonic, wall
        self._report, self._state, self._command = report, state, command
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)
        self._link: links.Link | None = None
        self._dialled: queue.SimpleQueue[links.Link | str] = queue.SimpleQueue()
        self._dialling = False
        self._dialled_at = 0.0
        self.let_in = False
        self.last_error = ""
        self._version5 = config.protocol != "3.1.1"
        self._failures = 0
        self._next_dial = 0.0
        self._next_state = float("inf")
        self.choice = 0  # of the brokers, in the order of the configuration
        self._chosen_at = 0.0
        self._forgettable: list[int] = []
        self._forget_by = 0.0
        self._urgent = threading.Event()
        self._next_session = 0.0
        self._satisfied_at: float | None = None
        self._state_said = False
        self._tls_stamp: tuple[int, ...] = ()
        self._traffic = links.Traffic()
        self._born = monotonic()
        self.meter = Meter(thinner_s=tuning.thinner_s, richer_s=tuning.richer_s)

    def step(self, now: float) -> None:
        """Dial, or send and receive."""
        if self._link is None:
            self._without_link(now)
        else:
            self._with_link(self._link)

    def adopt(self, config: Publish) -> None:
        """The same configuration with another link profile; its keep-alive holds from the next connection on."""
        self._config = config

    def chores(self, now: float) -> None:
        """Once a minute: a renewed certificate, one that runs out, the way back to the first broker, a measurement."""
        traffic = self._all_traffic()
        self.meter.counted(now, traffic.segments, traffic.resent)
        self._look_at_certificate()
        if self._link is None or not self.let_in:
            return
        if self._tls_stamp != brokers.tls_stamp(self._config) and self._identity_works():
            self._hang_up(now)
        elif self.choice and now - self._chosen_at >= self._tuning.return_s and self._sender.idle:
            self.choice = 0
            self._hang_up(now)

    @property
    def busy(self) -> bool:
        """Whether an answer of the network is being waited for."""
        return self._dialling or (self._link is not None and not self.let_in) or self._sender.in_flight > 0

    def hurry(self) -> None:
        """There is something that does not wait for the next short session; from any thread."""
        self._urgent.set()
        self.wake()

    def close(self) -> None:
        """Release what `wake` needs."""
        self._wake_in.close()
        self._wake_out.close()

    def wake(self) -> None:
        """End a wait; from any thread."""
        with contextlib.suppress(BlockingIOError, OSError):  # it is awake already, or has ended
            self._wake_in.send(b"\0")

    def sleep(self, seconds: float) -> None:
        """Wait for a wake-up."""
        ready, _, _ = select.select([self._wake_out], [], [], max(min(0.01, self._tuning.pump_s), seconds))
        if ready:
            self._wake_out.recv(4096)

    def say_goodbye(self) -> None:
        """End in order, or leave it to the last will."""
        self._forget(1)
        link = self._link
        if link is not None:
            if self.let_in and self._send_state(self._monotonic(), online=False):
                link.pump(0.2)
                link.close()
            else:
                link.abort()  # the window has no room for it: the last will says it
        elif self._dialling:
            threading.Thread(target=self._discard_dialled, daemon=True).start()
        self._link, self.let_in = None, False

    def drop(self, sentence: str) -> None:
        """End a connection that does not work."""
        if self._link is not None:
            self._link.abort()
        self._lost(sentence)

    def traffic_status(self) -> dict[str, Any]:
        """Bytes over the socket since this start, and what that makes a day once an hour is over."""
        traffic = self._all_traffic()
        up_s = self._monotonic() - self._born
        both = traffic.bytes_up + traffic.bytes_down
        return {
            "bytes_up": traffic.bytes_up, "bytes_down": traffic.bytes_down, "segments": traffic.segments,
            "bytes_per_day": round(both / up_s * 86_400) if up_s >= 3600.0 else None,
        }  # fmt: skip

    def _all_traffic(self) -> links.Traffic:
        link = self._link
        return self._traffic if link is None else self._traffic.plus(link.traffic())

    def protocol_name(self) -> str:
        """For people."""
        return "MQTT 5" if self._version5 else "MQTT 3.1.1"

    def _identity_works(self) -> bool:
        """Whether the files that have changed can be used: they may be in the middle of being renewed."""
        try:
            brokers.from_config(self._config, self.choice)
        except ConfigError as e:
            self._report(CERTIFICATE, SensorState.DEGRADED, f"The renewed TLS files cannot be used yet: {e}")
            return False
        return True

    def _look_at_certificate(self) -> None:
        if self._config.cert_file is None:
            return
        try:
            left_s = not_after(self._config.cert_file) - self._wall()
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
            arguments = (self._version5, self.choice)
            threading.Thread(target=self._dial, args=arguments, name="dial", daemon=True).start()
        else:
            self.sleep(min(self._tuning.pump_s, max(0.0, self._next_dial - now)))

    def _wants_link(self, now: float) -> bool:
        if self._config.broker is None or now < self._next_dial:
            return False
        return not self._config.session_every_s or self._urgent.is_set() or now >= self._next_session

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
                will_topic=wire.topic(self._node, "u", "s"), will_payload=wire.will(self._boot),
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
        if not self.let_in and now - self._dialled_at > self._tuning.connack_timeout_s:
            self.drop("the broker does not answer the MQTT greeting.")
            return
        if self._sender.overdue(now, self._config.puback_timeout_s):
            self.drop("the broker owes an acknowledgement for too long; connecting anew and sending again.")
            return
        if self.let_in and self._session_over(now):
            self._hang_up(now)
            return
        try:
            if self.let_in:
                with link.together():
                    if now >= self._next_state:
                        self._send_state(now, online=True)
                    self._sender.step(now)
            timeout = min(self._tuning.pump_s, self._sender.next_due(now), self._tracks.due_in(now))
            if self._forgettable:
                timeout = min(timeout, _FORGET_S)
            self._handle(link, link.pump(timeout, self._wake_out))
        except BrokerRefusedError as e:
            self.drop(f"the broker does not take messages from this box: {e}; check its access rules.")

    def _handle(self, link: links.Link, events: list[links.Event]) -> None:
        for event in events:
            now = self._monotonic()
            if isinstance(event, links.Acked):
                self._forgettable += self._sender.puback(event.mid, event.code, event.refused, now)
            elif isinstance(event, links.Received):
                self._received(event, now)
            elif isinstance(event, links.Connected):
                self._connected(link, event, now)
            elif isinstance(event, links.Subscribed):
                self._subscribed(event, now)
            else:
                self._closed(event)
        self._forget(1 if self._sender.satisfied else _FORGET_AT_ONCE)

    def _forget(self, least: int) -> None:
        """What the broker has taken, where its word is enough: many in one commit, or after a moment.

        Who is killed before that sends them again, as the same messages.
        """
        now = self._monotonic()
        if not self._forgettable:
            self._forget_by = now + _FORGET_S
        elif len(self._forgettable) >= least or now >= self._forget_by:
            forgettable, self._forgettable = self._forgettable, []
            self._forget_by = now + _FORGET_S
            self._outbox.forget(forgettable)
            self._sender.forgotten(forgettable)

    def _connected(self, link: links.Link, event: links.Connected, now: float) -> None:
        self.let_in = True
        self._failures = self.choice  # where it fails, the next one is tried
        self._sender.connected(link, event.receive_maximum, now)
        self._tracks.distrust()
        self._satisfied_at, self._chosen_at = None, now
        commands = [wire.topic(self._node, "d", "c")] if self._config.command_keys else []
        link.subscribe([wire.topic(self._node, "d", "k"), *commands])
        if not (self._state_said and self._config.session_every_s):
            self._next_state = now
        self.last_error = ""
        self._report(LINK, SensorState.OK, f"Connected to the broker by {self.protocol_name()}.")

    def _subscribed(self, event: links.Subscribed, now: float) -> None:
        self._sender.subscribed(now)
        if event.refused is not None and self._config.acknowledge == "picture":
            self.last_error = f"the broker does not let this box read {wire.topic(self._node, 'd', 'k')}"
            self._report(
                LINK, SensorState.DEGRADED,
                f"The broker does not let this box hear the picture's acknowledgements ({event.refused}); the outbox "
                "cannot shrink until its access rules allow it.",
            )  # fmt: skip

    def _received(self, event: links.Received, now: float) -> None:
        if event.topic == wire.topic(self._node, "d", "c"):
            self._command(event.payload, event.retained)
            return
        if event.topic != wire.topic(self._node, "d", "k"):
            return
        try:
            self._sender.acknowledged(event.payload, now, retained=event.retained)
        except ProtocolError as e:
            self.last_error = str(e)

    def _closed(self, event: links.Closed) -> None:
        """A broker that hangs up before it has answered may be one for the other version."""
        other_version = self._config.protocol == "auto" and not self.let_in and not event.refused
        if other_version:
            self._version5 = not self._version5
        self._lost(event.sentence, again_at_once=other_version and event.old_protocol)

    def _hang_up(self, now: float) -> None:
        """End a connection in order: nothing is wrong with it."""
        self._forget(1)
        if self._link is not None:
            self._link.close()
            self._traffic = self._traffic.plus(self._link.traffic())
        self._link, self.let_in = None, False
        self._sender.disconnected()
        self._next_dial = now

    def _lost(self, sentence: str, *, again_at_once: bool = False) -> None:
        if self._link is not None:
            self._traffic = self._traffic.plus(self._link.traffic())
        if self.let_in:
            self.meter.broke(self._monotonic())
        self._link = None
        self.let_in = False
        self._sender.disconnected()
        self.last_error = sentence
        now = self._monotonic()
        if again_at_once:
            self._next_dial = now
            return
        brokers_known = 1 + len(self._config.fallback_brokers)
        rounds = self._failures // brokers_known
        delay = min(self._config.retry_max_s, self._tuning.retry_min_s * 2.0 ** min(rounds, 20))
        self._failures += 1
        self.choice = self._failures % brokers_known
        self._next_dial = now + delay * random.uniform(0.5, 1.0)
        self._report(LINK, SensorState.UNAVAILABLE, f"No link to the picture: {sentence}")

    def _send_state(self, now: float, *, online: bool) -> bool:
        payload = self._state(online)
        if not self._sender.state(payload, now):
            return False
        self._next_state = float("inf")  # until the next connection: who is heard of is alive
        self._state_said = online
        return True

    def _discard_dialled(self) -> None:
        result = self._dialled.get()
        if not isinstance(result, str):
            result.abort()
