"""Our hub alone: its faults, its refusals, and its codec under whatever octets may come."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hardware_sim.hub import codec
from hub.mqtt_client import Client, answer, connect_packet, ends, packet, raw, text
from hub.running import Running


@pytest.fixture
def running() -> Iterator[Running]:
    with Running() as r:
        yield r
        assert r.trouble == []


def test_puback_can_be_lost_on_purpose(running: Running) -> None:
    running.hub.faults.drop_puback = 1.0
    a = Client(running.port, "a")
    info = a.paho.publish("t", b"x", qos=1)
    deadline = time.monotonic() + 5
    while not running.hub.counters["puback_dropped"] and time.monotonic() < deadline:
        time.sleep(0.01)
    assert running.hub.counters["puback_dropped"] == 1
    assert not info.is_published()
    a.close()


def test_refusals_carry_the_reason(running: Running) -> None:
    running.hub.faults.credentials = {"box": "secret"}
    a = Client(running.port, "a")
    assert a.reason == 0x86
    a.close()
    running.hub.faults.credentials = None
    running.hub.faults.versions = (4,)
    b = Client(running.port, "b")
    assert b.reason == 0x84
    b.close()


def test_what_is_not_offered_is_said(running: Running) -> None:
    """QoS 2, subscription identifiers and topic aliases: in CONNACK, and by the reason code to who asks."""
    with raw(running.port) as s:
        s.sendall(connect_packet(5))
        assert s.recv(100) == bytes.fromhex("2007000004") + bytes((0x24, 1, 0x29, 0))
        s.sendall(packet(0x34, text("t") + b"\0\1\0x"))
        assert ends(s) == b"\xe0\1\x9b"
    asked = {
        0xA1: packet(0x82, b"\0\1\2\x0b\1" + text("t") + b"\1"),
        0x94: packet(0x30, text("") + b"\3\x23\0\1x"),
    }
    for reason, bad in asked.items():
        with raw(running.port, 5) as s:
            s.sendall(bad)
            assert ends(s) == bytes((0xE0, 1, reason))
    a = Client(running.port, "a")
    assert a.subscribe("t", qos=2) == 1
    a.close()


def test_what_mosquitto_2_0_lets_pass(running: Running) -> None:
    """Where the hub is nearer to the standard: malformed shares, flags of a PINGREQ, the reason of a take-over."""
    for topic_filter in ("$share//x", "$share/a"):
        with raw(running.port, 5) as s:
            s.sendall(packet(0x82, b"\0\1\0" + text(topic_filter) + b"\1"))
            assert answer(s) == (0x90, b"\0\1\0\x8f")
    with raw(running.port, 5) as s:
        s.sendall(packet(0xC1, b""))
        assert ends(s) == b"\xe0\1\x81"
    with raw(running.port, 5) as first, raw(running.port, 5):
        assert ends(first) == b"\xe0\1\x8e"


def test_a_packet_beyond_the_client_s_maximum_is_left_out(running: Running) -> None:
    a, b = Client(running.port, "a", MaximumPacketSize=100), Client(running.port, "b")
    a.subscribe("t")
    b.publish("t", bytes(200))
    b.publish("t", b"small")
    assert a.next() == ("t", b"small")
    assert running.hub.counters["too_large"] == 1
    a.close()
    b.close()


# ---------------------------------------------------------------- the codec

PARSERS: dict[int, Callable[[int, bytes, int], object]] = {
    codec.CONNECT: lambda _f, b, _v: codec.parse_connect(b),
    codec.PUBLISH: codec.parse_publish,
    codec.SUBSCRIBE: lambda _f, b, v: codec.parse_subscribe(b, v),
    codec.UNSUBSCRIBE: lambda _f, b, v: codec.parse_unsubscribe(b, v),
    codec.DISCONNECT: lambda _f, b, v: codec.parse_disconnect(b, v),
}
GOOD = [
    connect_packet(4), connect_packet(5), packet(0x10, text("MQTT") + b"\5\xc6\0\5\5\x11\0\0\0\1" + text("c")
    + b"\5\x18\0\0\0\1" + text("w") + text("x") + text("u") + text("p")),
    packet(0x32, text("t/u") + b"\0\1" + b"\7\x26" + text("k") + text("v") + b"payload"),
    packet(0x30, text("t") + b"x"),
    packet(0x82, b"\0\1\0" + text("a/+/#") + b"\1" + text("b") + b"\0"), packet(0xA2, b"\0\1" + text("a")),
    packet(0x40, b"\0\1"), packet(0xC0, b""), packet(0xE0, b"\0\5\x11\0\0\0\0"),
]  # fmt: skip


@st.composite
def spoiled(draw: st.DrawFn) -> bytes:
    """A good packet of which some octets are others, or missing, or more."""
    data = bytearray(draw(st.sampled_from(GOOD)))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(1, max(1, len(data) - 1)))
        match draw(st.integers(0, 2)):
            case 0:
                data[at : at + 1] = bytes((draw(st.integers(0, 255)),))
            case 1:
                del data[at : at + draw(st.integers(1, 5))]
            case _:
                data[at:at] = draw(st.binary(max_size=5))
    return bytes(data)


@given(st.one_of(st.binary(max_size=200), spoiled().map(lambda d: d[2:])), st.integers(0, 15), st.sampled_from([4, 5]))
@settings(deadline=None, max_examples=1000)
def test_any_octets_are_parsed_or_refused(body: bytes, flags: int, version: int) -> None:
    for parse in PARSERS.values():
        try:
            parse(flags, body, version)
        except codec.MalformedError as e:
            assert e.reason >= 0x80  # noqa: PT017 - either outcome is right, this is what a refusal has to carry


topics = st.text(st.characters(codec="utf-8", exclude_characters="+#\0"), min_size=1, max_size=40)
user = st.lists(
    st.tuples(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=9), topics), max_size=3
)


@given(
    topics, st.binary(max_size=300), st.integers(0, 1), st.booleans(), st.sampled_from([4, 5]),
    st.none() | st.integers(0, 2**32 - 1), user,
)  # fmt: skip
@settings(deadline=None)
def test_a_message_comes_back_as_it_was(
    topic: str, payload: bytes, qos: int, retain: bool, version: int, expiry_s: int | None, pairs: list[tuple[str, str]]
) -> None:
    said = b"".join(b"\x26" + b"".join(struct.pack(">H", len(x.encode())) + x.encode() for x in p) for p in pairs)
    if version == 4:
        said, expiry_s = b"", None
    message = codec.Message(topic=topic, payload=payload, qos=qos, retain=retain, properties=said, expiry_s=expiry_s)
    data = codec.publish(version, message, 7, dup=False)
    length = codec.Reader(data, 1)
    assert length.varint() == len(data) - length.at
    back = codec.parse_publish(data[0] & 15, data[length.at :], version)
    assert back.message == message
    assert back.packet_id == (7 if qos else 0)


@given(st.integers(0, 2**28 - 1))
def test_variable_byte_integers(n: int) -> None:
    assert codec.Reader(codec.varint(n)).varint() == n
    assert len(codec.varint(n)) <= 4


def test_a_running_hub_lives_through_anything(running: Running) -> None:
    """Spoiled packets on one connection after another: none harms the hub or another client."""
    a = Client(running.port, "steady")
    a.subscribe("steady")

    @given(st.lists(spoiled(), max_size=6), st.booleans())
    @settings(deadline=None, max_examples=60)
    def attack(packets: list[bytes], connected: bool) -> None:
        with raw(running.port) as s:
            s.sendall((connect_packet(5, "raw") if connected else b"") + b"".join(packets))
            s.shutdown(1)
            ends(s)

    attack()
    a.publish("steady", b"still here")
    assert a.next() == ("steady", b"still here")
    a.close()
