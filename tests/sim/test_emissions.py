"""What leaves a simulated radar: every emission and its recordings, read by others than us where there are any."""

from __future__ import annotations

import json
import struct
from itertools import islice, pairwise, takewhile
from pathlib import Path

import numpy as np
import pynmea2  # type: ignore[import-untyped] # the package ships no types
import pytest

from hardware_sim import cli
from hardware_sim.geo import NM_M, polar, wrap180
from hardware_sim.radar import navico
from hardware_sim.radar.emissions import EMISSIONS, Station, merged
from hardware_sim.radar.recording import ethernet_packets, record
from hardware_sim.world import World
from sim.asterix_peers import ASTERIX_DECODER, decode_with

START = 1_750_000_000.0
MIDNIGHT = START - START % 86_400
REAL_HALO_HEADER = bytes.fromhex("18029b98004479635d02284d0002ed28900b00c0000000e0")  # at 12 NM, heading 296.02 T


@pytest.fixture(scope="module")
def station(harbour: World) -> Station:
    return Station(harbour, START)


def sent(station: Station, name: str, until_s: float) -> list[tuple[float, bytes]]:
    return list(takewhile(lambda item: item[0] < until_s, EMISSIONS[name].stream(station)))


@pytest.fixture(scope="module")
def twin(harbour: World) -> Station:
    return Station(World(harbour.scenario, harbour.seed), START)


@pytest.mark.parametrize("name", sorted(EMISSIONS))
def test_every_emission_is_in_order_and_the_same_again(name: str, station: Station, twin: Station) -> None:
    first, again = (sent(s, name, 2.6) for s in (station, twin))
    assert first == again
    assert first
    assert all(0.0 <= a[0] <= b[0] for a, b in pairwise(first))


def test_the_header_of_a_real_halo_spoke() -> None:
    assert navico.spoke_header(scan=0x989B, range_m=25_465, angle=605, heading=0x4D28) == REAL_HALO_HEADER
    assert navico.heading_word(296.02) == 0x4D28
    assert navico.heading_word(359.99) == 0x4000


@pytest.mark.parametrize(
    ("range_m", "large", "small"), [(6000, 0x80, 24_000), (16_383, 0x80, 65_532), (24_000, 375, 0)]
)
def test_ranges_of_a_4g(range_m: int, large: int, small: int) -> None:
    head = navico.spoke_header(scan=5000, range_m=range_m, angle=2, heading=0x4000, model="4g")
    assert struct.unpack("<BBHHHHHH", head[:14]) == (0x18, 2, 5000 & 0xFFF, 0x4400, large, 2, 0x4000, small)


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


def test_spokes_come_at_the_antenna_s_rate(station: Station) -> None:
    items = list(islice(EMISSIONS["spokes"].stream(station), 65))
    assert items[63][0] == pytest.approx(2.5)
    assert items[64][0] - items[0][0] == pytest.approx(2.5)
    assert all(len(data) == 17_160 for _, data in items)


def test_cat240_shows_the_ferry_where_it_is(station: Station, harbour: World) -> None:
    """Read with asterix-decoder: azimuths true and without gaps, sequence unbroken, the strongest cell far out."""
    items = sent(station, "cat240", 2.6)
    said = [r for (r,) in decode_with("asterix-decoder", ASTERIX_DECODER, [d for _, d in items])]
    assert [x["020"]["MSGINDEX"] for x in said] == list(range(len(said)))
    assert [x["000"]["TYP"] for x in said[:2]] == [1, 2]
    radials = [x for x in said if x["000"]["TYP"] == 2][:2048]
    starts = np.array([x["041"]["STARTAZ"] for x in radials])
    assert np.allclose(np.diff(starts) % 360.0, 360.0 / 2048, atol=0.006)
    assert starts[0] == pytest.approx(330.0 - 180.0 / 2048, abs=0.01)
    assert all(abs(wrap180(b["041"]["STARTAZ"] - a["041"]["ENDAZ"])) < 1e-9 for a, b in pairwise(radials))
    for item, x in zip(items, said, strict=True):
        if x["000"]["TYP"] == 2:
            assert x["140"]["TOD"] + MIDNIGHT == pytest.approx(START + item[0], abs=0.005)
    picture = np.array([list(bytes.fromhex(x["051"])[: x["049"]["NBVB"]]) for x in radials])
    assert picture.shape == (2048, 1024)
    cell_m = radials[0]["041"]["CELLDUR"] * 1e-15 * 299_792_458.0 / 2.0
    assert cell_m * 1024 == pytest.approx(6000.0, abs=0.01)
    row, cell = np.unravel_index(int(np.argmax(picture[:, 200:])), (2048, 824))
    state = harbour.vessels[1].at(2.4)
    range_m, bearing = polar(state.east_m, state.north_m)
    assert abs(wrap180(starts[row] - bearing)) < 1.0
    assert abs((cell + 200.5) * cell_m - range_m) < 60.0
    assert np.median(picture[:, 800:]) == pytest.approx(24, abs=2)  # the floor: noise at 25 less 1 dB for its median


