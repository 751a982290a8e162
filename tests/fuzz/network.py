"""What of agent/publish reads from the network, under the fuzzers: a function an entry, the golden messages as seeds.

An input's first octet chooses a topic letter where there is a choice. Promised is: `ProtocolError` (`ValueError` from
the decoder in one file) and nothing else, JSON that other programs can read, and nothing believed that nobody signed.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import xml.etree.ElementTree as ET
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.errors import ProtocolError
from agent.publish import birth as births
from agent.publish import cbor, commands, cose, wire
from agent.publish.ashore import cot
from agent.publish.picture import PictureReceiver
from agent.publish.trust import Trust

from . import packets

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = json.loads((ROOT / "tests" / "publish" / "golden.json").read_text(encoding="utf-8"))
BIRTH = births.decode(bytes.fromhex(GOLDEN["messages"]["birth"]["hex"]))
KEY = cose.key_of(bytes(range(32)))
LETTERS = "bsathnlvri"
CONTEXT = f"s1/{BIRTH.node}/d/c".encode()


@cache
def _decoder_file() -> Any:
    spec = importlib.util.spec_from_file_location("vigia_decoder", ROOT / "contrib" / "vigia_decoder.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _letter(data: bytes) -> tuple[str, bytes]:
    return (LETTERS[data[0] % len(LETTERS)], data[1:]) if data else ("b", b"")


def _ours(kind: str, payload: bytes) -> list[dict[str, Any]] | None:
    try:
        if kind == "b":
            return [wire.decode_birth(payload)]
        return [wire.decode_state(payload)] if kind == "s" else wire.decode(kind, payload, BIRTH)
    except ProtocolError as e:
        assert str(e)  # noqa: PT017 - reading may also succeed; a refusal has to say why
        return None


def _messages(data: bytes) -> None:
    """Every message; the decoder in one file reads all that the agent reads, and to the same numbers."""
    kind, payload = _letter(data)
    rows = _ours(kind, payload)
    json.dumps(rows, allow_nan=False)
    decoder = _decoder_file().Decoder()
    decoder.feed(f"s1/{BIRTH.node}/u/b", bytes.fromhex(GOLDEN["messages"]["birth"]["hex"]))
    try:
        theirs = decoder.feed(f"s1/{BIRTH.node}/u/{kind}", payload)
    except ValueError as e:
        assert str(e)  # noqa: PT017 - as above
        assert rows is None or kind == "b"  # a birth of another node: the agent refuses it one level up
        return
    if rows is not None and kind in "thl":
        assert [r["type"] for r in rows] == [r["type"] for r in theirs]
        for mine, other in zip(rows, theirs, strict=True):
            assert {k: mine[k] for k in ("seq", "at", "type")} == {k: other[k] for k in ("seq", "at", "type")}


def _acknowledgements(data: bytes) -> None:
    with contextlib.suppress(ProtocolError):
        ack = wire.decode_ack(data)
        assert ack.covers(ack.contiguous)
        assert wire.decode_ack(wire.encode_ack(ack)) == ack


def _births(data: bytes) -> None:
    with contextlib.suppress(ProtocolError):
        birth = births.decode(data)
        assert births.decode(births.encode(birth)).sensors == birth.sensors
        Trust({birth.node: KEY.public}).check_birth(data, birth)
        golden = births.decode(bytes.fromhex(GOLDEN["messages"]["birth-signed"]["hex"]))
        assert birth == golden, "a birth is believed that nobody has signed"


def _commands(data: bytes) -> None:
    """Content that a key has signed may still be anything; content that none has signed is refused."""
    signed = KEY.sign1(data, CONTEXT, attach=True)
    with contextlib.suppress(ProtocolError):
        command = commands.decode(signed, BIRTH.node, [KEY.public])
        assert commands.why_not(command, 0.0, ()) is not None
        assert len(command.name) <= 32
    try:
        commands.decode(data, BIRTH.node, [cose.key_of(bytes(32)).public])
    except ProtocolError:
        return
    raise AssertionError("a command is believed that nobody has signed")


@cache
def _command() -> tuple[bytes, bytes]:
    """A command as it is sent, and what it holds."""
    command = commands.Command(id=bytes(8), issued_s=1, expires_s=2, node=BIRTH.node, name="profile", args={"a": 1})
    signed = commands.encode(command, KEY)
    return signed, cose.check(signed, None, CONTEXT, KEY.public)


def _signatures(data: bytes) -> None:
    """COSE and MACs: nothing is taken for signed that is not, byte for byte, what was signed."""
    with contextlib.suppress(ProtocolError):
        assert cose.check(data, None, CONTEXT, KEY.public) == _command()[1]
        assert cbor.loads(data[1:])[2:] == cbor.loads(_command()[0][1:])[2:]
    for index in (0, 8, 13, 15):
        for check in (cose.check_appended, cose.check_mac):
            with contextlib.suppress(ProtocolError):
                check(data, index, CONTEXT, KEY.public)
                raise AssertionError("a message is taken for signed")


def _picture(data: bytes) -> None:
    """A run of messages, two octets of length before each, to a receiver that knows the birth."""
    receiver = PictureReceiver()
    topic = f"s1/{BIRTH.node}/u/"
    receiver.feed(topic + "b", bytes.fromhex(GOLDEN["messages"]["birth"]["hex"]), 0.0)
    at, seen = 0, set()
    while at + 2 <= len(data):
        size = int.from_bytes(data[at : at + 2], "big")
        kind, payload = _letter(data[at + 2 : at + 2 + size])
        at += 2 + size
        for row in receiver.feed(topic + kind, payload, 0.0):
            json.dumps(row, allow_nan=False)
            if row["type"] in ("alert", "health", "note", "loss", "seal", "reply"):
                assert (row["boot"], row["seq"]) not in seen
                seen.add((row["boot"], row["seq"]))
    for _, ack in receiver.take_acks(everything=True):
        wire.decode_ack(ack)
    PictureReceiver.load(json.loads(json.dumps(receiver.dump())))


def _tak(data: bytes) -> None:
    """Whatever a box sends, TAK gets well-formed XML and protobuf."""
    kind, payload = _letter(data)
    for row in (_ours(kind, payload) if kind in "at" else None) or ():
        track = row["id"] if row["type"] == "track" else row["track"]
        vessel = {**row, "vessel": "v1", "members": [{"node": row["node"], "track": track, "sources": []}]}
        about = [row] if row["type"] == "alert" else None
        if abs(row["at"]) < 1e11:  # CoT's times are dates
            ET.fromstring(cot.event_xml(vessel, row["at"], 60.0, about))  # noqa: S314 - our own text
            assert cot.event_protobuf(vessel, row["at"], 60.0, about).startswith(cot.MESH)


TARGETS: dict[str, Callable[[bytes], None]] = {
    "net-messages": _messages, "net-acks": _acknowledgements, "net-births": _births, "net-commands": _commands,
    "net-cose": _signatures, "net-picture": _picture, "net-tak": _tak, **packets.TARGETS,
}  # fmt: skip


def seeds(name: str) -> list[bytes]:
    """Golden messages as inputs of one entry."""
    if name in packets.TARGETS:
        return packets.seeds(name)
    lettered = [
        bytes([LETTERS.index(m["topic"])]) + bytes.fromhex(m["hex"]) for m in GOLDEN["messages"].values()
    ]  # fmt: skip
    if name == "net-acks":
        return [bytes.fromhex(GOLDEN["acknowledgement"]["hex"])]
    if name == "net-picture":
        run = b"".join(len(x).to_bytes(2, "big") + x for x in lettered)
        return [run, *(len(x).to_bytes(2, "big") + x for x in lettered)]
    if name in ("net-commands", "net-cose"):
        return [*_command(), *(x[1:] for x in lettered)]
    return lettered if name in ("net-messages", "net-tak") else [x[1:] for x in lettered]
