"""What passes is in the file, byte for byte, whatever becomes of the disk."""

from __future__ import annotations

import resource
import signal
import struct
import subprocess
import sys
from collections import deque
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.drivers.nmea_all import NmeaAllDecoder
from agent.errors import InputError, SensorUnavailable
from agent.messages import Measurement, Stamp
from agent.transport.base import Chunk, EndOfData, Transport
from agent.transport.pcap import CaptureReader, PcapTransport
from agent.transport.recorder import PIECE, STREAM, RawRecorder, checksum, encapsulate
from drivers.cases import cases
from support.clock import ManualClock

WALL_S = 1_721_044_800.25


class Fed(Transport):
    """Chunks from a list, then the end; an exception in the list is raised."""

    def __init__(self, *chunks: Chunk | Exception | None) -> None:
        self._chunks = deque(chunks)
        self.closed = 0

    def read(self, timeout_s: float) -> Chunk | None:
        assert timeout_s > 0.0
        if not self._chunks:
            raise EndOfData("fed")
        chunk = self._chunks.popleft()
        if isinstance(chunk, Exception):
            raise chunk
        return chunk

    def close(self) -> None:
        self.closed += 1


def chunk(data: bytes, stream: str = "", n: float = 0.0) -> Chunk:
    return Chunk(data=data, at=Stamp(t_s=n, wall_s=WALL_S + n), stream=stream)


def drain(transport: Transport) -> list[Chunk]:
    out = []
    try:
        while True:
            got = transport.read(1.0)
            if got is not None:
                out.append(got)
    except EndOfData:
        return out


def record(path: Path, *chunks: Chunk | None) -> list[Chunk]:
    recorder = RawRecorder(Fed(*chunks), path)
    passed = drain(recorder)
    recorder.close()
    recorder.close()
    return passed


def test_datagrams_come_back_with_border_time_and_address(tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    sent = [
        chunk(b"", "239.192.0.2:60002"), chunk(b"UdPbC\0$x", "239.192.0.2:60002", 1.5),
        chunk(bytes(range(256)) * 67, "236.6.7.8:6678", 2.0), chunk(b"y" * 65_507, "127.0.0.1:1", 3.0),
        chunk(b"six", "[ff02::5]:60002", 4.0),
    ]  # fmt: skip
    assert record(path, sent[0], None, *sent[1:]) == sent
    with CaptureReader(path) as reader:
        got = [(d.payload, d.stream, d.wall_s) for d in reader]
        assert reader.counters["errors"] == 0
    assert [g[:2] for g in got] == [(c.data, c.stream) for c in sent]
    assert [g[2] for g in got] == pytest.approx([c.at.wall_s for c in sent], abs=1e-6)
    replayed = drain(PcapTransport(path, ManualClock(), pace="fast"))
    assert [(c.data, c.stream) for c in replayed] == [(c.data, c.stream) for c in sent]


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.binary(max_size=3 * PIECE) | st.sampled_from([b"\r\n", b"$x*00\r", b"\n", b"a" * 5000]), max_size=12)
)
def test_all_bytes_of_a_stream_in_their_order(tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes]) -> None:
    path = tmp_path_factory.mktemp("r") / "x.pcap"
    record(path, *(chunk(p, n=float(n)) for n, p in enumerate(pieces)))
    with CaptureReader(path) as reader:
        got = list(reader)
    assert b"".join(d.payload for d in got) == b"".join(pieces)
    assert all(0 < len(d.payload) <= PIECE and d.stream == STREAM for d in got)


@settings(deadline=None, max_examples=30)
@given(st.data())
def test_a_recorded_line_decodes_as_the_line_did(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    (case,) = cases("nmea")
    cuts = sorted(data.draw(st.lists(st.integers(0, len(case.data)), max_size=50)))
    pieces = [case.data[a:b] for a, b in zip([0, *cuts], [*cuts, len(case.data)], strict=True)]
    path = tmp_path_factory.mktemp("r") / "x.pcap"
    live, replayed = NmeaAllDecoder("line"), NmeaAllDecoder("line")
    first: list[Measurement] = []
    for c in record(path, *(chunk(p) for p in pieces)):
        first += live.decode(c.data, Stamp(t_s=0.0, wall_s=0.0), c.stream)
    second: list[Measurement] = []
    for c in drain(PcapTransport(path, ManualClock(), pace="fast")):
        second += replayed.decode(c.data, Stamp(t_s=0.0, wall_s=0.0), c.stream)
    assert second == first
    assert live.counters["errors"] == replayed.counters["errors"]


def internet_sum(data: bytes) -> int:
    """RFC 1071 as it is written: 16-bit words, carries added back."""
    data += bytes(len(data) % 2)
    total: int = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=300), st.sampled_from(["127.0.0.1:10110", "239.192.0.2:60002", "[ff02::5]:9", "0.0.0.0:1"]))
