"""Radar video, sector by sector: noise, sea, rain, land, echoes and spikes, as powers against mean noise.

Promises:
- `sector(k)` depends on (scenario, seed, grid, k) alone; sectors may be skipped;
- an echo has the RCS of its aspect, is spread by the two-way beam in azimuth and by the pulse in range, fluctuates by
  its Swerling case (one draw per vessel and turn, shared out to scatterers along the hull), and comes from where the
  vessel is just then;
- the sea is K-distributed with the shape of its range and of the look against the swell; its texture drifts with the
  waves and is another after `TEXTURE_S` seconds; its speckle is another every turn;
- noise, sea, rain, land, echoes and spikes add as powers; a cell's mean radial speed is that of its echoes, weighted by
  their share of its power: what else is in it counts as standing still (a real sea moves by up to some m/s).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hardware_sim.geo import polar, wrap180
from hardware_sim.radar import antenna, clutter, fluctuation
from hardware_sim.radar.interference import Interference
from hardware_sim.radar.land import STEADY_SHARE, Land
from hardware_sim.radar.maps import RandomMap
from hardware_sim.radar.physics import Radar
from hardware_sim.seeds import generator
from hardware_sim.vessels import aspect_deg

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hardware_sim.motion import State
    from hardware_sim.world import Vessel, World

    Plane = NDArray[np.float32]

SCATTERER_SPACING_M = 12.0
TEXTURE_S = 8.0
DRIFT_SHARE = 0.3
"""Of the wind's speed: how fast the waves that carry the texture run."""
BANDS = 24
SWELL_CLASSES = (-1.0, -0.5, 0.0, 0.5, 1.0)
RAIN_CELL_M = 2500.0
MOST_PULSES = 16
FAR_REACH_SNR = 1e7
"""From here on sidelobes beyond a few beamwidths rise above the noise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """The spokes of a turn, the cells of a spoke, where the last cell ends, and into how many sectors a turn is cut."""

    spokes: int
    cells: int
    range_m: float
    sectors: int

    @property
    def rows(self) -> int:
        """Spokes of a sector."""
        return self.spokes // self.sectors

    @property
    def spoke_deg(self) -> float:
        """Angle between spokes."""
        return 360.0 / self.spokes

    @property
    def cell_m(self) -> float:
        """Length of a cell."""
        return self.range_m / self.cells

    @property
    def ranges_m(self) -> NDArray[np.floating]:
        """Ranges of the cells' middles."""
        return (np.arange(self.cells) + 0.5) * self.cell_m


@dataclass(frozen=True, slots=True)
class _Scatterer:
    """A part of a hull: share of its cross-section, metres ahead of the middle."""

    share: float
    ahead_m: float


