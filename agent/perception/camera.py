"""One camera's pictures to `Detections`, with the camera's health.

Promises:
- a vessel is looked for at native resolution where it is small (a strip along the horizon, a cued region) and on the
  reduced whole picture where it is large, and reported once;
- only boxes of the model's vessel classes leave, down to the logging score, so that a replay can lower the threshold;
  a box whose foot stands in a land mask is counted and dropped: no vessel can be there;
- boxes beyond the `MOST_BOXES` best of a picture, which fusion does not look at, are logged all the same, and counted;
- boxes are there before the picture is judged: a verdict takes up to 20 ms and rests on seconds of pictures anyway;
- the state is the worst of what time, picture, stance, budget and model say, with the evidence in one sentence.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import cv2
import numpy as np

from agent.errors import ConfigError
from agent.inference.draw import annotated
from agent.inference.selfcheck import self_check
from agent.inference.tiles import find_in
from agent.messages import MOST_BOXES, Detections, SensorHealth, SensorState
from agent.perception.crops import CropKeeper
from agent.perception.look import Look
from agent.perception.picture import PictureWatch
from agent.perception.stance import StanceWatch
from agent.vocabulary import means_vessel

if TYPE_CHECKING:
    from agent.drivers.camera.base import Frame
    from agent.drivers.camera.options import CameraOptions
    from agent.inference.detector import Detector
    from agent.messages import Box

STALE_S = 15.0
WILD_S = 10.0  # a detector that draws too many boxes for longer is said to: a flock of gulls has passed by then
WATCH_S = 0.2  # the picture is judged at most so often: its faults last seconds, and a look costs a millisecond or two
_JPEG_QUALITY = 75


class CameraPipeline:
    """Frames in, detections out. Not for use from several threads at once.

    Raises:
        ConfigError: the model knows no vessel.

    """

    def __init__(
        self, options: CameraOptions, detector: Detector, source_name: str, *, stale_s: float = STALE_S
    ) -> None:
        self.options = options
        self.watch = PictureWatch()
        self.stance: StanceWatch | None = None  # from the first picture on: it needs the size
        self.crops = CropKeeper(options)
        self._source = source_name
        self._stale_s = max(stale_s, 3.0 / options.fps)
        self._last: Detections | None = None  # not its picture: 6 MB at 1080p, beside the next one
        self._frames = 0
        self._cost_s = 0.0  # processor time of the last `process`
        self._on_land = 0
        self._left_out = 0
        self._tame_s = math.inf  # of the last picture without too many boxes, or the first one
        self._watched_s = -math.inf
        self._since_s: float | None = None
        self.use(detector)

    def use(self, detector: Detector) -> None:
        """Go on with another model; the next picture is its first.

        Raises:
            ConfigError: the model knows no vessel.

        """
        if not detector.info.vessel_labels:
            raise ConfigError(
                f"{detector.info.path}: none of its labels means a vessel; name them with vessel_labels in MODEL.toml."
            )
        self._detector = detector
        self._vessels = frozenset(detector.info.vessel_labels)
        self._blind = self_check(detector)
        self.look = Look(self.options, detector.info.size)

    @property
    def detector(self) -> Detector:
        """The model in use."""
        return self._detector

    def process(self, frame: Frame) -> Detections:
        """Find vessels in one frame. `judge` follows on the same frame: boxes are waited for, its verdicts are not."""
        height, width = frame.image.shape[:2]
        at_s = frame.at.t_s
        began_s = time.process_time()
        regions = self.look.regions(width, height, at_s)
        found = find_in(self._detector, frame.image, regions, min_score=self.options.min_score)
        vessels = [b for b in self._detector.to_boxes(found) if b.label in self._vessels]
        boxes = tuple(b for b in vessels if not self._stands_on_land(b, width, height))
        self._on_land += len(vessels) - len(boxes)
        self._count_left_out(boxes, at_s)
        shift_px = 0.0 if self.stance is None else self.stance.shift_px(frame.image)
        detections = Detections(
            at_s=at_s, source=self._source, width_px=width, height_px=height, boxes=boxes,
            shift_px=round(shift_px, 2),
        )  # fmt: skip
        self._last = detections
        self._frames += 1
        self._cost_s = time.process_time() - began_s
        return detections

    def judge(self, frame: Frame, found: Detections) -> None:
        """Judge the picture in which `process` has found this, and keep its best views."""
        began_s = time.process_time()
        at_s = frame.at.t_s
        if self.stance is None:
            half_width = frame.image.shape[1] / 2.0
            self.stance = StanceWatch(half_width / math.tan(math.radians(self.options.hfov_deg) / 2.0))
        picture = self.watch.state
        if picture is None or not 0.0 <= at_s - self._watched_s < WATCH_S:
            picture, self._watched_s = self.watch.look(frame.image, at_s), at_s
        self.stance.look(frame.image, at_s, clear=not picture.fault)
        shown = tuple(b for b in found.boxes if self._detector.info.worth_showing(b))
        if shown:
            self.look.saw(at_s)
        self.crops.keep(frame.image, shown, at_s)
        self.look.spent(self._cost_s + time.process_time() - began_s)

    def _stands_on_land(self, box: Box, width: int, height: int) -> bool:
        foot = ((box.x0 + box.x1) / 2.0 / width, box.y1 / height)
        return any(
            cv2.pointPolygonTest(np.asarray(polygon, dtype=np.float32), foot, measureDist=False) > 0
            for polygon in self.options.land
        )

    def _count_left_out(self, boxes: tuple[Box, ...], at_s: float) -> None:
        many = len(boxes) if len(boxes) <= MOST_BOXES else sum(means_vessel(b.label) for b in boxes)
        self._left_out += max(0, many - MOST_BOXES)
        if many <= MOST_BOXES or at_s < self._tame_s:
            self._tame_s = at_s

    @property
    def _wild(self) -> str:
        """One sentence when the detector has drawn too many boxes for long."""
        if self._last is None or self._last.at_s - self._tame_s < WILD_S:
            return ""
        return (
            f"more than {MOST_BOXES} boxes in every picture for {self._last.at_s - self._tame_s:.0f} s, "
            f"only the best {MOST_BOXES} are looked at: what is before the lens, or does the model fit this camera?"
        )

    def health(self, now_s: float, *, error: str = "") -> SensorHealth:
        """State at `now_s` (logic time) with its evidence; `error`: why the camera is not open, if it is not."""
        if self._since_s is None:
            self._since_s = now_s
        state, sentence = self._judge(now_s, error)
        counters = [("pictures", float(self._frames)), ("boxes_left_out", float(self._left_out))]
        picture = self.watch.state
        if picture is not None:
            counters += [
                ("mean", round(picture.mean, 1)),
                ("white_share", round(picture.white_share, 4)),
                ("changed", round(picture.changed, 4)),
                ("sharpness", round(picture.sharpness, 1)),
                ("sharpness_usual", round(picture.baseline, 1)),
            ]
        if self.options.land:
            counters.append(("boxes_on_land", float(self._on_land)))
        if self.stance is not None:
            counters.append(("landmarks", float(self.stance.landmarks)))
            if self.stance.horizon is not None:
                counters.append(("horizon_px", round(self.stance.horizon.y_px, 1)))
            if self.stance.reference is not None:
                counters.append(("horizon_usual_px", round(self.stance.reference.y_px, 1)))
        return SensorHealth(at_s=now_s, source=self._source, state=state, sentence=sentence, counters=tuple(counters))

    def _judge(self, now_s: float, error: str) -> tuple[SensorState, str]:
        if error:
            return SensorState.UNAVAILABLE, error
        if self._last is None:
            waited_s = now_s - (self._since_s or now_s)
            if waited_s <= self._stale_s:
                return SensorState.STARTING, "no picture yet"
            return SensorState.STALE, f"no picture since the start {waited_s:.0f} s ago"
        age_s = now_s - self._last.at_s
        if age_s > self._stale_s:
            return SensorState.STALE, f"no new picture for {age_s:.0f} s"
        picture = self.watch.state
        evidence = (
            self._blind or self._detector.unnamed,
            picture.sentence if picture is not None else "",
            self.stance.sentence if self.stance is not None else "",
            self._wild,
            self.look.sentence,
        )
        worst = next(filter(None, evidence), "")
        if worst:
            return SensorState.DEGRADED, worst
        good = "pictures arrive and change"
        return SensorState.OK, f"{good}; {self._detector.info.sentence}" if self._detector.info.sentence else good

    def jpeg(
        self, frame: Frame, found: Detections, *, boxes: bool = True, width: int = 640, min_score: float | None = None
    ) -> bytes | None:
        """A picture, small, with what was found in it from `min_score` (None: the model's own) on."""
        image = frame.image
        scale = min(1.0, width / image.shape[1])
        size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
        small = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
        if boxes:
            low = self._detector.info.min_score if min_score is None else min_score
            small = annotated(small, tuple(b for b in found.boxes if b.score >= low), scale=scale)
        good, data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
        return data.tobytes() if good else None
