"""A paho client that keeps what it receives, and a bare socket that speaks MQTT octet by octet."""

from __future__ import annotations

import contextlib
import queue
import socket
import struct
import threading
from collections.abc import Iterator
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

PATIENCE_S = 10.0


def properties(packet: int, **values: Any) -> Properties:
    """Of a packet type, by paho's names."""
    out = Properties(packet)  # type: ignore[no-untyped-call] # paho's is not typed
    for name, value in values.items():
        setattr(out, name, value)
    return out


class Client:
    """`keep`: its session outlives the connection; `will`: (topic, payload, properties)."""

    def __init__(
        self, port: int, name: str, version: int = 5, *, keep: bool = False, will: tuple[str, bytes] | None = None,
        delay_s: int = 0, **connect: Any,
    ) -> None:  # fmt: skip
        self.messages: queue.Queue[mqtt.MQTTMessage] = queue.Queue()
        self.connected: queue.Queue[tuple[bool, int]] = queue.Queue()
        self.gone: queue.Queue[int] = queue.Queue()
        self.version = version
        clean = None if version == 5 else not keep
        self.paho = mqtt.Client(
            CallbackAPIVersion.VERSION2, name, clean_session=clean, protocol=MQTTProtocolVersion(version),
            reconnect_on_failure=False,
        )  # fmt: skip
        self.paho.on_message = lambda _c, _u, m: self.messages.put(m)
        self.paho.on_connect = lambda _c, _u, flags, reason, _p: self.connected.put(
            (flags.session_present, reason.value)
        )
        self.paho.on_disconnect = lambda _c, _u, _f, reason, _p: self.gone.put(reason.value)
        if will is not None:
            of = properties(PacketTypes.WILLMESSAGE, WillDelayInterval=delay_s) if version == 5 else None
            self.paho.will_set(*will, qos=1, properties=of)
        if version == 5:
            of = properties(PacketTypes.CONNECT, **{"SessionExpiryInterval": 3600 if keep else 0, **connect})
            self.paho.connect("127.0.0.1", port, clean_start=not keep, properties=of)
        else:
            self.paho.connect("127.0.0.1", port)
        self.paho.loop_start()
        self.session_present, self.reason = self.connected.get(timeout=PATIENCE_S)

    def subscribe(self, topic: str, qos: int = 1, **options: Any) -> int:
        """The code that was granted."""
        codes: queue.Queue[int] = queue.Queue()
        self.paho.on_subscribe = lambda _c, _u, _m, reasons, _p: codes.put(reasons[0].value)
        if options:
            self.paho.subscribe(topic, options=SubscribeOptions(qos=qos, **options))
        else:
            self.paho.subscribe(topic, qos=qos)
        return codes.get(timeout=PATIENCE_S)

    def unsubscribe(self, topic: str) -> None:
        done = threading.Event()
        self.paho.on_unsubscribe = lambda *_: done.set()
        self.paho.unsubscribe(topic)
        assert done.wait(PATIENCE_S)

    def publish(self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False, **values: Any) -> None:
        of = properties(PacketTypes.PUBLISH, **values) if values else None
        self.paho.publish(topic, payload, qos=qos, retain=retain, properties=of).wait_for_publish(PATIENCE_S)

    def next(self) -> tuple[str, bytes]:
        m = self.message()
        return m.topic, bytes(m.payload)

    def message(self) -> mqtt.MQTTMessage:
        return self.messages.get(timeout=PATIENCE_S)

    def drained(self) -> list[bytes]:
        """Everything up to a message of our own: what was to come has come, and nothing else."""
        self.subscribe("drain/#")
        self.publish("drain/" + self.paho._client_id.decode(), b"end")
        out: list[bytes] = []
        while (m := self.message()).payload != b"end":
            out.append(bytes(m.payload))
        return out

    def close(self) -> None:
        self.paho.disconnect()
        self.paho.loop_stop()

    def break_off(self) -> None:
        """As when the link breaks: no DISCONNECT."""
        of = self.paho.socket()
        assert isinstance(of, socket.socket)
        with contextlib.suppress(OSError):
            of.shutdown(socket.SHUT_RDWR)
        self.gone.get(timeout=PATIENCE_S)
        self.paho.loop_stop()


def text(value: str) -> bytes:
    data = value.encode()
    return struct.pack(">H", len(data)) + data


def packet(first: int, body: bytes) -> bytes:
    assert len(body) < 128
    return bytes((first, len(body))) + body


def connect_packet(version: int, name: str = "raw", *, more: bytes = b"") -> bytes:
    return packet(
        0x10, text("MQTT") + bytes((version, 2, 0, 60)) + (b"\0" if version == 5 else b"") + text(name) + more
    )


@contextlib.contextmanager
def raw(port: int, version: int | None = None) -> Iterator[socket.socket]:
    """A socket; with `version`, CONNECT has been said and CONNACK heard."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as s:
        if version is not None:
            s.sendall(connect_packet(version))
            assert answer(s)[0] == 0x20
        yield s


def answer(s: socket.socket) -> tuple[int, bytes]:
    """(first octet, body) of the next packet; (0, b"") when the connection has ended."""
    try:
        head = s.recv(2)
        if len(head) < 2:
            return 0, b""
        body = b""
        while len(body) < head[1]:
            body += s.recv(head[1] - len(body))
    except ConnectionError:
        return 0, b""
    return head[0], body


def ends(s: socket.socket) -> bytes:
    """What is still said before the connection ends; it has to end."""
    out = b""
    with contextlib.suppress(ConnectionError):
        while data := s.recv(4096):
            out += data
    return out
