"""Boxes, letterbox, input values, layouts and loading, on graphs made on the spot."""

from __future__ import annotations

import hashlib
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.errors import ConfigError, InputError, UnsupportedError, UsageError
from agent.inference import layouts
from agent.inference.boxes import Found, found, join, merge_views, nms, rivals_of
from agent.inference.detector import feed
from agent.inference.labels import COCO80, COCO91, vessels_among
from agent.inference.layouts import Context
from agent.inference.letterbox import InputForm, place, tensor
from agent.inference.load import load_detector
from agent.inference.selfcheck import self_check
from agent.inference.spec import PRESETS, ModelOptions, Pixels, parse_input
from agent.inference.tiles import Region, find_in, tiles, whole
from inference.blob_model import blob_model, classifier, constant_model

if TYPE_CHECKING:
    from pathlib import Path

    from agent.inference.letterbox import U8
    from agent.inference.spec import Fit

CTX = Context(width=64, height=64, names=("a", "b", "c", "d"), min_score=0.3)
FITS: tuple[Fit, ...] = ("topleft", "centre", "stretch")


approx: Any = pytest.approx  # it is compared inside tuples


def blank(width: int, height: int, *blobs: tuple[int, int, int]) -> U8:
    """A black picture with white squares (x, y, side)."""
    image = np.zeros((height, width, 3), dtype=np.uint8)
    for x, y, side in blobs:
        image[y : y + side, x : x + side] = 255
    return image


# ------------------------------------------------------------------------------------------------------------- boxes


def test_neighbouring_boats_are_not_merged_and_repeats_are() -> None:
    # side by side at moderate overlap: as x, y, x1, y1 taken for width and height they would swallow each other
    corners = [[500, 500, 540, 520], [530, 500, 570, 520], [501, 500, 541, 520]]
    kept = nms(found(np.array(corners), np.array([0.9, 0.8, 0.7]), np.zeros(3)))
    assert kept.scores.tolist() == approx([0.9, 0.8])


def test_the_person_on_the_boat_stays() -> None:
    box = [10.0, 10.0, 50.0, 50.0]
    kept = nms(found(np.array([box, box]), np.array([0.9, 0.8]), np.array([8, 0])))
    assert sorted(kept.classes.tolist()) == [0, 8]


def test_kinds_of_vessel_compete_for_one_hull_and_a_person_aboard_does_not() -> None:
    rivals = rivals_of(["person", "fishing", "sailing"], {"fishing", "sailing"})
    hull = [100.0, 100, 160, 120]
    boxes = found(np.array([hull, hull, hull]), np.array([0.9, 0.8, 0.7]), np.array([1, 2, 0]))
    assert nms(boxes, rivals=rivals).classes.tolist() == [1, 0]
    assert merge_views(boxes, np.zeros(3, dtype=bool), rivals).classes.tolist() == [1, 0]
    assert nms(boxes).classes.tolist() == [1, 2, 0]
    beyond = found(np.array([hull]), np.array([0.9]), np.array([7]))
    assert nms(join([boxes, beyond]), rivals=rivals).classes.tolist() == [1, 7, 0]


def test_boxes_left_of_the_picture_do_not_suppress_other_classes() -> None:
    kept = nms(found(np.array([[-60.0, -60, -10, -10], [0, 0, 5, 5]]), np.array([0.9, 0.8]), np.array([1, 0])))
    assert len(kept) == 2


def test_boxes_that_are_no_numbers_are_left_out() -> None:
    assert len(found(np.array([[0, 0, np.nan, 1], [0, 0, 1, 1]]), np.array([0.9, 0.9]), np.zeros(2))) == 1


def test_a_piece_of_a_vessel_at_a_tile_border_does_not_outlive_the_whole_but_lends_its_score() -> None:
    boxes = found(np.array([[0.0, 0, 100, 40], [40, 0, 100, 40]]), np.array([0.4, 0.9]), np.zeros(2))
    merged = merge_views(boxes, np.array([False, True]))
    assert merged.corners.tolist() == [[0, 0, 100, 40]]
    assert merged.scores.tolist() == approx([0.9])


def test_a_small_boat_in_front_of_a_large_one_stays() -> None:
    boxes = found(np.array([[0.0, 0, 400, 100], [50, 60, 80, 75]]), np.array([0.9, 0.5]), np.zeros(2))
    assert len(merge_views(boxes, np.zeros(2, dtype=bool))) == 2


@settings(deadline=None, max_examples=60)
@given(
    width=st.integers(1, 5000), height=st.integers(1, 4000), tile_w=st.integers(32, 1300), tile_h=st.integers(32, 800)
)
def test_tiles_cover_every_pixel_and_stay_inside(width: int, height: int, tile_w: int, tile_h: int) -> None:
    grid = tiles(whole(width, height), tile_w, tile_h)
    xs = sorted({(t.x, t.x + t.width) for t in grid})
    ys = sorted({(t.y, t.y + t.height) for t in grid})
    for spans, length in ((xs, width), (ys, height)):
        assert spans[0][0] == 0
        assert spans[-1][1] == length
        assert all(b[0] <= a[1] for a, b in pairwise(spans))
    assert len(grid) == len(xs) * len(ys)


