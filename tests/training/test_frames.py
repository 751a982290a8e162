"""Rendered frames: what counts as truth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hardware_sim.sight import iou_table
from training.classes import BACKGROUND
from training.frames import open_frames, render_seed, write_shard

if TYPE_CHECKING:
    from pathlib import Path

WITH_A_ROCK = 9_000_000


def test_a_rock_is_no_truth_but_is_kept_and_survives_the_disk(tmp_path: Path) -> None:
    image, truth = render_seed(WITH_A_ROCK)
    assert BACKGROUND not in truth.classes
    assert len(truth.rocks) > 0
    assert iou_table(truth.rocks, truth.boxes).max(initial=0) < 0.99
    write_shard(tmp_path, 0, [WITH_A_ROCK, WITH_A_ROCK + 1])
    frames = open_frames(tmp_path)
    assert np.array_equal(frames.images[0], image)
    assert np.array_equal(frames.truths[0].rocks, truth.rocks)
    assert np.array_equal(frames.truths[0].boxes, truth.boxes)
