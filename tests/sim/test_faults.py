"""Faults by name, each seen from outside, with the libraries that a box would use: pyserial, sockets, OpenCV, paho."""

from __future__ import annotations

import asyncio
import errno
import json
import math
import os
import queue
import re
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import cv2
import numpy as np
import paho.mqtt.client as mqtt
import pynmea2  # type: ignore[import-untyped] # the package ships no types
import pytest
import serial
from hypothesis import given, settings
from hypothesis import strategies as st
from paho.mqtt.enums import CallbackAPIVersion
from pyais import decode
from pyais.exceptions import AISBaseException

from hardware_sim import scenario
from hardware_sim.cli import main
from hardware_sim.devices.ballast import Ballast
from hardware_sim.devices.camera import Camera
from hardware_sim.devices.lines import TcpOut
from hardware_sim.errors import DeviceError
from hardware_sim.faults import FAULTS, Faults, FaultTable, misread, parse_fault
from hardware_sim.geo import Site
from hardware_sim.hub.link import SlowLink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")
PATIENCE_S = 40.0
SITE = Site(43.38, -8.40)


@contextmanager
def program(*args: str) -> Iterator[dict[str, Any]]:
    """A running part of the simulator and its ready line; killed at the end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "hardware_sim", *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        stdin = process.stdin
        yield {**ready, "go": lambda: (stdin.write("go\n"), stdin.flush())}
    finally:
        process.kill()
        process.communicate()


def devices(out: Path, *args: str, name: str = "harbour-mouth") -> Any:
    return program("run", name, "--out", str(out), "--no-camera", *args)


@contextmanager
def listening(url: str) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", urlsplit(url).port or 0))
        s.settimeout(PATIENCE_S)
        yield s


# ---------------------------------------------------------------- the names


def test_every_name_can_be_timed_and_given_its_argument() -> None:
    for name, kind in FAULTS.items():
        fault = parse_fault(f"{name}@2:3")
        assert (fault.at_s, fault.duration_s, fault.value) == (2.0, 3.0, kind.default or 0.0)
        if kind.default is None:
            assert main(["run", "harbour-mouth", "--fault", f"{name}@2=1"]) == 64
        else:
            assert parse_fault(f"{name}@2=0.25").value == 0.25
        assert kind.does


def test_an_argument_holds_while_its_fault_is_on() -> None:
    faults = Faults((FaultTable(name="gnss-jump", at_s=5.0, duration_s=2.0, arg=300.0),))
    assert [faults.value("gnss-jump", t) for t in (4.9, 5.0, 6.9, 7.0)] == [0.0, 300.0, 300.0, 0.0]
    assert [(t, c.on, c.value) for t, c in faults.changes()] == [(5.0, True, 300.0), (7.0, False, 0.0)]
    assert list(faults.changes("hub")) == []


def test_each_program_takes_its_own_faults_only(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["run", "harbour-mouth", "--out", str(tmp_path), "--fault", "broker-down@1"]) == 64
    assert "hub --fault" in capsys.readouterr().err
    assert main(["hub", "--fault", "ais-cut@1"]) == 64
    assert "run --fault" in capsys.readouterr().err
    assert main(["run", "harbour-mouth", "--out", str(tmp_path), "--fault", "disk-full@1"]) == 64
    assert "--disk" in capsys.readouterr().err
    assert main(["run", "harbour-mouth", "--out", str(tmp_path), "--fault", "box-clock@1"]) == 64
    assert "--box-clock" in capsys.readouterr().err


# ---------------------------------------------------------------- lines


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
        box = subprocess.Popen(
            [sys.executable, "-c", STAMPS], stdout=subprocess.PIPE, text=True, env={**os.environ, **environment}
        )
        ready["go"]()
        said, _ = box.communicate(timeout=PATIENCE_S)
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


# ---------------------------------------------------------------- the camera


@pytest.fixture(scope="module")
def camera() -> Iterator[Camera]:
    base = scenario.load("harbour-mouth")
    small = base.camera.model_copy(update={"width_px": 480, "height_px": 270})
    device = Camera(base.model_copy(update={"camera": small}), 1, 10.0)
    device.start(time.monotonic(), 1_750_000_000.0)
    yield device
    device.close()


def snapshot(device: Camera) -> tuple[np.ndarray[Any, Any], float]:
    url = f"http://127.0.0.1:{device.port}/snapshot.jpg"
    with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:
        image = cv2.imdecode(np.frombuffer(answer.read(), np.uint8), cv2.IMREAD_GRAYSCALE)
        assert image is not None
        return image, float(answer.headers["X-Timestamp"])


def becomes(device: Camera, condition: Callable[[np.ndarray[Any, Any], float], bool]) -> None:
    """Take pictures until one is as it should be."""
    end = time.monotonic() + PATIENCE_S
    while not condition(*snapshot(device)):
        assert time.monotonic() < end, "the picture did not become so"


def test_black_overexposed_salted_and_clear_again(camera: Camera) -> None:
    clear, _ = snapshot(camera)
    detail = float(cv2.Laplacian(clear, cv2.CV_64F).var())
    assert 40.0 < clear.mean() < 215.0
    camera.set("lens", "black")
    becomes(camera, lambda image, _: bool(image.mean() < 10.0))
    camera.set("lens", "overexposed")
    becomes(camera, lambda image, _: bool((image > 250).mean() > 0.8))
    camera.set("lens", "salted")
    becomes(
        camera, lambda image, _: bool(40.0 < image.mean() < 250.0 and cv2.Laplacian(image, cv2.CV_64F).var() < detail)
    )
    camera.set("lens", "clear")
    becomes(camera, lambda image, _: bool(cv2.Laplacian(image, cv2.CV_64F).var() > 0.8 * detail))


def ferry_px(image: np.ndarray[Any, Any]) -> float:
    """The column of the ferry, the only thing that breaks the horizon."""
    band = image[112:124].astype(float)
    seen = np.abs(band - np.median(band, axis=1, keepdims=True)).sum(axis=0)
    return float(np.argmax(np.convolve(seen, np.ones(9), mode="same")))


def take_all(stream: socket.socket) -> None:
    while stream.recv(65_536):
        continue


def test_a_stuck_camera_repeats_one_picture_and_a_frozen_one_delivers_nothing(camera: Camera) -> None:
    camera.set("lens", "clear")
    camera.command("stick")
    first, began = snapshot(camera)
    end = time.monotonic() + PATIENCE_S
    while True:  # a picture that was being drawn still comes
        image, at = snapshot(camera)
        if (image != first).any():
            first, began = image, at
        elif at > began + 0.5:
            break
        assert time.monotonic() < end, "the picture never stood still"
    stuck = first
    camera.command("unstick")
    becomes(camera, lambda image, _: bool((image != stuck).any()))
    with socket.create_connection(("127.0.0.1", camera.port), PATIENCE_S) as stream:
        stream.sendall(b"GET /camera.mjpg HTTP/1.0\r\n\r\n")
        assert stream.recv(65_536)
        camera.command("freeze")
        stream.settimeout(1.5)
        with pytest.raises(TimeoutError):  # at ten pictures a second; what was under way may still come
            take_all(stream)
        stream.settimeout(PATIENCE_S)
        camera.command("thaw")
        assert stream.recv(65_536)  # the same connection


def test_a_knock_moves_the_picture_by_its_angle(camera: Camera) -> None:
    """8 degrees to starboard of 40 in 480 pixels: what was in the middle moves by 93 to the left."""
    camera.set("lens", "clear")
    before = ferry_px(snapshot(camera)[0])
    moved = 240.0 / math.tan(math.radians(20.0)) * math.tan(math.radians(8.0))
    camera.set("knock", "8.0")
    becomes(camera, lambda image, _: abs(ferry_px(image) - (before - moved)) < 12.0)  # the ferry goes on meanwhile
    camera.set("knock", "0.0")
    becomes(camera, lambda image, _: abs(ferry_px(image) - before) < 12.0)


def test_a_camera_s_clock_can_be_wrong_and_stays_so_over_a_power_cut(camera: Camera) -> None:
    _, before = snapshot(camera)
    camera.set("clock", "5000.0")
    becomes(camera, lambda _, at: at > before + 4999.0)
    camera.power_off()
    with pytest.raises(OSError, match="refused"):
        snapshot(camera)
    camera.power_on()
    end = time.monotonic() + PATIENCE_S
    while True:
        assert time.monotonic() < end, "it did not come back"
        try:
            _, at = snapshot(camera)
        except OSError:
            time.sleep(0.05)
            continue
        break
    assert at > before + 4999.0
    camera.set("clock", "0.0")


# ---------------------------------------------------------------- the hub


class Client:
    """A paho client that counts what happens to it."""

    def __init__(self, url: str) -> None:
        self.said: queue.Queue[str] = queue.Queue()
        self.paho = mqtt.Client(CallbackAPIVersion.VERSION2, "c")
        self.paho.on_connect = lambda *a: self.said.put(f"connected {a[3]}")
        self.paho.on_disconnect = lambda *_: self.said.put("gone")
        self.paho.on_publish = lambda *_: self.said.put("acknowledged")
        self.paho.reconnect_delay_set(1, 1)
        self.paho.connect_async("127.0.0.1", urlsplit(url).port or 0)
        self.paho.loop_start()

    def until(self, what: str) -> list[str]:
        """What was said until then."""
        heard: list[str] = []
        while not heard or heard[-1] != what:
            heard.append(self.said.get(timeout=PATIENCE_S))
        return heard

    def close(self) -> None:
        self.paho.disconnect()
        self.paho.loop_stop()


@contextmanager
def client_of(*faults: str) -> Iterator[Client]:
    with program("hub", *(x for f in faults for x in ("--fault", f))) as ready:
        client = Client(ready["broker"])
        try:
            yield client
        finally:
            client.close()


def test_the_broker_goes_down_and_comes_back_on_its_port() -> None:
    with client_of("broker-down@2:2") as client:
        client.until("connected Success")
        client.until("gone")
        client.until("connected Success")


def test_the_broker_refuses_and_relents() -> None:
    with client_of("broker-refuses@2:2") as client:
        client.until("connected Success")
        heard = client.until("connected Success")
        assert "connected Not authorized" in heard


def test_a_scenario_s_broker_faults_are_the_hub_s(tmp_path: Path) -> None:
    text = Path(scenario.__file__).with_name("scenarios").joinpath("harbour-mouth.toml").read_text(encoding="utf-8")
    faults = '\n[[fault]]\nname = "broker-refuses"\nat_s = 0\n\n[[fault]]\nname = "ais-cut"\nat_s = 0\n'
    path = tmp_path / "refused.toml"
    path.write_text(text + faults, encoding="utf-8")
    with program("hub", "--scenario", str(path)) as ready:
        client = Client(ready["broker"])
        client.until("connected Not authorized")
        client.close()
    devices = ("--no-camera", "--no-radar", "--no-ais", "--no-nav", "--duration", "0")
    done = subprocess.run(
        [sys.executable, "-m", "hardware_sim", "run", str(path), "--out", str(tmp_path), *devices],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert f"`hub --scenario {path}` does it" in done.stderr


def test_the_broker_loses_acknowledgements() -> None:
    with client_of("broker-drops-puback@0=1.0") as client:
        client.until("connected Success")
        client.paho.publish("t", b"x", qos=1)
        answered: queue.Queue[None] = queue.Queue()
        client.paho.on_subscribe = lambda *_: answered.put(None)
        client.paho.subscribe("t")  # answered in order: what came before it was not
        answered.get(timeout=PATIENCE_S)
        assert client.said.empty()


@pytest.mark.parametrize(("fault", "least_s"), [("broker-slow@0=1.5", 1.5), ("link-slow@0", 0.6)])
def test_answers_take_at_least_as_long_as_they_should(fault: str, least_s: float) -> None:
    with client_of(fault) as client:
        client.until("connected Success")
        began = time.monotonic()
        client.paho.publish("t", b"x", qos=1)
        client.until("acknowledged")
        assert time.monotonic() - began >= least_s


def test_a_slow_link_loses_and_repeats_but_keeps_order() -> None:
    with program("hub", "--fault", "link-slow@0=0.2") as ready:
        got: queue.Queue[bytes] = queue.Queue()
        client = Client(ready["broker"])
        client.until("connected Success")
        client.paho.on_message = lambda _c, _u, m: got.put(bytes(m.payload))
        client.paho.subscribe("t", qos=1)
        sent = [b"%05d" % i + bytes(2000) for i in range(150)]
        for payload in sent:
            client.paho.publish("t", payload, qos=1)
        assert [got.get(timeout=PATIENCE_S) for _ in sent] == sent
        client.close()


def test_a_slow_link_loses_two_per_cent() -> None:
    """Segments of real connections through the relay; three standard deviations of 2,000 draws."""

    async def measure() -> tuple[int, int]:
        async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while data := await reader.read(100):
                writer.write(data)
            writer.close()

        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        link = SlowLink(seed=3)
        port = await link.start(server.sockets[0].getsockname()[1])
        link.there_and_back_s = 0.002

        async def talk() -> None:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            for i in range(20):
                writer.write(b"%03d" % i)
                assert await reader.readexactly(3) == b"%03d" % i
            writer.close()

        await asyncio.gather(*(talk() for _ in range(50)))
        await link.stop()
        server.close()
        await server.wait_closed()
        return link.passed, link.lost

    passed, lost = asyncio.run(measure())
    assert passed == 2000
    assert abs(lost - 0.02 * passed) < 3.0 * math.sqrt(0.02 * 0.98 * passed)


# ---------------------------------------------------------------- the disk

FULL = """
import errno, pathlib, sys
from hardware_sim.devices.ballast import Ballast
folder = pathlib.Path(sys.argv[1])
(folder / "log").write_bytes(b"x" * 5000)
ballast = Ballast(folder)
ballast.fill()
try:
    (folder / "more").write_bytes(b"x" * 5000)
except OSError as e:
    print(errno.errorcode[e.errno])
ballast.clear()
(folder / "more").write_bytes(b"x" * 5000)
print("room again")
"""


def test_a_full_disk_is_full_to_the_last_byte_and_free_again(tmp_path: Path) -> None:
    """On a tmpfs of a mount namespace of its own."""
    shell = f"mount -t tmpfs -o size=2m none {tmp_path} && exec {sys.executable} -c '{FULL}' {tmp_path}"
    done = subprocess.run(["unshare", "-rm", "sh", "-c", shell], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == [errno.errorcode[errno.ENOSPC], "room again"]


def test_a_disk_that_is_the_machine_s_own_is_left_alone(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="small tmpfs"):
        Ballast(tmp_path).fill()
    assert list(tmp_path.iterdir()) == []