# --------------------------------------------------------------------------------------------------------- letterbox


@settings(deadline=None, max_examples=60)
@given(
    width=st.integers(8, 900),
    height=st.integers(8, 900),
    fit=st.sampled_from(FITS),
    share=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_a_place_in_the_input_goes_back_to_its_place_in_the_picture(
    width: int, height: int, fit: Fit, share: tuple[float, float]
) -> None:
    canvas, placed = place(np.zeros((height, width, 3), dtype=np.uint8), 320, 256, fit, 114)
    assert canvas.shape == (256, 320, 3)
    x, y = share[0] * width, share[1] * height
    there = [x * placed.scale_x + placed.left, y * placed.scale_y + placed.top]
    assert -0.01 <= there[0] <= 320.01
    assert -0.01 <= there[1] <= 256.01
    back = placed.back(np.array([there * 2], dtype=np.float32))[0]
    assert back[:2].tolist() == approx([x, y], abs=0.01 * max(width, height) / 50)


@pytest.mark.parametrize(("fit", "corner"), [("topleft", (0, 0)), ("centre", (0, 32)), ("stretch", (0, 0))])
def test_where_the_picture_lies(fit: Fit, corner: tuple[int, int]) -> None:
    canvas, placed = place(np.full((64, 128, 3), 255, dtype=np.uint8), 128, 128, fit, 7)
    assert (placed.left, placed.top) == corner
    rows = np.flatnonzero((canvas == 255).all(axis=(1, 2)))
    assert (rows[0], len(rows)) == (corner[1], 128 if fit == "stretch" else 64)
    assert set(canvas[(canvas != 255).any(axis=(1, 2))].ravel().tolist()) == (set() if fit == "stretch" else {7})


@pytest.mark.parametrize("preset", sorted(PRESETS))
@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("nhwc", [False, True])
def test_pixel_values(preset: str, dtype: str, nhwc: bool) -> None:
    pixels = PRESETS[preset]
    canvas = np.zeros((32, 32, 3), dtype=np.uint8)
    canvas[:] = (10, 100, 200)  # B, G, R
    form = InputForm(pixels=pixels, fit="stretch", pad=0, dtype=dtype, nhwc=nhwc)  # type: ignore[arg-type] # parametrized
    fed = tensor(canvas, form)
    assert fed.dtype == dtype
    values = fed[0, 3, 3] if nhwc else fed[0, :, 3, 3]
    channels = (10, 100, 200) if pixels.order == "bgr" else (200, 100, 10)
    mean, std = (v if len(v) == 3 else v * 3 for v in (pixels.mean, pixels.std))
    wanted = [(c * pixels.scale - m) / s for c, m, s in zip(channels, mean, std, strict=True)]
    assert values.astype(float).tolist() == approx(wanted, rel=2e-3, abs=2e-3)


def test_explicit_pixel_values_with_one_mean_and_scale() -> None:
    options = ModelOptions(order="bgr", scale=0.5, mean=(10.0,), std=(4.0,))
    form = InputForm(
        pixels=Pixels(order="bgr", scale=options.scale or 0, mean=options.mean or (), std=options.std or ()),
        fit="stretch",
        pad=0,
        dtype="float32",
        nhwc=False,
    )
    fed = tensor(np.full((32, 32, 3), 100, dtype=np.uint8), form)
    assert float(fed.max()) == approx((100 * 0.5 - 10) / 4)


def test_uint8_input_keeps_the_bytes_and_swaps_channels() -> None:
    canvas = np.zeros((32, 32, 3), dtype=np.uint8)
    canvas[:] = (1, 2, 3)
    form = InputForm(pixels=PRESETS["rgb255"], fit="stretch", pad=0, dtype="uint8", nhwc=True)
    assert tensor(canvas, form)[0, 0, 0].tolist() == [3, 2, 1]


# ----------------------------------------------------------------------------------------------------------- layouts


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


# ----------------------------------------------------------------------------------------------------------- loading


def refused(model: Path, kind: type[Exception], options: ModelOptions | None = None) -> str:
    with pytest.raises(kind) as caught:
        load_detector(model, options=options)
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


def test_a_missing_file_and_a_file_that_is_no_model(tmp_path: Path) -> None:
    assert "no such model file" in refused(tmp_path / "nix.onnx", ConfigError)
    (tmp_path / "text.onnx").write_text("this is no model")
    assert "not a readable ONNX model" in refused(tmp_path / "text.onnx", InputError)


def test_a_classifier_is_refused_with_its_shapes(tmp_path: Path) -> None:
    sentence = refused(classifier(tmp_path / "c.onnx"), UnsupportedError)
    assert "not a detector" in sentence
    assert "logits [1, 10]" in sentence


def test_the_checksum_is_checked(tmp_path: Path) -> None:
    model = blob_model(tmp_path / "m.onnx")
    digest = hashlib.sha256(model.read_bytes()).hexdigest()
    toml = model.with_suffix(".toml")
    text = toml.read_text()
    toml.write_text(f'{text}sha256 = "{digest.upper()}"\n')
    assert load_detector(model).info.sha256 == digest
    toml.write_text(f'{text}sha256 = "{"0" * 64}"\n')
    sentence = refused(model, ConfigError)
    assert str(toml) in sentence
    assert "sha256" in sentence


def test_labels_of_the_wrong_number_name_who_gave_them(tmp_path: Path) -> None:
    model = blob_model(tmp_path / "m.onnx")
    assert "The given labels: 80 labels for a model of 1 classes" in refused(
        model, ConfigError, ModelOptions(labels="coco80")
    )
    model.with_suffix(".toml").write_text('labels = ["a", "b"]\n')
    assert f"{model.with_suffix('.toml')}: 2 labels" in refused(model, ConfigError)
    model.with_suffix(".toml").write_text('labels = ["a"]\nvessel_labels = ["boat"]\n')
    assert "'boat'" in refused(model, ConfigError)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("colour = 1\n", ":1: colour: unknown key"),
        ('fit = "centre"\nstd = [0.0]\n', ":2: std"),
        ("fit = \n", "not readable as TOML"),
        ('layout = "yolov99"\n', "layout 'yolov99' is unknown"),
        ('labels = "nix.txt"\n', "nix.txt"),
        ("nhwc = true\n", "nhwc is given as True"),
    ],
)
def test_a_bad_model_toml_names_file_line_and_key(tmp_path: Path, text: str, part: str) -> None:
    model = blob_model(tmp_path / "m.onnx")
    model.with_suffix(".toml").write_text(text)
    assert part in refused(model, ConfigError)