class Video:
    """The video of one radar on one grid."""

    def __init__(self, world: World, grid: Grid) -> None:
        self._world = world
        self.grid = grid
        self._radar = Radar(world.scenario.radar)
        self._weather = world.scenario.weather
        self._last: tuple[int, Plane] = (-1, np.empty((0, 0), dtype=np.float32))
        self._echoes: list[tuple[slice, Plane, float]] = []  # of the last sector: cells, power, radial speed
        self._fluctuations: dict[tuple[str, int], float] = {}
        self._hulls = {v.id: _scatterers(v, world.seed) for v in world.vessels}
        loss = self._radar.rain_loss(grid.ranges_m, self._weather.rain_mm_h)
        sea = self._radar.clutter_to_noise(grid.ranges_m, self._weather.sea_state) * loss
        self._clutter_gain = sea.astype(np.float32)
        self._rain = self._radar.rain_to_noise(grid.ranges_m, self._weather.rain_mm_h) * loss
        self.mean_clutter = sea + self._rain
        """(cells,) mean clutter of sea and rain against noise."""
        self._loss = loss.astype(np.float32)
        self._make_tiles()
        heading = world.scenario.radar.heading_deg
        bearings = heading + np.arange(grid.spokes) * grid.spoke_deg
        coasts = world.scenario.coast
        self._land = (
            Land(coasts, self._radar, bearings, grid.ranges_m, generator(world.seed, "land")) if coasts else None
        )
        rejects = world.scenario.radar.interference_rejection
        self._interference = None if rejects else Interference(world, self._radar)
        self._showers = RandomMap(generator(world.seed, "showers"), RAIN_CELL_M, 4.0 * grid.range_m)

    def sector(self, index: int) -> Plane:
        """(rows, cells) powers of sector `index`, counted since the radar began to transmit. Not to be written to."""
        if index != self._last[0]:
            self._last = (index, self._make(index))
        return self._last[1]

    def radial_mps(self, index: int) -> Plane:
        """(rows, cells) mean radial speeds in sector `index`, receding positive: what its Doppler shift says."""
        power = self.sector(index)
        moment = np.zeros_like(power)
        for cells, share, speed_mps in self._echoes:
            moment[:, cells] += share * np.float32(speed_mps)
        return moment / power

    def _make(self, index: int) -> Plane:
        grid = self.grid
        self._echoes = []
        turn, sector = divmod(index, grid.sectors)
        first, t = sector * grid.rows, index / grid.sectors * self._radar.turn_s
        bearings = self._world.scenario.radar.heading_deg + (first + np.arange(grid.rows)) * grid.spoke_deg
        rng = generator(self._world.seed, "video", index)
        power = _rows(self._noise, int(rng.integers(grid.spokes)), grid.rows).copy()
        if self._weather.rain_mm_h > 0.0:
            power *= 1.0 + self._rain_over_noise(bearings, t)
        turn_offset = int(generator(self._world.seed, "sea", turn).integers(grid.spokes))
        speckle = _rows(self._speckle, first + turn_offset, grid.rows)
        sea = self._texture(first, float(bearings[grid.rows // 2]), t)
        sea *= speckle
        sea *= self._clutter_gain
        if self._land is not None:
            sea *= self._land.open_sea[first : first + grid.rows]
            still = np.float32(STEADY_SHARE) + np.float32(1.0 - STEADY_SHARE) * speckle
            sea += self._land.echo[first : first + grid.rows] * still * self._loss
        power += sea
        self._add_echoes(power, bearings, index)
        if self._interference is not None:
            self._interference.add(power, bearings, t, self._radar.turn_s / grid.spokes, grid.cell_m)
        return power

    def _make_tiles(self) -> None:
        seed, grid, radar = self._world.seed, self.grid, self._radar
        shape = (grid.spokes, grid.cells)
        pulse = radar.range_resolution_m / grid.cell_m
        beam = radar.table.beam_width_deg / grid.spoke_deg
        pulses = int(radar.table.prf_hz * radar.turn_s / grid.spokes)
        self._noise = clutter.noise(generator(seed, "noise"), shape, pulse, min(max(pulses, 1), MOST_PULSES))
        self._speckle = clutter.speckle(generator(seed, "speckle"), shape, beam, pulse)
        length = clutter.texture_length_m(self._weather.wind_mps)
        middle = grid.range_m / 6.0  # where clutter matters: the near third
        spokes = math.degrees(length / middle) / grid.spoke_deg
        self._fields = []
        for which in ("texture", "later texture"):
            field = clutter.texture_field(generator(seed, which), shape, spokes, length / grid.cell_m)
            self._fields.append(np.concatenate((field, field), axis=1))  # so that a drift needs no wrapping
        edges = np.linspace(0, grid.cells, BANDS + 1).astype(int)
        centres = grid.ranges_m[np.minimum((edges[:-1] + edges[1:]) // 2, grid.cells - 1)]
        shapes = [float(nu) for cos2 in SWELL_CLASSES for nu in radar.k_shapes(centres, cos2)]
        self._gammas = clutter.TextureTable(shapes).values.ravel()
        band = np.repeat(np.arange(BANDS), np.diff(edges))
        self._shape_of_cell = [
            ((k * BANDS + band) * clutter.LEVELS).astype(np.int32) for k in range(len(SWELL_CLASSES))
        ]

    def _texture(self, first: int, bearing_deg: float, t_s: float) -> Plane:
        """The sea's texture in a sector: two fields that take turns, both drifting, as gamma powers."""
        look = math.radians(bearing_deg - self._weather.wind_from_deg)
        drift_m = -DRIFT_SHARE * self._weather.wind_mps * t_s * math.cos(look)
        at = int(-drift_m / self.grid.cell_m) % self.grid.cells
        phase = math.pi / 2.0 * t_s / TEXTURE_S
        a, b = (f[first : first + self.grid.rows, at : at + self.grid.cells] for f in self._fields)
        field = np.float32(math.cos(phase)) * a + np.float32(math.sin(phase)) * b
        nearest = min(range(len(SWELL_CLASSES)), key=lambda k: abs(SWELL_CLASSES[k] - math.cos(2.0 * look)))
        return np.take(self._gammas, clutter.TextureTable.levels(field) + self._shape_of_cell[nearest])

    def _rain_over_noise(self, bearings: NDArray[np.floating], t_s: float) -> Plane:
        """Mean rain clutter against noise: showers go with the wind; read at every eighth cell of the outer spokes."""
        wind, way = math.radians(self._weather.wind_from_deg), self._weather.wind_mps * t_s
        ranges = self.grid.ranges_m[::8]
        b = np.radians(bearings[[0, -1]])[:, None]
        shower = self._showers.at(ranges * np.sin(b) + way * math.sin(wind), ranges * np.cos(b) + way * math.cos(wind))
        ends = np.repeat(np.exp(1.6 * (shower - 0.5)), 8, axis=1)[:, : self.grid.cells] * self._rain  # rate: mean 1
        share = np.linspace(0.0, 1.0, self.grid.rows)[:, None]
        return np.asarray((1.0 - share) * ends[0] + share * ends[1], dtype=np.float32)

    def _add_echoes(self, power: Plane, bearings: NDArray[np.floating], index: int) -> None:
        grid = self.grid
        t = (index + 0.5) / grid.sectors * self._radar.turn_s
        middle_deg = float(bearings[0]) + grid.rows / 2 * grid.spoke_deg
        for vessel in self._world.vessels:
            state = vessel.at(t)
            range_m, bearing = polar(state.east_m, state.north_m)
            away = abs(wrap180(bearing - middle_deg)) - grid.rows / 2 * grid.spoke_deg
            length_deg = math.degrees(math.atan2(vessel.length_m / 2.0, range_m))
            if range_m > grid.range_m + vessel.length_m or away > antenna.REACH_DEG + length_deg:
                continue
            turn = round(t / self._radar.turn_s - wrap180(middle_deg - bearing) / 360.0 - 0.5 + 1e-9)
            seen_from = aspect_deg(state.east_m, state.north_m, state.heading_deg)
            rcs = vessel.kind.rcs_at(seen_from) * self._fluctuation(vessel, turn)
            away_mps = state.sog_mps * math.cos(math.radians(state.cog_deg - bearing))
            for s in self._hulls[vessel.id]:
                self._add_scatterer(power, bearings, vessel, _at(state, s.ahead_m), (rcs * s.share, away_mps))
        if len(self._fluctuations) > 4 * len(self._world.vessels) + 16:
            self._fluctuations.clear()

    def _add_scatterer(
        self,
        power: Plane,
        bearings: NDArray[np.floating],
        vessel: Vessel,
        place: tuple[float, float],
        echo: tuple[float, float],
    ) -> None:
        """`echo`: its radar cross-section in m2 and its radial speed."""
        range_m, bearing = polar(*place)
        rcs_m2, away_mps = echo
        if self._land is not None and self._land.hides(bearing, range_m, vessel.kind.height_m):
            return
        snr = self._radar.snr(rcs_m2, range_m) * float(
            self._radar.rain_loss(np.array(range_m), self._weather.rain_mm_h)
        )
        snr *= self._radar.propagation(range_m, vessel.kind.radar_heights_m, self._weather.sea_state)
        width = self._radar.table.beam_width_deg
        off = (bearings - bearing + 180.0) % 360.0 - 180.0
        if snr < FAR_REACH_SNR and float(np.min(np.abs(off))) > 4.0 * width:
            return
        self._spread(power, snr * antenna.one_way_gain(off, width) ** 2, (range_m, away_mps), snr)

    def _fluctuation(self, vessel: Vessel, turn: int) -> float:
        key = (vessel.id, turn)
        if key not in self._fluctuations:
            rng = generator(self._world.seed, "rcs", vessel.id, turn)
            self._fluctuations[key] = fluctuation.draw(rng, fluctuation.swerling(vessel.table.kind))
        return self._fluctuations[key]

    def _spread(self, power: Plane, over_spokes: NDArray[np.floating], where: tuple[float, float], snr: float) -> None:
        """Add an echo of (range, radial speed) around its range, as the pulse is shaped."""
        range_m, away_mps = where
        width, pulse = self._radar.range_resolution_m, self._radar.table.pulse
        reach = antenna.pulse_reach_m(width, pulse, snr)
        low = max(0, int((range_m - reach) / self.grid.cell_m))
        high = min(self.grid.cells, int((range_m + reach) / self.grid.cell_m) + 1)
        if high <= low:
            return
        cells = (np.arange(low, high) + 0.5) * self.grid.cell_m
        echo = np.outer(over_spokes, antenna.pulse_power(cells - range_m, width, pulse)).astype(np.float32)
        power[:, low:high] += echo
        self._echoes.append((slice(low, high), echo, away_mps))


def _at(state: State, ahead_m: float) -> tuple[float, float]:
    heading = math.radians(state.heading_deg)
    return state.east_m + ahead_m * math.sin(heading), state.north_m + ahead_m * math.cos(heading)


def _rows(tile: Plane, first: int, rows: int) -> Plane:
    """So many rows of a periodic tile."""
    first %= len(tile)
    end = first + rows
    if end <= len(tile):
        return tile[first:end]
    return np.concatenate((tile[first:], tile[: end - len(tile)]))


def _scatterers(vessel: Vessel, seed: int) -> tuple[_Scatterer, ...]:
    n = max(1, round(vessel.length_m / SCATTERER_SPACING_M))
    shares = generator(seed, "hull", vessel.id).dirichlet([1.5] * n)
    spacing = vessel.length_m / n
    return tuple(_Scatterer(float(shares[i]), (i + 0.5) * spacing - vessel.length_m / 2.0) for i in range(n))
