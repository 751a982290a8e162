"""From frames to detections and health, with a real (tiny) model."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from agent.drivers.camera.base import Frame
from agent.drivers.camera.options import CameraOptions
from agent.errors import ConfigError
from agent.inference.load import load_detector
from agent.inference.spec import ModelOptions
from agent.messages import MOST_BOXES, SensorState, Stamp
from agent.perception.camera import WILD_S, CameraPipeline
from agent.perception.picture import PictureWatch
from inference.blob_model import blob_model, constant_model

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from agent.inference.detector import Detector

WIDTH, HEIGHT = 1280, 720
POSE = CameraOptions(bearing_deg=10.0, hfov_deg=60.0, height_m=20.0, pitch_deg=0.0, min_score=0.6)
RNG = np.random.default_rng(7)


@pytest.fixture
def detector(tmp_path: Path) -> Detector:
    return load_detector(blob_model(tmp_path / "m.onnx"))


def frame(image: NDArray[np.uint8], at_s: float = 100.0, number: int = 0) -> Frame:
    return Frame(image=image, at=Stamp(t_s=at_s, wall_s=at_s), number=number)


def dark_sea(*blobs: tuple[int, int, int], noise: bool = False) -> NDArray[np.uint8]:
    image = np.full((HEIGHT, WIDTH, 3), 40, dtype=np.uint8)
    if noise:
        image += RNG.integers(0, 30, image.shape, dtype=np.uint8)
    for x, y, side in blobs:
        image[y : y + side, x : x + side] = 255
    return image


def test_small_at_the_horizon_large_anywhere_each_once(detector: Detector) -> None:
    pipeline = CameraPipeline(POSE, detector, "cam")
    strip = pipeline.look.strip(WIDTH, HEIGHT)
    assert strip.y < HEIGHT / 2 < strip.y + strip.height, "the horizon lies in the strip"
    # the strip is looked at pixel by pixel: a boat of 4 px on its grid is there, in the halved whole it is half gone
    small_y = strip.y + 4 * round((HEIGHT / 2 + 8 - strip.y) / 4)
    seen = pipeline.process(frame(dark_sea((640, small_y, 4), (320, 560, 32))))
    assert (seen.at_s, seen.source, seen.width_px, seen.height_px) == (100.0, "cam", WIDTH, HEIGHT)
    boxes = [[round(v) for v in (b.x0, b.y0, b.x1, b.y1)] for b in seen.boxes]
    assert boxes.count([640, small_y, 644, small_y + 4]) == 1
    assert [320, 560, 352, 592] in boxes or [b for b in boxes if 320 <= b[0] < 352 and 560 <= b[1] < 592]
    lost = CameraPipeline(POSE.model_copy(update={"look": "whole", "min_score": 0.9}), detector, "cam")
    assert lost.look.regions(1920, 1080)[0].size == (1280, 720)


@pytest.mark.parametrize(
    ("pose", "low", "high"),
    [
        ({"pitch_deg": 5.0}, 0.55, 0.75),  # looking up: the horizon sinks in the picture
        ({"pitch_deg": -5.0}, 0.25, 0.45),
        ({"pitch_deg": 0.0}, 0.45, 0.55),
        ({"pitch_deg": 30.0}, 0.7, 1.0),  # out of the picture: the strip stays inside
    ],
)
def test_the_strip_follows_the_pose(detector: Detector, pose: dict[str, float], low: float, high: float) -> None:
    pipeline = CameraPipeline(POSE.model_copy(update=pose), detector, "cam")
    strip = pipeline.look.strip(WIDTH, HEIGHT)
    assert strip.y >= 0
    assert strip.y + strip.height <= HEIGHT
    assert low <= (strip.y + 0.35 * strip.height) / HEIGHT <= high


def test_a_roll_widens_the_strip(detector: Detector) -> None:
    level = CameraPipeline(POSE, detector, "cam").look.strip(WIDTH, HEIGHT)
    rolled = CameraPipeline(POSE.model_copy(update={"roll_deg": 5.0}), detector, "cam").look.strip(WIDTH, HEIGHT)
    assert rolled.height >= level.height + 2 * 640 * np.tan(np.radians(5)) - 32


@pytest.mark.parametrize(("width", "height", "parts"), [(1280, 720, 1), (1920, 1080, 2), (3840, 2160, 4)])
def test_a_wide_strip_is_looked_at_in_parts_that_overlap(
    detector: Detector, width: int, height: int, parts: int
) -> None:
    pipeline = CameraPipeline(POSE, detector, "cam")
    strip = pipeline.look.strip(width, height)
    _, *views = pipeline.look.regions(width, height)
    assert len(views) == parts
    assert all(v.size == (v.width, v.height) and v.width <= 1280 and v.width % 32 == 0 for v in views), "at native size"
    assert (views[0].x, views[-1].x + views[-1].width) == (strip.x, strip.x + strip.width)
    assert all((v.y, v.height) == (strip.y, strip.height) for v in views)
    assert all(128 <= a.x + a.width - b.x < 160 for a, b in itertools.pairwise(views))


def test_tiles_are_native_and_a_model_of_fixed_size_gets_tiles_of_its_size(tmp_path: Path, detector: Detector) -> None:
    pipeline = CameraPipeline(POSE.model_copy(update={"look": "tiles"}), detector, "cam")
    assert {r.size for r in pipeline.look.regions(2560, 1440)[1:]} == {(1280, 736)}
    empty = constant_model(tmp_path / "f.onnx", {"o": np.zeros((1, 300, 6), np.float32)}, size=320)
    fixed = CameraPipeline(POSE, load_detector(empty), "cam")
    whole, *tiles = fixed.look.regions(WIDTH, HEIGHT)
    assert (whole.width, whole.height) == (WIDTH, HEIGHT)
    assert {(t.width, t.height) for t in tiles} == {(320, 320)}


def test_only_vessels_leave_and_a_model_without_any_is_refused(tmp_path: Path) -> None:
    outputs = np.zeros((1, 300, 6), np.float32)
    outputs[0, :2] = [[5, 5, 20, 20, 0.9, 0], [30, 30, 50, 50, 0.15, 8]]  # a person, a boat
    model = constant_model(tmp_path / "f.onnx", {"o": outputs})
    pipeline = CameraPipeline(POSE.model_copy(update={"min_score": 0.1}), load_detector(model), "cam")
    assert [b.label for b in pipeline.process(frame(np.zeros((64, 64, 3), np.uint8))).boxes] == ["boat"]
    with pytest.raises(ConfigError, match="vessel_labels"):
        CameraPipeline(POSE, load_detector(model, options=ModelOptions(labels=("cat", "dog"))), "cam")


def test_what_stands_on_land_is_counted_and_never_logged(tmp_path: Path) -> None:
    outputs = np.zeros((1, 300, 6), np.float32)
    outputs[0, :2] = [[5, 5, 25, 20, 0.9, 8], [30, 30, 60, 50, 0.8, 8]]
    model = constant_model(tmp_path / "f.onnx", {"o": outputs})
    left = ((0.0, 0.0), (0.4, 0.0), (0.4, 1.0), (0.0, 1.0))
    pipeline = CameraPipeline(POSE.model_copy(update={"land": (left,), "min_score": 0.1}), load_detector(model), "cam")
    seen = pipeline.process(frame(np.zeros((64, 64, 3), np.uint8)))
    assert [round(b.x0) for b in seen.boxes] == [30]
    assert dict(pipeline.health(100.0).counters)["boxes_on_land"] == 1.0
    bare = CameraPipeline(POSE.model_copy(update={"min_score": 0.1}), load_detector(model), "cam")
    assert len(bare.process(frame(np.zeros((64, 64, 3), np.uint8))).boxes) == 2


def wild_model(path: Path, boxes: int) -> Detector:
    """One that draws so many boats in every picture, none over another."""
    outputs = np.zeros((1, 1000, 6), np.float32)
    for i in range(boxes):
        x, y = 2 * (i % 30), 2 * (i // 30)
        outputs[0, i] = [x, y, x + 1, y + 1, 0.9, 8]
    return load_detector(constant_model(path, {"o": outputs}))


def test_boxes_beyond_the_best_are_logged_counted_and_told_when_they_go_on(tmp_path: Path) -> None:
    options = POSE.model_copy(update={"min_score": 0.1})
    image = RNG.integers(40, 90, (64, 64, 3), dtype=np.uint8)
    wild = CameraPipeline(options, wild_model(tmp_path / "w.onnx", MOST_BOXES + 20), "cam")
    for k in range(3):
        assert len(wild.process(frame(image, 100.0 + k)).boxes) == MOST_BOXES + 20
    assert dict(wild.health(102.0).counters)["boxes_left_out"] == 60.0
    assert "boxes" not in wild.health(102.0).sentence  # a flock of gulls
    wild.process(frame(image, 100.0 + WILD_S))
    told = wild.health(100.0 + WILD_S)
    assert told.state is SensorState.DEGRADED
    assert told.sentence.startswith("more than 300 boxes in every picture for 10 s, only the best 300 are looked at")
    wild.use(wild_model(tmp_path / "t.onnx", MOST_BOXES))
    assert len(wild.process(frame(image, 101.0 + WILD_S)).boxes) == MOST_BOXES
    assert wild.health(101.0 + WILD_S).state is SensorState.OK
    assert dict(wild.health(101.0 + WILD_S).counters)["boxes_left_out"] == 80.0


def test_health_names_what_runs_otherwise_than_asked_and_what_the_budget_costs(tmp_path: Path) -> None:
    other = load_detector(blob_model(tmp_path / "m.onnx"), providers=("cuda", "cpu"))
    pipeline = CameraPipeline(POSE.model_copy(update={"cpu_share": 1e-6}), other, "cam")
    taken = frame(dark_sea(noise=True))
    pipeline.judge(taken, pipeline.process(taken))
    good = pipeline.health(100.0)
    assert good.state is SensorState.OK
    assert "CUDAExecutionProvider cannot be used here; running on CPUExecutionProvider" in good.sentence
    pipeline.look.fps(100.0)
    slow = pipeline.health(100.0)
    assert slow.state is SensorState.DEGRADED
    assert "over its budget" in slow.sentence


def test_health_by_time(detector: Detector) -> None:
    pipeline = CameraPipeline(POSE, detector, "cam", stale_s=15.0)
    assert pipeline.health(100.0).state is SensorState.STARTING
    assert pipeline.health(120.0).state is SensorState.STALE
    assert pipeline.health(120.0, error="unplugged").state is SensorState.UNAVAILABLE
    taken = frame(dark_sea(noise=True), 121.0)
    pipeline.judge(taken, pipeline.process(taken))
    assert pipeline.health(122.0).state is SensorState.OK
    stale = pipeline.health(140.0)
    assert (stale.state, stale.sentence) == (SensorState.STALE, "no new picture for 19 s")
    assert dict(stale.counters)["pictures"] == 1.0


def test_a_dead_model_degrades_the_camera(tmp_path: Path) -> None:
    dead = load_detector(blob_model(tmp_path / "dead.onnx", gain=0.0))
    pipeline = CameraPipeline(POSE, dead, "cam")
    pipeline.process(frame(dark_sea(noise=True)))
    health = pipeline.health(100.0)
    assert health.state is SensorState.DEGRADED
    assert "no score above zero" in health.sentence


def test_a_small_jpeg_with_boxes(detector: Detector) -> None:
    pipeline = CameraPipeline(POSE, detector, "cam")
    taken = frame(dark_sea((640, 400, 64)))
    found = pipeline.process(taken)
    pictures = [pipeline.jpeg(taken, found, boxes=b, width=320) for b in (False, True)]
    plain, drawn = (cv2.imdecode(np.frombuffer(p or b"", np.uint8), cv2.IMREAD_COLOR) for p in pictures)
    assert plain is not None
    assert drawn is not None
    assert plain.shape == drawn.shape == (180, 320, 3)
    assert np.ptp(plain.astype(int), axis=2).max() < 20, "grey without boxes"
    assert np.ptp(drawn.astype(int), axis=2).max() > 100, "amber boxes"


# ------------------------------------------------------------------------------------------------- picture health


def scene(step: int, *, sharp: bool = True) -> NDArray[np.uint8]:
    """A sea with moving waves and sensor noise."""
    y, x = np.mgrid[0:180, 0:320]
    waves = (
        90 + 20 * np.sin(0.7 * x + 0.9 * y + 0.8 * step) + 30 * np.sin(0.08 * x + step) + RNG.normal(0, 3, (180, 320))
    )
    image = np.repeat(np.clip(waves, 0, 255).astype(np.uint8)[..., None], 3, axis=2)
    return image if sharp else np.asarray(cv2.GaussianBlur(image, (0, 0), 4.0), dtype=np.uint8)


def faults(pictures: list[NDArray[np.uint8]], *, period_s: float = 0.5) -> list[str]:
    watch = PictureWatch()
    return [watch.look(p, i * period_s).fault for i, p in enumerate(pictures)]


def with_clock(image: NDArray[np.uint8], step: int) -> NDArray[np.uint8]:
    stamped = image.copy()
    stamped[2:9, 2:22] = RNG.integers(0, 255, (7, 20, 3)) if step % 2 else 0
    return stamped


def test_a_living_sea_is_no_fault() -> None:
    assert set(faults([scene(i) for i in range(200)])) == {""}


def test_a_frozen_picture_is_told_in_ten_seconds_and_forgiven_at_once() -> None:
    still = scene(0)
    seen = faults([scene(i) for i in range(10)] + [still] * 30 + [scene(50)])
    assert set(seen[:30]) == {""}
    assert seen[39] == "frozen"
    assert seen[40] == ""


def test_a_frozen_picture_with_a_running_clock_is_told_within_two_minutes() -> None:
    still = scene(0)
    seen = faults([with_clock(still, i) for i in range(240)])
    assert seen[60] == ""
    assert seen[239] == "frozen"


def test_one_odd_picture_changes_nothing() -> None:
    black, white = np.zeros((180, 320, 3), np.uint8), np.full((180, 320, 3), 255, np.uint8)
    assert set(faults([*(scene(i) for i in range(40)), black, scene(41), white, scene(43)])) == {""}


@pytest.mark.parametrize(("level", "fault"), [(3, "black"), (254, "overexposed")])
def test_black_and_blinded(level: int, fault: str) -> None:
    noisy: list[Any] = [RNG.integers(level - 2, level + 2, (180, 320, 3)).astype(np.uint8) for _ in range(30)]
    seen = faults([scene(i) for i in range(40)] + noisy)
    assert seen[40 + 5] == ""
    assert seen[-1] == fault


def test_lost_detail_is_told_against_the_cameras_own_past() -> None:
    seen = faults([scene(i) for i in range(60)] + [scene(i, sharp=False) for i in range(150)] + [scene(3)])
    assert set(seen[: 60 + 100]) == {""}
    assert seen[60 + 149] == "blurred"
    assert seen[-1] == ""
    assert set(faults([scene(i, sharp=False) for i in range(200)])) == {""}, "a soft camera is not a fault by itself"
