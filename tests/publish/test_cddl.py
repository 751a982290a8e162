"""docs/wire.cddl is what the codec writes: the golden messages, and whatever the encoder can be made to say.

docs/wire.md shows golden messages, and a decoder that reads what the codec packs.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from cddl_verifier import Validator  # type: ignore[import-untyped]  # it ships no type information
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.messages import AlertState, Likelihood, SensorState, Severity, TrackStatus
from agent.publish import cbor, commands, cose, kinematics, wire
from agent.publish.encoder import Encoder
from publish import samples

GOLDEN = json.loads((Path(__file__).parent / "golden.json").read_text(encoding="utf-8"))
KEY = cose.key_of(bytes(range(32)))
SCHEMA = Validator(Path(__file__).parents[2] / "docs" / "wire.cddl")
RULES = (
    "birth", "alert", "tracks", "health", "note", "loss", "seal", "reply", "image", "state", "will", "ack", "command",
)  # fmt: skip
MESSAGES = {**{name: m["hex"] for name, m in GOLDEN["messages"].items()}, "ack": GOLDEN["acknowledgement"]["hex"]}
RULE_OF_LETTER = {
    "b": "birth",
    "a": "alert",
    "t": "tracks",
    "h": "health",
    "n": "note",
    "l": "loss",
    "v": "seal",
    "r": "reply",
    "i": "image",
}
RULE_OF = {name: RULE_OF_LETTER.get(m["topic"], name) for name, m in GOLDEN["messages"].items()}


def fields(name: str) -> list[Any]:
    """The message as an array; the will, a sequence, gets the array that its rule describes."""
    payload = bytes.fromhex(MESSAGES[name])
    if name == "will":
        return cbor.loads_sequence(payload)
    row: list[Any] = cbor.loads(payload)
    return row


def fits(row: list[Any], rule: str) -> bool:
    return bool(SCHEMA.validate(cbor.dumps(row), rule))


@pytest.mark.parametrize("name", sorted(MESSAGES))
def test_a_golden_message_fits_its_rule_and_no_other(name: str) -> None:
    assert [rule for rule in RULES if fits(fields(name), rule)] == [RULE_OF.get(name, name)]


@pytest.mark.parametrize("name", sorted(MESSAGES))
def test_what_is_cut_off_or_of_another_version_does_not_fit(name: str) -> None:
    row, rule = fields(name), RULE_OF.get(name, name)
    assert fits(row[:-1], rule) == (name == "alert-mac")  # without its MAC it is the alert of a box that has no secret
    assert not fits([2, *row[1:]], rule)
    assert not fits([*row, "from the future"], rule)


@pytest.mark.parametrize("name", sorted(MESSAGES))
def test_no_field_may_hold_something_else(name: str) -> None:
    row, rule = fields(name), RULE_OF.get(name, name)
    for i in range(len(row)):
        if (rule, i) != ("birth", 12):  # info is a map
            assert not fits([*row[:i], {"no": "field is a map of this"}, *row[i + 1 :]], rule), i
        assert not fits([*row[:i], [1.5, None], *row[i + 1 :]], rule), i


@pytest.mark.parametrize(
    ("name", "place", "value"),
    [
        ("alert", 1, 1 << 16), ("alert", 2, 0), ("alert", 8, 1000), ("alert", 10, b""), ("alert", 12, b"x" * 12),
        ("alert", 12, b"x" * 37), ("health-changed", 6, 6), ("health-changed", 7, "text"),
        ("note", 6, "x" * 161), ("note", 5, -1), ("loss", 6, [[1]]),
        ("state", 3, 2), ("will", 1, 1 << 32), ("ack", 3, [[1, 2, 3]]), ("birth", 4, [9_000_001, 0]),
        ("birth", 8, [["zone-enter"]]), ("birth", 12, {"nested": {}}),
    ],
)  # fmt: skip
def test_bounds_hold(name: str, place: int, value: Any) -> None:
    row = fields(name)
    assert not fits([*row[:place], value, *row[place + 1 :]], RULE_OF.get(name, name))


def test_a_command_fits() -> None:
    command = commands.Command(id=b"12345678", issued_s=1, expires_s=2, node="n", name="snapshot", args={"sensor": "c"})
    content = cose.check(commands.encode(command, KEY), None, b"s1/n/d/c", KEY.public)
    assert fits(cbor.loads(content), "command")


def test_twenty_tracks_are_a_full_batch() -> None:
    row = fields("tracks")
    assert not fits([*row, *row[-2:]], "tracks")
    assert not fits(row[:5], "tracks")


tracks = st.builds(
    samples.track,
    lat=st.floats(-89.9, 89.9), lon=st.floats(-180, 180), cog_deg=st.floats(0, 360), sog_mps=st.floats(0, 500),
    status=st.sampled_from(list(TrackStatus)), mmsi=st.none() | st.integers(0, 999_999_999),
    confidence=st.floats(0, 1), class_=st.none() | st.text(max_size=64), bearing_deg=st.none() | st.floats(0, 359.99),
    sources=st.lists(st.text(max_size=64), max_size=70).map(tuple),
)  # fmt: skip
alerts = st.builds(
    samples.alert,
    track=tracks, at_s=st.floats(samples.BORN_S - 1e6, samples.BORN_S + 1e8), zone=st.none() | st.text(max_size=48),
    situation=st.integers(0, 1 << 40), rule_name=st.text(max_size=48), state=st.sampled_from(list(AlertState)),
    severity=st.sampled_from(list(Severity)), likelihood=st.sampled_from(list(Likelihood)), exercise=st.booleans(),
    reason_codes=st.lists(st.text(max_size=64), max_size=300).map(tuple),
)  # fmt: skip
healths = st.builds(
    samples.health,
    source=st.text(max_size=64), state=st.sampled_from(list(SensorState)), sentence=st.text(max_size=300),
    counters=st.lists(st.tuples(st.text(max_size=64), st.floats()), max_size=9).map(tuple),
)  # fmt: skip


def fresh() -> Encoder:
    return Encoder(samples.BIRTH, samples.BORN_S)


@given(alert=alerts, seq=st.integers(1, (1 << 63) - 1))
@settings(max_examples=100, deadline=None)
def test_any_alert_fits_and_so_does_the_birth_that_it_makes(alert: Any, seq: int) -> None:
    e = fresh()
    assert SCHEMA.validate(e.alert(alert, seq), "alert")
    assert SCHEMA.validate(e.birth(), "birth")


@given(seen=st.lists(tracks, min_size=1, max_size=wire.BATCH), dt_s=st.floats(-4000, 4000))
@settings(max_examples=50, deadline=None)
def test_any_batch_fits(seen: list[Any], dt_s: float) -> None:
    e = fresh()
    at_s = seen[0].at_s + dt_s
    assert SCHEMA.validate(e.tracks([(t.id, e.kinematics(t, at_s)) for t in seen], 1, at_s), "tracks")


@given(health=healths, note=st.none() | st.integers(0, (1 << 32) - 1), told=st.booleans())
@settings(max_examples=100, deadline=None)
def test_any_health_fits_and_so_does_its_note(health: Any, note: int | None, told: bool) -> None:
    assert SCHEMA.validate(fresh().health(health, 1, note), "health")
    assert SCHEMA.validate(fresh().note(health, 1, note or 0, told=told), "note")


# ---------------------------------------------------------------- docs/wire.md


def blocks(language: str) -> str:
    """All fenced blocks of the page in one language, joined."""
    page = (Path(__file__).parents[2] / "docs" / "wire.md").read_text(encoding="utf-8")
    return "\n".join(re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL))


def test_the_examples_of_the_page_are_golden() -> None:
    shown = blocks("hex").split()
    assert len(shown) >= 6
    assert set(shown) <= set(MESSAGES.values())


def test_the_decoder_of_the_page_reads_what_the_codec_packs() -> None:
    scope: dict[str, Any] = {}
    exec(blocks("python"), scope)  # noqa: S102 - the page's own text: it has to run as it is printed
    for name in ("alert", "bearing-only"):
        packed: bytes = fields(name)[-1]
        mine = kinematics.unpack(packed, samples.BIRTH.ref_e5)
        shown = scope["kinematics"](packed, *samples.BIRTH.ref_e5)
        assert (shown["lat"], shown["lon"], shown["cog_deg"]) == (mine.lat, mine.lon, mine.cog_deg)
        assert (shown.get("mmsi"), shown.get("class"), shown["confidence"]) == (
            mine.mmsi, mine.class_index, mine.confidence,
        )  # fmt: skip
        assert shown["sensors"] == [i for i in range(64) if mine.sources >> i & 1]
        assert shown.get("major_m") == pytest.approx(mine.major_m)
        assert shown.get("bearing_deg") == mine.bearing_deg
        assert shown.get("sigma_deg") == pytest.approx(mine.sigma_bearing_deg)