def test_cat048_reports_every_vessel_once_a_turn(station: Station, harbour: World) -> None:
    items = sent(station, "cat048", 30.0)
    records = [
        (t, r)
        for (t, _), rs in zip(
            items, decode_with("asterix-decoder", ASTERIX_DECODER, [d for _, d in items]), strict=True
        )
        for r in rs
    ]
    north = [t for t, r in records if r["category"] == 34 and r["000"]["MSGTYP"] == 1]
    assert [b - a for a, b in pairwise(north)] == pytest.approx([2.5] * (len(north) - 1))
    assert sum(r["category"] == 34 and r["000"]["MSGTYP"] == 2 for _, r in records) == 7 * len(north)
    tracked: dict[int, int] = {}
    for t, r in records:
        if r["category"] == 48 and "161" in r:
            tracked[r["161"]["TN"]] = tracked.get(r["161"]["TN"], 0) + 1
            places = [polar(s.east_m, s.north_m) for s in (v.at(t - 0.2) for v in harbour.vessels)]
            off = min(
                abs(r["040"]["RHO"] * NM_M - rho) for rho, b in places if abs(wrap180(b - r["040"]["THETA"])) < 1.0
            )
            assert off < 110.0
            if r["020"]["TYP"] == 1:
                assert 0.0 < r["130"]["PRL"] < 11.3
                assert -110 < r["130"]["PAM"] < 0
    assert sorted(tracked.values())[-3:] >= [11, 11, 11]


def test_network_datagrams_hold_one_target_twice(station: Station) -> None:
    for _, data in sent(station, "network", 6.0):
        assert data.startswith(b"UdPbC\0\\s:RA0001,n:")
        lines = [line.split(b"\\")[-1].decode() for line in data[6:].split(b"\r\n") if line]
        ttm, tll = (pynmea2.parse(x, check=True) for x in lines)
        assert (ttm.sentence_type, tll.sentence_type) == ("TTM", "TLL")
        assert ttm.target_number == tll.target_number
        lat, lon = station.world.geo(*_place(float(ttm.distance) * NM_M, float(ttm.bearing)))
        assert int(tll.lat[:-7]) + float(tll.lat[-7:]) / 60 == pytest.approx(lat, abs=3e-4)
        assert -(int(tll.lon[:-7]) + float(tll.lon[-7:]) / 60) == pytest.approx(lon, abs=4e-4)


@pytest.mark.parametrize(("name", "kinds"), [("ttm", ["TTM"]), ("tll", ["TLL"]), ("ttm-tll", ["TTM", "TLL"])])
def test_a_serial_line_has_the_target_sentences_that_are_asked_for(
    name: str, kinds: list[str], station: Station, harbour: World
) -> None:
    """Read with pynmea2; positions and times are a vessel's, sentences wait for the line."""
    items = sent(station, name, 8.0)
    said = [(t, line, pynmea2.parse(line.decode("ascii").strip(), check=True)) for t, line in items]
    assert len(said) > 4
    for i, (t, line, s) in enumerate(said):
        assert s.sentence_type == kinds[i % len(kinds)]
        if i:
            assert t - said[i - 1][0] >= len(line) * 10.0 / 38_400 - 1e-9
        if s.sentence_type == "TLL":
            at = s.timestamp
            beam_s = MIDNIGHT + at.hour * 3600 + at.minute * 60 + at.second + at.microsecond / 1e6 - START
            lat = int(s.lat[:-7]) + float(s.lat[-7:]) / 60
            lon = -(int(s.lon[:-7]) + float(s.lon[-7:]) / 60)
            east, north = harbour.site.to_enu(lat, lon)
            places = [v.at(beam_s) for v in harbour.vessels]
            assert min(np.hypot(p.east_m - east, p.north_m - north) for p in places) < 150.0


