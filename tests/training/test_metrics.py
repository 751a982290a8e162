"""The scorer itself: a wrong scorer would let a bad model ship."""

from __future__ import annotations

import numpy as np
import pytest

from hardware_sim.sight import iou_table
from training.classes import IGNORED, LABELS
from training.frames import Truth
from training.metrics import Boxes, average_precision, boxes_of, recall_by_height, verdict

VESSEL, BUOY = 0, LABELS.index("buoy")


def truth_of(*rows: tuple[float, float, float, float]) -> Truth:
    count = len(rows)
    return Truth(
        boxes=np.array(rows, np.float32).reshape(-1, 4),
        classes=np.zeros(count, np.int64),
        visible=np.ones(count, np.float32),
        contrast=np.full(count, 30, np.float32),
        grain=np.ones(count, np.float32),
        rocks=np.zeros((0, 4), np.float32),
    )


def found_of(*rows: tuple[float, float, float, float, float]) -> Boxes:
    table = np.array(sorted(rows, key=lambda r: -r[4]), np.float32).reshape(-1, 5)
    return Boxes(boxes=table[:, :4], scores=table[:, 4], classes=np.zeros(len(table), np.int64))


def test_iou_of_half_shifted_boxes_is_a_third() -> None:
    table = iou_table(np.array([[0, 0, 10, 4]], np.float32), np.array([[5, 0, 15, 4], [20, 0, 30, 4]], np.float32))
    assert table[0].tolist() == pytest.approx([1 / 3, 0.0])


def test_second_box_on_one_vessel_is_false() -> None:
    truth = truth_of((10, 10, 30, 20))
    seen = verdict(found_of((10, 10, 30, 20, 0.9), (11, 10, 30, 20, 0.8)), truth, truth.classes, 0.2)
    assert seen.right.tolist() == [True, False]
    assert seen.found.tolist() == pytest.approx([0.9])


def test_box_on_ignored_truth_is_neither_right_nor_false() -> None:
    truth = truth_of((10, 10, 30, 20), (100, 10, 104, 12))
    seen = verdict(found_of((99, 9, 105, 13, 0.9)), truth, np.array([VESSEL, IGNORED]), 0.2)
    assert len(seen.scores) == 0
    assert seen.found.tolist() == [0.0]


def test_vessel_box_on_a_buoy_is_false() -> None:
    truth = truth_of((10, 10, 20, 20))
    seen = verdict(found_of((10, 10, 20, 20, 0.9)), truth, np.array([BUOY]), 0.2)
    assert seen.right.tolist() == [False]
    assert len(seen.found) == 0


def test_average_precision_of_one_hit_then_one_false_then_one_hit() -> None:
    truth = truth_of((0, 0, 10, 10), (50, 0, 60, 10))
    found = found_of((0, 0, 10, 10, 0.9), (200, 0, 210, 10, 0.8), (50, 0, 60, 10, 0.7))
    seen = verdict(found, truth, truth.classes, 0.5)
    assert average_precision([seen]) == pytest.approx((1 + 2 / 3) / 2)


def test_recall_is_counted_per_height_at_the_threshold() -> None:
    truth = truth_of((0, 0, 10, 6), (50, 0, 60, 6), (100, 0, 140, 20))
    found = found_of((0, 0, 10, 6, 0.9), (50, 0, 60, 6, 0.2), (100, 0, 140, 20, 0.6))
    bands = recall_by_height([verdict(found, truth, truth.classes, 0.2)], 0.5)
    assert bands["0-8"] == (0.5, 2)
    assert bands["8-16"] == (0.0, 0)
    assert bands[">16"] == (1.0, 1)


def test_output_is_decoded_and_overlaps_are_suppressed() -> None:
    output = np.zeros((4 + len(LABELS), 3), np.float32)
    output[:4] = np.array([[20, 20, 10, 4], [21, 20, 10, 4], [90, 20, 10, 4]], np.float32).T
    output[4 + VESSEL] = [0.6, 0.8, 0.05]
    output[4 + BUOY] = [0.1, 0.1, 0.4]
    boxes = boxes_of(output, 0.3)
    assert boxes.scores.tolist() == pytest.approx([0.8, 0.4])
    assert boxes.classes.tolist() == [VESSEL, BUOY]
    assert boxes.boxes[0].tolist() == [16.0, 18.0, 26.0, 22.0]
