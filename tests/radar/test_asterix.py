"""ASTERIX targets: the notes' reference blocks, turns, what is left out, every item's length as another decoder's."""

from __future__ import annotations

import json
import random
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest

from agent.cli.main import main
from agent.drivers.radar.asterix import Compound, Extended, Repeated, is_asterix, moment_s
from agent.drivers.radar.asterix_profiles import PROFILES
from agent.drivers.radar.asterix_targets import AsterixTargetDecoder, AsterixTargetOptions, callsign
from agent.messages import Scan, Stamp, TrackReport
from radar.asterix_packer import block
from support.peers import peer_python

AT = Stamp(t_s=5.0, wall_s=1.7e9)
PORT = "225.1.0.1:20402"
NORTH = bytes.fromhex("22000ce8190a015460400140")
PLOT = bytes.fromhex("30000ef0190a5460402005002000")
PLOT_WITH_POWER = bytes.fromhex("300011f2190a54604020050020001828c4")
TRACK = bytes.fromhex("300016f116190a54604020050020000011002e400020")
SOURCE = {"010": b"\x19\x0a"}


def decode(*blocks: bytes, decoder: AsterixTargetDecoder | None = None, **options: Any) -> list[Any]:
    decoder = decoder or AsterixTargetDecoder("radar", AsterixTargetOptions(**options))
    return [*(m for b in blocks for m in decoder.decode(b, AT, PORT)), *decoder.flush(AT)]


def plot(theta: int, **items: bytes) -> bytes:
    return block(
        48, {**SOURCE, "020": b"\x20", "040": struct.pack(">HH", 256, theta), **{k[1:]: v for k, v in items.items()}}
    )


def test_reference_blocks() -> None:
    (scan,) = decode(NORTH, PLOT, PLOT_WITH_POWER)
    assert isinstance(scan, Scan)
    assert scan.period_s == 2.5
    assert [(p.range_m, p.bearing_deg, p.amplitude_db) for p in scan.plots] == [(9260, 45, None), (9260, 45, -60)]
    (track,) = decode(TRACK)
    assert isinstance(track, TrackReport)
    assert (track.number, track.status, track.range_m, track.bearing_deg, track.cog_deg) == (17, "T", 9260, 45, 90)
    assert track.sog_mps == pytest.approx(10.107421875 * 1852 / 3600)


def test_a_marked_turn_is_a_scan_also_an_empty_one() -> None:
    scans = decode(NORTH, PLOT, PLOT, NORTH, NORTH, PLOT, NORTH)
    assert [len(s.plots) for s in scans] == [2, 0, 1]


def test_without_markers_a_turn_ends_where_the_bearing_passes_north() -> None:
    scans = decode(*(plot(theta % 65536) for theta in range(0, 200_000, 20_000)))
    assert [len(s.plots) for s in scans] == [4, 3, 3]
    assert all(sorted(p.bearing_deg for p in s.plots) == [p.bearing_deg for p in s.plots] for s in scans)


def test_what_waits_too_long_is_given() -> None:
    decoder = AsterixTargetDecoder("radar")
    late = Stamp(t_s=100.0, wall_s=0.0)
    assert list(decoder.decode(PLOT, AT, PORT)) == []
    (scan,) = decoder.decode(PLOT, late, PORT)
    assert isinstance(scan, Scan)
    assert (scan.at_s, len(scan.plots)) == (AT.t_s, 1)


@pytest.mark.parametrize(
    ("kinds", "counter", "option"),
    [(b"\x30", "not_real", "simulated"), (b"\x22", "not_real", "simulated"), (b"\x21\x80", "not_real", "simulated"),
     (b"\xa0", "aircraft", "aircraft"), (b"\x40", "aircraft", "aircraft"), (b"\x60", "aircraft", "aircraft")],
)  # fmt: skip
def test_what_is_no_vessel_is_counted(kinds: bytes, counter: str, option: str) -> None:
    decoder = AsterixTargetDecoder("radar")
    assert decode(plot(0, _020=kinds), decoder=decoder) == []
    assert decoder.counters[counter] == 1
    options = AsterixTargetOptions.model_validate({option: True})
    assert len(decode(plot(0, _020=kinds), decoder=AsterixTargetDecoder("radar", options))) == 1


