"""Tiles of thermal noise and K-distributed sea clutter, made once and then only looked up.

Promises:
- every tile is a plane of (spokes, cells) float32 powers of mean 1, periodic in both directions;
- `speckle`: exponential, correlated over the beam in azimuth and over the pulse in range, as one scan sees it;
- `texture`: gamma of the given shape (exact marginal, by rank), correlated in range by Farshchian and Watts' length
  L = (pi/2)(W^2/g) sqrt(3 cos^2 + 1), wind across; over the spokes by the same length at mid-range;
- speckle x texture is K-distributed: <z^2>/<z>^2 = 2 (1 + 1/nu).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

GRAVITY_MPS2 = 9.80665


def texture_length_m(wind_mps: float) -> float:
    """Decorrelation length of the sea's texture in range, metres, not below 10 m."""
    return max(10.0, math.pi / 2.0 * wind_mps**2 / GRAVITY_MPS2)


def noise(rng: np.random.Generator, shape: tuple[int, int], cells_per_pulse: float) -> NDArray[np.float32]:
    """Receiver noise behind the matched filter: exponential, correlated over the pulse in range only."""
    return _speckle(rng, shape, 0.0, cells_per_pulse)


def speckle(
    rng: np.random.Generator, shape: tuple[int, int], spokes_per_beam: float, cells_per_pulse: float
) -> NDArray[np.float32]:
    """Sea speckle of one scan."""
    return _speckle(rng, shape, spokes_per_beam, cells_per_pulse)


def texture(
    rng: np.random.Generator, shape: tuple[int, int], nu: float, spokes: float, cells: float
) -> NDArray[np.float32]:
    """The sea's slowly varying power, gamma with shape `nu` and mean 1; lengths in spokes and cells."""
    field = _smooth(rng.standard_normal(shape).astype(np.complex64), spokes, cells).real.ravel()
    values = np.empty(field.size, dtype=np.float32)
    values[np.argsort(field, kind="stable")] = np.sort(rng.gamma(nu, 1.0 / nu, field.size)).astype(np.float32)
    return values.reshape(shape)


def _speckle(rng: np.random.Generator, shape: tuple[int, int], spokes: float, cells: float) -> NDArray[np.float32]:
    white = rng.standard_normal((*shape, 2), dtype=np.float32).view(np.complex64)[..., 0]
    field = _smooth(white, spokes, cells)
    power = (field.real**2 + field.imag**2).astype(np.float32)
    return power / np.float32(power.mean())


def _smooth(field: NDArray[np.complex64], rows: float, columns: float) -> NDArray[np.complex64]:
    """Gaussian smoothing, -3 dB power widths in rows and columns, periodic, in the frequency domain."""
    spectrum = np.fft.fft2(field)
    for axis, width in ((0, rows), (1, columns)):
        if width > 0.0:
            sigma = width / (2.0 * math.sqrt(math.log(2.0)))  # of the amplitude whose square is `width` wide at half
            f = np.fft.fftfreq(field.shape[axis])
            response = np.exp(-2.0 * (math.pi * sigma * f) ** 2)
            spectrum *= response[:, None] if axis == 0 else response[None, :]
    return np.fft.ifft2(spectrum).astype(np.complex64)
