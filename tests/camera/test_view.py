"""Horizon, stance, looks and crops, on rendered coasts: faults are told with evidence, a calm sea is none."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.drivers.camera.options import CameraOptions
from agent.fusion.camera import look as looked_at
from agent.messages import Box
from agent.perception.crops import BUDGET_BYTES, CropKeeper, small_jpeg
from agent.perception.horizon import find_horizon
from agent.perception.look import CUE_PX, Cue, Look
from agent.perception.picture import PictureWatch
from agent.perception.stance import LEARN_LOOKS, LOOK_S, StanceWatch
from hardware_sim.render import CameraPose, Conditions, Renderer, Vessel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

POSE: dict[str, float] = {"height_m": 20.0, "bearing_deg": 10.0, "pitch_deg": -3.0, "roll_deg": 0.4, "hfov_deg": 40.0}
FOCAL_PX = 640.0 / math.tan(math.radians(20.0))
TRAWLER = Vessel(
    kind="trawler", id="a", east_m=350, north_m=1500, heading_deg=90, speed_mps=4, length_m=25, beam_m=7, height_m=10
)


def renderer(weather: dict[str, Any], **turned: float) -> Renderer:
    pose: dict[str, Any] = {**POSE, **{k: POSE[k] + v for k, v in turned.items()}}
    return Renderer(CameraPose(**pose), Conditions(**weather))


# ------------------------------------------------------------------------------------------------------------ horizon


@settings(deadline=None, max_examples=25)
@given(y=st.floats(60, 660), slope=st.floats(-0.12, 0.12), step=st.integers(8, 90), seed=st.integers(0, 9))
def test_a_step_between_two_greys_is_found_to_half_a_pixel(y: float, slope: float, step: int, seed: int) -> None:
    x, rows = np.arange(1280) - 639.5, np.arange(720)[:, None] + 0.5
    if not 40 < y - abs(slope) * 640 < y + abs(slope) * 640 < 680:
        return
    grey = np.where(rows < y + slope * x, 100.0 + step, 100.0) + np.random.default_rng(seed).normal(0, 3, (720, 1280))
    found = find_horizon(np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, axis=2))
    assert found is not None
    assert found.y_px == pytest.approx(y, abs=0.5)
    assert found.slope == pytest.approx(slope, abs=0.002)
    near = find_horizon(np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, axis=2), (y - 15, y + 15))
    assert near is not None
    assert near.y_px == pytest.approx(y, abs=0.5)


def test_no_horizon_in_fog_or_waves() -> None:
    rng = np.random.default_rng(3)
    noise = rng.integers(90, 140, (720, 1280, 3), dtype=np.uint8)
    waves = cv2.resize(rng.integers(60, 180, (90, 40, 3), dtype=np.uint8), (1280, 720))
    assert find_horizon(noise) is None
    assert find_horizon(np.asarray(waves, dtype=np.uint8)) is None
    assert find_horizon(np.full((720, 1280, 3), 200, dtype=np.uint8)) is None


@pytest.mark.parametrize("light", ["day", "overcast", "dusk"])
@pytest.mark.parametrize("roll_deg", [-2.0, 1.5])
def test_the_rendered_horizon(light: str, roll_deg: float) -> None:
    """Haze softens it, always towards the sea: a pixel or five of 1280 lower, the same at every look."""
    rendered = renderer({"light": light, "wind_mps": 6.0, "seed": 11}, roll_deg=roll_deg).render([TRAWLER], 0.0)
    left, right = rendered.horizon_px
    found = find_horizon(rendered.image)
    assert found is not None
    assert found.y_px == pytest.approx((left + right) / 2.0, abs=5.0)
    assert math.degrees(found.slope - (right - left) / 1280.0) == pytest.approx(0.0, abs=0.25)


# ------------------------------------------------------------------------------------------------------------- stance


def pictures(weather: dict[str, Any], count: int, **turned: float) -> Iterator[NDArray[np.uint8]]:
    source = renderer(weather, **turned)
    some = [source.render([TRAWLER], i * LOOK_S).image for i in range(min(count, 7))]
    for i in range(count):
        yield some[i % len(some)]


def told(watch: StanceWatch, seen: Iterator[NDArray[np.uint8]], start: int = 0) -> list[str]:
    return [watch.look(image, (start + i) * LOOK_S, clear=True) for i, image in enumerate(seen)]


@pytest.mark.parametrize(
    ("turned", "part"),
    [
        ({"pitch_deg": 0.5}, "(0.50 deg) lower"),
        ({"pitch_deg": -0.3}, "(0.30 deg) higher"),
        ({"roll_deg": 1.5}, "leans -1.5 deg"),
    ],
)
def test_a_knock_is_told_with_its_angle_within_half_a_minute(turned: dict[str, float], part: str) -> None:
    weather = {"wind_mps": 8.0, "shake_px": 1.5, "seed": 4}
    watch = StanceWatch(focal_px=FOCAL_PX)
    assert set(told(watch, pictures(weather, LEARN_LOOKS + 6))) == {""}
    after = told(watch, pictures(weather, 15, **turned), LEARN_LOOKS + 6)
    assert part in after[-1]
    assert set(told(watch, pictures(weather, 15), LEARN_LOOKS + 30)) >= {""}, "put back, it is well again"
    assert watch.sentence == ""


def test_a_turn_to_the_side_is_told_by_landmarks_and_burnt_in_text_does_not_hide_it() -> None:
    weather = {"wind_mps": 3.0, "foreground": "plants", "overlay_text": ("CAM 01", "REC"), "seed": 3}
    watch = StanceWatch(focal_px=FOCAL_PX)
    seen = list(pictures(weather, LEARN_LOOKS + 10))
    assert set(told(watch, iter(seen))) == {""}
    assert watch.landmarks >= 5
    turned = [np.roll(p, 60, axis=1) for p in seen[-10:]]
    for new, old in zip(turned, seen[-10:], strict=True):
        new[:60] = old[:60]  # what is burnt into the upper edge stays where it is
    sentence = told(watch, iter(turned), LEARN_LOOKS + 10)[-1]
    assert "landmarks lie 60 px right" in sentence


def test_an_open_sea_in_any_light_is_no_knock() -> None:
    for weather in ({"light": "overcast", "wind_mps": 10.0}, {"light": "night"}, {"visibility_m": 700.0}):
        watch = StanceWatch(focal_px=FOCAL_PX)
        assert set(told(watch, pictures({**weather, "shake_px": 2.0, "seed": 5}, LEARN_LOOKS + 12))) == {""}


def test_drifting_clouds_are_no_landmarks_for_long() -> None:
    rng = np.random.default_rng(6)
    sky = cv2.GaussianBlur(rng.normal(0, 1, (360, 1500)), (0, 0), 9)
    sky = np.clip(128 + 400 * sky, 0, 255)

    def clouds() -> Iterator[NDArray[np.uint8]]:
        for i in range(LEARN_LOOKS + 60):
            at = i * 1.2  # px a look, of 1280: a slow cloud
            move = np.array([[1.0, 0.0, -at], [0.0, 1.0, 0.0]])
            image = np.full((720, 1280), 80.0)
            image[:360] = cv2.warpAffine(sky, move, (1280, 360))
            yield np.repeat(np.asarray(image, dtype=np.uint8)[..., None], 3, axis=2)

    watch = StanceWatch(focal_px=FOCAL_PX)
    assert set(told(watch, clouds())) == {""}


# ------------------------------------------------------------------------------------------- frozen, calm, out of focus


@pytest.mark.parametrize("light", ["day", "night"])
def test_a_flat_calm_is_not_a_frozen_camera_and_a_frozen_one_is(light: str) -> None:
    source = renderer({"light": light, "wind_mps": 0.0, "swell_m": 0.0, "noise": 0.7, "jpeg_quality": 60, "seed": 8})
    watch = PictureWatch()
    seen = [source.render([], float(i)).image for i in range(0, 90, 3)]
    assert {watch.look(image, 3.0 * i).fault for i, image in enumerate(seen)} == {""}
    still = [watch.look(seen[-1], 90.0 + i).fault for i in range(13)]
    assert still[-1] == "frozen"


def test_a_lens_out_of_focus_is_told_against_its_own_past() -> None:
    watch = PictureWatch()
    for i, image in enumerate(pictures({"wind_mps": 5.0, "seed": 2}, 32)):
        assert watch.look(image, 2.0 * i).fault == ""
    soft = list(pictures({"wind_mps": 5.0, "seed": 2, "defocus_px": 3.0}, 4))
    faults = [watch.look(soft[i % 4], 64.0 + 2.0 * i).fault for i in range(33)]
    assert faults[5] == ""
    assert faults[-1] == "blurred"


# ------------------------------------------------------------------------------------------------------ where to look

OPTIONS = CameraOptions(bearing_deg=350.0, pitch_deg=-4.0, roll_deg=3.0, hfov_deg=50.0, height_m=20.0)


@settings(deadline=None, max_examples=50)
@given(u=st.floats(0, 1280), v=st.floats(0, 720))
def test_a_direction_lies_where_the_core_reads_it(u: float, v: float) -> None:
    bearing_deg, depression_deg = looked_at(OPTIONS, 1280, 720, u, v)
    assert Look(OPTIONS, None)._pixel(bearing_deg, depression_deg, 1280, 720) == pytest.approx((u, v), abs=1e-6)


def test_a_cue_gets_native_pixels_and_pace_while_it_is_fresh() -> None:
    look = Look(OPTIONS.model_copy(update={"look": "whole"}), None)
    assert len(look.regions(1920, 1080, 100.0)) == 1
    assert look.fps(100.0) == OPTIONS.fps
    look.cue((Cue(bearing_deg=5.0, sigma_deg=0.2, range_m=800.0), Cue(bearing_deg=170.0, sigma_deg=1.0)), 100.0)
    _, region = look.regions(1920, 1080, 101.0)
    assert region.size == CUE_PX == (region.width, region.height)
    expected = look._pixel(5.0, math.degrees(math.atan(20 / 800)), 1920, 1080)
    assert region.x + region.width / 2 == pytest.approx(expected[0], abs=2)
    assert region.y + 0.35 * region.height == pytest.approx(expected[1], abs=4)
    assert look.fps(101.0) == OPTIONS.cued_fps
    assert len(look.regions(1920, 1080, 200.0)) == 1
    assert look.fps(200.0) == OPTIONS.fps
    look.cue((Cue(bearing_deg=170.0, sigma_deg=1.0),), 200.0)
    assert look.fps(200.0) == OPTIONS.fps, "behind the camera"


def test_a_cue_on_the_horizon_costs_nothing_where_the_strip_shows_it_already() -> None:
    look = Look(OPTIONS.model_copy(update={"roll_deg": 0.0}), None)
    before = look.regions(1280, 720, 0.0)
    look.cue((Cue(bearing_deg=350.0, sigma_deg=0.1, range_m=9000.0),), 0.0)
    assert look.regions(1280, 720, 0.0) == before
    look.cue((Cue(bearing_deg=350.0, sigma_deg=0.1, range_m=150.0),), 0.0)
    assert len(look.regions(1280, 720, 0.0)) == len(before) + 1, "a near vessel stands below the strip"


def test_over_budget_the_rate_goes_first_then_the_strip_and_it_comes_back() -> None:
    look = Look(OPTIONS.model_copy(update={"cpu_share": 0.1, "fps": 2.0}), None)
    full = len(look.regions(1280, 720))
    look.spent(0.08)
    assert look.fps(0.0) == pytest.approx(0.1 / 0.08)
    assert "looks at 1.2 instead of 2 pictures a second" in look.sentence
    assert len(look.regions(1280, 720)) == full
    look.spent(0.5)
    look.fps(1.0)
    assert len(look.regions(1280, 720)) < full
    look.spent(0.07)
    look.fps(2.0)
    assert "leaves out the strip" in look.sentence
    look.spent(0.001)
    for _ in range(30):
        look.spent(0.001)
    assert look.fps(3.0) == 2.0
    assert look.sentence == ""
    assert len(look.regions(1280, 720)) == full


def test_a_cue_costs_no_view() -> None:
    """0.3 s a picture are what 2 a second may take; that a cue asks for 4 is no reason to see less."""
    look = Look(OPTIONS.model_copy(update={"cpu_share": 0.6, "fps": 2.0, "cued_fps": 4.0}), None)
    full = len(look.regions(1280, 720))
    look.cue((Cue(bearing_deg=350.0, sigma_deg=0.1, range_m=9000.0),), 0.0)
    look.spent(0.35)
    assert look.fps(0.0) == pytest.approx(0.6 / 0.35)
    assert len(look.regions(1280, 720, 100.0)) == full


# -------------------------------------------------------------------------------------------------------------- crops


@settings(deadline=None, max_examples=15)
@given(width=st.integers(20, 700), height=st.integers(20, 700), seed=st.integers(0, 5))
def test_a_crop_of_anything_fits_its_budget(width: int, height: int, seed: int) -> None:
    noise = np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)
    assert len(small_jpeg(noise)) <= BUDGET_BYTES


def test_the_best_view_of_the_vessel_that_was_asked_for() -> None:
    keeper = CropKeeper(OPTIONS)
    image = np.zeros((720, 1280, 3), dtype=np.uint8)
    image[300:340, 600:680], image[300:320, 100:140] = (0, 0, 255), (255, 0, 0)
    for at_s, size in ((0.0, 8), (1.0, 40), (2.0, 10)):
        red = Box(x0=600, y0=300, x1=600 + 2 * size, y1=300 + size, score=0.9, class_id=0, label="boat")
        blue = Box(x0=100, y0=300, x1=140, y1=320, score=0.9, class_id=0, label="boat")
        keeper.keep(image, (red, blue), at_s)
    found = keeper.best(350.0, 2.0)
    assert found is not None
    crop, jpeg = found
    assert crop.at_s == 1.0
    colour = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert colour is not None
    assert (colour[..., 2].max() > 200, colour[..., 0].max() < 60) == (True, True)
    assert keeper.best(200.0, 2.0) is None
    keeper.keep(image, (), 100.0)
    assert keeper.best(350.0, 2.0) is None, "too old"
