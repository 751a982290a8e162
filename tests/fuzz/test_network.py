"""The network's decoders under hypothesis, with the harness that `make fuzz` goes on with."""

from __future__ import annotations

import random
import socket
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.errors import SensorUnavailable
from agent.publish import wire
from agent.publish.ashore.server import receive_texts
from fuzz.network import TARGETS, seeds

each_target = pytest.mark.parametrize("name", sorted(TARGETS))


@each_target
def test_golden_messages_pass(name: str) -> None:
    assert seeds(name)
    for data in seeds(name):
        TARGETS[name](data)


def test_the_harness_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise IndexError

    monkeypatch.setattr(wire, "_health", broken)
    for name in ("net-messages", "net-picture"):
        with pytest.raises(IndexError):
            [TARGETS[name](data) for data in seeds(name)]


@each_target
def test_mutated_and_joined(name: str) -> None:
    inputs = seeds(name)

    @settings(deadline=None, max_examples=150)
    @given(st.data())
    def check(data: st.DataObject) -> None:
        broken = bytearray(b"".join(data.draw(st.lists(st.sampled_from(inputs), min_size=1, max_size=3))))
        rng = random.Random(data.draw(st.integers(0, 2**32)))
        for _ in range(rng.randrange(8)):
            at = rng.randrange(len(broken))
            if rng.random() < 0.3:
                broken[at : at + rng.randrange(4)] = rng.randbytes(rng.randrange(1, 4))
            else:
                broken[at] = rng.choice((0, 255, 127, 128, rng.randrange(256)))
        TARGETS[name](bytes(broken[: rng.randrange(len(broken) + 1)] if rng.random() < 0.2 else broken))

    check()


@settings(deadline=None, max_examples=100)
@given(data=st.binary(max_size=200), greeted=st.booleans())
def test_a_picture_that_talks_nonsense_is_told_of_or_ends(data: bytes, greeted: bool) -> None:
    """The gateway's ear: the WebSocket of a picture."""
    here, there = socket.socketpair()
    with here, there:
        head = b"HTTP/1.1 101 Switching\r\n\r\n" if greeted else b""
        there.sendall(head + data)  # less than the socket holds
        there.shutdown(socket.SHUT_WR)
        try:
            for text in receive_texts(here, "picture"):
                assert isinstance(text, str)
        except (SensorUnavailable, ValueError) as e:
            assert str(e)  # noqa: PT017 - it may also end in order
