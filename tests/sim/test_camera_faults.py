"""The camera's faults as they are seen over both of its outputs: one picture stands behind MJPEG and RTSP."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import av
import cv2
import numpy as np
import pytest

from hardware_sim import scenario
from hardware_sim.devices.camera import Camera
from hardware_sim.errors import DeviceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PATIENCE_S = 60.0
Grey = np.ndarray[Any, Any]


@pytest.fixture
def device() -> Iterator[Camera]:
    base = scenario.load("harbour-mouth")
    small = base.camera.model_copy(update={"width_px": 480, "height_px": 270})
    one = Camera(base.model_copy(update={"camera": small}), 1, 6.0)
    yield one
    one.close()


@contextmanager
def pictures(url: str) -> Iterator[Iterator[Grey]]:
    """Grey pictures in order, from either output."""
    if url.startswith("rtsp"):
        with av.open(url, options={"rtsp_transport": "tcp"}, timeout=PATIENCE_S) as container:
            yield (f.to_ndarray(format="gray") for f in container.decode(video=0))
    else:
        with urllib.request.urlopen(url, timeout=PATIENCE_S) as stream:  # noqa: S310 - http on the loopback
            yield map(grey, parts(stream))


def parts(stream: Any) -> Iterator[bytes]:
    while True:
        size = 0
        while (line := stream.readline().strip()) or not size:
            if line.startswith(b"Content-Length:"):
                size = int(line.split(b":")[1])
        yield stream.read(size)


def grey(jpeg: bytes) -> Grey:
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert image is not None
    return image


def becomes(source: Iterator[Grey], condition: Callable[[Grey], bool]) -> Grey:
    end = time.monotonic() + PATIENCE_S
    for image in source:
        if condition(image):
            return image
        assert time.monotonic() < end, "the picture did not become so"
    raise AssertionError("the stream ended")


def sky(a: Grey, b: Grey) -> float:
    """How much two skies differ, grey levels: noise makes 1.6, salt on the lens 14."""
    return float(np.abs(a[:100].astype(float) - b[:100]).mean())


def sea(a: Grey, b: Grey) -> float:
    """How much two seas differ: waves make 7 between pictures, an encoder that repeats one picture 1.5 at most."""
    return float(np.abs(a[150:].astype(float) - b[150:]).mean())


def ferry_px(image: Grey) -> float:
    """The column of the ferry, the only thing that breaks the horizon."""
    band = image[112:124].astype(float)
    seen = np.abs(band - np.median(band, axis=1, keepdims=True)).sum(axis=0)
    return float(np.argmax(np.convolve(seen, np.ones(9), mode="same")))


@pytest.mark.parametrize("output", ["camera", "camera_rtsp"])
def test_lens_and_knock(device: Camera, output: str) -> None:
    """Time stands at 0, so that the ferry stays where it is."""
    with pictures(device.endpoints()[output]) as source:
        straight = becomes(source, lambda image: bool(40.0 < image.mean() < 215.0))
        device.set("lens", "black")
        becomes(source, lambda image: bool(image.mean() < 25.0))
        device.set("lens", "overexposed")
        becomes(source, lambda image: bool((image > 225).mean() > 0.8))
        device.set("lens", "salted")
        becomes(source, lambda image: bool(image.mean() < 215.0 and sky(image, straight) > 8.0))
        device.set("lens", "clear")
        before = ferry_px(becomes(source, lambda image: sky(image, straight) < 4.0))
        moved = 240.0 / math.tan(math.radians(20.0)) * math.tan(math.radians(8.0))
        device.set("knock", "8.0")
        becomes(source, lambda image: abs(ferry_px(image) - (before - moved)) < 8.0)
        device.set("knock", "0.0")
        becomes(source, lambda image: abs(ferry_px(image) - before) < 8.0)


def test_a_wrong_clock_is_burnt_in() -> None:
    """Time stands at 0: until its clock is set, the camera repeats one picture, byte for byte."""
    base = scenario.load("harbour-mouth")
    small = base.camera.model_copy(update={"width_px": 480, "height_px": 270})
    look = base.look.model_copy(update={"overlay_text": ("%H:%M:%S",)})
    device = Camera(base.model_copy(update={"camera": small, "look": look}), 1, 6.0)
    try:
        url = device.endpoints()["camera"].replace("camera.mjpg", "snapshot.jpg")

        def shows(condition: Callable[[bytes], bool]) -> bytes:
            end = time.monotonic() + PATIENCE_S
            while time.monotonic() < end:
                with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:  # noqa: S310 - http on the loopback
                    if condition(data := answer.read()):
                        return bytes(data)
            raise AssertionError("the picture did not become so")

        right = shows(bool)
        shows(lambda data: data == right)
        device.set("clock", "-7200")
        wrong = shows(lambda data: data != right)
        assert np.abs(grey(wrong).astype(int) - grey(right)).max() > 60, "other figures"
        device.set("clock", "0")
        shows(lambda data: data == right)
    finally:
        device.close()


@pytest.mark.parametrize("output", ["camera", "camera_rtsp"])
def test_stuck_it_repeats_one_picture_and_goes_on(device: Camera, output: str) -> None:
    device.start(time.monotonic(), 1_750_000_000.0)
    with pictures(device.endpoints()[output]) as source:
        last = [next(source)]

        def step(image: Grey) -> float:
            before, last[0] = last[0], image
            return sea(image, before)

        becomes(source, lambda image: step(image) > 4.0)
        device.command("stick")
        becomes(source, lambda image: step(image) < 2.0)
        assert max(step(next(source)) for _ in range(10)) < 2.0
        device.command("unstick")
        becomes(source, lambda image: step(image) > 4.0)


def test_a_camera_that_died_is_told_in_a_sentence_by_whatever_asks_next(device: Camera) -> None:
    process = device._process
    assert process is not None
    process.kill()
    process.wait(PATIENCE_S)
    with pytest.raises(DeviceError, match="ended by itself with -9"):
        device.start(0.0, 0.0)
    with pytest.raises(DeviceError, match="ended by itself with -9"):
        device.check()
    device.close()
    assert device._process is None


def test_the_ready_line_names_both_and_a_stuck_camera_sends_the_same_bytes(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hardware_sim", "run", "harbour-mouth", "--out", str(tmp_path)]
    command += ["--no-radar", "--no-ais", "--no-nav", "--fps", "4", "--fault", "camera-stuck@0.5"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        ends = json.loads(process.stdout.readline())["endpoints"]
        assert set(ends) == {"camera", "camera_rtsp"}
        with urllib.request.urlopen(ends["camera"], timeout=PATIENCE_S) as stream:  # noqa: S310 - http on the loopback
            source = parts(stream)
            last, repeats = b"", 0
            while repeats < 4:
                now = next(source)
                repeats = repeats + 1 if now == last else 0
                last = now
        with pictures(ends["camera_rtsp"]) as frames:
            stuck = grey(last)
            assert cv2.PSNR(next(frames), stuck) > 28.0, "the same picture over the other output"
    finally:
        process.kill()
        process.communicate()


def test_without_pyav_there_is_mjpeg_and_a_word_about_it(tmp_path: Path) -> None:
    """In an interpreter that cannot find PyAV, as on a box without the extra."""
    hide = (
        "import importlib.util, runpy, sys\n"
        "find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *a: None if name == 'av' else find(name, *a)\n"
    )
    (tmp_path / "sitecustomize.py").write_text(hide, encoding="utf-8")
    command = [sys.executable, "-m", "hardware_sim", "run", "harbour-mouth", "--out", str(tmp_path / "out")]
    command += ["--no-radar", "--no-ais", "--no-nav", "--duration", "0.1"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": str(tmp_path)}
    )
    assert set(json.loads(done.stdout)["endpoints"]) == {"camera"}
    assert "pip install 'vigia[sim]'" in done.stderr
