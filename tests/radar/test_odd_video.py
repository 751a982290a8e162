"""Video that is not one whole turn after the other: stray spokes, ranges by turns, sectors that are never sent."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.drivers.radar.video import Spoke, VideoOptions
from agent.messages import Scan
from agent.perception.radar.extract import PlotExtractor
from agent.perception.radar.frame import HELD
from agent.perception.radar.geometry import KEPT, SPOKES

from .spokes import Target, picture, spokes

TURN_S = 2.5
BOAT = Target(range_m=2500.0, bearing_deg=10.0)
LEVELS = picture([BOAT])


def extractor() -> PlotExtractor:
    return PlotExtractor("radar", VideoOptions(azimuths=512))


def turn(n: int, range_m: float = 6144.0) -> list[Spoke]:
    return list(spokes(LEVELS, start_s=1000.0 + TURN_S * n, range_m=range_m))


def feed(radar: PlotExtractor, video: Iterable[Spoke]) -> list[Scan]:
    return [scan for spoke in video if (scan := radar.feed(spoke)) is not None]


@settings(deadline=None, max_examples=15)
@given(at=st.integers(1, 500), many=st.integers(1, 32), factor=st.sampled_from([0.5, 0.999, 1.0 + 4e-6, 2.0]))
def test_an_odd_datagram_a_turn_is_left_out_and_costs_nothing(at: int, many: int, factor: float) -> None:
    clean, hit = extractor(), extractor()
    expected = feed(clean, [s for n in range(5) for s in turn(n)])
    got = []
    for n in range(5):
        video = turn(n)
        odd = [video[at]._replace(range_m=6144.0 * factor)] * many
        got += feed(hit, video[:at] + odd + video[at:])
    assert got == expected
    assert len(got) == 4
    assert hit.state() == clean.state()
    assert (hit.counters["odd"], hit.counters["restarts"]) == (5 * many, 1)


def test_a_stray_first_spoke_does_not_cost_the_saved_map() -> None:
    learned = extractor()
    feed(learned, [s for n in range(4) for s in turn(n)])
    again = extractor()
    again.restore(learned.state())
    feed(again, [turn(9)[0]._replace(range_m=100.0)])
    feed(again, turn(10)[:SPOKES])
    assert again.state() == learned.state()


def test_a_change_of_range_takes_effect_in_the_same_turn_and_loses_no_spoke() -> None:
    radar = extractor()
    feed(radar, [s for n in range(3) for s in turn(n)])
    before = radar.state()
    feed(radar, turn(3, 3072.0)[: SPOKES - 1])
    assert radar.frame.range_m == 6144.0
    feed(radar, turn(3, 3072.0)[SPOKES - 1 : SPOKES])
    assert radar.frame.range_m == 3072.0
    assert np.count_nonzero(radar.frame.fresh) == SPOKES
    feed(radar, turn(4))
    assert radar.counters["odd"] == 0
    assert len(radar.state()) > len(before) // 2


def test_a_radar_that_comes_back_to_a_range_has_its_map_again() -> None:
    radar = extractor()
    feed(radar, [s for n in range(6) for s in turn(n)])
    learned, land = radar.state(), radar.land
    for k in range(KEPT):
        feed(radar, turn(6 + k, 1000.0 + k)[:SPOKES])
    feed(radar, turn(20)[:SPOKES])
    assert radar.land is land
    assert len(learned) > 100
    for k in range(KEPT + 1):
        feed(radar, turn(30 + k, 2000.0 + k)[:SPOKES])
    feed(radar, turn(40)[:SPOKES])
    assert radar.land is not land


def test_ranges_by_turns_give_every_turn_with_its_own_map() -> None:
    radar = extractor()
    got = feed(radar, [s for n in range(20) for s in turn(n, 3072.0 if n % 2 else 6144.0)])
    assert len(got) == 19
    for n, scan in enumerate(got):
        (plot,) = scan.plots
        assert abs(plot.range_m - (1250.0 if n % 2 else 2500.0)) < 24.0
        assert scan.unseen == ()
        assert scan.at_s == turn(n)[-1].at_s


def test_spokes_of_two_sizes_by_turns_cost_no_new_picture() -> None:
    radar = PlotExtractor("radar", VideoOptions())
    one = turn(0)[0]
    for n in range(400):
        radar.feed(one._replace(samples=np.zeros(8192 - (n & 1), np.uint8)))
    assert radar.counters["restarts"] == 1
    assert radar.counters["odd"] >= 199


@pytest.mark.parametrize("way", [1, -1])
@pytest.mark.parametrize("first", [0, 31, 70])
@pytest.mark.parametrize(("width", "fewest"), [(300, 19), (260, 19), (200, 19), (170, 16), (90, 16)])
def test_a_radar_that_sends_a_sector_gives_a_scan_a_turn(width: int, fewest: int, first: int, way: int) -> None:
    radar = extractor()
    video = [s for n in range(20) for s in turn(n) if s.angle_deg < width]
    if way < 0:
        video = [s._replace(angle_deg=(-s.angle_deg) % 360.0) for s in video]
    got = feed(radar, video[first:])
    assert fewest <= len(got) <= 20
    steps = np.diff([scan.at_s for scan in got])
    assert np.all(np.abs(steps - TURN_S) < 0.01)
    assert radar.last.seen > 0.9  # of what is usually sent
    for scan in got[1:]:
        gone = math.fsum((u.to_deg - u.from_deg) % 360.0 * u.share for u in scan.unseen)
        assert abs(gone - (360.0 - width)) < 4.0
        assert len(scan.plots) == 1


def test_a_sector_that_fails_later_is_missing() -> None:
    radar = extractor()
    feed(radar, [s for n in range(8) for s in turn(n)])
    feed(radar, [s for n in range(8, 20) for s in turn(n) if s.angle_deg < 250.0])
    assert abs(radar.last.seen - 250.0 / 360.0) < 0.03


@settings(deadline=None, max_examples=15)
@given(data=st.data())
def test_late_and_stray_spokes_end_no_turn(data: st.DataObject) -> None:
    """Runs of spokes arrive up to 30 deg late, single ones have any bearing: still one scan a turn."""
    radar = extractor()
    video = [s for n in range(5) for s in turn(n)]
    at = data.draw(st.integers(0, len(video) - 80))
    late, by = data.draw(st.integers(1, 32)), data.draw(st.integers(1, 42))
    video = video[:at] + video[at + late : at + late + by] + video[at : at + late] + video[at + late + by :]
    k = data.draw(st.integers(600, 2000))
    stray = data.draw(st.lists(st.floats(0.0, 359.9), min_size=1, max_size=HELD - 1))
    video[k:k] = [video[k]._replace(angle_deg=deg) for deg in stray]
    got = feed(radar, video)
    assert len(got) == 4
    assert np.all(np.abs(np.diff([scan.at_s for scan in got]) - TURN_S) < 0.35)


def test_an_antenna_that_is_blown_back_a_bit_ends_no_turn() -> None:
    radar = extractor()
    one = turn(0)
    back = [s._replace(at_s=s.at_s + 2.0) for s in one[260:200:-1]]
    again = [s._replace(at_s=s.at_s + 3.0) for s in one[200:]]
    assert feed(radar, one[:260] + back + again) == []
    assert len(feed(radar, [s._replace(at_s=s.at_s + 5.5) for s in one[:2]])) == 1


def test_a_radar_that_completes_no_turn_says_why() -> None:
    radar = extractor()
    for n in range(16):  # half a turn at each of two ranges
        video = turn(n)
        feed(radar, [s._replace(range_m=3072.0) for s in video[:256]] + video[256:])
    assert radar.counters["scans"] == 0
    assert radar.stuck().startswith("spokes come, but no turn has been complete for 40 s: 3")
    assert radar.stuck().endswith(" changes of range or pauses")
    feed(radar, [s for n in range(16, 19) for s in turn(n)])
    assert radar.stuck() == ""


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"angle_deg": 12.0}, "the antenna has turned 0 deg"),
        ({"valid": False}, "{n} spokes that are marked as not valid or have no range"),
        ({"heading_deg": None}, "{n} spokes without a heading"),
    ],
)
def test_every_cause_has_its_words(change: dict[str, object], why: str) -> None:
    radar = extractor()
    video = [s._replace(**change) for n in range(8) for s in turn(n)]  # type: ignore[arg-type] # test's own fields
    feed(radar, [s for s in video if s.at_s < 1014.9])
    assert radar.stuck() == ""
    feed(radar, [s for s in video if s.at_s >= 1014.9])
    assert radar.stuck() == f"spokes come, but no turn has been complete for 20 s: {why.format(n=len(video))}"
