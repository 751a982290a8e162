"""One client's connection: packets in, answers and messages out.

Promises:
- what breaks the protocol ends this connection with the reason code and nothing else;
- a client gets no more than its Receive Maximum in flight and no packet beyond its Maximum Packet Size.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from hardware_sim.hub import codec
from hardware_sim.hub.codec import MalformedError, Message

if TYPE_CHECKING:
    from hardware_sim.hub.broker import Hub, Session

SECONDS_TO_CONNECT = 10.0
_RETAIN_HANDLING = 0x30
_NEW_ONLY, _NEVER = 0x10, 0x20


class Link:
    """One connection."""

    def __init__(self, hub: Hub, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.hub = hub
        self.reader = reader
        self.writer = writer
        self.version = codec.V5
        self.session: Session | None = None
        self.will: Message | None = None
        self.will_delay_s = 0
        self._keepalive_s: float | None = SECONDS_TO_CONNECT

    async def run(self) -> None:
        """Until the client leaves."""
        _kind, _flags, body = await self._packet()
        self.version = codec.V5 if body[:7] == b"\0\4MQTT\5" else codec.V311
        connect = codec.parse_connect(body)
        reason = self.hub.refusal(connect)
        if reason:
            self.hub.counters["refused"] += 1
            self.writer.write(codec.connack(self.version, session=False, reason=reason))
            await self.writer.drain()
            return
        self.session, present = self.hub.attach(connect, self)
        self.will, self.will_delay_s = connect.will, connect.will_delay_s
        self._keepalive_s = connect.keepalive_s * 1.5 or None
        assigned = None if connect.client_id else self.session.client_id
        self.writer.write(codec.connack(self.version, session=present, reason=0, assigned_id=assigned))
        for packet_id, message in self.session.inflight.items():
            self.writer.write(codec.publish(self.version, message, packet_id, dup=True))
        self.pump()
        while await self._handle(*await self._packet()):
            await self.writer.drain()

    def refused(self, reason: int) -> bytes:
        """What to say to a client that has broken the protocol: CONNACK before it was let in, DISCONNECT after it."""
        if self.session is None:
            return codec.connack(self.version, session=False, reason=reason)
        return codec.disconnect(self.version, reason)

    def end(self, reason: int) -> None:
        """End the connection and say why."""
        self.writer.write(codec.disconnect(self.version, reason))
        self.writer.close()

    async def _packet(self) -> tuple[int, int, bytes]:
        async with asyncio.timeout(self._keepalive_s):
            first = (await self.reader.readexactly(1))[0]
            if self.session is None and first != codec.CONNECT << 4:
                # at once: another protocol's second octet is no length, and what it promises may never come
                raise MalformedError("the first packet is not CONNECT", 0x82)
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
        codec.check_flags(kind, flags)
        if self.hub.faults.delay_s:
            await asyncio.sleep(self.hub.faults.delay_s)
        if kind == codec.PUBLISH:
            return self._publish(session, codec.parse_publish(flags, body, self.version))
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
            self._disconnect(session, *codec.parse_disconnect(body, self.version))
            return False
        else:
            raise MalformedError(f"a client does not send packets of type {kind}", 0x82)
        return True

    def _disconnect(self, session: Session, reason: int, expiry_s: int | None) -> None:
        if expiry_s:
            if session.expiry_s == 0:
                raise MalformedError("a session that was to end with its connection cannot be kept now", 0x82)
            session.expiry_s = expiry_s
        elif expiry_s == 0:
            session.expiry_s = 0
        if reason == 0:  # 0x04 asks for the will to be sent all the same
            self.will = None

    def _publish(self, session: Session, request: codec.Publish) -> bool:
        self.hub.counters["published"] += 1
        self.hub.publish(request.message, session.client_id)
        if request.message.qos and not self.hub.drops_puback():
            self.writer.write(codec.puback(request.packet_id))
        every = self.hub.faults.kick_every
        if every and self.hub.counters["published"] % every == 0:
            self.hub.counters["kicked"] += 1
            self.writer.transport.abort()
            return False
        return True

    def _subscribe(self, session: Session, request: codec.Subscribe) -> None:
        codes, due = [], []
        for topic_filter, options in request.filters:
            try:
                name, rest = codec.shared(topic_filter)
            except ValueError:
                name, rest = "", ""
            if not codec.valid_filter(rest):
                codes.append(0x80 if self.version != codec.V5 else 0x8F)
                continue
            if name and options & 0x04:
                raise MalformedError("no-local on a shared subscription", 0x82)
            codes.append(min(options & 3, 1))
            handling, new = options & _RETAIN_HANDLING, topic_filter not in session.filters
            if not name and handling != _NEVER and (new or handling != _NEW_ONLY):
                due.append((rest, codes[-1]))
            session.filters[topic_filter] = options & ~3 | codes[-1]
        self.writer.write(codec.suback(self.version, request.packet_id, codes))
        for topic_filter, qos in due:
            for held in self.hub.retained.values():
                if codec.matches(topic_filter, held.message.topic):
                    message = replace(held.message, qos=min(held.message.qos, qos))
                    session.queue.append(replace(held, message=message))
        self.pump()

    def pump(self) -> None:
        """Send what the subscriber has room for."""
        session, now = self.session, asyncio.get_running_loop().time()
        while session is not None and session.link is self and session.queue and not self.writer.is_closing():
            if session.queue[0].message.qos and len(session.inflight) >= session.receive_maximum:
                return
            message = session.queue.popleft().left(now)
            if message is None:
                self.hub.counters["expired"] += 1
                continue
            packet_id = session.packet_id() if message.qos else 0
            data = codec.publish(self.version, message, packet_id, dup=False)
            if len(data) > session.maximum_packet:
                self.hub.counters["too_large"] += 1
                continue
            if message.qos:
                session.inflight[packet_id] = message
            self.writer.write(data)
