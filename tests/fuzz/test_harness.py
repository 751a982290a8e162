"""The fuzzer's harness under hypothesis: recorded cases lost, repeated, reordered, cut and mutated, on every driver.

`make fuzz` goes on from here with a coverage-guided fuzzer; this is what every test run does.
"""

from __future__ import annotations

import random
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.messages import Stamp
from fuzz.harness import ADDRESSES, NAMES, datagrams, decoder_of, judge, packed, seeds

CASES = Path(__file__).resolve().parents[1] / "cases"
each_driver = pytest.mark.parametrize("name", NAMES)


def test_inputs_mean_what_they_are_packed_from() -> None:
    parts = [b"one", b"", b"three" * 100]
    assert datagrams(packed(parts)) == [(ADDRESSES[0], p) for p in parts]
    assert datagrams(b"\x80\x02ab\x00\x01c") == [("", b"ab"), ("", b"c")]
    assert datagrams(b"\x7f\xff" + b"x") == [(ADDRESSES[0], b"x")]


def test_the_harness_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise IndexError

    monkeypatch.setattr("agent.drivers.radar.garmin.GarminDecoder._decode_unit", broken)
    with pytest.raises(IndexError):
        judge("garmin", packed([b"x"]))


@each_driver
def test_lost_repeated_reordered_and_broken(name: str) -> None:
    inputs = seeds(name, CASES)
    assert inputs
    parts = [d for _, d in datagrams(max(inputs, key=len))]

    @settings(deadline=None, max_examples=60)
    @given(st.data())
    def check(data: st.DataObject) -> None:
        chosen = data.draw(st.lists(st.sampled_from(parts), max_size=12))
        rng = random.Random(data.draw(st.integers(0, 2**32)))
        broken = bytearray(packed(chosen))
        for _ in range(rng.randrange(12) if broken else 0):
            at = rng.randrange(len(broken))
            if rng.random() < 0.3:
                broken[at : at + rng.randrange(4)] = rng.randbytes(rng.randrange(4))
            elif at < len(broken):
                broken[at] = rng.choice((0, 255, 127, 128, rng.randrange(256)))
            if not broken:
                break
        judge(name, bytes(broken))

    check()


@each_driver
def test_memory_does_not_grow_with_mutated_input(name: str) -> None:
    """The same decoder, thousands of broken datagrams: it keeps no more after the second half than after the first."""
    rng = random.Random(7)
    parts = [d for i in seeds(name, CASES) for _, d in datagrams(i)]
    decoder, sizes = decoder_of(name), []
    tracemalloc.start()
    try:
        for n in range(4000):
            unit = bytearray(rng.choice(parts))
            for _ in range(rng.randrange(4)):
                if unit:
                    unit[rng.randrange(len(unit))] = rng.randrange(256)
            for _ in decoder.decode(bytes(unit), Stamp(t_s=n * 0.01, wall_s=n * 0.01), rng.choice((*ADDRESSES, ""))):
                pass
            if n in (1999, 3999):
                sizes.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert sizes[1] - sizes[0] < 1 << 19
