"""The benchmarks of cameras and of tracks in the picture: their inputs are what they say, and their own side runs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from agent.cli import bench_camera_cycles
from agent.cli.bench_vision_tiles import scored, summed
from agent.cli.bench_vision_tracks import LOOKS, VESSELS, make_sequence, ours
from agent.config.schema import Tracking
from agent.fusion.camera import sight_settings
from agent.messages import Box, Detections
from bench.camera.windows import WIND_MAX_MPS, Found, empty_scene, false_tracks, summary


def test_the_same_scene_and_seed_give_the_same_boxes() -> None:
    assert make_sequence("swinging", 3) == make_sequence("swinging", 3)
    assert make_sequence("swinging", 3) != make_sequence("swinging", 4)


@pytest.mark.parametrize("scene", ["steady", "swinging"])
def test_our_tracks_have_identities_that_last(scene: str) -> None:
    sequence = make_sequence(scene, 3)
    tracks = ours(sequence)
    assert len(tracks) == len(sequence.truth) == LOOKS
    seen = [[row[4] for row in look] for look in tracks]
    assert all(len(set(look)) == len(look) for look in seen), "a track shows once a look"
    assert VESSELS <= len({i for look in seen for i in look}) <= 3 * VESSELS
    given = [{tuple(row[:4]) for row in look} for look in sequence.boxes]
    assert all({tuple(row[:4]) for row in look} <= there for look, there in zip(tracks, given, strict=True))


def test_a_box_counts_for_one_vessel() -> None:
    truth = np.array([[0, 0, 10, 10], [100, 0, 110, 10]], dtype=float)
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 8], [300, 0, 310, 10]], dtype=float)
    assert scored(truth, boxes) == (1, 2, 3, 1.0)
    assert scored(truth, boxes[:0]) == (0, 2, 0, 0.0)
    assert summed([(1, 2, 3, 1.0), (1, 2, 1, 0.5)]) == {"recall": 0.5, "precision": 0.5, "iou": 0.75}


def test_cycles_of_every_fault_leave_no_handle_and_no_thread() -> None:
    figures = bench_camera_cycles.measure(rounds=2 * len(bench_camera_cycles.FAULTS), seed=1)
    assert figures["pictures"] > 0
    for what in ("handles", "threads"):
        before, after = figures[what]
        assert after <= before


def test_windows_without_a_vessel_are_the_same_again_and_in_little_wind() -> None:
    assert empty_scene(5) == empty_scene(5)
    assert empty_scene(5) != empty_scene(6)
    assert all(empty_scene(seed)[1].wind_mps <= WIND_MAX_MPS for seed in range(40))


def test_a_false_track_counts_once_and_a_flash_or_what_is_faint_and_stands_never() -> None:
    def look(i: int, *xs: float, score: float = 0.6) -> Detections:
        boxes = tuple(
            Box(x0=x, y0=300.0, x1=x + 20.0, y1=306.0, score=score, class_id=0, label="small-craft") for x in xs
        )
        return Detections(at_s=i / 2.0, source="cam", width_px=1280, height_px=720, boxes=boxes)

    rule = sight_settings(Tracking())
    assert false_tracks([look(i, 100.0) for i in range(20)], rule) == 1
    assert false_tracks([look(i, 100.0, 900.0) for i in range(20)], rule) == 2
    assert false_tracks([look(i, 173.0 * (i % 7)) for i in range(20)], rule) == 0
    assert false_tracks([look(i, 100.0, score=0.45) for i in range(20)], rule) == 0
    assert false_tracks([look(i, 100.0, score=0.45) for i in range(20)], replace(rule, standing=0.0)) == 1


def test_windows_add_up() -> None:
    rows = [
        Found(light="day", boxes=3, tracks=0, tracks_standing=2),
        Found(light="night", boxes=1, tracks=2, tracks_standing=2),
    ]
    found = summary(rows, 40)
    assert (found["hours"], found["pictures"], found["false_tracks"], found["windows_with"]) == (0.011, 80, 2, 1)
    assert found["by_light"] == {"day": 0, "night": 2}
    assert found["false_tracks_if_standing_were_enough"] == 4
    assert found["an_hour_at_most"] > found["an_hour"] > 0
