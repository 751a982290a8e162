"""The camera's RTSP server on a real socket: by the book, by other people's clients, and by enemies."""

from __future__ import annotations

import base64
import json
import re
import shutil
import socket
import struct
import subprocess
import threading
import time
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hardware_sim.devices.h264 import CLOCK_HZ, Encoder
from hardware_sim.devices.mjpeg import Stage
from hardware_sim.devices.rtsp import MOST_CONNECTIONS, RtspServer
from hardware_sim.errors import DeviceError
from sim.rtsp_client import PATIENCE_S, Client
from support.gst import SYSTEM_PYTHON, need

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WIDTH, HEIGHT = 320, 240
FPS = 25.0


class Camera:
    """A served stage whose pictures are noise with a grey square that says their number."""

    def __init__(self, **options: float) -> None:
        self.stage = Stage()
        self.server = RtspServer(self.stage, Encoder(WIDTH, HEIGHT, FPS), FPS, **options)  # type: ignore[arg-type] # seconds only
        self.port = self.server.port
        self.ahead_s = 0.0
        self.noise = 30
        self.shown = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._show)
        self._thread.start()

    def _show(self) -> None:
        rng = np.random.default_rng(3)
        while not self._stop.wait(1.0 / FPS):
            if not self.stage.wanted("h264"):
                continue
            image = rng.integers(0, 1 + self.noise, (HEIGHT, WIDTH, 3), np.uint8)
            image[100:140, 140:180] = 8 * (self.shown % 25) + 40
            self.server.show(image, round(time.monotonic() * CLOCK_HZ), 1000.0 + time.monotonic() + self.ahead_s)
            self.shown += 1

    @property
    def url(self) -> str:
        return f"rtsp://127.0.0.1:{self.port}/camera"

    def close(self) -> None:
        self._stop.set()
        self._thread.join(PATIENCE_S)
        self.server.close()
        self.stage.close()


@pytest.fixture
def make() -> Iterator[Callable[..., Camera]]:
    with ExitStack() as stack:

        def one(**options: float) -> Camera:
            camera = Camera(**options)
            stack.callback(camera.close)
            return camera

        yield one


@pytest.fixture(scope="module")
def camera() -> Iterator[Camera]:
    one = Camera()
    yield one
    one.close()


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


# ---------------------------------------------------------------- by the book


def test_options_and_description(camera: Camera) -> None:
    with Client(camera.port) as client:
        methods = {m.strip() for m in client.ask("OPTIONS").headers["public"].split(",")}
        assert {"OPTIONS", "DESCRIBE", "SETUP", "PLAY", "PAUSE", "GET_PARAMETER", "TEARDOWN"} == methods
        answer = client.ask("DESCRIBE", Accept="application/sdp")
    assert answer.headers["content-type"] == "application/sdp"
    assert answer.headers["content-base"] == f"{camera.url}/"
    sdp = answer.body.decode("ascii")
    assert "a=rtpmap:96 H264/90000\r\n" in sdp
    found = re.search(r"packetization-mode=1;profile-level-id=([0-9A-F]{6});sprop-parameter-sets=(\S+)", sdp)
    assert found is not None
    sps, pps = (base64.b64decode(s) for s in found[2].split(","))
    assert (sps[0] & 31, pps[0] & 31) == (7, 8)
    assert sps[1:4].hex().upper() == found[1]


def test_a_session_plays_pauses_goes_on_and_ends(make: Callable[..., Camera]) -> None:
    camera = make()
    with Client(camera.port) as client:
        started = client.play()
        first = re.search(r"url=(\S+);seq=(\d+)", started.headers["rtp-info"])
        assert first is not None
        assert first[1] == f"{camera.url}/track0"
        report = client.packet()
        assert report.channel == 1, "a report comes first"
        nals, packets = client.picture()
        assert [n[0] & 31 for n in nals][:2] == [7, 8]
        assert 5 in {n[0] & 31 for n in nals}, "it begins with a key frame"
        assert packets[0].sequence == int(first[2])
        assert len({p.ticks for p in packets}) == 1
        later = [client.picture()[1] for _ in range(5)]
        numbers = [p.sequence for ps in (packets, *later) for p in ps]
        assert numbers == [(numbers[0] + i) & 0xFFFF for i in range(len(numbers))]
        assert len({ps[0].ticks for ps in later}) == 5

        assert client.ask("GET_PARAMETER").code == 200
        assert client.ask("PAUSE").code == 200
        client.waiting.clear()
        assert camera.stage.clients == 0
        client.socket.settimeout(0.3)
        with pytest.raises(TimeoutError):
            client.packet()
        client.socket.settimeout(PATIENCE_S)
        assert client.ask("PAUSE").code == 455
        assert client.ask("PLAY").code == 200
        assert 5 in {n[0] & 31 for n in client.picture()[0]}, "it goes on with a key frame"
        assert client.ask("TEARDOWN").code == 200
        assert camera.server.sessions == set()
        assert client.ask("PLAY").code == 454
        client.session = ""
        assert client.ask("PLAY").code == 455


