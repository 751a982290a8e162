"""Spikes that other vessels' radars leave: one pulse, one range cell, somewhere else on the next spoke.

Promises:
- a ship (not small craft) has an X-band radar with its own rate of pulses, turn and frequency, all drawn from the seed;
- its pulses arrive one way, through both antennas' beams and a receiver tuned elsewhere; a spike lies at the time since
  our own last pulse, in the spoke of that pulse, weakened by the spoke's averaging;
- a radar that is below the horizon is not heard.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hardware_sim.geo import polar
from hardware_sim.radar.antenna import one_way_gain
from hardware_sim.radar.physics import BOLTZMANN_T0, Radar
from hardware_sim.radar.propagation import WAVELENGTH_M
from hardware_sim.seeds import generator

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hardware_sim.world import Vessel, World

LIGHT_MPS = 299_792_458.0
CARRIES_RADAR = frozenset({"fishing", "trawler", "tug", "patrol", "ferry", "cargo", "tanker"})
POWER_W, GAIN_DB, WIDTH_DEG = 10_000.0, 30.0, 1.2
SPREAD_HZ = 35e6
"""Marine magnetrons lie within 9,375 to 9,445 MHz."""
FAR_SIDELOBE = 10.0**-3.5


@dataclass(frozen=True, slots=True, kw_only=True)
class _Other:
    vessel: Vessel
    pulse_s: float
    turn_s: float
    phase: float
    tuned: float


class Interference:
    """The other radars of a world, as one radar hears them."""

    def __init__(self, world: World, radar: Radar) -> None:
        self._radar = radar
        self._others = [_other(v, world.seed, radar) for v in world.vessels if v.table.kind in CARRIES_RADAR]
        table = radar.table
        noise = BOLTZMANN_T0 * table.bandwidth_hz * 10.0 ** (table.noise_and_loss_db / 10.0)
        gains = 10.0 ** ((GAIN_DB + table.gain_db) / 10.0)
        self._at_1_m = POWER_W * gains * (WAVELENGTH_M / (4.0 * math.pi)) ** 2 / noise

    def add(
        self, power: NDArray[np.float32], bearings_deg: NDArray[np.floating], t_s: float, spoke_s: float, cell_m: float
    ) -> None:
        """Add the spikes of the spokes (rows of `power`) that begin at `t_s`."""
        our_pulse_s = 1.0 / self._radar.table.prf_hz
        share = min(1.0, our_pulse_s / spoke_s)
        for other in self._others:
            state = other.vessel.at(t_s)
            range_m, bearing = polar(state.east_m, state.north_m)
            if range_m > self._radar.horizon_m(other.vessel.kind.height_m):
                continue
            k = np.arange(math.ceil(t_s / other.pulse_s), math.ceil((t_s + len(power) * spoke_s) / other.pulse_s))
            arrives = k * other.pulse_s
            rows = np.minimum(((arrives - t_s) / spoke_s).astype(np.int64), len(power) - 1)
            cells = (arrives % our_pulse_s * LIGHT_MPS / 2.0 / cell_m).astype(np.int64)
            theirs = arrives / other.turn_s * 360.0 + other.phase - (bearing + 180.0)
            gain = _gain(theirs, WIDTH_DEG) * _gain(bearings_deg[rows] - bearing, self._radar.table.beam_width_deg)
            heard = cells < power.shape[1]
            spikes = (self._at_1_m / range_m**2 * other.tuned * share * gain).astype(np.float32)
            np.add.at(power, (rows[heard], cells[heard]), spikes[heard])


def _gain(off_deg: NDArray[np.floating], width_deg: float) -> NDArray[np.floating]:
    return np.maximum(one_way_gain((off_deg + 180.0) % 360.0 - 180.0, width_deg), FAR_SIDELOBE)


def _other(vessel: Vessel, seed: int, radar: Radar) -> _Other:
    rng = generator(seed, "other radar", vessel.id)
    off = rng.uniform(0.0, SPREAD_HZ) / radar.table.bandwidth_hz
    return _Other(
        vessel=vessel,
        pulse_s=1.0 / float(rng.uniform(600.0, 3000.0)),
        turn_s=60.0 / float(rng.uniform(20.0, 28.0)),
        phase=float(rng.uniform(0.0, 360.0)),
        tuned=float(1.0 / (1.0 + off**2) ** 2),  # a pulse's spectrum falls by 12 dB an octave
    )