def test_a_track_that_ends() -> None:
    ended = block(48, {**SOURCE, "020": b"\x20", "161": b"\0\x11", "170": b"\x21\x80"})
    (track,) = decode(ended)
    assert (track.number, track.status, track.range_m) == (17, "L", None)


def test_cat010_speed_has_steps_of_a_quarter() -> None:
    record = {
        **SOURCE,
        "000": b"\1",
        "020": b"\x60",
        "040": b"\x03\xe8\0\0",
        "202": struct.pack(">hh", 0, -40),
        "161": b"\0\1",
    }
    (track,) = decode(block(10, record))
    assert (track.sog_mps, track.cog_deg) == (10.0, 180.0)


def test_time_of_the_messages_near_midnight() -> None:
    day = 19_675 * 86_400.0
    before, after = Stamp(t_s=50.0, wall_s=day - 1.0), Stamp(t_s=50.0, wall_s=day + 1.0)
    late, early = (round(86_399.0 * 128)).to_bytes(3, "big"), (128).to_bytes(3, "big")
    assert [moment_s(t, at, "message") for t in (late, early) for at in (before, after)] == [50.0, 48.0, 52.0, 50.0]
    assert moment_s(late, after, "arrival") == moment_s(None, after, "message") == 50.0


def test_callsign() -> None:
    bits = 0
    for c in "VIGIA 1 ":
        bits = bits << 6 | (ord(c) - 64 if c.isalpha() else ord(c))
    assert callsign(bits.to_bytes(6, "big")) == "VIGIA 1"
    assert callsign(bytes(6)) is callsign(None) is callsign(b"") is None


@pytest.mark.parametrize(
    "data",
    [PLOT[:-1], b"\x30\x00\x03\x30", b"\x30\x00\x04\xff", b"\x30\x00\x09" + b"\xff" * 6, b"\x30",
     block(48, {"020": b"\x20"}), block(62, SOURCE), block(62, {**SOURCE, "040": b"\0\1", "105": b"\x7f" * 8}),
     block(48, {**SOURCE, "250": b"\xff" + bytes(8)}), block(48, {**SOURCE, "RE": b"\0"}),
     block(48, {**SOURCE, "130": b"\xff"}), block(48, {**SOURCE, "170": b"\xff"})],
)  # fmt: skip
def test_a_broken_block_costs_one_error(data: bytes) -> None:
    decoder = AsterixTargetDecoder("radar")
    assert decode(data, decoder=decoder) == []
    assert decoder.counters["errors"] == 1


def test_a_stream_finds_its_place_again() -> None:
    data = b"garbage" + NORTH + PLOT + b"\0\1" + TRACK + PLOT + NORTH
    results = []
    for size in (1, 5, len(data)):
        decoder = AsterixTargetDecoder("radar")
        results.append([m for i in range(0, len(data), size) for m in decoder.decode(data[i : i + size], AT, "")])
        assert (decoder.counters["records"], decoder.counters["skipped_bytes"]) == (5, 9)
    assert results[0] == results[1] == results[2]
    assert len(results[0]) == 2


def test_what_is_asterix() -> None:
    assert is_asterix(PLOT + NORTH, (48,))
    assert not is_asterix(PLOT + NORTH, (240,))
    for data in (b"", b"$GPHDT,1,T*00", PLOT[:-1], b"\x05\x00\x04\x80", PLOT + b"\0"):
        assert not is_asterix(data, range(256))


def test_decode_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, picture = tmp_path / "plots.ast", tmp_path / "plots.png"
    path.write_bytes(NORTH + PLOT + TRACK + NORTH + PLOT)
    assert main(["decode", "asterix", str(path), "--summary", "--ppi", str(picture)]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "stream": "", "records": 5, "spokes": 0, "rotations": 2, "errors": 0, "crc32_samples": "00000000",
        "measurements": 3,
    }  # fmt: skip
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert main(["decode", "asterix", str(path), "--plots", "--option", "time=message"]) == 0
    rows = [json.loads(x) for x in capsys.readouterr().out.splitlines()]
    assert [(r["type"], r["at_s"], r["range_m"]) for r in rows] == [("plot", -43199.5, 9260.0)] * 2
    for wrong in (["nmea", "--plots"], ["ais", "--ppi", str(picture)], ["garmin"]):
        assert main(["decode", wrong[0], str(path), *wrong[1:]]) in (64, 65)


