"""Faults of serial lines, receivers and radars, seen with what a box would use: pyserial, sockets, pyais, pynmea2."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import pynmea2  # type: ignore[import-untyped] # the package ships no types
import pytest
import serial
from hypothesis import given, settings
from hypothesis import strategies as st
from pyais import decode
from pyais.exceptions import AISBaseException

from hardware_sim import scenario
from hardware_sim.devices.lines import TcpOut
from hardware_sim.faults import misread

if TYPE_CHECKING:
    from collections.abc import Callable

from sim.fault_world import PATIENCE_S, SITE, devices, listening

T = TypeVar("T")
NAV_KINDS = ("RMC", "GGA", "HDT", "MWV")


@given(st.binary(max_size=60))
@settings(deadline=None)
def test_the_right_baud_rate_reads_what_was_sent(data: bytes) -> None:
    assert misread(data, 38400.0, 38400.0) == data
    assert misread(data, 38400.0, 38400.0 * 1.02) == data  # clocks may differ by two per cent


def test_a_wrong_baud_rate_reads_other_bytes_and_other_many() -> None:
    line = b"$RATTM,01,1.00,10.0,T,5.0,20.0,T,0.00,0.0,N,,T,,120000.00,A*00\r\n"
    slow, fast = misread(line, 38400.0, 4800.0), misread(line, 4800.0, 38400.0)
    assert 0 < len(slow) < len(line) / 4
    assert len(fast) > len(line)
    assert b"TTM" not in slow + fast


def test_a_wrong_baud_rate_on_the_radar_s_line(tmp_path: Path) -> None:
    with devices(tmp_path, "--no-ais", "--no-nav", "--radar", "ttm", "--fault", "ttm-baud@0") as ready:
        with serial.Serial(urlsplit(ready["endpoints"]["radar_ttm"]).path, 38400, timeout=PATIENCE_S) as port:
            got = port.read(40)
        assert len(got) == 40
        assert b"TTM" not in got


def test_a_radar_in_standby_is_silent_on_line_and_network(tmp_path: Path) -> None:
    with devices(tmp_path, "--fault", "radar-standby@0", "--radar", "ttm,spokes") as ready:
        ends = ready["endpoints"]
        with (
            serial.Serial(urlsplit(ends["radar_ttm"]).path, 38400, timeout=0) as port,
            listening(ends["radar_spokes"]) as spokes,
            listening(ends["nav"]) as nav,
        ):
            for _ in range(12):  # three seconds of a box's own position: turns have passed
                assert nav.recv(1024).startswith(b"$")
            assert port.read(1000) == b""
            spokes.setblocking(False)
            with pytest.raises(BlockingIOError):
                spokes.recv(65536)


def test_gnss_jumps_and_its_clock_is_wrong(tmp_path: Path) -> None:
    faults = ("--fault", "gnss-jump@0=1500", "--fault", "gnss-clock@0=7200")
    with devices(tmp_path, "--no-radar", "--no-ais", *faults) as ready, listening(ready["endpoints"]["nav"]) as nav:
        line = nav.recv(1024)
        while not line.startswith(b"$GPRMC"):
            line = nav.recv(1024)
        rmc = pynmea2.parse(line.decode().strip(), check=True)
    east, north = SITE.to_enu(rmc.latitude, rmc.longitude)
    assert (east, north) == pytest.approx((1500.0, 0.0), abs=5.0)
    header = json.loads((tmp_path / "truth.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert rmc.datetime.timestamp() - header["start_unix"] > 7199.0


def rmc_second(line: bytes) -> float:
    return float(pynmea2.parse(line.decode().strip(), check=True).datetime.timestamp())


def test_navigation_stops_and_comes_back_timed_in_a_scenario(tmp_path: Path) -> None:
    """By the times in the sentences: three seconds are missing, of position, heading and wind alike."""
    text = Path(scenario.__file__).with_name("scenarios").joinpath("harbour-mouth.toml").read_text(encoding="utf-8")
    fault = '\n[[fault]]\nname = "nav-cut"\nat_s = 1.5\nduration_s = 3.0\n'
    (tmp_path / "cut.toml").write_text(text + fault, encoding="utf-8")
    with (
        devices(tmp_path, "--no-radar", "--no-ais", "--wait", name=str(tmp_path / "cut.toml")) as ready,
        listening(ready["endpoints"]["nav"]) as nav,
    ):
        ready["go"]()
        seconds: list[float] = []
        kinds: list[bytes] = []
        while len(seconds) < 2 or seconds[-1] - seconds[-2] < 1.5:
            line = nav.recv(1024)
            kinds.append(line[3:6])
            if line.startswith(b"$GPRMC"):
                seconds.append(rmc_second(line))
    assert seconds[-1] - seconds[-2] == 4.0  # the last one before the cut, and the first one after it
    assert kinds[-5:] == [b"RMC", b"GGA", b"HDT", b"MWV", b"RMC"]


def test_radar_video_stops_and_comes_back_where_the_antenna_is_then(tmp_path: Path) -> None:
    with (
        devices(
            tmp_path, "--no-nav", "--no-ais", "--radar", "spokes", "--fault", "spokes-cut@1:1.5", "--wait"
        ) as ready,
        listening(ready["endpoints"]["radar_spokes"]) as spokes,
    ):
        ready["go"]()
        angles: list[int] = []
        while len(angles) < 2 or (angles[-1] - angles[-2]) % 4096 < 20 * 64:
            angles.append(int.from_bytes(spokes.recv(65536)[16:18], "little"))
    missing = (angles[-1] - angles[-2]) % 4096 / 64  # datagrams of 32 spokes, 64 a turn of 2.5 s
    assert missing == pytest.approx(1.5 * 64 / 2.5 + 1, abs=1.1)


def test_garbage_on_the_radar_s_line(tmp_path: Path) -> None:
    good = bad = 0
    args = ("--no-ais", "--no-nav", "--radar", "ttm", "--fault", "ttm-garbage@0")
    with (
        devices(tmp_path, *args) as ready,
        serial.Serial(urlsplit(ready["endpoints"]["radar_ttm"]).path, 38400, timeout=PATIENCE_S) as port,
    ):
        while good < 2 or bad < 2:
            line = port.readline()
            try:
                good += pynmea2.parse(line.decode("ascii").strip(), check=True).sentence_type == "TTM"
            except (pynmea2.ParseError, UnicodeDecodeError):
                bad += 1


def test_the_clock_of_a_base_station_is_wrong(tmp_path: Path) -> None:
    """Message 4 as pyais reads it: hours ahead of the ships' own seconds."""
    text = Path(scenario.__file__).with_name("scenarios").joinpath("harbour-mouth.toml").read_text(encoding="utf-8")
    (tmp_path / "base.toml").write_text(
        text + "\n[[base_station]]\nmmsi = 2240001\nnorth_m = 500.0\n", encoding="utf-8"
    )
    with (
        devices(
            tmp_path, "--no-radar", "--no-nav", "--fault", "ais-clock@0=7200", name=str(tmp_path / "base.toml")
        ) as ready,
        listening(ready["endpoints"]["ais"]) as ais,
    ):
        got: dict[str, Any] = {}
        while got.get("msg_type") != 4:
            got = dict(decode(*ais.recv(4096).splitlines(keepends=True)).asdict())
    assert got["mmsi"] == 2_240_001
    at = datetime.fromisoformat("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z".format(**got))
    header = json.loads((tmp_path / "truth.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert 7199.0 < at.timestamp() - header["start_unix"] < 7200.0 + PATIENCE_S


STAMPS = """
from agent.clock import SystemClock
import time
clock = SystemClock()
before = clock.now()
print("up", flush=True)
while (now := clock.now()).wall_s - before.wall_s < 1800.0:
    before = now
    time.sleep(0.01)
print(now.wall_s - before.wall_s, now.t_s - before.t_s, flush=True)
before = now
while before.wall_s - (now := clock.now()).wall_s < 1800.0:
    before = now
    time.sleep(0.01)
print(now.wall_s - before.wall_s, now.t_s - before.t_s, flush=True)
"""


def test_the_box_s_own_clock_steps_forward_and_back(tmp_path: Path) -> None:
    """The agent's clock in a process of its own, started as the ready line says."""
    args = ("--no-radar", "--no-ais", "--box-clock", str(tmp_path / "clock"), "--fault", "box-clock@2:2=3600", "--wait")
    with devices(tmp_path, *args) as ready:
        environment = dict(ready["box_environment"])
        environment["PYTHONPATH"] = os.pathsep.join([environment["PYTHONPATH"], str(Path(__file__).parents[2])])
        with subprocess.Popen(
            [sys.executable, "-c", STAMPS], stdout=subprocess.PIPE, text=True, env={**os.environ, **environment}
        ) as box:
            try:
                assert box.stdout is not None
                assert box.stdout.readline() == "up\n"  # it has seen the time before the step
                ready["go"]()
                said, _ = box.communicate(timeout=PATIENCE_S)
            finally:
                box.kill()
    (there, t_there), (back, t_back) = (map(float, line.split()) for line in said.splitlines())
    assert (there, back) == pytest.approx((3600.0, -3600.0), abs=5.0)
    assert 0.0 <= t_there < 5.0
    assert 0.0 <= t_back < 5.0
    assert (tmp_path / "clock").read_text() == "+0.000\n"


def test_ais_garbage_spoils_some_sentences_and_not_all(tmp_path: Path) -> None:
    good = bad = 0
    with (
        devices(tmp_path, "--no-radar", "--no-nav", "--fault", "ais-garbage@0", name="swarm") as ready,
        listening(ready["endpoints"]["ais"]) as ais,
    ):
        while good < 3 or bad < 3:
            for line in ais.recv(4096).split(b"\r\n"):
                whole = re.fullmatch(rb"!AIVDM,[^*]*\*[0-9A-F]{2}", line)
                try:
                    good += whole is not None and decode(line, error_if_checksum_invalid=True).mmsi > 0
                except AISBaseException:
                    bad += 1
                bad += whole is None and line != b""


def test_three_receivers_on_udp_tcp_and_a_serial_line(tmp_path: Path) -> None:
    text = Path(scenario.__file__).with_name("scenarios").joinpath("swarm.toml").read_text(encoding="utf-8")
    for port in ("udp", "tcp", "serial"):
        text += f'\n[[ais_receiver]]\nname = "ais-{port}"\nport = "{port}"\n'
    (tmp_path / "three.toml").write_text(text, encoding="utf-8")
    with devices(tmp_path, "--no-radar", "--no-nav", name=str(tmp_path / "three.toml")) as ready:
        ends = ready["endpoints"]
        assert set(ends) == {"ais_udp", "ais_tcp", "ais_serial"}
        tcp = urlsplit(ends["ais_tcp"])
        with (
            listening(ends["ais_udp"]) as udp,
            socket.create_connection((tcp.hostname or "", tcp.port or 0), PATIENCE_S) as stream,
            serial.Serial(urlsplit(ends["ais_serial"]).path, 38400, timeout=PATIENCE_S) as line,
            stream.makefile("rb") as lines,
        ):
            for sentence in (udp.recv(4096).split(b"\r\n")[0] + b"\r\n", lines.readline(), line.readline()):
                assert re.fullmatch(rb"!AIVDM,[^*]*\*[0-9A-F]{2}\r\n", sentence)


def test_navigation_on_a_serial_line_is_read_by_pyserial(tmp_path: Path) -> None:
    text = Path(scenario.__file__).with_name("scenarios").joinpath("swarm.toml").read_text(encoding="utf-8")
    (tmp_path / "line.toml").write_text(text + '\n[nav]\nport = "serial"\n', encoding="utf-8")
    with (
        devices(tmp_path, "--no-radar", "--no-ais", name=str(tmp_path / "line.toml")) as ready,
        serial.Serial(urlsplit(ready["endpoints"]["nav"]).path, 38400, timeout=PATIENCE_S) as line,
    ):
        kinds = {pynmea2.parse(line.readline().decode().strip(), check=True).sentence_type for _ in range(8)}
    assert kinds == {"RMC", "GGA", "HDT", "MWV"}


def test_unplugged_ais_receivers_hang_up_and_come_back_at_their_places(tmp_path: Path) -> None:
    text = Path(scenario.__file__).with_name("scenarios").joinpath("swarm.toml").read_text(encoding="utf-8")
    for port in ("tcp", "serial"):
        text += f'\n[[ais_receiver]]\nname = "ais-{port}"\nport = "{port}"\n'
    (tmp_path / "two.toml").write_text(text, encoding="utf-8")
    args = ("--no-radar", "--no-nav", "--fault", "ais-unplugged@3:2", "--wait")
    with devices(tmp_path, *args, name=str(tmp_path / "two.toml")) as ready:
        tcp, path = urlsplit(ready["endpoints"]["ais_tcp"]), urlsplit(ready["endpoints"]["ais_serial"]).path
        place = (tcp.hostname or "", tcp.port or 0)
        with (
            socket.create_connection(place, PATIENCE_S) as stream,
            serial.Serial(path, 38400, timeout=PATIENCE_S) as line,
            stream.makefile("rb") as lines,
        ):
            ready["go"]()
            while sentence := lines.readline():
                assert sentence.startswith(b"!AIVDM")
            with pytest.raises(serial.SerialException):
                read_for_ever(line)
        again = comes_back(lambda: socket.create_connection(place, PATIENCE_S))
        with again, again.makefile("rb") as lines, comes_back(lambda: serial.Serial(path, timeout=PATIENCE_S)) as line:
            assert lines.readline().startswith(b"!AIVDM")
            assert line.readline().startswith(b"!AIVDM")


def with_lines(folder: Path) -> str:
    """`swarm` with AIS and navigation each on a serial line."""
    text = Path(scenario.__file__).with_name("scenarios").joinpath("swarm.toml").read_text(encoding="utf-8")
    lines = '\n[nav]\nport = "serial"\n\n[[ais_receiver]]\nname = "ais"\nport = "serial"\n'
    (folder / "lines.toml").write_text(text + lines, encoding="utf-8")
    return str(folder / "lines.toml")


def test_wrong_baud_rates_on_the_lines_of_ais_and_navigation(tmp_path: Path) -> None:
    args = ("--no-radar", "--fault", "ais-baud@0", "--fault", "nav-baud@0=9600")
    with devices(tmp_path, *args, name=with_lines(tmp_path)) as ready:
        for end, kinds in (("ais", ("AIVDM",)), ("nav", NAV_KINDS)):
            with serial.Serial(urlsplit(ready["endpoints"][end]).path, 38400, timeout=PATIENCE_S) as port:
                got = port.read(60)
            assert len(got) == 60
            assert not [kind for kind in kinds if kind.encode() in got]


def judge_for_ever(port: serial.Serial, whole: list[bool]) -> None:
    while line := port.readline():
        try:
            whole.append(pynmea2.parse(line.decode("ascii").strip(), check=True).sentence_type in NAV_KINDS)
        except (pynmea2.ParseError, UnicodeDecodeError):
            whole.append(False)


def test_garbage_and_a_hang_up_on_the_line_of_navigation(tmp_path: Path) -> None:
    whole: list[bool] = []
    args = ("--no-radar", "--no-ais", "--fault", "nav-garbage@0:6", "--fault", "nav-unplugged@6:2", "--wait")
    with devices(tmp_path, *args, name=with_lines(tmp_path)) as ready:
        path = urlsplit(ready["endpoints"]["nav"]).path
        with serial.Serial(path, 38400, timeout=PATIENCE_S) as port:
            ready["go"]()
            with pytest.raises(serial.SerialException):
                judge_for_ever(port, whole)
        assert set(whole) == {True, False}
        with comes_back(lambda: serial.Serial(path, timeout=PATIENCE_S)) as port:
            assert pynmea2.parse(port.readline().decode("ascii").strip(), check=True).sentence_type in NAV_KINDS


def read_for_ever(port: serial.Serial) -> None:
    while port.readline():
        continue


def comes_back(opened: Callable[[], T]) -> T:
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            return opened()
        except (OSError, serial.SerialException):
            assert time.monotonic() < end, "it did not come back"
            time.sleep(0.05)


def test_tcp_serves_many_and_lets_go_of_who_takes_nothing() -> None:
    out = TcpOut()
    out.send(b"nobody\r\n")
    clients = [socket.create_connection(("127.0.0.1", out.port), 5.0) for _ in range(2)]
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.connect(("127.0.0.1", out.port))
    out.send(b"first\r\n")
    for client in clients:
        assert client.recv(100) == b"first\r\n"
    clients.pop().close()
    block = bytes(60_000)
    while out.dropped < 2:  # the one that left, and the deaf one
        out.send(block)
        left = len(block)
        while left:
            left -= len(clients[0].recv(left))
    out.send(b"last\r\n")
    assert clients[0].recv(100) == b"last\r\n"
    for s in (*clients, deaf):
        s.close()
    out.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", out.port), 5.0)
