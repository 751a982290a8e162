"""MQTT 3.1.1 and 5.0 packets, as far as the hub speaks them. Pure: bytes in, packets out.

Promises:
- what does not follow the standard raises `MalformedError` with the reason code of MQTT 5 (section 2.4), nothing else;
- a packet longer than `MAX_PACKET` is refused from its header, before any of it is stored.

Source: OASIS MQTT 3.1.1 (2014) and MQTT 5.0 (2019); section numbers are those of 5.0.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

MAX_PACKET = 1 << 20
V311, V5 = 4, 5
CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK = 1, 2, 3, 4, 8, 9
UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT = 10, 11, 12, 13, 14
MESSAGE_EXPIRY, SUBSCRIPTION_ID, SESSION_EXPIRY, ASSIGNED_ID, WILL_DELAY = 0x02, 0x0B, 0x11, 0x12, 0x18
RECEIVE_MAXIMUM, TOPIC_ALIAS, MAXIMUM_QOS, USER_PROPERTY, MAXIMUM_PACKET, SUBSCRIPTION_IDS = (
    0x21, 0x23, 0x24, 0x26, 0x27, 0x29,
)  # fmt: skip
FORWARDED = (0x01, 0x03, 0x08, 0x09, USER_PROPERTY)
"""Of a message, what goes on to its receivers as it is: format, content type, response topic, correlation, user's."""
FOREVER = 0xFFFFFFFF
_FLAGS = {SUBSCRIBE: 2, UNSUBSCRIBE: 2}

# Kind of each property's value (2.2.2.2): number of bytes, or "v" varint, "s" string, "b" binary, "p" pair of strings.
_PROPERTIES: dict[int, int | str] = {
    0x01: 1, 0x02: 4, 0x03: "s", 0x08: "s", 0x09: "b", 0x0B: "v", 0x11: 4, 0x12: "s", 0x13: 2, 0x15: "s", 0x16: "b",
    0x17: 1, 0x18: 4, 0x19: 1, 0x1A: "s", 0x1C: "s", 0x1F: "s", 0x21: 2, 0x22: 2, 0x23: 2, 0x24: 1, 0x25: 1, 0x26: "p",
    0x27: 4, 0x28: 1, 0x29: 1, 0x2A: 1,
}  # fmt: skip


class MalformedError(Exception):
    """The peer broke the protocol; `reason` is the MQTT 5 reason code to end the connection with."""

    def __init__(self, sentence: str, reason: int = 0x81) -> None:
        super().__init__(sentence)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """An application message. `properties` are the octets of those that go on to its receivers."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    properties: bytes = b""
    expiry_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Connect:
    """CONNECT (3.1)."""

    version: int
    client_id: str
    clean_start: bool
    keepalive_s: int
    session_expiry_s: int
    receive_maximum: int
    maximum_packet: int
    will: Message | None
    will_delay_s: int
    username: str | None
    password: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Publish:
    """PUBLISH (3.3)."""

    message: Message
    packet_id: int = 0
    dup: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscribe:
    """SUBSCRIBE (3.8): (topic filter, options byte)."""

    packet_id: int
    filters: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsubscribe:
    """UNSUBSCRIBE (3.10)."""

    packet_id: int
    filters: tuple[str, ...]


@dataclass(slots=True)
class Reader:
    """Takes values off the front of a packet's body."""

    data: bytes
    at: int = 0
    forwarded: bytes = b""  # of the properties that were read

    def take(self, n: int) -> bytes:
        """The next `n` bytes."""
        if self.at + n > len(self.data):
            raise MalformedError("a packet ends in the middle of a field")
        out = self.data[self.at : self.at + n]
        self.at += n
        return out

    def number(self, n: int) -> int:
        """A big-endian number of `n` bytes."""
        return int.from_bytes(self.take(n), "big")

    def binary(self) -> bytes:
        """Length-prefixed bytes."""
        return self.take(self.number(2))

    def string(self) -> str:
        """Length-prefixed UTF-8 without U+0000 (1.5.4)."""
        try:
            text = self.binary().decode("utf-8")
        except UnicodeDecodeError as e:
            raise MalformedError("a string is not UTF-8") from e
        if "\0" in text:
            raise MalformedError("a string holds U+0000")
        return text

    def varint(self) -> int:
        """A variable byte integer (1.5.5)."""
        value = shift = 0
        while True:
            byte = self.number(1)
            value |= (byte & 0x7F) << shift
            if not byte & 0x80:
                return value
            shift += 7
            if shift > 21:
                raise MalformedError("a length of more than four bytes")

    def read_properties(self) -> dict[int, object]:
        """The property block (2.2.2)."""
        end = self.varint() + self.at
        out: dict[int, object] = {}
        while self.at < end:
            began, key = self.at, self.varint()
            if key in out and key not in (USER_PROPERTY, SUBSCRIPTION_ID):
                raise MalformedError(f"property 0x{key:02x} twice", 0x82)
            kind = _PROPERTIES.get(key)
            if kind is None:
                raise MalformedError(f"there is no property 0x{key:02x}")
            if isinstance(kind, int):
                out[key] = self.number(kind)
            elif kind == "v":
                out[key] = self.varint()
            elif kind == "b":
                out[key] = self.binary()
            elif kind == "s":
                out[key] = self.string()
            else:
                out[key] = (self.string(), self.string())
            if key in FORWARDED:
                self.forwarded += self.data[began : self.at]
        if self.at != end:
            raise MalformedError("the properties run over their length")
        return out

    def rest(self) -> bytes:
        """Everything that is left."""
        return self.take(len(self.data) - self.at)


