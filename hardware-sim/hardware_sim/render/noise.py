"""Textures of coloured noise, periodic, made once a process and shared."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.floating[Any]]


@cache
def fractal_tile(size: int, slope: float, seed: int, stretch: float = 1.0) -> Array:
    """(size, size) periodic noise of zero mean and unit deviation, amplitude spectrum k^-slope.

    `stretch` > 1 makes the features that many times wider than high.
    """
    rng = np.random.default_rng(seed)
    ky = np.fft.fftfreq(size)[:, None] * size
    kx = np.fft.rfftfreq(size)[None, :] * size
    k = np.hypot(kx * stretch, ky)
    amplitude = np.where(k > 0, np.maximum(k, 1.0) ** -slope, 0.0)
    spectrum = amplitude * np.exp(2j * np.pi * rng.random(k.shape))
    tile = np.fft.irfft2(spectrum, s=(size, size))
    tile -= tile.mean()
    return np.asarray(tile / tile.std(), dtype=np.float32)


def fractal_line(rng: np.random.Generator, count: int, slope: float) -> Array:
    """(count,) noise of zero mean and unit deviation, not periodic (half of a longer period)."""
    n = 2 * count
    k = np.maximum(np.arange(n // 2 + 1), 1.0)
    spectrum = k**-slope * np.exp(2j * np.pi * rng.random(n // 2 + 1))
    spectrum[0] = 0.0
    line = np.fft.irfft(spectrum, n=n)[:count]
    line -= line.mean()
    return np.asarray(line / max(float(line.std()), 1e-12), dtype=np.float32)
