"""The devices' outsides, opened with the libraries that everybody opens them with."""

from __future__ import annotations

import http.client
import itertools
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
import serial

from hardware_sim.devices.lines import SerialOut, UdpOut
from hardware_sim.devices.mjpeg import Stage, server

if TYPE_CHECKING:
    from collections.abc import Iterator


def test_serial_line_is_read_by_pyserial_unplugged_and_back(tmp_path: Path) -> None:
    line = SerialOut(tmp_path / "radar")
    with serial.Serial(str(line.path), 38400, timeout=2.0) as port:
        line.send(b"$RATTM,01*00\r\n\x00\x03\x11\x13\xff")
        assert port.read(19) == b"$RATTM,01*00\r\n\x00\x03\x11\x13\xff"  # raw: control bytes pass
        line.unplug()
        assert not line.path.exists()
        with pytest.raises(serial.SerialException):
            port.read(1)
    line.send(b"lost")
    line.plug()
    with serial.Serial(str(line.path), 38400, timeout=2.0) as port:
        line.send(b"again\n")
        assert port.readline() == b"again\n"
    line.close()
    line.close()
    assert not line.path.is_symlink()


def test_a_serial_line_that_nobody_reads_never_blocks_nor_grows_stale(tmp_path: Path) -> None:
    line = SerialOut(tmp_path / "radar")
    for i in itertools.count():  # the kernel takes bytes from one end to the other when it has time
        line.send(b"%06d\r\n" % i)
        if line.dropped:
            break
    with serial.Serial(str(line.path), timeout=0.2) as port:
        line.send(b"fresh\n")
        assert port.read(8).endswith(b"fresh\n")
    line.close()


def test_udp_goes_to_its_port_and_needs_no_listener() -> None:
    out = UdpOut()
    out.send(b"nobody")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", out.port))
        listener.settimeout(2.0)
        out.send(bytes(17_160))
        assert listener.recv(65536) == bytes(17_160)
    out.close()


def jpeg(level: int) -> bytes:
    ok, data = cv2.imencode(".jpg", np.full((48, 64, 3), level, np.uint8))
    assert ok
    return data.tobytes()


@pytest.fixture
def camera() -> Iterator[tuple[Stage, int]]:
    """A served stage on which a picture appears every 20 ms."""
    stage = Stage()
    http_server = server(stage, 0)
    threads = [threading.Thread(target=http_server.serve_forever, kwargs={"poll_interval": 0.02})]

    def show() -> None:
        for i in range(100_000):
            if stage.closed:
                return
            stage.show(1000.0 + i, jpeg(i % 200))
            stop.wait(0.02)

    stop = threading.Event()
    threads.append(threading.Thread(target=show))
    for thread in threads:
        thread.start()
    yield stage, http_server.server_address[1]
    stage.close()
    stop.set()
    http_server.shutdown()
    http_server.server_close()
    for thread in threads:
        thread.join(5.0)


def test_parts_have_lengths_and_times(camera: tuple[Stage, int]) -> None:
    _, port = camera
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5.0)
    connection.request("GET", "/camera.mjpg")
    answer = connection.getresponse()
    assert answer.headers.get_content_type() == "multipart/x-mixed-replace"
    boundary = answer.headers.get_param("boundary")
    times = []
    for _ in range(3):
        assert answer.readline() == f"--{boundary}\r\n".encode()
        head = {}
        while (text := answer.readline().strip()) != b"":
            name, value = text.decode().split(": ")
            head[name] = value
        picture = answer.read(int(head["Content-Length"]))
        assert picture[:2] == b"\xff\xd8"
        assert picture[-2:] == b"\xff\xd9"
        assert answer.readline() == b"\r\n"
        times.append(float(head["X-Timestamp"]))
    assert times == sorted(set(times))
    connection.close()


def test_two_opencv_clients_and_a_snapshot(camera: tuple[Stage, int]) -> None:
    stage, port = camera
    captures = [cv2.VideoCapture(f"http://127.0.0.1:{port}/camera.mjpg") for _ in range(2)]
    for capture in captures:
        ok, image = capture.read()
        assert ok
        assert image.shape == (48, 64, 3)
    assert stage.clients == 2
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5.0)
    connection.request("GET", "/snapshot.jpg")
    body = connection.getresponse().read()
    picture = cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    assert picture.shape == (48, 64, 3)
    connection.close()
    connection.request("GET", "/admin")
    assert connection.getresponse().status == 404
    connection.close()
    for capture in captures:
        capture.release()


def drain(client: socket.socket) -> None:
    """What was on its way comes; then nothing, and no end either."""
    while True:
        assert client.recv(65536) != b""


def test_a_frozen_camera_keeps_its_connections_and_says_nothing(camera: tuple[Stage, int]) -> None:
    stage, port = camera
    with socket.create_connection(("127.0.0.1", port), timeout=5.0) as client:
        client.sendall(b"GET /camera.mjpg HTTP/1.0\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.0 200")
        stage.frozen = True
        client.settimeout(0.3)
        with pytest.raises(TimeoutError):
            drain(client)
        stage.frozen = False
        client.settimeout(5.0)
        assert client.recv(10) != b""
