"""A coast of known shape in the picture: where it must be by geometry, what it hides, and that it costs no sea."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from hardware_sim import scenario
from hardware_sim.devices.view import View, ground
from hardware_sim.geo import inside
from hardware_sim.radar.land import Land
from hardware_sim.radar.physics import Radar
from hardware_sim.render import CameraPose, Conditions, Renderer, Vessel
from hardware_sim.render.coast import Coast, Ground
from hardware_sim.render.geometry import CURVATURE_PER_M, Camera
from hardware_sim.scenario import CoastTable, Scenario
from hardware_sim.seeds import generator
from hardware_sim.world import World

POSE = CameraPose(height_m=20, bearing_deg=0, pitch_deg=-1.0, hfov_deg=40, width_px=640, height_px=360)
CLEAR = Conditions(wind_mps=14, visibility_m=60_000, noise=0.0, sharpen=0.0, vignette=0.0, clouds=0.0, seed=3)
PLATEAU_M = 30.0


def plateau(east_m: np.ndarray, north_m: np.ndarray) -> np.ndarray:
    """A block of 30 m: from 100 m west to 300 m east, from 2,000 m to 2,400 m north."""
    on = (east_m > -100.0) & (east_m < 300.0) & (north_m > 2_000.0) & (north_m < 2_400.0)
    return np.where(on, PLATEAU_M, 0.0)


ISLAND = Ground(height_m=plateau, near_m=1_500.0, far_m=3_000.0)


def seen(light: str = "day") -> tuple[Coast, Renderer]:
    renderer = Renderer(POSE, dataclasses.replace(CLEAR, light=light), "live", ISLAND)
    assert renderer.coast is not None
    return renderer.coast, renderer


def panga(east_m: float, north_m: float) -> Vessel:
    return Vessel(
        kind="panga", id=f"{east_m} {north_m}", east_m=east_m, north_m=north_m, heading_deg=90.0, speed_mps=0.0,
        length_m=8.0, beam_m=2.0, height_m=2.0,
    )  # fmt: skip


def ship(speed_mps: float = 0.0, *, lights: bool = False) -> Vessel:
    """Behind the island, and twice as high."""
    return dataclasses.replace(
        panga(100.0, 2_800.0), kind="cargo", length_m=120.0, beam_m=20.0, height_m=60.0, speed_mps=speed_mps,
        lights=lights,
    )  # fmt: skip


def test_it_stands_where_the_pinhole_puts_its_corners() -> None:
    coast, _ = seen()
    ys, xs = np.nonzero(np.isfinite(coast.range_m))
    focal = POSE.focal_px
    assert xs.min() == pytest.approx(320.0 - focal * 100.0 / 2_000.0, abs=1.5)
    assert xs.max() + 1 == pytest.approx(320.0 + focal * 300.0 / 2_000.0, abs=1.5)
    _, (foot, crest), _ = Camera(POSE).project(np.zeros(2), np.full(2, 2_000.0), np.array([0.0, PLATEAU_M]))
    assert coast.top + ys.max() + 1 == pytest.approx(foot, abs=1.0)
    assert coast.top + ys.min() == pytest.approx(crest, abs=1.0)
    assert np.ptp(coast.range_m[ys, xs]) < 0.02 * 2_000.0, "the front hides the plateau behind it"


def test_in_the_picture_it_is_there_and_nowhere_else() -> None:
    coast, renderer = seen()
    with_it, without = renderer.render([], 5.0).image, Renderer(POSE, CLEAR).render([], 5.0).image
    changed = np.abs(with_it.astype(int) - without).max(axis=2) > 12
    land = np.zeros((360, 640), dtype=bool)
    land[coast.top : coast.top + len(coast.range_m)] = np.isfinite(coast.range_m)
    assert (changed & ~land).sum() == 0
    assert (changed & land).sum() > 0.7 * land.sum()


def test_a_boat_behind_it_is_hidden_one_before_it_is_not_and_a_tall_ship_shows_its_top() -> None:
    renderer = seen()[1]
    before, beside, behind = panga(50.0, 1_900.0), panga(450.0, 2_600.0), panga(100.0, 2_600.0)
    boxes = {b.id: b for b in renderer.render([before, beside, behind], 0.0).boxes}
    assert set(boxes) == {before.id, beside.id}
    assert boxes[before.id].visible > 0.95
    assert boxes[beside.id].visible > 0.95
    (box,) = renderer.render([ship()], 0.0).boxes
    (free,) = Renderer(POSE, CLEAR).render([ship()], 0.0).boxes
    assert 0.01 < box.visible < 0.6 * free.visible


def test_no_lamp_and_no_wake_shines_through_it() -> None:
    coast, renderer = seen("night")
    with_ship, without = (renderer.render(v, 0.0).image for v in ([ship(9.0, lights=True)], []))
    at = np.abs(with_ship.astype(int) - without).max(axis=2) > 12
    foot = slice(coast.top + len(coast.range_m) // 2, None)
    assert at[: foot.start].any(), "its masthead lights show over the land"
    assert not at[foot].any()


def test_what_is_beyond_the_horizon_sinks_behind_the_sea() -> None:
    def hill(east_m: np.ndarray, north_m: np.ndarray) -> np.ndarray:
        return np.where((north_m > 30_000.0) & (np.abs(east_m) < 4_000.0), 100.0, 0.0)

    renderer = Renderer(POSE, CLEAR, "live", Ground(height_m=hill, near_m=29_000.0, far_m=31_000.0))
    assert renderer.coast is not None
    rows = np.flatnonzero(np.isfinite(renderer.coast.range_m[:, 320])) + renderer.coast.top
    hidden_m = CURVATURE_PER_M * (30_000.0 - renderer.camera.horizon_m) ** 2
    assert 10.0 < hidden_m < 60.0
    tall_px = POSE.focal_px * (100.0 - hidden_m) / 30_000.0
    assert rows[-1] + 1 == pytest.approx(float(renderer.camera.horizon_y(np.array([320.0]))[0]), abs=1.0)
    assert len(rows) == pytest.approx(tall_px, abs=1.5)


# ---------------------------------------------------------------- of a scenario

COAST = CoastTable(polygon_m=((-700.0, 1_900.0), (200.0, 2_000.0), (300.0, 2_900.0), (-900.0, 2_700.0)), rise_m=80.0)


def bay(*coasts: CoastTable) -> Scenario:
    base = scenario.load("harbour-mouth")
    camera = base.camera.model_copy(update={"width_px": 640, "height_px": 360})
    return base.model_copy(update={"camera": camera, "coast": coasts})


def test_camera_and_radar_see_the_same_land() -> None:
    """Every pixel of land lies in the polygon, at its bearing and range; no bearing that meets it is without."""
    world = World(bay(COAST), 4)
    view = View(world)
    coast = view._renderer.coast
    assert coast is not None
    camera = view._renderer.camera
    nearest = coast.range_m.min(axis=0)
    x = np.arange(640) + 0.5
    along, across, _ = camera.rays(x, camera.horizon_y(x))
    bearing = math.radians(world.scenario.camera.bearing_deg) + np.arctan2(across, along)
    for r in (nearest, np.where(np.isfinite(coast.range_m), coast.range_m, 0.0).max(axis=0)):
        points = [(float(a), float(b)) for a, b in zip(r * np.sin(bearing), r * np.cos(bearing), strict=True)]
        assert all(inside(*p, COAST.polygon_m) for p, d in zip(points, nearest, strict=True) if np.isfinite(d))
    steps = np.arange(1_500.0, 3_000.0, 5.0)
    for column in range(0, 640, 16):
        east, north = steps * math.sin(bearing[column]), steps * math.cos(bearing[column])
        on = [inside(float(e), float(n), COAST.polygon_m) for e, n in zip(east, north, strict=True)]
        assert any(on) == bool(np.isfinite(nearest[column]))
        if any(on):
            assert nearest[column] == pytest.approx(steps[on.index(True)], abs=12.0)


@pytest.mark.parametrize(("bearing_deg", "hidden"), [(343.0, True), (348.0, True), (320.0, False), (336.0, False)])
def test_what_the_radar_s_land_hides_the_camera_s_hides(bearing_deg: float, hidden: bool) -> None:
    world = World(bay(COAST), 4)
    spokes = np.arange(720) / 2.0
    radar = Radar(world.scenario.radar)
    land = Land((COAST,), radar, spokes, np.arange(10.0, 6_000.0, 20.0), generator(4, "land"))
    at = math.radians(bearing_deg)
    boat = panga(3_500.0 * math.sin(at), 3_500.0 * math.cos(at))
    assert land.hides(bearing_deg, 3_500.0, boat.height_m) == hidden
    boxes = View(world)._renderer.render([boat], 0.0).boxes
    assert (not boxes or boxes[0].visible < 0.05) == hidden


def test_a_scenario_without_a_coast_is_drawn_as_ever() -> None:
    assert ground(World(bay(), 4)) is None


def test_a_mast_on_its_own_headland_looks_over_it() -> None:
    """The site is inside the polygon; land fills what is below, and the sea beyond it is still there."""
    headland = CoastTable(
        polygon_m=((-300.0, -900.0), (900.0, -900.0), (300.0, 130.0), (-150.0, 160.0)), height_m=8.0, rise_m=200.0
    )
    image, coast = (view := View(World(bay(headland), 4))).picture(40.0), view._renderer.coast
    assert coast is not None
    rows = np.flatnonzero(np.isfinite(coast.range_m[:, 320])) + coast.top
    assert rows[-1] == 359
    assert rows[0] > 250
    assert {b.id for b in image.boxes if b.visible > 0.9} == {"panga", "Ria Express", "Nuevo Orzan"}
