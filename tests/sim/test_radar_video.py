"""Radar video: where things are, how they look, and that it is the same for everyone who asks."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hardware_sim.geo import polar, wrap180
from hardware_sim.radar import fluctuation
from hardware_sim.radar.physics import Radar
from hardware_sim.radar.receiver import LOG_FLOOR_DB, LOG_STEP_DB, Logarithmic, SeaControlled
from hardware_sim.radar.video import Grid, Video
from hardware_sim.scenario import CoastTable, Scenario
from hardware_sim.seeds import generator
from hardware_sim.vessels import aspect_deg
from hardware_sim.world import World

GRID = Grid(spokes=2048, cells=1024, range_m=6000.0, sectors=64)
SMALL = Grid(spokes=512, cells=512, range_m=6000.0, sectors=16)
Powers = NDArray[np.float32]


def changed(scenario: Scenario, **tables: Any) -> Scenario:
    """The scenario with other keys in its tables; a tuple replaces a whole list."""
    update = {k: v if isinstance(v, tuple) else getattr(scenario, k).model_copy(update=v) for k, v in tables.items()}
    return scenario.model_copy(update=update)


def empty(scenario: Scenario, **tables: Any) -> Scenario:
    """The same sea with its first vessel alone, beyond the radar's range."""
    far = scenario.vessel[0].model_copy(update={"route_m": ((0.0, 90_000.0),), "speed_mps": 0.0, "end": "hold"})
    return changed(scenario, vessel=(far,), expect=(), forbid=(), **tables)


def turn(video: Video, number: int) -> Powers:
    """(spokes, cells) of one turn."""
    n = video.grid.sectors
    return np.concatenate([video.sector(number * n + s) for s in range(n)])


@pytest.fixture(scope="module")
def video(harbour: World) -> Video:
    return Video(harbour, GRID)


@pytest.fixture(scope="module")
def turns(video: Video) -> NDArray[np.uint8]:
    """(3, 2048, 1024) samples behind sea control."""
    receiver = SeaControlled(video.mean_clutter)
    return np.array([receiver.samples(turn(video, t)) for t in range(3)])


def test_vessels_show_where_they_are_and_nothing_else_is_large(turns: NDArray[np.uint8], harbour: World) -> None:
    for number, picture in enumerate(turns):
        strong = picture >= 6
        for vessel in harbour.vessels:
            s = vessel.at((number + 0.1) * 2.5)
            range_m, bearing = polar(s.east_m, s.north_m)
            row = round(wrap180(bearing - 330.0) / 360 * 2048)
            reach_rows, reach_cells = 24, 14
            rows = np.arange(row - reach_rows, row + reach_rows + 1) % 2048
            cell = round(range_m / 6000 * 1024)
            window = picture[np.ix_(rows, np.arange(cell - reach_cells, cell + reach_cells + 1))]
            assert window.max() >= 3, vessel.id
            weight = np.where(window >= 3, window, 0).astype(float)
            at = np.argwhere(weight > 0).mean(axis=0) - (reach_rows, reach_cells)
            assert abs(at[0]) < 5, vessel.id
            assert abs(at[1]) < 6, vessel.id
            strong[np.ix_(rows, np.arange(cell - 30, cell + 31))] = False
        assert strong.sum() < 40  # sidelobes of the ferry at the most


def test_the_sea_is_there_and_changes(turns: NDArray[np.uint8]) -> None:
    lit = (turns > 0).mean(axis=(1, 2))
    assert ((lit > 0.002) & (lit < 0.02)).all()
    together = float(((turns[0] > 0) & (turns[1] > 0)).mean())
    # speckle is another every turn, the texture that it rides on lasts for seconds
    assert 2.0 * float(lit[0] * lit[1]) < together < 0.4 * float(lit[0])


def test_mean_and_shape_of_the_sea_follow_the_model(harbour: World) -> None:
    """Sea state 4, where clutter is far above noise: mean by NRL, intensity moments by Ward and Watts' shape."""
    scenario = empty(harbour.scenario, weather={"sea_state": 4, "wind_mps": 8.5})
    video = Video(World(scenario, 3), SMALL)
    power = np.concatenate([turn(video, t) for t in range(0, 200, 10)]).astype(np.float64)
    radar = Radar(scenario.radar)
    for low, high in ((40, 60), (80, 110)):
        ranges = SMALL.ranges_m[low:high]
        expected = radar.clutter_to_noise(ranges, 4)
        assert expected.min() > 30.0
        z = power[:, low:high] / expected
        assert float(z.mean()) == pytest.approx(1.0, rel=0.1)
        nu = radar.k_shapes(ranges)
        # over all looks against the swell the shape goes from nu 10^-1/3 to nu 10^1/3
        least, most = (float(2.0 * (1.0 + 1.0 / (nu * f)).mean()) for f in (10 ** (1 / 3), 10 ** (-1 / 3)))
        assert least < float((z**2).mean() / z.mean() ** 2) < most


