"""What a vessel does to the picture beside its silhouette: wake, bow spray, reflection, lamps.

Promises:
- none of this counts into a truth box;
- lamps fall off with the square of the range and the haze, and show only in their sectors (COLREGs rule 21).
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from hardware_sim.render.noise import fractal_tile
from hardware_sim.render.raster import Patch, attitude, blend, to_world
from hardware_sim.render.sky import encode

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from hardware_sim.render.meshes import Mesh
    from hardware_sim.render.raster import Rasteriser
    from hardware_sim.render.types import Conditions, Vessel

    Array = NDArray[np.floating[Any]]
    Picture = NDArray[np.uint8]

_PLANING = ("panga", "go-fast", "inflatable", "jetski", "patrol", "lpv")


def draw_wake(canvas: Picture, vessel: Vessel, raster: Rasteriser, foam_linear: Array) -> None:
    """The turbulent wake, its Kelvin arms and the spray at the hull, in that order."""
    if vessel.speed_mps < 1.0 or vessel.up_m > 0.0 or vessel.kind in ("buoy", "rock", "swimmer", "sailing"):
        return
    fast = vessel.kind in _PLANING and vessel.speed_mps > 5.0
    half = 0.5 * vessel.beam_m
    reach = vessel.speed_mps * (7.0 if fast else 5.0) + vessel.length_m
    steps = np.linspace(0.0, 1.0, 9) ** 1.5
    power = min(vessel.speed_mps / 9.0, 1.0)
    pieces: list[tuple[NDArray[np.float64], float]] = []
    for a, b in pairwise(steps):
        xa, xb = -0.45 * vessel.length_m - reach * a, -0.45 * vessel.length_m - reach * b
        wa, wb = half * (0.8 + 0.9 * a), half * (0.8 + 0.9 * b)
        pieces.append((_flat([(xa, -wa), (xa, wa), (xb, wb), (xb, -wb)]), 0.8 * power * (1.0 - a) ** 1.3))
        for side in (-1.0, 1.0):
            start = 0.45 * vessel.length_m
            ra, rb = (vessel.length_m + reach) * a, (vessel.length_m + reach) * b
            ya, yb = side * (half * 0.5 + 0.34 * ra), side * (half * 0.5 + 0.34 * rb)
            wide = 0.06 * vessel.beam_m + 0.012 * ra
            quad = [(start - ra, ya), (start - rb, yb), (start - rb, yb + side * wide), (start - ra, ya + side * wide)]
            pieces.append((_flat(quad), 0.22 * power * (1.0 - a) ** 2))
    if fast:
        high = min(0.12 * vessel.speed_mps, 0.6 * vessel.height_m)
        for side in (-1.0, 1.0):
            l0, l1 = 0.22 * vessel.length_m, -0.6 * vessel.length_m
            y0, y1 = side * half, side * (half + 0.12 * vessel.speed_mps)
            spray = np.array([[l0, y0, 0.0], [l1, y1, 0.0], [l1, y1, 0.5 * high], [0.3 * l1, side * half * 1.2, high]])
            pieces.append((spray, 0.75 * power))
    _draw_foam(canvas, pieces, vessel, raster, foam_linear)


def _flat(points: list[tuple[float, float]]) -> NDArray[np.float64]:
    return np.array([(x, y, 0.0) for x, y in points])


def _draw_foam(
    canvas: Picture,
    pieces: list[tuple[NDArray[np.float64], float]],
    vessel: Vessel,
    raster: Rasteriser,
    foam_linear: Array,
) -> None:
    camera = raster.camera
    world = to_world(np.concatenate([p for p, _ in pieces]), vessel, 0.0, 0.0, 0.0)
    x, y, depth = camera.project(world[:, 0], world[:, 1], world[:, 2])
    if not np.all(depth > 0.5):
        return
    pose = camera.pose
    range_m = math.hypot(vessel.east_m - pose.east_m, vessel.north_m - pose.north_m)
    if range_m > camera.horizon_m:
        return
    left, top = max(math.floor(float(x.min())) - 1, 0), max(math.floor(float(y.min())) - 1, 0)
    right = min(math.ceil(float(x.max())) + 1, pose.width_px)
    bottom = min(math.ceil(float(y.max())) + 1, pose.height_px)
    if right <= left or bottom <= top:
        return
    scale = 4 if max(right - left, bottom - top) < 300 else 2
    mask = np.zeros(((bottom - top) * scale, (right - left) * scale), dtype=np.uint8)
    fixed = np.round(np.stack([(x - left) * scale - 0.5, (y - top) * scale - 0.5], axis=1) * 16.0)
    fixed = np.clip(fixed, -(1 << 20), 1 << 20).astype(np.int32)
    for i, (_, strength) in enumerate(pieces):
        cv2.fillPoly(mask, [fixed[4 * i : 4 * i + 4]], float(255.0 * strength), cv2.LINE_8, 4)
    alpha = cv2.resize(mask, (right - left, bottom - top), interpolation=cv2.INTER_AREA).astype(np.float32) / 255.0
    tile = fractal_tile(512, 0.9, 5, 2.0)
    rough = np.clip(0.75 + 0.35 * tile[: alpha.shape[0] % 512 or 512, :512], 0.1, 1.3)
    rough = np.tile(rough, (alpha.shape[0] // rough.shape[0] + 1, alpha.shape[1] // 512 + 1))[
        : alpha.shape[0], : alpha.shape[1]
    ]
    alpha = np.clip(alpha * rough, 0.0, 0.95)
    clear = raster.haze(range_m)
    white = encode((foam_linear * clear + raster.sky.horizon * (1.0 - clear)).astype(np.float32))
    blend(canvas, Patch(left, top, alpha[..., None] * white, alpha, (0, 0, 0, 0), 1.0, range_m))


def draw_reflection(canvas: Picture, patch: Patch, water_y: float, wind_mps: float) -> None:
    """The vessel mirrored below its water line, stretched and faint as the wind roughens the sea."""
    strength = 0.55 * math.exp(-wind_mps / 4.0)
    if strength < 0.04:
        return
    h = patch.alpha.shape[0]
    foot = max(min(round(water_y) - patch.y0, h), 0)
    alpha, colour = patch.alpha[:foot][::-1], patch.colour[:foot][::-1]
    top = patch.y0 + foot
    room = min(foot, canvas.shape[0] - top)
    if room < 1:
        return
    k = 1 + 2 * int(min(1.0 + 0.03 * h * (1 + wind_mps), 15))
    alpha = cv2.blur(np.ascontiguousarray(alpha), (max(k // 2, 1), k))[:room] * np.float32(strength)
    colour = cv2.blur(np.ascontiguousarray(colour), (max(k // 2, 1), k))[:room] * np.float32(strength)
    blend(canvas, Patch(patch.x0, top, colour, alpha, (0, 0, 0, 0), 1.0, patch.range_m))


def draw_lamps(
    canvas: Picture,
    mesh: Mesh,
    vessel: Vessel,
    raster: Rasteriser,
    conditions: Conditions,
    t_s: float,
    hidden: Callable[[float, float, float], bool] | None = None,
) -> None:
    """The vessel's lamps and their shine on the sea; `hidden`: whether a point (x, y in px, range) is behind land."""
    if not vessel.lights or not mesh.lamps or conditions.light == "thermal":
        return
    camera = raster.camera
    pose = camera.pose
    exposure = {"night": 1.0, "dusk": 0.05, "overcast": 2e-4, "day": 5e-5}[conditions.light]
    away = math.degrees(math.atan2(pose.east_m - vessel.east_m, pose.north_m - vessel.north_m)) - vessel.heading_deg
    away = (away + 180.0) % 360.0 - 180.0
    at = to_world(np.array([lamp.at for lamp in mesh.lamps]), vessel, *attitude(vessel, conditions, t_s))
    x, y, depth = camera.project(at[:, 0], at[:, 1], at[:, 2])
    for i, lamp in enumerate(mesh.lamps):
        lo, hi = lamp.sector
        if not (lo <= away <= hi or lo <= away + 360.0 <= hi) or depth[i] <= 1.0:
            continue
        r = float(depth[i])
        if r > camera.horizon_m and y[i] > float(camera.horizon_y(np.array([x[i]]))[0]):
            continue
        if hidden is not None and hidden(float(x[i]), float(y[i]), r):
            continue
        energy = exposure * lamp.candela * raster.haze(r) * (pose.focal_px / r) ** 2 * 400.0
        draw_glow(canvas, float(x[i]), float(y[i]), lamp.colour, energy)
        if r < camera.horizon_m:
            foot = camera.project(at[i : i + 1, 0], at[i : i + 1, 1], np.zeros(1))[1]
            draw_shine(canvas, (float(x[i]), float(foot[0]), float(foot[0] - y[i])), lamp.colour, energy, conditions)


