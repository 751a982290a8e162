"""Sources of frames against real servers, files and folders."""

from __future__ import annotations

import socket
import subprocess
import threading
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from pydantic import ValidationError

from agent.clock import SystemClock
from agent.drivers.camera.base import U8, Frame, FrameSource
from agent.drivers.camera.mjpeg import digest_answer
from agent.drivers.camera.open import make_source, open_camera
from agent.drivers.camera.options import CameraOptions
from agent.drivers.camera.url import parse
from agent.errors import ConfigError, InputError, SensorUnavailable, UnsupportedError
from agent.transport.base import EndOfData
from camera.mjpeg_server import Camera, jpeg, number_of, part, steady, wait_until
from hardware_sim.devices import h264
from hardware_sim.devices import rtsp as simulated_rtsp
from sim.test_rtsp import Camera as SimulatedCamera
from support.clock import ManualClock
from support.gst import rtsp_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


FAST = CameraOptions(fps=60.0, stall_s=0.5)


@pytest.fixture
def camera() -> Iterator[Callable[..., Camera]]:
    made: list[Camera] = []

    def make(script: Callable[[], Iterator[bytes | float]], *, auth: str = "") -> Camera:
        made.append(Camera(script, auth=auth))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def connect() -> Iterator[Callable[..., FrameSource]]:
    opened: list[FrameSource] = []

    def make(url: str, options: CameraOptions = FAST) -> FrameSource:
        opened.append(open_camera(url, options, SystemClock()))
        return opened[-1]

    yield make
    for one in opened:
        one.close()
        one.close()


def next_frame(source: FrameSource) -> Frame:
    for _ in range(100):
        frame = source.read(0.2)
        if frame is not None:
            return frame
    raise AssertionError("no frame came")


def until_gone(source: FrameSource) -> str:
    try:
        for _ in range(200):
            source.read(0.2)
    except SensorUnavailable as e:
        return str(e)
    raise AssertionError("the camera is still there")


def everything(source: FrameSource) -> list[Frame]:
    frames: list[Frame] = []
    try:
        while True:
            frame = source.read(0.2)
            if frame is not None:
                frames.append(frame)
    except EndOfData:
        return frames


def clip(path: Path, count: int = 20, fps: float = 10.0) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), fps, (64, 48))
    assert writer.isOpened()
    for i in range(count):
        writer.write(np.full((48, 64, 3), 10 * (i % 25), dtype=np.uint8))
    writer.release()
    return path


# -------------------------------------------------------------------------------------------------------------- MJPEG


def test_frames_come_with_rising_numbers_and_fresh_stamps(
    camera: Callable[..., Camera], connect: Callable[..., FrameSource]
) -> None:
    clock = SystemClock()
    before = clock.now().t_s
    source = connect(camera(steady(500, pause_s=0.01)).url())
    frames = [next_frame(source) for _ in range(5)]
    numbers = [f.number for f in frames]
    assert numbers == sorted(set(numbers))
    for f in frames:
        assert f.image.shape == (48, 64, 3)
        assert f.image.dtype == np.uint8
        assert number_of(f.image) == f.number % 25
        assert before - 2.0 < f.at.t_s < clock.now().t_s + 2.0
    assert source.counters["frames"] == 5
    assert source.counters["dropped"] == numbers[-1] + 1 - 5


def test_the_latest_frame_wins_and_what_was_passed_over_is_counted(
    camera: Callable[..., Camera], connect: Callable[..., FrameSource]
) -> None:
    sent = threading.Event()

    def script() -> Iterator[bytes | float]:
        for i in range(20):
            yield part(jpeg(i))
        sent.set()
        yield 60.0

    source = connect(camera(script).url())
    assert sent.wait(10)
    # the reader's thread takes them all; nobody asked meanwhile, so only the last is handed out
    assert wait_until(lambda: source._grabbed == 20)  # type: ignore[attr-defined] # the live source's own count
    frame = source.read(1.0)
    assert frame is not None
    assert (frame.number, number_of(frame.image)) == (19, 19)
    assert source.counters["dropped"] == 19
    assert source.read(0.05) is None


def test_an_open_socket_that_sends_nothing_more_is_told_by_time(
    camera: Callable[..., Camera], connect: Callable[..., FrameSource]
) -> None:
    def script() -> Iterator[bytes | float]:
        yield part(jpeg(3))
        yield 60.0

    source = connect(camera(script).url())
    assert number_of(next_frame(source).image) == 3
    assert "though" in until_gone(source)


