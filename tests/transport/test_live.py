"""Transports on real ports: a pty pair under pyserial, loopback sockets, files by the clock."""

from __future__ import annotations

import contextlib
import gzip
import os
import pty
import socket
import threading
import tty
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

from agent.clock import SystemClock
from agent.errors import ConfigError, InputError, SensorUnavailable
from agent.transport import open_transport
from agent.transport.base import Chunk, EndOfData, Transport
from support.clock import ManualClock

SOON_S = 20.0  # more than anything here takes; nothing waits for it to pass
CLOCK = SystemClock()


@contextlib.contextmanager
def opened(url: str) -> Iterator[Transport]:
    transport = open_transport(url, CLOCK)
    try:
        yield transport
    finally:
        transport.close()
        transport.close()


def take(transport: Transport, size: int) -> bytes:
    """At least `size` bytes."""
    got = b""
    while len(got) < size:
        chunk = transport.read(SOON_S)
        assert chunk is not None, f"only {len(got)} of {size} bytes"
        got += chunk.data
    return got


def until_gone(transport: Transport) -> str:
    """The sentence with which it ends; what still comes before is passed over."""
    try:
        while True:
            transport.read(0.01)
    except SensorUnavailable as e:
        return str(e)


def closed_while_reading(transport: Transport) -> list[str]:
    """How a read that waits ends when another thread closes: by None or by one of our exceptions."""
    ends: list[str] = []
    reading = threading.Event()

    def reader() -> None:
        reading.set()
        try:
            ends.append(repr(transport.read(SOON_S * 10)))
        except (SensorUnavailable, EndOfData) as e:
            ends.append(type(e).__name__)

    thread = threading.Thread(target=reader)
    thread.start()
    reading.wait()
    transport.close()
    thread.join(SOON_S)
    assert not thread.is_alive(), "close does not end a pending read"
    with pytest.raises((SensorUnavailable, EndOfData)):
        transport.read(0.0)
    return ends


# ---------------------------------------------------------------- serial


class Line:
    """A serial line: a pty whose device end bears a name that outlives it, as udev's links do."""

    def __init__(self, link: Path) -> None:
        self.link = link
        self.plug()

    def plug(self) -> None:
        self.device, self._end = pty.openpty()
        tty.setraw(self._end)
        self.link.symlink_to(os.ttyname(self._end))

    def hang_up(self) -> None:
        os.close(self._end)
        os.close(self.device)
        self.link.unlink()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self.hang_up()


def test_serial_bytes_both_ways(tmp_path: Path) -> None:
    data = bytes(range(256)) * 8  # all of them: no line discipline eats any
    with Line(tmp_path / "radar") as line, opened(f"serial://{line.link}?baud=38400") as transport:
        assert transport.read(0.0) is None
        os.write(line.device, data)
        assert take(transport, len(data)) == data
        transport.write(b"$PFEC\r\n")
        assert os.read(line.device, 100) == b"$PFEC\r\n"
        os.write(line.device, b"x")
        chunk = transport.read(SOON_S)
        assert chunk is not None
        assert (chunk.data, chunk.stream, transport.datagrams) == (b"x", "", False)
        assert abs(chunk.at.t_s - CLOCK.now().t_s) < SOON_S


def test_serial_hang_up_and_return(tmp_path: Path) -> None:
    with Line(tmp_path / "radar") as line:
        url = f"serial://{line.link}?baud=4800"
        with opened(url) as transport:
            os.write(line.device, b"before")
            assert take(transport, 6) == b"before"
            line.hang_up()
            assert "radar" in until_gone(transport)
        with pytest.raises(SensorUnavailable, match=r"cannot be opened: No such file.*check device"):
            open_transport(url, CLOCK)
        line.plug()
        with opened(url) as transport:
            os.write(line.device, b"after")
            assert take(transport, 5) == b"after"


def test_serial_that_is_silent_and_gone_from_dev(tmp_path: Path) -> None:
    with Line(tmp_path / "radar") as line, opened(f"serial://{line.link}") as transport:
        line.link.rename(tmp_path / "elsewhere")
        assert "unplugged" in until_gone(transport)
        line.link.symlink_to("nothing")


def test_serial_has_one_reader(tmp_path: Path) -> None:
    with (
        Line(tmp_path / "radar") as line,
        opened(f"serial://{line.link}"),
        pytest.raises(SensorUnavailable, match="other programs"),
    ):
        open_transport(f"serial://{line.link}", CLOCK)


