"""The second look in the shipped graph, and what its candidates are taught."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from agent.inference.load import blank_sea, default_model_path
from hardware_sim.sight import iou_table
from training.candidates import teach
from training.cascade import CANDIDATES, CROP_PX, LEAST_PX, MERGE_IOU, MIN_SCORE, PLACES, VERIFIED, join, proposer
from training.classes import IGNORED, LABELS
from training.evaluate import open_model, padded
from training.frames import Truth

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

VESSEL, BUOY, BIRD = 0, LABELS.index("buoy"), LABELS.index("bird")


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first look of the shipped model, with its candidates as outputs."""
    path = tmp_path_factory.mktemp("cascade") / "first.onnx"
    onnx.save(proposer(default_model_path()), str(path))
    return path


@pytest.fixture(scope="module")
def sea() -> NDArray[np.float32]:
    """A sea with a dark hull on it, as the model gets it."""
    picture = blank_sea()
    picture[250:262, 300:330] = 20
    return padded(picture)


def no_change(path: Path) -> Path:
    """A verifier that believes all that the detector said."""
    shapes: list[list[str | int | None]] = [["n", 4 + len(LABELS)], ["n", 3, CROP_PX, CROP_PX], ["n", "c", "h", "w"]]
    inputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in zip(CANDIDATES, shapes, strict=True)]
    output = helper.make_tensor_value_info(VERIFIED, TensorProto.FLOAT, shapes[0])
    graph = helper.make_graph([helper.make_node("Identity", [CANDIDATES[0]], [VERIFIED])], "same", inputs, [output])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return path


def truth_of(*rows: tuple[float, float, float, float]) -> Truth:
    count = len(rows)
    some = np.ones(count, np.float32)
    boxes = np.array(rows, np.float32).reshape(-1, 4)
    columns = {"boxes": boxes, "visible": some, "contrast": some * 30, "grain": some}
    return Truth(**columns, classes=np.zeros(count, np.int64), rocks=boxes[:0])


def test_candidates_are_apart_and_worth_a_look(first: Path, sea: NDArray[np.float32]) -> None:
    rows, pictures, features = open_model(first, threads=1).run(list(CANDIDATES), {"images": sea})
    assert len(rows) == len(pictures) == len(features) <= PLACES
    boxes = np.concatenate((rows[:, :2] - rows[:, 2:4] / 2, rows[:, :2] + rows[:, 2:4] / 2), 1)[:-1]
    assert (rows[:-1, 4:].max(1) >= MIN_SCORE).all()
    assert (np.triu(iou_table(boxes, boxes), 1) <= MERGE_IOU).all()


def test_a_candidate_comes_with_the_picture_around_it(first: Path, sea: NDArray[np.float32]) -> None:
    rows, pictures, _ = open_model(first, threads=1).run(list(CANDIDATES), {"images": sea})
    last = rows[-1]  # the first cell, in the upper left corner: half of what is around it lies outside and is black
    assert last[:2] == pytest.approx([0, 0], abs=LEAST_PX / 4)
    assert pictures[-1][:, : CROP_PX // 4, : CROP_PX // 4].max() == 0
    assert pictures[-1][:, -CROP_PX // 4 :, -CROP_PX // 4 :].min() > 0.3


def test_a_second_look_that_changes_nothing_gives_the_detectors_own_boxes(
    first: Path, sea: NDArray[np.float32], tmp_path: Path
) -> None:
    joined = tmp_path / "joined.onnx"
    join(default_model_path(), no_change(tmp_path / "same.onnx"), joined)
    rows = open_model(first, threads=1).run(["rows"], {"images": sea})[0]
    (out,) = open_model(joined, threads=1).run(None, {"images": sea})
    assert out.shape == (1, 4 + len(LABELS), PLACES)
    assert np.array_equal(out[0].T[: len(rows)], rows)
    assert not out[0].T[len(rows) :].any()


def test_a_second_look_at_a_file_with_a_second_look_is_at_its_first(tmp_path: Path) -> None:
    joined = tmp_path / "joined.onnx"
    join(default_model_path(), no_change(tmp_path / "same.onnx"), joined)
    once, twice = proposer(default_model_path()), proposer(joined)
    assert [n.op_type for n in once.graph.node] == [n.op_type for n in twice.graph.node]


def test_a_foreign_graph_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="training.export"):
        proposer(no_change(tmp_path / "foreign.onnx"))


def test_the_best_candidate_of_a_vessel_is_worth_most_and_a_far_one_nothing() -> None:
    truth = truth_of((100, 100, 120, 110))
    rows = np.zeros((3, 11), np.float32)
    rows[:, :4] = [(110, 105, 20, 10), (116, 105, 20, 10), (400, 105, 20, 10)]
    worth, counts, box, label = teach(rows, truth, np.array([VESSEL]))
    assert worth[0, 0] == pytest.approx(1)
    assert 0 < worth[1, 0] < 0.7
    assert worth[2].max() == 0
    assert counts.all()
    assert label.tolist() == [VESSEL, VESSEL, -1]
    assert box[1].tolist() == [110, 105, 20, 10]


def test_buoy_and_bird_have_presences_of_their_own_and_the_faint_teaches_nothing() -> None:
    truth = truth_of((0, 0, 10, 10), (50, 0, 60, 10), (100, 0, 110, 10))
    rows = np.zeros((3, 11), np.float32)
    rows[:, :4] = [(5, 5, 10, 10), (55, 5, 10, 10), (105, 5, 10, 10)]
    worth, counts, _, label = teach(rows, truth, np.array([BUOY, BIRD, IGNORED]))
    assert worth.argmax(1)[:2].tolist() == [1, 2]
    assert counts.tolist() == [True, True, False]
    assert label.tolist() == [BUOY, BIRD, -1]


def test_on_an_empty_sea_every_candidate_is_worth_nothing() -> None:
    rows = np.ones((2, 11), np.float32)
    worth, counts, _, label = teach(rows, truth_of(), np.zeros(0, np.int64))
    assert worth.max() == 0
    assert counts.all()
    assert label.tolist() == [-1, -1]
