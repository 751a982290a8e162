"""Land behind and beside the sea: ridges in layers, their shores, towns, towers.

Promises:
- a ridge stands at one range; what is nearer than it covers it, what is farther is covered by it, and its foot is where
  the pinhole puts the sea at that range (or behind the horizon);
- land is a function of the pose and the conditions, painted once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from hardware_sim.render.noise import fractal_line, fractal_tile
from hardware_sim.render.raster import Patch
from hardware_sim.render.sea import HAZE_EXTINCTION
from hardware_sim.render.sky import encode

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hardware_sim.render.geometry import Camera
    from hardware_sim.render.sky import SkyModel
    from hardware_sim.render.types import Conditions

    Array = NDArray[np.floating[Any]]

# linear BGR of hillsides in daylight
SOILS = (
    (0.045, 0.075, 0.05),
    (0.06, 0.10, 0.085),
    (0.10, 0.13, 0.16),
    (0.05, 0.06, 0.05),
    (0.16, 0.20, 0.24),
    (0.03, 0.05, 0.03),
)
LEVEL = {"day": 1.0, "overcast": 0.55, "dusk": 0.22, "night": 0.012, "thermal": 0.0}
_SCALE = 2


@dataclass(frozen=True, slots=True)
class Lamp:
    """A light on shore: place in the picture and strength as in `effects.draw_glow`."""

    x: float
    y: float
    colour: tuple[float, float, float]
    energy: float


@dataclass(frozen=True, slots=True)
class Land:
    """One layer, ready to blend, and its lamps."""

    patch: Patch
    lamps: tuple[Lamp, ...]


def make_land(camera: Camera, conditions: Conditions, sky: SkyModel) -> tuple[Land, ...]:
    """The layers of land in the picture, farthest first."""
    if conditions.land <= 0.0:
        return ()
    rng = np.random.default_rng([conditions.seed, 51])
    layers = []
    first = rng.uniform(-0.15, 1.0 - 0.7 * conditions.land)
    for i in reversed(range(max(conditions.ridge_layers, 1))):
        range_m = conditions.land_range_m * (1.0 + 0.9 * i * rng.uniform(0.7, 1.4))
        span = conditions.land * rng.uniform(0.7, 1.4)
        start = first + rng.normal(0.0, 0.12) - 0.1 * i
        high = conditions.ridge * (260.0 + 0.018 * range_m) * (1.0 + 0.8 * i) * rng.uniform(0.3, 1.1)
        layer = _Layer(camera, conditions, sky, rng, range_m=range_m, high_m=max(high, 4.0))
        made = layer.make(start, start + span, town=conditions.urban if i == 0 else 0.0)
        if made is not None:
            layers.append(made)
    return tuple(layers)


class _Layer:
    def __init__(
        self,
        camera: Camera,
        conditions: Conditions,
        sky: SkyModel,
        rng: np.random.Generator,
        *,
        range_m: float,
        high_m: float,
    ) -> None:
        self.camera, self.conditions, self.sky, self.rng = camera, conditions, sky, rng
        self.range_m, self.high_m = range_m, high_m
        self.clear = math.exp(-HAZE_EXTINCTION * range_m / conditions.visibility_m)
        self.px_per_m = camera.focal_px / range_m

    def make(self, start: float, end: float, town: float) -> Land | None:
        """Land over that share of the picture's width (may reach outside); None if none of it shows."""
        w, h = self.camera.pose.width_px, self.camera.pose.height_px
        a, b = max(0, int(start * w)), min(w, int(end * w))
        if b - a < 4 or self.clear < 0.01:
            return None
        columns = np.arange(a, b, 1.0 / _SCALE) + 0.5 / _SCALE
        base, top = self._profile(columns, start * w, end * w)
        y0, y1 = max(0, math.floor(float(top.min())) - 2), min(h, math.ceil(float(base.max())) + 1)
        if y1 - y0 < 1:
            return None
        y0 = max(0, y0 - int(90 * self.px_per_m * (town > 0)) - 4)
        shape = ((y1 - y0) * _SCALE, len(columns))
        rows = y0 + (np.arange(shape[0]) + 0.5) / _SCALE
        alpha = ((rows[:, None] >= top[None, :]) & (rows[:, None] <= base[None, :])).astype(np.uint8) * 255
        colour = self._hillside(rows, base, shape)
        lamps = self._town(colour, alpha, (a, y0), columns, base, top, town)
        self._towers(colour, alpha, y0, top)
        size = (b - a, y1 - y0)
        small_a = cv2.resize(alpha, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255.0
        colour = colour * (alpha > 0)[..., None]
        small_c = cv2.resize(colour, size, interpolation=cv2.INTER_AREA).astype(np.float32)
        return Land(Patch(a, y0, small_c, small_a, (0, 0, 0, 0), 1.0, self.range_m), tuple(lamps))

    def _profile(self, columns: Array, x0: float, x1: float) -> tuple[Array, Array]:
        """(foot, crest) of the ridge in each column, px down."""
        rng = self.rng
        line = self.camera.horizon_y(columns)
        along, across, _ = self.camera.rays(columns, line)
        offset = np.degrees(np.arctan2(across, along))
        _, foot, _ = self.camera.polar(np.full(columns.shape, self.range_m), offset, np.zeros(columns.shape))
        base = line if self.range_m >= self.camera.horizon_m else foot
        shape = fractal_line(rng, len(columns), float(rng.uniform(1.1, 2.0)))
        ends = min(rng.uniform(0.05, 0.5), 0.5)
        s = (columns - x0) / max(x1 - x0, 1.0)
        taper = np.clip(np.minimum(s, 1.0 - s) / ends, 0.0, 1.0) ** rng.uniform(0.3, 1.5)
        trees = np.clip(fractal_line(rng, len(columns), 0.7), -1.0, 1.5) * rng.uniform(0.3, 3.5)
        high = np.maximum(self.high_m * (0.6 + 0.35 * shape) * taper + trees * np.sqrt(taper), 0.3)
        _, crest, _ = self.camera.polar(np.full(columns.shape, self.range_m), offset, high)
        return base.astype(np.float32), np.minimum(crest, base).astype(np.float32)

    def _linear(self, colour: Array) -> Array:
        """Light through the haze, as grey levels."""
        c = np.asarray(colour, dtype=np.float32)
        if self.conditions.light == "thermal":
            c = np.full_like(c, 0.16) + 0.5 * (c - 0.08)
        else:
            c = c * np.float32(LEVEL[self.conditions.light] * self.sky.moon.gain)
        return encode(c * self.clear + self.sky.horizon * (1.0 - self.clear))

    def _hillside(self, rows: Array, base: Array, shape: tuple[int, int]) -> Array:
        rng = self.rng
        soil = np.array(SOILS[int(rng.integers(len(SOILS)))], dtype=np.float32) * np.float32(np.exp(rng.normal(0, 0.3)))
        tile = fractal_tile(512, float(rng.choice([0.8, 1.1, 1.5])), 6, float(rng.choice([1.0, 2.0])))
        reps = (shape[0] // 512 + 1, shape[1] // 512 + 1)
        texture = np.roll(np.tile(tile, reps), int(rng.integers(512)), axis=1)[: shape[0], : shape[1]]
        level = np.clip(128.0 + 40.0 * texture, 0, 255).astype(np.uint8)
        lit = np.exp(rng.uniform(0.15, 0.6) * (np.arange(256, dtype=np.float32) - 128.0) / 40.0)[:, None]
        colour = np.take(self._linear(soil * lit), level, axis=0)
        if rng.random() < 0.7:  # a beach, rocks or a quay along the foot
            strip = np.array([0.25, 0.30, 0.34], dtype=np.float32) * np.float32(rng.uniform(0.3, 1.3))
            deep = rng.uniform(1.5, 8.0) * self.px_per_m + 0.3
            near = (base[None, :] - rows[:, None]) < deep
            colour[near] = np.take(self._linear(strip * lit**0.3), level[near], axis=0)
        return np.asarray(colour, dtype=np.float32)

    def _town(
        self,
        colour: Array,
        alpha: NDArray[np.uint8],
        corner: tuple[int, int],
        columns: Array,
        base: Array,
        top: Array,
        town: float,
    ) -> list[Lamp]:
        rng, px = self.rng, self.px_per_m * _SCALE
        lamps: list[Lamp] = []
        if town <= 0.0 or px < 0.02:
            return lamps
        count = int(min(town * len(columns) / max(14.0 * px, 3.0) * 2.5, 420))
        night = self.conditions.light in ("night", "dusk")
        for _ in range(count):
            i = int(rng.integers(len(columns)))
            wide, high = rng.uniform(8, 35), rng.uniform(5, 14) if rng.random() < 0.8 else rng.uniform(15, 60)
            up = rng.beta(0.8, 3.0) * max(float(base[i] - top[i]), 0.0)
            foot = (float(base[i]) - up - corner[1]) * _SCALE
            w, h = max(wide * px, 1.0), max(high * px, 1.0)
            wall = np.array([1.0, 0.97, 0.92] if rng.random() < 0.5 else [0.55, 0.75, 0.95]) * rng.uniform(0.12, 0.75)
            left, right, roof, ground = i - int(w / 2), i + int(w / 2), int(foot - h), int(foot)
            shade = self._linear(wall.astype(np.float32))
            cv2.rectangle(colour, (left, roof), (right, ground), [float(c) for c in shade], -1)
            cv2.rectangle(alpha, (left, roof), (right, ground), 255, -1)
            if rng.random() < 0.5 and h > 5:
                tiles = self._linear(np.array([0.08, 0.12, 0.3], dtype=np.float32) * np.float32(rng.uniform(0.4, 1.2)))
                cv2.rectangle(colour, (left, roof), (right, roof + max(int(h / 4), 1)), [float(c) for c in tiles], -1)
            if h > 9:
                self._panes(colour, (left, right, roof, ground), px, night)
            if night and rng.random() < 0.5:
                tone = ((0.45, 0.8, 1.0), (0.85, 0.95, 1.0), (0.2, 0.6, 1.0))[int(rng.integers(3))]
                energy = float(rng.lognormal(5.3, 1.0)) * self.clear * (0.3 if self.conditions.light == "dusk" else 1.0)
                lamps.append(Lamp(corner[0] + i / _SCALE, corner[1] + (foot - 0.6 * h) / _SCALE, tone, energy))
        return lamps

    def _panes(self, colour: Array, place: tuple[int, int, int, int], px: float, night: bool) -> None:
        left, right, roof, ground = place
        pitch = max(int(3.2 * px), 3)
        dark = [float(c) for c in self._linear(np.array([0.06, 0.05, 0.05], dtype=np.float32))]
        lit = [float(c) for c in encode(np.array([0.25, 0.5, 0.75], dtype=np.float32) * np.float32(self.clear))]
        for y in range(roof + pitch // 2, ground - pitch // 2, pitch):
            for x in range(left + pitch // 3, right - pitch // 2, pitch):
                pane = lit if night and self.rng.random() < 0.3 else dark
                cv2.rectangle(colour, (x, y), (x + pitch // 2, y + pitch // 2), pane, -1)

    def _towers(self, colour: Array, alpha: NDArray[np.uint8], y0: int, top: Array) -> None:
        """Masts, lighthouses, chimneys, cranes, wind turbines on the crest."""
        rng, px = self.rng, self.px_per_m * _SCALE
        for _ in range(int(rng.integers(0, 5))):
            i = int(rng.integers(len(top)))
            foot, high = int((top[i] - y0) * _SCALE) + 2, int(rng.uniform(15, 90) * px)
            if high < 2:
                continue
            shade = [float(c) for c in self._linear(np.full(3, rng.choice([0.04, 0.3, 0.6]), dtype=np.float32))]
            wide = max(int(rng.uniform(0.8, 5.0) * px), 1)
            for image, tone in ((colour, shade), (alpha, 255)):
                cv2.line(image, (i, foot), (i, foot - high), tone, wide)
            kind = rng.random()
            angle = rng.uniform(0, 2 * math.pi)
            arms = [angle + k * 2.1 for k in range(3)] if kind < 0.3 else [math.pi, 0.2] if kind < 0.5 else []
            for arm in arms:
                end = (int(i + 0.6 * high * math.cos(arm)), int(foot - high - 0.6 * high * math.sin(arm)))
                for image, tone in ((colour, shade), (alpha, 255)):
                    cv2.line(image, (i, foot - high), end, tone, max(wide // 2, 1))