def test_serial_closed_while_reading(tmp_path: Path) -> None:
    with Line(tmp_path / "radar") as line:
        assert closed_while_reading(open_transport(f"serial://{line.link}", CLOCK))
        with opened(f"serial://{line.link}") as again:
            os.write(line.device, b"x")
            assert take(again, 1) == b"x"


def test_serial_on_something_else(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no line")
    with pytest.raises(SensorUnavailable, match="cannot be opened"):
        open_transport(f"serial://{tmp_path / 'file'}", CLOCK)


# ---------------------------------------------------------------- UDP


def free_port(kind: socket.SocketKind) -> int:
    with socket.socket(socket.AF_INET, kind) as s:
        s.bind(("127.0.0.1", 0))
        port: int = s.getsockname()[1]
        return port


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "", "0.0.0.0"])  # noqa: S104 - what operators write
def test_udp_keeps_borders_and_order(host: str) -> None:
    port = free_port(socket.SOCK_DGRAM)
    sent = [b"", b"a", bytes(range(256)) * 67, b"z" * 65_000]
    with opened(f"udp://{host}:{port}") as transport, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        assert transport.datagrams
        assert transport.read(0.0) is None
        for datagram in sent:
            s.sendto(datagram, ("127.0.0.1", port))
        got = [transport.read(SOON_S) for _ in sent]
    assert [c.data for c in got if c is not None] == sent
    shown = "127.0.0.1" if host in ("127.0.0.1", "localhost") else "0.0.0.0"  # noqa: S104 - a name
    assert {c.stream for c in got if c is not None} == {f"{shown}:{port}"}


def test_udp_ipv6() -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
        s.bind(("::1", 0))
        port = s.getsockname()[1]
    with opened(f"udp://[::1]:{port}") as transport, socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
        s.sendto(b"six", ("::1", port))
        chunk = transport.read(SOON_S)
    assert chunk is not None
    assert (chunk.data, chunk.stream) == (b"six", f"[::1]:{port}")


def test_udp_port_taken_and_address_of_another_machine() -> None:
    port = free_port(socket.SOCK_DGRAM)
    with opened(f"udp://127.0.0.1:{port}"), pytest.raises(SensorUnavailable, match=r"in use.*other programs"):
        open_transport(f"udp://127.0.0.1:{port}", CLOCK)
    with pytest.raises(SensorUnavailable, match="cannot listen"):
        open_transport(f"udp://192.0.2.1:{port}", CLOCK)
    with opened(f"udp://127.0.0.1:{port}"):
        pass  # free again


def test_udp_closed_while_reading() -> None:
    assert closed_while_reading(open_transport(f"udp://127.0.0.1:{free_port(socket.SOCK_DGRAM)}", CLOCK))


# ---------------------------------------------------------------- TCP


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as s:
        yield s


def test_tcp_stream_and_a_server_that_dies(server: socket.socket) -> None:
    url = f"tcp://127.0.0.1:{server.getsockname()[1]}"
    with opened(url) as transport:
        peer, _ = server.accept()
        with peer:
            assert transport.read(0.0) is None
            assert transport.read(0.01) is None
            data = bytes(range(256)) * 1000
            threading.Thread(target=peer.sendall, args=(data,)).start()
            assert take(transport, len(data)) == data
            transport.write(b"hello")
            assert peer.recv(5) == b"hello"
            peer.sendall(b"last")
            chunk = transport.read(SOON_S)
            assert chunk is not None
            assert (chunk.stream, transport.datagrams) == ("", False)
        assert "closed the connection" in until_gone(transport)


def test_tcp_reset_and_return(server: socket.socket) -> None:
    port = server.getsockname()[1]
    with opened(f"tcp://127.0.0.1:{port}") as transport:
        peer, _ = server.accept()
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        peer.close()
        assert "reset" in until_gone(transport)
    server.close()
    with pytest.raises(SensorUnavailable, match=r"cannot connect: Connection refused; check address and cable"):
        open_transport(f"tcp://127.0.0.1:{port}", CLOCK)
    with socket.create_server(("127.0.0.1", port)) as back, opened(f"tcp://127.0.0.1:{port}") as transport:
        peer, _ = back.accept()
        with peer:
            peer.sendall(b"after")
            assert take(transport, 5) == b"after"


def test_tcp_name_that_does_not_exist() -> None:
    with pytest.raises(SensorUnavailable, match="cannot connect"):
        open_transport("tcp://no-such-host.invalid:1", CLOCK, timeout_s=1.0)