def test_a_layout_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    model = blob_model(tmp_path / "m.onnx")
    for layout in ("end2end", "ssd-tf", "rtdetr", "nanodet", "fastestdet", "yolonas", "detr"):
        with pytest.raises((UnsupportedError, ConfigError)):
            load_detector(model, options=ModelOptions(layout=layout, labels="coco80"))


def test_model_toml_by_either_name_and_who_wins(tmp_path: Path) -> None:
    model = blob_model(tmp_path / "m.onnx")
    model.with_suffix(".toml").rename(tmp_path / "MODEL.toml")
    assert load_detector(model).info.labels == ("vessel",)
    explicit = load_detector(model, options=ModelOptions(fit="topleft", labels=("ship",), input="bgr255"))
    assert (explicit.info.form.fit, explicit.info.form.pad, explicit.info.labels) == ("topleft", 0, ("ship",))
    assert explicit.info.form.pixels == PRESETS["bgr255"]


def test_an_unknown_provider_is_named_and_a_missing_one_reported(tmp_path: Path) -> None:
    model = blob_model(tmp_path / "m.onnx")
    with pytest.raises(ConfigError, match="abacus"):
        load_detector(model, providers=("abacus",))
    info = load_detector(model, providers=("rknpu", "cpu")).info
    assert info.providers == ("CPUExecutionProvider",)
    assert "RknpuExecutionProvider cannot be used here" in info.sentence


def test_a_dead_model_is_noticed(tmp_path: Path) -> None:
    assert self_check(load_detector(blob_model(tmp_path / "alive.onnx"))) == ""
    assert "no score above zero" in self_check(load_detector(blob_model(tmp_path / "dead.onnx", gain=0.0)))


def test_a_model_made_for_something_else_says_so_itself(tmp_path: Path) -> None:
    model = onnx.load(str(blob_model(tmp_path / "m.onnx")))
    onnx.helper.set_model_props(model, {"task": "segment", "names": "{0: 'boat'}"})
    onnx.save(model, str(tmp_path / "seg.onnx"))
    assert "made to segment" in refused(tmp_path / "seg.onnx", UnsupportedError)


def test_a_label_file_of_another_model_is_told_when_a_class_has_no_name(tmp_path: Path) -> None:
    outputs = np.zeros((1, 300, 6), F4)
    outputs[0, 0] = (5, 5, 20, 20, 0.9, 8)
    detector = load_detector(
        constant_model(tmp_path / "m.onnx", {"o": outputs}), options=ModelOptions(labels=("boat", "buoy"))
    )
    assert [b.label for b in detector.detect(blank(64, 64))] == ["class-8"]
    assert "class 8 was seen, but there are 2 labels" in detector.unnamed
    assert detector.unnamed == self_check(detector)