def draw_glow(canvas: Picture, x: float, y: float, colour: tuple[float, float, float], energy: float) -> None:
    """A point of light with a camera's bloom; `energy` is its sum of grey levels over pixels."""
    if energy < 3.0:
        return
    energy = min(energy, 400_000.0)  # the sensor's well is full
    sigma = 0.65 + 0.22 * math.log1p(energy / 600.0)
    reach = math.ceil(sigma * (3.0 + 0.8 * math.log1p(energy / 2000.0)))
    x0, x1 = max(math.floor(x) - reach, 0), min(math.floor(x) + reach + 1, canvas.shape[1])
    y0, y1 = max(math.floor(y) - reach, 0), min(math.floor(y) + reach + 1, canvas.shape[0])
    if x1 <= x0 or y1 <= y0:
        return
    dx = (np.arange(x0, x1) + 0.5 - x)[None, :]
    dy = (np.arange(y0, y1) + 0.5 - y)[:, None]
    d2 = dx * dx + dy * dy
    core = np.exp(-0.5 * d2 / sigma**2) / (2.0 * math.pi * sigma**2)
    halo = 0.012 / (1.0 + d2 / (1.5 * sigma**2))
    fade = np.clip(1.0 - d2 / reach**2, 0.0, 1.0)
    light = np.minimum(energy * core + 0.02 * energy * halo, 600.0) * fade
    tint = np.array(colour, dtype=np.float32)
    # a saturated core is white whatever the lamp's colour
    add = np.minimum(light[..., None] * tint, 255.0) + np.clip(light[..., None] - 230.0, 0.0, 255.0) * 0.6
    part = canvas[y0:y1, x0:x1]
    part[:] = np.clip(part + add, 0, 255).astype(np.uint8)


