"""What the pictures promise: determinism, tight truth, occlusion, every kind in every light."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import cv2
import numpy as np
import pytest

from hardware_sim.render import CameraPose, Conditions, Renderer, Vessel
from hardware_sim.render.moon import phase_magnitudes
from hardware_sim.render.types import FOREGROUNDS, KINDS, LIGHTS

POSE = CameraPose(height_m=15, bearing_deg=0, pitch_deg=-1.5, roll_deg=0.4, hfov_deg=30, width_px=640, height_px=360)
PLAIN = Conditions(
    wind_mps=6,
    visibility_m=40_000,
    noise=0.0,
    sharpen=0.0,
    auto_levels=0.0,
    vignette=0.0,
    clouds=0.2,
    sun_bearing_deg=170,
    seed=3,
)


def vessel(kind: str = "fishing", range_m: float = 600.0, offset_deg: float = 0.0, **more: Any) -> Vessel:
    b = math.radians(POSE.bearing_deg + offset_deg)
    base = Vessel(
        kind=kind,
        id=f"{kind}-{range_m:.0f}-{offset_deg}",
        east_m=range_m * math.sin(b),
        north_m=range_m * math.cos(b),
        heading_deg=75.0,
        speed_mps=0.0,
        length_m=14.0,
        beam_m=4.5,
        height_m=7.0,
    )
    return dataclasses.replace(base, **more)


@pytest.mark.parametrize("detail", ["live", "full"])
def test_the_same_input_gives_the_same_picture(detail: str) -> None:
    conditions = dataclasses.replace(PLAIN, noise=2.0, shake_px=2.0, land=0.5, urban=0.5, overlay_text=("CAM 1",))
    scene = [vessel(), vessel("panga", 400.0, 5.0, speed_mps=9.0)]
    first = Renderer(POSE, conditions, detail).render(scene, 12.5)
    again = Renderer(POSE, conditions, detail)
    again.render(scene, 3.0)  # what was drawn before leaves no trace
    second = again.render(scene, 12.5)
    assert np.array_equal(first.image, second.image)
    assert first.boxes == second.boxes
    later = again.render(scene, 12.7)
    assert not np.array_equal(first.image, later.image)
    other = Renderer(POSE, dataclasses.replace(conditions, seed=4), detail).render(scene, 12.5)
    assert not np.array_equal(first.image, other.image)


def test_live_and_full_tell_the_same_truth() -> None:
    scene = [vessel(), vessel("cargo", 3_000.0, -6.0, length_m=150.0, beam_m=24.0, height_m=30.0)]
    live, full = (Renderer(POSE, PLAIN, d).render(scene, 1.0) for d in ("live", "full"))
    assert live.horizon_px == full.horizon_px
    assert len(live.boxes) == 2
    for a, b in zip(live.boxes, full.boxes, strict=True):
        assert (a.id, a.x0, a.y0, a.x1, a.y1, a.visible) == (b.id, b.x0, b.y0, b.x1, b.y1, b.visible)


@pytest.mark.parametrize("kind", ["panga", "fishing", "sailing", "cargo", "buoy"])
@pytest.mark.parametrize("range_m", [300.0, 1_200.0])
def test_boxes_are_tight_around_what_changes(kind: str, range_m: float) -> None:
    windy = dataclasses.replace(PLAIN, wind_mps=14.0)  # no mirror image below the hull
    thing = vessel(kind, range_m, 2.0, colour=(20, 30, 240))
    renderer = Renderer(POSE, windy, "full")
    with_it, without = renderer.render([thing], 0.0), renderer.render([], 0.0)
    changed = np.abs(with_it.image.astype(int) - without.image).max(axis=2) > 5
    ys, xs = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    (box,) = with_it.boxes
    assert without.boxes == ()
    got = np.array([box.x0, box.y0, box.x1, box.y1])
    assert got == pytest.approx([xs[0], ys[0], xs[-1] + 1, ys[-1] + 1], abs=2.0)
    assert box.visible == pytest.approx(1.0, abs=0.02)
    assert box.contrast > 10


@pytest.mark.parametrize("light", LIGHTS)
@pytest.mark.parametrize("detail", ["live", "full"])
def test_every_kind_shows_in_every_light(light: str, detail: str) -> None:
    conditions = dataclasses.replace(PLAIN, light=light, sun_elevation_deg=4.0 if light == "dusk" else 40.0)
    scene = [
        vessel(kind, 250.0 + 30.0 * i, -12.0 + 1.45 * i, lights=True, up_m=4.0 if kind == "bird" else 0.0)
        for i, kind in enumerate(KINDS)
    ]
    out = Renderer(POSE, conditions, detail).render(scene, 2.0)
    assert out.image.shape == (360, 640, 3)
    assert out.image.dtype == np.uint8
    assert sorted(b.kind for b in out.boxes) == sorted(KINDS)
    assert all(b.x0 < b.x1 and b.y0 < b.y1 for b in out.boxes)
    if light == "thermal":
        assert np.array_equal(out.image[..., 0], out.image[..., 2])


def test_the_horizon_of_the_picture_is_the_horizon_of_the_truth() -> None:
    pose = dataclasses.replace(POSE, roll_deg=3.0)
    out = Renderer(pose, dataclasses.replace(PLAIN, clouds=0.0, water_bgr=(40, 30, 10)), "full").render([], 0.0)
    grey = cv2.cvtColor(out.image, cv2.COLOR_BGR2GRAY).astype(float)
    left, right = out.horizon_px
    for column in (40, 320, 600):
        expected = left + (right - left) * (column + 0.5) / pose.width_px
        rows = slice(int(expected) - 12, int(expected) + 12)
        step = np.abs(np.diff(grey[rows, column - 8 : column + 8].mean(axis=1)))
        assert rows.start + int(step.argmax()) + 1 == pytest.approx(expected, abs=1.5)


def test_a_ship_beyond_the_horizon_is_hull_down() -> None:
    horizon_m = Renderer(POSE, PLAIN, "live").camera.horizon_m
    clear = dataclasses.replace(PLAIN, visibility_m=300_000)
    ship: dict[str, Any] = {"kind": "cargo", "length_m": 200.0, "beam_m": 30.0, "height_m": 40.0}
    near = Renderer(POSE, clear).render([vessel(range_m=0.7 * horizon_m, **ship)], 0.0)
    down = Renderer(POSE, clear).render([vessel(range_m=1.6 * horizon_m, **ship)], 0.0)
    gone = Renderer(POSE, clear).render([vessel(range_m=3.5 * horizon_m, **ship)], 0.0)
    assert near.boxes[0].visible > 0.98
    assert 0.05 < down.boxes[0].visible < 0.95
    line = sum(down.horizon_px) / 2
    assert down.boxes[0].y1 == pytest.approx(line, abs=1.0)
    assert gone.boxes == ()


def test_what_stands_in_front_counts() -> None:
    far = vessel("panga", 900.0, 0.0, length_m=7.0, beam_m=1.8, height_m=1.8)
    wall = vessel("ferry", 500.0, 0.0, length_m=80.0, beam_m=15.0, height_m=20.0, heading_deg=90.0)
    free = Renderer(POSE, PLAIN).render([far], 0.0).boxes[0]
    both = {b.id: b for b in Renderer(POSE, PLAIN).render([far, wall], 0.0).boxes}
    assert free.visible > 0.98
    assert both[far.id].visible < 0.05
    assert both[wall.id].visible > 0.9
    half = vessel("ferry", 900.0, -15.0, length_m=80.0, beam_m=15.0, height_m=20.0, heading_deg=90.0)
    cut = Renderer(POSE, PLAIN).render([half], 0.0).boxes[0]
    assert cut.x0 == 0.0
    assert 0.2 < cut.visible < 0.8


@pytest.mark.parametrize("foreground", [f for f in FOREGROUNDS if f != "none"])
def test_foreground_covers_the_sea(foreground: str) -> None:
    plain = Renderer(POSE, PLAIN).render([], 0.0).image
    covered = dataclasses.replace(PLAIN, foreground=foreground, foreground_amount=0.8)
    image = Renderer(POSE, covered).render([], 0.0).image
    share = float((np.abs(image.astype(int) - plain).max(axis=2) > 8).mean())
    assert 0.003 < share < 0.9


def test_land_hides_what_is_behind_it_and_text_what_is_under_it() -> None:
    land = dataclasses.replace(PLAIN, land=1.6, land_range_m=2_000.0, ridge=0.8, ridge_layers=1, seed=5)
    behind, before = vessel("panga", 4_000.0, 0.0), vessel("panga", 900.0, 0.0)
    boxes = {b.id: b for b in Renderer(POSE, land).render([behind, before], 0.0).boxes}
    assert boxes[behind.id].visible < 0.05
    assert boxes[before.id].visible > 0.95


def test_shake_moves_picture_and_truth_together() -> None:
    scene = [vessel(range_m=500.0, colour=(20, 30, 240))]
    still = Renderer(POSE, PLAIN).render(scene, 0.0)
    shaken = Renderer(POSE, dataclasses.replace(PLAIN, shake_px=6.0)).render(scene, 0.0)
    a, b = still.boxes[0], shaken.boxes[0]
    moved = (b.x0 - a.x0, b.y0 - a.y0)
    assert math.hypot(*moved) > 0.5
    assert shaken.horizon_px[0] - still.horizon_px[0] == pytest.approx(moved[1], abs=1e-6)
    grey = [cv2.cvtColor(r.image, cv2.COLOR_BGR2GRAY).astype(np.float32) for r in (still, shaken)]
    shift, _ = cv2.phaseCorrelate(grey[0], grey[1])
    assert shift == pytest.approx(moved, abs=0.4)


def test_haze_takes_contrast() -> None:
    contrasts = [
        Renderer(POSE, dataclasses.replace(PLAIN, visibility_m=v))
        .render([vessel(range_m=1_500.0)], 0.0)
        .boxes[0]
        .contrast
        for v in (30_000.0, 4_000.0, 1_200.0)
    ]
    assert contrasts[0] > 1.5 * contrasts[1] > 3.0 * contrasts[2]


def test_glint_lies_under_the_sun_and_lamps_shine_at_night() -> None:
    sunny = dataclasses.replace(PLAIN, sun_bearing_deg=8.0, sun_elevation_deg=12.0, clouds=0.0)
    image = Renderer(POSE, sunny).render([], 0.0).image.astype(float).max(axis=2)
    sea = image[200:, :]
    assert sea[:, 450:540].mean() > sea[:, 60:150].mean() + 10
    night = dataclasses.replace(PLAIN, light="night")
    ship = vessel(range_m=800.0)
    dark, lit = (
        Renderer(POSE, night).render([dataclasses.replace(ship, lights=on)], 0.0).image for on in (False, True)
    )
    assert int(lit.max()) > int(dark.max()) + 100


NIGHT = dataclasses.replace(PLAIN, light="night", moon_bearing_deg=8.0, moon_elevation_deg=12.0, moon_lit=1.0)


def test_the_moon_lights_sea_and_hulls_and_glitters_under_itself() -> None:
    ship = [vessel(range_m=500.0, offset_deg=-8.0, colour=(255, 255, 255))]
    images = [
        Renderer(POSE, dataclasses.replace(NIGHT, moon_lit=lit)).render(ship, 0.0).image.astype(float).max(axis=2)
        for lit in (0.0, 0.3, 1.0)
    ]
    dark, crescent, full = ([i[30:130, :200].mean(), i[200:, 20:80].mean(), i[200:, 450:540].mean()] for i in images)
    assert all(a < b < c for a, b, c in zip(dark, crescent, full, strict=True)), "sky, sea, glitter"
    assert full[2] > full[1] + 10, "the glitter lies under the moon"
    assert abs(dark[2] - dark[1]) < 5
    high = dataclasses.replace(NIGHT, moon_elevation_deg=60.0)
    assert Renderer(POSE, high).render([], 0.0).image[200:, 20:80].mean() > images[2][200:, 20:80].mean()


@pytest.mark.parametrize(
    "change", [{"moon_elevation_deg": -0.1}, {"moon_lit": 0.0}, {"light": "day"}, {"light": "dusk"}]
)
def test_a_moon_that_does_not_shine_changes_no_byte(change: dict[str, Any]) -> None:
    with_moon = dataclasses.replace(NIGHT, **change)
    without = dataclasses.replace(with_moon, moon_bearing_deg=0.0, moon_elevation_deg=-90.0, moon_lit=0.0)
    a, b = (Renderer(POSE, c).render([vessel()], 3.0) for c in (with_moon, without))
    assert np.array_equal(a.image, b.image)
    assert a.boxes == b.boxes


def test_a_quarter_moon_gives_a_tenth_of_a_full_one_s_light() -> None:
    assert phase_magnitudes(1.0) == 0.0
    assert 10.0 ** (-0.4 * phase_magnitudes(0.5)) == pytest.approx(0.09, abs=0.01)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"light": "noon"}, "light 'noon'"),
        ({"foreground": "cow"}, "foreground 'cow'"),
    ],
)
def test_wrong_conditions_are_named(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Renderer(POSE, dataclasses.replace(PLAIN, **change))


def test_wrong_detail_and_kind_are_named() -> None:
    with pytest.raises(ValueError, match="detail 'medium'"):
        Renderer(POSE, PLAIN, "medium")
    with pytest.raises(ValueError, match="kind 'submarine'"):
        Renderer(POSE, PLAIN).render([vessel("submarine")], 0.0)


def test_a_camera_that_looks_up_sees_no_sea() -> None:
    out = Renderer(dataclasses.replace(POSE, pitch_deg=30.0), PLAIN).render([vessel()], 0.0)
    assert out.boxes == ()
    assert min(out.horizon_px) > POSE.height_px
