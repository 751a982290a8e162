"""Radar video, sector by sector: noise, sea clutter and echoes as the receiver quantises them.

Promises:
- `sector(k)` depends on (scenario, seed, k) alone; sectors may be skipped;
- an echo is spread by the two-way beam in azimuth and by the pulse in range, fluctuates as Swerling I (one exponential
  power per vessel and turn, shared out to scatterers along the hull), and comes from where the vessel is just then;
- the receiver is logarithmic with automatic sea control: a sample is 0 below a threshold that follows mean noise and
  mean clutter over range, then one step per 4 dB up to 15.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hardware_sim.geo import polar, wrap180
from hardware_sim.radar import clutter, navico
from hardware_sim.radar.physics import Radar
from hardware_sim.seeds import generator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from hardware_sim.world import Vessel, World

SPOKE_DEG = 360.0 / navico.SPOKES_PER_TURN
NOISE_THRESHOLD_DB = 9.0
CLUTTER_THRESHOLD_DB = 11.0
STEP_DB = 4.0
SIDELOBE_DB = -30.0
SIDELOBE_REACH_DEG = 10.0
SCATTERER_SPACING_M = 12.0


@dataclass(frozen=True, slots=True)
class _Scatterer:
    """A part of a hull: share of its cross-section, metres ahead of the middle."""

    vessel: Vessel
    share: float
    ahead_m: float


class Video:
    """The video of one radar. A sector is the 32 spokes of one datagram."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._radar = Radar(world.scenario.radar)
        table = world.scenario.radar
        self._cell_m = table.range_m / navico.SAMPLES
        ranges = (np.arange(navico.SAMPLES) + 0.5) * self._cell_m
        sea = world.scenario.weather.sea_state
        mean_clutter = self._radar.clutter_to_noise(ranges, sea)
        threshold = np.maximum(
            10.0 ** (NOISE_THRESHOLD_DB / 10.0), mean_clutter * 10.0 ** (CLUTTER_THRESHOLD_DB / 10.0)
        )
        self._inverse = (1.0 / threshold).astype(np.float32)
        self._clutter_gain = (mean_clutter / threshold).astype(np.float32)
        self._make_tiles(ranges, sea)
        self._levels = _level_table()
        self._scatterers = tuple(s for v in world.vessels for s in _scatterers(v, world.seed))

    def sector(self, index: int) -> NDArray[np.uint8]:
        """(32, 1024) samples 0..15 of sector `index`, counted since the radar began to transmit."""
        turn, sector = divmod(index, navico.DATAGRAMS_PER_TURN)
        first = sector * navico.SPOKES_PER_DATAGRAM
        rng = generator(self._world.seed, "video", index)
        noise_rows = _rows(self._noise, int(rng.integers(navico.SPOKES_PER_TURN)))
        drift = int(turn * self._radar.turn_s * self._drift_mps / self._cell_m) % navico.SAMPLES
        texture = self._texture[first : first + navico.SPOKES_PER_DATAGRAM, drift : drift + navico.SAMPLES]
        turn_offset = int(generator(self._world.seed, "sea", turn).integers(navico.SPOKES_PER_TURN))
        power = _rows(self._speckle, first + turn_offset) * texture
        power *= self._clutter_gain
        power += noise_rows * self._inverse
        self._add_echoes(power, index)
        return self._levels[power.view(np.uint16)[:, 1::2]]

    def _make_tiles(self, ranges: NDArray[np.floating], sea: int) -> None:
        seed, shape = self._world.seed, (navico.SPOKES_PER_TURN, navico.SAMPLES)
        pulse = self._radar.range_resolution_m / self._cell_m
        beam = self._world.scenario.radar.beam_width_deg / SPOKE_DEG
        self._noise = clutter.noise(generator(seed, "noise"), shape, pulse)
        self._speckle = clutter.speckle(generator(seed, "speckle"), shape, beam, pulse)
        middle = float(ranges[len(ranges) // 6])  # where clutter matters: the near third
        length = clutter.texture_length_m(self._world.scenario.weather.wind_mps)
        nu = self._radar.k_shape(middle)
        spokes = math.degrees(length / middle) / SPOKE_DEG
        tile = clutter.texture(generator(seed, "texture", sea), shape, nu, spokes, length / self._cell_m)
        self._texture = np.concatenate((tile, tile), axis=1)
        self._drift_mps = 0.3 * self._world.scenario.weather.wind_mps

    def _add_echoes(self, power: NDArray[np.float32], index: int) -> None:
        table = self._world.scenario.radar
        t = (index + 0.5) / navico.DATAGRAMS_PER_TURN * self._radar.turn_s
        first_deg = index % navico.DATAGRAMS_PER_TURN * navico.SPOKES_PER_DATAGRAM * SPOKE_DEG + table.heading_deg
        middle_deg = first_deg + navico.SPOKES_PER_DATAGRAM / 2 * SPOKE_DEG
        bearings = first_deg + np.arange(navico.SPOKES_PER_DATAGRAM) * SPOKE_DEG
        reach = SIDELOBE_REACH_DEG + navico.SPOKES_PER_DATAGRAM / 2 * SPOKE_DEG
        for s in self._scatterers:
            state = s.vessel.at(t)
            heading = math.radians(state.cog_deg)
            east = state.east_m + s.ahead_m * math.sin(heading)
            north = state.north_m + s.ahead_m * math.cos(heading)
            range_m, bearing = polar(east, north)
            if range_m > table.range_m + 100.0 or abs(wrap180(bearing - middle_deg)) > reach:
                continue
            turn = round(t / self._radar.turn_s - wrap180(middle_deg - bearing) / 360.0 - 0.5 + 1e-9)
            snr = self._snr(s, range_m, turn)
            off = (bearings - bearing + 180.0) % 360.0 - 180.0
            self._spread(power, snr * _beam(off, table.beam_width_deg), range_m)

    def _snr(self, s: _Scatterer, range_m: float, turn: int) -> float:
        """Echo against noise, with this turn's Swerling I fluctuation."""
        fluctuation = generator(self._world.seed, "rcs", s.vessel.id, turn).exponential()
        lift = self._radar.propagation(range_m, s.vessel.kind.radar_heights_m, self._world.scenario.weather.sea_state)
        return self._radar.snr(s.vessel.kind.rcs_m2 * s.share, range_m) * lift * float(fluctuation)

    def _spread(self, power: NDArray[np.float32], over_spokes: NDArray[np.float64], range_m: float) -> None:
        """Add an echo around its range, as wide as the pulse."""
        width = self._radar.range_resolution_m
        low = max(0, int((range_m - 3.0 * width) / self._cell_m))
        high = min(navico.SAMPLES, int((range_m + 3.0 * width) / self._cell_m) + 1)
        if high <= low:
            return
        cells = (np.arange(low, high) + 0.5) * self._cell_m
        shape = np.exp(-4.0 * math.log(2.0) * ((cells - range_m) / width) ** 2) * self._inverse[low:high]
        power[:, low:high] += np.outer(over_spokes, shape).astype(np.float32)


def spokes(world: World, video: Video) -> Iterator[tuple[float, bytes]]:
    """(t, datagram) of a HALO that turns since t = 0, in order of time, for ever."""
    table = world.scenario.radar
    heading = navico.heading_word(table.heading_deg)
    turn_s = 60.0 / table.rpm
    index = 0
    while True:
        samples = video.sector(index)
        block = navico.datagram(samples, index * navico.SPOKES_PER_DATAGRAM, round(table.range_m), heading)
        index += 1
        yield index / navico.DATAGRAMS_PER_TURN * turn_s, block


def _beam(off_deg: NDArray[np.floating], width_deg: float) -> NDArray[np.float64]:
    """Two-way gain: a Gaussian main lobe of that one-way -3 dB width, flat sidelobes next to it."""
    one_way = np.exp(-4.0 * math.log(2.0) * (off_deg / width_deg) ** 2)
    floor = np.where(np.abs(off_deg) < SIDELOBE_REACH_DEG, 10.0 ** (SIDELOBE_DB / 10.0), 0.0)
    return np.asarray(np.maximum(one_way, floor) ** 2)


def _rows(tile: NDArray[np.float32], first: int) -> NDArray[np.float32]:
    """32 rows of a periodic tile."""
    first %= len(tile)
    end = first + navico.SPOKES_PER_DATAGRAM
    if end <= len(tile):
        return tile[first:end]
    return np.concatenate((tile[first:], tile[: end - len(tile)]))


def _level_table() -> NDArray[np.uint8]:
    """Sample value by the upper 16 bits of a float32 power over threshold (sign, exponent, 7 bits of mantissa)."""
    values = (np.arange(65536, dtype=np.uint32) << 16).view(np.float32)
    levels = np.zeros(65536, dtype=np.uint8)
    over = np.isfinite(values) & (values >= 1.0)
    levels[over] = np.clip(1.0 + 10.0 * np.log10(values[over].astype(np.float64)) / STEP_DB, 1.0, 15.0).astype(np.uint8)
    return levels


def _scatterers(vessel: Vessel, seed: int) -> tuple[_Scatterer, ...]:
    n = max(1, round(vessel.length_m / SCATTERER_SPACING_M))
    shares = generator(seed, "hull", vessel.id).dirichlet([1.5] * n)
    spacing = vessel.length_m / n
    return tuple(_Scatterer(vessel, float(shares[i]), (i + 0.5) * spacing - vessel.length_m / 2.0) for i in range(n))
