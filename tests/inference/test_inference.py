"""Loading models, on graphs made on the spot: what is refused and why, labels and thresholds; and the whole path."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import onnx
import pytest

from agent.errors import ConfigError, InputError, UnsupportedError, UsageError
from agent.inference.boxes import Found
from agent.inference.labels import COCO80, COCO91, vessels_among
from agent.inference.load import load_detector
from agent.inference.selfcheck import self_check
from agent.inference.spec import PRESETS, ModelOptions, checked, parse_input
from agent.inference.tiles import Region, find_in, tiles, whole
from inference.blob_model import blank, blob_model, classifier, constant_model

if TYPE_CHECKING:
    from pathlib import Path

    from agent.inference.detector import Detector


approx: Any = pytest.approx  # it is compared inside tuples


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
        ('nhwc = "yes"\n', ":1: nhwc: has to be true or false, not 'yes'"),
        ("scale = true\n", ":1: scale: has to be a number"),
        ("mean = [1, 2, 3, 4]\n", ":1: mean: has to be a list of one to three numbers"),
        ('std = [1, "2"]\n', ":1: std: has to be a number"),
        ("pad = 256\n", ":1: pad: has to be a whole number from 0 to 255, not 256"),
        ("min_score = 1.5\n", ":1: min_score: has to be from 0 to 1, not 1.5"),
        ("class_scores = 0.5\n", ":1: class_scores: has to be a table"),
        ("class_scores = { boat = 2 }\n", ":1: class_scores: has to be from 0 to 1"),
        ("nms_iou = 1.0\n", ":1: nms_iou: has to be more than 0 and less than 1"),
        ('sha256 = "abc"\n', ":1: sha256: has to be 64 hex digits"),
        ("layout = 8\n", ":1: layout: has to be a text"),
        ("labels = [1]\n", ":1: labels: has to be a list of texts"),
        ('order = "rbg"\n', ":1: order: has to be one of rgb, bgr, not 'rbg'"),
        ('input = "yuv"\n', ":1: input: has to be one of rgb01"),
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
    outputs = np.zeros((1, 300, 6), np.float32)
    outputs[0, 0] = (5, 5, 20, 20, 0.9, 8)
    detector = load_detector(
        constant_model(tmp_path / "m.onnx", {"o": outputs}), options=ModelOptions(labels=("boat", "buoy"))
    )
    assert [b.label for b in detector.detect(blank(64, 64))] == ["class-8"]
    assert "class 8 was seen, but there are 2 labels" in detector.unnamed
    assert detector.unnamed == self_check(detector)


def test_a_threshold_for_each_class(tmp_path: Path) -> None:
    outputs = np.zeros((1, 300, 6), np.float32)
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
    rows = np.zeros((1, 8400, 6), np.float32)
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
    options = checked(parse_input("order=bgr,mean=103.5/116.3/123.7,nhwc=true"))
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


class Views:
    """A detector that finds in a view what the test says, by the size that the view is run at."""

    rivals = None

    def __init__(self, by_size: dict[tuple[int, int], list[list[float]]]) -> None:
        self._by_size = by_size

    def find(self, _view: np.ndarray, *, min_score: float, size: tuple[int, int]) -> Found:
        assert min_score <= 0.9
        rows = np.array(self._by_size[size], np.float32).reshape(-1, 4)
        return Found(corners=rows, scores=np.full(len(rows), 0.9, np.float32), classes=np.zeros(len(rows), np.int64))


def test_what_is_tiny_in_a_reduced_view_is_left_to_a_finer_one() -> None:
    strip = Region(x=0, y=400, width=1920, height=256, size=(1920, 256))
    bow, ship = [900.0, 480.0, 914.0, 492.0], [820.0, 474.0, 914.0, 493.0]
    above, astride = [900.0, 100.0, 914.0, 112.0], [700.0, 390.0, 714.0, 405.0]
    boat = [300.0, 60.0, 308.0, 64.0]  # in the strip's own pixels
    views = Views({(640, 360): [bow, ship, above, astride], (1920, 256): [boat]})
    both = find_in(cast("Detector", views), blank(1920, 1080), [whole(1920, 1080, longest=640), strip], min_score=0.1)
    expected = np.array(sorted([ship, above, astride, [300.0, 460.0, 308.0, 464.0]]))
    assert np.array_equal(both.corners[np.lexsort(both.corners.T[::-1])], expected)
    alone = find_in(cast("Detector", views), blank(1920, 1080), [whole(1920, 1080, longest=640)] * 2, min_score=0.1)
    assert bow in alone.corners.tolist()
