"""What every driver promises, tried on every driver of the table."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from agent.drivers.base import MAX_STREAMS, Decoder
from agent.drivers.table import DRIVERS, driver_options, load_driver
from drivers.cases import CASES, NOW, Case, cases, plain, run

NAMES = [name for name, spec in DRIVERS.items() if spec.runs != "camera"]
ALL = [case for name in NAMES for case in cases(name)]
GROWTH_BYTES = 1 << 20
few = settings(deadline=None, max_examples=25)
each_driver = pytest.mark.parametrize("name", NAMES)
each_case = pytest.mark.parametrize("case", ALL, ids=[f"{c.driver}/{c.name}" for c in ALL])


def same(got: Iterable[dict[str, Any]], wanted: Iterable[dict[str, Any]]) -> None:
    """Equal but for rounding; a field too many or too few is a difference."""
    got, wanted = list(got), list(wanted)
    for n, (g, w) in enumerate(zip(got, wanted, strict=False)):
        assert g.keys() == w.keys(), f"measurement {n}"
        for key, value in w.items():
            exact = isinstance(value, str | bool) or not isinstance(value, float)
            assert g[key] == (value if exact else pytest.approx(value, rel=1e-9, abs=1e-6)), f"measurement {n}: {key}"
    assert len(got) == len(wanted)


@each_driver
def test_a_driver_has_cases_that_say_where_they_come_from(name: str) -> None:
    found = cases(name)
    assert found, f"no case in tests/cases/{name}/: record one (NAME.nmea or NAME.hex, and NAME.golden.jsonl)"
    for case in found:
        assert len(case.provenance) > 20, case.name
        assert len(case.golden_provenance) > 20, case.name
    assert any(case.golden for case in found)


def test_every_case_belongs_to_a_driver() -> None:
    assert {p.name for p in CASES.iterdir() if p.name != "__pycache__"} == set(NAMES)


@each_case
def test_golden(case: Case) -> None:
    same(run(case.decoder(), case.units, paced=True), case.golden)


@each_driver
def test_options_have_defaults_and_refuse_strangers(name: str) -> None:
    assert type(load_driver(name)("sensor").options) is driver_options(name)
    with pytest.raises(ValidationError):
        driver_options(name).model_validate({"no_such_option": 1})


@each_case
def test_same_bytes_same_measurements(case: Case) -> None:
    assert run(case.decoder(), case.units) == run(case.decoder(), case.units)


@each_case
def test_the_source_is_the_sensors_name(case: Case) -> None:
    decoder = case.decoder()
    for stream, data in case.units:
        assert all(m.source == "sensor" for m in decoder.decode(data, NOW, stream))


@each_case
def test_counters(case: Case) -> None:
    decoder = case.decoder()
    run(decoder, case.units)
    assert decoder.counters["bytes"] >= len(case.data)
    assert decoder.counters["units"] >= len(case.units) - 1
    assert bool(decoder.counters["errors"]) == bool(decoder.last_error)


@each_case
def test_any_split_of_a_stream_gives_the_same(case: Case) -> None:
    if load_driver(case.driver).datagrams:
        return  # the border of a datagram means something
    whole, reference = run(case.decoder(), (("", case.data),)), case.decoder()
    run(reference, (("", case.data),))

    @few
    @given(st.lists(st.integers(0, len(case.data)), max_size=60).map(sorted))
    def check(cuts: list[int]) -> None:
        pieces = zip([0, *cuts], [*cuts, len(case.data)], strict=True)
        decoder = case.decoder()
        assert run(decoder, tuple(("", case.data[a:b]) for a, b in pieces)) == whole
        assert decoder.counters == reference.counters

    check()
    assert run(case.decoder(), tuple(("", case.data[i : i + 1]) for i in range(len(case.data)))) == whole


@each_case
def test_truncation_never_raises_and_invents_nothing(case: Case) -> None:
    """A stream that ends early gives the beginning of its measurements; so does a datagram."""
    for cut in range(0, len(case.data), 1 + len(case.data) // 400):
        decoder, left, got, wanted = case.decoder(), cut, [], []
        reference = case.decoder()
        for stream, data in case.units:
            piece, left = data[:left], max(0, left - len(data))
            whole = [plain(m) for m in reference.decode(data, NOW, stream)]
            part = [plain(m) for m in decoder.decode(piece, NOW, stream)]
            assert part == whole[: len(part)]
            got += part
            wanted += whole
            if len(piece) < len(data):
                break
        assert got == wanted[: len(got)]
        list(decoder.flush(NOW))


@each_case
def test_garbage_costs_nothing_that_comes_after(case: Case) -> None:
    wanted = run(case.decoder(), case.units)

    @few
    @given(
        st.lists(st.tuples(st.binary(max_size=300), st.sampled_from(["", "10.0.0.1:9", case.units[0][0]])), max_size=8)
    )
    def check(garbage: list[tuple[bytes, str]]) -> None:
        decoder = case.decoder()
        for data, stream in garbage:
            list(decoder.decode(data, NOW, stream))
        if not decoder.datagrams:
            list(decoder.decode(b"\r\n", NOW))
        assert run(decoder, case.units) == wanted

    check()


@each_case
def test_bit_flips_never_raise_and_add_nothing(case: Case) -> None:
    wanted = run(case.decoder(), case.units)

    @few
    @given(st.data())
    def check(data: st.DataObject) -> None:
        decoder = case.decoder()
        which = data.draw(st.integers(0, len(case.units) - 1))
        stream, unit = case.units[which]
        flips = data.draw(st.lists(st.integers(0, 8 * len(unit) - 1), min_size=1, max_size=6, unique=True))
        broken = bytearray(unit)
        for bit in flips:
            broken[bit // 8] ^= 1 << bit % 8
        units = (*case.units[:which], (stream, bytes(broken)), *case.units[which + 1 :])
        assert len(run(decoder, units)) <= len(wanted) + 1  # a broken refusal may be none any more

    check()


@each_case
def test_closed_twice_and_silent(case: Case) -> None:
    decoder = case.decoder()
    half = len(case.data) // 2
    list(decoder.decode(case.data[:half], NOW, case.units[0][0]))
    decoder.close()
    decoder.close()
    assert run(decoder, case.units) == []


@each_driver
@pytest.mark.parametrize("flood", ["one line", "streams", "random"])
def test_memory_is_bounded(name: str, flood: str) -> None:
    decoder = load_driver(name)("sensor")
    rng = random.Random(1)
    piece = b"!" + b"A" * 32_768
    tracemalloc.start()
    try:
        for n in range(300):
            if flood == "one line":
                list(decoder.decode(piece, NOW))
            elif flood == "streams":
                list(decoder.decode(b"$" + b"B" * 900, NOW, f"239.192.0.{n % 250}:{n}"))
            else:
                list(decoder.decode(rng.randbytes(4096), NOW, f"10.0.0.1:{n % 7}"))
        grown, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert grown < GROWTH_BYTES


@each_case
def test_memory_is_bounded_with_the_cases_own_units_on_many_streams(case: Case) -> None:
    decoder = case.decoder()
    size = []
    tracemalloc.start()
    try:
        for n in range(4 * MAX_STREAMS):
            for _, unit in case.units:
                list(decoder.decode(unit[:-3], NOW, f"239.192.{n // 250}.{n % 250}:60001"))
            if n in (2 * MAX_STREAMS, 4 * MAX_STREAMS - 1):
                size.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert size[1] - size[0] < GROWTH_BYTES // 4


def test_a_decoder_outside_the_table_meets_the_same_contract() -> None:
    """The suite can fail: a decoder that keeps what it was fed grows."""

    class Hoarder(Decoder[Any]):
        def __init__(self) -> None:
            super().__init__("sensor")
            self.kept: list[bytes] = []

        def _decode_unit(self, unit: bytes, _at: Any, _stream: str) -> Iterable[Any]:
            self.kept.append(unit + b"x")
            return ()

    decoder = Hoarder()
    tracemalloc.start()
    try:
        for _ in range(300):
            list(decoder.decode(b"A" * 32_768, NOW))
        grown, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert grown > GROWTH_BYTES
