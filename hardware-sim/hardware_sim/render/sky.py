"""The sky: gradient, glow of the sun or the moon, cloud layers. Colours are linear BGR until `encode`.

Promises:
- a sky is a function of the pose and the conditions; it does not move;
- `SkyModel.colour` is what the sea reflects, so sea and sky agree.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from hardware_sim.render.moon import moonlight
from hardware_sim.render.noise import fractal_tile

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hardware_sim.render.geometry import Camera
    from hardware_sim.render.types import Conditions

    Array = NDArray[np.floating[Any]]

# zenith, horizon, below-horizon haze; linear BGR
_PALETTE: dict[str, tuple[tuple[float, float, float], tuple[float, float, float]]] = {
    "day": ((0.52, 0.25, 0.10), (0.78, 0.68, 0.58)),
    "overcast": ((0.40, 0.37, 0.35), (0.58, 0.56, 0.54)),
    "dusk": ((0.16, 0.085, 0.06), (0.24, 0.25, 0.36)),
    "night": ((0.008, 0.0065, 0.0055), (0.022, 0.018, 0.018)),
    "thermal": ((0.012, 0.012, 0.012), (0.13, 0.13, 0.13)),
}


# tint of the glow around sun or moon
_WARM = {"day": (0.75, 0.9, 1.1), "night": (0.9, 0.97, 1.0)}
_LOW_SUN = (0.35, 0.7, 1.2)
_GLINT_FROM = 0.3
"""Sun behind cloud glows and does not glitter."""
_MOON_GLOW, _MOON_GLINT = 0.04, 0.6


def encode(linear: Array) -> Array:
    """Linear light to grey levels 0..255, with the shoulder of a camera's tone curve (1.0 gives about 240)."""
    x = np.clip(linear, 0.0, 4.0)
    x = np.where(x < 0.7, x, 0.7 + 0.35 * (1.0 - np.exp((0.7 - x) / 0.35)))
    return np.asarray(255.0 * np.minimum(x, 1.0) ** (1.0 / 2.2), dtype=np.float32)