def test_the_texture_drifts_with_the_sea_and_then_is_another(harbour: World) -> None:
    scenario = empty(harbour.scenario, weather={"sea_state": 5, "wind_mps": 11.0})
    video = Video(World(scenario, 3), SMALL)
    mean = Radar(scenario.radar).clutter_to_noise(SMALL.ranges_m, 5)

    def texture(number: int) -> Powers:
        """Averaged over speckle's width in range and azimuth, in logarithms (spikes would rule the correlation)."""
        z = (turn(video, number)[:, 60:188] / mean[60:188]).reshape(128, 4, 32, 4).mean(axis=(1, 3))
        return np.asarray(np.log(z))

    first, next_one, much_later = texture(0), texture(1), texture(60)
    assert np.corrcoef(first.ravel(), next_one.ravel())[0, 1] > 0.3
    assert abs(np.corrcoef(first.ravel(), much_later.ravel())[0, 1]) < 0.12


def test_an_echo_s_power_is_the_radar_equation_s(harbour: World) -> None:
    """Its peak is SNR x F^4 x the turn's draw, less what falls between spokes and cells; the draws are Swerling I's."""
    vessel = harbour.scenario.vessel[0].model_copy(update={"route_m": ((2600.0, 1500.0),), "speed_mps": 0.0})
    scenario = changed(harbour.scenario, vessel=(vessel,), expect=(), forbid=(), weather={"sea_state": 1})
    world = World(scenario, 1)
    kind = world.vessels[0].kind
    radar = Radar(scenario.radar)
    range_m, _ = polar(2600.0, 1500.0)
    state = world.vessels[0].at(0.0)
    rcs = kind.rcs_at(aspect_deg(state.east_m, state.north_m, state.heading_deg))
    expected = radar.snr(rcs, range_m) * radar.propagation(range_m, kind.radar_heights_m, 1)
    video = Video(world, GRID)
    cell = int(range_m / GRID.cell_m)
    peaks = np.array([turn(video, t)[:, cell - 4 : cell + 5].max() for t in range(24)])
    draws = np.array([fluctuation.draw(generator(1, "rcs", vessel.name, t), 1) for t in range(24)])
    strong = draws > 0.1  # where noise adds little
    assert peaks[strong] / (expected * draws[strong]) == pytest.approx(0.97, abs=0.06)
    assert draws.mean() == pytest.approx(1.0, abs=0.7)
    level = Logarithmic().samples(np.array([[expected]], dtype=np.float32))[0, 0]
    assert level == pytest.approx((10 * math.log10(expected) - LOG_FLOOR_DB) / LOG_STEP_DB, abs=1.1)


def test_rain_lifts_the_floor(harbour: World) -> None:
    dry, wet = (
        Video(World(empty(harbour.scenario, weather={"rain_mm_h": rate, "sea_state": 1}), 3), SMALL)
        for rate in (0.0, 10.0)
    )
    floor = [float(np.mean([turn(v, t)[:, 300:400].mean() for t in (0, 40, 80)])) for v in (dry, wet)]
    expected = [1.0 + float(v.mean_clutter[300:400].mean()) for v in (dry, wet)]
    assert floor[0] == pytest.approx(expected[0], rel=0.05)
    assert expected[1] > 2.0 * expected[0]
    assert floor[1] == pytest.approx(expected[1], rel=0.6)  # showers: the mean over one picture is a matter of luck


def test_land_returns_stands_still_and_casts_shadow(harbour: World) -> None:
    coast = CoastTable(
        polygon_m=((-1500.0, 1500.0), (1500.0, 1500.0), (1500.0, 2500.0), (-1500.0, 2500.0)), height_m=90.0
    )
    behind = harbour.scenario.vessel[0].model_copy(update={"route_m": ((0.0, 3500.0),), "speed_mps": 0.0})
    front = behind.model_copy(update={"name": "front", "route_m": ((0.0, 1000.0),)})
    scenario = changed(
        harbour.scenario, vessel=(behind, front), expect=(), forbid=(), coast=(coast,), weather={"sea_state": 1},
        radar={"heading_deg": 0.0},
    )  # fmt: skip
    video = Video(World(scenario, 3), SMALL)
    cells = {name: int(r / SMALL.cell_m) for name, r in (("front", 1000.0), ("shore", 1550.0), ("behind", 3500.0))}
    pictures = [turn(video, t) for t in (0, 5)]
    ahead = [p[:3] for p in pictures]
    assert all(p[:, cells["front"] - 4 : cells["front"] + 5].max() > 100.0 for p in ahead)
    shore = [p[:, cells["shore"] : cells["shore"] + 40] for p in ahead]
    assert all(s.mean() > 300.0 for s in shore)
    assert np.corrcoef(np.log(shore[0]).ravel(), np.log(shore[1]).ravel())[0, 1] > 0.8
    # the panga behind the hill, and the sea around it: noise alone
    assert all(p[:, cells["behind"] - 4 : cells["behind"] + 5].mean() < 1.5 for p in ahead)
    open_sea = pictures[0][256, :100].mean()
    assert open_sea > 2.0  # astern there is clutter


