"""A coast of known shape: the ground of a map, seen from the camera.

Promises:
- where land shows, how far it is and what it hides follow from the ground's height along the ray of each column over
  the round earth: a hill hides what is lower behind it, a headland the boat in its lee;
- each of its pixels knows its range, so that a vessel is cut by the land in front of it and by no other;
- painted once; a picture costs a copy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from hardware_sim.render.land import LEVEL, SOILS
from hardware_sim.render.noise import fractal_tile
from hardware_sim.render.sea import HAZE_EXTINCTION
from hardware_sim.render.sky import encode, sample

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from hardware_sim.render.geometry import Camera
    from hardware_sim.render.raster import Patch
    from hardware_sim.render.sky import SkyModel
    from hardware_sim.render.types import Conditions

    Array = NDArray[np.floating[Any]]
    Whole = NDArray[np.integer[Any]]
    Picture = NDArray[np.uint8]

_FINE = 4
"""Rows looked at in a pixel: crests are nearly level, so they are smoothed downwards only."""
_RANGES = 400
_SAND = (0.25, 0.30, 0.34)
_TEXTURE_M = 900.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """Height of the land in metres at points east and north of the site, 0 at sea; all of it is between the ranges."""

    height_m: Callable[[Array, Array], Array]
    near_m: float
    far_m: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rays:
    """The ground along the ray of every column: (columns, ranges). `row_px`: where its surface shows."""

    range_m: Array
    height_m: Array
    row_px: Array
    east_m: Array
    north_m: Array


class Coast:
    """A strip of the picture with land in it, from row `top` on; `range_m` of its pixels is inf where none is."""

    def __init__(self, top: int, colour: Picture, alpha: Array, range_m: Array) -> None:
        self.top, self.range_m, self._alpha = top, range_m, alpha
        self._colour = colour
        self._solid = np.where(alpha >= 1.0, 255, 0).astype(np.uint8)
        self._edge = np.nonzero((alpha > 0.0) & (alpha < 1.0))
        self._edge_alpha = alpha[self._edge][:, None].astype(np.float32)

    def paint(self, canvas: Picture) -> None:
        """Draw it over the sea."""
        part = canvas[self.top : self.top + len(self._solid)]
        edge = part[self._edge] * (1.0 - self._edge_alpha) + self._colour[self._edge] * self._edge_alpha
        cv2.copyTo(self._colour, self._solid, part)
        part[self._edge] = (edge + 0.5).astype(np.uint8)

    def cover(self, patch: Patch) -> Array | None:
        """The share of each of a patch's pixels that this land hides, standing before it; None where none does."""
        h, w = patch.alpha.shape
        rows = slice(max(patch.y0 - self.top, 0), max(patch.y0 + h - self.top, 0))
        near = self.range_m[rows, patch.x0 : patch.x0 + w] < patch.range_m
        if not near.any():
            return None
        out = np.zeros((h, w), dtype=np.float32)
        y = rows.start - (patch.y0 - self.top)
        out[y : y + near.shape[0]] = np.where(near, self._alpha[rows, patch.x0 : patch.x0 + w], 0.0)
        return out

    def before(self, x_px: float, y_px: float, range_m: float) -> bool:
        """Whether land stands before that point of the picture at that range."""
        row, column = int(y_px) - self.top, int(x_px)
        inside = 0 <= row < self.range_m.shape[0] and 0 <= column < self.range_m.shape[1]
        return inside and bool(self.range_m[row, column] < range_m)


