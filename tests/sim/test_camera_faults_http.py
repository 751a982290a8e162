"""The camera's faults in its MJPEG and its snapshots, by the numbers: brightness, angle, clock, frozen and stuck."""

from __future__ import annotations

import math
import socket
import time
import urllib.request
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from hardware_sim import scenario
from hardware_sim.devices.camera import Camera

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

from sim.fault_world import PATIENCE_S


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
    """The column of the ferry, the only thing that breaks the horizon.

    Beside its surroundings: the picture's corners are darker than its middle, by as much as a far ferry is.
    """
    band = image[112:124].astype(np.float32)
    seen = np.abs(band - cv2.blur(band, (41, 1))).sum(axis=0)
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


def jumps(device: Camera, last: float, direction: int) -> tuple[float, float]:
    """Take pictures until the ferry, `last` in this column, is suddenly elsewhere: where, and the picture's time."""
    end = time.monotonic() + PATIENCE_S
    while True:
        image, at = snapshot(device)
        column = ferry_px(image)
        if direction * (column - last) > 40.0:
            return column, at
        assert time.monotonic() < end, f"the ferry stayed at {column}"
        last = column


def test_a_knock_moves_the_picture_by_its_angle(camera: Camera) -> None:
    """8 degrees to starboard of 40 in 480 pixels: what was in the middle moves by 93 to the left."""
    camera.set("lens", "clear")
    image, began = snapshot(camera)
    before = ferry_px(image)
    moved = 240.0 / math.tan(math.radians(20.0)) * math.tan(math.radians(8.0))
    camera.set("knock", "8.0")
    knocked, at = jumps(camera, before, -1)
    camera.set("knock", "0.0")
    after, ended = jumps(camera, knocked, 1)
    meanwhile = before + (after - before) * (at - began) / (ended - began)  # the ferry goes on
    assert abs(knocked - (meanwhile - moved)) < 12.0


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
