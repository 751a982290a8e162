"""Beacons and reports against a real radar's; what is sent when; Raymarine RD, older Furuno codings, Doppler."""

from __future__ import annotations

import gzip
import socket
import struct
from itertools import takewhile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hardware_sim import scenario
from hardware_sim.geo import NM_M, polar, wrap180
from hardware_sim.radar import furuno, navico_reports, raymarine, raymarine_rd
from hardware_sim.radar.emissions import EMISSIONS, Station
from hardware_sim.radar.receiver import coloured
from hardware_sim.world import World

Bytes = NDArray[np.uint8]


@pytest.fixture(scope="module")
def station(harbour: World) -> Station:
    return Station(harbour, 1_750_000_000.0)


@pytest.fixture(scope="module")
def halo24(field_data: Path) -> dict[tuple[str, int, int], bytes]:
    """First datagram of each (group, port, first two octets) from a real HALO24, fragments left out."""
    data = gzip.decompress((field_data / "radar" / "navico_halo24_nmea_ais_waddenzee.pcap.gz").read_bytes())
    out: dict[tuple[str, int, int], bytes] = {}
    at = 24
    while at < len(data):
        (kept,) = struct.unpack("<I", data[at + 8 : at + 12])
        ip = data[at + 30 : at + 16 + kept]
        at += 16 + kept
        if ip[9] == 17 and not int.from_bytes(ip[6:8], "big") & 0x3FFF:
            payload = ip[28 : int.from_bytes(ip[2:4], "big")]
            port = int.from_bytes(ip[22:24], "big")
            out.setdefault((socket.inet_ntoa(ip[16:20]), port, int.from_bytes(payload[:2], "big")), payload)
    return out


def test_a_beacon_is_a_real_halo24_s_octet_by_octet(halo24: dict[tuple[str, int, int], bytes]) -> None:
    real = halo24[navico_reports.BEACON_GROUP, navico_reports.BEACON_PORT, 0x01B2]
    ours = navico_reports.beacon(navico_reports.IDENTITIES["halo"], "10.56.0.24")
    assert ours == real
    assert len(ours) == navico_reports.BEACON_BYTES


def test_reports_are_as_long_as_real_ones_and_say_the_same_where_it_is_known(
    halo24: dict[tuple[str, int, int], bytes],
) -> None:
    place = navico_reports.IDENTITIES["halo"].address("report")
    identity = navico_reports.IDENTITIES["halo"]
    ours = {
        0x01C4: navico_reports.state(navico_reports.TRANSMITS),
        0x02C4: navico_reports.controls(14_816.0, interference_rejection=True),
        0x03C4: navico_reports.model(identity, 2636),
        0x04C4: navico_reports.installation(356.0, 8.0),
        0x08C4: navico_reports.advanced(navico_reports.DOPPLER_BOTH, 2.07),
        0x11C6: navico_reports.heartbeat(),
    }
    known = {
        0x01C4: [range(18)], 0x02C4: [range(9), range(12, 18), range(22, 23), range(34, 35)],
        0x03C4: [range(6), range(34, 38), range(58, 80), range(90, 106)], 0x04C4: [range(2), range(6, 12)],
        0x08C4: [range(12), range(18, 22)], 0x11C6: [range(3)],
    }  # fmt: skip
    for kind, data in ours.items():
        real = halo24[*place, kind]
        assert len(data) == len(real)
        for octets in known[kind]:
            assert [data[i] for i in octets] == [real[i] for i in octets], hex(kind)


def said(station: Station, name: str, until_s: float) -> list[bytes]:
    return [d for t, d in takewhile(lambda item: item[0] < until_s, EMISSIONS[name].stream(station))]


def test_reports_go_on_in_standby_and_say_so() -> None:
    station = Station(World(scenario.load("harbour-mouth"), 1))
    station.standby = lambda t: t > 3.0
    reports = said(station, "halo-reports", 7.0)
    assert [d[2] for d in reports if d[:2] == b"\x01\xc4"] == [2, 2, 1, 1]
    garmin = said(station, "garmin-reports", 7.0)
    assert [d[8] for d in garmin if d[:2] == b"\x19\x09"] == [1, 1, 0, 0]
    quantum = said(station, "raymarine", 7.6)
    assert [d[4] for d in quantum if d[0] == 2] == [1, 1, 0, 0]
    assert 250 < sum(d[0] == 3 for d in quantum) < 500


