"""Navico spokes: the header of a real HALO24 by hand, range rules, hostile datagrams, and a whole real recording."""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent.drivers.radar.navico import NavicoDecoder, NavicoOptions, spoke_range_m
from agent.messages import Stamp
from agent.transport.pcap import CaptureReader
from radar.spokes import navico_frame, navico_spoke

if TYPE_CHECKING:
    from pathlib import Path

    from agent.drivers.radar.video import Spoke

AT = Stamp(t_s=5.0, wall_s=1.7e9)
REAL_HEADER = bytes.fromhex("18029b98004479635d02284d0002ed28900b00c0000000e0")  # of a HALO24 at sea
DATA_A, REPORT_A, DATA_B, REPORT_B = "236.6.9.51:7059", "236.6.9.51:7061", "236.6.9.53:7062", "236.6.9.53:7064"


def decode(data: bytes, decoder: NavicoDecoder | None = None, stream: str = DATA_A, **options: object) -> list[Spoke]:
    decoder = decoder or NavicoDecoder("radar", NavicoOptions(**options))  # type: ignore[arg-type]  # by name
    return list(decoder.decode(data, AT, stream))


def beacon() -> bytes:
    out = bytearray(222)
    out[:2] = b"\x01\xb2"
    for at, address in ((88, DATA_A), (108, REPORT_A), (124, DATA_B), (144, REPORT_B)):
        ip, port = address.split(":")
        out[at : at + 6] = bytes(int(x) for x in ip.split(".")) + int(port).to_bytes(2, "big")
    return bytes(out)


def test_a_real_header() -> None:
    (spoke,) = decode(navico_frame(REAL_HEADER + b"\xee\x10" + bytes(510)))
    assert spoke.angle_deg == 605 * 360 / 4096
    assert spoke.heading_deg == pytest.approx(296.015625)
    assert (spoke.range_m, spoke.status, spoke.scan_number, spoke.valid) == (25465.0, 2, 0x989B, True)
    assert spoke.samples[:5].tolist() == [14, 14, 0, 1, 0]  # the low nibble is nearer
    assert spoke.samples.shape == (1024,)
    assert (spoke.at_s, spoke.source, spoke.stream) == (5.0, "radar", DATA_A)


@pytest.mark.parametrize(
    ("model", "large", "small", "high", "range_m"),
    [
        ("halo", 25465, 512, 0, 25465.0),
        ("halo", 1000, 256, 0, 500.0),
        ("halo", 0x80, 4000, 0, 1000.0),
        ("halo", 0x80, 0xFFFF, 0, 0.0),
        ("4g", 0x80, 4000, 0, 1000.0),
        ("4g", 0x80, 0xFFFF, 0, 0.0),
        ("4g", 100, 0xFFFF, 0, 6400.0),
        ("3g", 100, 7, 0, 6400.0),
        ("br24", 0x0E0D, 1000, 0, 7071.0678),
        ("br24", 0x0E0D, 1000, 0x0901, (65536 + 1000) * 7.0710678),
    ],
)
def test_range_rules(model: str, large: int, small: int, high: int, range_m: float) -> None:
    assert spoke_range_m(model, large, small, high) == pytest.approx(range_m)


@pytest.mark.parametrize(
    ("large", "small", "range_m"), [(0x0E0D, 1000, 7071.07), (100, 0xFFFF, 6400.0), (3000, 512, 3000.0)]
)
def test_the_model_is_guessed_from_the_header(large: int, small: int, range_m: float) -> None:
    (spoke,) = decode(navico_frame(navico_spoke(large=large, small=small)))
    assert spoke.range_m == pytest.approx(range_m, abs=0.01)


def test_report_03_tells_the_model() -> None:
    decoder = NavicoDecoder("radar")
    report = bytearray(129)
    report[:3] = b"\x03\xc4\x01"
    report[34] = 77
    assert decode(bytes(report), decoder, REPORT_A) == []
    (spoke,) = decode(navico_frame(navico_spoke(large=100, small=512)), decoder)
    assert spoke.range_m == 6400.0  # as a HALO it would be 100 m
    assert decoder.gauges["hours"] == 77.0


@pytest.mark.parametrize(
    ("raw", "options", "heading"),
    [
        (0x4000 | 1024, {}, 90.0),
        (0x8000, {}, None),
        (0x9234, {}, None),
        (0x4000 | 0x2000 | 1, {}, None),
        (0x8000, {"heading_deg": 12.5}, 12.5),
        (0x4000 | 1024, {"heading_deg": 12.5}, 90.0),
        (0x4000 | 1024, {"heading_deg": 12.5, "trust_heading": False}, 12.5),
    ],
)
def test_heading(raw: int, options: dict[str, object], heading: float | None) -> None:
    decoder = NavicoDecoder("radar", NavicoOptions(**options))  # type: ignore[arg-type]  # by name
    (spoke,) = decode(navico_frame(navico_spoke(heading=raw)), decoder)
    assert spoke.heading_deg == heading
    assert decoder.counters["no_heading"] == (heading is None)


