"""The clutter map and the recall of weak echoes, over many turns."""

from __future__ import annotations

import numpy as np
import pytest

from agent.drivers.radar.video import VideoOptions
from agent.messages import Scan
from agent.perception.radar.clutter import ClutterMap
from agent.perception.radar.extract import PlotExtractor
from agent.perception.radar.recall import Recall

from .spokes import Target, picture, spokes
from .test_extract import OPTIONS, turned

NO_MASK = np.zeros((0, 0), np.bool_)
CELL = 100 * 64 + 20  # its flat index


def scans(pictures: list[np.ndarray], options: VideoOptions = OPTIONS, state: bytes = b"") -> tuple[list[Scan], bytes]:
    extractor = PlotExtractor("radar", options)
    extractor.restore(state)
    out: list[Scan] = []
    for turn, levels in enumerate([*pictures, pictures[-1]]):
        out += [s for spoke in spokes(levels, start_s=1000.0 + 2.5 * turn) if (s := extractor.feed(spoke)) is not None]
    return out, extractor.state()


def test_a_buoy_is_never_hidden() -> None:
    buoy = Target(range_m=2500.0, bearing_deg=40.0)
    got, _ = scans([picture([buoy])] * 60)
    assert all(len(s.plots) == 1 for s in got)


def test_land_becomes_clutter_within_turns_and_a_ship_before_it_does_not() -> None:
    ground = picture([])
    ground[100:300, 120:200] = 13
    ground[40:44, 60:66] = 11
    got, state = scans([ground] * 20)
    assert all(len(s.plots) == 1 for s in got)
    # the same land over a restart: known at once, also in pieces
    pieces = ground.copy()
    pieces[100:300:40] = 0
    pieces[101:300:40] = 0
    again, _ = scans([pieces], state=state)
    assert len(again[0].plots) == 1


def test_sporadic_echoes_teach_the_map_and_standing_ones_do_not() -> None:
    clutter = ClutterMap(256, 64, 1000.0, scans=16, min_level=2, margin=2)
    none = np.zeros(256, np.bool_)
    blank, lit = np.zeros((256, 64), np.uint8), np.zeros((256, 64), np.uint8)
    lit.reshape(-1)[CELL] = 12
    cells = np.array([CELL])
    for turn in range(80):  # now and then: learned
        here = turn % 5 == 0
        clutter.learn(lit if here else blank, cells if here else cells[:0], none)
    sporadic = int(clutter.limits(cells)[0])
    clutter = ClutterMap(256, 64, 1000.0, scans=16, min_level=2, margin=2)
    for _ in range(80):
        clutter.learn(lit, cells, none)
    assert sporadic > 3
    assert clutter.limits(cells)[0] == 2
    assert list(clutter.exceedances(lit, first_cell=0, masked=NO_MASK)) == [CELL]


@pytest.mark.parametrize("speed_mps", [0.0, 5.0, 25.0])
def test_a_weak_boat_is_seen_where_it_is_whatever_its_speed(speed_mps: float) -> None:
    boats = [Target(range_m=2000.0 + 2.5 * speed_mps * k, bearing_deg=200.0, level=3.4) for k in range(12)]
    got, _ = scans([picture([b]) for b in boats])
    seen = [s for s in got[3:] if s.plots]
    assert len(seen) >= 7
    for k, s in enumerate(got):
        for p in s.plots:
            assert abs(p.range_m - boats[min(k, 11)].range_m) < 40.0  # where it is now, not where it was
            assert abs(turned(p, boats[0])) < 1.5


def test_a_weak_echo_that_comes_once_is_none() -> None:
    rng = np.random.default_rng(3)
    blips = [
        picture([Target(range_m=rng.uniform(1000.0, 5500.0), bearing_deg=rng.uniform(0.0, 360.0), level=3.4)])
        for _ in range(40)
    ]
    got, _ = scans(blips)
    assert sum(len(s.plots) for s in got) <= 2


def test_recall_needs_two_turns_of_three_within_reach() -> None:
    recall = Recall()
    here, there = np.array([3000.0]), np.array([3600.0])
    north, slack, strength = np.array([0.0]), np.array([20.0]), np.array([5])
    for t, place in ((0.0, here), (2.5, there), (5.0, here)):
        assert not recall.again(t, place, north, slack)[0]
        recall.note(t, place, north, strength)
    assert recall.again(7.5, here, north, slack)[0]
    assert not recall.again(7.5, there, north, slack)[0]
    recall.forget()
    assert not recall.again(10.0, here, north, slack)[0]