def draw_shine(
    canvas: Picture,
    place: tuple[float, float, float],
    colour: tuple[float, float, float],
    energy: float,
    conditions: Conditions,
) -> None:
    """The broken column of light under a lamp; `place` is x, y of the water below it and the lamp's height, px."""
    x, foot, high = place
    length = max(high, 2.0) * (1.0 + 0.5 * conditions.wind_mps) + 3.0
    if energy < 60.0:
        return
    length, energy = min(length, 400.0), min(energy, 100_000.0)
    y0, y1 = max(round(foot), 0), min(round(foot + length), canvas.shape[0])
    half = 1.0 + 0.02 * length
    x0, x1 = max(math.floor(x - 3 * half), 0), min(math.ceil(x + 3 * half), canvas.shape[1])
    if y1 <= y0 or x1 <= x0:
        return
    rng = np.random.default_rng([conditions.seed, 41, y0, x0])
    fall = np.exp(-2.0 * (np.arange(y0, y1) - foot) / length)[:, None]
    across = np.exp(-0.5 * ((np.arange(x0, x1) + 0.5 - x) / half) ** 2)[None, :]
    broken = rng.random((y1 - y0, 1)) * rng.random((y1 - y0, x1 - x0))
    light = np.minimum(0.5 * energy / (length * half), 160.0) * fall * across * broken
    part = canvas[y0:y1, x0:x1]
    part[:] = np.clip(part + light[..., None] * np.array(colour, dtype=np.float32), 0, 255).astype(np.uint8)
