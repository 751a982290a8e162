"""Boxes in a picture to bearings, and to ranges where the geometry allows them.

Promises:
- a range is given only for a water-line inside the picture, below the horizon, within `camera_range_m`, and known
  better than a third of itself; everything else is a bearing;
- sigmas hold the survey of the camera, the size of the box, and an unknown tide;
- what is no vessel (buoys, birds, people, cars), what scores below the threshold and what is not seen again (M of N
  looks, `agent.tracking.sight`) makes no bearing: the log has the boxes, so a replay may change every one of these;
- one vessel makes one bearing a frame, also where the detector draws two boxes around it;
- a detector gone wild costs a frame, not the watch: of one picture only the `MOST_BOXES` best are looked at;
- a picture that lies lower than usual by its horizon (a mast that swings) is put back before it is measured.

Pinhole with square pixels; refraction as in `agent.geo`.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from agent.config.schema import CameraPose
from agent.geo import range_from_depression, wrap360
from agent.messages import MOST_BOXES, Bearing, View
from agent.tracking.sight import Settings, SightTracker
from agent.vocabulary import means_vessel

if TYPE_CHECKING:
    from agent.config.schema import Config, Tracking
    from agent.messages import Box, Detections
    from agent.tracking.sight import Sighting

SIGMA_TIDE_M = 0.5
EDGE_PX = 2.0  # a box that touches the lower edge has its water-line outside the picture
BOX_SHARE = 0.1  # of a box's size: how well its edges are placed
MAX_RANGE_SHARE = 1.0 / 3.0
SAME_WIDTH = 2.5  # boxes of one vessel differ in width by no more than this factor ...
SAME_SHARE = 0.6  # ... and share this much of the smaller one


class Cameras:
    """The poses of the configured cameras."""

    def __init__(self, config: Config) -> None:
        self._height_m = config.site.height_m
        t = config.tracking
        self._scores = {k.lower(): v for k, v in t.camera_class_scores.items()}
        self._min_score = t.camera_min_score
        self._sight = sight_settings(t)
        self._trackers: dict[str, SightTracker] = {}
        self._max_range_m = config.tracking.camera_range_m
        self._poses: dict[str, CameraPose] = {}
        for sensor in config.sensor:
            try:
                self._poses[sensor.name] = CameraPose.model_validate(sensor.options)
            except ValidationError:
                continue  # another kind of sensor with keys of the same name; a camera's own are checked by its driver

    def view(self, d: Detections) -> View | None:
        """The bearings in one frame; None for a camera that the configuration does not name: it has no pose."""
        pose = self._poses.get(d.source)
        if pose is None or d.width_px <= 0 or d.height_px <= 0:
            return None
        vessels = [self._levelled(b) for b in d.boxes if means_vessel(b.label)]
        boxes = tuple(one_each(sorted(vessels, key=lambda b: -b.score)[:MOST_BOXES]))
        tracker = self._trackers.setdefault(d.source, SightTracker(self._sight))
        seen = tracker.look(d.at_s, boxes, d.width_px, d.shift_px)
        return View(at_s=d.at_s, source=d.source, bearings=tuple(self._bearing(pose, d, s) for s in seen))

    def _levelled(self, box: Box) -> Box:
        """The box with its score moved so that its label's own threshold is the general one."""
        own = self._scores.get(box.label.lower())
        return box if own is None else replace(box, score=min(1.0, max(0.0, box.score - own + self._min_score)))

    def state(self) -> list[Any]:
        """For the checkpoint."""
        return [[name, tracker.state()] for name, tracker in self._trackers.items()]

    def restore(self, data: Any) -> None:
        """Take over what `state` was made of."""
        for name, rows in data:
            self._trackers[str(name)] = SightTracker(self._sight)
            self._trackers[str(name)].restore(rows)

    def _bearing(self, pose: CameraPose, d: Detections, sighting: Sighting) -> Bearing:
        box = sighting.box
        focal_px = d.width_px / 2.0 / math.tan(math.radians(pose.hfov_deg) / 2.0)
        bearing_deg, depression_deg = look(pose, d.width_px, d.height_px, (box.x0 + box.x1) / 2.0, box.y1 - d.shift_px)
        across_px = 1.0 + BOX_SHARE * abs(box.x1 - box.x0)
        sigma_deg = math.hypot(pose.sigma_bearing_deg, math.degrees(across_px / focal_px))
        found = None
        if box.y1 < d.height_px - EDGE_PX:
            down_px = 1.0 + BOX_SHARE * abs(box.y1 - box.y0)
            sigma_down = math.hypot(pose.sigma_pitch_deg, math.degrees(down_px / focal_px))
            height_m = pose.height_m if pose.height_m is not None else self._height_m
            found = sea_range(depression_deg, sigma_down, height_m, self._max_range_m)
        return Bearing(
            at_s=d.at_s, source=d.source, bearing_deg=bearing_deg, sigma_bearing_deg=sigma_deg,
            range_m=found[0] if found else None, sigma_range_m=found[1] if found else None,
            class_=sighting.classes[0][0], confidence=box.score, classes=sighting.classes,
        )  # fmt: skip


