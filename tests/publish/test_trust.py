"""Keys, signatures, MACs and commands: what is believed, and what is refused."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.cli.watch import readable
from agent.clock import SystemClock
from agent.config.schema import Publish
from agent.errors import ConfigError, ProtocolError
from agent.publish import birth as births
from agent.publish import cbor, commands, cose, records, wire
from agent.publish import link as links
from agent.publish.broker import parse
from agent.publish.client import Publisher
from agent.publish.commands import Command
from agent.publish.encoder import Encoder
from agent.publish.entries import Run
from agent.publish.outbox import Outbox
from agent.publish.picture import PictureReceiver
from agent.publish.trust import Trust, read_keys
from support.broker import Mosquitto

from . import samples
from .test_delivery import QUICK, SITE

KEY = cose.key_of(bytes(range(32)))
OTHER = cose.key_of(bytes(range(1, 33)))
SECRET = bytes(32)
NOW = 1_790_000_000


def signed_birth() -> bytes:
    return births.encode(replace(samples.BIRTH, previous=(77, 1234)), KEY)


def test_a_signed_birth_is_read_and_believed() -> None:
    birth = births.decode(signed_birth())
    births.check_signature(signed_birth(), birth)
    assert (birth.key, birth.previous) == (KEY.public, (77, 1234))
    assert replace(birth, key=b"", previous=None) == births.decode(births.encode(samples.BIRTH))
    assert len(signed_birth()) - len(births.encode(samples.BIRTH)) == 34 + 6 + 76


def believed(payload: bytes) -> bool:
    """Whether somebody who knows the box takes this for a birth of its key."""
    try:
        birth = births.decode(payload)
        if birth.key != KEY.public:
            return False
        births.check_signature(payload, birth)
    except ProtocolError:
        return False
    return True


def test_every_flipped_bit_of_a_birth_is_noticed() -> None:
    whole = signed_birth()
    assert believed(whole)
    for bit in range(8 * len(whole)):
        payload = bytearray(whole)
        payload[bit // 8] ^= 1 << bit % 8
        assert not believed(bytes(payload)), bit


def test_a_signature_does_not_fit_another_topic() -> None:
    payload = births.encode(samples.BIRTH, KEY)
    with pytest.raises(ProtocolError, match="signature"):
        cose.check_appended(payload, births.SIGNATURE, births.context("tarifa-2"), KEY.public)


def test_the_key_is_made_once_and_for_its_user_alone(tmp_path: Path) -> None:
    first = cose.load_or_make(tmp_path / "node.key")
    assert (tmp_path / "node.key").stat().st_mode & 0o777 == 0o600
    assert cose.load_or_make(tmp_path / "node.key").public == first.public
    assert list(tmp_path.iterdir()) == [tmp_path / "node.key"]
    assert "SigningKey" not in repr(first)
    (tmp_path / "node.key").write_text("nonsense")
    with pytest.raises(ConfigError, match=r"node\.key"):
        cose.load_or_make(tmp_path / "node.key")


def test_an_alert_with_its_mac_is_58_bytes_at_most() -> None:
    payload = Encoder(samples.BIRTH, samples.BORN_S, mac_secret=SECRET).alert(samples.alert(), 31_234)
    assert len(payload) <= 58
    topic = b"s1/tarifa-1/u/a"
    cose.check_mac(payload, 13, topic, SECRET)
    assert wire.decode("a", payload, samples.BIRTH)[0]["id"] == 4321
    for broken in (payload[:-1] + bytes([payload[-1] ^ 1]), payload[:20] + bytes([payload[20] ^ 1]) + payload[21:]):
        with pytest.raises(ProtocolError, match="MAC"):
            cose.check_mac(broken, 13, topic, SECRET)
    with pytest.raises(ProtocolError, match="MAC"):
        cose.check_mac(payload, 13, b"s1/tarifa-2/u/a", SECRET)


def test_a_batch_of_tracks_can_be_signed() -> None:
    encoder = Encoder(samples.BIRTH, samples.BORN_S, KEY)
    at_s = samples.BORN_S + 60.0
    batch = [(i, encoder.kinematics(samples.track(i), at_s)) for i in range(20)]
    payload = encoder.tracks(batch, 1, at_s, sign=True)
    assert len(payload) - len(encoder.tracks(batch, 1, at_s)) == 77
    cose.check_appended(payload, 5 + 40 + 1, b"s1/tarifa-1/u/t", KEY.public)
    assert len(wire.decode("t", payload, samples.BIRTH)) == 20


# ---------------------------------------------------------------- whom the picture believes


def fed(trust: Trust, *births_: bytes) -> tuple[PictureReceiver, list[dict[str, Any]]]:
    receiver = PictureReceiver(trust)
    for payload in births_:
        receiver.feed("s1/tarifa-1/u/b", payload, 0.0)
    rows = receiver.feed("s1/tarifa-1/u/a", Encoder(samples.BIRTH, samples.BORN_S).alert(samples.alert(), 1), 0.0)
    return receiver, rows


def test_the_first_key_is_kept_and_another_refused() -> None:
    trust = Trust()
    receiver, rows = fed(trust, signed_birth())
    assert len(rows) == 1
    assert trust.keys == {"tarifa-1": KEY.public}
    forged = births.encode(replace(samples.BIRTH, boot=0x11112222), OTHER)
    assert receiver.feed("s1/tarifa-1/u/b", forged, 0.0) == []
    assert "another key" in receiver.last_error
    unsigned = births.encode(replace(samples.BIRTH, boot=0x11112222))
    assert receiver.feed("s1/tarifa-1/u/b", unsigned, 0.0) == []
    assert "not signed" in receiver.last_error


def test_a_stranger_is_not_believed_where_keys_are_given() -> None:
    receiver, rows = fed(Trust(strict=True), signed_birth())
    assert rows == []
    assert receiver.take_acks(everything=True) == []
    assert len(fed(Trust({"tarifa-1": KEY.public}, strict=True), signed_birth())[1]) == 1


def test_an_alert_without_its_mac_is_not_acknowledged() -> None:
    receiver, rows = fed(Trust(mac_secret=SECRET), signed_birth())
    assert rows == []
    assert wire.decode_ack(receiver.ack_payload("tarifa-1") or b"").contiguous == 0


def test_a_file_of_keys(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text(f"# boxes\ntarifa-1 {KEY.public.hex()}  # the lighthouse\n\n")
    assert read_keys(path) == {"tarifa-1": KEY.public}
    path.write_text("tarifa-1 00\n")
    with pytest.raises(Exception, match="keys:1"):
        read_keys(path)


# ---------------------------------------------------------------- commands


def command(name: str = "acknowledge", **changes: Any) -> Command:
    fields: dict[str, Any] = {
        "id": b"12345678", "issued_s": NOW, "expires_s": NOW + 600, "node": "tarifa-1", "name": name,
        "args": {"alert": 4321},
    }  # fmt: skip
    return Command(**{**fields, **changes})


def test_a_command_comes_back_as_it_was_signed() -> None:
    payload = commands.encode(command(), KEY)
    assert commands.decode(payload, "tarifa-1", [OTHER.public, KEY.public]) == command()


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"name": "shell"}, "does not take"),
        ({"issued_s": NOW + 3600, "expires_s": NOW + 4000}, "from the future"),
        ({"issued_s": NOW - 3600, "expires_s": NOW - 1}, "expired"),
        ({"expires_s": NOW + 86_401}, "a day at most"),
    ],
)
def test_what_is_refused_and_why(changes: dict[str, Any], why: str) -> None:
    assert why in str(commands.why_not(command(**changes), NOW, ["acknowledge"]))
    assert commands.why_not(command(), NOW, ["acknowledge"]) is None


def test_every_kind_of_message_has_its_line_for_people() -> None:
    """Also what only a box with a key says."""
    encoder = Encoder(samples.BIRTH, samples.BORN_S, KEY)
    head = encoder.head(1, samples.BORN_S)
    run = Run(boot=samples.BIRTH.boot, first=1, digests=bytes(16))
    payloads = {
        "v": records.encode_seal(head, run, encoder.topic("v"), KEY),
        "r": records.encode_reply((*head[:2], 2, *head[3:]), b"12345678", "noted", encoder.topic("r"), KEY, done=True),
        "i": records.encode_image(head, 1, b"12345678", b"JPEG"),
        "b": encoder.birth(),
    }
    receiver = PictureReceiver(Trust())
    receiver.feed(encoder.topic("b"), payloads["b"], 0.0)
    lines = [readable(row) for k in "vri" for row in receiver.feed(encoder.topic(k), payloads[k], 0.0)]
    assert [line.split(" ", 2)[2] for line in lines] == [
        "sealed 2 messages from number 1 on", "did a command: noted", "sent a picture of camera-east",
    ]  # fmt: skip


@given(data=st.data())
@settings(max_examples=300, deadline=None)
def test_no_changed_command_is_believed(data: st.DataObject) -> None:
    good = commands.encode(command(), KEY)
    payload = bytearray(good)
    for _ in range(data.draw(st.integers(1, 3))):
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    payload = payload[: data.draw(st.integers(1, len(payload)))]
    if bytes(payload) == good:
        return
    try:
        said = commands.decode(bytes(payload), "tarifa-1", [KEY.public])
    except ProtocolError:
        return
    assert said == command()  # the same content: only what no signature covers (an unprotected header) was changed


def test_a_command_for_another_node_or_in_a_wrong_form_is_refused() -> None:
    with pytest.raises(ProtocolError):
        commands.decode(commands.encode(command(), KEY), "tarifa-2", [KEY.public])
    context = b"s1/tarifa-1/d/c"
    for row in ([], [1], [1, b"1", 1, 2, "tarifa-1", "x", {}], [1, b"12345678", 1, 2, "other", "x", {}], {"a": 1}):
        with pytest.raises(ProtocolError):
            commands.decode(KEY.sign1(cbor.dumps(row), context, attach=True), "tarifa-1", [KEY.public])


def test_commands_over_a_real_broker(tmp_path: Path, mosquitto: Mosquitto, stop_all: list[Any]) -> None:
    """Carried out once, audited, answered with a signature; replays, strangers and what is not allowed are refused."""
    config = Publish(
        broker=mosquitto.url, acknowledge="broker", command_keys=(KEY.public.hex(),), commands=("acknowledge",)
    )
    outbox = Outbox(tmp_path / "outbox.sqlite", max_bytes=1_000_000)
    carried: list[Command] = []

    def carry_out(asked: Command) -> str:
        carried.append(asked)
        return "noted"

    box = Publisher(config, SITE, outbox, SystemClock(), lambda _h: None, tuning=QUICK, key=OTHER, carry_out=carry_out)
    box.start()
    link = links.open_link(parse(mosquitto.url), links.Options(client_id="officer"), version5=True)
    receiver = PictureReceiver(Trust())
    replies: list[dict[str, Any]] = []

    def until(done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 15.0
        while not done() and time.monotonic() < deadline:
            for event in link.pump(0.05):
                if isinstance(event, links.Connected):
                    link.subscribe(["s1/tarifa-1/u/#"])
                elif isinstance(event, links.Received):
                    rows = receiver.feed(event.topic, event.payload, 0.0)
                    replies.extend(r for r in rows if r["type"] == "reply")
        assert done(), (replies, box.status())

    until(lambda: box.status()["connected"])
    now = int(time.time())
    topic = "s1/tarifa-1/d/c"
    good = commands.encode(command(issued_s=now, expires_s=now + 60), KEY)
    time.sleep(0.3)  # its subscription
    link.publish(topic, good)
    link.publish(topic, good)
    link.publish(topic, commands.encode(command(id=b"stranger", issued_s=now, expires_s=now + 60), OTHER))
    link.publish(topic, commands.encode(command("profile", id=b"profile1", issued_s=now, expires_s=now + 60), KEY))
    until(lambda: len(replies) >= 2)
    # a refusal need not wait for what another command sets off
    assert {(r["command"], r["done"]) for r in replies} == {(b"12345678".hex(), True), (b"profile1".hex(), False)}
    assert len(replies) == 2
    assert len(carried) == 1
    assert box.status()["commands_refused"] == 3
    assert [(i, n, r.split(":")[0]) for i, n, _, r in outbox.audit.all()] == [
        (b"12345678", "acknowledge", "done"), (b"profile1", "profile", "refused"),
    ]  # fmt: skip
    link.close()
    box.stop(3.0)
    outbox.close()


def test_a_retained_command_is_refused(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.sqlite", max_bytes=1_000_000)
    outbox.start_boot(1, b"", lambda _f, _s: b"")
    desk = commands.Desk(
        node="tarifa-1", keys=[KEY.public], allowed=["acknowledge"], outbox=outbox, wall=lambda: float(NOW),
        carry_out=lambda _c: pytest.fail("it was carried out"), reply=lambda *_: None,
    )  # fmt: skip
    desk.take(commands.encode(command(), KEY), retained=True)
    assert "retained" in desk.last_refusal
    assert outbox.audit.all() == []
    outbox.close()
