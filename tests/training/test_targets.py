"""Which cells a box is taught to, and what an ignored box takes out."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from training.classes import IGNORED
from training.targets import MIN_BOX_PX, STRIDES, assign, cell_grid

SIDE = 256
CELLS = sum((SIDE // s) ** 2 for s in STRIDES)


def one(x0: float, y0: float, x1: float, y1: float, label: int = 0) -> tuple[np.ndarray, np.ndarray]:
    return np.array([[x0, y0, x1, y1]], np.float32), np.array([label], np.int64)


def test_grid_is_ordered_by_stride_then_row() -> None:
    centres, strides = cell_grid(64, 32)
    assert len(centres) == 16 * 8 + 8 * 4 + 4 * 2
    assert centres[:2].tolist() == [[2.0, 2.0], [6.0, 2.0]]
    assert strides[128:130, 0].tolist() == [8.0, 8.0]


@settings(deadline=None, max_examples=60)
@given(x=st.floats(6, SIDE - 6), y=st.floats(6, SIDE - 6), width=st.floats(2, 200), height=st.floats(2, 200))
def test_every_box_inside_has_a_positive_cell_near_its_centre(x: float, y: float, width: float, height: float) -> None:
    targets = assign(*one(x - width / 2, y - height / 2, x + width / 2, y + height / 2), SIDE, SIDE)
    assert len(targets.cell) > 0
    assert len(targets.ignored) == CELLS
    centres, strides = cell_grid(SIDE, SIDE)
    off = np.abs(centres[targets.cell] - [x, y])
    assert (off <= 2.5 * strides[targets.cell]).all()
    assert (targets.box[:, 2:] >= MIN_BOX_PX).all()


def test_a_cell_claimed_twice_goes_to_the_smaller_box() -> None:
    boxes = np.array([[90, 90, 126, 126], [104, 104, 112, 112]], np.float32)
    targets = assign(boxes, np.array([3, 0], np.int64), SIDE, SIDE)
    centres, strides = cell_grid(SIDE, SIDE)
    middle = (np.abs(centres[targets.cell] - 108) < 4).all(1) & (strides[targets.cell, 0] == 4)
    assert middle.any()
    assert (targets.label[middle] == 0).all()


def test_an_ignored_box_is_no_target_and_silences_its_cells() -> None:
    targets = assign(*one(100, 100, 120, 110, IGNORED), SIDE, SIDE)
    centres, _ = cell_grid(SIDE, SIDE)
    inside = ((centres > [100, 100]) & (centres < [120, 110])).all(1)
    assert len(targets.cell) == 0
    assert targets.ignored[inside].all()
    assert not targets.ignored[(np.abs(centres - [110, 105]) > 40).any(1)].any()
