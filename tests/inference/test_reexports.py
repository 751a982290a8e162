"""Every other layout of the table from the weights of one real model: the same picture gives the same boats."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import (  # type: ignore[import-untyped] # it ships no type information
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)

from agent.inference.letterbox import place, tensor
from agent.inference.load import load_detector
from agent.inference.selfcheck import check_picture, self_check
from agent.inference.spec import ModelOptions
from inference.reexport import TAILS, opened, reexport
from inference.test_field_models import boats, corners, iou

if TYPE_CHECKING:
    from pathlib import Path

    from agent.inference.detector import Detector
    from agent.inference.letterbox import U8

pytestmark = pytest.mark.field
SAID = ModelOptions(input="bgr255", fit="topleft", pad=114, labels="coco80", vessel_labels=("boat",))


def photographs(field_data: Path) -> list[U8]:
    names = ("gunnerus.jpg", "havfruen.jpg", "jet.jpg", "wasr_example_05.jpg")
    read = [cv2.imread(str(field_data / "images" / n)) for n in names]
    return [check_picture(), *(np.asarray(p, dtype=np.uint8) for p in read)]


def assert_same(reference: Detector, other: Detector, pictures: list[U8]) -> None:
    seen = 0
    for picture in pictures:
        expected, found = boats(reference, picture), boats(other, picture)
        assert len(found) == len(expected)
        for a, b in zip(expected, found, strict=True):
            assert iou(corners(a), corners(b)) >= 0.98
            assert a.score == pytest.approx(b.score, abs=0.005)
        seen += len(found)
    assert seen >= 5


@pytest.mark.parametrize("layout", sorted(TAILS))
def test_lists_and_queries(field_data: Path, tmp_path: Path, layout: str) -> None:
    base = field_data / "models" / "yolox_nano_as_end2end_1x300x6.onnx"
    other = load_detector(reexport(base, tmp_path / "m.onnx", layout), options=SAID)
    assert other.info.layout == layout
    assert self_check(other) == ""
    assert_same(load_detector(base), other, photographs(field_data))


@pytest.mark.parametrize("layout", ["detr", "rfdetr", "rtdetr"])
def test_without_any_word_of_labels_and_input(field_data: Path, tmp_path: Path, layout: str) -> None:
    base = field_data / "models" / "yolox_nano_as_end2end_1x300x6.onnx"
    alone = load_detector(reexport(base, tmp_path / "m.onnx", layout), options=ModelOptions(labels="coco80"))
    assert alone.info.layout == layout
    assert "bgr255" in alone.info.sentence
    assert self_check(alone) == ""


@pytest.mark.parametrize("form", ["transposed", "yolov5"])
def test_dense_rows(field_data: Path, tmp_path: Path, form: str) -> None:
    base = field_data / "models" / "yolox_nano_as_v8_1x84x3549.onnx"
    model = opened(base)
    graph = model.graph
    (old,) = graph.output
    nodes = [helper.make_node("Transpose", [old.name], ["rows"], perm=[0, 2, 1])]
    if form == "yolov5":  # objectness 1 between box and classes
        graph.initializer.append(numpy_helper.from_array(np.array([4, 80], dtype=np.int64), "parts"))
        graph.initializer.append(numpy_helper.from_array(np.ones((1, 3549, 1), dtype=np.float32), "certain"))
        nodes.append(helper.make_node("Split", ["rows", "parts"], ["box", "classes"], axis=2))
        nodes.append(helper.make_node("Concat", ["box", "certain", "classes"], ["rows5"], axis=2))
    graph.node.extend(nodes)
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, None))
    onnx.save(model, str(tmp_path / "m.onnx"))
    other = load_detector(tmp_path / "m.onnx", options=SAID)
    assert other.info.layout == {"transposed": "yolov8", "yolov5": "yolov5"}[form]
    assert_same(load_detector(base), other, photographs(field_data))


def test_an_input_that_nobody_names_is_found_by_what_the_model_sees(field_data: Path, tmp_path: Path) -> None:
    base = field_data / "models" / "yolox_nano_as_v8_1x84x3549.onnx"
    bare = load_detector(shutil.copy(base, tmp_path))
    assert bare.info.form.pixels == load_detector(base).info.form.pixels
    assert 'input = "bgr255"' in bare.info.sentence
    told = load_detector(tmp_path / base.name, options=ModelOptions(input="rgb01"))
    assert told.info.form.pixels.scale == pytest.approx(1 / 255), "what the operator says is not overridden"
    assert "sees no vessel" in self_check(told)


@pytest.mark.parametrize(
    "name", ["end2end_1x300x6", "rtdetr_labels_boxes_scores", "ssd_4out_nhwc_uint8", "v8_1x84x3549"]
)
def test_dead_weights_are_noticed_in_every_layout(field_data: Path, tmp_path: Path, name: str) -> None:
    source = field_data / "models" / f"yolox_nano_as_{name}.onnx"
    model = onnx.load(str(source))
    for weight in model.graph.initializer:
        if weight.data_type == TensorProto.FLOAT and len(weight.dims) == 4:
            weight.CopyFrom(numpy_helper.from_array(np.zeros(tuple(weight.dims), np.float32), weight.name))
    onnx.save(model, str(tmp_path / source.name))
    shutil.copy(source.with_suffix(".toml"), tmp_path)
    assert self_check(load_detector(source)) == ""
    sentence = self_check(load_detector(tmp_path / source.name))
    assert "no score above zero" in sentence or "sees no vessel" in sentence


class _Calibration(CalibrationDataReader):  # type: ignore[misc] # it ships no type information
    def __init__(self, name: str, tensors: list[np.ndarray]) -> None:
        self._feeds = iter([{name: t} for t in tensors])

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._feeds, None)


def test_int8_sees_the_same_boats(tmp_path: Path) -> None:
    """QDQ, signed weights per channel, the decoding in fp32: of the shipped model, on the self-check picture."""
    whole = load_detector()
    picture = check_picture()
    pictures = [picture, np.asarray(cv2.flip(picture, 1), dtype=np.uint8)]
    tensors = [tensor(place(p, 640, 480, "topleft", 114)[0], whole.info.form) for p in pictures]
    quantize_static(
        str(whole.info.path),
        str(tmp_path / "int8.onnx"),
        _Calibration(onnx.load(str(whole.info.path)).graph.input[0].name, tensors),
        quant_format=QuantFormat.QDQ,
        weight_type=QuantType.QInt8,
        per_channel=True,
        op_types_to_quantize=["Conv"],
    )
    toml = whole.info.path.with_suffix(".toml").read_text().splitlines()
    (tmp_path / "int8.toml").write_text("\n".join(line for line in toml if not line.startswith("sha256")))
    small = load_detector(tmp_path / "int8.onnx")
    assert self_check(small) == ""
    expected = [b for b in whole.detect(picture, min_score=0.6, size=(640, 480)) if b.label != "bird"]
    found = small.detect(picture, min_score=0.3, size=(640, 480))
    assert len(expected) >= 2
    for box in expected:
        near = max(found, key=lambda b: iou(corners(b), corners(box)))
        assert iou(corners(near), corners(box)) >= 0.75
        assert near.score == pytest.approx(box.score, abs=0.2)
