"""Tiles of noise, speckle and the sea's texture, made once and then only looked up.

Promises:
- every tile is a plane of (spokes, cells) float32, periodic in both directions;
- `noise`: power of mean 1, the average of so many pulses, correlated over the pulse in range;
- `speckle`: exponential power of mean 1, correlated over beam and pulse, as one scan sees it;
- `texture_field`: a Gaussian field of mean 0 and variance 1, correlated over the sea's texture length; `TextureTable`
  makes it gamma of any shape (exact marginal), so that speckle x texture is K-distributed with that shape:
  <z^2>/<z>^2 = 2 (1 + 1/nu);
- the texture's length in range is Farshchian and Watts' L = (pi/2)(W^2/g) sqrt(3 cos^2 + 1), wind across.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Plane = NDArray[np.float32]

GRAVITY_MPS2 = 9.80665
LEVELS = 512
LEVEL_RANGE = 5.5
"""Gaussian fields are looked up in `LEVELS` steps from minus to plus this many sigmas."""


def texture_length_m(wind_mps: float) -> float:
    """Decorrelation length of the sea's texture in range, metres, not below 10 m."""
    return max(10.0, math.pi / 2.0 * wind_mps**2 / GRAVITY_MPS2)


def noise(rng: np.random.Generator, shape: tuple[int, int], cells_per_pulse: float, pulses: int) -> Plane:
    """Receiver noise of spokes that average so many pulses."""
    total = _speckle(rng, shape, 0.0, cells_per_pulse)
    for _ in range(pulses - 1):
        total += _speckle(rng, shape, 0.0, cells_per_pulse)
    return total / np.float32(pulses)


def speckle(rng: np.random.Generator, shape: tuple[int, int], spokes_per_beam: float, cells_per_pulse: float) -> Plane:
    """Sea speckle of one scan."""
    return _speckle(rng, shape, spokes_per_beam, cells_per_pulse)


def texture_field(rng: np.random.Generator, shape: tuple[int, int], spokes: float, cells: float) -> Plane:
    """A Gaussian field that wide in spokes and cells."""
    field = _smooth(rng.standard_normal((*shape, 2), dtype=np.float32).view(np.complex64)[..., 0], spokes, cells).real
    return np.ascontiguousarray((field - field.mean()) / field.std(), dtype=np.float32)


class TextureTable:
    """From a Gaussian field to gamma powers of mean 1: `values` (shapes, LEVELS), a row for each shape `nu`."""

    def __init__(self, shapes: list[float]) -> None:
        g = (np.arange(LEVELS) + 0.5) * (2.0 * LEVEL_RANGE / LEVELS) - LEVEL_RANGE
        self.values = np.array([gamma_of_gaussian(g, nu) for nu in shapes], dtype=np.float32)

    @staticmethod
    def levels(field: Plane) -> NDArray[np.int32]:
        """The column of `values` for each Gaussian value."""
        scaled = (field + np.float32(LEVEL_RANGE)) * np.float32(LEVELS / (2.0 * LEVEL_RANGE))
        return np.asarray(np.clip(scaled, 0, LEVELS - 1).astype(np.int32))


def gamma_of_gaussian(g: NDArray[np.floating], nu: float) -> NDArray[np.floating]:
    """The memoryless transform: gamma(nu, mean 1) quantiles at the probabilities of the Gaussian values `g`.

    The distribution is integrated on a logarithmic grid; each tail is looked up from its own side, so that both keep
    their relative accuracy (1e-3 of the mean's moments for nu of 0.1 to 20).
    """
    u = np.linspace(math.log(1e-12) / min(nu, 1.0) - 1.0, math.log(60.0 + 60.0 / nu), 20_000)
    x = np.exp(u)
    density = np.exp(nu * (math.log(nu) + u) - nu * x - math.lgamma(nu))
    steps = 0.5 * (density[1:] + density[:-1]) * np.diff(u)
    below = np.concatenate(([0.0], np.cumsum(steps)))
    above = np.concatenate((np.cumsum(steps[::-1])[::-1], [0.0]))
    total = below[-1]
    low = np.array([0.5 * math.erfc(-v / math.sqrt(2.0)) for v in g])
    high = np.array([0.5 * math.erfc(v / math.sqrt(2.0)) for v in g])
    from_below = np.interp(low, below / total, u)
    from_above = np.interp(high, above[::-1] / total, u[::-1])
    return np.asarray(np.exp(np.where(g <= 0.0, from_below, from_above)))


def _speckle(rng: np.random.Generator, shape: tuple[int, int], spokes: float, cells: float) -> Plane:
    white = rng.standard_normal((*shape, 2), dtype=np.float32).view(np.complex64)[..., 0]
    field = _smooth(white, spokes, cells)
    power = (field.real**2 + field.imag**2).astype(np.float32)
    return np.asarray(
        power / power.mean(axis=0)
    )  # a tile's columns stand at one range for ever: none may be louder than others


def _smooth(field: NDArray[np.complex64], rows: float, columns: float) -> NDArray[np.complex64]:
    """Gaussian smoothing, -3 dB power widths in rows and columns, periodic, in the frequency domain."""
    for axis, width in ((0, rows), (1, columns)):
        if width > 0.0:
            sigma = width / (2.0 * math.sqrt(math.log(2.0)))  # of the amplitude whose square is `width` wide at half
            f = np.fft.fftfreq(field.shape[axis])
            response = np.exp(-2.0 * (math.pi * sigma * f) ** 2).astype(np.float32)
            shaped = np.fft.fft(field, axis=axis) * (response[:, None] if axis == 0 else response[None, :])
            field = np.fft.ifft(shaped, axis=axis).astype(np.complex64)
    return field