def test_garmin_reports(station: Station) -> None:
    values = {d[:2][::-1].hex(): int.from_bytes(d[8:], "little") for d in said(station, "garmin-reports", 1.0)}
    assert values == {"0919": 1, "091e": 6000, "0916": 0, "0930": 0}
    for data in said(station, "garmin-reports", 1.0):
        assert int.from_bytes(data[4:8], "little") == len(data) - 8


def test_raymarine_beacons(station: Station) -> None:
    named, placed = said(station, "raymarine-beacon", 1.0)
    assert (len(named), len(placed)) == (56, 36)
    assert struct.unpack("<II", named[:8]) == (1, 0x66)
    assert named[20:52].rstrip(b"\0") == b"QuantumRadar"
    assert named[8:12] == placed[4:8]  # one link
    assert struct.unpack("<I4xI", placed[:12]) == (0, 0x28)
    assert socket.inet_ntoa(placed[20:24][::-1]) == EMISSIONS["raymarine"].group
    assert int.from_bytes(placed[24:26], "little") == EMISSIONS["raymarine"].port
    assert socket.inet_ntoa(placed[28:32][::-1]) == "192.168.1.20"


# ---------------------------------------------------------------- Raymarine RD


def rd_spokes(data: bytes) -> list[tuple[int, bytes, bool]]:
    """(azimuth, octets expanded, HD) of a frame, read as the protocol says."""
    words = struct.unpack("<8I", data[:32])
    assert (words[0], words[1], words[2], words[6]) == (0x0001_0003, 0, 0x1C, 1)
    out: list[tuple[int, bytes, bool]] = []
    at = 32
    for n in range(words[3]):
        one, size, azimuth, *kind = struct.unpack("<10I", data[at : at + 40])
        assert (one, size) == (1, 40)
        hd = kind == [3, 2, 3, 1, 0, 0, 1]
        assert hd or kind == [1, 2, 1, 1, 0x1F4, 0, 1]
        at += 40
        if data[at] == 2:
            at += int.from_bytes(data[at + 4 : at + 8], "little")
        mark, length, octets = struct.unpack("<3I", data[at : at + 12])
        assert mark == (0x8000_0003 if n == words[3] - 1 else 3)
        assert length % 4 == 0
        assert set(data[at + 12 + octets : at + length]) <= {0xFF}
        coded, expanded = data[at + 12 : at + 12 + octets], bytearray()
        i = 0
        while i < len(coded):
            if coded[i] == 0x5C:
                assert 0 < coded[i + 1] <= 128
                expanded += bytes((coded[i + 2],)) * coded[i + 1]
                i += 3
            else:
                expanded.append(coded[i])
                i += 1
        out.append((azimuth, bytes(expanded), hd))
        at += length
    assert at == len(data)
    return out


def test_an_empty_rd_spoke_is_as_captured() -> None:
    data = raymarine_rd.frame(np.zeros((1, 512), dtype=np.uint8), 0, hd=False)
    assert data[-8:].hex() == "5c80005c8000ffff"


@pytest.mark.parametrize(("name", "hd", "cells"), [("raymarine-rd", False, 512), ("raymarine-rd-hd", True, 1024)])
def test_an_rd_shows_the_ferry_where_it_is(station: Station, name: str, hd: bool, cells: int) -> None:
    status, *frames = said(station, name, 2.5 + 1e-6)
    slot = status[296 if hd else 193]
    selected_m = struct.unpack("<11I", status[4:48])[slot] * NM_M / 1000.0
    assert selected_m == 3.0 * NM_M  # the shortest whose twofold shows 6 km
    picture = np.zeros((2048, cells), dtype=np.uint8)
    for azimuth, octets, is_hd in (s for f in frames for s in rd_spokes(f)):
        assert is_hd is hd
        row = np.frombuffer(octets, np.uint8)
        picture[(azimuth + 1024) % 2048] = row >> 1 if hd else np.stack((row & 15, row >> 4), axis=1).ravel()
    last_m = 2.0 * selected_m
    near = int(1500.0 / last_m * cells)
    rows, columns = np.nonzero(picture[:, near:] >= 0.9 * picture[:, near:].max())
    state = station.world.vessels[1].at(0.99 * 2.5)
    range_m, bearing = polar(state.east_m, state.north_m)
    relative = bearing - station.table.heading_deg
    assert max(abs(wrap180(360.0 * r / 2048 - relative)) for r in rows.tolist()) < 2.5
    assert np.mean(columns + near + 0.5) * last_m / cells == pytest.approx(range_m, abs=80.0)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.sampled_from([0, 5, 12, 15]), min_size=512, max_size=512), st.integers(0, 5000))