def test_targets_of_sentences_are_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, picture = tmp_path / "arpa.nmea", tmp_path / "arpa.png"
    path.write_bytes(b"$RATTM,11,11.4,13.6,T,7.0,20.0,T,0.0,0.0,N,,Q,,154125.82,A,*17\r\n")
    assert main(["decode", "nmea", str(path), "--summary", "--ppi", str(picture)]) == 0
    assert json.loads(capsys.readouterr().out)["measurements"] == 1
    assert picture.read_bytes().startswith(b"\x89PNG")


# ---------------------------------------------------------------- another decoder


def filled(layout: Any, rng: random.Random) -> bytes:
    """An item of that layout with arbitrary content; of an extended one any number of parts."""
    if isinstance(layout, int):
        return rng.randbytes(layout)
    if isinstance(layout, Extended):
        parts = [rng.randbytes(layout.first), *(rng.randbytes(layout.more) for _ in range(rng.randrange(2)))]
        last = len(parts) - 1
        return b"".join(p[:-1] + bytes((p[-1] & 0xFE | (i < last),)) for i, p in enumerate(parts))
    if isinstance(layout, Repeated):
        count = rng.randrange(1, 4)
        return bytes((count,)) + rng.randbytes(count * layout.size)
    assert isinstance(layout, Compound)
    raise AssertionError


def compounds(layout: Compound, rng: random.Random) -> list[bytes]:
    """One item for each of its parts alone, and one of all parts."""
    places = [i for i, part in enumerate(layout.parts) if part is not None]
    out = []
    # all 18 parts of CAT062's item 390 in one make asterix-decoder 0.7.11 crash: there only one by one
    for chosen in [*([p] for p in places), *([places] if len(places) != 18 else [])]:
        fspec = bytearray(chosen[-1] // 7 + 1)
        for p in chosen:
            fspec[p // 7] |= 0x80 >> p % 7
        for i in range(len(fspec) - 1):
            fspec[i] |= 1
        out.append(bytes(fspec) + b"".join(filled(layout.parts[p], rng) for p in chosen))
    return out


@pytest.mark.parametrize("category", sorted(PROFILES))
def test_every_item_is_as_long_as_another_decoder_says(category: int) -> None:
    """Each item stands between the source and a later item of known content: a wrong length would move that one."""
    rng = random.Random(category)
    items = {i[0]: i[1] for i in PROFILES[category] if i is not None and i[0] not in ("RE", "SP")}
    names = list(items)
    blocks, wanted = [], []
    for place, name in enumerate(names):
        layout = items[name]
        guard, size = next(((n, k) for n in names[place + 1 :] if isinstance(k := items[n], int)), (None, 0))
        for content in compounds(layout, rng) if isinstance(layout, Compound) else [filled(layout, rng)]:
            record = {names[0]: b"\x19\x0a", name: content}
            if guard is not None:
                record[guard] = rng.randbytes(size)
            blocks.append(block(category, record))
            wanted.append({f"I{n}" for n in record})
    script = Path(__file__).with_name("asterix_peer.py")
    done = subprocess.run(
        [peer_python("asterix-decoder"), str(script)], input="\n".join(b.hex() for b in blocks),
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    theirs = [json.loads(line) for line in done.stdout.splitlines()]
    assert [[set(r) - {"category"} for r in records] for records in theirs] == [[w] for w in wanted]
    decoder = AsterixTargetDecoder("radar")
    for data in blocks:
        assert [set(r) for r in decoder._records(data)] == [{n[1:] for n in wanted[blocks.index(data)]}]


def test_values_as_another_decoder_reads_them() -> None:
    rng = random.Random(4)
    blocks = [plot(rng.randrange(65536), _140=b"\0\1\0") for _ in range(20)]
    script = Path(__file__).with_name("asterix_peer.py")
    done = subprocess.run(
        [peer_python("asterix-decoder"), str(script)], input="\n".join(b.hex() for b in (*blocks, TRACK)),
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    theirs = [json.loads(line)[0] for line in done.stdout.splitlines()]
    ours = [decode(b)[0].plots[0] for b in blocks]
    for a, b in zip(ours, theirs, strict=False):
        assert a.bearing_deg == pytest.approx(b["I040"]["THETA"], abs=1e-9)
        assert a.range_m == pytest.approx(b["I040"]["RHO"] * 1852.0)
    (track,) = decode(TRACK)
    assert track.sog_mps == pytest.approx(theirs[-1]["I200"]["CGS"] * 1852.0 / 3600.0)
