"""Garmin, Raymarine and Furuno as simulated, against bytes of real ones and against readers written here anew."""

from __future__ import annotations

import struct
from itertools import takewhile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hardware_sim.geo import NM_M, polar, wrap180
from hardware_sim.radar import furuno, garmin, raymarine
from hardware_sim.radar.emissions import EMISSIONS, Station
from hardware_sim.world import World

Bytes = NDArray[np.uint8]
TURN_S = 2.5
FERRY = 1


@pytest.fixture(scope="module")
def station(harbour: World) -> Station:
    return Station(harbour, 1_750_000_000.0)


def sent(station: Station, name: str) -> list[bytes]:
    """What goes out in the first turn."""
    return [d for t, d in takewhile(lambda item: item[0] < TURN_S + 1e-6, EMISSIONS[name].stream(station))]


def assert_ferry(picture: Bytes, last_m: float, station: Station) -> None:
    """The strongest echo beyond 1.5 km of (spokes, cells) from the bow on is the ferry's, where it is just then."""
    spokes, cells = picture.shape
    near = int(1500.0 / last_m * cells)
    top = picture[:, near:].max()
    rows, columns = np.nonzero(picture[:, near:] >= 0.9 * top)
    state = station.world.vessels[FERRY].at(0.99 * TURN_S)
    range_m, bearing = polar(state.east_m, state.north_m)
    relative = bearing - station.table.heading_deg
    off = [abs(wrap180(360.0 * row / spokes - relative)) for row in rows.tolist()]
    assert max(off) < 2.5
    assert np.mean(columns + near + 0.5) * last_m / cells == pytest.approx(range_m, abs=60.0)
    assert (picture == 0).mean() > 0.9  # and the rest is dark


def test_garmin(station: Station) -> None:
    datagrams = sent(station, "garmin")
    assert len(datagrams) == 1440
    picture = np.zeros((1440, 695), dtype=np.uint8)
    for number, data in enumerate(datagrams):
        assert len(data) == 731
        kind, length, fill, scan, angle, _, range_m, last_m, _, count, _, again, _ = struct.unpack(
            "<IIHHHHIIHHHIH", data[:36]
        )
        assert (kind, length, fill, scan, count, again) == (0x0998, 723, 1, 723, 695, 695)
        assert (angle, range_m, last_m) == (number * 8, 6000, 6750)
        picture[number] = np.frombuffer(data, np.uint8, offset=36)
    assert_ferry(picture, 6750.0, station)


def test_a_garmin_header_at_two_miles() -> None:
    """Type, lengths, ranges and counts as captured from an xHD."""
    data = garmin.spoke(np.arange(695).astype(np.uint8), 1439, 3704, 4167)
    assert data[:12].hex() == "98090000d30200000100d302"
    assert struct.unpack("<H", data[12:14]) == (11_512,)
    assert data[16:24] == struct.pack("<II", 3704, 4167)
    assert data[26:28] + data[30:34] == struct.pack("<HI", 695, 695)
    assert data[36:40] == bytes((0, 1, 2, 3))


def quantum(data: bytes) -> Bytes:
    """Samples of a Quantum's spoke."""
    out: list[int] = []
    at = 20
    while at < len(data):
        if data[at] == 0x5C:
            out += [data[at + 2]] * data[at + 1]
            at += 3
        else:
            out.append(data[at])
            at += 1
    return np.array(out, dtype=np.uint8)


def test_raymarine(station: Station) -> None:
    status, *spokes = sent(station, "raymarine")
    assert len(status) == 260
    assert status[:5] == b"\x02\x00\x28\x00\x01"
    table = struct.unpack("<20I", status[148:228])
    assert table[:4] == (31, 63, 125, 250)
    assert table[-1] == 64_000
    range_m = table[status[20]] * NM_M / 1000.0
    assert range_m == 4 * NM_M  # the shortest that shows 6 km
    assert len(spokes) == 250
    picture = np.zeros((250, 240), dtype=np.uint8)
    for number, data in enumerate(spokes):
        kind, sequence, word, samples, turn, eight, in_range, azimuth, follows = struct.unpack("<IHHHHHHHH", data[:20])
        assert (kind, sequence, word, samples, turn, eight, in_range) == (0x280003, number, 0x0101, 240, 250, 8, 200)
        assert azimuth == (number + 125) % 250
        assert follows == len(data) - 20
        picture[number] = quantum(data)
    assert picture.max() <= 0xFD
    assert_ferry(picture, range_m * 240 / 200, station)