def test_spikes_come_only_without_rejection(harbour: World) -> None:
    def spikes(*, rejects: bool) -> int:
        """Single cells far above their neighbours in range and azimuth, away from the vessels."""
        scenario = changed(harbour.scenario, radar={"interference_rejection": rejects}, weather={"sea_state": 1})
        video = Video(World(scenario, 3), GRID)
        found = 0
        for number in range(6):
            p = turn(video, number)[:, 600:]
            around = np.maximum(np.maximum(p[:-2, 1:-1], p[2:, 1:-1]), np.maximum(p[1:-1, :-2], p[1:-1, 2:]))
            found += int(((p[1:-1, 1:-1] > 100.0) & (around < 20.0)).sum())
        return found

    assert spikes(rejects=True) == 0
    assert spikes(rejects=False) > 20


def test_an_echo_fluctuates_from_turn_to_turn(video: Video, harbour: World) -> None:
    peaks = []
    for number in range(12):
        s = harbour.vessels[0].at(number * 2.5)
        range_m, bearing = polar(s.east_m, s.north_m)
        sector = int(wrap180(bearing - 330.0) / 360 * 64)
        cell = round(range_m / 6000 * 1024)
        near = np.concatenate([video.sector(number * 64 + k) for k in (sector - 1, sector, sector + 1) if k >= 0])
        peaks.append(10.0 * math.log10(near[:, cell - 10 : cell + 10].max()))
    assert max(peaks) - min(peaks) >= 6.0
    assert min(peaks) >= 9.0


def test_sectors_are_a_pure_function_of_seed_and_index(video: Video, harbour: World) -> None:
    same, other = (Video(World(harbour.scenario, harbour.seed + k), GRID) for k in (0, 1))
    assert (same.sector(70) == video.sector(70)).all()
    assert (other.sector(70) != video.sector(70)).any()
    assert (video.sector(3) == same.sector(3)).all()  # backwards too


def test_grids_of_other_radars_show_the_same_vessels(harbour: World) -> None:
    """1,440 x 695 and 250 x 240 cells: the ferry stands at its place in both."""
    ferry = harbour.vessels[1].at(0.0)
    range_m, bearing = polar(ferry.east_m, ferry.north_m)
    for grid in (
        Grid(spokes=1440, cells=695, range_m=6750.0, sectors=48),
        Grid(spokes=250, cells=240, range_m=8890.0, sectors=50),
    ):
        picture = turn(Video(harbour, grid), 0)
        near = int(1500.0 / grid.cell_m)  # beyond the sea's strongest clutter
        row, cell = np.unravel_index(int(np.argmax(picture[:, near:])), (grid.spokes, grid.cells - near))
        assert abs(wrap180(330.0 + int(row) * grid.spoke_deg - bearing)) < 1.5
        assert abs((int(cell) + near + 0.5) * grid.cell_m - range_m) < 80.0


def test_receivers() -> None:
    power = np.array([[0.0, 0.05, 0.1, 1.0, 10.0, 1e12, np.inf]], dtype=np.float32)
    # 8 bit: 0 at and below -10 dB, 25 at the noise, 50 at 10 dB, full at the top; infinity is not a level
    assert Logarithmic().samples(power).tolist() == [[0, 0, 0, 25, 50, 255, 0]]
    flat = SeaControlled(np.zeros(7))
    thresholds = 10 ** (0.9 + 0.3 * np.array([-0.1, 0.01, 1.01, 2.01, 13.01, 14.01, 20.0]))
    assert flat.samples(thresholds.astype(np.float32)[None, :]).tolist() == [[0, 1, 2, 3, 14, 15, 15]]
    sea = SeaControlled(np.full(7, 100.0))
    assert sea.samples(thresholds.astype(np.float32)[None, :]).tolist() == [[0, 0, 0, 0, 6, 7, 13]]
