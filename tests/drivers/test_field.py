"""The sentence drivers on recorded sensors, against what other decoders made of the same bytes."""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from agent.drivers.ais import AisDecoder
from agent.drivers.nmea import NmeaDecoder, parse_sentence
from agent.drivers.nmea_all import NmeaAllDecoder
from agent.drivers.nmea_radar import NmeaRadarDecoder, NmeaRadarOptions
from agent.errors import ProtocolError
from agent.geo import KNOT_MPS, NM_M
from agent.messages import Ais, Nav, Stamp, TrackReport
from agent.transport.pcap import CaptureReader

pytestmark = pytest.mark.field
AT = Stamp(t_s=0.0, wall_s=0.0)
IN = ("gga", "hdt", "osd", "rmc", "rsd", "ths", "tlb", "tll", "ttd", "ttm", "vdmvdo")  # ROT is not ours


def decoded(data: bytes, decoder: NmeaDecoder | None = None) -> tuple[list[Any], NmeaDecoder]:
    decoder = decoder or NmeaAllDecoder("line")
    out = [*decoder.decode(data, AT), *decoder.flush(AT)]
    c = decoder.counters
    ends = ("used", "ignored", "fragments", "unsupported", "other", "proprietary", "errors")
    assert sum(c[k] for k in ends) == c["units"]
    return out, decoder


def vectors(field_data: Path, kinds: tuple[str, ...]) -> list[tuple[str, dict[str, Any]]]:
    found = json.loads((field_data / "nav" / "sentence_vectors.json").read_text())
    return [(kind, case) for kind in kinds for case in found[kind]]


def test_what_another_parser_refuses_is_refused_and_nothing_else(field_data: Path) -> None:
    cases = vectors(field_data, IN)
    assert len(cases) > 80
    for _, case in cases:
        _, decoder = decoded(case["raw"].encode() + b"\r\n")
        assert bool(decoder.counters["errors"]) == ("error" in case), (case, decoder.last_error)


def test_tag_blocks(field_data: Path) -> None:
    """The sentences of these have no checksum, which is not the TAG block's fault."""
    for _, case in vectors(field_data, ("tagblock",)):
        raw = case["raw"].encode()
        if "error" in case:
            with pytest.raises(ProtocolError, match="TAG|c:|n:|r:"):
                parse_sentence(raw, require_checksum=False)
        else:
            s = parse_sentence(raw, require_checksum=False)
            assert (s.talker, s.formatter, s.fields[1:]) == ("AI", "VDM", ["1", "2", "3"])
            stated = re.search(r"c:(\d{10})", case["raw"])
            assert (s.tag.unix_s if s.tag else None) == (float(stated[1]) if stated else None)


def degrees(text: str) -> float:
    """`MustParseLatLong("3356.4650 S")`, or degrees as they are."""
    found = re.search(r'"(\d+)(\d\d\.\d+) ([NSEW])"', text)
    if not found:
        return float(text)
    return (int(found[1]) + float(found[2]) / 60) * (-1 if found[3] in "SW" else 1)


def test_values_of_position_and_heading_sentences(field_data: Path) -> None:
    seen = Counter[str]()
    for kind, case in vectors(field_data, ("gga", "rmc", "hdt", "ths")):
        if "error" in case:
            continue
        (out, _), f = decoded(case["raw"].encode() + b"\r\n"), case["fields"]
        if kind == "ths" and f["Status"] != "AutonomousTHS":
            assert out == []
            continue
        (nav,) = out
        assert isinstance(nav, Nav)
        seen[kind] += 1
        if kind in ("gga", "rmc"):
            assert nav.lat == pytest.approx(degrees(f["Latitude"]), abs=1e-9)
            assert nav.lon == pytest.approx(degrees(f["Longitude"]), abs=1e-9)
            assert nav.fix_ok
        if kind == "rmc":
            assert nav.sog_mps == pytest.approx(float(f["Speed"]) * KNOT_MPS)
            assert nav.cog_deg is None or nav.cog_deg == float(f["Course"])
        if kind in ("hdt", "ths"):
            assert nav.heading_deg == float(f["Heading"])
    assert seen == {"gga": 2, "rmc": 7, "hdt": 1, "ths": 1}


