"""The broker: sessions, retained messages, wills, delivery. One asyncio loop, everything in memory.

Promises:
- QoS 1 towards subscribers: resent on reconnect until acknowledged, at most the subscriber's Receive Maximum in flight;
- a session lives as long as its expiry says, and loses nothing while the hub lives, up to `MAX_QUEUE` messages, but for
  messages whose own expiry has passed;
- a message for a shared subscription goes to one of its subscribers, in turn, connected ones first;
- faults happen only when asked for (`Faults`), and are counted.

Not offered, and said so in CONNACK or by the reason code: QoS 2 (granted as 1), subscription identifiers, topic
aliases, enhanced authentication. Sessions are not kept over a restart.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
from collections import Counter, deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from hardware_sim.hub import codec
from hardware_sim.hub.codec import MalformedError, Message
from hardware_sim.hub.connection import Link

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_QUEUE = 100_000
NO_LOCAL, RETAIN_AS_PUBLISHED = 0x04, 0x08


@dataclass(slots=True, kw_only=True)
class Faults:
    """What the hub does wrong on purpose; may be changed while it runs."""

    drop_puback: float = 0.0  # share of PUBACKs that are never sent
    delay_s: float = 0.0  # before every answer
    kick_every: int = 0  # close the connection at every n-th PUBLISH
    refuse: bool = False  # refuse every CONNECT as "not authorized"
    credentials: dict[str, str] | None = None  # user -> password; None: everybody
    versions: tuple[int, ...] = (codec.V311, codec.V5)
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Held:
    """A message that the hub has, and until when (by the loop's clock) it is worth delivering."""

    message: Message
    until: float | None = None

    def left(self, now: float) -> Message | None:
        """The message as it goes out now; None when it has expired."""
        if self.until is None:
            return self.message
        left = self.until - now
        return replace(self.message, expiry_s=round(left)) if left > 0.0 else None


@dataclass(slots=True)
class Session:
    """What the hub remembers of a client. `filters`: a subscription's options by its topic filter."""

    client_id: str
    version: int = codec.V5
    expiry_s: int = 0
    receive_maximum: int = 65535
    maximum_packet: int = codec.FOREVER
    filters: dict[str, int] = field(default_factory=dict)
    queue: deque[Held] = field(default_factory=lambda: deque(maxlen=MAX_QUEUE))
    inflight: dict[int, Message] = field(default_factory=dict)
    next_id: int = 0
    link: Link | None = None
    ends: asyncio.TimerHandle | None = None
    will: asyncio.TimerHandle | None = None  # one that waits for its delay

    def packet_id(self) -> int:
        """The next identifier that is not in flight."""
        while self.next_id == 0 or self.next_id in self.inflight:
            self.next_id = self.next_id % 65535 + 1
        taken = self.next_id
        self.next_id = self.next_id % 65535 + 1
        return taken


class Hub:
    """A broker on 127.0.0.1. `start()` gives the port."""

    def __init__(self, faults: Faults | None = None) -> None:
        self.faults = faults or Faults()
        self.counters: Counter[str] = Counter()
        self.sessions: dict[str, Session] = {}
        self.retained: dict[str, Held] = {}
        self.listeners: list[Callable[[Message], None]] = []  # hear every message, before it is handed on
        self._turns: Counter[tuple[str, str]] = Counter()  # of shared subscriptions
        self._random = random.Random(self.faults.seed)
        self._ids = itertools.count(1)
        self._server: asyncio.Server | None = None
        self._links: set[Link] = set()

    async def start(self, port: int = 0) -> int:
        """Listen on 127.0.0.1; returns the port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Close every connection and stop listening. Sessions are forgotten with the object."""
        if self._server is not None:
            self._server.close()
            self.kick()
            for session in self.sessions.values():
                for timer in (session.ends, session.will):
                    if timer is not None:
                        timer.cancel()
            await self._server.wait_closed()
            self._server = None

    def kick(self) -> None:
        """End every connection; clients may come back."""
        for link in list(self._links):
            link.writer.transport.abort()

    def publish(self, message: Message, sender: str = "") -> None:
        """Hand a message to whom it concerns, and retain it if it says so. `sender`: the client that sent it."""
        for listener in self.listeners:
            listener(message)
        expiry_s = message.expiry_s
        held = Held(message, None if expiry_s is None else asyncio.get_running_loop().time() + expiry_s)
        if message.retain:
            if message.payload:
                self.retained[message.topic] = held
            else:
                self.retained.pop(message.topic, None)
        shares: dict[tuple[str, str], list[tuple[Session, int]]] = {}
        for session in list(self.sessions.values()):
            granted: list[int] = []
            for topic_filter, options in session.filters.items():
                name, rest = codec.shared(topic_filter)
                if not codec.matches(rest, message.topic):
                    continue
                if name:
                    shares.setdefault((name, rest), []).append((session, options))
                elif not (options & NO_LOCAL and session.client_id == sender):
                    granted.append(options)
            if granted:
                self._deliver(session, held, granted)
        for key, sharers in shares.items():
            there = [s for s in sharers if s[0].link is not None] or sharers
            session, options = there[self._turns[key] % len(there)]
            self._turns[key] += 1
            self._deliver(session, held, [options])

    def _deliver(self, session: Session, held: Held, granted: list[int]) -> None:
        m = held.message
        qos = min(m.qos, max(options & 3 for options in granted))
        retain = m.retain and any(options & RETAIN_AS_PUBLISHED for options in granted)
        if session.link is None and qos == 0:
            return  # QoS 0 is not kept for those who are away
        if len(session.queue) == MAX_QUEUE:
            self.counters["queue_overflow"] += 1
        session.queue.append(replace(held, message=replace(m, qos=qos, retain=retain)))
        if session.link is not None:
            session.link.pump()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = Link(self, reader, writer)
        self._links.add(link)
        try:
            await link.run()
        except (MalformedError, asyncio.IncompleteReadError, ConnectionError, TimeoutError) as e:
            self.counters["connections_broken"] += 1
            if isinstance(e, MalformedError):
                self.counters["malformed"] += 1
                with contextlib.suppress(ConnectionError):
                    writer.write(link.refused(e.reason))
        finally:
            self._links.discard(link)
            self._ended(link)
            writer.close()
            with contextlib.suppress(ConnectionError, TimeoutError):
                await writer.wait_closed()

    def _ended(self, link: Link) -> None:
        session, will, loop = link.session, link.will, asyncio.get_running_loop()
        ours = session is not None and session.link is link
        if session is not None and ours:
            session.link = None
            if session.expiry_s == 0:
                self.sessions.pop(session.client_id, None)
            elif session.expiry_s != codec.FOREVER:
                session.ends = loop.call_later(session.expiry_s, self.sessions.pop, session.client_id, None)
        if will is None:
            return
        delay_s = min(link.will_delay_s, session.expiry_s) if session is not None and ours else 0
        if session is not None and delay_s:
            session.will = loop.call_later(delay_s, self.publish, will)
        else:
            self.publish(will)

    def attach(self, connect: codec.Connect, link: Link) -> tuple[Session, bool]:
        """The client's session, and whether it was there before. An older connection of the same client ends."""
        client_id = connect.client_id or f"hub-{next(self._ids)}"
        session = self.sessions.get(client_id)
        if session is not None and session.link is not None:
            session.link.end(0x8E)  # taken over
            session.link = None
        present = session is not None and not connect.clean_start
        if session is not None:
            for timer in (session.ends, session.will):
                if timer is not None:
                    timer.cancel()
            session.ends = session.will = None
        if session is None or not present:
            session = self.sessions[client_id] = Session(client_id)
        session.version, session.expiry_s = connect.version, connect.session_expiry_s
        session.receive_maximum, session.maximum_packet = connect.receive_maximum, connect.maximum_packet
        session.link = link
        return session, present

    def refusal(self, connect: codec.Connect) -> int:
        """Reason code to refuse a CONNECT with; 0 to take it."""
        if self.faults.refuse:
            return 0x87  # not authorized
        if connect.version not in self.faults.versions:
            return 0x84  # unsupported protocol version
        users = self.faults.credentials
        if users is not None:
            password = (connect.password or b"").decode("utf-8", "replace")
            if connect.username is None or users.get(connect.username) != password:
                return 0x86  # bad user name or password
        return 0

    def drops_puback(self) -> bool:
        """Whether this PUBACK is one that gets lost."""
        if self.faults.drop_puback and self._random.random() < self.faults.drop_puback:
            self.counters["puback_dropped"] += 1
            return True
        return False
