"""Land in the video: where it returns, and what it hides.

Promises:
- made once for a grid of (spokes, cells); land does not change from turn to turn but for a quarter of its power, which
  is speckle (leaves and grass);
- it rises from a coast's edge, with hills; a slope that faces the radar returns more (constant gamma); what lies behind
  something higher is in its shadow, land, sea and vessels alike;
- an echo is as wide as the two-way beam.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hardware_sim.radar.antenna import one_way_gain
from hardware_sim.radar.maps import RandomMap
from hardware_sim.radar.propagation import EARTH_M
from hardware_sim.radar.reflectivity import land_sigma0

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hardware_sim.radar.physics import Radar
    from hardware_sim.scenario import CoastTable

    Floats = NDArray[np.floating]
    Plane = NDArray[np.float32]

STEADY_SHARE = 0.75
HILL_M = 800.0
PATCH_SIGMA = 1.1
"""Log-normal spread (nepers) between neighbouring cells: fields, walls, roofs; about 5 dB."""


class Land:
    """All coasts of a scenario on one grid. `bearings_deg` of the spokes, `ranges_m` of the cells' middles."""

    def __init__(
        self,
        coasts: tuple[CoastTable, ...],
        radar: Radar,
        bearings_deg: Floats,
        ranges_m: Floats,
        rng: np.random.Generator,
    ) -> None:
        b = np.radians(bearings_deg)[:, None]
        east, north = np.sin(b) * ranges_m, np.cos(b) * ranges_m
        self._spoke_deg, self._first_deg = 360.0 / len(bearings_deg), float(bearings_deg[0])
        self._cell_m = float(ranges_m[1] - ranges_m[0])
        height = terrain(coasts, east, north, RandomMap(rng, HILL_M, 4.0 * float(ranges_m[-1])))
        down = radar.table.height_m
        drop = ranges_m / (2.0 * EARTH_M)
        elevation = np.where(height > 0.0, (height - down) / ranges_m - drop, -np.inf)
        top = np.maximum.accumulate(elevation, axis=1)
        before = np.concatenate((np.full((len(b), 1), -np.inf), top[:, :-1]), axis=1)
        lit = (height > 0.0) & (elevation >= before)
        slope = np.arctan(np.gradient(height, self._cell_m, axis=1))
        sigma = land_sigma0(slope - np.where(lit, elevation, 0.0)) * rng.lognormal(
            -0.5 * PATCH_SIGMA**2, PATCH_SIGMA, height.shape
        )
        power = np.where(lit, sigma * radar.cell_m2(ranges_m) * radar.snr_at(1.0, ranges_m), 0.0)
        self.echo: Plane = _through_beam(power, self._spoke_deg, radar.table.beam_width_deg)
        self.open_sea: Plane = ((height <= 0.0) & (-down / ranges_m - drop >= before)).astype(np.float32)
        self._horizon = before.astype(np.float32)
        self._down = down

    def hides(self, bearing_deg: float, range_m: float, top_m: float) -> bool:
        """Whether something that high is behind land, or on it."""
        row = round((bearing_deg - self._first_deg) / self._spoke_deg) % len(self._horizon)
        cell = min(max(int(range_m / self._cell_m), 0), self._horizon.shape[1] - 1)
        elevation = (top_m - self._down) / range_m - range_m / (2.0 * EARTH_M)
        return bool(elevation < self._horizon[row, cell])


def terrain(coasts: tuple[CoastTable, ...], east: Floats, north: Floats, hills: RandomMap) -> Floats:
    """Height of the land in metres at points, 0 where the sea is."""
    height = np.zeros_like(east)
    for coast in coasts:
        inside, edge_m = np.zeros(east.shape, dtype=bool), np.full(east.shape, np.inf)
        points = coast.polygon_m
        for (e0, n0), (e1, n1) in zip(points, points[1:] + points[:1], strict=True):
            if n0 != n1:
                crosses = (n0 > north) != (n1 > north)
                inside ^= crosses & (east < e0 + (north - n0) * (e1 - e0) / (n1 - n0))
            along = np.clip(
                ((east - e0) * (e1 - e0) + (north - n0) * (n1 - n0)) / ((e1 - e0) ** 2 + (n1 - n0) ** 2), 0, 1
            )
            edge_m = np.minimum(edge_m, np.hypot(east - e0 - along * (e1 - e0), north - n0 - along * (n1 - n0)))
        rise = (
            coast.height_m
            * (1.0 - np.exp(-edge_m / coast.rise_m))
            * np.clip(1.0 + 0.4 * hills.at(east, north), 0.1, 2.0)
        )
        height = np.maximum(height, np.where(inside, rise + 0.5, 0.0))
    return height


def _through_beam(power: Floats, spoke_deg: float, width_deg: float) -> Plane:
    """Spread over azimuth by the two-way beam, round the whole turn."""
    n = len(power)
    off = (np.arange(n) * spoke_deg + 180.0) % 360.0 - 180.0
    kernel = one_way_gain(off, width_deg) ** 2
    kernel /= kernel.sum()  # how wide the beam is stands in the area of the resolution cell already
    spectrum = np.fft.rfft(power, axis=0) * np.fft.rfft(kernel)[:, None]
    return np.maximum(np.fft.irfft(spectrum, n, axis=0), 0.0).astype(np.float32)
