"""The sea in the picture: wave slopes looked up in a table of what a facet sees.

Promises:
- a facet reflects the sky model with Fresnel's share and shows the water's own colour with the rest; slopes too fine
  to draw are integrated into the table, weighted by how much of each facet faces the camera;
- the work per frame is a few table lookups per pixel; everything else is done once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from hardware_sim.render.geometry import CURVATURE_PER_M
from hardware_sim.render.noise import fractal_tile
from hardware_sim.render.sky import encode
from hardware_sim.render.waves import Cascade, Foam, mean_square_slope

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hardware_sim.render.geometry import Camera, SeaField
    from hardware_sim.render.sky import SkyModel
    from hardware_sim.render.types import Conditions

    Array = NDArray[np.floating[Any]]
    Picture = NDArray[np.uint8]

HAZE_EXTINCTION = 3.912
"""Koschmieder: contrast falls to 2 % at the visibility."""
_TABLE_ROWS = 112
_TABLE_COLS = 72
_BAND_RATIO = 1.42
_STEEPEN = 1.25
"""Real crests are sharper than a Gaussian sea's: the drawn slopes are steepened by this."""

# tints of the shine and of the glitter: high sun, moon, and the low sun's
_SHINE, _LOW_SHINE = {"day": (0.8, 0.95, 1.05), "night": (0.9, 0.97, 1.0)}, (0.4, 0.75, 1.2)
_GLITTER, _LOW_GLITTER = {"day": (0.9, 0.97, 1.0), "night": (0.9, 0.97, 1.0)}, (0.45, 0.78, 1.0)

# linear BGR of the light that comes out of the water, times the sky's level; one is drawn by the seed
_WATERS: tuple[tuple[float, float, float], ...] = (
    (0.100, 0.055, 0.014),
    (0.085, 0.080, 0.022),
    (0.060, 0.070, 0.040),
    (0.050, 0.060, 0.050),
    (0.110, 0.100, 0.030),
    (0.040, 0.040, 0.030),
)


