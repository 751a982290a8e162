"""What goes out next, what is under way, and what the picture still has not said it has.

Promises:
- at most `window` messages are under way (and never more than the broker's Receive Maximum); there is no other queue
  than the outbox, beside the numbers of what is new;
- live before backlog, alerts before tracks, tracks before the backlog of health; the steps of one alert keep their
  order; the backlog is limited to a steady rate and always leaves room in the window for what is new;
- before a message of a boot goes out on a connection, that boot's birth (its newest edition) has gone out on it (where
  the broker allows one message under way, a birth that tracks have changed follows them);
- nothing leaves the outbox but on the picture's word, or on the broker's where it is configured to be enough;
- what the broker took and the picture does not name is sent again when a fresh acknowledgement leaves it out: after
  `ack_grace_s` at first, after twice as long each time it is left out again, up to `ack_grace_max_s`, with jitter; a
  new connection begins anew. A picture that will never name a message costs one of them a minute;
- without a fresh acknowledgement one message is sent again at growing intervals as a probe, so that a picture that is
  away costs next to nothing.

All methods but `announce` belong to the publisher's thread. Times are seconds of a monotonic clock.
"""

from __future__ import annotations

import random
import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from agent.publish import wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from agent.publish.entries import Message
    from agent.publish.link import Link
    from agent.publish.outbox import Outbox

# MQTT 5 reason codes that blame this one message: unspecified, implementation specific, topic name, payload format.
_POISON_CODES = (0x80, 0x83, 0x90, 0x99)
_CHUNK = 64  # messages of the backlog that are read at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """What is not for operators to set; tests set it."""

    pump_s: float = 0.5  # how long the publisher's thread waits for the network at most
    chores_s: float = 60.0
    return_s: float = 1800.0  # on a fallback for this long: the first broker is tried again
    session_linger_s: float = 3.0  # a short session waits this long for commands before it ends
    session_max_s: float = 120.0
    retry_min_s: float = 1.0
    connack_timeout_s: float = 20.0
    backlog_per_s: float = 50.0
    backlog_burst: int = 20
    backlog_delay_s: float = 0.3  # after subscribing: the retained acknowledgement may make the backlog shorter
    live_s: float = 60.0  # what was committed this shortly before a connection is still live
    live_max: int = 1000
    unacknowledged_max: int = 1000  # the backlog waits when the picture owes this many acknowledgements
    ack_grace_s: float = 5.0  # an acknowledgement may have been on its way when a message passed it
    ack_grace_max_s: float = 60.0  # for a message that acknowledgements leave out again and again
    probe_first_s: float = 5.0  # after connecting
    probe_s: float = 30.0
    probe_max_s: float = 900.0
    poison_tries: int = 3
    thinner_s: float = 60.0  # profile "auto": a worse link is believed after this long
    richer_s: float = 900.0  # ... a better one
    health_gap_s: float = 10.0  # a sensor that flaps is reported no more often


class BrokerRefusedError(Exception):
    """The broker will not take messages from this box: leave it alone for a while."""


class TrackFeed(Protocol):
    """Where track messages come from; they are made when there is room to send them."""

    def next_payload(self) -> bytes | None:
        """The next batch of tracks, or None when nothing is due."""


@dataclass(slots=True, kw_only=True)
class _Flight:
    since: float
    message: Message | None  # None: a birth, state or track batch


@dataclass(slots=True, kw_only=True)
class _Waiting:
    boot: int
    seq: int
    since: float
    grace_s: float  # an acknowledgement that leaves it out counts only when it is so much younger


