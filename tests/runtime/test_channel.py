from __future__ import annotations

import socket
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.runtime.channel import MAX_MESSAGE, Channel, ChannelClosed


def pair() -> tuple[Channel, socket.socket]:
    a, b = socket.socketpair()
    return Channel(a), b


def test_round_trip_and_silence() -> None:
    a, raw = pair()
    b = Channel(raw)
    a.send(["m", [1, 2.5, "x", b"jpeg"]])
    a.send(["beat"])
    assert b.recv(1.0) == ["m", [1, 2.5, "x", b"jpeg"]]
    assert b.recv(1.0) == ["beat"]
    assert b.recv(0.01) is None
    a.close()
    with pytest.raises(ChannelClosed, match="ended"):
        b.recv(1.0)
    b.close()


def test_a_claim_of_four_gigabytes_ends_the_channel() -> None:
    a, raw = pair()
    raw.sendall(struct.pack("<I", 0xFFFFFFFF))
    with pytest.raises(ChannelClosed, match=str(MAX_MESSAGE)):
        a.recv(1.0)
    raw.close()
    a.close()


@given(st.binary(min_size=1, max_size=300))
@settings(deadline=None, max_examples=200)
def test_garbage_never_hangs_or_surprises(data: bytes) -> None:
    a, raw = pair()
    raw.sendall(data)
    raw.close()
    try:
        while True:
            message = a.recv(0.5)
            assert isinstance(message, list)
    except ChannelClosed:
        pass
    a.close()
