"""The renderer's geometry against the sphere itself, written here a second time and another way."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hardware_sim.render import CameraPose, Conditions, Renderer, Vessel
from hardware_sim.render.geometry import Camera

EFFECTIVE_RADIUS_M = 6_371_008.8 / (1.0 - 0.13)

poses = st.builds(
    CameraPose,
    east_m=st.floats(-500, 500),
    north_m=st.floats(-500, 500),
    height_m=st.floats(4, 80),
    bearing_deg=st.floats(0, 360),
    pitch_deg=st.floats(-20, 8),
    roll_deg=st.floats(-10, 10),
    hfov_deg=st.floats(3, 70),
)


def _turn(axis: str, deg: float) -> np.ndarray:
    c, s = math.cos(math.radians(deg)), math.sin(math.radians(deg))
    return {
        "x": np.array([[1, 0, 0], [0, c, -s], [0, s, c]]),
        "y": np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]),
        "z": np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]),
    }[axis]


def _pixel(pose: CameraPose, range_m: float, offset_deg: float, up_m: float) -> tuple[float, float]:
    """Aerospace angles: x forward, y right, z down; yaw is taken by the offset, then pitch, then roll."""
    arc = range_m / EFFECTIVE_RADIUS_M
    forward = (EFFECTIVE_RADIUS_M + up_m) * math.sin(arc)
    down = pose.height_m + EFFECTIVE_RADIUS_M - (EFFECTIVE_RADIUS_M + up_m) * math.cos(arc)
    level = np.array([forward * math.cos(math.radians(offset_deg)), forward * math.sin(math.radians(offset_deg)), down])
    body = (_turn("z", 0.0) @ _turn("y", pose.pitch_deg) @ _turn("x", pose.roll_deg)).T @ level
    focal = pose.width_px / (2.0 * math.tan(math.radians(pose.hfov_deg / 2.0)))
    return pose.width_px / 2 + focal * body[1] / body[0], pose.height_px / 2 + focal * body[2] / body[0]


@settings(max_examples=150, deadline=None)
@given(pose=poses, range_m=st.floats(150, 30_000), share=st.floats(-0.5, 0.5), up_m=st.floats(0, 40))
def test_a_point_lands_where_the_sphere_puts_it(pose: CameraPose, range_m: float, share: float, up_m: float) -> None:
    offset = share * pose.hfov_deg
    x, y, depth = Camera(pose).polar(np.array([range_m]), np.array([offset]), np.array([up_m]))
    want = _pixel(pose, range_m, offset, up_m)
    assert depth[0] > 0
    assert (x[0], y[0]) == pytest.approx(want, abs=0.03)


@settings(max_examples=40, deadline=None)
@given(pose=poses)
def test_the_horizon_is_the_sphere_s_dip(pose: CameraPose) -> None:
    dip = math.acos(EFFECTIVE_RADIUS_M / (EFFECTIVE_RADIUS_M + pose.height_m))
    x = np.array([0.0, pose.width_px / 2, float(pose.width_px)])
    along, across, up = Camera(pose).rays(x, Camera(pose).horizon_y(x))
    assert np.arctan2(-up, np.hypot(along, across)) == pytest.approx(dip, abs=3e-6)


def test_roll_clockwise_lifts_the_horizon_on_the_right() -> None:
    pose = CameraPose(height_m=20, bearing_deg=10, pitch_deg=0, roll_deg=5, hfov_deg=40)
    left, right = Camera(pose).horizon_y(np.array([0.0, 1280.0]))
    assert left - right == pytest.approx(1280 * math.tan(math.radians(5)), rel=0.01)


@settings(max_examples=15, deadline=None)
@given(pose=poses)
def test_the_sea_field_inverts_the_projection(pose: CameraPose) -> None:
    camera = Camera(pose)
    field = camera.sea_field(64)
    if field is None:
        return
    rows, columns = np.nonzero(np.isfinite(field.range_m) & (field.range_m < 0.9 * camera.horizon_m))
    keep = slice(None, None, 37)
    r = field.range_m[rows, columns].astype(np.float64)[keep]
    offset = np.degrees(np.arctan2(field.right_m, field.forward_m)[rows, columns])[keep]
    x, y, _ = camera.polar(r, offset, np.zeros_like(r))
    assert x == pytest.approx((columns[keep] + 0.5) * 64, abs=0.05)
    assert y == pytest.approx(rows[keep] + field.top + 0.5, abs=0.05)


@pytest.mark.parametrize("detail", ["live", "full"])
@pytest.mark.parametrize(("range_m", "offset_deg"), [(700.0, -9.0), (2_500.0, 6.0), (6_000.0, 1.0)])
def test_a_drawn_buoy_stands_on_its_point(detail: str, range_m: float, offset_deg: float) -> None:
    pose = CameraPose(east_m=50, north_m=-20, height_m=22, bearing_deg=140, pitch_deg=-1.5, roll_deg=1.0, hfov_deg=25)
    b = math.radians(140 + offset_deg)
    buoy = Vessel(
        kind="buoy",
        id="b",
        east_m=50 + range_m * math.sin(b),
        north_m=-20 + range_m * math.cos(b),
        heading_deg=0,
        speed_mps=0,
        length_m=1.0,
        beam_m=1.0,
        height_m=3.0,
    )
    calm = Conditions(wind_mps=0.0, swell_m=0.0, visibility_m=60_000)
    box = Renderer(pose, calm, detail).render([buoy], 0.0).boxes[0]
    x, y = _pixel(pose, range_m, offset_deg, 0.0)
    top = _pixel(pose, range_m, offset_deg, 3.0)[1]
    metre_px = pose.focal_px / range_m
    assert (box.x0 + box.x1) / 2 == pytest.approx(x, abs=0.3 + 0.3 * metre_px)
    assert box.y1 == pytest.approx(y, abs=0.3 + 0.1 * metre_px)
    assert box.y0 == pytest.approx(top, abs=0.3 + 0.1 * metre_px)
