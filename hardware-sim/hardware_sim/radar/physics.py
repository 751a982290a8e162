"""What a marine X-band radar receives: radar equation, two-ray propagation, sea clutter.

Promises:
- powers are ratios to the receiver's noise (SNR, CNR), linear unless named `_db`;
- sea clutter: mean reflectivity by the NRL model (Gregers-Hansen and Mital, 2012), HH, with the K distribution's shape
  by Ward and Watts; its amplitude statistics are made in `clutter`;
- left out, and why it does not matter here: rain, ducting beyond 4/3 earth, and sidelobes in range; targets and
  clutter add as powers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hardware_sim.geo import RADAR_HORIZON_K

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hardware_sim.scenario import RadarTable

FREQUENCY_GHZ = 9.41
WAVELENGTH_M = 299_792_458.0 / (FREQUENCY_GHZ * 1e9)
BOLTZMANN_T0 = 4.0e-21  # W/Hz
_NRL_HH = (-73.0, 20.78, 7.351, 25.65, 0.0054)
_WAVE_HEIGHT_M = (0.0, 0.1, 0.3, 0.9, 1.9, 3.2, 5.0)  # significant, by Douglas sea state
K_SHAPE_HH = 2.09
PULSE_SPACING = 1.0  # -3 dB width of the compressed pulse in units of c / 2B


@dataclass(frozen=True, slots=True)
class Radar:
    """The radar of a scenario, with what follows from it."""

    table: RadarTable

    @property
    def turn_s(self) -> float:
        """Seconds per revolution."""
        return 60.0 / self.table.rpm

    @property
    def range_resolution_m(self) -> float:
        """The width of the compressed pulse, c / 2B."""
        return PULSE_SPACING * 299_792_458.0 / (2.0 * self.table.bandwidth_hz)

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

    def horizon_m(self, target_height_m: float) -> float:
        """4/3-earth radar horizon to something that high."""
        return RADAR_HORIZON_K * (math.sqrt(self.table.height_m) + math.sqrt(target_height_m))

    def propagation(self, range_m: float, heights_m: tuple[float, float], sea_state: int) -> float:
        """Two-way propagation factor F^4, averaged over the heights the echo comes from; 0 beyond the horizon.

        Two-ray interference with a reflection that roughness weakens (Ament): this makes the nulls in which a small
        boat vanishes for a while.
        """
        low, high = heights_m
        grazing = self.table.height_m / range_m
        rough = math.pi * _WAVE_HEIGHT_M[sea_state] / 4.0 * grazing / WAVELENGTH_M
        rho = math.exp(-8.0 * rough**2)
        total = 0.0
        steps = 7
        for i in range(steps):
            h = low + (high - low) * i / (steps - 1)
            if range_m < self.horizon_m(h):
                phase = 4.0 * math.pi * self.table.height_m * h / (WAVELENGTH_M * range_m)
                total += (1.0 + rho**2 - 2.0 * rho * math.cos(phase)) ** 2
        return total / steps

    def clutter_to_noise(self, range_m: NDArray[np.floating], sea_state: int) -> NDArray[np.float64]:
        """Mean sea clutter against noise, single pulse, for each range (m); 0 beyond the sea horizon."""
        t = self.table
        grazing = np.degrees(t.height_m / range_m - range_m / (2.0 * 8.495e6))
        area = range_m * math.radians(t.beam_width_deg) * self.range_resolution_m
        sigma = 10.0 ** (sigma0_db(np.maximum(grazing, 0.05), sea_state) / 10.0) * area
        unit = self.snr(1.0, 1000.0)
        return np.where(grazing > 0.0, sigma * unit * (1000.0 / range_m) ** 4, 0.0)

    def k_shape(self, range_m: float) -> float:
        """Shape nu of the K distribution at that range (HH, across the swell), limited to 0.3..10."""
        grazing = math.degrees(self.table.height_m / range_m)
        area = range_m * math.radians(self.table.beam_width_deg) * self.range_resolution_m
        log_nu = 2.0 / 3.0 * math.log10(max(grazing, 0.05)) + 5.0 / 8.0 * math.log10(area) - K_SHAPE_HH
        return float(np.clip(10.0**log_nu, 0.3, 10.0))


def sigma0_db(grazing_deg: NDArray[np.float64], sea_state: int) -> NDArray[np.float64]:
    """Sea reflectivity, dB m2/m2, HH, at 9.41 GHz: the NRL model."""
    c1, c2, c3, c4, c5 = _NRL_HH
    a = np.asarray(grazing_deg, dtype=np.float64)
    frequency = (27.5 + c3 * a) * math.log10(FREQUENCY_GHZ) / (1.0 + 0.95 * a)
    waves = c4 * (1.0 + sea_state) ** (1.0 / (2.0 + 0.085 * a + 0.033 * sea_state))
    return np.asarray(c1 + c2 * np.log10(np.sin(np.radians(a))) + frequency + waves + c5 * a**2)


def detection_probability(signal_to_interference: float, false_alarm: float) -> float:
    """Pd of a Swerling I target behind a square-law detector."""
    return float(false_alarm ** (1.0 / (1.0 + signal_to_interference)))
