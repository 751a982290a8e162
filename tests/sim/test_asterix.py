"""ASTERIX as the simulated radars write it: the reference bytes, and what two outside decoders read in it."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from itertools import count, product
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hardware_sim.radar import asterix, cat010, cat034, cat048, cat240
from hardware_sim.radar.asterix import Source
from sim.asterix_peers import ASTERIX_DECODER, LIBASTERIX, decode_with

SOURCE = Source(25, 10)
NOON = 43_200.5  # 1/128 s: 0x546040
NM = 1852.0
CELL_M = 33_356_000e-15 * cat240.LIGHT_MPS / 2.0


def both(blocks: list[bytes]) -> list[tuple[list[dict[str, Any]], list[dict[str, Any]]]]:
    """What asterix-decoder and libasterix read in each of the blocks."""
    ours = decode_with("asterix-decoder", ASTERIX_DECODER, blocks)
    theirs = decode_with("libasterix", LIBASTERIX, blocks)
    return list(zip(ours, theirs, strict=True))


def radial(samples: np.ndarray[Any, np.dtype[np.uint8]], **change: Any) -> cat240.Radial:
    base: dict[str, Any] = {
        "unix_s": NOON,
        "start_deg": 22.5,
        "end_deg": 22.5 + 360 / 4096,
        "cell_m": CELL_M,
        "samples": samples,
    }
    return cat240.Radial(**(base | change))


def ramp(n: int, top: int = 256) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return (np.arange(n) % top).astype(np.uint8)


def test_video_is_the_reference_message() -> None:
    (message,) = cat240.messages(SOURCE, count(1), radial(ramp(100)), cat240.Coding())
    head = "f00087e7c8190a02000000011000101000000000" + "01fcf8e0" + "0004" + "0064" + "000064" + "19"
    assert message.hex() == head + bytes(range(100)).hex() + "546040"


def test_plots_and_markers_are_the_reference_blocks() -> None:
    plot = cat048.Target(unix_s=NOON, range_m=5 * NM, azimuth_deg=45.0)
    assert cat048.targets(SOURCE, [plot]).hex() == "30000ef0190a5460402005002000"
    wide = cat048.Target(unix_s=NOON, range_m=5 * NM, azimuth_deg=45.0, run_length_deg=1.758, amplitude_dbm=-60.0)
    assert cat048.targets(SOURCE, [wide]).hex() == "300011f2190a54604020050020001828c4"
    track = cat048.Track(number=17, speed_mps=10.107 * NM / 3600, course_deg=90.0)
    tracked = cat048.Target(unix_s=NOON, range_m=5 * NM, azimuth_deg=45.0, track=track)
    assert cat048.targets(SOURCE, [tracked]).hex() == "300016f116190a54604020050020000011002e400020"
    assert cat034.north_marker(SOURCE, NOON, 2.5).hex() == "22000ce8190a015460400140"


def test_bits_that_few_reports_carry() -> None:
    track = cat048.Track(number=4095, speed_mps=0.0, course_deg=360.0, tentative=True, ended=True)
    target = cat048.Target(unix_s=86_399.999, range_m=300 * NM, azimuth_deg=359.999, track=track)
    data = cat048.target_record(SOURCE, target, simulated=True)
    # midnight and north are 0 again, a range beyond the field is its end, both octets of item 170
    assert data.hex() == "f116190a000000" + "30" + "ffff0000" + "0fff" + "00000000" + "a180"
    assert cat034.sector_crossing(SOURCE, NOON, 359.9).hex() == "22000bf0190a0254604000"


def cells_of(said: dict[str, Any], bits: int, *, compressed: bool) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """The cells of a message as a receiver unpacks them."""
    (text,) = (said[k] for k in ("050", "051", "052") if k in said)
    data = bytes.fromhex(text)[: said["049"]["NBVB"]]
    octets = np.frombuffer(zlib.decompress(data) if compressed else data, np.uint8)
    cells = np.stack((octets >> 4, octets & 15), axis=1).ravel() if bits == 4 else octets
    return cells[: said["049"]["NBCELLS"]]


def test_two_decoders_read_the_video_in_every_coding() -> None:
    rng = np.random.default_rng(5)
    numbers = cat240.sequence_numbers()
    cases = []
    blocks: list[bytes] = []
    for bits, compressed, nano in product((4, 8), (False, True), (False, True)):
        coding = cat240.Coding(bits=bits, compressed=compressed, nano=nano)  # type: ignore[arg-type] # 4 or 8
        for n in (1, 7, 1020, 1021, 2048, 16_321, 40_001):
            plane = rng.integers(0, 2**bits, n).astype(np.uint8)
            cases.append((coding, plane))
            blocks += cat240.messages(SOURCE, numbers, radial(plane), coding)
    assert len(blocks) == len(cases) == 56
    for number, ((coding, plane), answers) in enumerate(zip(cases, both(blocks), strict=True)):
        for (said,) in answers:
            assert said["010"] == {"SAC": 25, "SIC": 10}
            assert said["020"] in ({"MSGINDEX": number}, {"": number})
            assert said["040" if coding.nano else "041"] == {
                "STARTAZ": 22.5, "ENDAZ": pytest.approx(22.5 + 360 / 4096), "STARTRG": 0,
                "CELLDUR": 33 if coding.nano else 33_356_000,
            }  # fmt: skip
            assert said["048"]["RES"] == {4: 3, 8: 4}[coding.bits]
            assert said["048"]["C"] == int(coding.compressed)
            assert said["140"] in ({"TOD": NOON}, {"": NOON})
            assert (cells_of(said, coding.bits, compressed=coding.compressed) == plane).all()


def test_a_split_radial_is_one_radial() -> None:
    plane = ramp(2500)
    parts = list(cat240.messages(SOURCE, count(7), radial(plane), cat240.Coding(max_cells=1000)))
    answers = [a for (a,), _ in both(parts)]
    assert (np.concatenate([cells_of(a, 8, compressed=False) for a in answers]) == plane).all()
    assert [a["041"]["STARTRG"] for a in answers] == [0, 1000, 2000]
    assert [a["049"]["NBCELLS"] for a in answers] == [1000, 1000, 500]
    assert [a["020"]["MSGINDEX"] for a in answers] == [7, 8, 9]
    assert {(a["041"]["STARTAZ"], a["140"]["TOD"]) for a in answers} == {(22.5, NOON)}


def test_two_decoders_read_the_summary() -> None:
    (ours,), (theirs,) = both([cat240.summary(SOURCE, 3, "HALO 6000 m")])[0]
    assert theirs["000"] == {"": 1}
    assert bytes.fromhex(theirs["030"]) == b"HALO 6000 m"
    assert ours["category"] == 240


def test_two_decoders_read_targets_of_category_48_and_34() -> None:
    track = cat048.Track(number=321, speed_mps=7.3, course_deg=211.0, tentative=True)
    target = cat048.Target(
        unix_s=NOON, range_m=7777.0, azimuth_deg=123.4, run_length_deg=1.5, amplitude_dbm=-71.0, track=track
    )
    marker = cat034.north_marker(SOURCE, NOON, 2.5, (43.38, -8.4, 22.0))
    blocks = [cat048.targets(SOURCE, [target, target]), marker, cat034.sector_crossing(SOURCE, NOON, 90.0)]
    (ours, theirs), (our_north, their_north), (our_sector, their_sector) = both(blocks)
    assert len(ours) == len(theirs) == 2
    assert ours[1]["040"]["RHO"] * NM == pytest.approx(7777.0, abs=3.7)
    assert theirs[1]["040"]["RHO"] * NM == pytest.approx(7777.0, abs=3.7)
    assert theirs[0]["040"]["THETA"] == pytest.approx(123.4, abs=0.003)
    assert (theirs[0]["130"]["PRL"], theirs[0]["130"]["PAM"]) == (pytest.approx(1.5, abs=0.03), -71)
    assert ours[0]["200"]["CGS"] * NM / 3600 == pytest.approx(7.3, abs=0.06)  # knots there, NM/s here
    assert theirs[0]["200"]["GSP"] * NM == pytest.approx(7.3, abs=0.06)
    assert theirs[0]["200"]["HDG"] == pytest.approx(211.0, abs=0.003)
    assert ours[0]["161"]["TN"] == 321
    assert set(theirs[0]["161"].values()) == {321}
    assert ours[0]["170"]["CNF"] == theirs[0]["170"]["CNF"] == 1
    assert theirs[0]["020"]["TYP"] == 1
    assert theirs[0]["140"] == {"": NOON}
    (north,), (their,) = our_north, their_north
    assert their["041"] == {"": 2.5}
    assert north["041"]["ROTS"] == 2.5
    assert their["120"]["LAT"] == pytest.approx(43.38, abs=2e-5)
    assert their["120"]["LON"] == pytest.approx(-8.4, abs=2e-5)
    assert their["120"]["HGT"] == 22
    assert their_sector[0]["020"] == {"": 90.0}
    assert our_sector[0]["000"] == {"MSGTYP": 2}


def test_two_decoders_read_targets_of_category_10() -> None:
    track = cat048.Track(number=12, speed_mps=10.0, course_deg=90.0)
    target = cat010.Target(
        unix_s=NOON, range_m=4321.0, azimuth_deg=300.0, size_m=(78.0, 16.0), orientation_deg=45.0, amplitude=200,
        track=track,
    )  # fmt: skip
    far = cat010.Target(unix_s=NOON, range_m=40_000.0, azimuth_deg=90.0)
    status = [cat010.start_of_cycle(SOURCE, NOON), cat010.periodic_status(SOURCE, NOON, operational=False)]
    (ours, theirs), (_, cycle), (our_status, their_status) = both([cat010.targets(SOURCE, [target, far]), *status])
    for said in (ours[0], theirs[0]):
        assert said["040"]["RHO"] == 4321
        assert said["020"]["TYP"] == 3
    assert theirs[0]["270"] == {"LENGTH": 78, "ORIENTATION": 45, "WIDTH": 16}
    assert (ours[0]["270"]["LENGTH"], ours[0]["270"]["WIDTH"]) == (78, 16)
    assert theirs[0]["042"] == {"X": pytest.approx(4321 * math.sin(math.radians(300)), abs=0.5),
                                "Y": pytest.approx(4321 * math.cos(math.radians(300)), abs=0.5)}  # fmt: skip
    assert ours[0]["202"] == {"VX": 10.0, "VY": 0.0}
    # the public specification behind libasterix has a sixteenth where +-8192 m/s proves a quarter
    assert theirs[0]["202"]["VX"] * 4 == 10.0
    assert theirs[0]["131"] == {"": 200}
    assert "042" not in ours[1]
    assert cycle[0]["000"] == {"": 2}
    assert their_status[0]["550"]["NOGO"] == 2
    assert our_status[0]["category"] == 10


@settings(deadline=None, max_examples=200)
@given(st.sets(st.integers(1, 28), min_size=1), st.data())
def test_the_field_specification_says_what_is_there(frns: set[int], data: st.DataObject) -> None:
    items = {f: bytes((f,)) for f in frns}
    record = asterix.record(items)
    fspec = record[: len(record) - len(items)]
    assert [o & 1 for o in fspec] == [1] * (len(fspec) - 1) + [0]
    bits = [bool(o & 0x80 >> i) for o in fspec for i in range(7)]
    assert {i + 1 for i, bit in enumerate(bits) if bit} == frns
    assert list(record[len(fspec) :]) == sorted(frns)


def test_a_block_that_cannot_be_said_is_refused() -> None:
    with pytest.raises(ValueError, match="fewer records or cells"):
        asterix.block(240, bytes(65_533))
    assert struct.unpack(">BH", asterix.block(240, bytes(65_532))[:3]) == (240, 65_535)


@pytest.mark.field
@pytest.mark.parametrize("name", ["res4_femto", "res8_femto", "res8_femto_zlib", "res8_nano"])
def test_a_real_turn_is_written_as_another_encoder_wrote_it(name: str, field_data: Path) -> None:
    """2,048 radials of a HALO at sea, octet for octet (deflated ones as far as their octets can be one's own)."""
    data = gzip.decompress((field_data / "radar" / f"cat240_from_halo_{name}.ast.gz").read_bytes())
    bits: Literal[4, 8] = 4 if "res4" in name else 8
    coding = cat240.Coding(bits=bits, compressed="zlib" in name, nano="nano" in name)
    at = count_messages = 0
    while at < len(data):
        message = data[at : at + int.from_bytes(data[at + 1 : at + 3], "big")]
        sac, sic, number, start, end, first, duration = struct.unpack(">xxxxxBBxIHHII", message[:24])
        octets, cells = int.from_bytes(message[26:28], "big"), int.from_bytes(message[28:31], "big")
        video = message[32 : 32 + octets]
        raw = np.frombuffer(zlib.decompress(video) if coding.compressed else video, np.uint8)
        samples = np.stack((raw >> 4, raw & 15), axis=1).ravel()[:cells] if bits == 4 else raw
        again = cat240.Radial(
            unix_s=int.from_bytes(message[-3:], "big") / 128.0,
            start_deg=start * 360.0 / 65536,
            end_deg=end * 360.0 / 65536,
            cell_m=duration * (1e-9 if coding.nano else 1e-15) * cat240.LIGHT_MPS / 2.0,
            samples=samples,
            first_cell=first,
        )
        (ours,) = cat240.messages(Source(sac, sic), count(number), again, coding)
        if coding.compressed:
            assert ours[3:26] == message[3:26]
            own_octets = int.from_bytes(ours[26:28], "big")
            assert zlib.decompress(ours[32 : 32 + own_octets]) == raw.tobytes()
        else:
            assert ours == message
        at += len(message)
        count_messages += 1
    assert count_messages == 2048