def foam_colour(conditions: Conditions, sky: SkyModel) -> Array:
    """Linear BGR of foam under this sky."""
    level = {"day": 0.72, "overcast": 0.5, "dusk": 0.22, "night": 0.012, "thermal": 0.22}[conditions.light]
    level *= sky.moon.gain
    return np.asarray(level * (0.4 + 0.6 * sky.horizon / sky.horizon.max()), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class _Band:
    """Pixels of one range of footprints, and where they fall in each cascade's tile."""

    rows: slice
    mask: NDArray[np.bool_] | None
    along_m: float
    across_m: float
    forward: Array
    right: Array
    maps: dict[tuple[float, int, int], tuple[Array, Array]]


class SeaModel:
    """The sea of one pose and one set of conditions, at any time."""

    def __init__(self, camera: Camera, conditions: Conditions, sky: SkyModel, field: SeaField) -> None:
        self.camera, self.conditions, self.sky = camera, conditions, sky
        self.field = field
        self.rng = np.random.default_rng([conditions.seed, 21])
        self.water = self._water()
        self.foam_linear = foam_colour(conditions, sky)
        self.near_m = max(float(self.field.range_m.min()), 1.0)
        self.far_m = max(float(min(camera.horizon_m, float(self.field.forward_m.max()) * 1.2)), 2.0 * self.near_m)
        wind_to = math.radians(conditions.wind_from_deg + 180.0 - camera.pose.bearing_deg)
        self.cascades = self._cascades(wind_to)
        self.foam = Foam(wind_mps=conditions.wind_mps, wind_to_rad=wind_to, rng=self.rng)
        self.bands = self._bands(self.field)
        r = np.minimum(self.field.range_m, self.far_m)
        log = np.log(np.maximum(r, self.near_m) / self.near_m) / math.log(self.far_m / self.near_m)
        self.table_row = (log * (_TABLE_ROWS - 1)).astype(np.float32)
        self.slope_top = 4.0 * math.sqrt(mean_square_slope(conditions.wind_mps)) + 0.05
        self.gust = self._gusts(log.astype(np.float32))
        self.table, self.fresnel_row = self._table()
        self.add = self._broad_glow(r)
        self.glint = self._glint_slopes(r)
        self.edge = self._horizon_alpha()

    def _water(self) -> Array:
        c = self.conditions
        level = {"day": 1.0, "overcast": 0.62, "dusk": 0.25, "night": 0.012, "thermal": 0.0}[c.light]
        level *= self.sky.moon.gain
        if c.light == "thermal":
            return np.full(3, 0.26, dtype=np.float32)
        if c.water_bgr is not None:
            base = (np.array(c.water_bgr, dtype=np.float32) / 255.0) ** 2.2
        else:
            base = np.array(_WATERS[int(self.rng.integers(len(_WATERS)))], dtype=np.float32)
            base *= np.float32(np.exp(self.rng.normal(0.0, 0.25)))
        return np.asarray(base * level, dtype=np.float32)

    def _cascades(self, wind_to: float) -> list[Cascade]:
        c = self.conditions
        finest = 2.0 * math.pi * self.camera.pose.focal_px / (2.0 * self.near_m)  # two pixels a wave, at the nearest
        shapes = [(410.0, 0.30, 256, (0.0, 1.0)), (47.0, -0.37, 256, (1.0, 9.0)), (6.3, 0.33, 128, (9.0, 60.0))]
        return [
            Cascade(
                size_m=size,
                skew=skew,
                count=n,
                k_band=band,
                wind_mps=c.wind_mps,
                wind_to_rad=wind_to,
                swell_m=c.swell_m,
                rng=self.rng,
            )
            for size, skew, n, band in shapes
            if band[0] < finest
        ]

    def _bands(self, field: SeaField) -> list[_Band]:
        pose = self.camera.pose
        edges = [self.near_m * 0.999]
        while edges[-1] < self.far_m:
            edges.append(edges[-1] * _BAND_RATIO)
        edges[-1] = math.inf
        bands = []
        for lo, hi in pairwise(edges):
            inside = (field.range_m >= lo) & (field.range_m < hi)
            if hi == math.inf:
                inside |= np.isinf(field.range_m)
            rows = np.flatnonzero(inside.any(axis=1))
            if rows.size == 0:
                continue
            cut = slice(int(rows[0]), int(rows[-1]) + 1)
            part = inside[cut]
            r = min(math.sqrt(lo * min(hi, lo * _BAND_RATIO**2)), self.far_m)
            level = max(1.0 - (r / self.camera.horizon_m) ** 2, 0.05)
            bands.append(
                _Band(
                    rows=cut,
                    mask=None if part.all() else part,
                    along_m=r * r / (pose.height_m * pose.focal_px) / level,
                    across_m=r / pose.focal_px * field.step,
                    forward=field.forward_m[cut],
                    right=field.right_m[cut],
                    maps={},
                )
            )
        return bands

    def _gusts(self, log: Array) -> Array:
        """Gain of the drawn slopes: cat's paws, slicks and current edges, lying across the view."""
        tile = fractal_tile(512, 1.2, 7, 3.0)
        shape = log.shape
        log = np.ascontiguousarray(log[:, ::4])
        azimuth = self.field.right_m[:, ::4] / np.maximum(self.field.forward_m[:, ::4], 1.0)
        span = max(math.radians(self.camera.pose.hfov_deg), 0.05)
        u = np.mod(azimuth / (1.7 * span) + self.rng.random(), 1.0) * 512
        v = np.mod(log * self.rng.uniform(0.4, 1.2) + self.rng.random(), 1.0) * 512
        noise = cv2.remap(
            tile, u.astype(np.float32), v.astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP
        )
        depth = float(np.clip(0.6 - 0.04 * self.conditions.wind_mps, 0.12, 0.5)) * self.rng.uniform(0.4, 1.2)
        return np.asarray(cv2.resize(np.exp(depth * noise), (shape[1], shape[0])), dtype=np.float32)

    def _ranges(self) -> NDArray[np.float64]:
        return self.near_m * (self.far_m / self.near_m) ** np.linspace(0.0, 1.0, _TABLE_ROWS)

    def _roughness(self, ranges: NDArray[np.float64]) -> NDArray[np.float64]:
        """Deviation of the slopes that are too fine to draw, by range."""
        pose = self.camera.pose
        known = []
        for band in self.bands:
            kept = sum(c.resolved(band.along_m, band.across_m) for c in self.cascades)
            known.append((math.sqrt(band.along_m * pose.height_m * pose.focal_px), kept))
        known.sort()
        kept_at = np.interp(ranges, [r for r, _ in known], [k for _, k in known])
        total = mean_square_slope(self.conditions.wind_mps)
        return np.sqrt(np.maximum(total - kept_at, 0.15 * total))

    def _table(self) -> tuple[Picture, Array]:
        """What is seen at (range, slope along the view): (rows, columns, 3) uint8; mean Fresnel share by row."""
        ranges = self._ranges()
        sigma = self._roughness(ranges)[:, None, None]
        # the surface itself falls away: the grazing angle on the round earth
        grazing = np.maximum(self.camera.pose.height_m / ranges - CURVATURE_PER_M * ranges, 1e-5)
        sin_e = np.sin(np.arctan(grazing))[:, None, None]
        cos_e = np.cos(np.arctan(grazing))[:, None, None]
        drawn = np.linspace(-self.slope_top, self.slope_top, _TABLE_COLS)[None, :, None]
        x = np.linspace(-2.2, 2.2, 7)
        weights = np.exp(-0.5 * x**2)[None, None, :]
        slope = drawn + sigma * x[None, None, :]
        norm = 1.0 / np.sqrt(1.0 + slope**2)
        facing = (-slope * -cos_e + sin_e) * norm  # facets that rise away from the camera face it
        # a facet seen edge-on still shows the wave behind it: a soft floor, not a hole
        facing = 0.5 * (facing + np.sqrt(facing**2 + (0.25 * sigma) ** 2 + 1e-4))
        share = weights * facing
        fresnel = 0.02 + 0.98 * (1.0 - np.clip(facing, 0.0, 1.0)) ** 5
        up = np.clip(2.0 * facing * norm - sin_e, 0.0, 0.999)
        sky = self.sky.colour((up / np.sqrt(1.0 - up**2)).astype(np.float32))
        seen = fresnel[..., None] * sky + (1.0 - fresnel[..., None]) * self.water
        mean = (seen * share[..., None]).sum(axis=2) / share.sum(axis=2)[..., None]
        clear = np.exp(-HAZE_EXTINCTION * ranges / self.conditions.visibility_m)[:, None, None]
        mean = mean * clear + self.sky.horizon * (1.0 - clear)
        row = (fresnel * share).sum(axis=(1, 2)) / share.sum(axis=(1, 2))
        return np.clip(encode(mean.astype(np.float32)) + 0.5, 0, 255).astype(np.uint8), row.astype(np.float32)

    def _broad_glow(self, r: Array) -> Picture | None:
        """The wide shine of the sun's (or moon's) half of the sky on the water, added to the picture."""
        if self.sky.sun_gain <= 0.0:
            return None
        az = np.arctan2(self.field.right_m[-1], self.field.forward_m[-1])[None, :]
        glow = np.minimum(self.sky.glow(np.full_like(az, 0.15), az, self.camera.pose.bearing_deg), 0.6)
        if float(glow.max()) < 0.02:
            return None
        clear = np.exp(-HAZE_EXTINCTION * r / self.conditions.visibility_m)
        rows = np.interp(self.table_row, np.arange(_TABLE_ROWS), self.fresnel_row)
        added = 120.0 * glow * rows * clear
        warm = np.array(_SHINE.get(self.conditions.light, _LOW_SHINE), dtype=np.float32)
        return np.asarray(np.clip(added[..., None] * warm, 0, 255), dtype=np.uint8)

    def _glint_slopes(self, r: Array) -> tuple[slice, Array, Array, Array] | None:
        """(columns, slope along, slope across, roughness) that throw sun or moon at the camera; None without any."""
        c = self.conditions
        bearing_deg, elevation_deg = self.sky.lamp_deg
        off = math.radians((bearing_deg - self.camera.pose.bearing_deg + 180.0) % 360.0 - 180.0)
        if self.sky.glint_gain <= 0.0 or abs(off) > 1.4:
            return None
        sun = math.radians(max(elevation_deg, 0.5))
        e = np.arctan(self.camera.pose.height_m / r)
        az = np.arctan2(self.field.right_m, self.field.forward_m)
        hx = math.cos(sun) * math.cos(off) - np.cos(e) * np.cos(az)
        hy = math.cos(sun) * math.sin(off) - np.cos(e) * np.sin(az)
        hz = math.sin(sun) + np.sin(e)
        along, across = (-hx / hz).astype(np.float32), (-hy / hz).astype(np.float32)
        reach = 3.2 * math.sqrt(mean_square_slope(c.wind_mps)) + 0.02
        columns = np.flatnonzero((np.hypot(along, across) < reach).any(axis=0))
        if columns.size == 0:
            return None
        cut = slice(int(columns[0]), int(columns[-1]) + 1)
        rough = np.interp(self.table_row[:, cut], np.arange(_TABLE_ROWS), self._roughness(self._ranges()))
        return cut, along[:, cut], across[:, cut], rough.astype(np.float32)

    def _horizon_alpha(self) -> tuple[int, Array]:
        """(rows, alpha): the sea's cover of the first rows, which the horizon cuts; (rows, width, 1)."""
        pose = self.camera.pose
        y = self.camera.horizon_y(np.arange(pose.width_px) + 0.5)
        rows = int(np.clip(math.ceil(float(y.max())) + 2 - self.field.top, 1, pose.height_px - self.field.top))
        centre = np.arange(self.field.top, self.field.top + rows)[:, None] + 0.5
        return rows, np.clip(centre - y[None, :] + 0.5, 0.0, 1.0).astype(np.float32)[..., None]

    def slopes(self, t_s: float) -> tuple[Array, Array, Array]:
        """(slope along, slope across, foam cover) at every sea pixel of the grid."""
        shape = self.field.range_m.shape
        along, across, foam = (np.zeros(shape, dtype=np.float32) for _ in range(3))
        packed = [c.spectrum(t_s) for c in self.cascades]
        need_across = self.glint is not None
        foam_tile = self.foam.tile(t_s) if self.foam.coverage > 1e-4 else None
        for band in self.bands:
            size = band.forward.shape
            part_a, part_x = np.zeros(size, dtype=np.float32), np.zeros(size, dtype=np.float32)
            for cascade, spectrum in zip(self.cascades, packed, strict=True):
                tiles = cascade.filtered(spectrum, band.along_m, band.across_m)
                if tiles is None:
                    continue
                part_a += _look(tiles[0], band, cascade.size_m, cascade.skew)
                if need_across:
                    part_x += _look(tiles[1], band, cascade.size_m, cascade.skew)
            _put(along, band, part_a)
            if need_across:
                _put(across, band, part_x)
            if foam_tile is not None:
                _put(foam, band, _look(_blurred(foam_tile, band), band, Foam.SIZE_M, Foam.SKEW))
        return along, across, foam

    def paint(self, canvas: Picture, t_s: float) -> None:
        """Draw the sea over a picture that already holds the sky."""
        along, across, foam = self.slopes(t_s)
        along *= _STEEPEN * self.gust
        column = (along + self.slope_top) * ((_TABLE_COLS - 1) / (2.0 * self.slope_top))
        looked = cv2.remap(self.table, column, self.table_row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        sea = np.asarray(looked if self.add is None else cv2.add(looked, self.add), dtype=np.uint8)
        self._paint_foam(sea, foam)
        self._paint_glint(sea, along, across, t_s)
        if self.field.step > 1:
            size = (self.camera.pose.width_px, sea.shape[0])
            sea = np.asarray(cv2.resize(sea, size, interpolation=cv2.INTER_LINEAR), dtype=np.uint8)
        rows, alpha = self.edge
        top = self.field.top
        strip = canvas[top : top + rows]
        strip[:] = (strip * (1.0 - alpha) + sea[:rows] * alpha + 0.5).astype(np.uint8)
        canvas[top + rows :] = sea[rows:]

    def _paint_foam(self, sea: Picture, foam: Array) -> None:
        where = foam > 0.02
        if not where.any():
            return
        ranges = self._ranges()[np.clip(self.table_row[where], 0, _TABLE_ROWS - 1).astype(np.intp)]
        clear = np.exp(-HAZE_EXTINCTION * ranges / self.conditions.visibility_m)[:, None].astype(np.float32)
        white = encode(self.foam_linear * clear + self.sky.horizon * (1.0 - clear))
        alpha = 0.85 * foam[where][:, None]
        sea[where] = (sea[where] * (1.0 - alpha) + white * alpha).astype(np.uint8)

    def _paint_glint(self, sea: Picture, along: Array, across: Array, t_s: float) -> None:
        if self.glint is None:
            return
        cut, want_a, want_x, rough = self.glint
        sigma2 = rough**2 + 0.0004
        d2 = ((along[:, cut] - want_a) ** 2 + (across[:, cut] - want_x) ** 2) / sigma2
        strength = np.exp(-0.5 * np.minimum(d2, 40.0)) * 0.004 / sigma2
        rng = np.random.default_rng([self.conditions.seed, 22, int(t_s * 1000.0) & 0x7FFFFFFF])
        sparkle = rng.standard_exponential(strength.shape, dtype=np.float32) ** 2
        clear = np.exp(-HAZE_EXTINCTION * self._ranges() / self.conditions.visibility_m)
        fade = np.interp(self.table_row[:, cut], np.arange(_TABLE_ROWS), clear)
        light = 150.0 * self.sky.glint_gain * np.minimum(strength * sparkle * fade, 4.0)
        colour = np.array(_GLITTER.get(self.conditions.light, _LOW_GLITTER), dtype=np.float32)
        part = sea[:, cut]
        part[:] = np.clip(part + light[..., None] * colour, 0, 255).astype(np.uint8)


def _look(tile: Array, band: _Band, size_m: float, skew: float) -> Array:
    n_u, n_v = tile.shape
    maps = band.maps.get((size_m, n_u, n_v))
    if maps is None:
        # cv2 wants (x, y) = (column, row) = (across, along), inside its 16-bit range
        sway = np.float32(skew * size_m) * np.sin(band.forward * np.float32(0.83 / size_m))
        maps = (_wrap(band.right + sway, size_m, n_v), _wrap(band.forward, size_m, n_u))
        band.maps[size_m, n_u, n_v] = maps
    return np.asarray(cv2.remap(tile, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP), dtype=np.float32)


def _wrap(metres: Array, size_m: float, count: int) -> Array:
    """Tile coordinates of metres: the fraction of a period times its samples (np.mod is several times slower)."""
    periods = metres * np.float32(1.0 / size_m)
    periods -= np.floor(periods)
    periods *= np.float32(count)
    return periods


def _put(target: Array, band: _Band, value: Array) -> None:
    if band.mask is None:
        target[band.rows] = value
    else:
        np.copyto(target[band.rows], value, where=band.mask)


def _blurred(tile: Array, band: _Band) -> Array:
    """Foam averaged over the band's footprint."""
    cell = Foam.SIZE_M / tile.shape[0]
    n_u = int(min(band.along_m / cell, tile.shape[0] - 1)) | 1
    n_v = int(min(band.across_m / cell, tile.shape[1] - 1)) | 1
    if n_u == 1 and n_v == 1:
        return tile
    pad_u, pad_v = n_u // 2, n_v // 2
    wide = np.pad(tile, ((pad_u, pad_u), (pad_v, pad_v)), mode="wrap")
    out = cv2.blur(wide, (n_v, n_u))
    return np.asarray(out[pad_u : pad_u + tile.shape[0], pad_v : pad_v + tile.shape[1]], dtype=np.float32)
