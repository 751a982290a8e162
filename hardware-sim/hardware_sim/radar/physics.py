"""What a marine X-band radar receives, against its own noise.

Promises:
- powers are single-pulse ratios to the receiver's noise (SNR, CNR), linear unless named `_db`;
- targets by the radar equation with the two-way factor of `propagation`; sea by the NRL model, rain by Marshall and
  Palmer in a beam that is as high as wide radars' are, both over the resolution cell; rain weakens what lies behind it;
- the mean of sea clutter follows range, sea state and polarisation, not wind direction (the NRL model has none).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from hardware_sim.radar import propagation, reflectivity
from hardware_sim.radar.propagation import EARTH_M, WAVELENGTH_M

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hardware_sim.scenario import RadarTable

    Floats = NDArray[np.floating]

BOLTZMANN_T0 = 4.0e-21  # W/Hz
RAIN_TOP_M = 3500.0
_TABLE_STEP_M = 5.0


class Radar:
    """The radar of a scenario, with what follows from it. Remembers the lobes of heights that it was asked for."""

    def __init__(self, table: RadarTable) -> None:
        self.table = table
        self.vertical = table.polarisation == "vertical"
        self._lobes: dict[tuple[tuple[float, float], int], Floats] = {}

    @property
    def turn_s(self) -> float:
        """Seconds per revolution."""
        return 60.0 / self.table.rpm

    @property
    def range_resolution_m(self) -> float:
        """The -3 dB width of an echo in range, c / 2B."""
        return 299_792_458.0 / (2.0 * self.table.bandwidth_hz)

    @property
    def hits(self) -> float:
        """Pulses on a target within the beam."""
        return self.table.beam_width_deg * self.table.prf_hz / (6.0 * self.table.rpm)

    def snr(self, rcs_m2: float, range_m: float) -> float:
        """Single-pulse signal-to-noise ratio in free space."""
        t = self.table
        gain = 10.0 ** (t.gain_db / 10.0)
        received = t.power_w * gain**2 * WAVELENGTH_M**2 * rcs_m2 / ((4.0 * math.pi) ** 3 * range_m**4)
        noise = BOLTZMANN_T0 * t.bandwidth_hz * 10.0 ** (t.noise_and_loss_db / 10.0)
        return float(received / noise)

    def snr_at(self, rcs_m2: float, range_m: Floats) -> Floats:
        """The same over many ranges."""
        return np.asarray(self.snr(rcs_m2, 1000.0) * (1000.0 / range_m) ** 4)

    def horizon_m(self, target_height_m: float) -> float:
        """4/3-earth radar horizon to something that high."""
        return propagation.horizon_m(self.table.height_m, target_height_m)

    def propagation(self, range_m: float, heights_m: tuple[float, float], sea_state: int) -> float:
        """Two-way factor F^4 of an echo that comes from those heights, averaged over them; looked up every 5 m."""
        key = (heights_m, sea_state)
        if key not in self._lobes:
            grid = np.arange(_TABLE_STEP_M, 1.1 * self.table.range_m + 1000.0, _TABLE_STEP_M)
            self._lobes[key] = propagation.mean_two_way_factor(
                grid, self.table.height_m, heights_m, sea_state, vertical=self.vertical
            )
        lobes = self._lobes[key]
        at = range_m / _TABLE_STEP_M - 1.0
        low = min(max(int(at), 0), len(lobes) - 2)
        share = min(max(at - low, 0.0), 1.0)
        return float((1.0 - share) * lobes[low] + share * lobes[low + 1])

    def grazing_deg(self, range_m: Floats) -> Floats:
        """Angle between ray and a round sea; 0 and less beyond the sea's horizon."""
        return np.degrees(self.table.height_m / range_m - range_m / (2.0 * EARTH_M))

    def cell_m2(self, range_m: Floats) -> Floats:
        """Area of sea that one resolution cell holds."""
        return range_m * math.radians(self.table.beam_width_deg) * self.range_resolution_m

    def clutter_to_noise(self, range_m: Floats, sea_state: int) -> Floats:
        """Mean sea clutter against noise for each range (m); 0 beyond the sea's horizon."""
        grazing = self.grazing_deg(range_m)
        sigma0_db = reflectivity.sea_sigma0_db(np.clip(grazing, 0.05, 60.0), sea_state, vertical=self.vertical)
        cnr = self.snr_at(1.0, range_m) * self.cell_m2(range_m) * 10.0 ** (sigma0_db / 10.0)
        return np.where(grazing > 0.0, cnr, 0.0)

    def k_shape(self, range_m: float) -> float:
        """Shape of the K distribution at that range, over all looks against the swell."""
        return float(self.k_shapes(np.array([range_m]))[0])

    def k_shapes(self, range_m: Floats, swell_cos2: float = 0.0) -> Floats:
        """Shape of the K distribution at each range, see `reflectivity.k_shape`."""
        grazing = np.maximum(self.grazing_deg(range_m), 0.0)
        return reflectivity.k_shape(grazing, self.cell_m2(range_m), swell_cos2, vertical=self.vertical)

    def rain_to_noise(self, range_m: Floats, rate_mm_h: float) -> Floats:
        """Mean rain clutter against noise for each range, its own attenuation not in it (`rain_loss` has that)."""
        t = self.table
        half_height = range_m * math.tan(math.radians(t.elevation_beam_deg) / 2.0)
        height = np.minimum(half_height, RAIN_TOP_M) + np.minimum(half_height, t.height_m)
        volume = self.cell_m2(range_m) * height
        return np.asarray(self.snr_at(1.0, range_m) * volume * reflectivity.rain_volume_m2_per_m3(rate_mm_h))

    def rain_loss(self, range_m: Floats, rate_mm_h: float) -> Floats:
        """Two-way power that is left after that way through rain."""
        return np.asarray(10.0 ** (-2.0 * reflectivity.rain_loss_db_per_m(rate_mm_h) * range_m / 10.0))
