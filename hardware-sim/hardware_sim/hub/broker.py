"""The broker: sessions, retained messages, wills, delivery. One asyncio loop, everything in memory.

Promises:
- QoS 1 towards subscribers: resent on reconnect until acknowledged, at most the subscriber's Receive Maximum in flight;
- a session lives as long as its expiry says, and loses nothing while the hub lives, up to `MAX_QUEUE` messages;
- faults happen only when asked for (`Faults`), and are counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
from collections import Counter, deque
from dataclasses import dataclass, field, replace

from hardware_sim.hub import codec
from hardware_sim.hub.codec import MalformedError, Message

MAX_QUEUE = 100_000


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


@dataclass(slots=True)
class Session:
    """What the hub remembers of a client."""

    client_id: str
    version: int = codec.V5
    expiry_s: int = 0
    receive_maximum: int = 65535
    filters: dict[str, int] = field(default_factory=dict)
    queue: deque[Message] = field(default_factory=lambda: deque(maxlen=MAX_QUEUE))
    inflight: dict[int, Message] = field(default_factory=dict)
    next_id: int = 0
    link: _Link | None = None
    ends: asyncio.TimerHandle | None = None


class Hub:
    """A broker on 127.0.0.1. `start()` gives the port."""

    def __init__(self, faults: Faults | None = None) -> None:
        self.faults = faults or Faults()
        self.counters: Counter[str] = Counter()
        self.sessions: dict[str, Session] = {}
        self.retained: dict[str, Message] = {}
        self._random = random.Random(self.faults.seed)
        self._ids = itertools.count(1)
        self._server: asyncio.Server | None = None
        self._links: set[_Link] = set()

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
                if session.ends is not None:
                    session.ends.cancel()
            await self._server.wait_closed()
            self._server = None

    def kick(self) -> None:
        """End every connection; clients may come back."""
        for link in list(self._links):
            link.writer.transport.abort()

    def publish(self, message: Message) -> None:
        """Hand a message to whom it concerns, and retain it if it says so."""
        if message.retain:
            if message.payload:
                self.retained[message.topic] = message
            else:
                self.retained.pop(message.topic, None)
        for session in list(self.sessions.values()):
            granted = [qos for f, qos in session.filters.items() if codec.matches(f, message.topic)]
            if granted:
                self._deliver(session, replace(message, qos=min(message.qos, max(granted)), retain=False))

    def _deliver(self, session: Session, message: Message) -> None:
        if session.link is None and message.qos == 0:
            return  # QoS 0 is not kept for those who are away
        if len(session.queue) == MAX_QUEUE:
            self.counters["queue_overflow"] += 1
        session.queue.append(message)
        if session.link is not None:
            session.link.pump()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = _Link(self, reader, writer)
        self._links.add(link)
        try:
            await link.run()
        except (MalformedError, asyncio.IncompleteReadError, ConnectionError, TimeoutError) as e:
            self.counters["connections_broken"] += 1
            if isinstance(e, MalformedError):
                self.counters["malformed"] += 1
                with contextlib.suppress(ConnectionError):
                    writer.write(codec.disconnect(link.version, e.reason))
        finally:
            self._links.discard(link)
            self._ended(link)
            writer.close()
            with contextlib.suppress(ConnectionError, TimeoutError):
                await writer.wait_closed()

    def _ended(self, link: _Link) -> None:
        session = link.session
        if session is not None and session.link is link:
            session.link = None
            if session.expiry_s == 0:
                self.sessions.pop(session.client_id, None)
            elif session.expiry_s != 0xFFFFFFFF:
                loop = asyncio.get_running_loop()
                session.ends = loop.call_later(session.expiry_s, self.sessions.pop, session.client_id, None)
        if link.will is not None:
            self.publish(link.will)

    def attach(self, connect: codec.Connect, link: _Link) -> tuple[Session, bool]:
        """The client's session, and whether it was there before. An older connection of the same client ends."""
        client_id = connect.client_id or f"hub-{next(self._ids)}"
        session = self.sessions.get(client_id)
        if session is not None and session.link is not None:
            session.link.writer.transport.abort()
            session.link = None
        present = session is not None and not connect.clean_start
        if session is None or not present:
            session = self.sessions[client_id] = Session(client_id)
        if session.ends is not None:
            session.ends.cancel()
            session.ends = None
        session.version, session.expiry_s = connect.version, connect.session_expiry_s
        session.receive_maximum, session.link = connect.receive_maximum, link
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