class SkyModel:
    """The sky of one set of conditions."""

    def __init__(self, conditions: Conditions) -> None:
        self.conditions = conditions
        rng = np.random.default_rng([conditions.seed, 11])
        zenith, horizon = (np.array(c, dtype=np.float32) for c in _PALETTE[conditions.light])
        tint = np.exp(rng.normal(0.0, 0.05, 3)).astype(np.float32)
        tint *= np.exp(np.float32(conditions.haze_tint) * np.array([-0.18, 0.0, 0.16], dtype=np.float32))
        level = np.float32(np.exp(rng.normal(0.0, 0.8 if conditions.light == "night" else 0.18)))
        if conditions.light == "thermal":
            tint[:] = 1.0
        murk = float(np.clip(8_000.0 / max(conditions.visibility_m, 200.0), 0.0, 1.0))
        grey = np.float32(horizon.mean())
        self.moon = moonlight(conditions)
        self.horizon = (horizon * (1 - 0.6 * murk) + grey * 0.6 * murk) * tint * level * self.moon.gain
        self.zenith = (zenith * (1 - 0.7 * murk) + horizon * 0.7 * murk) * tint * level * self.moon.gain
        self.fall_deg = float(rng.uniform(6.0, 18.0))
        self.cloud_light, self.cloud_dark = self._cloud_colours(rng)
        self.sun_gain, self.glint_gain = self._sun_gain()
        c = conditions
        self.lamp_deg = (c.sun_bearing_deg, c.sun_elevation_deg)
        """(bearing, elevation) of what shines: the sun, or at night the moon."""
        if self.moon.direct > 0.0:
            self.lamp_deg = (c.moon_bearing_deg, c.moon_elevation_deg)

    def _cloud_colours(self, rng: np.random.Generator) -> tuple[Array, Array]:
        light = self.conditions.light
        if light == "day":
            top, base = np.array([0.92, 0.92, 0.92]), np.array([0.46, 0.43, 0.40])
        elif light == "overcast":
            top, base = self.horizon * rng.uniform(1.05, 1.35), self.horizon * rng.uniform(0.45, 0.8)
        elif light == "dusk":
            top, base = np.array([0.20, 0.27, 0.50]), np.array([0.10, 0.085, 0.10])
        elif light == "night":
            top, base = self.horizon * 1.6, self.horizon * 0.7
        else:
            top, base = self.horizon * 0.9, self.horizon * 0.5
        return top.astype(np.float32), base.astype(np.float32)

    def _sun_gain(self) -> tuple[float, float]:
        """Strength of the glow in the sky, and of the glitter on the sea."""
        if self.moon.direct > 0.0:
            return _MOON_GLOW * self.moon.direct, _MOON_GLINT * self.moon.direct
        sun = {"day": 1.0, "dusk": 0.6, "overcast": 0.12, "night": 0.0, "thermal": 0.0}[self.conditions.light]
        return sun, sun if sun >= _GLINT_FROM else 0.0

    def colour(self, tan_elevation: Array) -> Array:
        """(..., 3) linear BGR of the clear sky at tangents of elevation, any shape; clouds mixed in on average."""
        up = np.degrees(np.arctan(np.maximum(tan_elevation, 0.0))).astype(np.float32)
        mix = (1.0 - np.exp(-up / self.fall_deg))[..., None]
        base = self.horizon + (self.zenith - self.horizon) * mix
        share = 0.45 * self.conditions.clouds
        return np.asarray(base * (1 - share) + (self.cloud_light + self.cloud_dark) * 0.5 * share, dtype=np.float32)

    def glow(self, tan_elevation: Array, offset_rad: Array, bearing_deg: float) -> Array:
        """Added linear light around the sun or the moon, same shape as the angles."""
        c = self.conditions
        if self.sun_gain <= 0.0:
            return np.zeros(np.broadcast(tan_elevation, offset_rad).shape, dtype=np.float32)
        el = np.arctan(tan_elevation)
        az = offset_rad - math.radians((self.lamp_deg[0] - bearing_deg + 180.0) % 360.0 - 180.0)
        sun = math.radians(self.lamp_deg[1])
        cosine = np.sin(el) * math.sin(sun) + np.cos(el) * math.cos(sun) * np.cos(az)
        away = np.arccos(np.clip(cosine, -1.0, 1.0)).astype(np.float32)
        wide = 0.35 if c.light == "day" else 0.5
        disc = 60.0 if c.light != "overcast" else 0.0
        glow = 0.55 * np.exp(-away / wide) + 1.6 * np.exp(-away / 0.06) + disc * np.exp(-((away / 0.006) ** 2))
        return np.asarray(self.sun_gain * glow, dtype=np.float32)

    def image(self, camera: Camera) -> NDArray[np.uint8]:
        """(rows to just below the horizon, width, 3) uint8, the sky behind everything; at least 2 rows."""
        pose = camera.pose
        edge = camera.horizon_y(np.linspace(0.0, pose.width_px, 17))
        bottom = int(np.clip(math.ceil(float(edge.max())) + 4, 2, pose.height_px))
        step = 2
        tan_el, az = camera.elevation_field(step, 0, bottom)
        up = np.degrees(np.arctan(np.maximum(tan_el, 0.0)))
        mix = (1.0 - np.exp(-up / self.fall_deg))[..., None]
        sky: Array = self.horizon + (self.zenith - self.horizon) * mix
        warm = np.array(_WARM.get(self.conditions.light, _LOW_SUN), dtype=np.float32)
        glow = self.glow(tan_el, az, pose.bearing_deg)
        sky = sky + glow[..., None] * warm
        sky = self._clouds(sky.astype(np.float32), tan_el, az, camera, glow)
        small = encode(sky)
        big = cv2.resize(small, (pose.width_px, small.shape[0] * step), interpolation=cv2.INTER_LINEAR)[:bottom]
        return np.asarray(np.clip(big + 0.5, 0, 255), dtype=np.uint8)

    def _clouds(self, sky: Array, tan_el: Array, az: Array, camera: Camera, glow: Array) -> Array:
        c = self.conditions
        if c.clouds <= 0.0:
            return sky
        rng = np.random.default_rng([c.seed, 12])
        for layer in range(c.cloud_layers):
            cover = float(np.clip(c.clouds + rng.normal(0.0, 0.15), 0.02, 0.98))
            if layer % 2 == 0:
                field, fade = _deck(rng, tan_el, az)
            else:
                field, fade = _bank(rng, tan_el, az, camera)
            threshold = 2.2 * (0.5 - cover)
            soft = float(rng.uniform(0.25, 1.4))
            alpha = np.clip((field - threshold) / soft, 0.0, 1.0) * fade * rng.uniform(0.35, 0.95)
            body = np.clip((field - threshold) / (soft + 1.2), 0.0, 1.0)[..., None]
            colour = self.cloud_light + (self.cloud_dark - self.cloud_light) * body * np.float32(rng.uniform(0.2, 1.0))
            colour = colour * (1.0 + np.minimum(glow, 0.8)[..., None])
            sky = sky + (colour - sky) * alpha[..., None].astype(np.float32)
        return sky


