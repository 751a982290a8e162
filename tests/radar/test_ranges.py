"""The bench of detection ranges: its equation, its bins, its looks and its chain are what they say."""

from __future__ import annotations

import math

import numpy as np
import pytest

from agent.messages import Plot
from bench.video.ranges import (
    CODINGS,
    Chain,
    at_most,
    crossing_m,
    equation_m,
    far_radar,
    is_at,
    look,
    scans,
    scenario,
    shares_by_range,
)
from hardware_sim.world import World

VESSEL = {"name": "v", "kind": "trawler", "route_m": [(1500.0, 2000.0)], "end": "hold"}  # 2,500 m off


def test_the_range_is_where_the_share_falls_through_for_the_last_time() -> None:
    ranges, shares = np.array([1000.0, 2000.0, 3000.0, 4000.0]), np.array([0.4, 1.0, 0.6, 0.1])
    assert crossing_m(ranges, shares, 0.8) == pytest.approx(2500.0)
    assert crossing_m(ranges, shares, 0.5) == pytest.approx(3200.0)
    assert math.isnan(crossing_m(ranges, shares, 0.05)), "seen to the end: the range is not known"


def test_the_equation_sees_less_far_for_fewer_false_alarms_and_hits() -> None:
    radar = far_radar()
    at = equation_m("panga", radar, 1e-4, 0.8)
    assert equation_m("panga", radar, 1e-7, 0.8) < at < equation_m("panga", radar, 1e-4, 0.5)
    assert equation_m("panga", radar, 1e-4, 0.8, hits=1.0) < at < equation_m("ferry", radar, 1e-4, 0.8)


def test_bins_hold_looks_of_about_one_range_and_few_looks_make_none() -> None:
    looks = [(2000.0, k < 30) for k in range(40)] + [(3000.0, k < 10) for k in range(40)] + [(4000.0, True)] * 39
    ranges, shares = shares_by_range(looks)
    assert ranges.tolist() == pytest.approx([2000.0, 3000.0])
    assert shares.tolist() == pytest.approx([0.75, 0.25])


def test_none_in_many_cells_is_no_more_than_three() -> None:
    assert at_most(0) == pytest.approx(3.0, abs=0.01)
    assert at_most(7) == 7.0


def test_a_plot_is_at_a_vessel_within_beam_and_pulse() -> None:
    radar = far_radar()

    def plot(range_m: float, bearing_deg: float) -> Plot:
        return Plot(
            at_s=0.0, source="radar", range_m=range_m, bearing_deg=bearing_deg, sigma_range_m=5.0, sigma_bearing_deg=0.1
        )

    assert is_at(plot(2020.0, 359.5), 2000.0, 0.5, radar, 7.0), "over north"
    assert not is_at(plot(2020.0, 358.5), 2000.0, 0.5, radar, 7.0)
    assert not is_at(plot(2040.0, 0.5), 2000.0, 0.5, radar, 7.0)
    assert is_at(plot(2040.0, 0.5), 2000.0, 0.5, radar, 78.0), "a long hull"


@pytest.mark.parametrize("coding", CODINGS)
def test_a_near_vessel_comes_through_the_chain_where_the_beam_met_it(coding: str) -> None:
    world = World(scenario([VESSEL], 4000.0), 1)
    radar = far_radar()
    chain = Chain(coding, radar.table.beam_width_deg, {})
    ((_, turn, scan),) = scans(world, {coding: chain}, 1)
    range_m, bearing = look(world.vessels[0], turn, radar.turn_s)
    assert range_m == pytest.approx(2500.0)
    assert bearing == pytest.approx(36.87, abs=0.01)
    assert any(is_at(p, range_m, bearing, radar, 27.0) for p in scan.plots)