def test_a_stream_of_broken_pictures_only_is_opened_anew(
    camera: Callable[..., Camera], connect: Callable[..., FrameSource]
) -> None:
    def script() -> Iterator[bytes | float]:
        while True:
            yield part(b"\xff\xd8 no picture \xff\xd9")
            yield 0.05

    source = connect(camera(script).url())
    assert "can be decoded" in until_gone(source)
    assert source.counters["broken"] > 1


def test_a_killed_camera_is_gone_and_can_be_opened_again(
    camera: Callable[..., Camera], connect: Callable[..., FrameSource]
) -> None:
    def script() -> Iterator[bytes | float]:
        yield part(jpeg(3))
        yield part(jpeg(4))[:100]  # dies within a part

    server = camera(script)
    assert "ended the stream" in until_gone(connect(server.url()))
    server.script = steady(50, pause_s=0.01)
    next_frame(connect(server.url()))


def test_truncated_parts_and_garbage_are_counted_and_the_stream_goes_on(
    camera: Callable[..., Camera], connect: Callable[..., FrameSource]
) -> None:
    fake = b"\xff\xd8\xff\xe0 looks like one \xff\xd9"  # whole by its markers, but no picture

    def script() -> Iterator[bytes | float]:
        for i in range(1, 200):
            yield part(jpeg(i % 25))[:200] + b"\r\n" + b"garbage" + part(fake) + part(jpeg(i % 25))
            yield 0.01

    source = connect(camera(script).url())
    for _ in range(4):
        frame = next_frame(source)
        assert frame.image.std() < 1.0, "half a picture was handed out"
    source.read(0.0)
    assert source.counters["broken"] >= 4


@pytest.mark.parametrize("auth", ["basic", "digest"])
def test_logins(camera: Callable[..., Camera], connect: Callable[..., FrameSource], auth: str) -> None:
    server = camera(steady(200, pause_s=0.01), auth=auth)
    next_frame(connect(server.url("operator:secret@")))
    for login in ("operator:wr%40ng@", ""):
        with pytest.raises(SensorUnavailable) as caught:
            connect(server.url(login))
        sentence = str(caught.value)
        assert "login refused" in sentence
        assert not any(word in sentence for word in ("wr@ng", "wr%40ng", "operator", "hush"))


def test_digest_of_the_standard() -> None:
    """RFC 7616, section 3.9.1."""
    challenge = (
        'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=SHA-256, '
        'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
    )
    url = parse("http://Mufasa:Circle%20of%20Life@www.example.org/dir/index.html")
    answer = digest_answer(challenge, url, cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ")
    assert 'response="753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"' in answer
    assert 'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"' in answer


def test_an_answer_that_is_no_stream(camera: Callable[..., Camera], connect: Callable[..., FrameSource]) -> None:
    server = camera(steady(1))
    server.content_type = "text/html"
    with pytest.raises(UnsupportedError, match="text/html"):
        connect(server.url())
    with pytest.raises(SensorUnavailable, match="404"):
        connect(f"http://127.0.0.1:{server.port}/nowhere")


def test_nobody_there(connect: Callable[..., FrameSource]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for url in (f"http://u:hush@127.0.0.1:{port}/", f"rtsp://u:hush@127.0.0.1:{port}/main"):
        with pytest.raises(SensorUnavailable) as caught:
            connect(url)
        assert "hush" not in str(caught.value)
        assert str(port) in str(caught.value)


def test_close_ends_a_pending_read_from_another_thread(
    camera: Callable[..., Camera], connect: Callable[..., FrameSource]
) -> None:
    def script() -> Iterator[bytes | float]:
        yield 60.0

    source = connect(camera(script).url(), CameraOptions(stall_s=60.0))
    timer = threading.Timer(0.1, source.close)
    timer.start()
    with pytest.raises(SensorUnavailable, match="closed"):
        source.read(60.0)
    timer.join()
    with pytest.raises(SensorUnavailable):
        source.open()


def test_masks_are_black_before_anybody_sees_the_picture(
    camera: Callable[..., Camera], connect: Callable[..., FrameSource]
) -> None:
    left_half = ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))
    options = CameraOptions(fps=60.0, masks=(left_half,))
    image = next_frame(connect(camera(lambda: iter([part(jpeg(20)), 60.0])).url(), options)).image
    assert image[:, :32].max() == 0
    assert image[:, 36:].min() > 190


# -------------------------------------------------------------------------------------------------- clips and folders


def test_a_clip_at_full_speed_gives_every_due_frame_stamped_by_the_recording(tmp_path: Path) -> None:
    url = f"file://{clip(tmp_path / 'a clip.mp4')}?pace=fast".replace(" ", "%20")
    source = open_camera(url, CameraOptions(fps=60.0), ManualClock(1000.0))
    frames = [(f.number, f.at.t_s, number_of(f.image)) for f in everything(source)]
    assert [n for n, _, _ in frames] == list(range(20))
    assert [t for _, t, _ in frames] == pytest.approx([1000.0 + i / 10 for i in range(20)])
    assert all(abs(seen - n) <= 1 for n, _, seen in frames)
    source.close()


