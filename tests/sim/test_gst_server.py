"""The simulator's pictures through GStreamer's RTSP server, which is not ours, into the box's camera driver.

What arrives is compared with the clip, and the clip with the truth beside it; no detector is asked.
"""

from __future__ import annotations

import json
import time
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import av
import cv2
import numpy as np
import pytest

from agent.clock import SystemClock
from agent.drivers.camera.open import make_source
from agent.drivers.camera.options import CameraOptions
from agent.errors import SensorUnavailable
from hardware_sim import scenario
from hardware_sim.cli import main
from hardware_sim.devices.view import conditions, pose
from hardware_sim.render import Renderer
from support.gst import rtsp_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    Picture = np.ndarray[Any, Any]

PATIENCE_S = 90.0
SEED = 2
WIDTH, HEIGHT = 640, 360
CHANGED = 25
"""Grey levels: vessels differ by more from the sea behind them, what the encoder loses by less."""


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "harbour.mp4"
    shape = ("--size", f"{WIDTH}x{HEIGHT}", "--fps", "4", "--from", "38", "--duration", "2.5", "--detail", "live")
    assert main(["render", "harbour-mouth", "--seed", str(SEED), "--out", str(path), *shape]) == 0
    return path


def pictures_of(clip: Path) -> list[Picture]:
    with av.open(str(clip)) as container:
        return [f.to_ndarray(format="bgr24") for f in container.decode(video=0)]


def read_once(url: str) -> Iterator[Picture]:
    """What the box's driver gets until the clip is over."""
    source = make_source(url, CameraOptions(fps=60.0), SystemClock())
    try:
        source.open()
        while True:
            frame = source.read(0.5)
            if frame is not None:
                yield frame.image
    except SensorUnavailable:
        return
    finally:
        source.close()


def which(image: Picture, pictures: list[Picture]) -> int:
    """Which picture of the clip it is, byte for byte."""
    (index,) = [k for k, picture in enumerate(pictures) if np.array_equal(image, picture)]
    return index


def test_the_driver_gets_the_clip_s_pictures_and_the_truth_is_where_they_show_it(clip: Path) -> None:
    pictures = pictures_of(clip)
    assert len(pictures) == 10
    seen: dict[int, Picture] = {}
    end = time.monotonic() + PATIENCE_S
    with rtsp_server(clip) as (address, _):
        while len(seen) < 4:  # a busy machine passes pictures over; then it is played again
            assert time.monotonic() < end, "GStreamer's server gives too few pictures"
            order = []
            for image in read_once(f"rtsp://user:p%40ss@{address}/clip"):
                order.append(which(image, pictures))
                seen[order[-1]] = image
            assert all(b > a for a, b in pairwise(order))
    base = scenario.load("harbour-mouth")
    camera = base.camera.model_copy(update={"width_px": WIDTH, "height_px": HEIGHT})
    chosen = base.model_copy(update={"camera": camera})
    renderer = Renderer(pose(chosen), conditions(chosen, SEED), "live")
    _, *lines = map(json.loads, clip.with_suffix(".jsonl").read_text(encoding="utf-8").splitlines())
    for k, image in seen.items():
        empty = renderer.render([], lines[k]["t"]).image
        places = changed_places(image, empty)
        assert len(places) == 3, "something else has changed"
        off = off_px(places, lines[k])
        assert off.max() < 2.5
        assert off_px(places, lines[(k + 5) % 10]).max() > 2.5, "the boxes of another picture would not do"


def off_px(places: Picture, line: dict[str, Any]) -> Picture:
    """How far each box's middle is from the nearest of the places."""
    assert {b["id"] for b in line["boxes"]} == {"Ria Express", "Nuevo Orzan", "panga"}
    boxes = np.array([b["box_px"] for b in line["boxes"]])
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2.0
    return np.asarray(np.abs(places[:, None] - middles[None]).max(axis=2).min(axis=0))


def changed_places(image: Picture, empty: Picture) -> Picture:
    """Middles of what stands out against the same sea without vessels, (n, 2) px."""
    changed = (np.abs(image.astype(int) - empty).max(axis=2) > CHANGED).astype(np.uint8)
    joined = cv2.dilate(changed, np.ones((3, 5), np.uint8))  # a hull and its mast are one thing
    _, labels, _, _ = cv2.connectedComponentsWithStats(joined)
    out = []
    for label in range(1, int(labels.max()) + 1):
        ys, xs = np.nonzero((labels == label) & (changed > 0))
        out.append(((xs.min() + xs.max() + 1) / 2.0, (ys.min() + ys.max() + 1) / 2.0))
    return np.array(out)