def test_tcp_watches_over_an_idle_connection(server: socket.socket) -> None:
    with opened(f"tcp://127.0.0.1:{server.getsockname()[1]}") as transport:
        s: socket.socket = vars(transport)["_socket"]
        assert s.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        life_s = s.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) + s.getsockopt(
            socket.IPPROTO_TCP, socket.TCP_KEEPINTVL
        ) * s.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT)
        assert 30 <= life_s <= 120


def test_tcp_closed_while_reading(server: socket.socket) -> None:
    assert closed_while_reading(open_transport(f"tcp://127.0.0.1:{server.getsockname()[1]}", CLOCK))


# ---------------------------------------------------------------- files


@pytest.mark.parametrize("zipped", [False, True])
def test_a_raw_file_at_the_rate_of_its_line(tmp_path: Path, *, zipped: bool) -> None:
    data = bytes(range(256)) * 20
    path = tmp_path / "night"
    path.write_bytes(gzip.compress(data) if zipped else data)
    clock = ManualClock(1000.0)
    transport = open_transport(f"file://{path}?rate_bps=4800", clock)
    got: list[Chunk] = []
    while sum(len(c.data) for c in got) < len(data):
        chunk = transport.read(0.0)
        if chunk is None:
            clock.t_s += 0.1
        else:
            got.append(chunk)
    clock.t_s += SOON_S
    with pytest.raises(EndOfData, match="is over"):
        transport.read(0.0)
    transport.close()
    assert b"".join(c.data for c in got) == data
    before = 0
    for c in got:  # each piece as soon as those before it would have passed, and not sooner
        due_s = 1000.0 + before * 10.0 / 4800
        assert due_s <= c.at.t_s <= due_s + 0.1 + 1e-6
        before += len(c.data)


def test_a_raw_file_fast_is_stamped_as_if_at_its_rate(tmp_path: Path) -> None:
    (tmp_path / "night").write_bytes(b"x" * 5000)
    with contextlib.closing(open_transport(f"file://{tmp_path}/night?pace=fast", ManualClock(1000.0))) as transport:
        stamps = [transport.read(0.0) for _ in range(5)]
        assert [c.at.t_s - 1000.0 for c in stamps if c] == pytest.approx([n * 1024 * 10 / 38400 for n in range(5)])


def test_a_raw_file_in_a_loop(tmp_path: Path) -> None:
    (tmp_path / "night").write_bytes(b"abc" * 500)
    with opened(f"file://{tmp_path}/night?pace=fast&loop=1") as transport:
        assert take(transport, 4500) == b"abc" * 1500
    (tmp_path / "empty").write_bytes(b"")
    with opened(f"file://{tmp_path}/empty?pace=fast&loop=1") as transport, pytest.raises(EndOfData):
        transport.read(0.0)


def test_a_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "log of monday.nmea").write_bytes(b"abc")
    monkeypatch.chdir(tmp_path)
    with opened("file://log%20of%20monday.nmea") as transport:
        assert take(transport, 3) == b"abc"


@pytest.mark.parametrize(
    ("name", "content", "query", "error", "sentence"),
    [
        ("missing", None, "", SensorUnavailable, "no such recording"),
        ("x.pcap", b"$GPRMC", "", InputError, "neither pcap nor pcapng"),
        ("x.nmea", b"$GPRMC", "?port=5", ConfigError, "port means nothing"),
        ("x.pcap", b"\xd4\xc3\xb2\xa1" + bytes(20), "?rate_bps=4800", ConfigError, "rate_bps means nothing"),
        ("x.nmea", b"$GPRMC", "?fps=5", ConfigError, "fps means nothing"),
    ],
)
def test_files_that_do_not_fit(
    tmp_path: Path, name: str, content: bytes | None, query: str, error: type[Exception], sentence: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(error, match=sentence):
        open_transport(f"file://{tmp_path / name}{query}", CLOCK)


def test_a_gzip_that_breaks_off_gives_what_it_held(tmp_path: Path) -> None:
    data = os.urandom(8000)
    (tmp_path / "night.gz").write_bytes(gzip.compress(data)[:-2000])
    with opened(f"file://{tmp_path}/night.gz?pace=fast") as transport:
        got = take(transport, 4000)
        with pytest.raises(EndOfData, match="breaks off"):
            take(transport, len(data))
    assert data.startswith(got)


def test_a_file_closed_while_waiting(tmp_path: Path) -> None:
    (tmp_path / "night").write_bytes(b"x" * 5000)
    transport = open_transport(f"file://{tmp_path}/night?rate_bps=10", CLOCK)
    assert take(transport, 1)
    assert closed_while_reading(transport) == ["EndOfData"]
