"""Boxes, tiles and letterbox: what is one vessel, and where it lies in the picture."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.inference.boxes import found, join, merge_views, nms, rivals_of
from agent.inference.letterbox import InputForm, place, tensor
from agent.inference.spec import PRESETS, ModelOptions, Pixels
from agent.inference.tiles import tiles, whole

if TYPE_CHECKING:
    from agent.inference.spec import Fit

FITS: tuple[Fit, ...] = ("topleft", "centre", "stretch")


approx: Any = pytest.approx  # it is compared inside tuples


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


@given(st.integers(1, 90), st.integers(1, 90), st.sampled_from(FITS), st.booleans())
@settings(max_examples=200)
def test_a_picture_laid_into_used_memory_is_the_same(width: int, height: int, fit: Fit, native: bool) -> None:
    picture = np.random.default_rng(width * 100 + height).integers(0, 256, (height, width, 3), dtype=np.uint8)
    used = np.full(3 * 96 * 64 + 5, 201, dtype=np.uint8)
    inner = (width, height) if native and width <= 96 and height <= 64 else None
    fresh, placed = place(picture, 96, 64, fit, 114, inner=inner)
    again, placed_again = place(picture, 96, 64, fit, 114, inner=inner, into=used)
    assert np.array_equal(fresh, again)
    assert placed == placed_again
    expected = np.full((64, 96, 3), 114, dtype=np.uint8)
    left, top, w, h = placed.left, placed.top, round(placed.scale_x * width), round(placed.scale_y * height)
    expected[top : top + h, left : left + w] = again[top : top + h, left : left + w]
    assert np.array_equal(again, expected), "beside the picture all is grey"


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


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_every_pixel_of_a_picture_that_is_no_whole_number_of_bands_high(preset: str) -> None:
    canvas = np.random.default_rng(3).integers(0, 256, (150, 47, 3), dtype=np.uint8)
    pixels = PRESETS[preset]
    form = InputForm(pixels=pixels, fit="stretch", pad=0, dtype="float32", nhwc=False)
    ordered = (canvas if pixels.order == "bgr" else canvas[:, :, ::-1]).astype(np.float64)
    wanted = ((ordered * pixels.scale - pixels.mean) / pixels.std).transpose(2, 0, 1)
    memory = np.full(canvas.size + 5, np.nan, dtype=np.float32)
    assert tensor(canvas, form, memory)[0] == approx(wanted, rel=1e-5, abs=1e-5)


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
