"""The capture reader against captures written by hand from the formats, whole and damaged."""

from __future__ import annotations

import gzip
import random
import struct
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.errors import InputError, SensorUnavailable
from agent.messages import Stamp
from agent.transport.base import EndOfData
from agent.transport.pcap import MAX_PENDING, CaptureReader, Datagram, PcapTransport, is_capture
from radar.captures import block, ethernet, fragments, ipv4, ipv6, pcap, pcapng, udp

if TYPE_CHECKING:
    from pathlib import Path

T = 1_700_000_000.25
PAYLOAD = bytes(range(256)) * 67 + b"tail"  # 17,156 octets: as large as a radar's


def read(tmp_path: Path, data: bytes, **options: object) -> tuple[list[Datagram], CaptureReader]:
    path = tmp_path / "capture"
    path.write_bytes(data)
    reader = CaptureReader(path, **options)  # type: ignore[arg-type]  # options as the test names them
    return list(reader), reader


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("nano", [False, True])
def test_classic_in_both_byte_orders_and_resolutions(tmp_path: Path, order: str, nano: bool) -> None:
    got, reader = read(tmp_path, pcap([(T, ethernet(ipv4(udp(b"hello"))))], order=order, nano=nano))
    assert got == [Datagram(wall_s=T, stream="236.6.9.51:7059", src="10.0.0.7:4000", payload=b"hello")]
    assert not reader.counters["errors"]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("exponent", [3, 6, 9])
def test_pcapng_in_both_byte_orders_and_any_resolution(tmp_path: Path, order: str, exponent: int) -> None:
    packets = [(T, ethernet(ipv4(udp(b"one")))), (T + 0.5, ethernet(ipv4(udp(b"three"))))]
    got, reader = read(tmp_path, pcapng(packets, order=order, exponent=exponent))
    assert [(d.wall_s, d.payload) for d in got] == [(T, b"one"), (T + 0.5, b"three")]
    assert not reader.counters["errors"]


