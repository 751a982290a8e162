"""Known land: missed when the receiver goes deaf, never on an open sea, and not in ordinary weather."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from agent.drivers.radar.video import VideoOptions
from agent.errors import InputError
from agent.perception.radar import land
from agent.perception.radar.clutter import ClutterMap
from agent.perception.radar.extract import PlotExtractor, reject_interference
from agent.perception.radar.land import KnownLand
from hardware_sim import scenario
from hardware_sim.radar.receiver import Logarithmic, SeaControlled
from hardware_sim.radar.video import Grid, Video
from hardware_sim.world import World

from .spokes import Target, picture, spokes

NONE = np.zeros(0, np.int64)
OPTIONS = VideoOptions(azimuths=512)
LEARNED = (land.ENOUGH + 1) * land.PERIOD
TURNS = 24  # of the simulator, over and over again: each has its own noise, speckle and waves


class Coast:
    """Turns of the simulator's bay, with or without its land, in some weather, with some gain lost (dB)."""

    def __init__(self, sea_state: int, wind_mps: float, rain_mm_h: float = 0.0, *, coast: bool = True) -> None:
        base = scenario.load("bad-day")
        weather = {"sea_state": sea_state, "wind_mps": wind_mps, "rain_mm_h": rain_mm_h}
        chosen = base.model_copy(
            update={"weather": base.weather.model_copy(update=weather), "coast": base.coast if coast else ()}
        )
        grid = Grid(spokes=512, cells=256, range_m=base.radar.range_m, sectors=16)
        self._video = Video(World(chosen, seed=11), grid)
        self._power = [np.concatenate([self._video.sector(7 * 16 * t + k) for k in range(16)]) for t in range(TURNS)]

    def turns(self, coding: str, *, lost_db: float = 0.0) -> list[np.ndarray]:
        receiver = Logarithmic() if coding == "log" else SeaControlled(self._video.mean_clutter)
        gain = np.float32(10.0 ** (-lost_db / 10.0))
        return [reject_interference(receiver.samples(p * gain)) for p in self._power]


