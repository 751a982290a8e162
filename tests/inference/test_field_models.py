"""Real models on real photographs: the boxes on which independent models agree, in every output layout."""

from __future__ import annotations

import json
import shutil
from functools import cache
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from agent.errors import InputError
from agent.inference.load import load_detector
from agent.inference.selfcheck import self_check
from agent.inference.spec import ModelOptions

if TYPE_CHECKING:
    from pathlib import Path

    from agent.inference.detector import Detector
    from agent.inference.letterbox import U8
    from agent.messages import Box

pytestmark = pytest.mark.field
PHOTOGRAPHS = ("gunnerus.jpg", "havfruen.jpg", "jet.jpg")
Corners = tuple[float, float, float, float]


def iou(a: Corners, b: Corners) -> float:
    w = min(a[2], b[2]) - max(a[0], b[0])
    h = min(a[3], b[3]) - max(a[1], b[1])
    if w <= 0 or h <= 0:
        return 0.0
    return w * h / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - w * h)


def corners(box: Box) -> Corners:
    return box.x0, box.y0, box.x1, box.y1


@cache
def picture(path: Path) -> U8:
    return np.asarray(cv2.imread(str(path)), dtype=np.uint8)


@cache
def model(path: Path, fit: str | None = None) -> Detector:
    return load_detector(path, options=ModelOptions(fit=fit))  # type: ignore[arg-type] # checked by pydantic


def boats(detector: Detector, image: U8) -> list[Box]:
    return [b for b in detector.detect(image) if b.label == "boat"]


def test_yolox_finds_what_independent_models_agree_on_and_no_other_boat(field_data: Path) -> None:
    truth = json.loads((field_data / "images" / "consensus.json").read_text())["images"]
    detector = model(field_data / "models" / "yolox_nano_416.onnx")
    for name in PHOTOGRAPHS:
        found = boats(detector, picture(field_data / "images" / name))
        expected = [tuple(b["box"]) for b in truth[name]]
        assert expected
        for box in expected:
            assert max(iou(corners(b), box) for b in found) >= 0.7, name
        others = [b for b in found if max(iou(corners(b), box) for box in expected) < 0.7]
        assert [b for b in others if b.score > 0.5] == [], name


def test_nanodet_agrees(field_data: Path) -> None:
    truth = json.loads((field_data / "images" / "consensus.json").read_text())["images"]
    detector = model(field_data / "models" / "nanodet_m_416.onnx")
    for name in PHOTOGRAPHS:
        best = boats(detector, picture(field_data / "images" / name))[0]
        assert iou(corners(best), tuple(truth[name][0]["box"])) >= 0.7, name
        assert best.score == pytest.approx(truth[name][0]["models"]["nanodet_m_416"], abs=0.01)


def test_fastestdet_sees_the_boat_it_can(field_data: Path) -> None:
    truth = json.loads((field_data / "images" / "consensus.json").read_text())["images"]
    detector = model(field_data / "models" / "fastestdet_352.onnx")
    best = boats(detector, picture(field_data / "images" / "havfruen.jpg"))[0]
    assert iou(corners(best), tuple(truth["havfruen.jpg"][0]["box"])) >= 0.7


@pytest.mark.parametrize(
    ("name", "fit"),
    [
        ("yolox_nano_as_v8_1x84x3549", None),
        ("yolox_nano_as_end2end_1x300x6", None),
        ("yolox_nano_as_rtdetr_labels_boxes_scores", "stretch"),
        ("yolox_nano_as_ssd_4out_nhwc_uint8", "stretch"),
    ],
)
def test_the_same_weights_in_another_layout_give_the_same_boats(field_data: Path, name: str, fit: str | None) -> None:
    reference = model(field_data / "models" / "yolox_nano_416.onnx", fit)
    other = model(field_data / "models" / f"{name}.onnx")
    for photograph in PHOTOGRAPHS:
        image = picture(field_data / "images" / photograph)
        expected, found = boats(reference, image), boats(other, image)
        assert len(found) == len(expected) > 0
        for a, b in zip(expected, found, strict=True):
            assert iou(corners(a), corners(b)) >= 0.98
            assert a.score == pytest.approx(b.score, abs=0.005)


@pytest.mark.parametrize(
    ("name", "layout"),
    [
        ("yolox_nano_416", "yolox"),
        ("nanodet_m_416", "nanodet"),
        ("fastestdet_352", "fastestdet"),
        ("yolox_nano_as_v8_1x84x3549", "yolov8"),
        ("yolox_nano_as_end2end_1x300x6", "end2end"),
        ("yolox_nano_as_rtdetr_labels_boxes_scores", "rtdetr"),
        ("yolox_nano_as_ssd_4out_nhwc_uint8", "ssd-tf"),
    ],
)
def test_a_layout_is_recognised_without_model_toml(field_data: Path, tmp_path: Path, name: str, layout: str) -> None:
    bare = shutil.copy(field_data / "models" / f"{name}.onnx", tmp_path)
    detector = load_detector(bare)
    assert detector.info.layout == layout
    assert "boat" in detector.info.vessel_labels
    assert self_check(detector) == ""


def test_a_yolox_without_model_toml_finds_the_same_boats(field_data: Path, tmp_path: Path) -> None:
    source = field_data / "models" / "yolox_nano_416.onnx"
    image = picture(field_data / "images" / "havfruen.jpg")
    assert boats(load_detector(shutil.copy(source, tmp_path)), image) == boats(model(source), image)


def test_a_damaged_model_is_one_sentence(field_data: Path, tmp_path: Path) -> None:
    whole = (field_data / "models" / "yolox_nano_416.onnx").read_bytes()
    for cut in (10, len(whole) // 2, len(whole) - 1000):
        damaged = tmp_path / f"cut{cut}.onnx"
        damaged.write_bytes(whole[:cut])
        with pytest.raises(InputError, match="not a readable ONNX model"):
            load_detector(damaged)
