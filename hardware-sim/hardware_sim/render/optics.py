"""Lens, sensor and encoder: what stands between the light and the file.

Promises:
- geometry is left alone (shake is applied before, and told to the truth);
- noise differs from frame to frame, everything else of one set of conditions stays.
"""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from hardware_sim.render.noise import fractal_tile

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hardware_sim.render.types import Conditions

    Array = NDArray[np.floating[Any]]
    Picture = NDArray[np.uint8]


def _u8(image: object) -> Picture:
    """A picture as cv2 gave it, typed."""
    return np.asarray(image, dtype=np.uint8)


class Optics:
    """The camera of one set of conditions."""

    def __init__(self, conditions: Conditions, width: int, height: int) -> None:
        self.conditions = conditions
        self.size = (width, height)
        self.rng = np.random.default_rng([conditions.seed, 81])
        self.tone = self._tone()
        self.drops = self._drop_map() if conditions.lens_drops > 0.0 else None
        self.salt = self._salt_veil() if conditions.salt > 0.0 else None
        self.shade = self._vignette() if conditions.vignette > 0.02 else None
        self.grain = self._grain()

    def _tone(self) -> Picture:
        """(256, 1, 3) lookup: exposure, gamma, contrast about mid-grey, colour balance."""
        c = self.conditions
        x = np.arange(256) / 255.0
        y = np.clip(x, 0, 1) ** c.gamma
        y = 0.5 + (y - 0.5) * c.contrast + c.brightness
        gains = np.array([1.0 - 0.22 * c.warmth, 1.0, 1.0 + 0.18 * c.warmth])
        gains *= np.exp(self.rng.normal(0.0, 0.035, 3)) if c.light != "thermal" else 1.0
        return np.asarray(np.clip(255.0 * y[:, None, None] * gains + 0.5, 0, 255), dtype=np.uint8)

    def _vignette(self) -> Picture:
        w, h = self.size
        y, x = np.mgrid[0:h:8, 0:w:8].astype(np.float32)
        r2 = ((x - w / 2) ** 2 + (y - h / 2) ** 2) / (w * w / 4 + h * h / 4)
        small = 255.0 * (1.0 - self.conditions.vignette * r2**1.3)
        grey = cv2.resize(small, (w, h)).astype(np.uint8)
        return np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR), dtype=np.uint8)

    def _grain(self) -> NDArray[np.int16] | None:
        """Noise for several frames: a sensor's, softened as its denoiser leaves it, two-thirds of it in brightness."""
        c = self.conditions
        if c.noise <= 0.05:
            return None
        w, h = self.size
        fine = _white(h + 64, w + 64, float(self.rng.choice([0.0, 0.5, 0.9])))
        return np.asarray(np.rint(fine * np.float32(c.noise)), dtype=np.int16)

    def _drop_map(self) -> tuple[slice, Array, Array, Array]:
        """Rain on the glass: where each pixel looks through a drop, and how much of it is drop."""
        w, h = self.size
        rng, c = self.rng, self.conditions
        y, x = np.mgrid[0:h, 0:w].astype(np.float32)
        cover = np.zeros((h, w), dtype=np.float32)
        for _ in range(int(1 + 14 * c.lens_drops)):
            cx, cy, r = rng.uniform(0, w), rng.uniform(0, h), rng.lognormal(3.0, 0.6)
            a, b, e, f = (
                int(v) for v in (max(cx - 2 * r, 0), min(cx + 2 * r, w), max(cy - 2 * r, 0), min(cy + 2 * r, h))
            )
            if b <= a or f <= e:
                continue
            gx, gy = np.meshgrid(np.arange(a, b) - cx, np.arange(e, f) - cy)
            d = np.hypot(gx, gy * rng.uniform(0.6, 1.0)) / r
            inside = np.clip(1.5 * (1.15 - d), 0.0, 1.0)
            part = cover[e:f, a:b]
            np.maximum(part, inside, out=part)
            bend = rng.uniform(-4.0, 1.5)
            x[e:f, a:b] += (gx * (bend * inside)).astype(np.float32)
            y[e:f, a:b] += (gy * (bend * inside)).astype(np.float32)
        return slice(0, h), np.clip(x, 0, w - 1), np.clip(y, 0, h - 1), cover

    def _salt_veil(self) -> tuple[Array, float]:
        """(H, W, 1) cover of dried salt and the grey of its scattered light."""
        w, h = self.size
        tile = fractal_tile(512, 1.3, 9)
        big = cv2.resize(np.roll(tile, (int(self.rng.integers(512)), int(self.rng.integers(512))), axis=(0, 1)), (w, h))
        spots = np.tile(fractal_tile(512, 0.4, 10), (h // 512 + 1, w // 512 + 1))[:h, :w]
        veil = self.conditions.salt * np.clip(0.35 + 0.25 * big + 0.22 * np.maximum(spots - 1.6, 0.0), 0.0, 0.9)
        return cv2.GaussianBlur(veil.astype(np.float32), (0, 0), 1.5)[..., None], float(self.rng.uniform(0.8, 1.2))

    def level(self, image: Picture) -> Picture:
        """Automatic exposure: stretch the scene's range part of the way to the camera's, by at most 2.2 times."""
        amount = self.conditions.auto_levels
        if amount <= 0.01:
            return image
        grey = image[::6, ::6].max(axis=2)
        low, high = (float(v) for v in np.percentile(grey, [1.0, 99.0]))
        goal_low, goal_high = amount * 38.0 + (1 - amount) * low, amount * 243.0 + (1 - amount) * high
        gain = float(np.clip((goal_high - goal_low) / max(high - low, 1.0), 0.7, 2.2))
        if (
            self.conditions.light == "night"
        ):  # a dark scene stays dark: the gain is spent, the black level is not lifted
            goal_low, gain = low, min(gain, 1.6)
        ramp = goal_low + (np.arange(256) - low) * gain
        return np.asarray(cv2.LUT(image, np.clip(ramp, 0, 255).astype(np.uint8)), dtype=np.uint8)

    def expose(self, image: Picture, t_s: float) -> Picture:
        """Everything up to and including the sensor."""
        c = self.conditions
        if self.salt is not None:
            veil, gain = self.salt
            glow = np.minimum(image.reshape(-1, 3)[::97].mean(axis=0) * gain, 250.0)
            image = (image * (1.0 - veil) + glow * veil).astype(np.uint8)
        if self.drops is not None:
            _, mx, my, cover = self.drops
            seen = cv2.GaussianBlur(image, (0, 0), 3.0)
            seen = cv2.remap(seen, mx, my, cv2.INTER_LINEAR)
            image = (image * (1.0 - cover[..., None]) + seen * cover[..., None]).astype(np.uint8)
        if c.rain > 0.0:
            image = self._rain(image, t_s)
        image = self._soften(image)
        if self.shade is not None:
            image = _u8(cv2.multiply(image, self.shade, scale=1.0 / 255.0))
        image = _u8(cv2.LUT(image, self.tone))
        if abs(c.saturation - 1.0) > 0.02 and c.light != "thermal":
            grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
            image = _u8(cv2.addWeighted(image, c.saturation, grey, 1.0 - c.saturation, 0.0))
        return image if self.grain is None else self._add_grain(image, self.grain, t_s)

    def _soften(self, image: Picture) -> Picture:
        c = self.conditions
        if c.soften > 1.05:  # a picture made larger than its sensor
            w, h = self.size
            small = cv2.resize(image, (round(w / c.soften), round(h / c.soften)), interpolation=cv2.INTER_AREA)
            image = _u8(cv2.resize(small, (w, h), interpolation=cv2.INTER_CUBIC))
        if c.defocus_px > 0.2:
            image = _u8(cv2.GaussianBlur(image, (0, 0), c.defocus_px))
        if c.motion_blur_px > 1.5:
            n = int(c.motion_blur_px)
            kernel = np.zeros((n, n), dtype=np.float32)
            a = self._angle()
            half = (n - 1) / 2
            cv2.line(
                kernel,
                (round(half - half * math.cos(a)), round(half - half * math.sin(a))),
                (round(half + half * math.cos(a)), round(half + half * math.sin(a))),
                1.0,
            )
            image = _u8(cv2.filter2D(image, -1, kernel / kernel.sum()))
        if c.sharpen > 0.02:
            blurred = cv2.GaussianBlur(image, (0, 0), 1.1)
            image = _u8(cv2.addWeighted(image, 1.0 + c.sharpen, blurred, -c.sharpen, 0.0))
        return np.asarray(image, dtype=np.uint8)

    def _angle(self) -> float:
        return float(np.random.default_rng([self.conditions.seed, 82]).uniform(0, math.pi))

    def _add_grain(self, image: Picture, grain: NDArray[np.int16], t_s: float) -> Picture:
        w, h = self.size
        rng = np.random.default_rng([self.conditions.seed, 83, int(t_s * 1000.0) & 0x7FFFFFFF])
        a, b = (int(v) for v in rng.integers(0, 64, 2))
        luma = grain[a : a + h, b : b + w]
        if self.conditions.light == "thermal":
            return np.asarray(cv2.add(image, cv2.merge([luma] * 3), dtype=cv2.CV_8U), dtype=np.uint8)
        half = luma >> 1
        blue = grain[63 - a : 63 - a + h, b : b + w] >> 1
        red = grain[b : b + h, a : a + w] >> 1
        return np.asarray(cv2.add(image, cv2.merge([half + blue, luma, half + red]), dtype=cv2.CV_8U), dtype=np.uint8)

    def _rain(self, image: Picture, t_s: float) -> Picture:
        c = self.conditions
        rng = np.random.default_rng([c.seed, 84, int(t_s * 1000.0) & 0x7FFFFFFF])
        w, h = self.size
        veil = np.zeros((h, w), dtype=np.uint8)
        lean = rng.normal(0.0, 0.15)
        for _ in range(int(700 * c.rain)):
            x, y, n = rng.uniform(0, w), rng.uniform(0, h), rng.uniform(6, 45)
            cv2.line(veil, (int(x), int(y)), (int(x + lean * n), int(y + n)), float(rng.uniform(10, 60)), 1)
        veil = _u8(cv2.GaussianBlur(veil, (0, 0), 0.8))
        return np.asarray(cv2.add(image, cv2.cvtColor(veil, cv2.COLOR_GRAY2BGR)), dtype=np.uint8)

    def encode(self, image: Picture) -> Picture:
        """The losses of the camera's encoder, after the burnt-in text."""
        c = self.conditions
        if c.blockiness > 0.0:
            image = _coarse_blocks(image, c.blockiness)
        if 0 < c.jpeg_quality < 100:
            _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(c.jpeg_quality)])
            image = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), dtype=np.uint8)
        return image


