"""Further inputs of a radar: read without waiting, lost and found again, never in the radar's way."""

from __future__ import annotations

import socket

import pytest
from pydantic import ValidationError

from agent.clock import SystemClock
from agent.drivers.radar.navico import NavicoDecoder, NavicoOptions
from agent.runtime.further import AGAIN_S, FurtherInputs


@pytest.fixture
def port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def send(port: int, *datagrams: bytes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        for d in datagrams:
            s.sendto(d, ("127.0.0.1", port))


def test_what_has_come_in_is_read_and_nothing_waited_for(port: int) -> None:
    further = FurtherInputs([f"udp://127.0.0.1:{port}"], SystemClock(0.0))
    assert list(further.read(0.0)) == []
    send(port, b"one", b"two")
    assert [c.data for c in further.read(1.0)] == [b"one", b"two"]
    further.close()
    further.close()


def test_one_that_is_not_there_is_tried_again_later(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", port))
        further = FurtherInputs([f"udp://127.0.0.1:{port}"], SystemClock(0.0))
        assert list(further.read(0.0)) == []
        assert "cannot listen" in further.down[f"udp://127.0.0.1:{port}"]
    assert list(further.read(AGAIN_S - 1.0)) == []
    assert further.down
    assert list(further.read(AGAIN_S)) == []
    assert not further.down
    send(port, b"now")
    assert [c.data for c in further.read(AGAIN_S + 1.0)] == [b"now"]
    further.close()


def test_a_compass_beside_a_radar_turns_its_spokes(port: int) -> None:
    further = FurtherInputs([f"udp://127.0.0.1:{port}"], SystemClock(0.0))
    decoder = NavicoDecoder("radar", NavicoOptions())
    assert list(further.read(0.0)) == []
    send(port, b"$HEHDT,123.4,T*2B\r\n")
    for chunk in further.read(1.0):
        assert list(decoder.decode(chunk.data, chunk.at, chunk.stream)) == []
        assert decoder._no_heading(chunk.at.t_s) == 123.4
    assert decoder.counters["sentences"] == 1
    further.close()


@pytest.mark.parametrize("url", ["udp://nowhere", "serial:///dev/ttyUSB0", "udp://239.0.0.1:0"])
def test_addresses_are_checked_with_the_configuration(url: str) -> None:
    with pytest.raises(ValidationError):
        NavicoOptions(also=(url,))
