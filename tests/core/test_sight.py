"""Tracks in the picture: what shows again is confirmed, what does not is not; and the core uses them, replayable."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.config.schema import Config
from agent.core import Core
from agent.fusion.camera import Cameras
from agent.messages import Box, Detections
from agent.tracking.sight import Settings, SightTracker

SETTINGS = Settings(high=0.35, low=0.2, standing=0.55, hits=3, looks=5)


def box(x: float, y: float, *, score: float = 0.6, wide: float = 20.0, high: float = 6.0, label: str = "boat") -> Box:
    return Box(x0=x - wide / 2, y0=y - high / 2, x1=x + wide / 2, y1=y + high / 2, score=score, class_id=0, label=label)


def seen(tracker: SightTracker, looks: Sequence[tuple[Box, ...]], *, period_s: float = 0.5, **more: Any) -> list[int]:
    shifts = more.get("shifts", [0.0] * len(looks))
    return [len(tracker.look(i * period_s, b, 1280, shifts[i])) for i, b in enumerate(looks)]


def test_a_boat_is_confirmed_at_its_third_look_and_outlives_two_misses() -> None:
    looks: list[tuple[Box, ...]] = [(box(100 + 3 * i, 300),) for i in range(8)]
    looks[5] = looks[6] = ()
    assert seen(SightTracker(SETTINGS), looks) == [0, 0, 1, 1, 1, 0, 0, 1]


def test_weak_boxes_go_on_with_a_confirmed_boat_and_start_none() -> None:
    strong, weak = (box(100, 300),), (box(101, 300, score=0.25),)
    assert seen(SightTracker(SETTINGS), [strong] * 3 + [weak] * 4) == [0, 0, 1, 1, 1, 1, 1]
    assert seen(SightTracker(SETTINGS), [weak] * 8) == [0] * 8
    assert seen(SightTracker(SETTINGS), [strong] * 3 + [(box(101, 300, score=0.1),)] * 3)[3:] == [0, 0, 0]


def test_waves_that_flash_here_and_there_are_never_confirmed() -> None:
    rng = np.random.default_rng(1)
    looks = [tuple(box(rng.uniform(0, 1280), rng.uniform(300, 700)) for _ in range(2)) for _ in range(1200)]
    assert sum(seen(SightTracker(SETTINGS), looks)) <= 6, "of 2,400 false boxes in ten minutes, all of one size"


def wandering(seed: int, looks: int, *, drift_px: float = 0.0, growth: float = 0.0, score: float = 0.45) -> list[Any]:
    """A faint thing of 20 x 6 px whose box wanders by half a pixel: `drift_px` across, `growth` of size a look."""
    rng = np.random.default_rng(seed)
    out: list[Any] = []
    for i in range(looks):
        x, y = 300 + drift_px * i + rng.normal(0, 0.5), 300 + rng.normal(0, 0.3)
        factor = (1.0 + growth) ** i * np.exp(rng.normal(0, 0.03))
        out.append((box(x, y, score=score + rng.normal(0, 0.04), wide=20 * factor, high=6 * factor),))
    return out


@pytest.mark.parametrize("seed", range(20))
def test_what_is_faint_and_stands_still_is_never_confirmed_and_what_moves_or_comes_on_is(seed: int) -> None:
    assert sum(seen(SightTracker(SETTINGS), wandering(seed, 1200))) == 0, "ten minutes of a name plate"
    assert sum(seen(SightTracker(SETTINGS), wandering(seed, 20, drift_px=2.0))) >= 12
    assert sum(seen(SightTracker(SETTINGS), wandering(seed, 60, drift_px=0.3))) >= 20
    assert sum(seen(SightTracker(SETTINGS), wandering(seed, 60, growth=0.015))) >= 20, "it comes straight on"
    assert sum(seen(SightTracker(SETTINGS), wandering(seed, 20, score=0.7))) == 18, "a moored boat seen well"


def test_a_fast_boat_that_is_faint_is_seen_from_its_third_box_on() -> None:
    looks = [(box(100 + 24 * i, 300, score=0.45, wide=40, high=12),) for i in range(8)]
    assert seen(SightTracker(SETTINGS), looks) == [0, 0, 1, 1, 1, 1, 1, 1]


def test_what_stands_is_followed_through_weaker_boxes_until_it_drifts() -> None:
    still: list[Any] = wandering(3, 6)
    drifting: list[Any] = [(box(300 + 1.5 * i, 300, score=0.36 if i % 4 == 0 else 0.25),) for i in range(30)]
    out = seen(SightTracker(SETTINGS), still + drifting)
    assert sum(out[:6]) == 0
    assert all(out[-15:]), "no box in four could have begun a track of its own"


def test_a_swinging_mast_moves_nothing_that_is_fixed_to_the_lens() -> None:
    shifts = [9.0 * np.sin(1.1 * i) for i in range(600)]
    assert sum(seen(SightTracker(SETTINGS), wandering(1, 600), shifts=shifts)) == 0


def test_two_boats_that_pass_each_other_stay_two() -> None:
    looks = [(box(300 + 6 * i, 300), box(420 - 6 * i, 304, wide=40, high=12)) for i in range(20)]
    assert seen(SightTracker(SETTINGS), looks)[2:] == [2] * 18


def test_a_boat_goes_behind_a_wave_for_seconds_and_is_the_same_boat_at_its_second_look() -> None:
    looks: list[tuple[Box, ...]] = [(box(100 + 3 * i, 300, label="early" if i < 6 else "late"),) for i in range(20)]
    looks[6:14] = [()] * 8
    tracker = SightTracker(SETTINGS)
    out = [tracker.look(i * 0.5, b, 1280, 0.0) for i, b in enumerate(looks)]
    assert [len(sightings) for sightings in out] == [0, 0, *[1] * 4, *[0] * 9, *[1] * 5]
    assert {name for name, _ in out[-1][0].classes} == {"early", "late"}


@pytest.mark.parametrize("seed", [0, 5, 13])
def test_two_boats_of_one_size_that_cross_are_not_taken_for_each_other(seed: int) -> None:
    rng = np.random.default_rng(seed)
    tracker = SightTracker(SETTINGS)
    for i in range(60):
        places = ((300 + 2 * i, "right"), (420 - 2 * i, "left"))
        found = tuple(box(x + rng.normal(0, 1.5), 300 + rng.normal(0, 1), label=label) for x, label in places)
        sightings = tracker.look(i * 0.5, found, 1280, 0.0)
    assert sorted(s.box.label for s in sightings) == ["left", "right"]
    assert all(s.classes[0][0] == s.box.label for s in sightings)
    assert all(s.classes[0][1] > 0.9 for s in sightings), "the other's label is 30 looks ago, or a swap is not"


def test_a_mast_that_swings_loses_nothing_when_the_horizon_tells() -> None:
    shifts = [25.0 * np.sin(1.7 * i) for i in range(30)]
    looks = [(box(100 + i, 300 + s), box(160 + i, 300 + s)) for i, s in enumerate(shifts)]
    assert seen(SightTracker(SETTINGS), looks, shifts=shifts)[2:] == [2] * 28
    blind = seen(SightTracker(SETTINGS), looks)
    assert sum(blind) < 40, "without it, boats of 6 px jump by many times their height"


def test_the_class_is_what_most_looks_say() -> None:
    tracker = SightTracker(SETTINGS)
    for i, label in enumerate(("boat", "ship", "boat", "boat")):
        sightings = tracker.look(i * 0.5, (box(100, 300, label=label),), 1280, 0.0)
    assert [name for name, _ in sightings[0].classes] == ["boat", "ship"]
    assert sum(share for _, share in sightings[0].classes) == pytest.approx(1.0)


coordinate = st.floats(0, 1280, allow_nan=False)
boxes = st.lists(st.tuples(coordinate, coordinate, st.floats(0, 1), st.floats(1, 300)), max_size=6)


@settings(deadline=None, max_examples=60)
@given(looks=st.lists(boxes, min_size=2, max_size=12), cut=st.integers(1, 11), shift=st.floats(-20, 20))
def test_state_is_complete_and_a_box_is_used_once(looks: list[Any], cut: int, shift: float) -> None:
    made = [tuple(box(x, y, score=s, wide=w) for x, y, s, w in look) for look in looks]
    whole, first = SightTracker(SETTINGS), SightTracker(SETTINGS)
    expected = [whole.look(i * 0.4, b, 1280, shift) for i, b in enumerate(made)]
    for i, b in enumerate(made[:cut]):
        first.look(i * 0.4, b, 1280, shift)
    second = SightTracker(SETTINGS)
    second.restore(first.state())
    rest = [second.look(i * 0.4, b, 1280, shift) for i, b in enumerate(made[cut:], cut)]
    assert rest == expected[cut:]
    for sightings in expected:
        assert len({id(s.box) for s in sightings}) == len(sightings)


# ----------------------------------------------------------------------------------------------------- in the core


def config(**tracking: Any) -> Config:
    camera = {"bearing_deg": 0.0, "hfov_deg": 60.0, "pitch_deg": -2.0, "height_m": 20.0}
    return Config.model_validate(
        {
            "site": {"name": "s", "lat": 43.0, "lon": -8.0, "height_m": 20.0},
            "sensor": [{"name": "cam", "driver": "camera", "url": "rtsp://x/y", "options": camera}],
            "tracking": tracking,
        }
    )


def detections(i: int, *found: Box, shift_px: float = 0.0) -> Detections:
    return Detections(at_s=1000.0 + i * 0.5, source="cam", width_px=1280, height_px=720, boxes=found, shift_px=shift_px)


def bearings(cameras: Cameras, looks: list[Detections]) -> list[int]:
    views = [cameras.view(d) for d in looks]
    return [len(v.bearings) for v in views if v is not None]


def test_a_replay_may_change_thresholds_and_confirmation() -> None:
    looks = [detections(i, box(640, 400, score=0.3, label="sailing")) for i in range(6)]
    assert bearings(Cameras(config()), looks) == [0] * 6
    assert bearings(Cameras(config(camera_min_score=0.25)), looks) == [0] * 6, "faint, and it stands still"
    more: dict[str, Any] = {"camera_min_score": 0.25, "camera_standing_score": 0.25}
    assert bearings(Cameras(config(**more)), looks) == [0, 0, 1, 1, 1, 1]
    more = {"camera_class_scores": {"sailing": 0.25}, "camera_standing_score": 0.35}
    assert bearings(Cameras(config(**more)), looks) == [0, 0, 1, 1, 1, 1]
    assert bearings(Cameras(config(camera_class_scores={"fishing": 0.25})), looks) == [0] * 6
    assert bearings(Cameras(config(camera_min_score=0.25, camera_confirm_hits=1)), looks) == [1] * 6


def test_a_picture_that_lies_lower_is_put_back_before_it_is_measured() -> None:
    level = [detections(i, box(640, 420)) for i in range(4)]
    low = [detections(i, box(640, 420 + 9), shift_px=9.0) for i in range(4)]
    first, second = Cameras(config()), Cameras(config())
    for a, b in zip(level, low, strict=True):
        assert first.view(a) == second.view(b)
    view = first.view(detections(4, box(640, 420)))
    assert view is not None
    assert view.bearings[0].classes == (("boat", 1.0),)
    assert view.bearings[0].range_m is not None


def test_a_core_restored_from_its_checkpoint_knows_the_boats_in_the_picture() -> None:
    first = Core(config())
    for i in range(2):
        first.step(detections(i, box(640, 420)))
    second = Core.restore(config(), first.state())
    for core in (first, second):
        for i in range(2, 6):
            core.step(detections(i, box(640, 420)))
    assert first.state() == second.state()
