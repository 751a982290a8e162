"""URLs: what is refused, with which hint, and that no secret gets out."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.errors import ConfigError
from agent.transport import check_url, mask_url, open_transport
from agent.transport.url import parse_url
from support.clock import ManualClock

GOOD = (
    "serial:///dev/serial/by-id/usb-FTDI-if00-port0?baud=38400",
    "serial:///dev/ttyS1?baud=4800&parity=even&stopbits=2",
    "udp://239.192.0.2:60002?iface=eth1",
    "udp://239.192.0.2:60002?iface=10.0.0.5",
    "udp://127.0.0.1:10110",
    "udp://:10110",
    "udp://[ff02::5]:60002?iface=eth1",
    "tcp://10.0.0.7:10110",
    "tcp://ais-receiver.local:10110",
    "file:///var/lib/x/night.pcap?pace=fast&loop=1&port=10110&group=239.192.0.2",
    "file://night.pcapng.gz",
    "file://log%20of%20monday.nmea?rate_bps=4800",
    "file://clip.mp4?fps=5",
    "rtsp://operator:secret@10.0.0.8:554/main?profile=1",
    "https://10.0.0.8/stream#main",
    "v4l2:///dev/v4l/by-path/x?width=1280&height=720&fps=10",
)


@pytest.mark.parametrize("url", GOOD)
def test_good(url: str) -> None:
    check_url(url)


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("serail:///dev/ttyS0", 'did you mean "serial://"'),
        ("gopher://x", "known are: serial://"),
        ("/dev/ttyUSB0", "write for example serial:///dev/ttyUSB0"),
        ("serial:///dev/ttyS0?buad=4800", 'did you mean "baud"'),
        ("serial:///dev/ttyS0?baud=fast", "write for example baud=38400"),
        ("serial:///dev/ttyS0?baud=0", "no whole number from 50"),
        ("serial:///dev/ttyS0?baud=²", "no whole number"),
        ("serial:///dev/ttyS0?parity=mark", "write one of none, even, odd"),
        ("serial://dev/ttyS0", "did you mean serial:///dev/ttyS0?"),
        ("serial://", "the device is missing"),
        ("udp://239.192.0.2", "the port is missing"),
        ("udp://239.192.0.2:0", "no number from 1 to 65535"),
        ("udp://239.192.0.2:60002?interface=eth1", 'did you mean "iface"'),
        ("udp://10.0.0.5:10110?iface=eth1", "iface is for multicast groups"),
        ("udp://radar:10110", "radar is no address"),
        ("udp://a@10.0.0.5:10110", "no user or password"),
        ("tcp://:10110", "the host is missing"),
        ("tcp://10.0.0.7:70000", "no number from 1 to 65535"),
        ("tcp://10.0.0.7:nmea", "no number from 1 to 65535"),
        ("tcp://10.0.0.7:10110?baud=1", "known are: none"),
        ("file://x.pcap?pase=fast", 'did you mean "pace"'),
        ("file://x.pcap?pace=quick", "write one of real, fast"),
        ("file://x.pcap?loop=yes", "write one of 0, 1"),
        ("file://x.pcap?group=239.192", "is no IP address"),
        ("file://night#2.pcap", "write # as %23"),
        ("file://", "the file is missing"),
        ("rtsp:///main", "the host is missing"),
        ("v4l2:///dev/video0?fps=many", "write for example fps=5"),
        ("v4l2:///dev/video0?width=1", "no whole number from 16"),
        ("v4l2:///dev/video0?size=1", "known are: width, height, fps"),
        ("udp://[::1:10110", "look at its brackets"),
    ],
)
def test_bad_is_one_sentence_with_a_hint(url: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as e:
        check_url(url)
    assert sentence in str(e.value)
    assert "\n" not in str(e.value)


def test_a_camera_is_not_opened_as_bytes() -> None:
    with pytest.raises(ConfigError, match="camera's address"):
        open_transport("rtsp://a:secret@10.0.0.8/main", ManualClock())


def test_numbers_and_paths() -> None:
    u = parse_url("file://log%20of/monday.nmea?rate_bps=4800")
    assert (u.path, u.number("rate_bps", 1), u.number("port", 7), u.choice("pace")) == (
        "log of/monday.nmea",
        4800,
        7,
        "real",
    )


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://operator:hunter2@10.0.0.8:554/main", "rtsp://***@10.0.0.8:554/main"),
        ("rtsp://operator@10.0.0.8/main", "rtsp://***@10.0.0.8/main"),
        ("rtsp://operator:hun/t#e?r2@10.0.0.8/main", "rtsp://***@10.0.0.8/main"),
        ("rtsp://operator:hun@ter2@10.0.0.8/main", "rtsp://***@10.0.0.8/main"),
        ("http://10.0.0.8/x?user=a&password=hunter2&w=1", "http://10.0.0.8/x?user=***&password=***&w=1"),
        ("http://10.0.0.8/x?Auth_Token=hunter2", "http://10.0.0.8/x?Auth_Token=***"),
        ("udp://239.192.0.2:60002?iface=eth1", "udp://239.192.0.2:60002?iface=eth1"),
        ("cannot open rtsp://a:hunter2@h/x: refused", "cannot open rtsp://***@h/x: refused"),
    ],
)  # fmt: skip
def test_masked(url: str, shown: str) -> None:
    assert mask_url(url) == shown


SECRET = st.text(st.sampled_from("abz09/:#?@%&=[]é"), min_size=4, max_size=10).map(lambda s: f"Q{s}Q")


@settings(deadline=None, max_examples=200)
@given(SECRET, st.sampled_from(["rtsp", "http", "tcp", "udp", "rstp", "file"]), st.sampled_from(["host:80", "h:x", ""]))
def test_no_error_shows_a_password(secret: str, scheme: str, host: str) -> None:
    url = f"{scheme}://operator:{secret}@{host}/main"
    try:
        check_url(url)
        sentence = ""
    except ConfigError as e:
        sentence = str(e)
    for text in (sentence, mask_url(url)):
        assert secret not in text
        assert "operator" not in text
        assert not any(piece in text for piece in (secret[:4], secret[-4:]))
