from __future__ import annotations

import asyncio
import queue
import socket
import threading
import time
from collections.abc import Iterator

import paho.mqtt.client as mqtt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from hardware_sim.hub import codec
from hardware_sim.hub.broker import Faults, Hub


class Running:
    """A hub in a thread of its own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        self.hub = Hub(Faults())
        self.port = asyncio.run_coroutine_threadsafe(self.hub.start(), self.loop).result(5)

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self.hub.stop(), self.loop).result(5)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)
        self.loop.close()


class Client:
    """A paho client that keeps what it receives."""

    def __init__(self, port: int, name: str, version: int = 5, *, keep: bool = False, will: bool = False) -> None:
        self.messages: queue.Queue[mqtt.MQTTMessage] = queue.Queue()
        self.connected: queue.Queue[tuple[bool, int]] = queue.Queue()
        protocol = MQTTProtocolVersion(version)
        clean = None if version == 5 else not keep
        self.paho = mqtt.Client(CallbackAPIVersion.VERSION2, name, clean_session=clean, protocol=protocol)
        self.paho.on_message = lambda _c, _u, m: self.messages.put(m)
        self.paho.on_connect = lambda _c, _u, flags, reason, _p: self.connected.put(
            (flags.session_present, reason.value)
        )
        if will:
            self.paho.will_set("gone", b"bye", qos=1)
        if version == 5:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call] # paho's is not typed
            properties.SessionExpiryInterval = 3600 if keep else 0
            self.paho.connect("127.0.0.1", port, clean_start=not keep, properties=properties)
        else:
            self.paho.connect("127.0.0.1", port)
        self.paho.loop_start()
        self.session_present, self.reason = self.connected.get(timeout=5)

    def subscribe(self, topic: str) -> None:
        done = threading.Event()
        self.paho.on_subscribe = lambda *_: done.set()
        self.paho.subscribe(topic, qos=1)
        assert done.wait(5)

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        self.paho.publish(topic, payload, qos=1, retain=retain).wait_for_publish(5)

    def next(self) -> tuple[str, bytes]:
        m = self.messages.get(timeout=5)
        return m.topic, bytes(m.payload)

    def close(self, *, rudely: bool = False) -> None:
        if rudely:
            self.paho.socket().close()  # type: ignore[union-attr] # connected, so there is one
        else:
            self.paho.disconnect()
        self.paho.loop_stop()


@pytest.fixture
def running() -> Iterator[Running]:
    r = Running()
    yield r
    r.close()


@pytest.mark.parametrize("version", [4, 5])
def test_publish_subscribe_and_retained(running: Running, version: int) -> None:
    a, b = Client(running.port, "a", version), Client(running.port, "b", version)
    a.subscribe("s1/+/u/#")
    b.publish("s1/box/u/a", b"alert")
    assert a.next() == ("s1/box/u/a", b"alert")
    b.publish("s1/box/u/b", b"birth", retain=True)
    assert a.next() == ("s1/box/u/b", b"birth")
    late = Client(running.port, "late", version)
    late.subscribe("s1/#")
    assert late.next() == ("s1/box/u/b", b"birth")
    for c in (a, b, late):
        c.close()


@pytest.mark.parametrize("version", [4, 5])
def test_session_keeps_messages_for_who_is_away(running: Running, version: int) -> None:
    a = Client(running.port, "a", version, keep=True)
    assert not a.session_present
    a.subscribe("t")
    a.close()
    b = Client(running.port, "b", version)
    for i in range(300):
        b.publish("t", str(i).encode())
    again = Client(running.port, "a", version, keep=True)
    assert again.session_present
    assert [again.next()[1] for _ in range(300)] == [str(i).encode() for i in range(300)]
    again.close()
    b.close()


def test_will_is_sent_when_the_link_breaks_and_not_after_goodbye(running: Running) -> None:
    a = Client(running.port, "a")
    a.subscribe("gone")
    Client(running.port, "b", will=True).close()
    c = Client(running.port, "c", will=True)
    link = running.hub.sessions["c"].link
    assert link is not None
    running.loop.call_soon_threadsafe(link.writer.transport.abort)
    assert a.next() == ("gone", b"bye")
    assert a.messages.empty()
    a.close()
    c.close()


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


def test_garbage_ends_one_connection_and_nothing_else(running: Running) -> None:
    a = Client(running.port, "a")
    for garbage in (b"GET / HTTP/1.1\r\n\r\n", b"\x10\xff\xff\xff\xff\xff", bytes(50), b"\x30\x05\x00\x09ab"):
        with socket.create_connection(("127.0.0.1", running.port)) as s:
            s.sendall(garbage)
            s.shutdown(socket.SHUT_WR)
            while s.recv(100):
                pass
    a.subscribe("t")
    a.publish("t", b"still here")
    assert a.next() == ("t", b"still here")
    a.close()


@given(st.binary(max_size=200), st.integers(0, 15), st.sampled_from([4, 5]))
@settings(deadline=None, max_examples=300)
def test_any_bytes_are_parsed_or_refused(body: bytes, flags: int, version: int) -> None:
    for parse in (
        lambda: codec.parse_connect(body),
        lambda: codec.parse_publish(flags, body, version),
        lambda: codec.parse_subscribe(body, version),
        lambda: codec.parse_unsubscribe(body, version),
    ):
        try:
            parse()
        except codec.MalformedError as e:
            assert e.reason >= 0x80  # noqa: PT017 - either outcome is right, this is what a refusal has to carry


@pytest.mark.parametrize(
    ("topic_filter", "topic", "expected"),
    [
        ("s1/+/u/#", "s1/a/u/t", True),
        ("s1/+/u/#", "s1/a/d/k", False),
        ("a/#", "a", True),
        ("+", "a/b", False),
        ("#", "$SYS/x", False),
        ("a/+", "a/", True),
    ],
)
def test_topic_filters(topic_filter: str, topic: str, *, expected: bool) -> None:
    assert codec.matches(topic_filter, topic) is expected