def test_rd_spokes_read_back(levels: list[int], first: int) -> None:
    row = np.array([levels], dtype=np.uint8)
    ((azimuth, octets, _),) = rd_spokes(raymarine_rd.frame(row, first, hd=False))
    assert azimuth == (first + 1024) % 2048
    assert [v for o in octets for v in (o & 15, o >> 4)] == levels
    assert raymarine.run_lengths(np.zeros(600, np.uint8), 128) == bytes.fromhex("5c80005c80005c80005c80005c5800")


# ---------------------------------------------------------------- Furuno's older codings


def old_sweep(data: bytes, at: int, before: Bytes | None, count: int) -> tuple[Bytes, int]:
    """One sweep of coding 1 (`before` None) or 2, and where it ends."""
    out: list[int] = []
    while len(out) < count:
        octet = data[at]
        at += 1
        if octet % 2 == 0:
            out.append(octet)
        else:
            times = octet >> 1 or 128
            out += [out[-1]] * times if before is None else before[len(out) : len(out) + times].tolist()
    assert len(out) == count
    return np.array(out, dtype=np.uint8), at


@pytest.mark.parametrize("coding", [0, 1, 2])
@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**32 - 1), lit=st.sampled_from([0.0, 0.01, 0.3, 1.0]))
def test_older_furuno_sweeps_read_back(coding: furuno.Coding, seed: int, lit: float) -> None:
    rng = np.random.default_rng(seed)
    some = rng.integers(0, 64, (3, 884)) * (rng.uniform(size=(3, 884)) < lit)
    sweeps = np.concatenate([some, some[:1], some]).astype(np.uint8)
    got = []
    for frame in furuno.Encoder(6, coding).datagrams(sweeps, 0, 4):
        assert frame[11] >> 3 & 3 == coding
        assert ((frame[9] & 1) << 8 | frame[8]) * 4 + 4 == len(frame) - 16
        at, before = 16, np.zeros(884, dtype=np.uint8)
        for n in range(frame[9] >> 1):
            if coding == 0:
                row, end = np.frombuffer(frame, np.uint8, 884, at + 4), at + 888
            else:
                row, end = old_sweep(frame, at + 4, before if coding == 2 and n else None, 884)
            before = row
            got.append(row >> 2)
            at = end + -(end - 16) % 4
        assert at == len(frame)
    assert (np.array(got) == sweeps).all()


# ---------------------------------------------------------------- Doppler


def test_doppler_levels() -> None:
    samples = np.array([[0, 3, 15, 15, 14, 15]], dtype=np.uint8)
    speeds = np.array([[-9.0, -2.0, 2.0, 1.9, -1.0, -5.0]], dtype=np.float32)
    assert coloured(samples, speeds, 2.0, "both").tolist() == [[0, 15, 14, 13, 13, 15]]
    assert coloured(samples, speeds, 2.0, "approaching").tolist() == [[0, 15, 14, 14, 14, 15]]
    assert coloured(samples, speeds, 2.0, "off") is samples


def test_the_mean_speed_of_a_cell_is_its_vessel_s_where_it_is_strong(station: Station) -> None:
    video = station.video(station.fine_grid())
    seen = 0
    for index in range(64):
        speeds, power = video.radial_mps(index), video.sector(index)
        strong = power > 1e4  # 40 dB above noise: nothing but a vessel
        strong[:, :200] = False
        for speed in speeds[strong].tolist():
            near = [radial(station, v, index) for v in range(len(station.world.vessels))]
            assert min(abs(speed - x) for x in near) < 0.3
            seen += 1
        assert np.abs(speeds[power < 2.0]).max(initial=0.0) < 8.0
    assert seen > 50


def radial(station: Station, which: int, sector: int) -> float:
    state = station.world.vessels[which].at((sector + 0.5) / 64 * station.turn_s)
    bearing = polar(state.east_m, state.north_m)[1]
    return float(state.sog_mps * np.cos(np.radians(state.cog_deg - bearing)))
