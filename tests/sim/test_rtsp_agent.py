"""The box's own camera driver and detector on the simulated camera's RTSP, through a power cut."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import pytest

from agent.clock import SystemClock
from agent.config.schema import Tracking
from agent.drivers.camera.open import make_source
from agent.drivers.camera.options import CameraOptions
from agent.errors import SensorUnavailable
from agent.inference.load import load_detector
from agent.inference.tiles import auto_regions, find_in
from hardware_sim import scenario
from hardware_sim.devices.camera import Camera
from hardware_sim.devices.view import View
from hardware_sim.sight import LOOSE_IOU, iou_table
from hardware_sim.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.drivers.camera.base import Frame, FrameSource

PATIENCE_S = 90.0
SEED = 1
OPTIONS = CameraOptions(fps=4.0)


@contextmanager
def playing(url: str) -> Iterator[tuple[FrameSource, Frame]]:
    """The source and its first frame: a box tries again, too, while a camera boots or a busy machine makes it stall."""
    end = time.monotonic() + PATIENCE_S
    while True:
        assert time.monotonic() < end, "the camera gives nothing"
        source = make_source(url, OPTIONS, SystemClock())
        try:
            source.open()
            while (frame := source.read(0.5)) is None:
                pass
        except SensorUnavailable:
            source.close()
            time.sleep(0.2)
            continue
        break
    try:
        yield source, frame
    finally:
        source.close()


def until_gone(source: FrameSource) -> None:
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        source.read(0.5)


def test_every_vessel_is_found_over_rtsp_before_and_after_a_power_cut() -> None:
    chosen = scenario.load("harbour-mouth")
    truth = np.array([[b.x0, b.y0, b.x1, b.y1] for b in View(World(chosen, SEED)).picture(0.0).boxes], np.float32)
    detector = load_detector()
    camera = Camera(chosen, SEED, 4.0)  # time stands at 0
    try:
        url = camera.endpoints()["camera_rtsp"]
        for _ in range(2):
            with playing(url) as (source, frame):
                image = frame.image
                assert image.shape == (1080, 1920, 3)
                regions = auto_regions(detector, image.shape[1], image.shape[0])
                found = find_in(detector, image, regions, min_score=Tracking().camera_min_score)
                assert len(truth) == 3
                assert (iou_table(truth, found.corners).max(1, initial=0) >= LOOSE_IOU).all()
                camera.power_off()
                with pytest.raises(SensorUnavailable):
                    until_gone(source)
            camera.power_on()
    finally:
        camera.close()
