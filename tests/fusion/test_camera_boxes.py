"""Boxes of one frame to bearings: what is one vessel, and what is none."""

from __future__ import annotations

import pytest

from agent.config.schema import Config, Sensor, Site, Tracking
from agent.fusion.camera import Cameras
from agent.messages import MOST_BOXES, Box, Detections

SITE = Site(name="Cabo", lat=43.38, lon=-8.40, height_m=20.0)
CAMERA = Sensor(name="cam", driver="camera", url="file:///x", options={"bearing_deg": 330.0, "hfov_deg": 40.0})
CONFIG = Config(site=SITE, sensor=(CAMERA,), tracking=Tracking(camera_min_score=0.35, camera_confirm_hits=1))


def box(label: str, score: float, x0: float, y0: float, x1: float, y1: float) -> Box:
    return Box(x0=x0, y0=y0, x1=x1, y1=y1, score=score, class_id=0, label=label)


def seen(*boxes: Box) -> list[tuple[str | None, float | None]]:
    view = Cameras(CONFIG).view(Detections(at_s=1.0, source="cam", width_px=1920, height_px=1080, boxes=tuple(boxes)))
    assert view is not None
    return [(b.class_, b.confidence) for b in view.bearings]


def test_one_hull_called_by_two_classes_is_one_vessel() -> None:
    ferry = box("large-ship", 0.84, 816.5, 573.1, 905.0, 589.2)
    assert seen(box("small-craft", 0.47, 818.1, 572.2, 902.1, 588.1), ferry) == [("large-ship", 0.84)]


def test_one_hull_boxed_tight_and_loose_is_one_vessel() -> None:
    tight = box("small-craft", 0.54, 1534.2, 616.1, 1543.6, 620.2)
    loose = box("small-craft", 0.47, 1530.4, 612.5, 1542.0, 623.6)
    assert seen(loose, tight) == [("small-craft", 0.54)]


def test_a_small_boat_before_a_large_ship_stays() -> None:
    ferry = box("large-ship", 0.84, 816.5, 573.1, 905.0, 589.2)
    panga = box("small-craft", 0.5, 850.0, 584.0, 860.0, 588.0)
    assert len(seen(ferry, panga)) == 2


def test_boats_side_by_side_stay() -> None:
    assert len(seen(box("boat", 0.6, 100, 600, 120, 610), box("boat", 0.5, 115, 600, 135, 610))) == 2


@pytest.mark.parametrize("label", ["trawler", "Inflatable", "fishing boat", "go_fast", "tugboat", "small-craft"])
def test_every_word_for_a_vessel_makes_a_bearing(label: str) -> None:
    assert len(seen(box(label, 0.5, 100, 600, 120, 610))) == 1


@pytest.mark.parametrize(("label", "score"), [("buoy", 0.9), ("person", 0.9), ("bird", 0.9), ("boat", 0.3)])
def test_what_is_no_vessel_or_too_faint_makes_none(label: str, score: float) -> None:
    assert seen(box(label, score, 100, 600, 120, 610)) == []


def test_of_a_picture_full_of_boxes_the_best_are_looked_at() -> None:
    places = [(n % 90 * 20, n // 90 * 20) for n in range(4000)]
    many = [box("boat", 0.4 + n / 10_000.0, x, y, x + 10, y + 8) for n, (x, y) in enumerate(places)]
    got = seen(*many)
    assert len(got) == MOST_BOXES
    assert min(score or 0.0 for _, score in got) == pytest.approx(0.4 + (4000 - MOST_BOXES) / 10_000.0)