def sight_settings(keys: Tracking) -> Settings:
    """What of `[tracking]` the tracks in a camera's picture are made by."""
    return Settings(
        high=keys.camera_min_score, low=min(keys.camera_low_score, keys.camera_min_score),
        standing=keys.camera_standing_score, hits=keys.camera_confirm_hits, looks=keys.camera_confirm_looks,
    )  # fmt: skip


def one_each(boxes: list[Box]) -> list[Box]:
    """One box a vessel, the best one: a detector may call one hull by two classes, or box it tight and loose.

    Two boxes are one vessel if they lie over each other and are about as wide: a small boat before a large ship stays.
    """
    kept: list[Box] = []
    for b in sorted(boxes, key=lambda b: (-b.score, b.x0, b.y0, b.x1, b.y1)):
        if not any(_same_vessel(b, k) for k in kept):
            kept.append(b)
    return kept


def _same_vessel(a: Box, b: Box) -> bool:
    wide_a, wide_b = a.x1 - a.x0, b.x1 - b.x0
    if max(wide_a, wide_b) > SAME_WIDTH * min(wide_a, wide_b):
        return False
    across = min(a.x1, b.x1) - max(a.x0, b.x0)
    down = min(a.y1, b.y1) - max(a.y0, b.y0)
    smaller = min(wide_a * (a.y1 - a.y0), wide_b * (b.y1 - b.y0))
    return across > 0.0 and down > 0.0 and across * down >= SAME_SHARE * smaller


def look(pose: CameraPose, width_px: int, height_px: int, u: float, v: float) -> tuple[float, float]:
    """(true bearing, depression below the horizontal) in degrees of pixel (u, v)."""
    focal_px = width_px / 2.0 / math.tan(math.radians(pose.hfov_deg) / 2.0)
    right, down = (u - width_px / 2.0) / focal_px, (v - height_px / 2.0) / focal_px
    roll, pitch = math.radians(pose.roll_deg), math.radians(pose.pitch_deg)
    # A camera rolled clockwise has its right side low: its axes in the level frame of its own heading.
    level_right = right * math.cos(roll) - down * math.sin(roll)
    level_up = -right * math.sin(roll) - down * math.cos(roll)
    ahead = math.cos(pitch) - level_up * math.sin(pitch)
    up = math.sin(pitch) + level_up * math.cos(pitch)
    bearing_deg = wrap360(pose.bearing_deg + math.degrees(math.atan2(level_right, ahead)))
    return bearing_deg, -math.degrees(math.atan2(up, math.hypot(ahead, level_right)))


def sea_range(
    depression_deg: float, sigma_deg: float, height_m: float, max_range_m: float
) -> tuple[float, float] | None:
    """(range_m, sigma_range_m) of a water-line, or None where the angle does not tell one."""
    mid = range_from_depression(depression_deg, height_m)
    near = range_from_depression(depression_deg + sigma_deg, height_m)
    far = range_from_depression(depression_deg - sigma_deg, height_m)
    if mid is None or near is None or far is None or not 0.0 < mid <= max_range_m:
        return None
    sigma = math.hypot((far - near) / 2.0, mid / height_m * SIGMA_TIDE_M)
    return (mid, sigma) if sigma <= MAX_RANGE_SHARE * mid else None
