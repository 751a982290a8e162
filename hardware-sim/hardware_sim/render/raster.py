"""Meshes to anti-aliased patches in picture coordinates, and their truth.

Promises:
- coverage is the share of the pixel that the silhouette fills (supersampled up to 8 x 8), so a vessel 2 px high has the
  soft, low contrast of a real one;
- what lies beyond the horizon is cut at the horizon line: a ship hull-down shows its upper works only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from hardware_sim.render.noise import fractal_tile
from hardware_sim.render.sea import HAZE_EXTINCTION
from hardware_sim.render.sky import encode

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hardware_sim.render.geometry import Camera
    from hardware_sim.render.meshes import Mesh
    from hardware_sim.render.sky import SkyModel
    from hardware_sim.render.types import Conditions, Vessel

    Array = NDArray[np.floating[Any]]
    Picture = NDArray[np.uint8]

_SHIFT = 4
_LEVEL: dict[str, tuple[float, float]] = {  # ambient, sun; linear
    "day": (0.34, 0.85),
    "overcast": (0.46, 0.06),
    "dusk": (0.11, 0.16),
    "night": (0.006, 0.0),
    "thermal": (0.0, 0.0),
}
_MOON_SUN = 0.03
"""As the second of `_LEVEL`, of a full moon."""


@dataclass(slots=True)
class Patch:
    """A rectangle of the picture with something in it: premultiplied colour and cover; `x0`, `y0` its corner, px."""

    x0: int
    y0: int
    colour: Array
    alpha: Array
    box: tuple[float, float, float, float]
    share: float
    range_m: float


def attitude(vessel: Vessel, conditions: Conditions, t_s: float) -> tuple[float, float, float]:
    """(heave_m, pitch_deg, roll_deg) of a vessel in this sea: small vessels move more."""
    if vessel.up_m > 0.0 or vessel.kind == "rock":
        return 0.0, 0.0, 0.0
    phase = (sum(vessel.id.encode()) * 0.7) % (2.0 * math.pi)
    stir = min(conditions.wind_mps / 8.0, 2.0) + conditions.swell_m
    small = 1.0 / (1.0 + (vessel.length_m / 12.0) ** 2)
    planing = 3.5 if vessel.kind in ("panga", "go-fast", "inflatable", "jetski") and vessel.speed_mps > 6.0 else 0.0
    pitch = planing + 2.2 * small * stir * math.sin(1.9 * t_s + phase)
    roll = 4.0 * (small + 0.1) * stir * math.sin(1.3 * t_s + 2.0 * phase)
    heave = 0.10 * small * stir * math.sin(1.1 * t_s + 3.0 * phase)
    return heave, pitch, roll


def to_world(
    points: NDArray[np.float64], vessel: Vessel, heave_m: float, pitch_deg: float, roll_deg: float
) -> NDArray[np.float64]:
    """Vessel axes to east, north, up."""
    p, r, h = (math.radians(a) for a in (pitch_deg, roll_deg, vessel.heading_deg))
    x, y, z = points[:, 0], points[:, 1], points[:, 2]
    y, z = y * math.cos(r) + z * math.sin(r), z * math.cos(r) - y * math.sin(r)
    x, z = x * math.cos(p) - z * math.sin(p), z * math.cos(p) + x * math.sin(p)
    east = vessel.east_m + x * math.sin(h) + y * math.cos(h)
    north = vessel.north_m + x * math.cos(h) - y * math.sin(h)
    return np.stack([east, north, z + vessel.up_m + heave_m], axis=1)


class Rasteriser:
    """Draws meshes for one camera and one set of conditions."""

    def __init__(self, camera: Camera, conditions: Conditions, sky: SkyModel) -> None:
        self.camera, self.conditions, self.sky = camera, conditions, sky
        s, e = math.radians(sky.lamp_deg[0]), math.radians(max(sky.lamp_deg[1], 2.0))
        self.sun = np.array([math.sin(s) * math.cos(e), math.cos(s) * math.cos(e), math.sin(e)])
        rng = np.random.default_rng([conditions.seed, 31])
        self.heat_gain = float(rng.uniform(0.25, 0.75))
        self.heat_base = float(rng.uniform(0.10, 0.32))

    def haze(self, range_m: float) -> float:
        """Share of light that comes through from a range."""
        return math.exp(-HAZE_EXTINCTION * range_m / self.conditions.visibility_m)

    def patch(self, mesh: Mesh, vessel: Vessel, t_s: float) -> Patch | None:
        """The vessel as a patch; None when nothing of it is in the picture."""
        camera, pose = self.camera, self.camera.pose
        counts = [len(f) for f in mesh.faces]
        world = to_world(np.concatenate(mesh.faces), vessel, *attitude(vessel, self.conditions, t_s))
        if vessel.up_m <= 0.0:
            world[:, 2] = np.maximum(world[:, 2], 0.0)  # what the swell puts under water is not drawn
        x, y, depth = camera.project(world[:, 0], world[:, 1], world[:, 2])
        if not np.all(depth > 0.5):
            return None
        x0, x1, y0, y1 = float(x.min()), float(x.max()), float(y.min()), float(y.max())
        if x1 <= 0 or y1 <= 0 or x0 >= pose.width_px or y0 >= pose.height_px:
            return None
        left, top = math.floor(max(x0, -pose.width_px)) - 1, math.floor(max(y0, -pose.height_px)) - 1
        right = math.ceil(min(x1, 2 * pose.width_px)) + 1
        bottom = math.ceil(min(y1, 2 * pose.height_px)) + 1
        big = max(right - left, bottom - top)
        scale = 8 if big <= 48 else 4 if big <= 200 else 2
        shape = ((bottom - top) * scale, (right - left) * scale)
        alpha, colour = np.zeros(shape, dtype=np.uint8), np.zeros((*shape, 3), dtype=np.uint8)
        points = np.stack([(x - left) * scale - 0.5, (y - top) * scale - 0.5], axis=1)
        fixed = np.round(points * (1 << _SHIFT)).astype(np.int32)
        shades = self._shades(mesh, world, counts, vessel)
        ends = np.cumsum(counts)
        starts = ends - counts
        order = np.argsort([-float(depth[a:b].mean()) for a, b in zip(starts, ends, strict=True)])
        for i in order:
            polygon = fixed[starts[i] : ends[i]]
            cv2.fillPoly(colour, [polygon], tuple(float(c) for c in shades[i]), cv2.LINE_8, _SHIFT)
            cv2.fillPoly(alpha, [polygon], 255, cv2.LINE_8, _SHIFT)
        return self._finish(alpha, colour, (left, top, scale), vessel)

    def _finish(self, alpha: Picture, colour: Picture, place: tuple[int, int, int], vessel: Vessel) -> Patch | None:
        left, top, scale = place
        pose = self.camera.pose
        whole = float(np.count_nonzero(alpha))
        if whole == 0.0:
            return None
        range_m = math.hypot(vessel.east_m - pose.east_m, vessel.north_m - pose.north_m)
        rows, columns = alpha.shape
        if range_m > self.camera.horizon_m:
            centre = left + (np.arange(columns) + 0.5) / scale
            line = self.camera.horizon_y(centre)
            under = (top + (np.arange(rows) + 0.5) / scale)[:, None] > line[None, :]
            alpha[under] = 0
            colour[under] = 0
        a, b = max(0, -left) * scale, max(0, -top) * scale
        c, d = min(columns, (pose.width_px - left) * scale), min(rows, (pose.height_px - top) * scale)
        if c <= a or d <= b:
            return None
        alpha, colour = alpha[b:d, a:c], colour[b:d, a:c]
        ys, xs = np.flatnonzero(alpha.any(axis=1)), np.flatnonzero(alpha.any(axis=0))
        if ys.size == 0:
            return None
        share = float(np.count_nonzero(alpha)) / whole
        left, top = max(left, 0), max(top, 0)
        box = (left + xs[0] / scale, top + ys[0] / scale, left + (xs[-1] + 1) / scale, top + (ys[-1] + 1) / scale)
        size = (alpha.shape[1] // scale, alpha.shape[0] // scale)
        small_a = cv2.resize(alpha, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255.0
        box = _seen(box, small_a, left, top)
        small_c = cv2.resize(colour, size, interpolation=cv2.INTER_AREA).astype(np.float32)
        if min(size) > 24:  # dirt, rust, planking: no hull is one flat colour
            tile = fractal_tile(512, 1.5, 4, 2.0)
            dirt = np.tile(tile, (size[1] // 512 + 1, size[0] // 512 + 1))[: size[1], : size[0]]
            small_c *= np.clip(1.0 + 0.035 * dirt, 0.8, 1.1)[..., None]
        return Patch(left, top, small_c, small_a, box, share, range_m)

    def _shades(self, mesh: Mesh, world: NDArray[np.float64], counts: list[int], vessel: Vessel) -> Array:
        """(faces, 3) grey levels of the faces: reflectance, light and haze."""
        ends = np.cumsum(counts)
        a, b, c = (world[ends - np.array(counts) + i] for i in range(3))
        normal = np.cross(b - a, c - a)
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
        pose = self.camera.pose
        view = np.array([pose.east_m, pose.north_m, pose.height_m]) - a
        normal *= np.where((normal * view).sum(axis=1) < 0, -1.0, 1.0)[
            :, None
        ]  # plates are lit on the side that is seen
        if self.conditions.light == "thermal":
            heat = np.array(mesh.heat)[:, None]
            linear = np.repeat(self.heat_base + self.heat_gain * (heat - 0.2) + 0.03 * normal[:, 2:3], 3, axis=1)
        else:
            ambient, sun = _LEVEL[self.conditions.light]
            ambient, sun = ambient * self.sky.moon.gain, sun + _MOON_SUN * self.sky.moon.direct
            light = ambient * (0.75 + 0.35 * normal[:, 2]) + sun * np.maximum(normal @ self.sun, 0.0)
            tone = np.array([1.0, 1.0, 1.0])
            if self.conditions.light == "dusk":
                tone = np.array([0.8, 0.9, 1.1])
            linear = (np.array(mesh.colours) / 255.0) ** 2.2 * light[:, None] * tone
        clear = self.haze(math.hypot(vessel.east_m - pose.east_m, vessel.north_m - pose.north_m))
        return encode((linear * clear + self.sky.horizon * (1.0 - clear)).astype(np.float32))


def _seen(
    box: tuple[float, float, float, float], alpha: Array, left: int, top: int
) -> tuple[float, float, float, float]:
    """The box without what is too thin to see: rows and columns (a stay, a far mast) with under a tenth of a pixel."""
    ys, xs = np.flatnonzero(alpha.max(axis=1) > 0.1), np.flatnonzero(alpha.max(axis=0) > 0.1)
    if ys.size == 0 or xs.size == 0:
        return box
    return (
        max(box[0], float(left + xs[0])),
        max(box[1], float(top + ys[0])),
        min(box[2], float(left + xs[-1] + 1)),
        min(box[3], float(top + ys[-1] + 1)),
    )


def blend(canvas: Picture, patch: Patch) -> None:
    """Put a patch over the picture."""
    h, w = patch.alpha.shape
    part = canvas[patch.y0 : patch.y0 + h, patch.x0 : patch.x0 + w]
    part[:] = np.clip(part * (1.0 - patch.alpha[..., None]) + patch.colour + 0.5, 0, 255).astype(np.uint8)
