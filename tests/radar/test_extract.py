"""Plots from video made of known targets: where they are, that they stay apart, and that noise stays noise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.drivers.radar.video import VideoOptions
from agent.messages import Plot, Scan
from agent.perception.radar.extract import PlotExtractor

from .spokes import Target, picture, spokes

OPTIONS = VideoOptions(azimuths=512)


def scans(levels: list[np.ndarray], **how: object) -> list[Scan]:
    """The scans of one picture a turn; a turn more pushes the last one out."""
    extractor = PlotExtractor("radar", OPTIONS)
    out: list[Scan] = []
    for turn, picture_ in enumerate([*levels, levels[-1]]):
        turned_by = spokes(picture_, start_s=1000.0 + 2.5 * turn, **how)  # type: ignore[arg-type] # test's own keywords
        out += [scan for spoke in turned_by if (scan := extractor.feed(spoke)) is not None]
    return out


def nearest(plots: tuple[Plot, ...], target: Target) -> tuple[float, float]:
    """(range error, bearing error) of the plot nearest to a target."""
    found = min(plots, key=lambda p: abs(p.range_m - target.range_m) + abs(turned(p, target)) * 50.0)
    return found.range_m - target.range_m, turned(found, target)


def turned(p: Plot, target: Target) -> float:
    return (p.bearing_deg - target.bearing_deg + 180.0) % 360.0 - 180.0


@settings(deadline=None, max_examples=25)
@given(
    range_m=st.floats(800.0, 5500.0), bearing=st.floats(0.0, 359.99), heading=st.floats(0.0, 359.9),
    first=st.integers(0, 511),
)  # fmt: skip
def test_a_target_is_where_it_is_whatever_the_heading_and_the_first_spoke(
    range_m: float, bearing: float, heading: float, first: int
) -> None:
    target = Target(range_m=range_m, bearing_deg=bearing)
    got = scans([picture([target])] * 2, heading_deg=heading, first=first)
    plots = got[-1].plots
    assert len(plots) == 1
    range_error, bearing_error = nearest(plots, target)
    assert abs(range_error) < 24.0  # a range cell
    assert abs(bearing_error) < 0.5  # an eighth of the beam
    assert abs(range_error) < 4.0 * plots[0].sigma_range_m
    assert abs(bearing_error) < 4.0 * plots[0].sigma_bearing_deg


def test_across_north_it_is_one_plot() -> None:
    for bearing in (0.0, 0.3, 359.8):
        (plot,) = scans([picture([Target(range_m=3000.0, bearing_deg=bearing)])] * 2)[-1].plots
        assert abs(turned(plot, Target(range_m=3000.0, bearing_deg=bearing))) < 0.5


def test_two_targets_two_beams_apart_stay_two() -> None:
    a, b = Target(range_m=3000.0, bearing_deg=80.0), Target(range_m=3000.0, bearing_deg=88.0)
    plots = scans([picture([a, b])] * 2)[-1].plots
    assert len(plots) == 2
    for t in (a, b):
        assert abs(nearest(plots, t)[1]) < 0.7


def test_two_targets_behind_each_other_stay_two() -> None:
    a, b = Target(range_m=3000.0, bearing_deg=80.0), Target(range_m=3250.0, bearing_deg=80.0)
    assert len(scans([picture([a, b])] * 2)[-1].plots) == 2


@pytest.mark.parametrize(("level_db", "amplitude_db"), [(0.0, None), (3.0, 33.0)])
def test_amplitude_is_the_highest_level_in_decibels(level_db: float, amplitude_db: float | None) -> None:
    extractor = PlotExtractor("radar", VideoOptions(azimuths=512, level_db=level_db))
    levels = picture([Target(range_m=3000.0, bearing_deg=80.0, level=11.0)])
    turns = [s for turn in range(3) for s in spokes(levels, start_s=1000.0 + 2.5 * turn)]
    got = [scan for spoke in turns if (scan := extractor.feed(spoke)) is not None]
    assert [p.amplitude_db for p in got[-1].plots] == [amplitude_db]
    assert VideoOptions(level_db=3.0).for_video(255).level_db == pytest.approx(45.0 / 255.0)


def test_a_crowd_is_land_until_the_map_knows_it() -> None:
    """And a boat apart from it is seen from the first turn on, as are the crowd's echoes that stay, later."""
    boat = Target(range_m=4000.0, bearing_deg=200.0)
    crowd = [Target(range_m=1500.0 + 240.0 * (n // 2), bearing_deg=60.0 + 8.0 * (n % 2)) for n in range(6)]
    got = scans([picture([boat, *crowd])] * 34)
    assert {len(s.plots) for s in got[:32]} == {1}
    assert [len(s.plots) for s in got[32:]] == [7, 7]
    few = scans([picture([boat, *crowd[:4]])] * 2)
    assert [len(s.plots) for s in few] == [5, 5]


def test_noise_gives_few_plots_and_a_target_in_it_is_found() -> None:
    target = Target(range_m=3000.0, bearing_deg=123.0, level=11.0)
    # a noise floor one level up; at 2.5 levels, where real receivers set their gain lower, 22 plots a turn came through
    got = scans([picture([target], noise=1.0, seed=s) for s in range(12)])
    assert all(any(abs(p.range_m - 3000.0) < 50.0 and abs(turned(p, target)) < 1.0 for p in s.plots) for s in got[2:])
    assert np.mean([len(s.plots) for s in got[2:]]) < 2.0


def test_interference_on_single_spokes_is_no_target() -> None:
    rng = np.random.default_rng(4)
    turns = []
    for _ in range(4):
        levels = picture([Target(range_m=2500.0, bearing_deg=40.0)])
        for row in rng.integers(0, 512, 30):
            levels[row, rng.integers(0, 200) :: 17] = 13
        turns.append(levels)
    for scan in scans(turns):
        assert len(scan.plots) == 1


def test_video_without_heading_is_counted_and_gives_nothing() -> None:
    extractor = PlotExtractor("radar", OPTIONS)
    levels = picture([Target(range_m=2500.0, bearing_deg=40.0)])
    assert all(extractor.feed(s) is None for _ in range(2) for s in spokes(levels, heading_deg=None))
    assert extractor.counters["no_heading"] == 1024


def test_a_learned_map_goes_over_a_restart() -> None:
    levels = [picture([Target(range_m=2500.0, bearing_deg=40.0)], noise=3.0, seed=s) for s in range(6)]
    first = PlotExtractor("radar", OPTIONS)
    for turn, picture_ in enumerate(levels):
        for spoke in spokes(picture_, start_s=1000.0 + 2.5 * turn):
            first.feed(spoke)
    again = PlotExtractor("radar", OPTIONS)
    again.restore(first.state())
    for spoke in spokes(levels[0], start_s=2000.0):
        again.feed(spoke)
    assert len(again.state()) > 100


def test_a_plot_carries_the_time_at_which_the_antenna_passed_it() -> None:
    extractor = PlotExtractor("radar", VideoOptions(azimuths=512, beamwidth_deg=4.0))
    target = [Target(range_m=2500.0, bearing_deg=b, level=10) for b in (10.0, 200.0, 350.0)]
    plots = []
    for turn in range(6):
        start_s = 1000.0 + 2.5 * turn
        for spoke in spokes(picture(target), start_s=start_s):
            if scan := extractor.feed(spoke):
                plots = [(p.bearing_deg, p.at_s - (start_s - 2.5)) for p in scan.plots]
                assert all(scan.at_s - 2.5 < p.at_s <= scan.at_s for p in scan.plots)
    assert len(plots) == 3
    for bearing_deg, late_s in plots:
        assert late_s == pytest.approx(2.5 * bearing_deg / 360.0, abs=0.006)  # a spoke and a bit


def test_a_spokes_clock_that_jumps_back_or_stands_leaves_plots_within_their_turn() -> None:
    extractor = PlotExtractor("radar", VideoOptions(azimuths=512, beamwidth_deg=4.0))
    target = [Target(range_m=2500.0, bearing_deg=b, level=10) for b in (10.0, 200.0, 350.0)]
    seen = 0
    last_s = 0.0
    for turn in range(6):
        for n, spoke in enumerate(spokes(picture(target), start_s=1000.0 + 2.5 * turn)):
            back_s = 1.5 if n % 3 == 0 else 0.0
            if scan := extractor.feed(spoke._replace(at_s=spoke.at_s - back_s)):
                times = [p.at_s for p in sorted(scan.plots, key=lambda p: p.bearing_deg)]
                seen += len(times)
                assert times == sorted(times)
                assert all(last_s <= t <= scan.at_s for t in times)
                last_s = scan.at_s
    assert seen
