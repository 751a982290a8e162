"""Frame, checksum, TAG blocks, datagrams; the books that the counters keep; state that sentences share."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent.drivers import ais, nmea
from agent.drivers.ais import AisDecoder, mmsi_assigned
from agent.drivers.base import MAX_LINE
from agent.drivers.nmea_all import NmeaAllDecoder
from agent.drivers.nmea_radar import MAX_LABELS, NmeaRadarDecoder, NmeaRadarOptions, unarmour
from agent.errors import ProtocolError
from agent.messages import Ais, Nav, Stamp, TrackReport

if TYPE_CHECKING:
    from agent.messages import Measurement

AT = Stamp(t_s=0.0, wall_s=0.0)
ENDS = ("used", "ignored", "fragments", "unsupported", "other", "proprietary", "errors")
some = settings(deadline=None, max_examples=60)
FIELD = st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters="*$!\\,^"), max_size=12)


def xor(body: bytes) -> int:
    return reduce(lambda x, c: x ^ c, body, 0)


def line(body: str, start: str = "$") -> bytes:
    return f"{start}{body}*{xor(body.encode()):02X}\r\n".encode()


def late(seconds: float) -> Stamp:
    return Stamp(t_s=seconds, wall_s=seconds)


@some
@given(st.binary(max_size=MAX_LINE))
def test_checksum_is_the_xor_of_all_bytes(body: bytes) -> None:
    assert nmea.checksum(body) == xor(body)


@some
@given(st.lists(FIELD, min_size=1, max_size=12), st.sampled_from(["RATTM", "GPRMC", "HEHDT", "RATLL"]))
def test_a_framed_sentence_comes_back(fields: list[str], address: str) -> None:
    s = nmea.parse_sentence(line(",".join([address, *fields])).rstrip())
    assert (s.talker, s.formatter, s.fields[1:]) == (address[:2], address[2:], fields)


def test_a_wrong_checksum_never_passes() -> None:
    for wrong in range(256):
        text = f"$HEHDT,296.0,T*{wrong:02X}".encode()
        if wrong == xor(b"HEHDT,296.0,T"):
            assert nmea.parse_sentence(text).fields[1] == "296.0"
        else:
            with pytest.raises(ProtocolError, match="wrong checksum"):
                nmea.parse_sentence(text)


@some
@given(st.lists(st.one_of(st.binary(max_size=60), st.sampled_from(
    [
        line("HEHDT,1.0,T"), line("AIVDM,2,1,1,A,13HOI:0P,0", "!"), line("PFEC,x"), line("GPGSV,1"),
        line("GPGSV,1,1,01,02,10,039,41"), line("GPGST,1"), line("HEHDT,,T"),
    ]
)), max_size=20))  # fmt: skip
def test_every_unit_ends_in_one_counter(pieces: list[bytes]) -> None:
    decoder = NmeaAllDecoder("line")
    for piece in pieces:
        list(decoder.decode(piece, AT))
    list(decoder.flush(AT))
    assert sum(decoder.counters[k] for k in ENDS) == decoder.counters["units"]


def test_a_line_without_end_is_one_error_and_the_next_is_read() -> None:
    decoder = NmeaAllDecoder("line")
    for _ in range(1000):
        assert list(decoder.decode(b"A" * 100, AT)) == []
    assert decoder.counters["errors"] == decoder.counters["units"] == 1
    assert len(list(decoder.decode(b"\r\n" + line("HEHDT,1.0,T"), AT))) == 1
    assert decoder.counters["errors"] == 1


def test_the_last_line_of_a_recording_needs_no_end() -> None:
    decoder = NmeaAllDecoder("line")
    assert list(decoder.decode(line("HEHDT,1.0,T").rstrip(), AT)) == []
    assert len(list(decoder.flush(AT))) == 1


def test_datagrams_without_line_ends_and_sentences_split_over_datagrams() -> None:
    decoder = NmeaAllDecoder("port")
    whole = line("HEHDT,1.0,T").rstrip()
    assert len(list(decoder.decode(whole, AT, "10.0.0.1:1"))) == 1
    assert list(decoder.decode(whole[:6], AT, "10.0.0.1:1")) == []
    assert list(decoder.decode(whole[:6], AT, "10.0.0.2:1")) == []  # another sender's line is another line
    assert len(list(decoder.decode(whole[6:], AT, "10.0.0.1:1"))) == 1


def test_a_standard_datagram_holds_tagged_lines() -> None:
    tag = b"s:IN0001,n:7,c:1683881316755"
    unit = b"UdPbC\0\\" + tag + b"*%02X\\" % xor(tag) + line("INHDT,54.5,T").rstrip()
    (nav,) = NmeaAllDecoder("port").decode(unit, AT, "239.192.0.4:60004")
    assert isinstance(nav, Nav)
    assert nav.heading_deg == 54.5
    block = nmea.parse_sentence(unit[6:]).tag
    assert block is not None
    assert (block.source, block.line, block.unix_s) == ("IN0001", 7, 1683881316.755)


PLAIN = ["RATTM", "07", "3.217", "120.1", "T", "12.3", "200.5", "T", "0.5", "-3.2", "N", "", "T", "", "120000.00", "A"]
ODD = {
    0: ["PATTM", "$RTTM", "RTTM"], 1: [" 7", "7", "", "1023", "10234"],
    2: ["", "1.2.3", ".", "nan", "1e3", "99999.9", "1e6"],
    3: ["360.0", "361", "-1", " 3"], 4: ["R", "", "X"], 5: ["", "-1", "1_0"], 6: ["360", "", "1e2"], 7: ["R", " ", "X"],
    8: ["", " ", "x", "+1.", "99999999", "inf"], 9: ["-", "", "-.5"], 10: ["K", "S", "", "N ", "X"], 11: ["FERRY", " "],
    12: ["L", "Q", "", "X"], 13: ["R", "X", " "], 14: ["", "250000", "12000"], 15: ["", "M", "A,", "A,x"],
}  # fmt: skip


BETWEEN = ["HEHDT,350.0,T", "RATLB,7,PATROL", "RATLB,7,", "GPGSV,1,1,00", "RATTM,1,2", "HEHDT,x,T", "PXYZ,1"]


def test_a_block_of_ttm_is_read_together() -> None:
    """And so the next test compares two ways and not one with itself."""
    d = NmeaRadarDecoder("r")
    block = line(",".join(PLAIN)) * 3
    assert d._quick is not None
    others: list[bytes] = []

    def other(data: bytes) -> list[Measurement]:
        others.append(data)
        return []

    told = d._quick(block + line("HEHDT,1.0,T") + block, 0.0, other)
    assert [m.range_m for m in told or () if isinstance(m, TrackReport)] == [3.217 * 1852.0] * 6
    assert others == [line("HEHDT,1.0,T")]
    assert d._quick(block.replace(b"3.217", b"3.218"), 0.0, other) is None


@settings(deadline=None, max_examples=200)
@given(
    st.lists(st.lists(st.sampled_from([(k, v) for k, vs in ODD.items() for v in vs]), max_size=2), max_size=6),
    st.lists(st.sampled_from([b"\r\n", b"\n", b"\r", b"", b"\r\n\r\n", b" \r\n"]), min_size=6, max_size=6),
    st.integers(0, 600), st.sampled_from(["", "10.0.0.1:1"]), st.booleans(),
    st.lists(st.sampled_from(["", "", *BETWEEN]), min_size=6, max_size=6),
)  # fmt: skip
@example([[(2, "1.2.3")]], [b"\r\n"], 0, "", False, [""])
@example([[(3, "1.2.3")]], [b"\r\n"], 0, "", False, [""])
@example([[(2, "12345678")]], [b"\r\n"], 0, "", False, [""])
@example([[(8, "99999999")]], [b"\r\n"], 0, "", False, [""])
@example([[], []], [b"\r\n", b"\r"], 0, "", True, ["", ""])
def test_sentences_read_together_are_read_as_one_by_one(
    changes: list[list[tuple[int, str]]], ends: list[bytes], cut: int, stream: str, torn: bool, between: list[str]
) -> None:
    data = b""
    for change, end, before in zip(changes, ends, between, strict=False):
        fields = {**dict(enumerate(PLAIN)), **dict(change)}
        data += line(before) if before else b""
        data += line(",".join(fields.values()))[:-2] + (end if torn else b"\r\n")
    data = data[:-20] + data[-19:] if torn and cut % 3 == 0 else data
    both = NmeaRadarDecoder("r"), NmeaRadarDecoder("r")
    both[1]._quick = None
    told = [[m for piece in (data[:cut], data[cut:]) for m in d.decode(piece, AT, stream)] for d in both]
    told = [[*t, *d.flush(AT)] for t, d in zip(told, both, strict=True)]
    assert told[0] == told[1]
    assert both[0].counters == both[1].counters
    assert both[0].last_error == both[1].last_error


def test_a_heading_grows_too_old_for_relative_bearings() -> None:
    decoder = NmeaRadarDecoder("radar")
    ttm = line("RATTM,1,1.0,30.0,R,5.0,60.0,T,0.0,0.0,N,,T,,,A")
    list(decoder.decode(line("HEHDT,350.0,T"), late(0.0)))
    (fresh,) = decoder.decode(ttm, late(10.0))
    assert isinstance(fresh, TrackReport)
    assert fresh.bearing_deg == 20.0
    assert list(decoder.decode(ttm, late(10.1))) == []
    assert "set the radar to north up" in decoder.last_error


def test_labels_are_bounded() -> None:
    decoder = NmeaRadarDecoder("radar")
    for n in range(3 * MAX_LABELS):
        list(decoder.decode(line(f"RATLB,{n},NAME {n}"), AT))
    ttm = "RATTM,{},1.0,30.0,T,5.0,60.0,T,0.0,0.0,N,,T,,,A"
    (known,) = decoder.decode(line(ttm.format(5)), AT)
    (unknown,) = decoder.decode(line(ttm.format(2 * MAX_LABELS)), AT)
    assert isinstance(known, TrackReport)
    assert isinstance(unknown, TrackReport)
    assert (known.name, unknown.name) == ("NAME 5", None)


def test_ttd_targets_by_the_layout_that_its_docstring_states() -> None:
    bits = "".join(
        f"{v:0{w}b}"
        for v, w in (
            (0, 2), (17, 10), (1234, 12), (105, 12), (900, 12), (4095, 12), (4, 3), (0, 1), (250, 14), (1, 1), (0, 1),
            (0, 2), (0, 8),
        )
    )  # fmt: skip
    values = [int(bits[i : i + 6], 2) for i in range(0, 90, 6)]
    payload = "".join(chr(v + 48 if v < 40 else v + 56) for v in values)
    assert unarmour(payload, "0") == (int(bits, 2), 90)
    decoder = NmeaRadarDecoder("radar", NmeaRadarOptions(experimental_ttd=True))
    (report,) = decoder.decode(line(f"RATTD,01,01,1,{payload},0", "!"), AT)
    assert isinstance(report, TrackReport)
    assert (report.number, report.status, report.bearing_deg, report.cog_deg) == (17, "T", 123.4, 90.0)
    assert report.range_m == pytest.approx(2.5 * 1852.0)
    assert report.sog_mps == pytest.approx(10.5 * 1852.0 / 3600.0)
    assert report.relative


def test_parts_wait_bounded_in_number_and_time() -> None:
    decoder = AisDecoder("ais")
    for n in range(10 * ais.MAX_PENDING):
        list(decoder.decode(line(f"AIVDM,2,1,{n},A,53HOI:02>000,0", "!"), AT))
    assert decoder.counters["fragments_lost"] == 9 * ais.MAX_PENDING
    list(decoder.decode(line("AIVDM,2,1,1,B,53HOI:02>000,0", "!"), late(100.0)))
    assert decoder.counters["fragments_lost"] == 10 * ais.MAX_PENDING
    list(decoder.decode(line("AIVDM,2,2,1,B,0,0", "!"), late(100.0 + ais.PENDING_LIFE_S + 1.0)))
    assert decoder.counters["used"] == 0


def test_parts_of_two_groups_do_not_mix() -> None:
    """Two receivers number their messages alike; the TAG block's group tells them apart."""
    whole = line("AIVDM,1,1,,A,13HOI:0P0000H3DLTjTH4?vN0<02,0", "!").decode()
    payload = whole.split(",")[5]

    def part(n: int, group: int, text: str) -> bytes:
        tag = f"g:{n}-2-{group}"
        return f"\\{tag}*{xor(tag.encode()):02X}\\".encode() + line(f"AIVDM,2,{n},3,A,{text},0", "!")

    decoder = AisDecoder("ais")
    feed = part(1, 1, payload[:10]) + part(1, 2, payload[:12]) + part(2, 1, payload[10:]) + part(2, 2, payload[12:])
    first, second = decoder.decode(feed, AT)
    (alone,) = AisDecoder("ais").decode(whole.encode(), AT)
    assert isinstance(alone, Ais)
    assert first == second == alone


def test_mmsi_plan() -> None:
    good = (224117250, 2241007, 111224505, 992241001, 982241001, 970123456, 972123456, 974123456, 22411725)
    for mmsi in good:
        assert mmsi_assigned(mmsi), mmsi
    for mmsi in (0, 1, 123456789, 999999999, 1193046, 1073741823, 776000000, 200000000):
        assert not mmsi_assigned(mmsi), mmsi