def test_corrections_are_added() -> None:
    (spoke,) = decode(
        navico_frame(navico_spoke(angle=4095, large=1000)), bearing_bias_deg=2.0, range_bias_m=-15.0, range_scale=1.02
    )
    assert spoke.angle_deg == pytest.approx(4095 * 360 / 4096 + 2.0 - 360.0)
    assert spoke.range_m == pytest.approx(1005.0)


def test_every_well_formed_spoke_counts_whatever_its_status() -> None:
    decoder = NavicoDecoder("radar")
    got = decode(navico_frame(*(navico_spoke(status=s) for s in (0x02, 0x12, 0x82, 0xC2, 0x00))), decoder)
    assert [s.valid for s in got] == [True, True, False, False, False]
    assert (decoder.counters["spokes"], decoder.counters["spokes_invalid"], decoder.counters["errors"]) == (5, 3, 0)


@settings(deadline=None, max_examples=60)
@given(spokes=st.integers(0, 40), stated=st.integers(0, 255), extra=st.integers(0, 535))
@example(spokes=33, stated=33, extra=0)
def test_hostile_lengths_cost_a_counter_and_give_the_whole_spokes(spokes: int, stated: int, extra: int) -> None:
    decoder = NavicoDecoder("radar")
    got = decode(navico_frame(*[navico_spoke()] * spokes, stated=stated) + bytes(extra), decoder)
    assert len(got) == min(spokes, stated, 32)
    fine = spokes == stated and 1 <= spokes <= 32 and not extra
    assert decoder.counters["errors"] == (not fine)


@settings(deadline=None, max_examples=100)
@given(data=st.binary(max_size=1200), start=st.sampled_from([b"", b"\x01\x00\x00\x00\x00", b"\x01\xb2", b"\x02\xc4"]))
def test_garbage_never_raises(data: bytes, start: bytes) -> None:
    decoder = NavicoDecoder("radar")
    got = decode(start + data, decoder)
    assert len(got) <= 3
    assert decoder.counters["units"] == 1


def test_a_broken_spoke_inside_a_datagram_costs_itself_only() -> None:
    decoder = NavicoDecoder("radar")
    rows = [navico_spoke(angle=2), navico_spoke(length=0x20), navico_spoke(angle=5000), navico_spoke(angle=8)]
    got = decode(navico_frame(*rows), decoder)
    assert [round(s.angle_deg * 4096 / 360) for s in got] == [2, 8]
    assert decoder.counters["errors"] == 2
    assert decode(navico_frame(navico_spoke(), size=1024), decoder) == []
    assert "512" in decoder.last_error


def test_lost_spokes_are_counted_by_scan_number() -> None:
    decoder = NavicoDecoder("radar")
    # bit 15 toggles, the low twelve bits count; 4094 -> 3 loses four, of which one comes late
    for scan in (0x0FFD, 0x8FFE, 0x0003, 0x8004, 0x8004, 0x0002, 0x0005):
        decode(navico_frame(navico_spoke(scan=scan)), decoder)
    c = decoder.counters
    assert (c["spokes_lost"], c["spokes_repeated"], c["spokes_late"]) == (3, 1, 1)
    decode(navico_frame(navico_spoke(scan=0)), decoder, stream=DATA_B)
    assert decoder.counters["spokes_lost"] == 3  # streams count apart


def test_two_ranges_are_two_sources() -> None:
    frame = navico_frame(navico_spoke())
    decoder = NavicoDecoder("radar")
    decode(beacon(), decoder, "236.6.7.5:6878")
    assert decoder.addresses == {DATA_A: "a", REPORT_A: "a", DATA_B: "b", REPORT_B: "b"}
    names = [decode(frame, decoder, s)[0].source for s in (DATA_B, DATA_A, DATA_B)]
    assert names == ["radar/b", "radar", "radar/b"]
    decode(b"\x01\xc4\x02" + bytes(15), decoder, REPORT_A)
    decode(b"\x01\xc4\x01" + bytes(15), decoder, REPORT_B)
    assert decoder.gauges == {"state": 2.0, "b_state": 1.0}
    without = NavicoDecoder("radar")
    assert [decode(frame, without, s)[0].source for s in (DATA_B, DATA_A)] == ["radar", "radar/2"]


def test_two_radars_in_one_capture_keep_their_models_and_ranges_apart() -> None:
    decoder = NavicoDecoder("radar")
    other = bytearray(beacon()[:94])
    other[2:8] = b"4G0001"
    other[88:94] = bytes((236, 6, 7, 8)) + (6678).to_bytes(2, "big")
    decode(beacon(), decoder, "236.6.7.5:6878")
    decode(bytes(other), decoder, "236.6.7.5:6878")
    decode(b"\x03\xc4\x00" + bytes(126), decoder, REPORT_A)
    decode(b"\x08\xc4" + bytes(16) + b"\x01\xc8\x00\x01", decoder, REPORT_A)
    decode(b"\x08\xc4" + bytes(16) + b"\x02\xc8\x00\x01", decoder, REPORT_B)
    frame = navico_frame(navico_spoke(large=100, small=512))
    a, b, c = (decode(frame, decoder, s)[0] for s in (DATA_A, DATA_B, "236.6.7.8:6678"))
    assert [(s.source, s.range_m, s.doppler) for s in (a, b, c)] == [
        ("radar", 100.0, (14, 15)),
        ("radar/b", 100.0, (None, 15)),
        ("radar/2", 100.0, None),
    ]
    assert decoder.gauges["doppler_from_mps"] == 2.0
    assert decoder.serials["236.6.7.8:6678"] == "4G0001"
    assert decoder.counters["errors"] == 0