def sample(tile: Array, u: Array, v: Array) -> Array:
    """Periodic bilinear samples of a square tile at tile coordinates in periods."""
    n = tile.shape[0]
    mu = np.asarray(np.mod(u, 1.0) * n, dtype=np.float32)
    mv = np.asarray(np.mod(v, 1.0) * n, dtype=np.float32)
    return np.asarray(cv2.remap(tile, mu, mv, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP), dtype=np.float32)


def _deck(rng: np.random.Generator, tan_el: Array, az: Array) -> tuple[Array, Array]:
    """A flat layer of cloud over a round earth, seen in perspective: rows of cloud that close up to the horizon."""
    height_km = rng.uniform(1.0, 7.0)
    scale_km = rng.uniform(4.0, 30.0) * height_km
    distance = height_km / (np.maximum(tan_el, 0.0) + 0.035)
    wind = rng.uniform(0.0, 2.0 * math.pi)
    stretch = rng.uniform(1.0, 2.5)
    x, y = distance * np.sin(az) / scale_km, distance * np.cos(az) / scale_km
    u = (x * math.cos(wind) + y * math.sin(wind)) * stretch + rng.random()
    v = (y * math.cos(wind) - x * math.sin(wind)) + rng.random()
    field = sample(fractal_tile(512, float(rng.choice([1.3, 1.5, 1.8])), int(rng.integers(3))), u, v)
    return field, np.clip(tan_el / 0.03 + 0.3, 0.0, 1.0).astype(np.float32)


def _bank(rng: np.random.Generator, tan_el: Array, az: Array, camera: Camera) -> tuple[Array, Array]:
    """Cumulus or a bank standing above the horizon: billows in angle space with a flattened foot."""
    period = rng.uniform(0.5, 2.5) * math.radians(camera.pose.hfov_deg)
    flat = rng.uniform(1.0, 6.0)
    u, v = az / period + rng.random(), -tan_el * flat / period + rng.random()
    field = sample(fractal_tile(512, float(rng.choice([1.4, 1.7])), 3 + int(rng.integers(3))), u, v)
    top = math.radians(camera.pose.hfov_deg) * rng.uniform(0.05, 0.5)
    foot = rng.uniform(0.0, 0.4) * top
    shape = np.clip(tan_el / max(foot, 1e-4), 0.0, 1.0) * np.clip((1.3 * top - tan_el) / (0.6 * top), 0.0, 1.0)
    return field, shape.astype(np.float32)
