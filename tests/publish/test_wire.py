"""The codec: published sizes, golden bytes, round trips, and any bytes at all."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.errors import ProtocolError
from agent.geo import LocalFrame
from agent.messages import AlertState, Likelihood, SensorState, Severity, TrackStatus
from agent.publish import birth as births
from agent.publish import cbor, cose, kinematics, records, wire
from agent.publish.birth import Birth, Tables
from agent.publish.encoder import Encoder
from agent.publish.entries import Run, digest
from publish import samples

GOLDEN = json.loads((Path(__file__).parent / "golden.json").read_text(encoding="utf-8"))
SEQ = 31_234
KEY = cose.key_of(bytes(range(32)))


def encoder() -> Encoder:
    return Encoder(samples.BIRTH, samples.BORN_S)


def batch(n: int = 20) -> bytes:
    """Twenty far tracks with four-digit numbers; every fourth says who it is."""
    e = encoder()
    at_s = samples.BORN_S + 400_000.3
    tracks = [(4700 + i, e.kinematics(samples.track(4700 + i), at_s, identity=i % 4 == 0)) for i in range(n)]
    return e.tracks(tracks, SEQ, at_s)


def bearing_only() -> bytes:
    e = encoder()
    at_s = samples.BORN_S + 12.0
    camera = samples.track(
        7, at_s=at_s, bearing_deg=121.37, sigma_bearing_deg=0.3, mmsi=None, class_=None, sources=("camera-east",)
    )
    return e.tracks([(7, e.kinematics(camera, at_s))], 1, at_s)


def every_state_of_tracks() -> bytes:
    """All track states, a far one (wide), an early and a late one, and one of which the box has dropped the MMSI."""
    e = encoder()
    at_s = samples.BORN_S + 86_400.0
    changes: list[dict[str, Any]] = [
        {"status": TrackStatus.TENTATIVE, "class_": None, "mmsi": None},
        {"status": TrackStatus.CONFIRMED, "at_s": at_s - 3.4, "class_": "sailing", "confidence": 1.0},
        {"status": TrackStatus.COASTING, "at_s": at_s + 0.7, "mmsi": None, "cog_deg": 359.9, "sog_mps": 0.0},
        {"status": TrackStatus.AIS, "lat": -43.1, "lon": 179.99, "sources": ("ais",), "confidence": 0.0},
        {"status": TrackStatus.LOST, "mmsi": wire.NO_MMSI, "cov": ((1e6, -9e5), (-9e5, 1e6))},
        {"status": TrackStatus.CONFIRMED, "cov": (), "mmsi": None, "sources": ()},
    ]
    tracks = [samples.track(9990 + i, **{"at_s": at_s, **c}) for i, c in enumerate(changes)]
    return e.tracks([(t.id, e.kinematics(t, at_s)) for t in tracks], 2, at_s)


def plainest_alert() -> bytes:
    """No zone, no reason, known by bearing only, from before the birth."""
    track = samples.track(
        3, bearing_deg=359.99, sigma_bearing_deg=2.0, mmsi=None, class_=None, sources=("camera-west",)
    )
    alert = samples.alert(
        1, 0, samples.BORN_S - 60.0, state=AlertState.RAISED, severity=Severity.LOW, likelihood=Likelihood.POSSIBLE,
        zone=None, reason_codes=(), exercise=False, situation=1, rule="zone-enter", rule_name="No-go west",
        track=replace(track, at_s=samples.BORN_S - 62.5),
    )  # fmt: skip
    return encoder().alert(alert, 1)


def cleared_alert() -> bytes:
    """The last step of an alert, a year after the birth, with the largest numbers of their size."""
    alert = samples.alert(
        9_999, 23, samples.BORN_S + 30_000_000.0, state=AlertState.CLEARED, likelihood=Likelihood.CERTAIN,
        situation=9_000, reason_codes=("ais-healthy",), zone="Harbour", severity=Severity.MEDIUM,
    )  # fmt: skip
    return encoder().alert(alert, 65_535)


def signed_payloads() -> dict[str, tuple[str, bytes]]:
    """What a box with a key (seed 00 01 ... 1f) and a MAC secret (32 zero bytes) says."""
    e = Encoder(replace(samples.BIRTH, previous=(0x5E6F7081, 412)), samples.BORN_S, KEY, bytes(32))
    at_s = samples.BORN_S + 400_000.3
    head = e.head(SEQ, at_s)
    sealed = b"".join(digest("a", e.alert(samples.alert(), seq)) for seq in (31_000, 31_001))
    run = Run(boot=samples.BIRTH.boot, first=31_000, digests=sealed)
    pair = [(4711, e.kinematics(samples.track(4711), at_s))]
    command = bytes.fromhex("0102030405060708")
    return {
        "birth-signed": ("b", e.birth()),
        "alert-mac": ("a", e.alert(samples.alert(), SEQ)),
        "tracks-signed": ("t", e.tracks(pair, SEQ, at_s, sign=True)),
        "seal": ("v", records.encode_seal(head, run, e.topic("v"), KEY)),
        "reply": ("r", records.encode_reply(head, command, "noted", e.topic("r"), KEY, done=True)),
        "image": ("i", records.encode_image(head, 1, command, bytes.fromhex("ffd8ffd9"))),
    }


def golden_payloads() -> dict[str, tuple[str, bytes]]:
    """Name -> (topic letter, payload) of every golden message."""
    e = encoder()
    loss = wire.Loss(boot=0xDEADBEEF, ranges=((1000, 1997), (2001, 2001)), alerts=3, others=996)
    at_s = samples.BORN_S + 400_000.3
    return {
        "birth": ("b", e.birth()),
        "alert": ("a", e.alert(samples.alert(), SEQ)),
        "alert-plainest": ("a", plainest_alert()),
        "alert-cleared": ("a", cleared_alert()),
        "tracks": ("t", batch()),
        "tracks-every-state": ("t", every_state_of_tracks()),
        "bearing-only": ("t", bearing_only()),
        "note": ("n", e.note(samples.health(), SEQ - 1, 17)),
        "note-told": ("n", e.note(samples.health(), SEQ - 1, 17, told=True)),
        "health-changed": ("h", e.health(samples.health(), SEQ, 17)),
        "health-repeated": ("h", e.health(samples.health(), SEQ)),
        "loss": ("l", e.loss(loss, SEQ, at_s)),
        "state": ("s", e.state(at_s, online=True, by_picture=True)),
        "will": ("s", wire.will(samples.BIRTH.boot)),
        **signed_payloads(),
    }


def decoded(kind: str, payload: bytes) -> list[dict[str, Any]]:
    if kind == "b":
        return [wire.decode_birth(payload)]
    if kind == "s":
        return [wire.decode_state(payload)]
    return wire.decode(kind, payload, samples.BIRTH)


@pytest.mark.parametrize("name", sorted(GOLDEN["messages"]))
def test_golden_messages(name: str) -> None:
    kind, payload = golden_payloads()[name]
    golden = GOLDEN["messages"][name]
    assert (kind, payload.hex()) == (golden["topic"], golden["hex"])
    assert json.loads(json.dumps(decoded(kind, bytes.fromhex(golden["hex"])))) == golden["json"]


def test_every_message_has_its_golden_vector() -> None:
    assert set(golden_payloads()) == set(GOLDEN["messages"])


def test_golden_acknowledgement() -> None:
    ack = wire.Ack(boot=0xA1B2C3D4, contiguous=1041, ranges=((1043, 1043), (1050, 1077)))
    assert wire.encode_ack(ack).hex() == GOLDEN["acknowledgement"]["hex"]
    assert wire.decode_ack(bytes.fromhex(GOLDEN["acknowledgement"]["hex"])) == ack
    assert [n for n in range(1040, 1080) if not ack.covers(n)] == [1042, *range(1044, 1050), 1078, 1079]


def test_sizes_on_the_golden_messages() -> None:
    size = {name: len(bytes.fromhex(m["hex"])) for name, m in GOLDEN["messages"].items()}
    assert max(size[name] for name in size if name.startswith("alert") and name != "alert-mac") <= 48
    assert size["tracks"] / 20 <= 20
    assert max(size[name] for name in size if name.startswith("health")) <= wire.HEALTH_MAX_BYTES == 34
    assert size["will"] == 6
    assert size["birth"] <= 400
    assert size["alert-mac"] <= 58


def test_an_alert_comes_back_with_the_fields_of_the_command_line() -> None:
    alert = samples.alert(
        state=AlertState.RAISED, severity=Severity.LOW, likelihood=Likelihood.POSSIBLE, exercise=False,
        rule="zone-enter", rule_name="No-go west",
    )  # fmt: skip
    row = wire.decode("a", encoder().alert(alert, SEQ), samples.BIRTH)[0]
    assert {k: row[k] for k in ("id", "revision", "situation", "rule", "rule_name", "state", "severity")} == {
        "id": 4321, "revision": 2, "situation": 4290, "rule": "zone-enter", "rule_name": "No-go west",
        "state": "raised", "severity": "low",
    }  # fmt: skip
    assert row["likelihood"] == "possible"
    assert row["exercise"] is False
    assert row["track"] == 4711
    assert row["zone"] == "Reserve"
    assert row["at"] == pytest.approx(samples.T0_MS / 1000 + 400_000.3, abs=0.05)
    assert (row["lat"], row["lon"]) == (36.51234, -6.20321)
    assert row["reasons"] == ["Entered zone Reserve.", "No AIS answers at its position.", "It is night."]


@pytest.mark.parametrize("state", list(AlertState))
@pytest.mark.parametrize("severity", list(Severity))
@pytest.mark.parametrize("likelihood", list(Likelihood))
def test_every_kind_of_alert(state: AlertState, severity: Severity, likelihood: Likelihood) -> None:
    alert = samples.alert(state=state, severity=severity, likelihood=likelihood, zone=None, reason_codes=())
    row = wire.decode("a", encoder().alert(alert, 1), samples.BIRTH)[0]
    assert (row["state"], row["severity"], row["likelihood"]) == (state, severity, likelihood)
    assert (row["zone"], row["reasons"]) == (None, [])


def test_an_unknown_reason_code_is_spelled_out() -> None:
    e = encoder()
    payload = e.alert(samples.alert(reason_codes=("very-odd_thing",)), 1)
    assert wire.decode("a", payload, e.tables.birth)[0]["reasons"] == ["Very odd thing."]


def test_names_that_the_birth_lacks_make_a_newer_edition() -> None:
    e = encoder()
    before = e.tables.edition
    payload = e.alert(samples.alert(zone="New zone", rule_name="New rule"), 1)
    assert e.tables.edition > before
    with pytest.raises(wire.UnknownBirthError, match="newer edition"):
        wire.decode("a", payload, samples.BIRTH)
    newer = births.decode(e.birth())
    row = wire.decode("a", payload, newer)[0]
    assert (row["zone"], row["rule_name"]) == ("New zone", "New rule")
    old = encoder().alert(samples.alert(), 1)
    assert wire.decode("a", old, newer) == wire.decode("a", old, samples.BIRTH)


def test_another_boots_message_is_not_decoded() -> None:
    with pytest.raises(wire.UnknownBirthError, match="c3d4"):
        wire.decode("a", encoder().alert(samples.alert(), 1), replace(samples.BIRTH, boot=1))


def test_a_message_from_before_the_birth_has_a_negative_time() -> None:
    row = wire.decode("a", encoder().alert(samples.alert(at_s=samples.BORN_S - 3600.0), 1), samples.BIRTH)[0]
    assert row["at"] == pytest.approx(samples.T0_MS / 1000 - 3600.0, abs=0.06)


def test_a_corrected_clock_moves_all_times() -> None:
    e = encoder()
    payload = e.alert(samples.alert(), 1)
    e.tables.correct_clock(samples.T0_MS + 86_400_000)
    moved = wire.decode("a", payload, births.decode(e.birth()))[0]
    assert moved["at"] - wire.decode("a", payload, samples.BIRTH)[0]["at"] == pytest.approx(86_400.0, abs=0.01)


@pytest.mark.parametrize("version", [1, 2, 200])
def test_appended_fields_are_ignored(version: int) -> None:
    """Forward: what a newer sender appends is passed over; pairs end at a null."""
    for name, (kind, payload) in golden_payloads().items():
        if name == "will":
            continue  # a sequence of its own
        end = [None] if kind in ("t", "h", "n") and name not in ("tracks-signed", "health-changed") else []
        longer = cbor.dumps([version, *cbor.loads(payload)[1:], *end, "from the future", [1, 2]])
        assert decoded(kind, longer) == decoded(kind, payload), name


def test_bytes_appended_to_kinematics_are_ignored() -> None:
    row = cbor.loads(batch(1))
    assert decoded("t", cbor.dumps([*row[:6], row[6] + b"\x2a"])) == decoded("t", batch(1))


@pytest.mark.parametrize("kind", ["t", "h", "n"])
def test_half_a_pair_is_refused(kind: str) -> None:
    e = encoder()
    payload = {"t": batch(2), "h": e.health(samples.health(), 1), "n": e.note(samples.health(), 1, 0)}[kind]
    with pytest.raises(ProtocolError):
        decoded(kind, cbor.dumps(cbor.loads(payload)[:-1]))


def test_a_long_sentence_is_clipped_between_characters() -> None:
    payload = encoder().note(samples.health(sentence="ñ" * 500), 1, 0)
    sentence = wire.decode("n", payload, samples.BIRTH)[0]["sentence"]
    assert sentence == "ñ" * (wire.SENTENCE_MAX_BYTES // 2)


OLD_HEALTH = (  # as boxes up to 0.1.0 wrote it: the sentence in the message, all counters behind it
    "9001", "19c3d4", "197a02", "1a003d0903", "00", "00", "02",
    "782d" + b"12 % of the spokes are lost: check the cable.".hex(), "00f936b8", "01f93e00", "021949d4", "03f92fae",
)  # fmt: skip


def test_health_of_an_older_box_is_read() -> None:
    row = wire.decode("h", bytes.fromhex("".join(OLD_HEALTH)), samples.BIRTH)[0]
    assert row["sentence"] == "12 % of the spokes are lost: check the cable."
    assert row["counters"] == {"rate_hz": 0.4199, "age_s": 1.5, "range_m": 18_900.0, "lost": 0.12}
    assert "note" not in row


def test_an_older_receiver_reads_a_change_without_its_sentence() -> None:
    """It stops at the null after the pairs: what it knew of the format up to 0.1.0."""
    row = cbor.loads(encoder().health(samples.health(), SEQ, 17))
    assert (row[7], row[row.index(None, 8) :]) == (None, [None, 17])


@given(
    counters=st.lists(st.tuples(st.sampled_from([f"c{i}" for i in range(30)]), st.floats()), max_size=20).map(tuple),
    seq=st.integers(1, (1 << 32) - 1), at_s=st.floats(samples.BORN_S - 1e6, samples.BORN_S + 4e8),
    note=st.none() | st.integers(0, (1 << 16) - 1),
)  # fmt: skip
@settings(max_examples=200, deadline=None)
def test_any_health_has_its_size_and_loses_no_counter(counters: Any, seq: int, at_s: float, note: int | None) -> None:
    e = encoder()
    health = samples.health(counters=counters, at_s=at_s)
    payload = e.health(health, seq, note)
    assert len(payload) <= wire.HEALTH_MAX_BYTES
    birth = births.decode(e.birth())
    told = [wire.decode("h", payload, birth)[0], wire.decode("n", e.note(health, seq, note or 0), birth)[0]]
    birth = births.decode(e.birth())
    if note is not None:
        assert told[0]["note"] == note
        assert {**told[1]["counters"], **told[0]["counters"]}.keys() == dict(counters).keys()
    assert told[1]["sentence"] == health.sentence


@pytest.mark.parametrize("value", [0.0, -1.5, 3.0, 1e6, 123.456, 1e-3, 70_000.5, 1e30, math.inf, math.nan])
def test_counters_hold_a_tenth_of_a_percent(value: float) -> None:
    payload = encoder().health(samples.health(counters=(("rate_hz", value),)), 1)
    back = wire.decode("h", payload, samples.BIRTH)[0]["counters"]["rate_hz"]
    if math.isfinite(value):
        assert back == pytest.approx(value, rel=1.2e-3)
    else:
        assert back is None


@pytest.mark.parametrize("state", list(SensorState))
def test_every_sensor_state(state: SensorState) -> None:
    row = wire.decode("h", encoder().health(samples.health(state=state), 1), samples.BIRTH)[0]
    assert (row["state"], row["sentence"], row["sensor"]) == (state, None, "radar-north")


def test_a_track_without_a_position_is_refused() -> None:
    with pytest.raises(ProtocolError, match="4711"):
        encoder().alert(samples.alert(track=samples.track(lat=math.nan)), 1)


def test_a_name_that_no_receiver_would_take_is_refused() -> None:
    with pytest.raises(ProtocolError, match="classes"):
        Tables(samples.BIRTH).index("classes", "x" * 65)


# ---------------------------------------------------------------- kinematics

tracks = st.builds(
    samples.track,
    lat=st.floats(-89.9, 89.9), lon=st.floats(-180, 180), cog_deg=st.floats(0, 360), sog_mps=st.floats(0, 50),
    status=st.sampled_from(list(TrackStatus)), mmsi=st.none() | st.integers(1, 999_999_999),
    confidence=st.floats(0, 1),
    bearing_deg=st.none() | st.floats(0, 359.99), sigma_bearing_deg=st.floats(0.01, 90),
)  # fmt: skip
refs = st.tuples(st.integers(-9_000_000, 9_000_000), st.integers(-18_000_000, 18_000_000))


@given(track=tracks, ref=refs, dt=st.integers(-3000, 3000), sources=st.integers(0, 2**20))
@settings(max_examples=300, deadline=None)
def test_kinematics_keep_their_resolutions(track: Any, ref: tuple[int, int], dt: int, sources: int) -> None:
    k = kinematics.from_track(track, dt_s=dt / 10, class_index=5, sources=sources)
    back = kinematics.unpack(kinematics.pack(k, ref), ref)
    assert abs(back.lat - k.lat) <= 0.51e-5
    assert abs((back.lon - k.lon + 180) % 360 - 180) <= 0.51e-5
    assert abs((back.cog_deg - k.cog_deg + 180) % 360 - 180) <= 180 / 256 + 1e-9
    assert abs(back.sog_mps - k.sog_mps) <= 0.0258
    assert (back.status, back.mmsi, back.class_index, back.sources) == (k.status, k.mmsi, 5, sources)
    assert back.dt_s == pytest.approx(dt / 10)
    assert back.confidence == pytest.approx(k.confidence, abs=0.0051)
    if k.bearing_deg is None:
        assert back.major_m == pytest.approx(k.major_m, rel=0.05)
        assert back.minor_m == pytest.approx(k.minor_m, rel=0.05)
    else:
        assert back.bearing_deg is not None
        assert abs((back.bearing_deg - k.bearing_deg + 180) % 360 - 180) <= 180 / 8192 + 1e-9
        assert back.sigma_bearing_deg == pytest.approx(k.sigma_bearing_deg, rel=0.04)


def test_thirteen_bytes_and_four_for_an_mmsi() -> None:
    ref = samples.BIRTH.ref_e5
    k = kinematics.from_track(samples.track(), class_index=0, sources=0b111)
    assert len(kinematics.pack(k, ref)) == 17
    assert len(kinematics.pack(replace(k, mmsi=None), ref)) == 13


@pytest.mark.parametrize(
    ("east", "north", "both", "angle"),
    [(4.0, 100.0, 0.0, 0.0), (100.0, 4.0, 0.0, 90.0), (50.0, 50.0, 40.0, 45.0), (50.0, 50.0, -40.0, 135.0)],
)
def test_the_ellipse_points_where_the_covariance_does(east: float, north: float, both: float, angle: float) -> None:
    k = kinematics.from_track(samples.track(cov=((east, both), (both, north))))
    assert k.axis_deg == pytest.approx(angle)
    assert k.major_m == pytest.approx(math.sqrt(100.0 if both == 0 else 90.0))


def test_extrapolation_is_a_straight_line() -> None:
    lat, lon = kinematics.extrapolate(36.0, -5.6, 90.0, 10.0, 60.0)
    east, north = LocalFrame(lat=36.0, lon=-5.6).to_enu(lat, lon)
    assert (east, north) == (pytest.approx(600.0), pytest.approx(0.0, abs=1e-3))  # type: ignore[comparison-overlap] # approx compares


# ---------------------------------------------------------------- any bytes

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64 - 1)
    | st.floats()
    | st.binary(max_size=20)
    | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=14) | st.dictionaries(st.integers(0, 9) | st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=20,
)  # fmt: skip
headed = st.builds(
    lambda seq, t, label, rest: [1, samples.BIRTH.boot16, seq, t, label, *rest],
    st.integers(0, 2**64 - 1), st.integers(-(2**64), 2**64 - 1), st.integers(0, 1), st.lists(plain, max_size=12),
)  # fmt: skip


def mutated(data: st.DataObject) -> bytes:
    payload = bytearray(data.draw(st.sampled_from([p for _, p in golden_payloads().values()])))
    for _ in range(data.draw(st.integers(1, 4))):
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    return bytes(payload[: data.draw(st.integers(0, len(payload)))] if data.draw(st.booleans()) else payload)


def feed_everything(payload: bytes) -> None:
    for kind in "athnlvri?":
        survives(lambda kind=kind: wire.decode(kind, payload, samples.BIRTH))
    for read in (wire.decode_birth, wire.decode_state, wire.decode_ack, wire.head, births.decode):
        survives(lambda read=read: read(payload))


def survives(read: Any) -> None:
    try:
        result = read()
    except ProtocolError as e:
        assert str(e)  # noqa: PT017 - decoding may also succeed; a refusal has to say why
    else:
        if not isinstance(result, wire.Head | wire.Ack | Birth):
            json.dumps(result, allow_nan=False)


@given(payload=st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_any_bytes(payload: bytes) -> None:
    feed_everything(payload)


@given(row=headed | plain)
@settings(max_examples=400, deadline=None)
def test_any_values(row: Any) -> None:
    feed_everything(cbor.dumps(row))


@given(data=st.data())
@settings(max_examples=400, deadline=None)
def test_damaged_messages(data: st.DataObject) -> None:
    feed_everything(mutated(data))


@given(value=plain)
@settings(max_examples=300, deadline=None)
def test_the_strict_reader_reads_what_is_written(value: Any) -> None:
    def same(a: Any, b: Any) -> bool:
        if isinstance(a, float) and math.isnan(a):
            return isinstance(b, float) and math.isnan(b)
        if isinstance(a, list):
            return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
        if isinstance(a, dict):
            return a.keys() == b.keys() and all(same(v, b[k]) for k, v in a.items())
        return type(a) is type(b) and a == b

    assert same(value, cbor.loads(cbor.dumps(value)))


@pytest.mark.parametrize(
    "hexes",
    ["", "0101", "c11a514b67b0", "9fff", "5f4101ff", "7f6161ff", "f7", "f8ff", "1c", "9bffffffffffffffff", "61ff",
     "d81c81d81d00", "81" * 20 + "00", "a18001", "5affffffff00"],
)  # fmt: skip
def test_what_has_no_place_in_a_message(hexes: str) -> None:
    with pytest.raises(ProtocolError):
        cbor.loads(bytes.fromhex(hexes))