def test_checksums_are_those_of_the_rfcs(payload: bytes, stream: str) -> None:
    packet = encapsulate(payload, stream)
    if packet[0] >> 4 == 4:
        assert internet_sum(packet[:20]) == 0xFFFF
        pseudo, datagram = packet[12:20] + struct.pack(">HH", 17, len(packet) - 20), packet[20:]
    else:
        pseudo, datagram = packet[8:40] + struct.pack(">II", len(packet) - 40, 17), packet[40:]
    assert datagram[6:8] != b"\0\0"
    assert internet_sum(pseudo + datagram) in (0xFFFF, 0)
    assert checksum(payload) == ~internet_sum(payload) & 0xFFFF


def test_it_ends_before_the_file_is_too_large(tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    recorder = RawRecorder(Fed(*(chunk(b"z" * 100, "10.0.0.1:1") for _ in range(100))), path, max_bytes=2000)
    assert len(drain(recorder)) == recorder.packets == 13
    recorder.close()
    assert path.stat().st_size == recorder.size <= 2000


def test_it_writes_over_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    path.write_text("evidence")
    with pytest.raises(InputError, match="is there already"):
        RawRecorder(Fed(), path)
    assert path.read_text() == "evidence"
    with pytest.raises(InputError, match="cannot be written"):
        RawRecorder(Fed(), tmp_path / "no" / "x.pcap")


def test_a_sensor_that_went_away_is_closed_and_the_file_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    old = Fed(chunk(b"$ab"), SensorUnavailable("unplugged"))
    recorder = RawRecorder(old, path)
    assert recorder.read(1.0) is not None
    with pytest.raises(SensorUnavailable):
        recorder.read(1.0)
    assert old.closed
    recorder.resume(Fed(chunk(b"c\n")))
    drain(recorder)
    recorder.close()
    with CaptureReader(path) as reader:
        assert [d.payload for d in reader] == [b"$ab", b"c\n"]


def vigia_record(*args: str, limit: int | None = None) -> subprocess.Popen[str]:
    def limited() -> None:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    command = [sys.executable, "-m", "agent.cli.main", "record", *args]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=limited)  # noqa: PLW1509 - no threads


@pytest.fixture
def log(tmp_path: Path) -> Path:
    (case,) = cases("nmea")
    path = tmp_path / "night.nmea"
    path.write_bytes(case.data * 20)
    return path


def test_the_command_records_a_file(tmp_path: Path, log: Path) -> None:
    out = tmp_path / "out.pcap"
    process = vigia_record("--raw", f"file://{log}?pace=fast", "--out", str(out))
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    with CaptureReader(out) as reader:
        assert b"".join(d.payload for d in reader) == log.read_bytes()
    assert f"{out}: " in said


def test_a_full_disk_is_one_sentence_and_leaves_a_good_capture(tmp_path: Path, log: Path) -> None:
    out = tmp_path / "out.pcap"
    process = vigia_record("--raw", f"file://{log}?pace=fast", "--out", str(out), limit=5000)
    _, said = process.communicate(timeout=60)
    assert process.returncode == InputError.exit_code
    assert said.count("\n") == 1
    assert "free some space" in said
    with CaptureReader(out) as reader:
        got = b"".join(d.payload for d in reader)
        assert reader.counters["errors"] == 0
    assert len(got) > 2000
    assert log.read_bytes().startswith(got)


def test_the_command_ends_well_on_a_signal_and_at_its_time(tmp_path: Path, log: Path) -> None:
    url = f"file://{log}?pace=real&rate_bps=4800&loop=1"
    out = tmp_path / "out.pcap"
    process = vigia_record("--raw", url, "--out", str(out))
    while not (out.exists() and out.stat().st_size > 500):
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    timed = vigia_record("--raw", url, "--out", str(tmp_path / "timed.pcap"), "--duration", "0.2")
    assert timed.wait(60) == 0
    assert timed.communicate()[1].startswith(str(tmp_path / "timed.pcap"))


@pytest.mark.parametrize(
    ("args", "code", "sentence"),
    [
        (("--raw", "udp://:0", "--out", "x"), 78, "no number from 1 to 65535"),
        (("--raw", "udp://:10110", "--out", "x.pcap.gz"), 64, "leave .gz out"),
        (("--raw", "udp://:10110", "--out", "x", "--duration", "-1"), 64, "write seconds"),
        (("--raw", "udp://:10110", "--out", "x", "--max-bytes", "1k"), 64, "write a number of bytes"),
        (("--out", "x"), 64, "--raw"),
    ],
)
def test_what_the_command_refuses(args: tuple[str, ...], code: int, sentence: str, tmp_path: Path) -> None:
    process = vigia_record(*args)
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said.count("\n")) == (code, 1)
    assert sentence in said
