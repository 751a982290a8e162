"""Random maps of the surroundings, in metres east and north: where it rains, how the land is shaped.

Promises:
- a map is a Gaussian field of mean 0 and variance 1, periodic, read between its points by straight lines;
- it depends on its generator alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hardware_sim.radar.clutter import texture_field

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.floating]

POINTS = 128


class RandomMap:
    """A field with features that wide, repeating every `period_m`."""

    def __init__(self, rng: np.random.Generator, feature_m: float, period_m: float) -> None:
        self._step_m = period_m / POINTS
        width = max(1.5, feature_m / self._step_m)
        self._field = texture_field(rng, (POINTS, POINTS), width, width).astype(np.float64)

    def at(self, east_m: Floats, north_m: Floats) -> Floats:
        """The field at points, arrays of one shape."""
        x, y = east_m / self._step_m, north_m / self._step_m
        i, j = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
        u, v = x - i, y - j
        i, j, i1, j1 = i % POINTS, j % POINTS, (i + 1) % POINTS, (j + 1) % POINTS
        f = self._field
        return np.asarray((1 - u) * ((1 - v) * f[i, j] + v * f[i, j1]) + u * ((1 - v) * f[i1, j] + v * f[i1, j1]))
