"""The decoder that partners may take, on the golden vectors and on anything else."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.publish import cbor, wire
from publish import samples

FILE = Path(__file__).resolve().parents[2] / "contrib" / "vigia_decoder.py"
GOLDEN = json.loads((Path(__file__).parent / "golden.json").read_text(encoding="utf-8"))["messages"]


def load() -> Any:
    spec = importlib.util.spec_from_file_location("vigia_decoder", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


decoder_file = load()


def fresh() -> Any:
    decoder = decoder_file.Decoder()
    decoder.feed("s1/tarifa-1/u/b", bytes.fromhex(GOLDEN["birth"]["hex"]))
    return decoder


def without_sentences(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Sentences of reasons are the receiver's own; the file gives their codes."""
    return [{k: v for k, v in row.items() if k != "reasons" or row["type"] == "birth"} for row in rows]


@pytest.mark.parametrize("name", sorted(set(GOLDEN) - {"reply", "image"}))
def test_it_reads_every_golden_message_as_the_agent_does(name: str) -> None:
    golden = GOLDEN[name]
    rows = fresh().feed(f"s1/tarifa-1/u/{golden['topic']}", bytes.fromhex(golden["hex"]))
    pairs = list(zip(rows, golden["json"], strict=True))
    told = [{k: v for k, v in row.items() if k != "node" or "node" in want} for row, want in pairs]
    assert json.loads(json.dumps(told)) == without_sentences(golden["json"])


@pytest.mark.parametrize("version", [1, 7, 200])
def test_a_last_will_of_a_later_version_is_one(version: int) -> None:
    payload = cbor.dumps(version) + cbor.dumps(0xA1B2C3D4)
    (row,) = fresh().feed("s1/tarifa-1/u/s", payload)
    assert {k: v for k, v in row.items() if k != "node"} == wire.decode_state(payload)


def test_it_needs_nothing_but_the_standard_library() -> None:
    imports = [line.split()[1] for line in FILE.read_text().splitlines() if line.startswith(("import ", "from "))]
    assert set(imports) == {"__future__", "math", "struct", "typing"}


def test_a_message_before_its_birth_says_so() -> None:
    with pytest.raises(decoder_file.NeedsBirth):
        decoder_file.Decoder().feed("s1/tarifa-1/u/a", bytes.fromhex(GOLDEN["alert"]["hex"]))


def test_it_passes_over_what_a_newer_sender_appends() -> None:
    for golden in GOLDEN.values():
        if golden["topic"] in "sri":
            continue
        row = cbor.loads(bytes.fromhex(golden["hex"]))
        end = [None] if golden["topic"] in "thn" and None not in row[9:] else []
        topic = f"s1/tarifa-1/u/{golden['topic']}"
        longer = cbor.dumps([2, *row[1:], *end, "from the future", [1]])
        assert fresh().feed(topic, longer) == fresh().feed(topic, bytes.fromhex(golden["hex"]))


@pytest.mark.parametrize(
    "hexes", ["81c5821b7fffffffffffffff03", "c4821b7fffffffffffffff03", "9bffffffffffffffff", "81" * 90, ""]
)
def test_bytes_that_cost_a_general_reader_minutes(hexes: str) -> None:
    with pytest.raises(ValueError, match="s1/"):
        fresh().feed("s1/tarifa-1/u/a", bytes.fromhex(hexes))


@given(data=st.data())
@settings(max_examples=500, deadline=None)
def test_any_bytes(data: st.DataObject) -> None:
    golden = data.draw(st.sampled_from(list(GOLDEN.values())))
    payload = bytearray(bytes.fromhex(golden["hex"]))
    for _ in range(data.draw(st.integers(0, 4))):
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    payload = payload[: data.draw(st.integers(0, len(payload)))]
    decoder = fresh()
    try:
        rows = decoder.feed(f"s1/{samples.BIRTH.node}/u/{data.draw(st.sampled_from('bsathnlvx'))}", bytes(payload))
    except ValueError as e:
        assert str(e)  # noqa: PT017 - reading may also succeed; a refusal has to say why
    else:
        assert isinstance(rows, list)