def parse_connect(body: bytes) -> Connect:
    """CONNECT (3.1).

    Raises:
        MalformedError: not MQTT 3.1.1 or 5.0, or broken.

    """
    r = Reader(body)
    name, version = r.string(), r.number(1)
    if name != "MQTT" or version not in (V311, V5):
        raise MalformedError(f"protocol {name!r} version {version} is not spoken here", 0x84)
    flags, keepalive_s = r.number(1), r.number(2)
    if flags & 0x01:
        raise MalformedError("the reserved flag of CONNECT is set")
    properties = r.read_properties() if version == V5 else {}
    client_id = r.string()
    clean = bool(flags & 0x02)
    if version == V311 and not client_id and not clean:
        raise MalformedError("no client identifier and a session to keep", 0x85)
    will, will_delay_s = _will(r, flags, version)
    username = r.string() if flags & 0x80 else None
    password = r.binary() if flags & 0x40 else None
    if r.at != len(body):
        raise MalformedError("CONNECT goes on after its last field")
    # 3.1.1 has no expiry: Clean Session 0 means to keep it
    expiry = _number(properties, SESSION_EXPIRY, 0) if version == V5 else (0 if clean else FOREVER)
    maximum, packet_max = _number(properties, RECEIVE_MAXIMUM, 65535), _number(properties, MAXIMUM_PACKET, FOREVER)
    if maximum == 0 or packet_max == 0:
        raise MalformedError("Receive Maximum or Maximum Packet Size 0 is a protocol error", 0x82)
    return Connect(
        version=version, client_id=client_id, clean_start=clean, keepalive_s=keepalive_s, session_expiry_s=expiry,
        receive_maximum=maximum, maximum_packet=packet_max, will=will, will_delay_s=will_delay_s, username=username,
        password=password,
    )  # fmt: skip


def _will(r: Reader, flags: int, version: int) -> tuple[Message | None, int]:
    """The will of a CONNECT and its delay."""
    qos = (flags >> 3) & 3
    if not flags & 0x04:
        if flags & 0x38:
            raise MalformedError("a will's flags without a will")
        return None, 0
    if qos == 3:
        raise MalformedError("QoS 3")
    r.forwarded = b""  # CONNECT has properties of its own
    properties = r.read_properties() if version == V5 else {}
    forwarded = r.forwarded
    topic, payload = r.string(), r.binary()
    _check_topic(topic)
    return Message(
        topic=topic, payload=payload, qos=min(qos, 1), retain=bool(flags & 0x20), properties=forwarded,
        expiry_s=_optional(properties, MESSAGE_EXPIRY),
    ), _number(properties, WILL_DELAY, 0)  # fmt: skip


