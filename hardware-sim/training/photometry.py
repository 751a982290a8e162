"""Cameras differ more than seas do: colour, tone, blur, noise and compression changed at random on a crop.

Promises: takes and gives (H, W, 3) BGR uint8; geometry is not touched; everything comes from the generator given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    Picture = NDArray[np.uint8]


def _bytes(picture: Any) -> Picture:
    return np.asarray(picture, np.uint8)


def _tone(picture: Picture, rng: Generator) -> Picture:
    """Gain per channel, gamma, contrast and offset in one table per channel."""
    level = np.arange(256, dtype=np.float64) / 255
    gamma, gain = float(np.exp(rng.normal(0, 0.18))), float(np.exp(rng.normal(0, 0.13)))
    offset = rng.normal(0, 0.04)
    cast = np.exp(rng.normal(0, 0.08, 3))
    tables = [np.clip((level**gamma * gain * c + offset) * 255, 0, 255).astype(np.uint8) for c in cast]
    return _bytes(cv2.LUT(picture, np.stack(tables, -1)[None]))


def _saturation(picture: Picture, rng: Generator) -> Picture:
    grey = cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    share = 0.0 if rng.random() < 0.3 else float(rng.uniform(0.2, 1.8))
    return _bytes(cv2.addWeighted(picture, share, grey, 1 - share, 0))


def _blur(picture: Picture, rng: Generator) -> Picture:
    if rng.random() < 0.3:
        size = int(rng.integers(2, 5))
        kernel = np.zeros((size, size), np.float32)
        if rng.random() < 0.5:
            kernel[size // 2] = 1 / size
        else:
            kernel[:, size // 2] = 1 / size
        return _bytes(cv2.filter2D(picture, -1, kernel))
    sigma = float(rng.uniform(0.3, 1.2))
    return _bytes(cv2.GaussianBlur(picture, (0, 0), sigma))


def _sharpen(picture: Picture, rng: Generator) -> Picture:
    soft = cv2.GaussianBlur(picture, (0, 0), float(rng.uniform(0.7, 1.6)))
    amount = float(rng.uniform(0.3, 1.5))
    return _bytes(cv2.addWeighted(picture, 1 + amount, soft, -amount, 0))


def _noise(picture: Picture, rng: Generator) -> Picture:
    height, width = picture.shape[:2]
    coarse = 2 if rng.random() < 0.4 else 1
    grain = rng.standard_normal((height // coarse, width // coarse), np.float32) * np.float32(rng.exponential(3.0))
    if coarse > 1:
        grain = np.asarray(cv2.resize(grain, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
    return _bytes(cv2.add(picture, cv2.merge((grain,) * 3), dtype=cv2.CV_8U))


def _jpeg(picture: Picture, rng: Generator) -> Picture:
    _, coded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(30, 95))])
    return _bytes(cv2.imdecode(coded, cv2.IMREAD_COLOR))


_STEPS = ((_tone, 0.7), (_saturation, 0.25), (_blur, 0.25), (_sharpen, 0.2), (_noise, 0.3), (_jpeg, 0.35))


def vary(picture: Picture, rng: Generator) -> Picture:
    """One camera's version of the crop."""
    for step, chance in _STEPS:
        if rng.random() < chance:
            picture = step(picture, rng)
    return picture
