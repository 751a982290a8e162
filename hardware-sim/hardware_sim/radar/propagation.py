"""From the antenna to a target over a round, rough sea and back: two rays, the horizon, and what bends beyond it.

Promises:
- `two_way_factor` is F^4, power against free space, for X band and a 4/3 earth, vectorised over range;
- within the interference region: direct and reflected ray with the sea's Fresnel coefficient for the polarisation,
  divergence, and the loss of coherence by roughness (Miller, Brown and Vegh, 1984);
- beyond the horizon: the first term of the diffraction series (ITU-R P.526-15, 3.1.1); between the two, a straight
  line in dB over range, from the last point where rays may be trusted (path difference of a quarter wave, or half the
  way to the horizon, whichever is farther);
- left out: ducts, and the shadowing of the lowest reflection points by waves.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.floating]

FREQUENCY_GHZ = 9.41
WAVELENGTH_M = 299_792_458.0 / (FREQUENCY_GHZ * 1e9)
EARTH_M = 4.0 / 3.0 * 6_371_000.0
SEA_PERMITTIVITY = complex(55.0, -39.0)
"""Relative, at 9.4 GHz, 15 C and 35 g/kg (Klein and Swift, 1977)."""
WAVE_HEIGHT_M = (0.0, 0.1, 0.3, 0.9, 1.9, 3.2, 5.0)
"""Significant, by Douglas sea state."""
_HEIGHTS = 9


def horizon_m(radar_m: float, target_m: float) -> float:
    """Ground range at which the sea hides a target of that height."""
    return math.sqrt(2.0 * EARTH_M) * (math.sqrt(radar_m) + math.sqrt(target_m))


def mean_two_way_factor(
    range_m: Floats, radar_m: float, heights_m: tuple[float, float], sea_state: int, *, vertical: bool
) -> Floats:
    """F^4 averaged over an echo that comes from (lowest, highest) metres above the sea."""
    steps = np.linspace(*heights_m, _HEIGHTS if heights_m[0] < heights_m[1] else 1)
    total = np.zeros_like(range_m)
    for h in steps:
        total += two_way_factor(range_m, radar_m, float(h), sea_state, vertical=vertical)
    return total / len(steps)


def two_way_factor(range_m: Floats, radar_m: float, target_m: float, sea_state: int, *, vertical: bool) -> Floats:
    """F^4 for a point target; `range_m` in any order, above 0."""
    target_m = max(target_m, 0.01)  # nothing is lower than the water it floats in; the logarithm needs a height
    edge = horizon_m(radar_m, target_m)
    grid = np.linspace(0.5 * edge, 0.999 * edge, 256)
    difference = _geometry(grid, radar_m, target_m)[0]
    last = float(np.max(grid, where=difference >= WAVELENGTH_M / 4.0, initial=0.5 * edge))
    lit = np.minimum(range_m, last)
    rays_db = 10.0 * np.log10(np.maximum(_rays(lit, radar_m, target_m, sea_state, vertical=vertical), 1e-30))
    share = np.clip((range_m - last) / (edge - last), 0.0, 1.0)
    shadow_db = _diffraction_db(np.maximum(range_m, edge), radar_m, target_m)
    return np.asarray(10.0 ** (((1.0 - share) * rays_db + share * shadow_db) / 10.0))


def _geometry(d: Floats, h1: float, h2: float) -> tuple[Floats, Floats, Floats]:
    """(path difference m, grazing angle rad, divergence) of the reflected ray (Blake, Radar Range-Performance, 6.3)."""
    p = 2.0 / math.sqrt(3.0) * np.sqrt(EARTH_M * (h1 + h2) + d**2 / 4.0)
    tilt = np.arcsin(np.clip(2.0 * EARTH_M * d * (h1 - h2) / p**3, -1.0, 1.0))
    d1 = d / 2.0 + p * np.sin(tilt / 3.0)
    d2 = d - d1
    over1 = np.maximum(h1 - d1**2 / (2.0 * EARTH_M), 0.0)
    over2 = np.maximum(h2 - d2**2 / (2.0 * EARTH_M), 0.0)
    grazing = np.arctan2(over1 + over2, d)
    direct = np.hypot(d, over1 - over2)
    difference = np.hypot(d, over1 + over2) - direct
    divergence = 1.0 / np.sqrt(1.0 + 2.0 * d1 * d2 / (EARTH_M * np.maximum(over1 + over2, 1e-6)))
    return difference, grazing, divergence


def _rays(d: Floats, h1: float, h2: float, sea_state: int, *, vertical: bool) -> Floats:
    difference, grazing, divergence = _geometry(d, h1, h2)
    z = 2.0 * (2.0 * math.pi * WAVE_HEIGHT_M[sea_state] / 4.0 * np.sin(grazing) / WAVELENGTH_M) ** 2
    # e^-z I0(z): its own asymptote from 30 on, where I0 would soon overflow
    coherent = np.where(
        z < 30.0, np.exp(-np.minimum(z, 30.0)) * np.i0(np.minimum(z, 30.0)), 1.0 / np.sqrt(2.0 * math.pi * (z + 1e-9))
    )
    reflected = fresnel(grazing, vertical=vertical) * divergence * coherent
    return np.asarray(np.abs(1.0 + reflected * np.exp(-2j * math.pi * difference / WAVELENGTH_M)) ** 4)


def fresnel(grazing_rad: Floats, *, vertical: bool) -> NDArray[np.complex128]:
    """Reflection coefficient of a flat sea."""
    sine = np.sin(grazing_rad)
    root = np.sqrt(SEA_PERMITTIVITY - np.cos(grazing_rad) ** 2)
    if vertical:
        return np.asarray((SEA_PERMITTIVITY * sine - root) / (SEA_PERMITTIVITY * sine + root))
    return np.asarray((sine - root) / (sine + root))


def _diffraction_db(d: Floats, h1: float, h2: float) -> Floats:
    """Two-way power against free space beyond the horizon, dB."""
    radius_km, f_mhz = EARTH_M / 1000.0, FREQUENCY_GHZ * 1000.0
    x = 2.188 * f_mhz ** (1.0 / 3.0) * radius_km ** (-2.0 / 3.0) * d / 1000.0
    y = [9.575e-3 * f_mhz ** (2.0 / 3.0) * radius_km ** (-1.0 / 3.0) * h for h in (h1, h2)]
    distance = np.where(x >= 1.6, 11.0 + 10.0 * np.log10(x) - 17.6 * x, -20.0 * np.log10(x) - 5.6488 * x**1.425)
    return np.asarray(2.0 * (distance + sum(_height_gain_db(value) for value in y)))


def _height_gain_db(y: float) -> float:
    if y > 2.0:
        return 17.6 * math.sqrt(y - 1.1) - 5.0 * math.log10(y - 1.1) - 8.0
    return max(20.0 * math.log10(y + 0.1 * y**3), -60.0)