def test_what_is_refused_and_how(camera: Camera) -> None:
    tcp = "RTP/AVP/TCP;unicast;interleaved=0-1"
    with Client(camera.port) as client:
        assert client.ask("DESCRIBE", "/nothing").code == 404
        assert client.ask("DESCRIBE", Accept="text/plain").code == 406
        answer = client.ask("RECORD")
        assert (answer.code, "SETUP" in answer.headers["allow"]) == (405, True)
        answer = client.ask("SETUP", Require="implicit-play", Transport=tcp)
        assert (answer.code, answer.headers["unsupported"]) == (551, "implicit-play")
        assert client.ask("SETUP", Transport="RTP/AVP;multicast;port=5000-5001").code == 461
        assert client.ask("SETUP").code == 461
        assert client.ask("PLAY").code == 455
        assert client.ask("PLAY", Session="0123").code == 454
        client.play()
        assert client.ask("SETUP", Transport=tcp).code == 455
        assert client.ask("PAUSE", Session="0123").code == 454
        assert client.picture()[0], "it plays on"


def test_a_report_tells_the_camera_s_time_and_its_jumps(make: Callable[..., Camera]) -> None:
    camera = make()

    def next_report() -> tuple[float, int]:
        while True:
            packet = client.packet()
            if packet.channel == 1:
                seconds, fraction, ticks = struct.unpack_from(">III", packet.data, 8)
                return seconds - 2_208_988_800 + fraction / 2**32, ticks

    with Client(camera.port) as client:
        client.play()
        unix, ticks = next_report()
        assert abs(unix - 1000.0 - time.monotonic()) < PATIENCE_S
        assert client.picture()[1][0].ticks == ticks, "it is about the picture that follows"
        camera.ahead_s = 3600.0
        jumped, later = next_report()
        assert jumped - unix - (later - ticks) / CLOCK_HZ == pytest.approx(3600.0, abs=0.01)


def drain(client: Client) -> None:
    while True:
        client.packet()


def test_frozen_it_answers_and_sends_nothing(make: Callable[..., Camera]) -> None:
    camera = make()
    with Client(camera.port) as client:
        client.play()
        client.picture()
        camera.stage.frozen = True
        client.socket.settimeout(0.3)
        with pytest.raises(TimeoutError):
            drain(client)
        client.socket.settimeout(PATIENCE_S)
        assert client.ask("OPTIONS").code == 200
        camera.stage.frozen = False
        assert client.picture()[0]


def test_over_udp_packets_go_to_the_ports_of_who_asked(make: Callable[..., Camera]) -> None:
    camera = make()
    with Client(camera.port) as client, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as media:
        media.bind(("127.0.0.1", 0))
        media.settimeout(PATIENCE_S)
        port = media.getsockname()[1]
        wish = f"RTP/AVP;unicast;destination=127.0.0.9;client_port={port}-{port + 1 if port < 65535 else port - 1}"
        answer = client.ask("SETUP", "/camera/track0", Transport=wish)
        client.session = answer.headers["session"].partition(";")[0]
        found = re.search(r"server_port=(\d+)-(\d+);ssrc=([0-9A-F]{8})", answer.headers["transport"])
        assert found is not None
        assert int(found[1]) % 2 == 0
        assert int(found[2]) == int(found[1]) + 1
        client.ask("PLAY")
        data, sender = media.recvfrom(2048)
        assert sender == ("127.0.0.1", int(found[1]))
        assert (data[0], data[1] & 0x7F, data[8:12].hex().upper()) == (0x80, 96, found[3])
        assert client.ask("TEARDOWN").code == 200


def test_a_port_that_is_taken_is_told() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(DeviceError, match=str(taken.getsockname()[1])),
    ):
        RtspServer(Stage(), Encoder(WIDTH, HEIGHT, FPS), FPS, taken.getsockname()[1])


# ---------------------------------------------------------------- other people's clients


def numbers_of(images: list[np.ndarray[Any, Any]]) -> list[int]:
    """The numbers that pictures show, modulo 25."""
    return [round((float(i[110:130, 150:170].mean()) - 40.0) / 8.0) for i in images]


