"""MQTT under the fuzzers: what a broker sends to a box or a picture, and what a client sends to the simulator's hub.

Promised is: a broker that talks nonsense is a `Closed` event with a sentence, and nothing leaves agent/publish/link.py;
what does not follow the standard is `MalformedError` in the hub, and what it takes, it can say again.
"""

from __future__ import annotations

import contextlib
import json
import socket
import struct
from pathlib import Path
from typing import TYPE_CHECKING

from agent.errors import ProtocolError
from agent.publish import link as links
from agent.publish import wire
from agent.publish.broker import Broker
from hardware_sim.hub import codec
from hardware_sim.hub.codec import V5, V311, MalformedError, Message

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[2]
ACK = Message(
    topic="s1/tarifa-1/d/k", qos=1, payload=bytes.fromhex(
        json.loads((ROOT / "tests" / "publish" / "golden.json").read_text(encoding="utf-8"))["acknowledgement"]["hex"]
    ),
)  # fmt: skip
_AT_ONCE = struct.pack("ii", 1, 0)  # SO_LINGER: a closed connection keeps no port
_PUMPS = 50


def _from_broker(data: bytes) -> None:
    """The first octet chooses the version; the rest is all that the broker ever says."""
    options = links.Options(client_id="tarifa-1", session=True)
    with socket.create_server(("127.0.0.1", 0)) as server:
        broker = Broker(host="127.0.0.1", port=server.getsockname()[1])
        link = links.open_link(broker, options, version5=not data or data[0] & 1 == 1)
        there, _ = server.accept()
    with there:
        there.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        link.subscribe([ACK.topic])
        link.publish("s1/tarifa-1/u/a", b"alert")
        there.sendall(data[1:])
        there.shutdown(socket.SHUT_WR)
        closed = False
        for _ in range(_PUMPS):
            for event in link.pump(1.0):
                if isinstance(event, links.Received):
                    with contextlib.suppress(ProtocolError):
                        wire.decode_ack(event.payload)
                elif isinstance(event, links.Closed):
                    assert event.sentence
                    closed = True
            if closed:
                break
        link.abort()
    assert closed, "a broker that has hung up is not noticed"


def _hub_codec(data: bytes) -> None:
    """The first octet chooses the version, the second is a packet's first, the rest its body."""
    if len(data) < 2:
        return
    version, kind, flags, body = (V311, V5)[data[0] & 1], data[1] >> 4, data[1] & 15, data[2:]
    try:
        codec.check_flags(kind, flags)
        if kind == codec.CONNECT:
            codec.parse_connect(body)
        elif kind == codec.PUBLISH:
            said = codec.parse_publish(flags, body, version)
            again = codec.publish(version, said.message, said.packet_id, dup=said.dup)
            length = next(i for i, x in enumerate(again[1:5], 1) if not x & 128)
            assert codec.parse_publish(again[0] & 15, again[1 + length :], version) == said
        elif kind == codec.SUBSCRIBE:
            for topic_filter, _ in codec.parse_subscribe(body, version).filters:
                if codec.valid_filter(topic_filter):
                    codec.matches(topic_filter, ACK.topic)
        elif kind == codec.UNSUBSCRIBE:
            codec.parse_unsubscribe(body, version)
        elif kind == codec.DISCONNECT:
            codec.parse_disconnect(body, version)
    except MalformedError as e:
        assert str(e)  # noqa: PT017 - reading may also succeed; a refusal has to say why
        assert e.reason >= 0x80  # noqa: PT017 - as above


TARGETS: dict[str, Callable[[bytes], None]] = {"net-broker": _from_broker, "hub-codec": _hub_codec}


def seeds(name: str) -> list[bytes]:
    """A broker's answers in both versions; or one packet of each kind that a client sends."""
    if name == "net-broker":
        out = []
        for version in (V311, V5):
            welcome = codec.connack(version, session=False, reason=0)
            talk = codec.suback(version, 1, [1]) + codec.puback(2) + codec.publish(version, ACK, 3, dup=False)
            refused = codec.connack(version, session=False, reason=0x87)
            out += [bytes([version & 1]) + said for said in (
                welcome + talk, refused, welcome + codec.disconnect(version, 0x8E), welcome + talk[:-3],
            )]  # fmt: skip
        return out
    out = []
    for version in (V311, V5):
        none = b"\0" * (version == V5)  # no properties
        connect = b"\0\4MQTT" + bytes([version, 2, 0, 60]) + none + b"\0\1a"
        willing = b"\0\4MQTT" + bytes([version, 0xC6, 0, 60]) + none + b"\0\1a" + none + b"\0\1w\0\1x\0\1u\0\1p"
        asks = b"\0\1" + none + b"\0\5s1/+/"
        ours = codec.publish(version, ACK, 3, dup=True)
        packets = [b"\x10" + connect, b"\x10" + willing, ours[:1] + ours[2:], b"\x82" + asks + b"\1", b"\xa2" + asks]
        out += [bytes([version & 1]) + p for p in [*packets, b"\xe0" + (b"\4\0" if version == V5 else b"")]]
    return out
