"""Radar video, and HALO's bytes against a header taken from a real one."""

from __future__ import annotations

import struct
from itertools import islice

import numpy as np
import pytest
from numpy.typing import NDArray

from hardware_sim.geo import polar, wrap180
from hardware_sim.radar import navico
from hardware_sim.radar.video import Video, spokes
from hardware_sim.world import World

REAL_HEADER = bytes.fromhex("18029b98004479635d02284d0002ed28900b00c0000000e0")  # a HALO at 12 NM, heading 296.02 T


@pytest.fixture(scope="module")
def video(harbour: World) -> Video:
    return Video(harbour)


@pytest.fixture(scope="module")
def turns(video: Video) -> NDArray[np.uint8]:
    """(3, 2048, 1024)."""
    return np.array([np.concatenate([video.sector(t * 64 + s) for s in range(64)]) for t in range(3)])


def test_the_header_of_a_real_spoke() -> None:
    assert navico.spoke_header(scan=0x989B, range_m=25_465, angle=605, heading=0x4D28) == REAL_HEADER
    assert navico.heading_word(296.02) == 0x4D28
    assert navico.heading_word(359.99) == 0x4000


def test_a_datagram_byte_for_byte() -> None:
    samples = np.zeros((32, 1024), dtype=np.uint8)
    samples[0, 0], samples[0, 1], samples[31, 1023] = 3, 12, 15
    data = navico.datagram(samples, 2048 * 5 + 64, 6000, navico.heading_word(330.0))
    assert len(data) == 17_160 == navico.DATAGRAM_BYTES
    assert data[:8] == bytes.fromhex("0100000000200002")
    assert data[8 + 24] == 0xC3  # low nibble first
    assert data[-1] == 0xF0
    for i in range(32):
        head = data[8 + i * 536 : 8 + i * 536 + 24]
        length, status, scan, mark, large, angle, heading, small = struct.unpack("<BBHHHHHH", head[:14])
        assert (length, status, mark, large * small / 512) == (0x18, 2, 0x4400, 6000.0)
        assert angle == (64 + i) * 2
        assert heading & 0x0FFF == round(330.0 * 4096 / 360)
        assert (scan >> 15, scan & 0xFFF) == (1, (2048 * 5 + 64 + i) & 0xFFF)


def test_vessels_show_where_they_are_and_nothing_else_is_large(turns: NDArray[np.uint8], harbour: World) -> None:
    for turn, picture in enumerate(turns):
        strong = picture >= 6
        for vessel in harbour.vessels:
            s = vessel.at((turn + 0.1) * 2.5)
            range_m, bearing = polar(s.east_m, s.north_m)
            row = round(wrap180(bearing - 330.0) / 360 * 2048)
            reach_rows, reach_cells = 24, 14
            rows = np.arange(row - reach_rows, row + reach_rows + 1) % 2048
            cell = round(range_m / 6000 * 1024)
            window = picture[np.ix_(rows, np.arange(cell - reach_cells, cell + reach_cells + 1))]
            assert window.max() >= 3, vessel.id
            weight = np.where(window >= 3, window, 0).astype(float)
            at = np.argwhere(weight > 0).mean(axis=0) - (reach_rows, reach_cells)
            assert abs(at[0]) < 5, vessel.id
            assert abs(at[1]) < 6, vessel.id
            strong[np.ix_(rows, np.arange(cell - 30, cell + 31))] = False
        assert strong.sum() < 40  # sidelobes of the ferry at the most


def test_the_sea_is_there_and_changes(turns: NDArray[np.uint8]) -> None:
    lit = (turns > 0).mean(axis=(1, 2))
    assert ((lit > 0.002) & (lit < 0.02)).all()
    together = float(((turns[0] > 0) & (turns[1] > 0)).mean())
    assert together < 0.2 * float(lit[0])


def test_an_echo_fluctuates_from_turn_to_turn(video: Video, harbour: World) -> None:
    peaks = []
    for turn in range(12):
        s = harbour.vessels[0].at(turn * 2.5)
        range_m, bearing = polar(s.east_m, s.north_m)
        sector = int(wrap180(bearing - 330.0) / 360 * 64)
        cell = round(range_m / 6000 * 1024)
        near = np.concatenate([video.sector(turn * 64 + k) for k in (sector - 1, sector, sector + 1) if k >= 0])
        peaks.append(int(near[:, cell - 10 : cell + 10].max()))
    assert max(peaks) - min(peaks) >= 2
    assert min(peaks) >= 1


def test_sectors_are_a_pure_function_of_seed_and_index(video: Video, harbour: World) -> None:
    same, other = Video(World(harbour.scenario, harbour.seed)), Video(World(harbour.scenario, harbour.seed + 1))
    assert (same.sector(70) == video.sector(70)).all()
    assert (other.sector(70) != video.sector(70)).any()


def test_spokes_come_at_the_antenna_s_rate(video: Video, harbour: World) -> None:
    items = list(islice(spokes(harbour, video), 65))
    assert items[63][0] == pytest.approx(2.5)
    assert items[64][0] - items[0][0] == pytest.approx(2.5)
    assert all(len(data) == 17_160 for _, data in items)
