"""What MQTT 3.1.1 and 5 promise, asked of our hub and of mosquitto alike: where both pass, tests may use either."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hub.mqtt_client import PATIENCE_S, Client, answer, connect_packet, ends, packet, raw, text
from hub.running import Running
from support.broker import Mosquitto


@pytest.fixture(params=["hub", "mosquitto"])
def port(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[int]:
    if request.param == "hub":
        with Running() as running:
            yield running.port
            assert running.trouble == []
    else:
        broker = Mosquitto(tmp_path)
        broker.start()
        yield broker.port
        broker.stop()


versions = pytest.mark.parametrize("version", [4, 5])


@versions
def test_publish_subscribe_and_retained(port: int, version: int) -> None:
    a, b = Client(port, "a", version), Client(port, "b", version)
    assert a.subscribe("s1/+/u/#") == 1
    b.publish("s1/box/u/a", b"alert")
    assert a.next() == ("s1/box/u/a", b"alert")
    b.publish("s1/box/u/b", b"birth", retain=True)
    m = a.message()
    assert (m.topic, m.payload, m.retain) == ("s1/box/u/b", b"birth", False)  # retain is for those who come later
    late = Client(port, "late", version)
    late.subscribe("s1/#")
    m = late.message()
    assert (m.topic, m.payload, m.retain, m.qos) == ("s1/box/u/b", b"birth", True, 1)
    b.publish("s1/box/u/b", b"", retain=True)  # forgets it
    assert late.next() == ("s1/box/u/b", b"")
    later = Client(port, "later", version)
    later.subscribe("s1/#")
    assert later.drained() == []
    for c in (a, b, late, later):
        c.close()


@versions
def test_qos_0_is_granted_and_kept(port: int, version: int) -> None:
    a, b = Client(port, "a", version), Client(port, "b", version)
    assert a.subscribe("t", qos=0) == 0
    b.publish("t", b"1", qos=1)
    m = a.message()
    assert (m.qos, m.payload) == (0, b"1")
    a.unsubscribe("t")
    b.publish("t", b"2")
    assert a.drained() == []
    a.close()
    b.close()


@versions
def test_a_session_keeps_messages_for_who_is_away(port: int, version: int) -> None:
    a = Client(port, "a", version, keep=True)
    assert not a.session_present
    a.subscribe("t")
    a.close()
    b = Client(port, "b", version)
    for i in range(60):
        b.publish("t", str(i).encode())
    again = Client(port, "a", version, keep=True)
    assert again.session_present
    assert [again.next()[1] for _ in range(60)] == [str(i).encode() for i in range(60)]
    again.close()
    fresh = Client(port, "a", version)  # a clean start forgets it
    assert not fresh.session_present
    b.publish("t", b"to nobody")
    assert fresh.drained() == []
    fresh.close()
    b.close()


def test_a_session_ends_when_it_expires(port: int) -> None:
    a = Client(port, "a", keep=True, SessionExpiryInterval=1)
    a.subscribe("t")
    a.close()
    time.sleep(3.0)  # mosquitto looks once a second
    again = Client(port, "a", keep=True)
    assert not again.session_present
    again.close()


@versions
def test_a_will_is_sent_when_the_link_breaks_and_not_after_goodbye(port: int, version: int) -> None:
    a = Client(port, "a", version)
    a.subscribe("gone/#")
    Client(port, "b", version, will=("gone/b", b"never")).close()
    Client(port, "c", version, will=("gone/c", b"bye")).break_off()
    assert a.next() == ("gone/c", b"bye")
    assert a.drained() == []
    a.close()


def test_a_will_waits_for_its_delay_and_is_dropped_when_its_client_is_back(port: int) -> None:
    a = Client(port, "a")
    a.subscribe("gone/#")
    Client(port, "b", keep=True, will=("gone/b", b"never"), delay_s=4).break_off()
    back = Client(port, "b", keep=True)
    began = time.monotonic()
    Client(port, "c", keep=True, will=("gone/c", b"late"), delay_s=2).break_off()
    assert a.next() == ("gone/c", b"late")
    assert time.monotonic() - began >= 1.0
    time.sleep(3.5)  # b's delay would be over
    assert a.drained() == []
    back.close()
    a.close()


def test_a_client_that_comes_twice_ends_its_first_connection(port: int) -> None:
    first = Client(port, "a")
    second = Client(port, "a")
    assert first.gone.get(timeout=PATIENCE_S) >= 0x80
    second.subscribe("t")
    second.publish("t", b"x")
    assert second.next() == ("t", b"x")
    first.paho.loop_stop()
    second.close()


def test_what_is_unacknowledged_comes_again_with_the_same_number(port: int) -> None:
    keep = text("raw")
    connect = packet(0x10, text("MQTT") + bytes((4, 0, 0, 60)) + keep)
    b = Client(port, "b")
    with raw(port) as s:
        s.sendall(connect + packet(0x82, b"\0\1" + text("t") + b"\1"))
        assert [answer(s)[0] for _ in range(2)] == [0x20, 0x90]
        b.publish("t", b"x")
        first, body = answer(s)
        assert first == 0x32
    with raw(port) as s:
        s.sendall(connect)
        assert answer(s) == (0x20, b"\1\0")
        again = answer(s)
        assert again == (0x3A, body)  # marked as sent again
        s.sendall(packet(0x40, body[3:5]))
        s.sendall(packet(0xC0, b""))
        assert answer(s)[0] == 0xD0
    with raw(port) as s:
        s.sendall(connect + packet(0xC0, b""))
        assert [answer(s)[0] for _ in range(2)] == [0x20, 0xD0]
    b.close()


def test_no_more_than_the_receive_maximum_are_in_flight(port: int) -> None:
    b = Client(port, "b")
    connect = packet(0x10, text("MQTT") + b"\5\2\0\74" + b"\3\x21\0\2" + text("raw"))
    with raw(port) as s:
        s.sendall(connect + packet(0x82, b"\0\1\0" + text("t") + b"\1"))
        assert [answer(s)[0] for _ in range(2)] == [0x20, 0x90]
        for i in range(5):
            b.publish("t", b"%d" % i)
        numbers = [answer(s)[1][3:5] for _ in range(2)]
        s.sendall(packet(0xC0, b""))
        assert answer(s)[0] == 0xD0  # and not a third message
        s.sendall(packet(0x40, numbers[0]))
        assert answer(s)[1].endswith(b"2")
    b.close()


def test_properties_of_a_message_go_on_to_its_receivers(port: int) -> None:
    a, b = Client(port, "a"), Client(port, "b")
    a.subscribe("t")
    said: dict[str, Any] = {"ContentType": "cbor", "ResponseTopic": "r", "CorrelationData": b"7"}
    b.publish("t", b"x", **said, UserProperty=[("k", "v"), ("k", "w")], MessageExpiryInterval=100)
    got: Any = a.message().properties
    assert {k: getattr(got, k) for k in said} == said
    assert got.UserProperty == [("k", "v"), ("k", "w")]
    assert 90 <= got.MessageExpiryInterval <= 100
    a.close()
    b.close()


def test_a_message_that_has_expired_is_not_delivered(port: int) -> None:
    a = Client(port, "a", keep=True)
    a.subscribe("t")
    a.close()
    b = Client(port, "b")
    b.publish("t", b"short", MessageExpiryInterval=1)
    b.publish("t", b"long", MessageExpiryInterval=100)
    time.sleep(2.5)
    again = Client(port, "a", keep=True)
    assert again.next() == ("t", b"long")
    again.close()
    b.close()


def test_options_of_a_subscription(port: int) -> None:
    a, b = Client(port, "a"), Client(port, "b")
    b.publish("old", b"0", retain=True)
    a.subscribe("#", noLocal=True, retainAsPublished=True, retainHandling=2)
    a.publish("t", b"mine")
    b.publish("t", b"1", retain=True)
    m = a.message()
    assert (m.payload, m.retain) == (b"1", True)
    a.unsubscribe("#")
    a.subscribe("old", retainHandling=1)
    assert a.next() == ("old", b"0")
    a.subscribe("old", retainHandling=1)  # not new any more
    assert a.drained() == []
    a.close()
    b.close()


@versions
def test_a_shared_subscription_shares(port: int, version: int) -> None:
    workers = [Client(port, f"w{i}", version) for i in range(2)]
    for w in workers:
        w.subscribe("$share/pair/job/#")
    other = Client(port, "o", version)
    other.subscribe("job/#")
    b = Client(port, "b", version)
    for i in range(20):
        b.publish("job/x", b"%d" % i)
    assert [other.next()[1] for _ in range(20)] == [b"%d" % i for i in range(20)]
    got = [w.drained() for w in workers]
    assert sorted(int(x) for part in got for x in part) == list(range(20))
    assert all(part for part in got)
    for c in (*workers, other, b):
        c.close()


@versions
@pytest.mark.parametrize(
    ("topic_filter", "topic", "expected"),
    [
        ("s1/+/u/#", "s1/a/u/t", True), ("s1/+/u/#", "s1/a/d/k", False), ("a/#", "a", True), ("+", "a/b", False),
        ("a/+", "a/", True), ("+/+", "/a", True), ("#", "$own/x", False), ("$own/#", "$own/x", True),
        ("a//b", "a//b", True), ("a/+/b", "a//b", True), ("A", "a", False),
    ],
)  # fmt: skip
def test_topic_filters(port: int, version: int, topic_filter: str, topic: str, *, expected: bool) -> None:
    a = Client(port, "a", version)
    a.subscribe(topic_filter)
    a.publish(topic, b"x")
    assert (b"x" in a.drained()) is expected
    a.close()


@pytest.mark.parametrize("topic_filter", ["a/#/b", "a#", "+a", "$share/a+/x"])
def test_filters_that_are_none_are_refused(port: int, topic_filter: str) -> None:
    with raw(port, 5) as s:
        s.sendall(packet(0x82, b"\0\1\0" + text(topic_filter) + b"\1"))
        first, body = answer(s)
        assert first in (0xE0, 0) or (first == 0x90 and body[-1] >= 0x80)  # the end, or a SUBACK that refuses


BAD: dict[str, tuple[int | None, bytes]] = {
    "not MQTT": (None, b"GET / HTTP/1.1\r\n\r\n"),
    "a length of five octets": (None, b"\x10\xff\xff\xff\xff\x01"),
    "PUBLISH before CONNECT": (None, packet(0x30, text("t") + b"x")),
    "another protocol's name": (None, packet(0x10, text("MQXX") + bytes((4, 2, 0, 60)) + text("raw"))),
    "an unknown version": (None, packet(0x10, text("MQTT") + bytes((9, 2, 0, 60)) + text("raw"))),
    "CONNECT with its reserved flag": (None, packet(0x10, text("MQTT") + bytes((4, 3, 0, 60)) + text("raw"))),
    "CONNECT with flags": (None, b"\x11" + connect_packet(4)[1:]),
    "a will of QoS 3": (None, packet(0x10, text("MQTT") + b"\4\x1e\0\74" + text("raw") + text("t") + text("x"))),
    "a kept session without a name": (None, packet(0x10, text("MQTT") + bytes((4, 0, 0, 60)) + text(""))),
    "Receive Maximum 0": (None, packet(0x10, text("MQTT") + bytes((5, 2, 0, 60)) + b"\3\x21\0\0" + text("raw"))),
    "a second CONNECT": (4, connect_packet(4)),
    "SUBSCRIBE without its flags": (4, packet(0x80, b"\0\1" + text("t") + b"\1")),
    "SUBSCRIBE to nothing": (4, packet(0x82, b"\0\1")),
    "SUBSCRIBE with packet 0": (4, packet(0x82, b"\0\0" + text("t") + b"\1")),
    "SUBSCRIBE of QoS 3": (4, packet(0x82, b"\0\1" + text("t") + b"\3")),
    "SUBSCRIBE that is cut off": (4, packet(0x82, b"\0\1\0\7t")),
    "UNSUBSCRIBE from nothing": (4, packet(0xA2, b"\0\1")),
    "PUBLISH of QoS 3": (4, packet(0x36, text("t") + b"\0\1x")),
    "PUBLISH with packet 0": (4, packet(0x32, text("t") + b"\0\0x")),
    "PUBLISH to a wildcard": (4, packet(0x30, text("a/#") + b"x")),
    "PUBLISH to nothing": (4, packet(0x30, text("") + b"x")),
    "PUBLISH to what is not UTF-8": (4, packet(0x30, b"\0\2\xff\xfe" + b"x")),
    "PUBLISH with an unknown property": (5, packet(0x30, text("t") + b"\2\x7f\0" + b"x")),
    "PUBLISH whose properties run over": (5, packet(0x30, text("t") + b"\x7f\1")),
    "SUBSCRIBE with reserved options": (5, packet(0x82, b"\0\1\0" + text("t") + b"\xc1")),
    "a packet of type 0": (4, packet(0x00, b"")),
    "a CONNACK from a client": (4, packet(0x20, b"\0\0")),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_packet_ends_its_connection_and_nothing_else(port: int, name: str) -> None:
    version, data = BAD[name]
    a = Client(port, "a")
    with raw(port, version) as s:
        s.sendall(data)
        ends(s)
    a.subscribe("t")
    a.publish("t", b"still here")
    assert a.next() == ("t", b"still here")
    with pytest.raises(queue.Empty):
        a.messages.get_nowait()
    a.close()