def test_a_br24_beacon() -> None:
    unit = bytearray(88)
    unit[:8] = b"\x01\xb2BR24-1"
    for at, address in ((62, "236.6.7.9:6679"), (72, "236.6.7.10:6680"), (82, "236.6.7.8:6678")):
        ip, port = address.split(":")
        unit[at : at + 6] = bytes(int(x) for x in ip.split(".")) + int(port).to_bytes(2, "big")
    decoder = NavicoDecoder("radar")
    decode(bytes(unit), decoder, "236.6.7.4:6768")
    assert decoder.addresses == {"236.6.7.9:6679": "a", "236.6.7.8:6678": "a"}


def test_streams_without_end_are_refused() -> None:
    decoder = NavicoDecoder("radar")
    frame = navico_frame(navico_spoke())
    for i in range(100):
        decode(frame, decoder, f"239.0.0.1:{i}")
    assert decoder.counters["spokes"] == 16
    assert decoder.counters["errors"] == 84


def test_a_cut_beacon_and_foreign_traffic() -> None:
    decoder = NavicoDecoder("radar")
    decode(beacon()[:80], decoder)
    decode(b"NKOE\x00\x01", decoder)
    decode(b"", decoder)
    assert (decoder.counters["errors"], decoder.counters["ignored"], decoder.counters["beacons"]) == (1, 2, 0)


def test_a_closed_decoder_yields_nothing() -> None:
    decoder = NavicoDecoder("radar")
    decoder.close()
    decoder.close()
    assert decode(navico_frame(navico_spoke()), decoder) == []


@settings(deadline=None, max_examples=40)
@given(sizes=st.lists(st.integers(1, 3), max_size=4), junk=st.binary(max_size=9), piece=st.integers(1, 3000))
def test_frames_without_borders_are_cut_where_they_state(sizes: list[int], junk: bytes, piece: int) -> None:
    junk = junk.replace(b"\x01", b"\x02")
    data = junk + b"".join(navico_frame(*[navico_spoke()] * n) for n in sizes) + navico_frame(navico_spoke())[:400]
    decoder = NavicoDecoder("radar")
    spokes = [s for i in range(0, len(data), piece) for s in decode(data[i : i + piece], decoder, "")]
    assert len(spokes) == sum(sizes)
    assert decoder.counters["skipped_bytes"] == len(junk)
    assert decoder.counters["errors"] == bool(junk)
    assert list(decoder.flush(AT)) == []
    assert decoder.counters["errors"] == bool(junk) + 1


@pytest.mark.field
def test_a_real_recording_sample_for_sample(field_data: Path) -> None:
    name = "navico_halo24_nmea_ais_waddenzee"
    truth = json.loads((field_data / "radar" / "halo24_summary.json").read_text())[name]
    decoder = NavicoDecoder("radar")
    crc, spokes = 0, []
    levels = np.zeros(16, np.int64)
    for d in CaptureReader(field_data / "radar" / f"{name}.pcap.gz"):
        for spoke in decoder.decode(d.payload, Stamp(t_s=d.wall_s, wall_s=d.wall_s), d.stream):
            crc = zlib.crc32(spoke.samples.data, crc)
            levels += np.bincount(spoke.samples, minlength=16)
            spokes.append(spoke)
    assert f"{crc:08x}" == truth["crc32_all_samples"]
    assert len(spokes) == truth["spokes"]
    assert {str(i): int(n) for i, n in enumerate(levels)} == truth["value_hist"]
    assert {s.range_m for s in spokes} == {25465.0}
    first = np.load(field_data / "radar" / f"{name}_first.npz")
    assert all(np.array_equal(s.samples, px) for s, px in zip(spokes, first["px"], strict=False))
    assert [round(s.angle_deg * 4096 / 360) for s in spokes[:2048]] == first["angle"].tolist()
    assert spokes[0].at_s == pytest.approx(truth["first"]["t"], abs=1e-6)
    assert decoder.counters["errors"] == decoder.counters["spokes_lost"] == 0
    assert decoder.addresses[DATA_A] == "a"
    assert decoder.gauges["state"] == 2.0
    assert (decoder.gauges["doppler"], decoder.gauges["doppler_from_mps"]) == (1.0, 2.07)
    assert spokes[-1].doppler == (14, 15)
    assert decoder.gauges["turn_s"] == pytest.approx(truth["rotation_period_s"], abs=0.02)
    assert decoder.gauges["range_m"] * 55 / 32 == pytest.approx(25465, abs=1)  # video reaches beyond the selected range