def _number(properties: dict[int, object], key: int, default: int) -> int:
    value = properties.get(key, default)
    assert isinstance(value, int)  # noqa: S101 - `_PROPERTIES` says that it is one
    return value


def _optional(properties: dict[int, object], key: int) -> int | None:
    return _number(properties, key, 0) if key in properties else None


def _check_topic(topic: str) -> None:
    if not topic or "+" in topic or "#" in topic:
        raise MalformedError(f"{topic!r} is no topic to publish to", 0x90)


def parse_publish(flags: int, body: bytes, version: int) -> Publish:
    """PUBLISH (3.3)."""
    r = Reader(body)
    qos = (flags >> 1) & 3
    if qos == 3 or (qos == 0 and flags & 8):
        raise MalformedError("QoS 3, or QoS 0 that is sent again")
    if qos > 1:
        raise MalformedError("QoS 2 is not offered here", 0x9B)
    topic = r.string()
    packet_id = r.number(2) if qos else 0
    properties = r.read_properties() if version == V5 else {}
    if TOPIC_ALIAS in properties:
        raise MalformedError("topic aliases are not offered here", 0x94)
    if SUBSCRIPTION_ID in properties:
        raise MalformedError("a client's PUBLISH with a subscription identifier", 0x82)
    _check_topic(topic)
    if qos and packet_id == 0:
        raise MalformedError("packet identifier 0")
    message = Message(
        topic=topic, payload=r.rest(), qos=qos, retain=bool(flags & 1), properties=r.forwarded,
        expiry_s=_optional(properties, MESSAGE_EXPIRY),
    )  # fmt: skip
    return Publish(message=message, packet_id=packet_id, dup=bool(flags & 8))


def parse_subscribe(body: bytes, version: int) -> Subscribe:
    """SUBSCRIBE (3.8)."""
    r = Reader(body)
    packet_id = r.number(2)
    if version == V5 and SUBSCRIPTION_ID in r.read_properties():
        raise MalformedError("subscription identifiers are not offered here", 0xA1)
    filters = []
    while r.at < len(body):
        filters.append((r.string(), r.number(1)))
        if filters[-1][1] & 3 == 3 or filters[-1][1] & (0xC0 if version == V5 else 0xFC):
            raise MalformedError("options of a subscription that are none")
    if not filters or packet_id == 0:
        raise MalformedError("SUBSCRIBE without a topic filter or a packet identifier", 0x82)
    return Subscribe(packet_id=packet_id, filters=tuple(filters))


def parse_unsubscribe(body: bytes, version: int) -> Unsubscribe:
    """UNSUBSCRIBE (3.10)."""
    r = Reader(body)
    packet_id = r.number(2)
    if version == V5:
        r.read_properties()
    filters = []
    while r.at < len(body):
        filters.append(r.string())
    if not filters or packet_id == 0:
        raise MalformedError("UNSUBSCRIBE without a topic filter or a packet identifier", 0x82)
    return Unsubscribe(packet_id=packet_id, filters=tuple(filters))


def parse_disconnect(body: bytes, version: int) -> tuple[int, int | None]:
    """DISCONNECT (3.14): reason, and the session expiry that it asks for."""
    r = Reader(body)
    reason = r.number(1) if body else 0
    properties = r.read_properties() if version == V5 and r.at < len(body) else {}
    return reason, _optional(properties, SESSION_EXPIRY)


def check_flags(kind: int, flags: int) -> None:
    """The four low bits of a fixed header, which are PUBLISH's own and fixed for all others (2.1.3).

    Raises:
        MalformedError: they are not what they have to be.

    """
    if kind != PUBLISH and flags != _FLAGS.get(kind, 0):
        raise MalformedError(f"flags {flags:x} in a packet of type {kind}")