def test_the_processing_rate_thins_a_recording(tmp_path: Path) -> None:
    source = open_camera(f"file://{clip(tmp_path / 'c.mp4')}?pace=fast", CameraOptions(fps=2.0), ManualClock())
    assert [f.number for f in everything(source)] == [0, 5, 10, 15]
    assert source.counters["dropped"] == 16


def test_the_next_picture_lies_where_the_last_one_did_unless_somebody_holds_a_part_of_it(tmp_path: Path) -> None:
    source = open_camera(f"file://{clip(tmp_path / 'c.mp4')}?pace=fast", CameraOptions(fps=60.0), ManualClock())

    def picture() -> U8:
        frame = source.read(0.0)
        assert frame is not None
        return frame.image

    def where() -> int:
        return int(picture().ctypes.data)  # and lets it go

    assert where() == where()
    held = picture()
    part, seen, at = held[10:20, 10:20], number_of(held), held.ctypes.data
    others = {where() for _ in range(3)}
    assert at not in others
    del held
    assert at not in {where() for _ in range(3)}
    assert abs(int(part.mean()) // 10 - seen) <= 1
    del part
    assert len({where() for _ in range(3)}) == 1
    source.close()


def test_a_looping_clip_goes_on_with_rising_time(tmp_path: Path) -> None:
    url = f"file://{clip(tmp_path / 'c.mp4', 5)}?pace=fast&loop=1"
    source = open_camera(url, CameraOptions(fps=60.0), ManualClock(0.0))
    frames = [source.read(0.0) for _ in range(12)]
    assert [round(f.at.t_s, 3) for f in frames if f] == [round(i / 10, 3) for i in range(12)]
    source.close()
    with pytest.raises(EndOfData):
        source.read(0.0)


def test_a_clip_at_its_own_speed_drops_for_a_slow_reader_and_ends(
    tmp_path: Path, connect: Callable[..., FrameSource]
) -> None:
    source = connect(f"file://{clip(tmp_path / 'c.mp4', 12, fps=60.0)}", CameraOptions(fps=20.0))
    numbers = [f.number for f in everything(source)]
    assert numbers == sorted(set(numbers))
    assert 1 <= len(numbers) < 12
    assert source.counters["dropped"] >= 1


def test_a_folder_in_the_order_of_names_passing_over_what_is_broken(tmp_path: Path) -> None:
    for i in range(4):
        (tmp_path / f"{i}.jpg").write_bytes(jpeg(i))
    (tmp_path / "2.jpg").write_bytes(b"broken")
    (tmp_path / "notes.txt").write_text("no picture")
    source = open_camera(f"file://{tmp_path}/?pace=fast&fps=4", CameraOptions(fps=60.0), ManualClock(0.0))
    assert [(number_of(f.image), f.at.t_s) for f in everything(source)] == [(0, 0.0), (1, 0.25), (3, 0.75)]
    assert source.counters["broken"] == 1


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    cases: list[tuple[str, type[Exception]]] = [
        ("nix.mp4", SensorUnavailable),
        ("text.mp4", InputError),
        ("nix/", SensorUnavailable),
        ("", InputError),  # a folder without pictures
    ]
    for name, kind in cases:
        for pace in ("real", "fast"):
            with pytest.raises(kind, match="file://"):
                open_camera(f"file://{tmp_path}/{name}?pace={pace}", FAST, SystemClock())


def test_a_device_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SensorUnavailable, match="no such device"):
        open_camera(f"v4l2://{tmp_path}/video9?width=640", FAST, SystemClock())
    (tmp_path / "video8").write_text("a file, no camera")
    with pytest.raises(SensorUnavailable, match="cannot be opened"):
        open_camera(f"v4l2://{tmp_path}/video8", FAST, SystemClock())


# --------------------------------------------------------------------------------------------------- URLs and options


@pytest.mark.parametrize(
    ("url", "part_of_sentence"),
    [
        ("ftp://host/x", "ftp://"),
        ("/dev/video0", "without a scheme"),
        ("rtsp:///main", "no host"),
        ("rtsp://host:99999/x", "cannot be read"),
        ("http://host/a b", "blank"),
        ("file://c.mp4?pace=slow", "pace=slow"),
        ("file://c.mp4?speed=2", "'speed' is not known"),
        ("file:///tmp/?fps=0", "fps=0"),
        ("v4l2:///dev/video0?width=big", "width=big"),
    ],
)
def test_urls_that_make_no_sense(url: str, part_of_sentence: str) -> None:
    with pytest.raises(ConfigError, match=part_of_sentence.replace("?", r"\?")):
        make_source(url, CameraOptions(), SystemClock())


