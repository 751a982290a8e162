"""Garmin, Raymarine and Furuno video: what is packed comes out, unknown ranges, lost frames, hostile input."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.drivers.radar.framed import VideoDecoder
from agent.drivers.radar.furuno import FurunoDecoder, FurunoOptions, unfold
from agent.drivers.radar.garmin import GarminDecoder, GarminOptions
from agent.drivers.radar.raymarine import RaymarineDecoder, RaymarineOptions, unrun
from agent.drivers.radar.video import Spoke
from agent.errors import ProtocolError
from agent.messages import Stamp
from radar.yacht_packer import (
    fold,
    furuno_frame,
    garmin_report,
    garmin_spoke,
    quantum_spoke,
    quantum_status,
    rd_frame,
    rd_status,
    runs,
)

AT = Stamp(t_s=5.0, wall_s=1.7e9)
PORT = "239.1.2.3:4567"
RANGES = (31, 63, 125, 250, 375, 500, 750, 1000, 1500, 2000, 3000)
SWEEPS = st.lists(st.integers(0, 63).map(lambda v: 4 * v), min_size=1, max_size=300)
some = settings(deadline=None, max_examples=60)


def feed(decoder: VideoDecoder, *datagrams: bytes, at: Stamp = AT) -> list[Spoke]:
    return [s for d in datagrams for s in decoder.decode(d, at, PORT)]


@some
@given(st.binary(min_size=1, max_size=1024), st.integers(0, 1439))
def test_garmin(samples: bytes, step: int) -> None:
    (spoke,) = feed(GarminDecoder("radar"), garmin_spoke(samples, 8 * step))
    assert (spoke.samples.tobytes(), spoke.angle_deg, spoke.range_m) == (samples, step / 4, 4167.0)
    assert spoke.top_level == 255


def test_garmin_reports_and_losses() -> None:
    decoder = GarminDecoder("radar")
    feed(decoder, garmin_report(0x0919, 1, 1), garmin_report(0x0930, -64 % 2**32), garmin_report(0x09FF, 0, 0))
    spokes = feed(decoder, *(garmin_spoke(b"abc", 8 * n) for n in (1434, 1435, 0, 1438, 0, 1)))
    assert len(spokes) == 6
    assert decoder.gauges["transmitting"] == 1.0
    c = decoder.counters
    assert (c["reports"], c["spokes_lost"], c["spokes_repeated"], c["spokes_late"], c["turns"]) == (3, 3, 1, 1, 1)


@pytest.mark.parametrize("piece", [1, 10, 5000])
def test_a_recording_of_garmin_without_addresses(piece: int) -> None:
    data = b"\xff" + b"".join(garmin_spoke(bytes(695), 8 * n) for n in range(5)) + garmin_report(0x0992, 1)
    decoder = GarminDecoder("radar")
    spokes = [s for i in range(0, len(data), piece) for s in decoder.decode(data[i : i + piece], AT)]
    assert len(spokes) == 5
    assert (decoder.counters["errors"], decoder.counters["reports"]) == (1, 1)


@some
@given(st.lists(st.integers(0, 255) | st.just(0x5C), min_size=1, max_size=400), st.integers(0, 249))
def test_quantum(samples: list[int], azimuth: int) -> None:
    decoder = RaymarineDecoder("radar")
    _, (spoke,) = feed(decoder, quantum_status(7, RANGES)), feed(decoder, quantum_spoke(samples, azimuth))
    assert spoke.samples.tolist() == samples
    assert spoke.angle_deg == (azimuth + 125) % 250 * 1.44
    assert spoke.range_m == pytest.approx(1852.0 * len(samples) / 100)


def test_a_quantum_whose_range_changes() -> None:
    decoder = RaymarineDecoder("radar", RaymarineOptions(doppler=True))
    before, after = quantum_spoke([0] * 130, 1, per_range=58), quantum_spoke([0] * 173, 2, per_range=115)
    spokes = feed(
        decoder, before, quantum_status(3, RANGES), before, after, after, quantum_status(4, RANGES), after, before
    )
    assert [s.valid for s in spokes] == [False, True, False, False, True, False]
    assert decoder.counters["no_range"] == 4
    assert {s.doppler for s in spokes} == {(254, 255)}


@some
@given(st.lists(st.integers(0, 255), max_size=256), st.sampled_from([0, 8, 28]), st.integers(0, 2047))
def test_rd(octets: list[int], extra: int, azimuth: int) -> None:
    decoder = RaymarineDecoder("radar", RaymarineOptions(unverified=True))
    feed(decoder, rd_status(4, RANGES))
    plain, hd = feed(decoder, rd_frame((azimuth, runs(octets), False), (azimuth, runs(octets), True), extra=extra))
    full = octets + [0] * (256 - len(octets))
    assert plain.samples.tolist() == [v for o in full for v in (o & 15, o >> 4)]
    assert hd.samples.tolist() == [o >> 1 for o in octets] + [0] * (1024 - len(octets))
    assert (plain.top_level, hd.top_level) == (15, 127)
    assert plain.angle_deg == pytest.approx((azimuth + 1024) % 2048 * 360 / 2048)
    assert plain.valid
    assert plain.range_m == pytest.approx(2.0 * RANGES[4] * 1.852)


def test_an_rd_range_is_used_only_when_asked_for() -> None:
    decoder = RaymarineDecoder("radar")
    (spoke,) = feed(decoder, rd_status(4, RANGES), rd_frame((0, b"\1", False)))
    assert (spoke.valid, spoke.range_m) == (False, 0.0)


@some
@given(SWEEPS, st.data(), st.sampled_from([1, 2, 3]))
def test_furuno_encodings(first: list[int], data: st.DataObject, encoding: int) -> None:
    second = data.draw(st.lists(st.sampled_from([0, 40, 252]), min_size=len(first), max_size=len(first)))
    one, two = fold(first, None, 1 if encoding == 2 else encoding), fold(second, first, encoding)
    frame = furuno_frame((0, 0, one), (4, 0, two), samples=len(first), encoding=encoding)
    spokes = feed(FurunoDecoder("radar", FurunoOptions(unverified=True)), frame)
    assert [s.samples.tolist() for s in spokes] == [first, second]


def test_a_lost_furuno_frame_loses_echoes_and_invents_none() -> None:
    sweep, decoder = [0] * 50 + [80] * 50, FurunoDecoder("radar")
    copy, alone = fold(sweep, sweep, 3), fold(sweep, None, 3)
    frames = [furuno_frame((8 * n, 0, data), samples=100, sequence=n) for n, data in
              [(0, copy), (1, alone), (2, copy), (4, copy), (5, copy), (6, alone), (7, copy)]]  # fmt: skip
    spokes = feed(decoder, *frames)
    assert [s.samples.tolist() == sweep for s in spokes] == [False, True, True, False, False, True, True]
    assert not any(any(s.samples) for s in (spokes[0], spokes[3], spokes[4]))
    assert decoder.counters["frames_lost"] == 1


def test_furuno_ranges_and_headings() -> None:
    data = fold([0] * 100, None, 3)
    decoder = FurunoDecoder("radar")
    a, b, c = feed(
        decoder,
        furuno_frame((0, 2048, data), samples=100, slot=6, scale=80),
        furuno_frame((0, 2048, data), samples=100, slot=21, second=True),
        furuno_frame((0, 0, data), samples=100, slot=63, heading=False, sequence=1),
    )
    assert (a.source, a.range_m, a.heading_deg) == ("radar", 4630.0, 90.0)
    assert (b.source, b.range_m, b.heading_deg) == ("radar/b", 115.75, 90.0)
    assert (c.valid, c.heading_deg) == (False, None)


def test_furuno_encodings_that_nothing_confirms_are_refused() -> None:
    decoder = FurunoDecoder("radar")
    assert feed(decoder, furuno_frame((0, 0, bytes(100)), samples=100, encoding=0)) == []
    assert "unverified" in decoder.last_error


def test_a_compass_beside_the_video() -> None:
    decoder = GarminDecoder("radar")
    list(decoder.decode(b"$HEHDT,123.4,T*2B\r\n", AT, "10.0.0.1:10110"))
    spoke, old = (
        feed(decoder, garmin_spoke(b"abc", 0)),
        feed(decoder, garmin_spoke(b"abc", 8), at=Stamp(t_s=16.0, wall_s=0.0)),
    )
    assert spoke[0].heading_deg == 123.4
    assert old[0].heading_deg is None
    surveyed = GarminDecoder("radar", GarminOptions(heading_deg=10.0))
    list(surveyed.decode(b"$HEHDT,123.4,T*2B\r\n", AT, "10.0.0.1:10110"))
    assert feed(surveyed, garmin_spoke(b"abc", 0))[0].heading_deg == 10.0


@pytest.mark.parametrize(
    ("decoder", "datagram"),
    [
        (GarminDecoder("r"), garmin_spoke(b"abc", 0)[:-1]),
        (GarminDecoder("r"), garmin_spoke(b"abc", 11_520)),
        (GarminDecoder("r"), b"\x98\x09\0\0\xff\xff\xff\xff"),
        (GarminDecoder("r"), garmin_report(0x0998, 0)),
        (RaymarineDecoder("r"), quantum_spoke([1] * 300, 0, stated=299)),
        (RaymarineDecoder("r"), quantum_spoke([1], 250)),
        (RaymarineDecoder("r"), quantum_spoke([1, 2], 0)[:-1]),
        (RaymarineDecoder("r"), quantum_status(20, RANGES)),
        (RaymarineDecoder("r"), quantum_status(0, [2**32 - 1])),
        (RaymarineDecoder("r"), quantum_status(0, RANGES)[:200]),
        (RaymarineDecoder("r"), rd_frame(stated=0)),
        (RaymarineDecoder("r"), rd_frame(stated=2**32 - 1)),
        (RaymarineDecoder("r"), rd_frame((0, b"\1", False), stated=2)),
        (RaymarineDecoder("r"), rd_frame((0, b"\x5c\xff", False))),
        (RaymarineDecoder("r"), rd_frame((0, b"\x5c\xff\1" * 30, False))),
        (FurunoDecoder("r"), furuno_frame((0, 0, b"\4"), samples=100)),
        (FurunoDecoder("r"), furuno_frame((0, 0, b"\xff\xff"), samples=100, stated=127)),
        (FurunoDecoder("r"), furuno_frame((8192, 0, b"\xff\xff"), samples=100)),
        (FurunoDecoder("r"), furuno_frame(samples=0)),
        (FurunoDecoder("r"), b"\2\0"),
    ],
)
def test_a_broken_datagram_costs_one_error(decoder: Any, datagram: bytes) -> None:
    feed(decoder, datagram)
    assert decoder.counters["errors"] == 1
    assert decoder.last_error


def test_runs_are_bounded() -> None:
    with pytest.raises(ProtocolError, match="more than its 100"):
        unrun(b"\x5c\xff\1" * 20_000, 100)
    assert unfold(b"\xff" * 2000, 0, 100, 3, b"") == (bytes(100), 2)