def packet(kind: int, flags: int, body: bytes) -> bytes:
    """Fixed header and body."""
    return bytes([kind << 4 | flags]) + varint(len(body)) + body


def varint(n: int) -> bytes:
    """A variable byte integer (1.5.5)."""
    out = bytearray()
    while True:
        n, digit = divmod(n, 128)
        out.append(digit | (0x80 if n else 0))
        if not n:
            return bytes(out)


def connack(version: int, *, session: bool, reason: int, assigned_id: str | None = None) -> bytes:
    """CONNACK (3.2). MQTT 3.1.1 knows only the reasons 0-5."""
    if version != V5:
        old = {0: 0, 0x84: 1, 0x85: 2, 0x88: 3, 0x86: 4, 0x87: 5}.get(reason, 3)
        return packet(CONNACK, 0, bytes([session and old == 0, old]))
    props = bytes([MAXIMUM_QOS, 1, SUBSCRIPTION_IDS, 0])
    if assigned_id is not None:
        props += bytes([ASSIGNED_ID]) + _string(assigned_id)
    return packet(CONNACK, 0, bytes([session and reason == 0, reason, len(props)]) + props)


def publish(version: int, message: Message, packet_id: int, *, dup: bool) -> bytes:
    """PUBLISH towards a subscriber."""
    head = _string(message.topic) + (struct.pack(">H", packet_id) if message.qos else b"")
    if version == V5:
        expiry = b"" if message.expiry_s is None else struct.pack(">BI", MESSAGE_EXPIRY, message.expiry_s)
        properties = expiry + message.properties
        head += varint(len(properties)) + properties
    flags = (dup << 3) | (message.qos << 1) | message.retain
    return packet(PUBLISH, flags, head + message.payload)


def puback(packet_id: int) -> bytes:
    """PUBACK with reason 0: the same bytes in both versions (3.4.2.1)."""
    return packet(PUBACK, 0, struct.pack(">H", packet_id))


def suback(version: int, packet_id: int, codes: list[int], *, kind: int = SUBACK) -> bytes:
    """SUBACK, or UNSUBACK; the latter has no codes in 3.1.1."""
    body = struct.pack(">H", packet_id) + (b"\0" if version == V5 else b"")
    return packet(kind, 0, body + (bytes(codes) if kind == SUBACK or version == V5 else b""))


def disconnect(version: int, reason: int) -> bytes:
    """DISCONNECT by the server: MQTT 5 only, nothing in 3.1.1."""
    return packet(DISCONNECT, 0, bytes([reason])) if version == V5 else b""


def matches(topic_filter: str, topic: str) -> bool:
    """Whether a topic falls under a filter (4.7)."""
    if topic.startswith("$") and topic_filter[:1] in ("+", "#"):
        return False
    wanted, given = topic_filter.split("/"), topic.split("/")
    for i, w in enumerate(wanted):
        if w == "#":
            return True
        if i >= len(given) or w not in ("+", given[i]):
            return False
    return len(wanted) == len(given)


def valid_filter(topic_filter: str) -> bool:
    """Whether wildcards stand where they may (4.7.1)."""
    levels = topic_filter.split("/")
    return bool(topic_filter) and all(
        (level in ("+", "#") or not ("+" in level or "#" in level)) and (level != "#" or i == len(levels) - 1)
        for i, level in enumerate(levels)
    )


def shared(topic_filter: str) -> tuple[str, str]:
    """(name of the group, filter) of `$share/NAME/FILTER` (4.8.2); the name is empty where it is no shared one.

    Raises:
        ValueError: it begins like one and is none.

    """
    if not topic_filter.startswith("$share/"):
        return "", topic_filter
    name, _, rest = topic_filter.removeprefix("$share/").partition("/")
    if not name or not rest or "+" in name or "#" in name:
        raise ValueError(f"{topic_filter!r} is no shared subscription")
    return name, rest


def _string(text: str) -> bytes:
    data = text.encode()
    return struct.pack(">H", len(data)) + data
