"""How likely a radar's plot extractor sees what is there, and how often it sees what is not.

Promises:
- targets: the radar equation with two-ray propagation and horizon (`hardware_sim.radar.physics`), RCS by aspect,
  attenuation by rain, Swerling I over noise, sea clutter and rain clutter;
- false plots: `FALSE_ALARM` per cell where noise or rain is the background; where sea clutter is, the tail of the K
  distribution beyond the threshold, so that spiky seas give more;
- everything depends on range through tables of `STEP_M`.

Left out: land, ducting, sidelobes, second-trace echoes, interference.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from hardware_sim.radar.physics import Radar
from hardware_sim.vessels import CLASSES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hardware_sim.scenario import RadarTable
    from hardware_sim.tables import WeatherTable

    Floats = NDArray[np.float64]

FALSE_ALARM = 1e-5
"""Per resolution cell, behind the plot extractor: it wants an echo as wide as the beam."""
THRESHOLD = -math.log(FALSE_ALARM)
SPIKE_MARGIN = 3.0
"""How far the extractor holds its threshold above the sea's mean, in units of the threshold over noise. Chosen so that
a coastal radar in a 7 m/s wind shows about twenty false plots a turn."""
SPIKE_WIND_MPS, SPIKE_EXPONENT, SPIKE_MOST = 7.0, 3.41, 6.0
"""Spikes are breaking waves: their number goes with the share of whitecaps, wind to the power 3.41 (Monahan and
O'Muircheartaigh, 1980), up to six times that at 7 m/s, where an operator or a clutter map turns the gain down."""
STEP_M = 20.0
BLIND_M = 50.0


class Detection:
    """The tables of one radar in one weather. `height_m`: of the antenna above the sea as it stands now."""

    def __init__(self, radar: RadarTable, weather: WeatherTable, height_m: float) -> None:
        self._radar = Radar(radar.model_copy(update={"height_m": height_m}))
        self._weather = weather
        self.range_m: Floats = np.arange(BLIND_M, radar.range_m + STEP_M, STEP_M)
        noise = 1.0 / self._radar.hits**0.8  # integration gain of a square-law integrator
        sea = self._radar.clutter_to_noise(self.range_m, weather.sea_state)
        self._background = noise + sea + self._radar.rain_to_noise(self.range_m, weather.rain_mm_h)
        self._loss = self._radar.rain_loss(self.range_m, weather.rain_mm_h)
        self._signal: dict[str, Floats] = {}
        self.false_per_cell = self._false_alarms(sea / self._background)

    def sinr(self, kind: str, range_m: Floats, gain: Floats) -> Floats:
        """Mean signal to interference of a kind at those ranges, with that gain of aspect over its mean RCS."""
        if kind not in self._signal:
            c = CLASSES[kind]
            seen = [self._radar.propagation(float(r), c.radar_heights_m, self._weather.sea_state) for r in self.range_m]
            unit = self._radar.snr(c.rcs_m2, 1000.0) * (1000.0 / self.range_m) ** 4
            self._signal[kind] = unit * np.array(seen) * self._loss / self._background
        return np.interp(range_m, self.range_m, self._signal[kind]) * gain

    def false_plots(self) -> tuple[float, Floats]:
        """(mean count in a turn, cumulative share by range at `range_m`)."""
        table = self._radar.table
        cells_per_step = 360.0 / table.beam_width_deg * STEP_M / self._radar.range_resolution_m
        counts = self.false_per_cell * cells_per_step
        total = float(counts.sum())
        return total, np.cumsum(counts) / total

    def _false_alarms(self, sea_share: Floats) -> Floats:
        """False plots per cell by range; `sea_share` is how much of the background is sea clutter."""
        breaking = min(SPIKE_MOST, (self._weather.wind_mps / SPIKE_WIND_MPS) ** SPIKE_EXPONENT)
        out = np.empty_like(self.range_m)
        for i, r in enumerate(self.range_m.tolist()):
            spiky = k_tail(SPIKE_MARGIN * THRESHOLD, self._radar.k_shape(r))
            out[i] = FALSE_ALARM + float(sea_share[i]) * breaking * spiky
        return out


def k_tail(threshold: float, nu: float) -> float:
    """How often K-distributed power of mean 1 and shape `nu` exceeds a threshold, single look.

    The mean of exp(-threshold / x) over the gamma-distributed texture x (Ward, Tough and Watts, Sea Clutter, 2006),
    integrated over u = ln x.
    """
    u = np.linspace(-12.0, 6.0, 721)
    log_density = nu * math.log(nu) - math.lgamma(nu) + nu * u - nu * np.exp(u)
    integrand = np.exp(log_density - threshold * np.exp(-u))
    return float(np.sum(integrand) * (u[1] - u[0]))