def test_values_of_radar_sentences(field_data: Path) -> None:
    seen = 0
    for kind, case in vectors(field_data, ("ttm", "tll")):
        if "error" in case:
            continue
        (out, _), f = decoded(case["raw"].encode() + b"\r\n"), case["fields"]
        if kind == "tll" and f["TargetNumber"] == "0":
            assert out == []  # a mark without a number
            continue
        (report,) = out
        assert isinstance(report, TrackReport)
        assert report.number == int(f["TargetNumber"])
        seen += 1
        if kind == "ttm":
            assert report.range_m == pytest.approx(float(f["TargetDistance"]) * NM_M)
            assert report.bearing_deg == float(f["Bearing"])
            assert report.sog_mps == pytest.approx(float(f["TargetSpeed"]) * KNOT_MPS)
        else:
            assert report.lat == pytest.approx(float(f["TargetLatitude"]))
            assert (report.status, report.name) == ("L", "test")
    assert seen >= 2


def test_the_experimental_ttd_refuses_a_payload_of_another_length(field_data: Path) -> None:
    cases = [c for _, c in vectors(field_data, ("ttd",)) if "error" not in c and c["raw"].count(",") == 5]
    results = []
    for case in cases:
        decoder = NmeaRadarDecoder("r", NmeaRadarOptions(experimental_ttd=True))
        decoded(case["raw"].encode() + b"\r\n", decoder)
        results.append(bool(decoder.counters["errors"]))
        _, plain = decoded(case["raw"].encode() + b"\r\n", NmeaRadarDecoder("r"))
        assert plain.counters["unsupported"] == 1
    assert True in results


def same_station(ais: Ais, other: dict[str, Any]) -> None:
    """As libais reads it, where it holds a value that can be."""
    assert (ais.mmsi, ais.msg_type) == (other["mmsi"], other["type"])
    lat, lon = other.get("lat", 91.0), other.get("lon", 181.0)
    if abs(lat) <= 90.0 and abs(lon) <= 180.0:
        assert [ais.lat, ais.lon] == pytest.approx([lat, lon], abs=2e-5)  # theirs are 32-bit floats
    else:
        assert (ais.lat, ais.lon) == (None, None)
    if "course" in other:
        assert ais.cog_deg == (pytest.approx(other["course"], abs=1e-3) if other["course"] < 360 else None)
    if "speed" in other:
        # of an aircraft whole knots (ITU-R M.1371-5, table 56), which libais takes for tenths
        knots = other["speed"] * (10.0 if other["type"] == 9 else 1.0)
        assert ais.sog_mps == pytest.approx(knots * KNOT_MPS, abs=1e-3)
    if "heading" in other:
        assert ais.heading_deg == (other["heading"] if other["heading"] < 360 else None)
    name = (other.get("shipname") or other.get("name") or "").strip() or None
    if other["type"] in (5, 24):
        assert ais.name == name
    if "to_bow" in other:
        assert ais.length_m == (other["to_bow"] + other["to_stern"] or None)
        assert ais.beam_m == (other["to_port"] + other["to_starboard"] or None)


@pytest.mark.parametrize(("name", "count"), [("typeexamples", 10), ("tagblock", 4)])
def test_ais_messages_as_another_decoder_reads_them(field_data: Path, name: str, count: int) -> None:
    others = [json.loads(x) for x in (field_data / "nav" / f"{name}.json").read_text().splitlines() if x]
    out, decoder = decoded((field_data / "nav" / f"{name}.nmea").read_bytes(), AisDecoder("ais"))
    assert len(out) == count
    assert decoder.counters["errors"] == 0
    by_key = {(o["mmsi"], o["type"], round(o.get("lat", 0.0), 4)): o for o in others}
    by_type = {(o["mmsi"], o["type"]): o for o in others}
    for ais in out:
        exact = by_key.get((ais.mmsi, ais.msg_type, round(ais.lat or 0.0, 4)))
        same_station(ais, exact or by_type[ais.mmsi, ais.msg_type])


def test_a_mixed_log_with_receive_times(field_data: Path) -> None:
    out, decoder = decoded((field_data / "nav" / "ais_decoder_sample.log").read_bytes(), AisDecoder("ais"))
    assert len(out) == 96
    assert decoder.counters["errors"] == 0
    assert decoder.counters["fragments"] == 4


def test_a_boats_log_with_a_layout_of_its_own(field_data: Path) -> None:
    data = gzip.decompress((field_data / "nav" / "gofree-merrimac.log.gz").read_bytes())
    out, decoder = decoded(data)
    ais = [m for m in out if isinstance(m, Ais)]
    assert len(ais) > 1000
    assert decoder.counters["errors"] == 0
    assert {m.kind for m in ais} >= {"a", "b", "aton"}
    assert sum(isinstance(m, Nav) and m.lat is not None for m in out) > 100
    # VHF reaches some 50 km from the boat at 53.18 N 5.43 E: the payloads are read at the right bits
    assert all(52.7 < m.lat < 53.8 and 4.6 < (m.lon or 0.0) < 6.2 for m in ais if m.lat is not None)