def test_pcapng_sections_may_change_byte_order_and_binary_resolution(tmp_path: Path) -> None:
    first = pcapng([(T, ethernet(ipv4(udp(b"a"))))], order="<")
    second = bytearray(pcapng([(T, ethernet(ipv4(udp(b"b"))))], order=">", exponent=10))
    assert second[28 + 20] == 10
    second[28 + 20] = 0x80 | 10  # 2 ** -10 s
    ticks = round(T * 1024)
    at = second.rindex(struct.pack(">II", *divmod(int(T * 4) * 10**10 // 4, 1 << 32)))
    second[at : at + 8] = struct.pack(">II", *divmod(ticks, 1 << 32))
    got, _ = read(tmp_path, first + bytes(second))
    assert [(d.wall_s, d.payload) for d in got] == [(T, b"a"), (T, b"b")]


@pytest.mark.parametrize(
    ("link", "wrap"),
    [
        (1, lambda p: ethernet(p, vlans=(0x8100,))),
        (1, lambda p: ethernet(p, vlans=(0x88A8, 0x8100))),
        (113, lambda p: bytes(14) + b"\x08\x00" + p),
        (276, lambda p: b"\x08\x00" + bytes(18) + p),
        (101, lambda p: p),
        (12, lambda p: p),
        (228, lambda p: p),
        (0, lambda p: b"\x02\x00\x00\x00" + p),
        (108, lambda p: b"\x00\x00\x00\x02" + p),
    ],
)
def test_link_types(tmp_path: Path, link: int, wrap: object) -> None:
    packet = wrap(ipv4(udp(b"hello")))  # type: ignore[operator]  # a lambda of the table above
    got, _ = read(tmp_path, pcap([(T, packet)], link=link))
    assert [d.payload for d in got] == [b"hello"]


def test_ipv6_with_extension_headers_and_fragments(tmp_path: Path) -> None:
    hop = bytes((17, 0)) + bytes(6)
    body = udp(b"x" * 40)
    parts = [struct.pack(">BBHI", 17, 0, at | (at + 16 < len(body)), 9) + body[at : at + 16] for at in (0, 16, 32)]
    packets = [ipv6(udp(b"plain")), ipv6(hop + udp(b"hop"), kind=0), *(ipv6(p, kind=44) for p in parts)]
    got, reader = read(tmp_path, pcap([(T, ethernet(p, 0x86DD)) for p in packets]))
    assert [d.payload for d in got] == [b"plain", b"hop", b"x" * 40]
    assert got[0].stream == "[ff02::5]:7059"
    assert not reader.counters["errors"]


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**32), twice=st.booleans())
def test_fragments_in_any_order_with_duplicates(
    tmp_path_factory: pytest.TempPathFactory, seed: int, twice: bool
) -> None:
    parts = fragments(udp(PAYLOAD), ident=1) + fragments(udp(PAYLOAD[::-1]), ident=2)
    if twice:
        parts += parts[3:5]  # a copy that comes after its datagram was whole starts one that never will be
    rng = random.Random(seed)
    rng.shuffle(parts)
    got, reader = read(tmp_path_factory.mktemp("f"), pcap([(T, ethernet(p)) for p in parts]))
    whole = sorted(d.payload for d in got)
    assert whole == sorted([PAYLOAD, PAYLOAD[::-1]])
    assert not reader.counters["errors"]


def test_a_lost_fragment_loses_its_datagram_only(tmp_path: Path) -> None:
    lossy = fragments(udp(PAYLOAD), ident=1)
    del lossy[5]
    packets = [*lossy, *fragments(udp(b"whole" * 1000), ident=2)]
    got, reader = read(tmp_path, pcap([(T, ethernet(p)) for p in packets]))
    assert [d.payload for d in got] == [b"whole" * 1000]
    assert reader.counters["fragments_lost"] == 1


def test_overlapping_fragments_are_refused(tmp_path: Path) -> None:
    body = udp(b"a" * 56)
    packets = [ipv4(body[:32], more=True), ipv4(b"b" * 32, offset=16, more=True), ipv4(body[48:], offset=48)]
    got, reader = read(tmp_path, pcap([(T, ethernet(p)) for p in packets]))
    assert not got
    assert reader.counters["errors"] == 1
    assert reader.counters["fragments_lost"] == 1


def test_endless_first_fragments_stay_bounded(tmp_path: Path) -> None:
    packets = [fragments(udp(PAYLOAD), ident=i)[0] for i in range(1000)]
    got, reader = read(tmp_path, pcap([(T, ethernet(p)) for p in packets]))
    assert not got
    assert reader.counters["fragments_lost"] == 1000
    with CaptureReader(tmp_path / "capture") as idle:
        for i in range(1000):
            idle._fragments.add(T, (b"", b"", i), 0, b"12345678", more=True)
        assert idle._fragments.forget() == MAX_PENDING


def test_an_identification_that_comes_round_again_does_not_mix(tmp_path: Path) -> None:
    old, new = fragments(udp(b"o" * 3000), ident=7), fragments(udp(b"n" * 3000), ident=7)
    packets = [(T, old[0]), *((T + 60.0, p) for p in new)]
    got, _ = read(tmp_path, pcap([(t, ethernet(p)) for t, p in packets]))
    assert [d.payload for d in got] == [b"n" * 3000]


def test_filters_and_other_traffic(tmp_path: Path) -> None:
    packets = [
        ethernet(ipv4(udp(b"a", port=1))), ethernet(ipv4(udp(b"b", port=2))), ethernet(ipv4(b"tcp" * 10, protocol=6)),
        ethernet(b"arp" * 10, kind=0x0806),
    ]  # fmt: skip
    data = pcap([(T, p) for p in packets])
    got, reader = read(tmp_path, data, port=2)
    assert [d.payload for d in got] == [b"b"]
    assert reader.counters["other"] == 2
    assert read(tmp_path, data, group="10.9.9.9")[0] == []
    assert len(read(tmp_path, data, group="236.6.9.51")[0]) == 2


def test_gzip_and_detection(tmp_path: Path) -> None:
    data = pcap([(T, ethernet(ipv4(udp(b"z"))))])
    got, _ = read(tmp_path, gzip.compress(data))
    assert [d.payload for d in got] == [b"z"]
    assert is_capture(tmp_path / "capture")
    (tmp_path / "text").write_bytes(b"$GPRMC,")
    assert not is_capture(tmp_path / "text")
    with pytest.raises(InputError, match="neither pcap nor pcapng"):
        CaptureReader(tmp_path / "text")
    with pytest.raises(InputError, match="cannot be opened"):
        CaptureReader(tmp_path / "absent")


def test_wrong_lengths_cost_one_count_each(tmp_path: Path) -> None:
    packets = [
        ethernet(ipv4(udp(b"good"))),
        ethernet(ipv4(udp(b"lies", length=4000))),
        ethernet(ipv4(udp(b"short", length=3))),
        ethernet(ipv4(udp(b"cut" * 100))[:60]),
        ethernet(b"\x45"),
        ethernet(b"\x41" + ipv4(udp(b"ihl"))[1:]),
        b"",
        ethernet(ipv4(udp(b"last"))),
    ]
    got, reader = read(tmp_path, pcap([(T, p) for p in packets]))
    assert [d.payload for d in got] == [b"good", b"last"]
    assert reader.counters["errors"] == 6


def test_a_hostile_record_length_ends_the_file(tmp_path: Path) -> None:
    good = pcap([(T, ethernet(ipv4(udp(b"good"))))])
    got, reader = read(tmp_path, good + struct.pack("<IIII", 1, 0, 0xFFFFFFF0, 0xFFFFFFF0))
    assert len(got) == 1
    assert reader.counters["errors"] == 1
    assert "not a capture" in reader.last_error
    ng = pcapng([(T, ethernet(ipv4(udp(b"good"))))])
    got, reader = read(tmp_path, ng + struct.pack("<II", 6, 0x7FFFFFFC))
    assert (len(got), reader.counters["errors"]) == (1, 1)
    got, reader = read(tmp_path, ng + block(6, struct.pack("<IIIII", 9, 0, 0, 4, 4) + b"abcd", "<"))
    assert "interface 9" in reader.last_error


@settings(deadline=None, max_examples=120)
@given(data=st.data(), ng=st.booleans(), zipped=st.booleans())
def test_damage_never_crashes(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, ng: bool, zipped: bool
) -> None:
    packets = [(T + i, ethernet(p)) for i, p in enumerate([*fragments(udp(b"f" * 4000)), ipv4(udp(b"x"))])]
    capture = bytearray(pcapng(packets) if ng else pcap(packets))
    for _ in range(data.draw(st.integers(0, 5))):
        capture[data.draw(st.integers(0, len(capture) - 1))] = data.draw(st.integers(0, 255))
    body = bytes(capture[: data.draw(st.integers(0, len(capture)))])
    if zipped:
        body = gzip.compress(body)
        body = body[: data.draw(st.integers(2, len(body)))]
    try:
        got, reader = read(tmp_path_factory.mktemp("d"), body)
    except InputError:
        return
    assert len(got) <= len(packets)
    assert reader.counters["packets"] <= len(packets) + 2 + len(body) // 12


class _Clock:
    """Logic time that moves when it is looked at, so that waiting needs no real time."""

    def __init__(self, step_s: float = 0.0) -> None:
        self.t_s, self.step_s = 1000.0, step_s

    def now(self) -> Stamp:
        self.t_s += self.step_s
        return Stamp(t_s=self.t_s, wall_s=self.t_s + 5e8, error_ms=3.0)


def _three(tmp_path: Path) -> Path:
    path = tmp_path / "three.pcap"
    packets = [(T, b"a"), (T + 1.0, b"b"), (T + 0.5, b"late"), (T + 3.0, b"c")]
    path.write_bytes(pcap([(t, ethernet(ipv4(udp(p)))) for t, p in packets]))
    return path


def test_transport_fast_advances_by_recorded_intervals(tmp_path: Path) -> None:
    transport = PcapTransport(_three(tmp_path), _Clock(), pace="fast", port=7059, group="236.6.9.51")
    chunks = [transport.read(0.0) for _ in range(4)]
    assert [(c.data, c.at.t_s, c.at.wall_s) for c in chunks if c] == [
        (b"a", 1000.0, 500_001_000.0), (b"b", 1001.0, 500_001_001.0), (b"late", 1001.0, 500_001_001.0),
        (b"c", 1003.0, 500_001_003.0),
    ]  # fmt: skip
    assert transport.datagrams
    assert chunks[0] is not None
    assert chunks[0].stream == "236.6.9.51:7059"
    with pytest.raises(EndOfData):
        transport.read(0.0)
    transport.close()
    transport.close()


def test_transport_real_waits_for_the_recorded_time(tmp_path: Path) -> None:
    clock = _Clock()
    transport = PcapTransport(_three(tmp_path), clock)
    first = transport.read(0.0)
    assert first is not None
    assert first.data == b"a"
    assert transport.read(0.001) is None
    clock.t_s = 1001.25
    second = transport.read(0.0)
    assert second is not None
    assert (second.data, second.at.t_s) == (b"b", 1001.25)  # stamped when released
    transport.close()
    with pytest.raises(EndOfData):
        transport.read(0.0)


def test_transport_loops_without_going_back(tmp_path: Path) -> None:
    transport = PcapTransport(_three(tmp_path), _Clock(), pace="fast", loop=True)
    chunks = [transport.read(0.0) for _ in range(9)]
    times = [c.at.t_s for c in chunks if c]
    assert "".join(c.data.decode() for c in chunks if c) == "ablatecablateca"
    assert times == sorted(times)
    assert times[4] == 1005.0  # the last interval, 2 s, stands between the rounds


def test_transport_of_a_capture_without_such_datagrams_ends(tmp_path: Path) -> None:
    transport = PcapTransport(_three(tmp_path), _Clock(), port=1, loop=True)
    with pytest.raises(EndOfData):
        transport.read(0.0)
    with pytest.raises(SensorUnavailable):
        PcapTransport(tmp_path / "absent.pcap", _Clock())
