"""Training crops: the boxes stay on the things they name."""

from __future__ import annotations

import numpy as np
import pytest

from training import crops, photometry
from training.classes import IGNORED, ROCK
from training.crops import CROP_PX, Cropper
from training.frames import Frames, Truth

BOX = (600.0, 380.0, 640.0, 396.0)
ROCKS = (300.0, 400.0, 330.0, 410.0)


@pytest.fixture
def frames() -> Frames:
    """One grey picture with one white vessel."""
    image = np.full((720, 1280, 3), 90, np.uint8)
    image[int(BOX[1]) : int(BOX[3]), int(BOX[0]) : int(BOX[2])] = 255
    truth = Truth(
        boxes=np.array([BOX], np.float32),
        classes=np.array([1], np.int64),
        visible=np.ones(1, np.float32),
        contrast=np.full(1, 99, np.float32),
        grain=np.ones(1, np.float32),
        rocks=np.array([ROCKS], np.float32),
    )
    return Frames(images=[image], truths=[truth], seeds=[1])


def test_boxes_follow_scale_shift_and_mirror(frames: Frames, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crops, "CLUTTER_SHARE", 0.0)
    monkeypatch.setattr(photometry, "vary", lambda picture, _: picture)
    cropper = Cropper(frames, 1)
    asked = 0
    for number in range(160):
        crop = cropper(number)
        assert crop.image.shape == (CROP_PX, CROP_PX, 3)
        for box, label in zip(crop.boxes, crop.classes, strict=True):
            if label in {IGNORED, ROCK}:
                continue
            asked += 1
            white = np.argwhere(crop.image[..., 0] > 170)
            assert np.abs(white.min(0)[::-1] - box[:2]).max() < 1.6
            assert np.abs(white.max(0)[::-1] + 1 - box[2:]).max() < 1.6
    assert asked > 40


def test_a_crop_is_a_function_of_seed_and_number(frames: Frames) -> None:
    first, again, other = Cropper(frames, 1)(7), Cropper(frames, 1)(7), Cropper(frames, 2)(7)
    assert np.array_equal(first.image, again.image)
    assert np.array_equal(first.boxes, again.boxes)
    assert not np.array_equal(first.image, other.image)


def test_clutter_and_photometry_keep_shape_and_type(frames: Frames, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crops, "CLUTTER_SHARE", 1.0)
    cropper = Cropper(frames, 3)
    for number in range(120):
        crop = cropper(number)
        assert crop.image.dtype == np.uint8
        assert crop.image.shape == (CROP_PX, CROP_PX, 3)
        assert len(crop.boxes) == len(crop.classes)


def test_rocks_are_cut_around_and_named_as_such(frames: Frames) -> None:
    cropper = Cropper(frames, 5)
    taught = [{int(label) for label in cropper(number).classes} - {IGNORED} for number in range(40)]
    assert {1, ROCK} == set().union(*taught)
    assert sum(ROCK in labels for labels in taught) > 5