class _Link:
    """One connection."""

    def __init__(self, hub: Hub, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.hub = hub
        self.reader = reader
        self.writer = writer
        self.version = codec.V5
        self.session: Session | None = None
        self.will: Message | None = None
        self._keepalive_s: float | None = 10.0  # to say CONNECT

    async def run(self) -> None:
        """Until the client leaves."""
        kind, _, body = await self._packet()
        if kind != codec.CONNECT:
            raise MalformedError("the first packet is not CONNECT", 0x82)
        connect = codec.parse_connect(body)
        self.version = connect.version
        reason = self.hub.refusal(connect)
        if reason:
            self.hub.counters["refused"] += 1
            self.writer.write(codec.connack(self.version, session=False, reason=reason))
            await self.writer.drain()
            return
        self.session, present = self.hub.attach(connect, self)
        self.will = connect.will
        self._keepalive_s = connect.keepalive_s * 1.5 or None
        assigned = None if connect.client_id else self.session.client_id
        self.writer.write(codec.connack(self.version, session=present, reason=0, assigned_id=assigned))
        for packet_id, message in self.session.inflight.items():
            self.writer.write(codec.publish(self.version, message, packet_id, dup=True))
        self.pump()
        while await self._handle(*await self._packet()):
            await self.writer.drain()

    async def _packet(self) -> tuple[int, int, bytes]:
        async with asyncio.timeout(self._keepalive_s):
            first = (await self.reader.readexactly(1))[0]
            length = shift = 0
            while True:
                byte = (await self.reader.readexactly(1))[0]
                length |= (byte & 0x7F) << shift
                shift += 7
                if not byte & 0x80:
                    break
                if shift > 21:
                    raise MalformedError("a length of more than four bytes")
            if length > codec.MAX_PACKET:
                raise MalformedError(f"a packet of {length} bytes", 0x95)
            body = await self.reader.readexactly(length)
        return first >> 4, first & 0x0F, body

    async def _handle(self, kind: int, flags: int, body: bytes) -> bool:
        session = self.session
        assert session is not None  # noqa: S101 - set before the loop begins
        if self.hub.faults.delay_s:
            await asyncio.sleep(self.hub.faults.delay_s)
        if kind == codec.PUBLISH:
            return self._publish(codec.parse_publish(flags, body, self.version))
        if kind == codec.PUBACK:
            session.inflight.pop(codec.Reader(body).number(2), None)
            self.pump()
        elif kind == codec.SUBSCRIBE:
            self._subscribe(session, codec.parse_subscribe(body, self.version))
        elif kind == codec.UNSUBSCRIBE:
            request = codec.parse_unsubscribe(body, self.version)
            codes = [0 if session.filters.pop(f, None) is not None else 0x11 for f in request.filters]
            self.writer.write(codec.suback(self.version, request.packet_id, codes, kind=codec.UNSUBACK))
        elif kind == codec.PINGREQ:
            self.writer.write(codec.packet(codec.PINGRESP, 0, b""))
        elif kind == codec.DISCONNECT:
            if not body or body[0] == 0:  # 0x04 asks for the will to be sent all the same
                self.will = None
            return False
        else:
            raise MalformedError(f"a client does not send packets of type {kind}", 0x82)
        return True

    def _publish(self, request: codec.Publish) -> bool:
        self.hub.counters["published"] += 1
        self.hub.publish(request.message)
        if request.message.qos and not self.hub.drops_puback():
            self.writer.write(codec.puback(request.packet_id))
        every = self.hub.faults.kick_every
        if every and self.hub.counters["published"] % every == 0:
            self.hub.counters["kicked"] += 1
            self.writer.transport.abort()
            return False
        return True

    def _subscribe(self, session: Session, request: codec.Subscribe) -> None:
        codes = []
        for topic_filter, options in request.filters:
            if not codec.valid_filter(topic_filter) or topic_filter.startswith("$share/"):
                codes.append(0x80 if self.version != codec.V5 else 0x8F)
                continue
            codes.append(min(options & 3, 1))
            session.filters[topic_filter] = codes[-1]
        self.writer.write(codec.suback(self.version, request.packet_id, codes))
        for (topic_filter, _), code in zip(request.filters, codes, strict=True):
            for message in self.hub.retained.values() if code < 0x80 else ():
                if codec.matches(topic_filter, message.topic):
                    session.queue.append(replace(message, qos=min(message.qos, code)))
        self.pump()

    def pump(self) -> None:
        """Send what the subscriber has room for."""
        session = self.session
        while session is not None and session.link is self and session.queue and not self.writer.is_closing():
            if session.queue[0].qos and len(session.inflight) >= session.receive_maximum:
                return
            message = session.queue.popleft()
            packet_id = 0
            if message.qos:
                while session.next_id == 0 or session.next_id in session.inflight:
                    session.next_id = session.next_id % 65535 + 1
                packet_id = session.next_id
                session.inflight[packet_id] = message
                session.next_id = session.next_id % 65535 + 1
            self.writer.write(codec.publish(self.version, message, packet_id, dup=False))
