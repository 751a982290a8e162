"""CFAR along range, and sectors in which nothing is looked for."""

from __future__ import annotations

import numpy as np
import pytest

from agent.drivers.radar.video import VideoOptions
from agent.perception.radar.cfar import SIDE, Kind, background
from agent.perception.radar.masks import masked

from .spokes import Target, picture
from .test_clutter import scans

KINDS: tuple[Kind, ...] = ("ca", "go", "os")


@pytest.mark.parametrize("kind", KINDS)
def test_level_ground_is_its_own_background(kind: Kind) -> None:
    levels = np.full((4, 128), 40, np.uint8)
    index = np.arange(4 * 128)
    assert background(levels, index, kind, 3) == pytest.approx(np.full(512, 40.0))


def test_by_hand_at_an_edge_and_beside_a_target() -> None:
    levels = np.full((1, 128), 10, np.uint8)
    levels[0, 64:] = 50  # clutter begins
    at = np.array([62])
    guard = 1
    # before: 16 cells of 10; behind: cells 64..79, all 50
    assert background(levels, at, "ca", guard)[0] == 30.0
    assert background(levels, at, "go", guard)[0] == 50.0
    levels = np.full((1, 128), 10, np.uint8)
    levels[0, 66:70] = 90  # another target
    assert background(levels, at, "os", guard)[0] == 10.0
    assert background(levels, at, "ca", guard)[0] == 20.0


@pytest.mark.parametrize("kind", KINDS)
def test_false_alarms_are_as_many_whatever_the_level_of_the_noise(kind: Kind) -> None:
    """Logarithmic video of exponential power: the share over a margin does not move with the mean."""
    shares = []
    for floor in (60.0, 120.0):
        power = np.random.default_rng(5).exponential(size=(64, 512))
        levels = np.clip(floor + 10.0 * np.log(power), 0, 255).astype(np.uint8)
        index = np.arange(levels.size)
        shares.append(float(np.mean(levels.reshape(-1) >= background(levels, index, kind, 2) + 12.0)))
    assert shares[0] == pytest.approx(shares[1], rel=0.1)
    # with the background known: CA exp(-exp(1.2 - 0.577)) = 0.155, OS exp(-exp(1.2 + 0.327)) = 0.010
    assert 0.005 < shares[0] < 0.25


def test_the_margin_to_the_ends_is_decided_by_the_side_that_is_there() -> None:
    levels = np.zeros((1, 64), np.uint8)
    levels[0, 2 : 2 + SIDE] = 30
    assert background(levels, np.array([0]), "ca", 1)[0] == 30.0


def test_nothing_is_found_in_a_blank_sector_and_everything_beside_it() -> None:
    inside, beside, beyond = (
        Target(range_m=r, bearing_deg=b) for r, b in ((3000.0, 2.0), (3000.0, 40.0), (5000.0, 2.0))
    )
    options = VideoOptions(azimuths=512, blank_sectors=((350.0, 15.0, 2000.0, 4000.0),))
    got, _ = scans([picture([inside, beside, beyond])] * 2, options)
    assert sorted((round(p.range_m, -3), round(p.bearing_deg, -1)) for p in got[-1].plots) == [(3000, 40), (5000, 0)]


def test_sectors_over_north_and_all_around() -> None:
    m = masked(((350.0, 10.0, 0.0, 100.0),), 36, 10, 20.0, 0.0)
    assert m[:1].any(axis=1).all()
    assert m[35].any()
    assert not m[1:35].any()
    assert m[0].tolist() == [True] * 5 + [False] * 5
    assert masked(((0.0, 0.0, 0.0, 1e9),), 36, 10, 20.0, 0.0).all()
    assert not masked((), 36, 10, 20.0, 0.0).size
