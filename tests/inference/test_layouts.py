"""Every output layout, on graphs made on the spot: read, and recognised by its shapes, labels and values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest

from agent.inference import layouts
from agent.inference.boxes import Found
from agent.inference.detector import feed
from agent.inference.layouts import Context
from agent.inference.load import load_detector
from agent.inference.spec import ModelOptions
from inference.blob_model import blank, constant_model

if TYPE_CHECKING:
    from pathlib import Path


CTX = Context(width=64, height=64, names=("a", "b", "c", "d"), min_score=0.3)


approx: Any = pytest.approx  # it is compared inside tuples


def only(boxes: Found) -> Any:
    assert len(boxes) == 1
    return boxes.corners[0].tolist(), float(boxes.scores[0]), int(boxes.classes[0])


def dense(columns: int) -> np.ndarray:
    return np.zeros((1, 84, columns), dtype=np.float32)  # 84 cells: 64x64 at strides 8, 16, 32


def test_yolov8_both_ways_round() -> None:
    out = np.zeros((1, 7, 84), dtype=np.float32)
    out[0, :, 5] = (30, 20, 10, 8, 0.1, 0.8, 0.2)
    assert only(layouts.yolov8([out], CTX)) == ([25, 16, 35, 24], approx(0.8), 1)
    assert only(layouts.yolov8([out.transpose(0, 2, 1)], CTX)) == ([25, 16, 35, 24], approx(0.8), 1)


def test_yolov5_multiplies_objectness() -> None:
    out = dense(8)
    out[0, 3] = (30, 20, 10, 8, 0.5, 0.1, 0.8, 0.2)
    out[0, 4] = (30, 20, 10, 8, 0.5, 0.5, 0.1, 0.1)  # 0.25: below
    assert only(layouts.yolov5([out], CTX)) == ([25, 16, 35, 24], approx(0.4), 1)


def test_yolox_raw_grid() -> None:
    out = dense(7)
    out[0, 64 + 5] = (0.5, 0.25, np.log(2.0), np.log(0.5), 0.9, 0.0, 1.0)  # stride 16, row 1, column 1
    corners, score, number = only(layouts.yolox([out], CTX))
    assert corners == approx([24 - 16, 20 - 4, 24 + 16, 20 + 4])
    assert (score, number) == (approx(0.9), 1)


def test_end2end_and_yolonas_lists() -> None:
    assert only(layouts.end2end([np.array([[[1, 2, 3, 4, 0.9, 8], [0, 0, 0, 0, 0, 0]]], np.float32)], CTX)) == (
        [1, 2, 3, 4],
        approx(0.9),
        8,
    )
    rows = np.array([[0, 1, 2, 3, 4, 0.9, 8], [0, 0, 0, 0, 0, 0, -1], [0, 5, 5, 9, 9, 0.9, 1]], np.float32)
    assert only(layouts.yolonas([rows], CTX)) == ([1, 2, 3, 4], approx(0.9), 8)


def test_rtdetr_by_type_where_names_lie() -> None:
    boxes = np.array([[[1, 2, 3, 4], [5, 6, 7, 8]]], np.float32)
    scores, labels = np.array([[0.9, 0.1]], np.float32), np.array([[8, 0]], np.int64)
    ctx = Context(width=64, height=64, names=("labels", "boxes", "scores"), min_score=0.3)
    orders: list[list[np.ndarray]] = [[labels, boxes, scores], [scores, boxes, labels]]
    for outputs in orders:
        assert only(layouts.rtdetr(outputs, ctx)) == ([1, 2, 3, 4], approx(0.9), 8)


def test_detr_softmax_and_rfdetr_sigmoid() -> None:
    boxes = np.array([[[0.5, 0.5, 0.25, 0.5], [0.5, 0.5, 0.1, 0.1]]], np.float32)
    by_name = Context(width=64, height=64, names=("logits", "pred_boxes"), min_score=0.3)
    logits = np.array([[[0.0, 4.0, 0.0, 0.0], [0.0, 0.0, 0.0, 9.0]]], np.float32)
    corners, score, number = only(layouts.detr([logits, boxes], by_name))
    assert (corners, number) == ([24, 16, 40, 48], 1)
    assert score == approx(np.exp(4) / (np.exp(4) + 3))
    found_sigmoid = layouts.rfdetr([boxes, logits - 3.0], CTX)
    assert found_sigmoid.classes.tolist() == [1, 3]
    assert found_sigmoid.scores[0] == approx(1 / (1 + np.exp(-1.0)))


def test_ssd_tf_and_efficient_nms_and_openvino() -> None:
    tf = [
        np.array([[[0.25, 0.5, 0.75, 1.0], [0, 0, 1, 1]]], np.float32),
        np.array([[9.0, 1.0]], np.float32),
        np.array([[0.9, 0.8]], np.float32),
        np.array([1.0], np.float32),  # the second is beyond the count
    ]
    ctx = Context(width=64, height=32, names=("boxes", "classes", "scores", "num"), min_score=0.3)
    assert only(layouts.ssd_tf(tf, ctx)) == ([32, 8, 64, 24], approx(0.9), 9)
    efficient = [np.array([[1]], np.int32), tf[0] * 64, tf[2], np.array([[9, 1]], np.int32)]
    assert only(layouts.efficient_nms(efficient, CTX)) == ([16, 32, 48, 64], approx(0.9), 9)
    openvino = np.array([[[[0, 4, 0.9, 0.25, 0.5, 0.75, 1.0], [-1, 0, 0.9, 0, 0, 1, 1]]]], np.float32)
    assert only(layouts.ssd_openvino([openvino], ctx)) == ([16, 16, 48, 32], approx(0.9), 4)


def test_nanodet_in_one_output() -> None:
    out = dense(3 + 32)
    out[0, 9, 2] = 0.9  # stride 8, row 1, column 1: centre 12, 12
    for side, bin_ in enumerate((1, 1, 2, 3)):
        out[0, 9, 3 + side * 8 + bin_] = 50.0
    corners, score, number = only(layouts.nanodet([out], CTX))
    assert corners == approx([12 - 8, 12 - 8, 12 + 16, 12 + 24], abs=1e-3)
    assert (score, number) == (approx(0.9), 2)


def test_fastestdet() -> None:
    out = np.zeros((1, 7, 4, 4), dtype=np.float32)
    out[0, :, 1, 2] = (0.8, 0.0, 0.0, 0.0, 0.0, 0.1, 0.6)
    corners, score, number = only(layouts.fastestdet([out], CTX))
    assert corners == approx([0, 0, 64, 48], abs=16.01)  # a box of half the input around (32, 16)
    assert corners[0:2] == approx([16, 0])
    assert (score, number) == (approx(0.8**0.6 * 0.6**0.4), 1)


F4, I4, I8 = np.float32, np.int32, np.int64


@pytest.mark.parametrize(
    ("layout", "outputs"),
    [
        ("yolov8", {"o": np.zeros((1, 84, 336), F4)}),
        ("yolov8", {"o": np.zeros((1, 336, 84), F4)}),
        ("yolov8", {"o": np.zeros((1, 5, 1344), F4)}),  # one class, strides 4, 8, 16
        ("yolov5", {"o": np.zeros((1, 1008, 85), F4)}),
        ("yolox", {"o": np.zeros((1, 336, 85), F4)}),
        ("yolov5", {"o": np.full((1, 336, 85), 60.0, F4)}),  # YOLOX exported with its decoding
        ("nanodet", {"o": np.zeros((1, 336, 112), F4)}),
        ("end2end", {"o": np.zeros((1, 300, 6), F4)}),
        ("yolonas", {"o": np.zeros((5, 7), F4)}),
        ("fastestdet", {"o": np.zeros((1, 85, 8, 8), F4)}),
        ("ssd-openvino", {"o": np.zeros((1, 1, 200, 7), F4)}),
        ("rtdetr", {"labels": np.zeros((1, 300), I8), "boxes": np.zeros((1, 300, 4), F4), "s": np.zeros((1, 300), F4)}),
        ("detr", {"logits": np.zeros((1, 100, 92), F4), "pred_boxes": np.zeros((1, 100, 4), F4)}),
        ("rfdetr", {"dets": np.zeros((1, 300, 4), F4), "labels": np.zeros((1, 300, 91), F4)}),
        (
            "ssd-tf",
            {
                "b": np.zeros((1, 100, 4), F4),
                "classes": np.zeros((1, 100), F4),
                "s": np.zeros((1, 100), F4),
                "n": np.zeros(1, F4),
            },
        ),
        (
            "efficient-nms",
            {
                "n": np.zeros((1, 1), I4),
                "b": np.zeros((1, 100, 4), F4),
                "s": np.zeros((1, 100), F4),
                "c": np.zeros((1, 100), I4),
            },
        ),
    ],
)
def test_layouts_are_recognised_by_shape(tmp_path: Path, layout: str, outputs: dict[str, np.ndarray]) -> None:
    detector = load_detector(constant_model(tmp_path / "m.onnx", outputs, size=128))
    assert detector.info.layout == layout
    if layout not in {"yolov5", "rfdetr"}:  # their constant outputs are boats, all over
        assert detector.detect(blank(100, 60)) == ()


def test_nanodet_plus_counts_from_a_cells_corner() -> None:
    cells = 64 + 16 + 4 + 1  # strides 8, 16, 32, 64
    out = np.zeros((1, cells, 2 + 32), dtype=np.float32)
    out[0, 9, 1] = 0.9  # stride 8, row 1, column 1
    for side in range(4):
        out[0, 9, 2 + side * 8 + 1] = 50.0
    corners, _, number = only(layouts.nanodet([out], CTX))
    assert corners == approx([0, 0, 16, 16], abs=1e-3)
    assert number == 1


def test_corners_in_shares_of_the_input_are_told_from_pixels() -> None:
    rows = np.array([[[0.25, 0.5, 0.75, 1.0, 0.9, 8]]], np.float32)
    ctx = Context(width=64, height=32, names=("o",), min_score=0.3)
    assert only(layouts.end2end([rows], ctx)) == ([16, 16, 48, 32], approx(0.9), 8)
    rows[0, 0, :4] *= (64, 32, 64, 32)
    assert only(layouts.end2end([rows], ctx)) == ([16, 16, 48, 32], approx(0.9), 8)


def head(*parts: tuple[int, float]) -> np.ndarray:
    """[1, 336, n]: columns of one value each, 336 cells as 128x128 has at strides 8, 16, 32."""
    return np.concatenate([np.full((1, 336, n), value, F4) for n, value in parts], axis=2)


@pytest.mark.parametrize(
    ("layout", "labels", "outputs"),
    [
        ("yolov5", None, {"o": np.zeros((1, 3 * 340, 85), F4)}),  # with stride 64
        ("yolov8", 3, {"o": np.zeros((1, 336, 7), F4)}),  # the labels tell 4 + 3 from 5 + 2
        ("yolox", 2, {"o": np.zeros((1, 336, 7), F4)}),
        ("nanodet", 3, {"o": np.zeros((1, 336, 35), F4)}),
        ("nanodet", None, {"o": head((3, 0.1), (32, -2.5))}),  # scores, then distances: by their values
        ("yolox", None, {"o": head((4, -0.5), (31, 0.1))}),
        ("yolov5", None, {"o": head((4, 60.0), (31, 0.1))}),
        ("detr", 5, {"logits": np.zeros((1, 100, 6), F4), "pred_boxes": np.zeros((1, 100, 4), F4)}),
        ("rfdetr", 5, {"dets": np.zeros((1, 100, 4), F4), "labels": np.zeros((1, 100, 6), F4)}),
        ("rfdetr", 6, {"logits": np.zeros((1, 100, 6), F4), "pred_boxes": np.zeros((1, 100, 4), F4)}),
        ("rfdetr", None, {"logits": np.zeros((1, 300, 80), F4), "boxes": np.zeros((1, 300, 4), F4)}),
        ("efficient-nms", None, {
            "n": np.zeros(1, F4), "b": np.full((1, 9, 4), 50.0, F4), "s": np.zeros((1, 9), F4),
            "c": np.zeros((1, 9), F4),
        }),
    ],
)  # fmt: skip
def test_labels_and_values_tell_layouts_of_one_shape(
    tmp_path: Path, layout: str, labels: int | None, outputs: dict[str, np.ndarray]
) -> None:
    names = None if labels is None else tuple(f"boat {i}" for i in range(labels))
    model = constant_model(tmp_path / "m.onnx", outputs, size=128)
    assert load_detector(model, options=ModelOptions(labels=names, input="rgb01")).info.layout == layout


@pytest.mark.parametrize("dims", [[1, 64, 64], ["batch", "height", "width"]])
def test_a_mask_of_the_padding_is_fed_as_all_picture(tmp_path: Path, dims: list[int | str]) -> None:
    """DETR as Hugging Face exports it: the sum of the mask is added to nothing, but it has to be there."""
    base = constant_model(tmp_path / "m.onnx", {"logits": np.zeros((1, 9, 92), F4), "b": np.zeros((1, 9, 4), F4)})
    model = onnx.load(str(base))
    model.graph.input.append(onnx.helper.make_tensor_value_info("pixel_mask", onnx.TensorProto.INT64, dims))
    onnx.save(model, str(base))
    detector = load_detector(base)
    assert detector.info.layout == "detr"
    assert {k: v.shape for k, v in feed(detector._session, blank(64, 64), detector.info.form).items()} == {
        "images": (1, 3, 64, 64),
        "pixel_mask": (1, 64, 64),
    }


def test_no_object_wins_on_an_empty_sea(tmp_path: Path) -> None:
    logits = np.zeros((1, 100, 8), F4)
    logits[:, :, -1] = 6.0
    model = constant_model(tmp_path / "m.onnx", {"a": logits, "b": np.zeros((1, 100, 4), F4)})
    assert load_detector(model, options=ModelOptions(input="imagenet")).info.layout == "detr"
