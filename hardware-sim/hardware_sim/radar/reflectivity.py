"""What the sea, rain and land send back, per area or volume.

Promises:
- sea: the NRL model (Gregers-Hansen and Mital, 2012) for both polarisations, 0.1 to 60 degrees of grazing; the shape of
  the K distribution by Ward and Watts, across or along the swell;
- rain: Marshall and Palmer's reflectivity, and the attenuation of ITU-R P.838-2;
- land: constant gamma, sigma0 = gamma sin(grazing).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from hardware_sim.radar.propagation import FREQUENCY_GHZ, WAVELENGTH_M

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.floating]

_NRL_HH = (-73.0, 20.78, 7.351, 25.65, 0.0054)
_NRL_VV = (-50.79, 25.93, 0.7093, 21.58, 0.00211)
_K_POLARISATION = {False: 2.09, True: 1.39}
K_SHAPE_LIMITS = (0.1, 20.0)
LAND_GAMMA_DB = -14.0
"""X band, low hills with fields and houses (Skolnik, Radar Handbook, ch. 16)."""


def sea_sigma0_db(grazing_deg: Floats, sea_state: int, *, vertical: bool = False) -> Floats:
    """Mean reflectivity of the sea, dB m2/m2, at 9.41 GHz. `grazing_deg` above 0."""
    c1, c2, c3, c4, c5 = _NRL_VV if vertical else _NRL_HH
    a = np.asarray(grazing_deg, dtype=np.float64)
    frequency = (27.5 + c3 * a) * math.log10(FREQUENCY_GHZ) / (1.0 + 0.95 * a)
    waves = c4 * (1.0 + sea_state) ** (1.0 / (2.0 + 0.085 * a + 0.033 * sea_state))
    return np.asarray(c1 + c2 * np.log10(np.sin(np.radians(a))) + frequency + waves + c5 * a**2)


def k_shape(grazing_deg: Floats, cell_m2: Floats, swell_cos2: float = 0.0, *, vertical: bool = False) -> Floats:
    """Shape nu of the K distribution, within `K_SHAPE_LIMITS`; spikier is smaller.

    `cell_m2` is the resolution cell's area, `swell_cos2` the cosine of twice the angle between look and swell: 1 along
    it, -1 across, 0 where it is not known.
    """
    log_nu = (
        2.0 / 3.0 * np.log10(np.maximum(grazing_deg, 0.05))
        + 5.0 / 8.0 * np.log10(cell_m2)
        - _K_POLARISATION[vertical]
        - swell_cos2 / 3.0
    )
    return np.asarray(np.clip(10.0**log_nu, *K_SHAPE_LIMITS))


def rain_volume_m2_per_m3(rate_mm_h: float) -> float:
    """RCS of a cubic metre of rain: pi^5 |K|^2 Z / lambda^4 with Z = 200 R^1.6 mm6/m3, |K|^2 = 0.93."""
    return float(math.pi**5 * 0.93 * 200e-18 * rate_mm_h**1.6 / WAVELENGTH_M**4)


def rain_loss_db_per_m(rate_mm_h: float) -> float:
    """One-way attenuation: k R^alpha, k = 0.0081 dB/km and alpha = 1.29 between P.838-2's rows for 9 and 10 GHz."""
    return float(0.0081e-3 * rate_mm_h**1.29) if rate_mm_h > 0.0 else 0.0


def land_sigma0(grazing_rad: Floats) -> Floats:
    """Mean reflectivity of land, linear, by the angle between ray and ground."""
    return np.asarray(10.0 ** (LAND_GAMMA_DB / 10.0) * np.sin(np.maximum(grazing_rad, 0.005)))