def make_coast(camera: Camera, conditions: Conditions, sky: SkyModel, ground: Ground) -> Coast | None:
    """The ground as this camera sees it; None if it sees none of it."""
    pose = camera.pose
    rays = _march(camera, ground)
    upper = np.minimum.accumulate(rays.row_px, axis=1)  # rows above it show something farther
    shows = (rays.height_m > 0.0) & (rays.row_px <= upper)
    if not shows.any():
        return None
    foot = np.concatenate((np.full((len(upper), 1), float(pose.height_px)), upper[:, :-1]), axis=1)[shows]
    top = int(np.clip(np.floor(upper[shows].min()) - 1, 0, pose.height_px))
    bottom = int(np.clip(np.ceil(foot.max()) + 1, 0, pose.height_px))
    if bottom - top < 1:
        return None
    rows = top + (np.arange((bottom - top) * _FINE) + 0.5) / _FINE
    at = np.stack([np.searchsorted(-column, -rows) for column in upper], axis=1)  # the first sample at or above the row
    columns = np.broadcast_to(np.arange(at.shape[1]), at.shape)
    seen = at < _RANGES
    at = np.minimum(at, _RANGES - 1)
    land = seen & (rays.height_m[columns, at] > 0.0)
    if not land.any():
        return None
    colour = np.where(land[..., None], _colours(conditions, sky, rays, columns, at), 0.0).astype(np.float32)
    size = (pose.width_px, bottom - top)
    alpha = cv2.resize(land.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    mean = cv2.resize(colour, size, interpolation=cv2.INTER_AREA) / np.maximum(alpha, 1e-6)[..., None]
    far = np.where(land, rays.range_m[at], np.inf)
    nearest = far.reshape(size[1], _FINE, size[0]).min(axis=1)
    return Coast(
        top,
        np.clip(mean + 0.5, 0, 255).astype(np.uint8),
        np.asarray(alpha, dtype=np.float32),
        nearest.astype(np.float32),
    )


def _march(camera: Camera, ground: Ground) -> _Rays:
    """Heights at ranges in equal ratios."""
    pose = camera.pose
    x = np.arange(pose.width_px) + 0.5
    along, across, _ = camera.rays(x, camera.horizon_y(x))
    offset = np.degrees(np.arctan2(across, along))[:, None]
    range_m = np.geomspace(ground.near_m, ground.far_m, _RANGES)
    bearing = np.radians(pose.bearing_deg + offset)
    east, north = pose.east_m + range_m * np.sin(bearing), pose.north_m + range_m * np.cos(bearing)
    height = ground.height_m(east, north)
    _, row, depth = camera.project(east, north, height)
    row = np.where(depth > 0.0, row, np.inf)
    return _Rays(range_m=range_m, height_m=height, row_px=row, east_m=east, north_m=north)


def _colours(conditions: Conditions, sky: SkyModel, rays: _Rays, columns: Whole, at: Whole) -> Array:
    """Grey levels of the ground at those samples: soil, sand, the lie of the slope, haze."""
    rng = np.random.default_rng([conditions.seed, 53])
    soil = np.array(SOILS[int(rng.integers(len(SOILS)))], dtype=np.float32)
    tile = fractal_tile(512, 1.1, 6, 1.0)
    u, v = rays.east_m[columns, at] / _TEXTURE_M, rays.north_m[columns, at] / _TEXTURE_M
    texture = np.exp(0.35 * sample(tile, u, v))
    shore = rays.height_m[columns, np.maximum(at - 1, 0)] <= 0.0
    tilt = np.gradient(rays.height_m, axis=1) / np.gradient(rays.range_m)
    facing = np.clip(0.8 + 0.8 * tilt[columns, at], 0.4, 1.3)  # what rises away from the camera takes the sky's light
    ground = np.where(shore[..., None], np.array(_SAND, dtype=np.float32), soil)
    linear = ground * (texture * facing)[..., None]
    if conditions.light == "thermal":
        linear = 0.16 + 0.5 * (linear - 0.08)
    else:
        linear = linear * np.float32(LEVEL[conditions.light] * sky.moon.gain)
    clear = np.exp(-HAZE_EXTINCTION * rays.range_m[at] / conditions.visibility_m)[..., None]
    return encode(linear * clear + sky.horizon * (1.0 - clear))
