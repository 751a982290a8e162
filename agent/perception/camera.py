"""One camera's pictures to `Detections`, with the camera's health.

Promises:
- a vessel is looked for at native resolution where it is small (a strip along the horizon) and on the reduced whole
  picture where it is large, and reported once;
- only boxes of the model's vessel classes leave, down to the logging score, so that a replay can lower the threshold;
- the state is the worst of what time, picture and model say, with the evidence in one sentence.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np

from agent.errors import ConfigError
from agent.geo import dip_deg
from agent.inference.detector import FREE_SIZE, MULTIPLE
from agent.inference.draw import annotated
from agent.inference.selfcheck import self_check
from agent.inference.tiles import TILE_PX, Region, find_in, tiles, whole
from agent.messages import Detections, SensorHealth, SensorState
from agent.perception.picture import PictureWatch

if TYPE_CHECKING:
    from agent.drivers.camera.base import U8, CameraOptions, Frame
    from agent.inference.detector import Detector

STALE_S = 15.0
WHOLE_PX = 640  # longer side of the reduced whole picture
STRIP_SHARE = 0.2  # of the picture's width: height of the strip (256 rows of 1280)
STRIP_ABOVE = 0.35  # of the strip lie above the horizon: masts and superstructures; the rest is the near sea
_DEFAULT_HEIGHT_M = 15.0  # only places the strip, where the camera's height is left to the site's
_JPEG_QUALITY = 75


class CameraPipeline:
    """Frames in, detections out. Not for use from several threads at once."""

    def __init__(
        self, options: CameraOptions, detector: Detector, source_name: str, *, stale_s: float = STALE_S
    ) -> None:
        if not detector.info.vessel_labels:
            raise ConfigError(
                f"{detector.info.path}: none of its labels means a vessel; name them with vessel_labels in MODEL.toml."
            )
        self.options = options
        self.watch = PictureWatch()
        self._detector = detector
        self._source = source_name
        self._stale_s = max(stale_s, 3.0 / options.fps)
        self._vessels = frozenset(detector.info.vessel_labels)
        self._dead = self_check(detector)
        self._regions: list[Region] = []
        self._shape: tuple[int, int] = (0, 0)
        self._last: tuple[U8, Detections] | None = None
        self._frames = 0
        self._since_s: float | None = None

    def process(self, frame: Frame) -> Detections:
        """Find vessels in one frame, and judge its picture."""
        height, width = frame.image.shape[:2]
        if self._shape != (height, width):
            self._shape = (height, width)
            self._regions = self.regions(width, height)
        at_s = frame.at.t_s
        self.watch.look(frame.image, at_s)
        found = find_in(self._detector, frame.image, self._regions, min_score=self.options.min_score)
        boxes = tuple(b for b in self._detector.to_boxes(found) if b.label in self._vessels)
        detections = Detections(at_s=at_s, source=self._source, width_px=width, height_px=height, boxes=boxes)
        self._last = (frame.image, detections)
        self._frames += 1
        return detections

    def regions(self, width: int, height: int) -> list[Region]:
        """What is looked at in a picture of this size, as `look` says."""
        fixed = self._detector.info.size
        free = fixed is None
        reduced = whole(width, height, longest=WHOLE_PX if free else None)
        if self.options.look == "whole":
            return [whole(width, height, longest=FREE_SIZE[0])]
        if self.options.look == "tiles":
            return [reduced, *tiles(whole(width, height), *(FREE_SIZE if free else (TILE_PX, TILE_PX)))]
        if max(width, height) <= max(fixed or (WHOLE_PX,)):
            return [whole(width, height)]  # the whole picture is at native resolution already
        strip = self.strip(width, height)
        return [reduced, *tiles(strip, *(fixed or (strip.width, strip.height)))]

    def strip(self, width: int, height: int) -> Region:
        """The band along the horizon, as wide as the picture, from the camera's pose."""
        o = self.options
        focal_px = width / 2.0 / math.tan(math.radians(o.hfov_deg) / 2.0)
        dip = dip_deg(_DEFAULT_HEIGHT_M if o.height_m is None else o.height_m)
        horizon = height / 2.0 + focal_px * math.tan(math.radians(o.pitch_deg + dip))
        tilt = width / 2.0 * math.tan(math.radians(abs(o.roll_deg)))
        rows = STRIP_SHARE * width
        band = min(height, math.ceil((rows + 2.0 * tilt) / MULTIPLE) * MULTIPLE)
        if self._detector.info.size is not None:
            band = min(height, max(band, self._detector.info.size[1]))  # its tiles are looked at pixel by pixel
        top = round(horizon - tilt - STRIP_ABOVE * rows)
        return Region(x=0, y=min(max(0, top), height - band), width=width, height=band, size=(width, band))

    def health(self, now_s: float, *, error: str = "") -> SensorHealth:
        """State at `now_s` (logic time) with its evidence; `error`: why the camera is not open, if it is not."""
        if self._since_s is None:
            self._since_s = now_s
        state, sentence = self._judge(now_s, error)
        counters = [("pictures", float(self._frames))]
        picture = self.watch.state
        if picture is not None:
            counters += [
                ("mean", round(picture.mean, 1)),
                ("white_share", round(picture.white_share, 4)),
                ("changed", round(picture.changed, 4)),
                ("sharpness", round(picture.sharpness, 1)),
                ("sharpness_usual", round(picture.baseline, 1)),
            ]
        return SensorHealth(at_s=now_s, source=self._source, state=state, sentence=sentence, counters=tuple(counters))

    def _judge(self, now_s: float, error: str) -> tuple[SensorState, str]:
        if error:
            return SensorState.UNAVAILABLE, error
        if self._last is None:
            waited_s = now_s - (self._since_s or now_s)
            if waited_s <= self._stale_s:
                return SensorState.STARTING, "no picture yet"
            return SensorState.STALE, f"no picture since the start {waited_s:.0f} s ago"
        age_s = now_s - self._last[1].at_s
        if age_s > self._stale_s:
            return SensorState.STALE, f"no new picture for {age_s:.0f} s"
        if self._dead:
            return SensorState.DEGRADED, self._dead
        picture = self.watch.state
        if picture is not None and picture.fault:
            return SensorState.DEGRADED, picture.sentence
        return SensorState.OK, "pictures arrive and change"

    def latest_jpeg(self, *, boxes: bool = True, width: int = 640, min_score: float | None = None) -> bytes | None:
        """The last picture, small, boxes from `min_score` (None: the model's own) on; None before the first."""
        if self._last is None:
            return None
        image, detections = self._last
        scale = min(1.0, width / image.shape[1])
        size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
        small = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
        if boxes:
            low = self._detector.info.min_score if min_score is None else min_score
            small = annotated(small, tuple(b for b in detections.boxes if b.score >= low), scale=scale)
        good, data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
        return data.tobytes() if good else None