def test_urls_taken_apart() -> None:
    url = parse("rtsp://us%40er:p%3Aw@[fe80::1]:8554/main?x=secret")
    assert (url.host, url.port, url.user, url.password) == ("fe80::1", 8554, "us@er", "p:w")
    assert url.shown == "rtsp://[fe80::1]:8554/main"
    assert parse("file://clip.mp4").path == "clip.mp4"
    device = parse("v4l2:///dev/v4l/by-path/pci-0000:00:14.0-usb-0:2:1.0-video-index0?fps=10")
    assert device.path == "/dev/v4l/by-path/pci-0000:00:14.0-usb-0:2:1.0-video-index0"
    assert device.query == {"fps": "10"}


def test_options_refuse_what_they_do_not_know() -> None:
    assert CameraOptions(bearing_deg=90.0, hfov_deg=60.0, height_m=20.0).look == "auto"
    for wrong in ({"colour": 1}, {"fps": 0}, {"look": "hard"}, {"masks": [[[0, 0], [1, 1]]]}, {"hfov_deg": 400}):
        with pytest.raises(ValidationError):
            CameraOptions.model_validate(wrong)


# --------------------------------------------------------------------------------------------------------------- RTSP


@pytest.fixture
def rtsp() -> Iterator[tuple[str, subprocess.Popen[str]]]:
    with rtsp_server() as served:
        yield served


def test_the_key_picture_that_a_camera_begins_with_is_not_lost(
    monkeypatch: pytest.MonkeyPatch, connect: Callable[..., FrameSource]
) -> None:
    monkeypatch.setattr(h264, "KEY_EVERY_S", 3600.0)
    monkeypatch.setattr(simulated_rtsp, "KEYS_AT_START", 1)
    with closing(SimulatedCamera()) as simulated:
        for _ in range(2):
            source = connect(simulated.url)
            assert next_frame(source).image.shape == (240, 320, 3)
            source.close()


def test_a_stream_joined_between_two_key_pictures_is_no_stall(
    monkeypatch: pytest.MonkeyPatch, connect: Callable[..., FrameSource]
) -> None:
    monkeypatch.setattr(h264, "KEY_EVERY_S", 7.0)
    with closing(SimulatedCamera()) as simulated:
        early = connect(simulated.url)
        next_frame(early)
        monkeypatch.setattr(simulated_rtsp, "KEYS_AT_START", 0)
        late = connect(simulated.url, CameraOptions(fps=25.0, stall_s=0.5))
        assert next_frame(late).image.shape == (240, 320, 3)
        early.close()
        late.close()


def test_rtsp_frames_a_stall_told_by_time_and_a_refused_login(
    rtsp: tuple[str, subprocess.Popen[str]], connect: Callable[..., FrameSource], capfd: pytest.CaptureFixture[str]
) -> None:
    address, process = rtsp
    source = connect(f"rtsp://user:p%40ss@{address}/ball", CameraOptions(fps=25.0, stall_s=1.0))
    frames = [next_frame(source) for _ in range(5)]
    assert frames[0].image.shape == (240, 320, 3)
    assert len({f.image.tobytes() for f in frames}) == 5, "the ball moves"
    assert process.stdin is not None
    process.stdin.write("freeze\n")
    process.stdin.flush()
    assert address in until_gone(source)
    for url in (f"rtsp://user:wrong@{address}/ball", f"rtsp://user:p%40ss@{address}/nix"):
        with pytest.raises(SensorUnavailable) as caught:
            connect(url)
        assert "wrong" not in str(caught.value)
    err = capfd.readouterr().err
    assert "p%40ss" not in err
    assert "wrong@" not in err


def test_openings_faults_and_closings_leave_no_handle_and_no_thread(camera: Callable[..., Camera]) -> None:
    def script() -> Iterator[bytes | float]:
        yield part(jpeg(3))
        yield part(jpeg(4))[:100]  # dies within a part

    server = camera(script)

    def cycle() -> None:
        source = open_camera(server.url(), FAST, SystemClock())
        next_frame(source)
        until_gone(source)
        source.close()

    def handles() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    cycle()
    settled = threading.active_count()
    assert wait_until(lambda: threading.active_count() <= settled)
    before = handles()
    for _ in range(100):
        cycle()
    assert wait_until(lambda: handles() <= before)
    assert wait_until(lambda: threading.active_count() <= settled)
