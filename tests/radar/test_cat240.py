"""CAT240 video: every depth of cells, compressions, split radials, two radars, hostile messages, another decoder."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import random
import struct
import subprocess
import tracemalloc
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.cli.main import main
from agent.drivers.radar.cat240 import Cat240Decoder, Cat240Options, expand, middle_deg
from agent.errors import ProtocolError
from agent.messages import Stamp
from radar.asterix_packer import block, summary, video
from radar.captures import ethernet, ipv4, pcap, udp
from radar.spokes import navico_frame, navico_spoke
from support.peers import peer_python

if TYPE_CHECKING:
    from agent.drivers.radar.video import Spoke

AT = Stamp(t_s=5.0, wall_s=1.7e9)
PORT = "232.1.1.31:21131"
RAMP = bytes(range(100))
RECORDINGS = ("res8_femto", "res4_femto", "res8_femto_zlib", "res8_nano")


def decode(*messages: bytes, decoder: Cat240Decoder | None = None, stream: str = PORT, **options: Any) -> list[Spoke]:
    decoder = decoder or Cat240Decoder("radar", Cat240Options(**options))
    return [*(s for m in messages for s in decoder.decode(m, AT, stream)), *decoder.flush(AT)]


@pytest.mark.parametrize(
    ("resolution", "octets", "cells"),
    [
        (1, "b0c0", [1, 0, 1, 1, 0, 0, 0, 0, 1, 1]),
        (2, "e41b", [3, 2, 1, 0, 0, 1, 2]),
        (3, "12340f", [1, 2, 3, 4, 0]),
        (4, "00ff80", [0, 255, 128]),
        (5, "ff0180010000", [255, 128, 0]),
        (6, "ff00000080ffffff", [255, 128]),
    ],
)
@pytest.mark.parametrize("blocks", [4, 64, 256])
def test_depths(resolution: int, octets: str, cells: list[int], blocks: int) -> None:
    (spoke,) = decode(video(bytes.fromhex(octets), len(cells), resolution=resolution, blocks=blocks))
    assert spoke.samples.tolist() == cells
    assert not spoke.samples.flags.writeable
    assert spoke.top_level == {1: 1, 2: 3, 3: 15}.get(resolution, 255)


def test_nearer_cells_in_the_low_bits() -> None:
    (spoke,) = decode(video(b"\x12\x34", 4, resolution=3), nearest="low")
    assert spoke.samples.tolist() == [2, 1, 4, 3]


@pytest.mark.parametrize(("nano", "cell"), [(False, 33_356_410), (False, 0xFFFFFFFF), (True, 33)])
def test_range_is_that_of_the_last_cells_far_edge(nano: bool, cell: int) -> None:
    (spoke,) = decode(video(RAMP, 100, nano=nano, cell=cell))
    seconds = cell * (1e-9 if nano else 1e-15)
    assert spoke.range_m == pytest.approx(100 * seconds * 299_792_458 / 2)
    (later,) = decode(video(RAMP, 100, nano=nano, cell=cell, start=40))
    assert later.range_m == pytest.approx(1.4 * spoke.range_m)
    assert later.samples.tolist() == [0] * 40 + list(RAMP)


@pytest.mark.parametrize("pack", [zlib.compress, gzip.compress, bz2.compress, lzma.compress,
                                  lambda d: lzma.compress(d, lzma.FORMAT_ALONE),
                                  lambda d: zlib.compressobj(9, zlib.DEFLATED, -15).compress(d) + b""])  # fmt: skip
def test_compressions(pack: Any) -> None:
    cells = RAMP * 20
    packed = pack(cells)
    if not packed:  # bare deflate gives its octets at the end only
        deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
        packed = deflate.compress(cells) + deflate.flush()
    (spoke,) = decode(video(packed, len(cells), packed=True))
    assert spoke.samples.tobytes() == cells


def test_a_compression_bomb_expands_to_what_is_stated() -> None:
    bomb = zlib.compress(bytes(100 << 20), 9)[:60_000]
    tracemalloc.start()
    try:
        (spoke,) = decode(video(bomb, 5000, packed=True, blocks=256))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(spoke.samples) == 5000
    assert peak < 4 << 20


@pytest.mark.parametrize(
    ("data", "said"),
    [(b"\x28\xb5\x2f\xfd..", "zstd"), (b"\x04\x22\x4d\x18..", "lz4"), (b"\xff\xff", "deflate"), (b"", "expands to 0")],
)
def test_compressions_that_cannot_be_undone(data: bytes, said: str) -> None:
    with pytest.raises(ProtocolError, match=said):
        expand(data, 100)


def test_headings() -> None:
    message = video(RAMP, 100)
    assert decode(message)[0].heading_deg == 0.0
    assert decode(message, heading_deg=12.0)[0].heading_deg == 12.0
    assert decode(message, zero="bow", heading_deg=12.0)[0].heading_deg == 12.0
    decoder = Cat240Decoder("radar", Cat240Options(zero="bow"))
    assert decode(message, decoder=decoder)[0].heading_deg is None
    assert decoder.counters["no_heading"] == 1


@pytest.mark.parametrize("order", ["unknown first", "whole first"])
def test_split_radials_are_one_spoke(order: str) -> None:
    places = [(10, 0), (10, 100), (10, 200), (20, 0), (20, 100), (20, 200)]
    parts = [video(RAMP, 100, number=n, azimuth=az, start=start) for n, (az, start) in enumerate(places, 2)]
    decoder = Cat240Decoder("radar")
    if order == "whole first":
        parts = [video(RAMP, 100, number=0, azimuth=0), video(RAMP, 100, number=1, azimuth=5), *parts]
    spokes = decode(*parts, decoder=decoder)
    assert [len(s.samples) for s in spokes][-2:] == [300, 300]
    assert spokes[-1].samples.tobytes() == RAMP * 3
    # a stream that was whole so far has given the first part before it could know of the others
    assert len(spokes) == (2 if order == "unknown first" else 5)
    assert decoder.counters["radials_joined"] == 4
    assert decoder.counters["holes"] == decoder.counters["spokes_lost"] == 0


def test_a_missing_part_is_zeros() -> None:
    decoder = Cat240Decoder("radar")
    (spoke,) = decode(video(RAMP, 100, number=1), video(RAMP, 100, number=3, start=200), decoder=decoder)
    assert spoke.samples.tobytes() == RAMP + bytes(100) + RAMP
    assert (decoder.counters["holes"], decoder.counters["spokes_lost"]) == (1, 1)


def test_loss_repetition_and_disorder_are_counted() -> None:
    decoder = Cat240Decoder("radar")
    numbers = [2**32 - 2, 2**32 - 1, 0, 3, 3, 2, 4, 900_000]
    spokes = decode(*(video(RAMP, 100, number=n, azimuth=16 * i) for i, n in enumerate(numbers)), decoder=decoder)
    assert [s.scan_number for s in spokes] == numbers
    c = decoder.counters
    assert (c["spokes_lost"], c["spokes_repeated"], c["spokes_late"], c["spokes_restarts"]) == (1, 1, 1, 1)


@settings(max_examples=60, deadline=None)
@given(st.randoms(use_true_random=False), st.sampled_from([0, 2**32 - 150]))
def test_what_is_counted_as_lost_is_what_never_came(rng: random.Random, first: int) -> None:
    per_turn = 128
    kept = [0, *(n for n in range(1, 300) if rng.random() < 0.9)]
    # each comes up to 15 places later than it was sent; nothing before the first, so that it is known what was lost
    delayed = sorted((n + rng.randrange(16), i, n) for i, n in enumerate([*kept, *rng.choices(kept, k=20)]))
    sent = [0, *(n for _, _, n in delayed if n)]
    decoder = Cat240Decoder("radar")
    messages = (video(RAMP, 100, number=(first + n) % 2**32, azimuth=n % per_turn * 512) for n in sent)
    assert len(decode(*messages, decoder=decoder)) == len(sent)
    c = decoder.counters
    assert c["spokes_lost"] == max(sent) + 1 - len(set(sent))
    assert c["spokes_repeated"] == len(sent) - len(set(sent))
    assert c["spokes_restarts"] == 0
    assert c["turns"] == max(sent) // per_turn


def test_a_late_spoke_is_taken_off_its_own_turn() -> None:
    decoder = Cat240Decoder("radar")
    for n in [*range(28), 30, 29, *range(31, 38), 39, 40, 38, 42, 43]:
        at = Stamp(t_s=n * 0.25, wall_s=0.0)
        list(decoder.decode(video(RAMP, 100, number=n, azimuth=n % 10 * 6553), at, PORT))
        if n == 40:
            assert decoder.gauges["turn_lost"] == 1.0
            assert decoder.counters["spokes_lost"] == 2
    assert decoder.gauges["turn_lost"] == 0.0  # 38 came after the turn's end; 41 is of the turn that has begun
    assert decoder.counters["spokes_lost"] == 2  # 28, 41


@pytest.mark.parametrize(
    ("start", "end", "degrees"),
    [(0, 0, 0.0), (0, 16, 8), (65528, 8, 0.0), (8, 65528, 0.0), (16, 0, 8), (100, 40_000, 100), (65535, 0, 65535.5)],
)
def test_the_middle_of_a_radial(start: int, end: int, degrees: float) -> None:
    assert middle_deg(start, end) == pytest.approx(degrees * 360.0 / 65536.0)


def test_two_radars_on_one_port_are_two_sources_and_streams() -> None:
    messages = [video(RAMP, 100, number=n, azimuth=16 * n, source=(1, s)) for n in range(3) for s in (7, 8)]
    decoder = Cat240Decoder("radar")
    spokes = decode(*messages, decoder=decoder)
    assert {(s.source, s.stream) for s in spokes} == {("radar", PORT), ("radar/2", f"{PORT}/1.8")}
    assert decoder.counters["spokes_lost"] == 0


def test_turns() -> None:
    decoder = Cat240Decoder("radar")
    for n in range(40):
        at = Stamp(t_s=n * 0.25, wall_s=0.0)
        list(decoder.decode(video(RAMP, 100, number=n + (n > 24), azimuth=n % 10 * 6553), at, PORT))
    assert decoder.counters["turns"] == 3
    assert decoder.gauges == {"turn_s": 2.5, "turn_jitter_s": 0.0, "turn_spokes": 10.0, "turn_lost": 1.0}


def test_video_that_calls_itself_a_summary_and_a_summary() -> None:
    decoder = Cat240Decoder("radar")
    assert len(decode(video(RAMP, 100, kind=1), summary("X band 2 kHz"), decoder=decoder)) == 1
    assert decoder.summary == "X band 2 kHz"


def test_a_stream_without_datagrams_finds_its_place_again() -> None:
    messages = b"".join(video(RAMP, 100, number=n, azimuth=16 * n) for n in range(20))
    data = b"\x00\x01\xff\xff" + messages + b"\x05\x06" + messages
    for size in (1, 7, 1000, len(data)):
        decoder = Cat240Decoder("radar")
        spokes = decode(*(data[i : i + size] for i in range(0, len(data), size)), decoder=decoder, stream="")
        assert len(spokes) == 40
        assert decoder.counters["errors"] == 2


@pytest.mark.parametrize(
    "message",
    [
        video(RAMP, 101),
        video(RAMP, 0xFFFFFF),
        video(RAMP, 100, start=0xFFFFFFFF),
        video(RAMP, 100, valid=0xFFFF),
        video(RAMP, 100, valid=50),
        video(RAMP, 100, resolution=7),
        video(RAMP, 100, resolution=0),
        video(RAMP, 100, packed=True),
        video(RAMP, 100, nano=True, cell=0xFFFFFFFF),
        video(RAMP, 100, nano=True, cell=66_800),
        video(RAMP, 100)[:-1],
        video(RAMP, 100) + b"\xf0",
        b"\xf0\x00\x02",
        b"\xf0\xff\xff\xe7",
        b"\xf0\x00\x0a" + b"\xff" * 7,
        b"\xf0\x00\x05\xe7\xc8",
        block(240, {"010": b"\1\2", "000": b"\2"}),
        block(240, {"000": b"\2"}),
        block(240, {"010": b"\1\2", "000": b"\2", "RE": b"\0"}),
        block(240, {"010": b"\1\2", "000": b"\2", "SP": b"\xff\1"}),
    ],
)
def test_a_broken_message_costs_one_error(message: bytes) -> None:
    decoder = Cat240Decoder("radar")
    decode(message, decoder=decoder)
    assert decoder.counters["errors"] == 1
    assert decoder.last_error


@pytest.mark.parametrize("cell", [66_600, 66_800])
def test_what_no_radar_sees_is_refused(cell: int) -> None:
    decoder = Cat240Decoder("radar")
    spokes = decode(video(RAMP, 100, nano=True, cell=cell), decoder=decoder)
    assert [s.range_m < 1e6 for s in spokes] == [True] * (cell < 66_700)
    assert ("are no radar's" in decoder.last_error) == (cell > 66_700)


def test_radars_without_end_are_refused() -> None:
    decoder = Cat240Decoder("radar")
    decode(*(video(RAMP, 100, source=(n // 256, n % 256)) for n in range(1000)), decoder=decoder)
    assert decoder.counters["errors"] == 1000 - 16


@settings(deadline=None, max_examples=60)
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from([1, 1, 1, 1, 0, 3]), st.sampled_from([16, 16, 16, 0, 40_000]), st.sampled_from([3, 4]),
            st.sampled_from([7, 8, 9]), st.sampled_from([0, 0, 0, 0, 20]), st.sampled_from([False, False, False, True]),
        ),
        max_size=30,
    ),
    options=st.sampled_from([{}, {"nearest": "low"}, {"time": "message"}, {"range_bias_m": 5.0}, {"zero": "bow"}]),
)  # fmt: skip
def test_the_short_way_for_the_usual_message_gives_what_the_long_way_gives(
    steps: list[tuple[int, int, int, int, int, bool]], options: dict[str, Any]
) -> None:
    usual, long = (Cat240Decoder("radar", Cat240Options(**options)) for _ in range(2))
    number, azimuth = 2, 0
    steps = [(1, 16, 4, 9, 0, False)] * 2 + steps  # whole radials, as the stream of nearly every radar begins
    for step, turned, resolution, cells, start, cut in steps:
        number, azimuth = number + step, (azimuth + turned) % 65536
        fields: dict[str, Any] = {"number": number, "azimuth": azimuth, "resolution": resolution, "start": start}
        octets = bytes((37 * n + number) % 256 for n in range(-(-cells * (4 if resolution == 3 else 8) // 8)))
        message = video(octets, cells, **fields)[: -5 if cut else None]
        other = video(octets, cells, **fields, extra={"SP": b"\x02\x00"})[: -5 if cut else None]  # never the short way
        a, b = list(usual.decode(message, AT, PORT)), list(long.decode(other, AT, PORT))
        assert [(s[:6], s.samples.tolist(), s[7:]) for s in a] == [(s[:6], s.samples.tolist(), s[7:]) for s in b]
        assert not any(s.samples.flags.writeable for s in a)
    assert {**usual.counters, "bytes": 0} == {**long.counters, "bytes": 0}


@settings(deadline=None, max_examples=60)
@given(
    cells=st.lists(st.integers(0, 255), min_size=1, max_size=300).map(bytes),
    azimuth=st.integers(0, 65535), start=st.integers(0, 1000), cell=st.integers(1, 2**32 - 1),
    blocks=st.sampled_from([4, 64]), nano=st.booleans(), tod=st.sampled_from([None, 0, 0xA8BFFF]),
)  # fmt: skip
def test_what_is_packed_comes_out(
    cells: bytes, azimuth: int, start: int, cell: int, blocks: int, nano: bool, tod: int | None
) -> None:
    cell = 1 + cell % 5000 if nano else cell  # longer cells add up to what no radar sees
    message = video(
        cells, len(cells), azimuth=azimuth, start=start, cell=cell, blocks=blocks, nano=nano, tod=tod, number=azimuth
    )
    (spoke,) = decode(message)
    assert spoke.samples.tobytes() == bytes(start) + cells
    assert spoke.angle_deg == pytest.approx((azimuth + 8) % 65536 * 360 / 65536)
    assert spoke.range_m == pytest.approx(cell * (1e-9 if nano else 1e-15) * (start + len(cells)) * 149_896_229)
    same = message[:3] + message[3:]
    longer = struct.pack(">BH", 240, 2 * len(message) - 3) + message[3:] + message[3:]  # two records in one block
    assert [s.samples.tobytes() for s in decode(longer)] == [s.samples.tobytes() for s in decode(same, same)]


# ---------------------------------------------------------------- real video, and another decoder


def messages_of(field_data: Path, name: str) -> list[bytes]:
    data = gzip.decompress((field_data / "radar" / f"cat240_from_halo_{name}.ast.gz").read_bytes())
    out = []
    while data:
        size = int.from_bytes(data[1:3], "big")
        out.append(data[:size])
        data = data[size:]
    return out


@pytest.mark.field
@pytest.mark.parametrize("name", RECORDINGS)
def test_a_real_turn_in_four_codings(field_data: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    first = np.load(field_data / "radar" / "navico_halo24_nmea_ais_waddenzee_first.npz")
    levels = first["px"] if "res4" in name else (first["px"] * 17).astype(np.uint8)
    path = str(field_data / "radar" / f"cat240_from_halo_{name}.ast.gz")
    assert main(["decode", "cat240", path, "--summary"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "stream": "", "records": 2048, "spokes": 2048, "rotations": 1, "errors": 0,
        "crc32_samples": f"{zlib.crc32(levels.tobytes()):08x}",
    }  # fmt: skip
    spokes = decode(*messages_of(field_data, name))
    # the header's azimuths reach from this spoke's angle to the next one's, two units on
    assert [round(s.angle_deg * 4096 / 360 - 1) % 4096 for s in spokes] == first["angle"].tolist()
    assert {round(s.range_m / 25465, 6) for s in spokes} == {0.99456 if "nano" in name else 1.0}
    assert all(np.array_equal(s.samples, row) for s, row in zip(spokes, levels, strict=True))


@pytest.mark.field
def test_the_same_picture_gives_the_same_plots(field_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plots = {}
    for name in RECORDINGS[:3]:
        path = str(field_data / "radar" / f"cat240_from_halo_{name}.ast.gz")
        assert main(["decode", "cat240", path, "--plots"]) == 0
        plots[name] = [json.loads(x) for x in capsys.readouterr().out.splitlines()]
        assert len(plots[name]) > 100
    assert plots["res8_femto"] == plots["res8_femto_zlib"]
    assert (
        abs(len(plots["res8_femto"]) - len(plots["res4_femto"])) <= 5
    )  # levels that scale to between two of the others


def peer(messages: list[bytes]) -> list[list[dict[str, Any]]]:
    """What asterix-decoder makes of the same blocks."""
    script = Path(__file__).with_name("asterix_peer.py")
    text = "\n".join(m.hex() for m in messages)
    done = subprocess.run(
        [peer_python("asterix-decoder"), str(script)], input=text, capture_output=True, text=True, check=True
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def as_the_peer_says(spokes: list[Spoke], records: list[list[dict[str, Any]]]) -> None:
    for spoke, (r,) in zip(spokes, records, strict=True):
        header = r.get("I041") or r["I040"]
        width = (header["END_AZ"] - header["START_AZ"]) % 360.0
        assert spoke.angle_deg == pytest.approx((header["START_AZ"] + width / 2.0) % 360.0, abs=1e-9)
        assert spoke.scan_number == r["I020"]["MSG_INDEX"]
        octets = "".join(x["VIDEO"] for x in r.get("I050") or r.get("I051") or r["I052"])
        valid = bytes.fromhex(octets)[: r["I049"]["NB_VB"]]
        if r["I048"]["C"]:
            valid = zlib.decompress(valid)
        if r["I048"]["RES"] == 3:
            valid = bytes(x for b in valid for x in (b >> 4, b & 15))
        assert spoke.samples.tobytes() == valid[: r["I049"]["NB_CELLS"]]


def test_hand_written_messages_as_another_decoder_reads_them() -> None:
    messages = [
        video(RAMP, 100, number=1, azimuth=0x1234),
        video(RAMP, 100, number=2, blocks=64, cell=77),
        video(RAMP, 100, number=3, blocks=256, nano=True, cell=33),
        video(b"\x12\x34", 4, number=4, resolution=3, tod=None),
        video(zlib.compress(RAMP), 100, number=5, packed=True),
    ]
    as_the_peer_says(decode(*messages), peer(messages))


@pytest.mark.field
@pytest.mark.parametrize("name", RECORDINGS)
def test_real_video_as_another_decoder_reads_it(field_data: Path, name: str) -> None:
    messages = messages_of(field_data, name)[::8]
    as_the_peer_says(decode(*messages), peer(messages))


def test_what_stands_before_a_broken_record_of_a_block_counts() -> None:
    message = video(RAMP, 100)[3:]
    data = struct.pack(">BH", 240, 3 + 2 * len(message) - 1) + message + message[:-1]
    for stream in (PORT, ""):
        decoder = Cat240Decoder("radar")
        assert len(decode(data, decoder=decoder, stream=stream)) == 1
        assert (decoder.counters["records"], decoder.counters["errors"]) == (1, 1)


def test_a_capture_of_several_protocols_shows_this_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mixed.pcap"
    packets = [b"$HEHDT,10.0,T*15\r\n", navico_frame(navico_spoke()), bytes(50)]
    frames = [(float(n), ethernet(ipv4(udp(p, 2000 + n)))) for n, p in enumerate(packets)]
    frames += [(5.0 + n, ethernet(ipv4(udp(video(RAMP, 100, number=n, azimuth=n * 16), 21131)))) for n in range(3)]
    path.write_bytes(pcap(frames))
    assert main(["decode", "cat240", str(path), "--summary"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    out = json.loads(line)
    assert (out["stream"], out["records"], out["spokes"], out["errors"]) == ("236.6.9.51:21131", 3, 3, 0)
