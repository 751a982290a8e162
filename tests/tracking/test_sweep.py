"""A vessel is where it was when the antenna passed it: plots' own times, in the filter and in the first two plots."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from agent.config.schema import Config, Site, Tracking
from agent.core import Core
from agent.messages import Plot, Scan, Tick, TrackPicture
from agent.tracking import sweep

PERIOD_S = 2.5
KNOT = 1852.0 / 3600.0
TURNS = 40


def _core() -> Core:
    site = Site(name="t", lat=43.0, lon=-8.0, height_m=0.0)
    return Core(Config(site=site, tracking=Tracking(max_speed_mps=60.0)))


def _plot(rng: np.random.Generator, t: float, x: float, y: float) -> Plot:
    return Plot(
        at_s=t, source="r", range_m=math.hypot(x, y) + rng.normal(0.0, 5.0),
        bearing_deg=(math.degrees(math.atan2(x, y)) + rng.normal(0.0, 0.02)) % 360.0, sigma_range_m=5.0,
        sigma_bearing_deg=0.02,
    )  # fmt: skip


def _turn(rng: np.random.Generator, end_s: float, paths: list[tuple[float, float, float, float]]) -> Scan:
    """The antenna turns from north to north and passes each of the straight `paths` (place at 0 s, velocity)."""
    plots = []
    for x, y, vx, vy in paths:
        t = end_s
        for _ in range(4):  # it moves while the antenna comes round
            share = math.atan2(x + vx * t, y + vy * t) / (2.0 * math.pi) % 1.0
            t = end_s - PERIOD_S * (1.0 - share)
        plots.append(_plot(rng, t, x + vx * t, y + vy * t))
    plots.sort(key=lambda p: p.at_s)
    return Scan(at_s=end_s, source="r", plots=tuple(plots), period_s=PERIOD_S)


def _off(core: Core, at_s: float, path: tuple[float, float, float, float]) -> float:
    """How far the nearest track of the picture at `at_s` is from where the vessel is then."""
    pictures = [m for m in core.step(Tick(at_s=at_s)) if isinstance(m, TrackPicture)]
    x, y = path[0] + path[2] * at_s, path[1] + path[3] * at_s
    return min(math.hypot(t.east_m - x, t.north_m - y) for t in pictures[-1].tracks)


@pytest.mark.parametrize("speed_kn", [20.0, 50.0, 100.0])
@pytest.mark.parametrize("course_deg", [10.0, 100.0], ids=["outbound", "crossing"])
def test_a_vessel_swept_early_in_the_turn_is_shown_where_it_is(speed_kn: float, course_deg: float) -> None:
    b, c = math.radians(10.0), math.radians(course_deg)
    path = (4000.0 * math.sin(b), 4000.0 * math.cos(b), speed_kn * KNOT * math.sin(c), speed_kn * KNOT * math.cos(c))
    off = {}
    for own in (True, False):
        rng, core = np.random.default_rng(3), _core()
        far = []
        for k in range(1, TURNS + 1):
            scan = _turn(rng, k * PERIOD_S, [path])
            if not own:
                scan = dataclasses.replace(
                    scan, plots=tuple(dataclasses.replace(p, at_s=scan.at_s) for p in scan.plots)
                )
            core.step(scan)
            if k > TURNS // 2:
                far.append(_off(core, k * PERIOD_S + 0.1, path))
        off[own] = float(np.mean(far))
    assert off[True] < 5.0
    if course_deg == 10.0:
        assert off[False] > 0.6 * speed_kn * KNOT * PERIOD_S


def test_two_vessels_on_either_side_of_where_the_turn_begins_each_keep_their_own_time() -> None:
    paths = [(-150.0, 3000.0, 0.0, 25.0), (150.0, 3000.0, 0.0, 25.0)]
    rng, core = np.random.default_rng(4), _core()
    for k in range(1, TURNS + 1):
        core.step(_turn(rng, k * PERIOD_S, paths))
    for path in paths:
        assert _off(core, TURNS * PERIOD_S + 0.1, path) < 10.0


def test_times_that_are_no_times_of_the_turn_count_as_its_end() -> None:
    measured = np.array([10.0, 9.0, 7.6, math.nan, math.inf, -math.inf, 10.01, 6.0])
    got = sweep.within_turn(measured, 10.0, PERIOD_S)
    assert got.tolist() == [10.0, 9.0, 7.6, 10.0, 10.0, 10.0, 10.0, 10.0]
    assert sweep.within_turn(measured, 10.0, 0.0).tolist() == [10.0] * 8


def test_odd_times_give_the_same_picture_as_the_turns_own() -> None:
    pictures = []
    for odd in (None, math.nan, math.inf, 1e9, -1e9):
        rng, core = np.random.default_rng(5), _core()
        out: list[object] = []
        for k in range(1, 11):
            t = k * PERIOD_S
            both = (_plot(rng, t, 3000.0, 2000.0 + 10.0 * t), _plot(rng, t, -3000.0, 2000.0 - 10.0 * t))
            plots = tuple(dataclasses.replace(p, at_s=t if odd is None else odd) for p in both)
            out += core.step(Scan(at_s=t, source="r", plots=plots, period_s=PERIOD_S))
            out += core.step(Tick(at_s=t))
        pictures.append(repr(out))
    assert "confirmed" in pictures[0]
    assert all(p == pictures[0] for p in pictures)