@settings(deadline=None, max_examples=300)
@given(st.lists(st.sampled_from((0, 1, 0x5B, 0x5C, 0x5D, 0xFD)), min_size=1, max_size=700))
def test_run_lengths_read_back(values: list[int]) -> None:
    samples = np.array(values, dtype=np.uint8)
    coded = raymarine.run_lengths(samples)
    assert (quantum(bytes(20) + coded) == samples).all()
    assert len(raymarine.run_lengths(np.zeros(600, np.uint8))) == 9


def sweep(data: bytes, at: int, before: Bytes, count: int) -> tuple[Bytes, int]:
    """One sweep of coding 3 and where it ends. What is repeated must be both last literal and last sample."""
    out: list[int] = []
    literal = -1
    while len(out) < count:
        octet = data[at]
        at += 1
        times = octet >> 2 or 64
        if octet & 3 == 0:
            literal = octet
            out.append(octet)
        elif octet & 1:
            assert out[-1] == literal
            out += [literal] * times
        else:
            out += before[len(out) : len(out) + times].tolist()
    assert len(out) == count
    return np.array(out, dtype=np.uint8), at


def test_furuno(station: Station) -> None:
    datagrams = sent(station, "furuno")
    before = np.zeros(884, dtype=np.uint8)
    picture = np.zeros((2048, 884), dtype=np.uint8)
    expected = 0
    for number, data in enumerate(datagrams):
        assert data[:8] == bytes((2, (number + 1) & 0xFF, 0, 1, 0, 0, 0, 0))
        sweeps = data[9] >> 1
        assert 1 <= sweeps <= 8
        assert ((data[9] & 1) << 8 | data[8]) * 4 + 4 == len(data) - 16
        assert ((data[11] & 7) << 8 | data[10], data[11] >> 3 & 3, data[11] >> 5 & 1) == (884, 3, 0)
        assert furuno.RANGES_NM[data[12]] == 4.0  # the shortest that shows 6 km
        assert (data[15] & 7) << 8 | data[14] == 496
        at = 16
        for _ in range(sweeps):
            angle, _ = struct.unpack("<HH", data[at : at + 4])
            assert angle == 4 * expected
            before, end = sweep(data, at + 4, before, 884)
            picture[expected] = before
            at = end + -(end - 16) % 4
            expected += 1
        assert at == len(data)
    assert expected == 2048
    assert set(np.unique(picture % 4)) == {0}
    assert_ferry(picture, 4 * NM_M * 884 / 496, station)


def test_the_header_of_a_real_drs() -> None:
    """A DRS4D-NXT: eight sweeps of 884 samples in 1,220 octets on 2 NM, no heading; a FAR-2127 with one."""
    encoder = furuno.Encoder(6)
    encoder._sequence = 148
    frame = encoder._frame(bytes(1220), 8, valid=False)
    assert list(frame[:16]) == [2, 149, 0, 1, 0, 0, 0, 0, 48, 17, 116, 219, 6, 0, 240, 9]
    with_heading = encoder._frame(bytes(1172), 24, valid=True)
    assert with_heading[8:11] == bytes((36, 49, 116))
    assert with_heading[11] & 0x3F == 59


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_sweeps_read_back(data: st.DataObject) -> None:
    few = st.lists(st.sampled_from((0, 4, 252)), min_size=300, max_size=300)
    before = np.zeros(300, dtype=np.uint8)
    seen = np.zeros(300, dtype=np.uint8)
    for _ in range(3):
        values = np.array(data.draw(few), dtype=np.uint8)
        if data.draw(st.booleans()):
            values[50:250] = before[50:250]
        coded = furuno.encode_sweep(values, before)
        seen, end = sweep(coded, 0, seen, 300)
        assert end == len(coded)
        assert (seen == values).all()
        before = values
    assert len(furuno.encode_sweep(before, before)) == 5  # 300 times as before: four of 64 and one of 44


def test_headings_of_furuno_sweeps() -> None:
    (frame,) = furuno.Encoder(6).datagrams(np.zeros((2, 884), dtype=np.uint8), 8188, 4, heading_deg=330.0)
    assert frame[11] & 0x20
    assert struct.unpack("<HH", frame[16:20]) == (8188, round(330.0 * 8192 / 360))
    _, end = sweep(frame, 20, np.zeros(884, dtype=np.uint8), 884)
    assert struct.unpack("<H", frame[end + -(end - 16) % 4 :][:2]) == (0,)  # round past the bow