class Sender:
    """The publisher's bookkeeping.

    `birth()` gives (edition, payload) of this boot's birth, `older_birth(boot)` that of another; `answered(now,
    delay_s)` hears how long the broker took.
    """

    def __init__(
        self,
        outbox: Outbox,
        *,
        node: str,
        boot: int,
        by_picture: bool,
        window: int,
        birth: Callable[[], tuple[int, bytes]],
        older_birth: Callable[[int], bytes | None],
        tracks: TrackFeed,
        tuning: Tuning,
        brief: bool = False,
        answered: Callable[[float, float], None] = lambda _now, _delay_s: None,
    ) -> None:
        self._answered = answered
        self._outbox = outbox
        self._brief = brief  # short sessions: a birth that the picture has shown to know is not sent again
        self._birth_known = 0
        self._node = node
        self._boot = boot
        self._by_picture = by_picture
        self._window_max = window
        self._birth = birth
        self._older_birth = older_birth
        self._tracks = tracks
        self._tuning = tuning
        self._announced_lock = threading.Lock()
        self._announced: deque[tuple[float, Message]] = deque()
        self._overflow = False
        self._offered: deque[tuple[str, bytes]] = deque(maxlen=4)
        self._waiting: dict[int, _Waiting] = {}
        self._taken: set[int] = set()  # the broker's word is enough for them, and the outbox still has them
        self._refusals: dict[int, int] = {}
        self._left_out: dict[int, int] = {}  # how often on this connection
        self._probe_gap_s = tuning.probe_s
        self._next_probe = 0.0
        self.acknowledged_total = 0
        self.sent_total = 0
        self.quarantined_total = 0
        self._reset(None, window, 0.0)

    # ------------------------------------------------------------------ any thread

    def announce(self, messages: Iterable[Message], now: float) -> None:
        """These are on the disk and new."""
        with self._announced_lock:
            for message in messages:
                if len(self._announced) >= self._tuning.live_max:
                    self._overflow = True  # the backlog has them as well
                    break
                self._announced.append((now, message))

    def offer(self, kind: str, payload: bytes) -> None:
        """Something that goes out once, after what is live; it is dropped where there is no link, or too much of it."""
        self._offered.append((kind, payload))

    # ------------------------------------------------------------------ a connection's life

    def connected(self, link: Link, receive_maximum: int, now: float) -> None:
        """The broker let us in."""
        self._reset(link, max(1, min(self._window_max, receive_maximum)), now)
        with self._announced_lock:
            while self._announced and self._announced[0][0] < now - self._tuning.live_s:
                self._announced.popleft()
            self._overflow = False
        self._probe_gap_s = self._tuning.probe_s
        self._next_probe = now + self._tuning.probe_first_s

    def disconnected(self) -> None:
        """The connection is gone; what was under way is still in the outbox."""
        self._reset(None, self._window_max, 0.0)

    def subscribed(self, now: float) -> None:
        """Acknowledgements can come: the backlog may start soon."""
        self._backlog_from = now + self._tuning.backlog_delay_s

    @property
    def satisfied(self) -> bool:
        """Whether nothing is under way or waiting for the picture's word, and the backlog has been offered."""
        offered = self._link is not None and self._drained[False] and self._drained[True]
        return self.idle and offered and not self._waiting and not self._again

    def _reset(self, link: Link | None, window: int, now: float) -> None:
        if link is None:
            self._offered.clear()
        self._link = link
        self._connected_at = now
        self.window = window
        self._flights: dict[int, _Flight] = {}
        self._flying: set[int] = set()
        self._birth_sent = self._birth_known if self._brief else 0
        self._births_sent: set[int] = set()
        self._again: deque[int] = deque()
        self._left_out.clear()
        for waiting in self._waiting.values():
            waiting.grace_s = self._tuning.ack_grace_s
        self._backlog_from = float("inf")
        self._tokens, self._tokens_at = float(self._tuning.backlog_burst), now
        self._restart_backlog()

    def _restart_backlog(self) -> None:
        # a connection is given up without a look at the disk: that the disk fails may be the reason
        self._upto = 0 if self._link is None else self._outbox.last_id()
        self._cursors = {False: 0, True: 0}
        self._chunks: dict[bool, deque[Message]] = {False: deque(), True: deque()}
        self._read_at = {False: 0, True: 0}  # departures of the outbox when the chunk was read
        self._drained = {False: False, True: False}

    # ------------------------------------------------------------------ what comes back

    def puback(self, mid: int, code: int, refused: str | None, now: float) -> list[int]:
        """The broker's answer to one message; returns the outbox ids that may be forgotten on its word alone.

        Raises:
            BrokerRefusedError: it refuses us, not just this message.

        """
        flight = self._flights.pop(mid, None)
        if flight is None:
            return []
        self._answered(now, now - flight.since)
        message = flight.message
        if message is None:
            if refused is not None:
                raise BrokerRefusedError(refused)
            return []
        self._flying.discard(message.id)
        if refused is not None:
            self._refused(message, code, refused, now)
            return []
        self._refusals.pop(message.id, None)
        if not self._by_picture:
            self.acknowledged_total += 1
            self._taken.add(message.id)
            return [message.id]
        grace_s = self._grace_s(message.id)
        self._waiting[message.id] = _Waiting(boot=message.boot, seq=message.seq, since=now, grace_s=grace_s)
        return []

    def _grace_s(self, message_id: int) -> float:
        times = self._left_out.get(message_id, 0)
        if not times:
            return self._tuning.ack_grace_s
        longest_s = min(self._tuning.ack_grace_max_s, self._tuning.ack_grace_s * 2.0 ** min(times, 20))
        return longest_s * random.uniform(0.5, 1.0)  # many messages left out at once do not come back at once

    def forgotten(self, ids: Iterable[int]) -> None:
        """These have left the outbox."""
        self._taken.difference_update(ids)

    def _refused(self, message: Message, code: int, why: str, now: float) -> None:
        if code not in _POISON_CODES:
            raise BrokerRefusedError(why)
        tries = self._refusals[message.id] = self._refusals.get(message.id, 0) + 1
        if tries >= self._tuning.poison_tries:
            self.announce(self._outbox.quarantine(message.id), now)
            self.quarantined_total += 1
            del self._refusals[message.id]
        else:
            self._again.append(message.id)

    def acknowledged(self, payload: bytes, now: float, *, retained: bool) -> None:
        """The picture says what it has.

        Raises:
            ProtocolError: it does not say so, or says more than can be true.

        """
        ack = wire.decode_ack(payload)
        if ack.boot == self._boot and not retained:
            self._birth_known = self._birth_sent  # it could not have read the messages otherwise
        gone = self._outbox.acknowledge(ack.boot, ack.contiguous, ack.ranges)
        self.acknowledged_total += len(gone)
        for message_id in gone:
            self._waiting.pop(message_id, None)
            self._left_out.pop(message_id, None)
        if retained:
            return  # it may be days old: what it has it has, what it lacks it may have by now
        self._probe_gap_s = self._tuning.probe_s
        self._next_probe = now + self._probe_gap_s
        for message_id, waiting in list(self._waiting.items()):
            if waiting.boot == ack.boot and waiting.since < now - waiting.grace_s:
                self._left_out[message_id] = self._left_out.get(message_id, 0) + 1
                del self._waiting[message_id]
                self._again.append(message_id)

    def overdue(self, now: float, timeout_s: float) -> bool:
        """Whether the broker owes an answer for longer than `timeout_s`."""
        oldest = next(iter(self._flights.values()), None)
        return oldest is not None and now - oldest.since > timeout_s

    @property
    def in_flight(self) -> int:
        """Messages that the broker has not answered yet."""
        return len(self._flights)

    @property
    def unacknowledged(self) -> int:
        """Messages that the broker has and the picture has not named yet."""
        return len(self._waiting)

    @property
    def idle(self) -> bool:
        """Whether nothing new is to be sent and nothing is under way."""
        return not self._announced and not self._flights

    # ------------------------------------------------------------------ what goes out

    def state(self, payload: bytes, now: float) -> bool:
        """Send the state message now; False where the window has no room for it."""
        if self._slots() <= 0:
            return False
        self._publish("s", payload, now, retain=True)
        return True

    def step(self, now: float) -> None:
        """Send what fits into the window."""
        if self._link is None:
            return
        if not self._ensure_birth(self._boot, now):
            return
        self._send_live(now)
        if now >= self._backlog_from:
            self._probe(now)
            self._refill(now)
            self._send_again(now)
            self._send_backlog(now, health=False)
        self._send_tracks(now)
        while self._offered and self._slots() > self._reserve():
            self._publish(*self._offered.popleft(), now)
        if now >= self._backlog_from:
            self._send_backlog(now, health=True)

    def next_due(self, now: float) -> float:
        """Seconds until `step` may have something to do by itself."""
        if self._link is None or self._slots() <= 0:
            return 60.0
        if now < self._backlog_from:
            return max(0.0, min(60.0, self._backlog_from - now))
        backlog_waits = self._again or not (self._drained[False] and self._drained[True])
        if backlog_waits and len(self._waiting) < self._tuning.unacknowledged_max and self._slots() > self._reserve():
            return max(0.0, (1.0 - self._tokens) / self._tuning.backlog_per_s)
        return min(60.0, max(0.0, self._probe_due() - now))

    def _slots(self) -> int:
        return self.window - len(self._flights)

    def _reserve(self) -> int:
        """Room that the backlog leaves: one for a new alert, one for tracks."""
        return 2 if self.window >= 4 else 0

    def _publish(self, kind: str, payload: bytes, now: float, *, retain: bool = False) -> None:
        self._launch(kind, payload, now, None, retain=retain)

    def _launch(self, kind: str, payload: bytes, now: float, message: Message | None, *, retain: bool = False) -> None:
        if self._link is None:
            return
        mid = self._link.publish(wire.topic(self._node, "u", kind), payload, retain=retain)
        self._flights[mid] = _Flight(since=now, message=message)
        self.sent_total += 1

    def _ensure_birth(self, boot: int, now: float) -> bool:
        """Send a boot's birth where it has not gone out yet; False when the window had no room for it."""
        if boot == self._boot:
            edition, payload = self._birth()
            if edition != self._birth_sent:
                if self._slots() <= 0:
                    return False
                self._publish("b", payload, now, retain=True)
                self._birth_sent = edition
        elif boot not in self._births_sent:
            if self._slots() <= 0:
                return False
            old = self._older_birth(boot)
            if old is not None:
                self._publish("b", old, now)
            self._births_sent.add(boot)
        return True

    def _send(self, message: Message, now: float) -> bool:
        """Send one message unless it is under way or gone; False when the window had no room for it."""
        if self._has_gone_out(message.id):
            return True
        if not self._ensure_birth(message.boot, now) or self._slots() <= 0:
            return False
        self._launch(message.kind, message.payload, now, message)
        self._flying.add(message.id)
        return True

    def _has_gone_out(self, message_id: int) -> bool:
        return message_id in self._flying or message_id in self._waiting or message_id in self._taken

    def _send_live(self, now: float) -> None:
        while self._slots() > 0:
            with self._announced_lock:
                if not self._announced:
                    break
                message = self._announced[0][1]
            if self._outbox.get(message.id) is not None and not self._send_with_earlier(message, now):
                return
            with self._announced_lock:
                self._announced.popleft()
        if self._overflow and not self._announced:
            self._overflow = False
            self._restart_backlog()

    def _send_with_earlier(self, message: Message, now: float) -> bool:
        """An alert's earlier steps go first, even out of the backlog, and once more if a broker since gone had them."""
        if message.kind == "a":
            for earlier in self._outbox.earlier_steps(message):
                waiting = self._waiting.get(earlier.id)
                if waiting is not None and waiting.since < self._connected_at:
                    del self._waiting[earlier.id]
                if self._slots() <= 0 or not self._send(earlier, now):
                    return False
        return self._slots() > 0 and self._send(message, now)

    def _send_tracks(self, now: float) -> None:
        while self._slots() >= min(2, self.window):  # one of them for a birth that a new class has changed
            payload = self._tracks.next_payload()
            if payload is None:
                return
            if self.window > 1:
                self._ensure_birth(self._boot, now)
            self._publish("t", payload, now)

    def _refill(self, now: float) -> None:
        gained = (now - self._tokens_at) * self._tuning.backlog_per_s
        self._tokens, self._tokens_at = min(float(self._tuning.backlog_burst), self._tokens + gained), now

    def _may_send_old(self) -> bool:
        return self._slots() > self._reserve() and self._tokens >= 1.0

    def _send_again(self, now: float) -> None:
        while self._again and self._may_send_old():
            message = self._outbox.get(self._again[0])
            if message is not None and not self._send(message, now):
                return
            self._again.popleft()
            self._tokens -= 1.0

    def _send_backlog(self, now: float, *, health: bool) -> None:
        while self._may_send_old() and len(self._waiting) < self._tuning.unacknowledged_max:
            message = self._next_old(health=health)
            if message is None:
                return
            if not self._send(message, now):
                return
            self._chunks[health].popleft()
            self._tokens -= 1.0

    def _next_old(self, *, health: bool) -> Message | None:
        chunk = self._chunks[health]
        if chunk and self._read_at[health] != self._outbox.departures:
            self._cursors[health] = chunk[0].id - 1  # one of these may have left the outbox: read them again
            chunk.clear()
        while chunk and self._has_gone_out(chunk[0].id):
            chunk.popleft()
        if not chunk and not self._drained[health]:
            self._read_at[health] = self._outbox.departures
            chunk.extend(self._outbox.pending(self._cursors[health], _CHUNK, health=health, upto=self._upto))
            if chunk:
                self._cursors[health] = chunk[-1].id
                return self._next_old(health=health)
            self._drained[health] = True
        return chunk[0] if chunk else None

    def _probe_due(self) -> float:
        """When the picture has had long enough to acknowledge what it was sent first."""
        if not self._waiting:
            return float("inf")
        return max(self._next_probe, next(iter(self._waiting.values())).since + self._tuning.probe_s)

    def _probe(self, now: float) -> None:
        """Offer the picture one message again, with its birth, when it has been silent for long."""
        if now < self._probe_due():
            return
        message_id, waiting = next(iter(self._waiting.items()))
        del self._waiting[message_id]
        self._again.append(message_id)
        if waiting.boot == self._boot:
            self._birth_sent = 0
        self._births_sent.discard(waiting.boot)
        self._next_probe = now + self._probe_gap_s
        self._probe_gap_s = min(self._probe_gap_s * 2, self._tuning.probe_max_s)