def known_land(coding: str) -> KnownLand:
    o = OPTIONS.for_video(255 if coding == "log" else 15)
    return KnownLand(512, 256, 9260.0, strong=o.min_level, contrast=o.clutter_margin, step=o.weak_level // 2)


def feed(known: KnownLand, turns: list[np.ndarray], count: int, unseen: np.ndarray | None = None) -> None:
    seen = np.zeros(512, np.bool_)
    for t in range(count):
        known.turn(turns[t % len(turns)], NONE, seen if unseen is None else unseen)


@pytest.fixture(scope="module")
def bay() -> Coast:
    return Coast(2, 4.0)


@pytest.mark.parametrize(("coding", "lost_db"), [("4bit", 20.0), ("4bit", 40.0), ("log", 50.0), ("log", 70.0)])
def test_a_receiver_that_goes_deaf_misses_the_land_and_hears_it_again(bay: Coast, coding: str, lost_db: float) -> None:
    known = known_land(coding)
    feed(known, bay.turns(coding), LEARNED)
    assert known.known >= 20
    assert (known.shown, known.sentence()) == (known.known, "")
    deaf = bay.turns(coding, lost_db=lost_db)
    feed(known, deaf, 2)
    assert not known.lost, "two turns say nothing"
    feed(known, deaf, 2 * land.TURNS)
    assert known.sentence().startswith(f"{known.shown} of {known.known} sectors that always showed land")
    assert known.shown < known.known / 2
    sectors = known.known
    feed(known, deaf, LEARNED)  # hours later
    assert (known.lost, known.known) == (True, sectors), "neither forgotten nor learned anew while it is missed"
    feed(known, bay.turns(coding), 2 * land.TURNS)
    assert known.sentence() == ""


@pytest.mark.parametrize("coding", ["4bit", "log"])
def test_an_open_sea_knows_no_land_and_misses_none(coding: str) -> None:
    known = known_land(coding)
    for weather in ((6, 20.0, 8.0), (1, 2.0, 0.0)):
        feed(known, Coast(*weather, coast=False).turns(coding), LEARNED)
        assert (known.known, known.lost) == (0, False)


@pytest.mark.parametrize("coding", ["4bit", "log"])
def test_a_rising_sea_is_no_deaf_receiver(bay: Coast, coding: str) -> None:
    known = known_land(coding)
    feed(known, bay.turns(coding), LEARNED)
    feed(known, Coast(4, 10.0, 1.0).turns(coding), 4 * land.TURNS)
    assert not known.lost
    assert known.shown >= 0.75 * known.known


def test_ships_at_anchor_are_no_land() -> None:
    roads = picture([Target(range_m=2500.0, bearing_deg=b, level=13.0) for b in range(0, 360, 20)])
    cells = np.flatnonzero(roads.reshape(-1) >= OPTIONS.min_level)
    known = known_land("4bit")
    for _ in range(LEARNED):
        known.turn(roads, cells, np.zeros(512, np.bool_))
    assert known.known == 0


def test_a_hill_that_alone_stops_answering_is_forgotten() -> None:
    island = picture([])
    island[100:300, 120:200] = 13
    half = island.copy()
    half[100:160] = 0
    known = known_land("4bit")
    feed(known, [island], LEARNED)
    sectors = known.known
    assert sectors >= 14
    feed(known, [half], 6 * land.PERIOD)
    assert not known.lost
    assert known.known == known.shown < sectors


def test_what_was_not_seen_says_nothing() -> None:
    island = picture([])
    island[100:300, 120:200] = 13
    known = known_land("4bit")
    feed(known, [island], LEARNED)
    blank, unseen = island.copy(), np.zeros(512, np.bool_)
    unseen[90:310], blank[90:310] = True, 0
    feed(known, [blank], 4 * land.TURNS, unseen)
    assert not known.lost
    feed(known, [np.zeros_like(island)], 4 * land.TURNS, np.ones(512, np.bool_))
    assert not known.lost


def test_noise_on_the_whole_picture_shows_no_land() -> None:
    island = picture([])
    island[100:300, 120:200] = 13
    known = known_land("4bit")
    feed(known, [island], LEARNED)
    for noise in (1.0, 3.0, 9.0):
        feed(known, [picture([], noise=noise, seed=s) for s in range(6)], 3 * land.TURNS)
        assert (known.shown, known.lost) == (0, True), noise
    feed(known, [np.maximum(island, picture([], noise=2.0))], 3 * land.TURNS)
    assert not known.lost


def learned() -> tuple[np.ndarray, KnownLand]:
    island = picture([], noise=1.0)
    island[100:300, 120:200] = 13
    o = OPTIONS
    known = KnownLand(512, 256, 6144.0, strong=o.min_level, contrast=o.clutter_margin, step=o.weak_level // 2)
    feed(known, [island], LEARNED)
    return island, known


def run(extractor: PlotExtractor, levels: np.ndarray, turns: int) -> None:
    for turn in range(turns):
        for spoke in spokes(levels, start_s=1000.0 + 2.5 * turn):
            extractor.feed(spoke)


def state_of(known: KnownLand) -> bytes:
    """What an extractor would have stored that has learned this land."""
    o = OPTIONS
    extractor = PlotExtractor("radar", o)
    run(extractor, picture([]), 2)
    extractor.land = known
    return extractor.state()


def test_known_land_goes_over_a_restart() -> None:
    island, known = learned()
    again = PlotExtractor("radar", OPTIONS)
    again.restore(state_of(known))
    run(again, island, 3)
    assert again.land is not None
    assert (again.land.known, again.land.shown) == (known.known, known.known)
    run(again, picture([]), 3 * land.TURNS)
    assert again.land.sentence().startswith(f"0 of {known.known} sectors that always showed land show it")


def test_another_range_is_another_picture() -> None:
    _, known = learned()
    other = KnownLand(512, 256, 12_288.0, strong=4, contrast=3, step=1)
    other.load(known.dump())
    assert other.known == 0


def test_a_state_of_before_there_was_known_land_is_taken() -> None:
    clutter = ClutterMap(512, 256, 6144.0, scans=16, min_level=2, margin=2)
    extractor = PlotExtractor("radar", OPTIONS)
    extractor.restore(clutter.dump())
    run(extractor, picture([]), 2)
    assert extractor.land is not None
    assert extractor.land.known == 0


@pytest.mark.parametrize("damage", ["cut", "bit", "magic"])
def test_damaged_bytes_are_refused(damage: str) -> None:
    data: Any = bytearray(learned()[1].dump())
    if damage == "cut":
        del data[len(data) // 2 :]
    elif damage == "bit":
        data[-2] ^= 16
    else:
        data[0] ^= 1
    with pytest.raises(InputError, match="learns it anew"):
        KnownLand.check(bytes(data))