@pytest.mark.parametrize(
    ("name", "counters"),
    [
        ("iec-61162-450-nmea", {"units": 1}),
        ("iec-61162-450-nmea-multitag", {"units": 1}),
        ("iec-61162-450-nmea-multisentence", {"units": 8, "used": 2}),
        ("iec-61162-450-nmea-wrong-tag-chcksm", {"units": 1, "errors": 1}),
        ("iec-61162-450-nmea-sentence-too-long", {"units": 1, "too_long": 1}),
        ("iec-61162-450-nmea-tag-too-long", {"units": 1, "too_long": 1}),
        ("iec-61162-450-binary-type1", {"binaries": 2}),
        ("iec-61162-450-binary-type2", {"binaries": 1}),
        ("nmea-0183", {"units": 1}),
        ("nmea-0183-wrong-chcksm", {"units": 1, "errors": 1}),
        ("nmea-0183-sentence-too-long", {"units": 1, "too_long": 1}),
    ],
)
def test_datagrams_of_iec_61162_450(field_data: Path, name: str, counters: dict[str, int]) -> None:
    decoder = NmeaAllDecoder("port")
    for datagram in CaptureReader(field_data / "radar" / "nmea450" / f"{name}.pcap"):
        list(decoder.decode(datagram.payload, AT, datagram.stream))
    wanted = {"units": 0, "errors": 0, "too_long": 0, "binaries": 0, **counters}
    assert {k: decoder.counters[k] for k in wanted} == wanted


def test_a_real_harbour(field_data: Path) -> None:
    """138 AIVDM of 122 vessels with a position, and the headings of the ship that heard them."""
    radar = field_data / "radar"
    truth = json.loads((radar / "waddenzee_ais_truth.json").read_text())
    decoder = NmeaAllDecoder("port")
    out: list[Any] = []
    for d in CaptureReader(radar / "navico_halo24_nmea_ais_waddenzee.pcap.gz", port=10110):
        out += decoder.decode(d.payload, Stamp(t_s=d.wall_s, wall_s=d.wall_s), d.stream)
    assert decoder.counters["errors"] == 0
    positions: dict[str, list[Ais]] = {}
    for m in out:
        if isinstance(m, Ais) and m.lat is not None:
            positions.setdefault(str(m.mmsi), []).append(m)
    assert positions.keys() == truth["targets"].keys()
    assert len(positions) == 122
    for mmsi, rows in truth["targets"].items():
        for (t_s, lat, lon, knots, course, kind), m in zip(rows, positions[mmsi], strict=True):
            assert m.msg_type == kind
            assert m.at_s == pytest.approx(t_s, abs=1e-4)
            assert [m.lat, m.lon] == pytest.approx([lat, lon], abs=1e-6)
            assert m.sog_mps is None or m.sog_mps == pytest.approx(knots * KNOT_MPS, abs=1e-6)
            assert m.cog_deg == (pytest.approx(course) if course < 360.0 else None)
    headings = [m.heading_deg for m in out if isinstance(m, Nav) and m.heading_deg is not None]
    assert len(headings) == 64
    assert all(abs(h - truth["heading_true"]) < 1.0 for h in headings)


def test_every_sentence_of_the_harbour_as_another_parser_reads_it(field_data: Path) -> None:
    rows = json.loads((field_data / "radar" / "waddenzee_nmea.pynmea2.json").read_text())
    names = {"HDT": ("heading", "heading_deg"), "HDM": ("heading", "heading_magnetic_deg")}
    compared = Counter[str]()
    for row in rows:
        if row.get("type") in names:
            theirs, ours = names[row["type"]]
            (nav,), _ = decoded(row["raw"].encode() + b"\r\n")
            assert getattr(nav, ours) == float(row["fields"][theirs])
            compared[row["type"]] += 1
        elif row.get("type") == "VTG":
            (nav,), _ = decoded(row["raw"].encode() + b"\r\n")
            assert nav.cog_deg == float(row["fields"]["true_track"])
            assert nav.sog_mps == pytest.approx(float(row["fields"]["spd_over_grnd_kts"]) * KNOT_MPS)
            compared["VTG"] += 1
    assert min(compared[k] for k in ("HDT", "HDM", "VTG")) > 10
