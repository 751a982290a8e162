"""A radar's plots, turn by turn, straight from the world: no video, a thousand turns at once.

Promises:
- what one turn shows depends on (scenario, seed, block of `BLOCK` turns) alone;
- a plot lies where the beam met the vessel, with the errors of IMO MSC.192(79)'s sensor model: beam 0.05 deg, range
  20 m, glint (a sixth of length and beam, along the ship's own axes), quantised to 0.1 deg and 0.01 NM;
- the sigmas that a plot declares follow from that model and its own measured extent, as an extractor's do;
- echoes within one resolution cell are one plot, at their common centroid;
- false plots come by `hardware_sim.fast.detection`, more of them upwind; a sea spike that outlives
  the turn (`SPIKE_LIFE_S`) is seen again, moved on by the wind;
- all plots of a turn carry one time, its middle: they are up to half a turn older or younger than that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hardware_sim.fast.detection import BLIND_M, STEP_M, THRESHOLD, Detection
from hardware_sim.geo import NM_M
from hardware_sim.radar.physics import Radar
from hardware_sim.seeds import generator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from hardware_sim.world import Vessel, World

    Floats = NDArray[np.float64]

BLOCK = 256
"""Turns that are made at once."""
SIGMA_BEARING_DEG = 0.05
SIGMA_RANGE_M = 20.0
GLINT = 1.0 / 6.0
QUANTUM_DEG = 0.1
QUANTUM_M = 0.01 * NM_M
SPIKE_LIFE_S = 1.0  # mean; spikes at low grazing angles last of the order of a second, some several
SPIKE_SPEED = 0.4  # a breaking crest goes with its wave, at some 40 % of the wind's speed
SPIKE_SPREAD_M = 12.0
SPIKE_EXTENT_M = 30.0
UPWIND = 0.5
TIDE_STEP_M = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Plots:
    """Plots of a block: arrays of one length, ordered by turn and then bearing."""

    turn: NDArray[np.int64]
    range_m: Floats
    bearing_deg: Floats
    sigma_range_m: Floats
    sigma_bearing_deg: Floats
    amplitude_db: Floats
    extent_m: Floats


class RadarPlots:
    """The radar of a world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._table = world.scenario.radar
        self._radar = Radar(self._table)
        self.turn_s = self._radar.turn_s
        self._tables: dict[int, Detection] = {}

    def blocks(self, turns: int) -> Iterator[tuple[int, Plots]]:
        """(first turn, plots) of all blocks up to `turns`; the last may hold turns beyond it."""
        for first in range(0, turns, BLOCK):
            yield first, self.block(first)

    def block(self, first: int) -> Plots:
        """The plots of `BLOCK` turns from `first` on."""
        rng = generator(self._world.seed, "fast-plots", first)
        turns = np.arange(first, first + BLOCK, dtype=np.float64)
        detection = self._detection((first + BLOCK / 2.0) * self.turn_s)
        rows = [self._echoes(rng, v, turns, detection) for v in self._world.vessels]
        seen = np.concatenate([r for r in rows if len(r)]) if any(len(r) for r in rows) else np.empty((0, 8))
        seen = self._resolved(seen)
        return _plots(np.concatenate((self._measured(rng, seen), self._false(rng, turns, detection))))

    def _detection(self, t_s: float) -> Detection:
        """Tables for the antenna's height above the sea at that time, in steps of the tide."""
        step = round(self._world.tide_m(t_s) / TIDE_STEP_M)
        if step not in self._tables:
            height = max(1.0, self._table.height_m - step * TIDE_STEP_M)
            self._tables[step] = Detection(self._table, self._world.scenario.weather, height)
        return self._tables[step]

    def _echoes(self, rng: np.random.Generator, vessel: Vessel, turns: Floats, d: Detection) -> Floats:
        """Rows (turn, range, bearing, x, glint in range, glint across, depth, width) of the turns that see it.

        x is the echo over the background, in units of the threshold. Draws the same count of numbers whatever happens.
        """
        fading, along, across = rng.exponential(size=len(turns)), *rng.normal(size=(2, len(turns)))
        middle = vessel.trajectory.many((turns + 0.5) * self.turn_s)
        reach = self._table.range_m + BLOCK * self.turn_s * 40.0
        if np.hypot(middle.east_m, middle.north_m).min() > reach:
            return np.empty((0, 8))
        relative = (np.degrees(np.arctan2(middle.east_m, middle.north_m)) - self._table.heading_deg) % 360.0
        s = vessel.trajectory.many((turns + relative / 360.0) * self.turn_s)
        range_m = np.hypot(s.east_m, s.north_m)
        bearing = np.degrees(np.arctan2(s.east_m, s.north_m)) % 360.0
        aspect = np.radians(s.heading_deg - bearing + 180.0)  # of the bow against the line of sight
        gain = vessel.kind.aspect_gain(np.degrees(aspect))
        x = (1.0 + d.sinr(vessel.table.kind, range_m, gain)) * fading / THRESHOLD
        g_along, g_across = GLINT * vessel.length_m * along, GLINT * vessel.beam_m * across
        in_range = g_along * np.cos(aspect) + g_across * np.sin(aspect)
        sideways = g_along * np.sin(aspect) - g_across * np.cos(aspect)
        cos, sin = np.abs(np.cos(aspect)), np.abs(np.sin(aspect))
        depth, width = vessel.length_m * cos + vessel.beam_m * sin, vessel.length_m * sin + vessel.beam_m * cos
        rows = np.stack((turns, range_m, bearing, x, in_range, sideways, depth, width), axis=1)
        return rows[(x > 1.0) & (range_m > BLIND_M) & (range_m <= self._table.range_m)]

    def _resolved(self, rows: Floats) -> Floats:
        """Echoes of one turn that share a resolution cell become one, at the centroid by power."""
        rows = rows[np.lexsort((rows[:, 1], rows[:, 0]))]
        cell_m, beam_deg = self._radar.range_resolution_m, self._table.beam_width_deg
        gone = np.zeros(len(rows), dtype=np.bool_)
        same = (np.diff(rows[:, 0]) == 0.0) & (np.diff(rows[:, 1]) < cell_m)
        for i in np.flatnonzero(same).tolist():  # neighbours in range
            a, b = rows[i], rows[i + 1]
            turned = (b[2] - a[2] + 180.0) % 360.0 - 180.0
            if abs(turned) < beam_deg:
                share = b[3] / (a[3] + b[3])
                b[1], b[2] = a[1] + share * (b[1] - a[1]), (a[2] + share * turned) % 360.0
                b[3], b[6] = a[3] + b[3], max(a[6], b[6])
                b[7] = max(a[7], b[7]) + math.radians(abs(turned)) * a[1]
                gone[i] = True
        return rows[~gone]

    def _measured(self, rng: np.random.Generator, rows: Floats) -> Floats:
        """Rows (turn, range, bearing, sigma range, sigma bearing, amplitude dB, extent) with errors."""
        turn, true_m, true_deg, x, in_range, sideways, depth, width = rows.T
        noise = rng.normal(size=(4, len(rows)))
        range_m = true_m + SIGMA_RANGE_M * noise[0] + in_range
        bearing = true_deg + SIGMA_BEARING_DEG * noise[1] + np.degrees(sideways / true_m)
        least = self._radar.range_resolution_m
        seen = np.maximum(least, depth * (1.0 + 0.1 * noise[2])), np.maximum(least, width * (1.0 + 0.1 * noise[3]))
        return self._declared(turn, range_m, bearing, x, seen)

    @staticmethod
    def _declared(turn: Floats, range_m: Floats, bearing: Floats, x: Floats, seen_m: tuple[Floats, Floats]) -> Floats:
        """The plots as they leave the extractor; `seen_m`: (depth, width) as it measured them."""
        range_m = np.maximum(np.round(range_m / QUANTUM_M) * QUANTUM_M, QUANTUM_M)
        bearing = np.round(bearing / QUANTUM_DEG) * QUANTUM_DEG % 360.0
        in_range, across = GLINT * seen_m[0], GLINT * seen_m[1]
        sigma_r = np.sqrt(SIGMA_RANGE_M**2 + in_range**2 + QUANTUM_M**2 / 12.0)
        sigma_b = np.sqrt(SIGMA_BEARING_DEG**2 + np.degrees(across / range_m) ** 2 + QUANTUM_DEG**2 / 12.0)
        return np.stack((turn, range_m, bearing, sigma_r, sigma_b, 10.0 * np.log10(x), np.maximum(*seen_m)), axis=1)

    def _false(self, rng: np.random.Generator, turns: Floats, d: Detection) -> Floats:
        """Noise and sea spikes. A spike that lives on is counted: the mean count in a turn stays what it is."""
        mean, share = d.false_plots()
        again = math.exp(-self.turn_s / SPIKE_LIFE_S)
        n = int(rng.poisson(mean * (1.0 - again) * len(turns)))
        life = rng.geometric(1.0 - again, n)
        weather = self._world.scenario.weather
        wind = math.radians(weather.wind_from_deg)
        azimuth = rng.uniform(0.0, 2.0 * math.pi, n)
        flip = rng.uniform(-1.0, 1.0, n) > UPWIND * np.cos(azimuth - wind)
        azimuth = np.where(flip & (rng.uniform(size=n) < UPWIND), 2.0 * wind + math.pi - azimuth, azimuth)
        range_m = np.interp(rng.uniform(size=n), share, d.range_m) + rng.uniform(-0.5, 0.5, n) * STEP_M
        born = rng.integers(int(turns[0]), int(turns[0]) + len(turns), n)
        which = np.repeat(np.arange(n), life)
        age = np.arange(len(which)) - np.repeat(np.cumsum(life) - life, life)
        way = SPIKE_SPEED * weather.wind_mps * self.turn_s * age
        jitter = rng.normal(0.0, SPIKE_SPREAD_M, (2, len(which)))
        east = range_m[which] * np.sin(azimuth[which]) - way * math.sin(wind) + jitter[0]
        north = range_m[which] * np.cos(azimuth[which]) - way * math.cos(wind) + jitter[1]
        x = 1.0 + rng.exponential(size=len(which)) / THRESHOLD
        extent = np.maximum(self._radar.range_resolution_m, rng.normal(SPIKE_EXTENT_M, 8.0, len(which)))
        turn = born[which] + age
        rows = self._declared(
            turn.astype(np.float64), np.hypot(east, north), np.degrees(np.arctan2(east, north)), x, (extent, extent)
        )
        within = turn < turns[0] + len(turns)
        return np.asarray(rows[within & (rows[:, 1] > BLIND_M) & (rows[:, 1] <= self._table.range_m)])


def _plots(rows: Floats) -> Plots:
    rows = rows[np.lexsort((rows[:, 2], rows[:, 0]))]
    return Plots(
        turn=rows[:, 0].astype(np.int64),
        range_m=rows[:, 1],
        bearing_deg=rows[:, 2],
        sigma_range_m=rows[:, 3],
        sigma_bearing_deg=rows[:, 4],
        amplitude_db=rows[:, 5],
        extent_m=rows[:, 6],
    )