def test_a_threshold_for_each_class(tmp_path: Path) -> None:
    outputs = np.zeros((1, 300, 6), F4)
    outputs[0, :3] = [[5, 5, 20, 20, 0.25, 0], [30, 30, 50, 50, 0.45, 1], [1, 40, 9, 60, 0.35, 2]]
    model = constant_model(tmp_path / "m.onnx", {"o": outputs})
    model.with_suffix(".toml").write_text(
        'labels = ["boat", "buoy", "bird"]\nmin_score = 0.3\nclass_scores = { boat = 0.2, buoy = 0.5 }\n'
    )
    detector = load_detector(model)
    assert [b.label for b in detector.detect(blank(64, 64))] == ["bird", "boat"]
    assert len(detector.detect(blank(64, 64), min_score=0.4)) == 1, "a score asked for outright holds for all"
    model.with_suffix(".toml").write_text("class_scores = { submarine = 0.2 }\n")
    assert "class_scores names 'submarine'" in refused(model, ConfigError)


def test_a_full_harbour_is_not_cut_short(tmp_path: Path) -> None:
    """600 boats side by side in a graph without NMS: all of them, once each."""
    rows = np.zeros((1, 8400, 6), F4)
    number = np.arange(1200)  # each boat twice
    place_ = number % 600
    rows[0, :1200, 0], rows[0, :1200, 1] = 8 + 16 * (place_ % 40), 8 + 16 * (place_ // 40)
    rows[0, :1200, 2:4], rows[0, :1200, 4], rows[0, :1200, 5] = 14, 0.9 - number / 1e4, 1.0
    model = constant_model(tmp_path / "m.onnx", {"o": rows}, size=640)
    detector = load_detector(model, options=ModelOptions(layout="yolov5", labels=("boat",)))
    assert len(detector.detect(blank(640, 640))) == 600


def test_labels() -> None:
    assert (COCO80[8], COCO91[9], COCO91[90], len(COCO91)) == ("boat", "boat", "toothbrush", 91)
    assert vessels_among(("person", "fishing-boat", "buoy")) == ("fishing-boat",)
    assert vessels_among(("thing",)) == ("thing",)
    assert vessels_among(("person", "car")) == ()


def test_input_argument() -> None:
    assert parse_input("bgr255") == {"input": "bgr255"}
    options = ModelOptions(**parse_input("order=bgr,mean=103.5/116.3/123.7,nhwc=true"))
    assert (options.order, options.mean, options.nhwc) == ("bgr", (103.5, 116.3, 123.7), True)
    with pytest.raises(UsageError):
        parse_input("yuv")


# ----------------------------------------------------------------------------------------------- the whole path


def test_a_model_of_free_size_finds_a_blob_at_any_size(tmp_path: Path) -> None:
    detector = load_detector(blob_model(tmp_path / "m.onnx"), options=ModelOptions(fit="topleft"))
    assert detector.info.size is None
    for width, height in ((640, 384), (333, 211), (1280, 720)):
        image = blank(width, height, (160, 96, 16))
        best = detector.detect(image, min_score=0.9, size=(width, height))
        cells = [b for b in best if b.x1 - b.x0 > 12]
        assert len(cells) == 1
        box = cells[0]
        assert (box.x0, box.y0, box.x1, box.y1) == approx((160, 96, 176, 112), abs=0.6)
        assert (box.label, box.class_id) == ("vessel", 0)


def test_boxes_are_sorted_and_clipped(tmp_path: Path) -> None:
    outputs = np.zeros((1, 300, 6), np.float32)
    outputs[0, :3] = [[-20, -20, 10, 10, 0.5, 8], [50, 50, 99, 99, 0.9, 8], [5, 5, 9, 9, 0.2, 8]]
    detector = load_detector(constant_model(tmp_path / "m.onnx", {"o": outputs}, size=64))
    boxes = detector.detect(blank(64, 64))
    assert [(b.score, b.x0, b.y0, b.x1, b.y1) for b in boxes] == [
        (approx(0.9), 50, 50, 64, 64),
        (approx(0.5), 0, 0, 10, 10),
    ]


def test_a_vessel_in_two_tiles_is_reported_once_at_its_place(tmp_path: Path) -> None:
    model = blob_model(tmp_path / "m.onnx", strides=(16,))
    detector = load_detector(model, options=ModelOptions(layout="yolov8"))
    image = blank(800, 320, (400, 160, 16), (16, 16, 16))
    area = Region(x=0, y=0, width=800, height=320)
    found_boxes = find_in(detector, image, [whole(800, 320), *tiles(area, 480, 320)], min_score=0.6)
    assert sorted(found_boxes.corners.round().tolist()) == [[16, 16, 32, 32], [400, 160, 416, 176]]