@cache
def _white(rows: int, columns: int, soft_px: float) -> Array:
    """Unit noise, softened as a denoiser leaves it; shared, the frames draw windows of it."""
    fine = np.random.default_rng(85).standard_normal((rows, columns), dtype=np.float32)
    if soft_px > 0.0:
        fine = np.asarray(cv2.GaussianBlur(fine, (0, 0), soft_px), dtype=np.float32)
        fine /= fine.std()
    return fine


def _coarse_blocks(image: Picture, amount: float) -> Picture:
    """Flat blocks lose their detail, as in a starved H.264 stream (16 px macroblocks)."""
    h, w = image.shape[:2]
    mean = cv2.resize(image, (max(w // 8, 1), max(h // 8, 1)), interpolation=cv2.INTER_AREA)
    smooth = cv2.resize(mean, (w, h), interpolation=cv2.INTER_LINEAR)
    grey = cv2.cvtColor(cv2.absdiff(image, smooth), cv2.COLOR_BGR2GRAY)
    busy = cv2.resize(grey, (max(w // 16, 1), max(h // 16, 1)), interpolation=cv2.INTER_AREA)
    keep = (busy > 2.0 + 8.0 * amount).astype(np.float32)
    alpha = cv2.resize(keep, (w, h), interpolation=cv2.INTER_NEAREST)[..., None]
    alpha = np.maximum(alpha, 1.0 - amount)
    return np.asarray(image * alpha + smooth * (1.0 - alpha), dtype=np.uint8)
