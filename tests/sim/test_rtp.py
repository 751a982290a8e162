"""Packets and messages of the camera's RTSP server, without a socket."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware_sim.devices import h264, rtp, rtsp_message
from hardware_sim.devices.rtsp_message import BadRequest, Transport
from hardware_sim.errors import DeviceError
from sim.rtsp_client import nals_of

NAL = st.tuples(st.integers(1, 23), st.integers(0, 3), st.binary(min_size=1, max_size=6000)).map(
    lambda n: bytes((n[1] << 5 | n[0],)) + n[2]
)


@given(st.lists(NAL, min_size=1, max_size=4))
def test_a_picture_is_put_together_as_it_was(nals: list[bytes]) -> None:
    parts = rtp.payloads(tuple(nals))
    assert max(map(len, parts)) <= rtp.PAYLOAD_BYTES
    assert nals_of(parts) == nals


@pytest.mark.parametrize("size", [1399, 1400, 1401, 1 + 2 * 1398, 2 + 2 * 1398])
def test_at_the_edges_of_a_packet(size: int) -> None:
    nal = b"\x65" + bytes(size - 1)
    parts = rtp.payloads((nal,))
    assert nals_of(parts) == [nal]
    assert len(parts) == (1 if size <= 1400 else -(-(size - 1) // 1398))


def test_numbers_wrap() -> None:
    data = rtp.packet(b"x", sequence=65_536 + 7, ticks=(1 << 32) + 9, ssrc=0xCAFE, marker=True)
    assert data == bytes.fromhex("80e00007 00000009 0000cafe") + b"x"


def test_a_report_says_when_and_how_much() -> None:
    data = rtp.sender_report(ssrc=1, unix_s=1_750_000_000.25, ticks=5, packets=6, octets=7)
    first, kind, words, ssrc, seconds, fraction, ticks, packets, octets = struct.unpack_from(">BBHIIIIII", data)
    assert (first, kind, words, ssrc) == (0x80, 200, 6, 1)
    assert (seconds, fraction) == (1_750_000_000 + 2_208_988_800, 1 << 30)
    assert (ticks, packets, octets) == (5, 6, 7)
    assert data[28:30] == bytes((0x81, 202))
    assert len(data) == 28 + 4 * (1 + struct.unpack_from(">H", data, 30)[0])
    assert b"\x01\x10camera@127.0.0.1\x00" in data


@given(st.binary(max_size=300))
def test_a_head_is_a_request_or_a_bad_one(head: bytes) -> None:
    for prefix in (b"", b"PLAY rtsp://h/camera RTSP/1.0\r\nCSeq: 1\r\n"):
        try:
            asked = rtsp_message.request(prefix + head)
        except BadRequest:
            continue
        assert asked.cseq.isdigit()


def test_a_request_is_taken_apart() -> None:
    asked = rtsp_message.request(b"SETUP rtsp://h:1/camera/track0/?a=b RTSP/1.0\r\ncseq:  7 \r\nX-A: 1\r\nx-a: 2")
    assert (asked.method, asked.path, asked.cseq) == ("SETUP", "/camera/track0", "7")
    assert asked.headers["x-a"] == "1, 2"
    assert asked.body_bytes == 0


@pytest.mark.parametrize(
    ("header", "meant"),
    [
        ("RTP/AVP/TCP;unicast;interleaved=2-3", Transport(tcp=True, pair=(2, 3))),
        ("RTP/AVP/TCP", Transport(tcp=True, pair=(0, 1))),
        ("RTP/AVP;unicast;client_port=5000-5001", Transport(tcp=False, pair=(5000, 5001))),
        ("RTP/AVP/UDP;unicast;client_port=5000;mode=play", Transport(tcp=False, pair=(5000, 5001))),
        ("RTP/AVP;multicast, RTP/AVP/TCP;interleaved=0-1", Transport(tcp=True, pair=(0, 1))),
        ("RTP/AVP;unicast", None),
        ("RTP/AVP;unicast;client_port=65535-65536", None),
        ("RTP/AVP/TCP;interleaved=255-256", None),
        ("RTP/AVP/TCP;interleaved=3-3", None),
        ("RTP/SAVP;unicast;client_port=5000-5001", None),
        ("RTP/AVP;multicast;client_port=5000-5001", None),
        ("", None),
    ],
)
def test_wishes_for_a_transport(header: str, meant: Transport | None) -> None:
    assert rtsp_message.transport(header) == meant


@given(st.text(max_size=80))
def test_any_wish_is_met_or_not(header: str) -> None:
    wish = rtsp_message.transport(header)
    assert wish is None or wish.pair[0] != wish.pair[1]


def test_a_live_encoder_gives_every_picture_at_once_and_keys_when_asked() -> None:
    rng = np.random.default_rng(1)
    pictures = [rng.integers(0, 255, (48, 64, 3), np.uint8) for _ in range(30)]

    def units() -> list[h264.Unit]:
        encoder = h264.Encoder(64, 48, 10.0)
        out = []
        for k, picture in enumerate(pictures):
            encoder.keys_wanted += 2 * (k == 5)
            out.append(encoder.encode(picture, 1_000_000 + 9000 * k))
        return out

    made = units()
    assert [k for k, u in enumerate(made) if u.key] == [0, 5, 6, 16, 26]  # asked for, and every second
    assert [n[0] & 31 for n in made[5].nals][:2] == [h264.NAL_SPS, h264.NAL_PPS]
    assert [u.ticks for u in made] == [1_000_000 + 9000 * k for k in range(30)]
    assert made == units(), "the same pictures, other bytes"


def test_times_that_do_not_rise_do_not_end_the_stream() -> None:
    encoder = h264.Encoder(64, 48, 10.0)
    picture = np.zeros((48, 64, 3), np.uint8)
    assert [encoder.encode(picture, t).ticks for t in (100, 100, 50, 9000)] == [100, 101, 102, 9000]


def test_sizes_that_h264_cannot_have() -> None:
    assert h264.why_not(1280, 720) is None
    assert "even" in str(h264.why_not(1281, 720))
    with pytest.raises(DeviceError, match="40000"):
        h264.Encoder(40_000, 40_000, 10.0).parameter_sets()