def _place(range_m: float, bearing_deg: float) -> tuple[float, float]:
    b = np.radians(bearing_deg)
    return float(range_m * np.sin(b)), float(range_m * np.cos(b))


def test_a_capture_is_fragmented_as_on_a_network(harbour: World, tmp_path: Path) -> None:
    """Read back by hand: link and IP headers, checksums, fragments put together again, times."""
    path = tmp_path / "radar.pcap"
    count = record(harbour, ("spokes", "network"), path, START, 1.3)
    expected = list(takewhile(lambda x: x[0] <= 1.3, merged(Station(harbour, START), ("spokes", "network"))))
    assert len(expected) == count
    data = path.read_bytes()
    assert struct.unpack("<IHHiIII", data[:24]) == (0xA1B2C3D4, 2, 4, 0, 0, 65_535, 1)
    at, whole, parts = 24, [], b""
    while at < len(data):
        seconds, micros, kept, length = struct.unpack("<IIII", data[at : at + 16])
        packet = data[at + 16 : at + 16 + kept]
        at += 16 + kept
        assert kept == length <= 14 + 1500
        assert packet[:3] == b"\x01\x00\x5e"
        ip = packet[14:34]
        assert sum(struct.unpack(">10H", ip)) % 0xFFFF == 0
        flags = int.from_bytes(ip[6:8], "big")
        assert (flags & 0x1FFF) * 8 == len(parts)
        parts += packet[34:]
        if not flags & 0x2000:
            _, port, size, _ = struct.unpack(">HHHH", parts[:8])
            assert size == len(parts)
            whole.append((seconds + micros / 1e6, port, parts[8:]))
            parts = b""
    assert [(p, d) for _, p, d in whole] == [(EMISSIONS[n].port, d) for _, n, d in expected]
    assert [t for t, _, _ in whole] == pytest.approx([START + t for t, _, _ in expected], abs=2e-6)


def test_a_small_datagram_is_one_frame() -> None:
    (frame,) = ethernet_packets(b"x" * 1472, "239.192.0.2", 60_002, 70_000)
    assert len(frame) == 1514
    assert len(list(ethernet_packets(b"x" * 1473, "239.192.0.2", 60_002, 70_000))) == 2


def test_the_command_records_raw_bytes(tmp_path: Path, harbour: World, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "video.ast"
    args = ["record", "harbour-mouth", str(path), "--radar", "cat048", "--seed", "7", "--duration", "5"]
    assert cli.main(args) == 0
    said = json.loads(capsys.readouterr().out)
    expected = b"".join(d for _, d in sent(Station(harbour, START), "cat048", 5.0000001))
    assert path.read_bytes() == expected
    assert (said["messages"] > 10, said["bytes"]) == (True, len(expected))
    assert cli.main(["record", "harbour-mouth", str(tmp_path / "no" / "x.ast"), "--radar", "cat048"]) == 64
    assert "cannot be written: No such file or directory" in capsys.readouterr().err
    assert cli.main([*args[:3], "--radar", "cat241"]) == 64
    assert "a radar gives no 'cat241'; there are ttm, tll, ttm-tll, network, spokes" in capsys.readouterr().err


def test_four_and_eight_bits_are_of_one_power(station: Station) -> None:
    """What a HALO shows above its threshold is above it in the logarithmic video of the same sector, nowhere else."""
    halo = np.frombuffer(sent(station, "spokes", 0.05)[0][1], np.uint8)[8:].reshape(32, 536)[:, 24:]
    four = np.stack((halo & 15, halo >> 4), axis=2).reshape(32, 1024)
    messages = [data for _, data in sent(station, "cat240", 0.05) if len(data) > 1000][:32]
    eight = np.array([np.frombuffer(data, np.uint8)[-3 - 1024 : -3] for data in messages]).astype(float)
    clutter = station.video(station.fine_grid()).mean_clutter
    threshold = (10.0 * np.log10(np.maximum(10**0.9, 10**1.1 * clutter)) + 10.0) / 0.4  # in levels of 8 bits
    threshold = np.minimum(threshold, 254.0)
    assert (four > 0).sum() > 20
    assert (eight - threshold)[four > 0].min() > -1.1
    assert (eight - threshold)[four == 0].max() < 1.1