def test_opencv_sees_the_pictures_in_their_colours(camera: Camera) -> None:
    capture = cv2.VideoCapture(camera.url, cv2.CAP_FFMPEG)
    images = []
    for _ in range(5):
        ok, image = capture.read()
        assert ok
        assert image.shape == (HEIGHT, WIDTH, 3)
        images.append(image)
    capture.release()
    seen = numbers_of(images)
    assert [(b - a) % 25 for a, b in pairwise(seen)] == [1] * 4


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_pyav_and_two_at_a_time(camera: Camera, protocol: str) -> None:
    with ExitStack() as stack:
        for _ in range(2):
            options = {"rtsp_transport": protocol}
            container = stack.enter_context(av.open(camera.url, options=options, timeout=PATIENCE_S))
            stream = container.streams.video[0]
            assert (stream.codec_context.name, stream.width, stream.height) == ("h264", WIDTH, HEIGHT)
            frames = [f for f, _ in zip(container.decode(stream), range(6), strict=False)]
            seen = numbers_of([f.to_ndarray(format="bgr24") for f in frames])
            assert [(b - a) % 25 for a, b in pairwise(seen)] == [1] * 5
        assert camera.stage.clients >= 2


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_ffprobe_counts_whole_pictures(camera: Camera, protocol: str) -> None:
    probe = shutil.which("ffprobe")
    if probe is None:
        pytest.skip("no ffprobe on this machine")
    command = [probe, "-v", "error", "-rtsp_transport", protocol, "-read_intervals", "%+#10", "-count_frames"]
    done = subprocess.run(
        [*command, "-show_streams", "-of", "json", camera.url], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    (stream,) = json.loads(done.stdout)["streams"]
    assert (stream["codec_name"], stream["width"], stream["height"]) == ("h264", WIDTH, HEIGHT)
    assert (stream["color_space"], stream["color_range"]) == ("smpte170m", "tv")
    assert int(stream["nb_read_frames"]) >= 9


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_gstreamer_which_is_no_ffmpeg(camera: Camera, protocol: str) -> None:
    need("rtspsrc", "rtph264depay", "h264parse")
    script = Path(__file__).with_name("gst_client.py")
    done = subprocess.run(
        [SYSTEM_PYTHON, script, camera.url, protocol, "20"], capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == [str(WIDTH), str(HEIGHT), "20"]


# ---------------------------------------------------------------- enemies


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (b"GET / HTTP/1.0\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400),  # a TLS hello
        (b"OPTIONS * RTSP/2.0\r\nCSeq: 1\r\n\r\n", 505),
        (b"OPTIONS * RTSP/1.0\r\n\r\n", 400),  # no CSeq
        (b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\nno colon\r\n\r\n", 400),
        (b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\nContent-Length: -5\r\n\r\n", 400),
        (b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\nContent-Length: 99999999\r\n\r\n", 413),
        (b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\nX: " + b"a" * 20_000 + b"\r\n\r\n", 413),
        (b"OPTIONS rtsp://[::1/camera RTSP/1.0\r\nCSeq: 1\r\n\r\n", 400),
        (b"a" * 9000, 413),
    ],
)
def test_garbage_is_answered_once_and_the_connection_closed(camera: Camera, said: bytes, code: int) -> None:
    with Client(camera.port) as client:
        client.socket.sendall(said)
        assert client.answer().code == code
        assert client.ended()


@given(st.binary(min_size=1, max_size=400))
@settings(max_examples=60, deadline=None)
def test_after_any_bytes_it_still_serves(camera: Camera, noise: bytes) -> None:
    with Client(camera.port) as client:
        client.socket.sendall(noise)
        with Client(camera.port) as other:
            assert other.ask("OPTIONS").code == 200


def test_reports_of_clients_and_blank_lines_are_passed_over(camera: Camera) -> None:
    with Client(camera.port) as client:
        client.play()
        client.socket.sendall(b"$\x01\x00\x08" + bytes(8) + b"\r\n\r\n$\x01\xff\xff" + bytes(65535))
        assert client.ask("GET_PARAMETER").code == 200


def test_who_says_half_a_request_is_let_go(make: Callable[..., Camera]) -> None:
    camera = make(patience_s=0.2)
    with Client(camera.port) as client:
        client.socket.sendall(b"OPTIONS * RTSP/1.0\r\nCS")
        assert client.ended()


def test_who_says_nothing_is_let_go_and_who_watches_is_not(make: Callable[..., Camera]) -> None:
    camera = make(idle_s=0.3)
    with Client(camera.port) as silent, Client(camera.port) as ready, Client(camera.port) as watching:
        watching.play()
        assert ready.ask("SETUP", Transport="RTP/AVP/TCP").code == 200
        assert silent.ended()
        assert ready.ended()
        assert len([watching.picture() for _ in range(20)]) == 20
    until(lambda: camera.server.sessions == set() and camera.stage.clients == 0)


def test_over_udp_who_sends_no_reports_is_let_go(make: Callable[..., Camera]) -> None:
    """The client's host died: its connection is half open and says nothing."""
    camera = make(idle_s=0.5)
    with Client(camera.port) as dead, Client(camera.port) as living, ExitStack() as stack:
        controls = []
        for client in (dead, living):
            control = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            control.bind(("127.0.0.1", 0))
            port = control.getsockname()[1]
            wish = f"RTP/AVP;unicast;client_port={port - 1}-{port}"
            answer = client.ask("SETUP", Transport=wish)
            client.session = answer.headers["session"].partition(";")[0]
            controls.append(
                (control, int(answer.headers["transport"].split("server_port=")[1].split("-")[1][:5].split(";")[0]))
            )
            assert client.ask("PLAY").code == 200
        stop = threading.Event()

        def report() -> None:
            while not stop.wait(0.05):
                controls[1][0].sendto(bytes.fromhex("80c90001") + bytes(4), ("127.0.0.1", controls[1][1]))

        thread = threading.Thread(target=report)
        thread.start()
        try:
            assert dead.ended()
            assert living.ask("OPTIONS").code == 200
        finally:
            stop.set()
            thread.join(PATIENCE_S)


def test_who_stops_reading_misses_pictures_is_cut_off_and_harms_nobody(make: Callable[..., Camera]) -> None:
    camera = make(patience_s=1.5)
    camera.noise = 255  # some 100 kB a picture
    with Client(camera.port) as well, Client(camera.port) as deaf:
        well.play()
        deaf.play()
        (ill,) = [s for s in camera.server.sessions if s.id == deaf.session]
        most = 0
        while ill in camera.server.sessions:
            assert well.picture()[0]
            most = max(most, ill.missed)
        assert most > 0
        assert ill._queue.qsize() <= 8
        numbers = [p.sequence for _ in range(10) for p in well.picture()[1]]
        assert numbers == [(numbers[0] + i) & 0xFFFF for i in range(len(numbers))]
        assert {s.missed for s in camera.server.sessions} == {0}


def test_who_asks_and_never_reads_is_cut_off(camera: Camera) -> None:
    with Client(camera.port) as client:
        asked = b"DESCRIBE rtsp://h/camera RTSP/1.0\r\nCSeq: 1\r\n\r\n" * 1_000_000
        with pytest.raises(ConnectionError):
            client.socket.sendall(asked)
    with Client(camera.port) as other:
        assert other.ask("OPTIONS").code == 200


def test_too_many_are_refused_and_room_comes_back(make: Callable[..., Camera]) -> None:
    camera = make()
    with ExitStack() as stack:
        for _ in range(MOST_CONNECTIONS):
            assert stack.enter_context(Client(camera.port)).ask("OPTIONS").code == 200
        with Client(camera.port) as one:
            assert one.answer().code == 503
            assert one.ended()
    until(lambda: not camera.server.connections)
    with Client(camera.port) as one:
        assert one.ask("OPTIONS").code == 200


def test_closed_under_its_clients_it_hangs_up_and_says_nothing(
    make: Callable[..., Camera], caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder
) -> None:
    """One that has said nothing, one that watches, one set up over UDP, and one in the middle of a request."""
    camera = make()
    udp = "RTP/AVP;unicast;client_port=5000-5001"
    with ExitStack() as stack:
        silent, watching, ready, talking = (stack.enter_context(Client(camera.port)) for _ in range(4))
        watching.play()
        assert ready.ask("SETUP", Transport=udp).code == 200
        talking.socket.sendall(b"OPTIONS * RTSP/1.0\r\nCS")
        assert watching.picture()[0]
        until(lambda: len(camera.server.connections) == 4)
        camera.close()
        assert all(client.ended() for client in (silent, watching, ready, talking))
        assert (camera.server.sessions, camera.server.connections, camera.stage.clients) == (set(), set(), 0)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", camera.port))
    assert [r.getMessage() for r in caplog.records] == []
    assert [str(w.message) for w in recwarn] == []


def test_clients_that_vanish_leave_no_handle(make: Callable[..., Camera]) -> None:
    camera = make()

    def handles() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    def visit() -> None:
        with Client(camera.port) as client:
            client.play()
            client.picture()
        with Client(camera.port) as client:
            client.ask("SETUP", Transport="RTP/AVP;client_port=5000-5001")

    visit()
    until(lambda: not camera.server.connections)
    before = handles()
    for _ in range(20):
        visit()
    until(lambda: not camera.server.connections and camera.stage.clients == 0)
    until(lambda: handles() <= before)
