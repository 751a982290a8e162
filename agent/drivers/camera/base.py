"""The camera contract: frames, their source, and an operator's options.

Promises of every `FrameSource`:
- `read(timeout_s)` returns within about `timeout_s`: the LATEST picture, or None when no new one came; a picture is
  handed out once, and what was passed over is counted in `counters["dropped"]`;
- freshness is judged by time: a stream that stalls raises `SensorUnavailable`, whatever its library's return codes
  say (after a time-out OpenCV hands out old pictures as good ones);
- masked regions are black before anything else sees the picture;
- `close()` may be called any number of times, from any thread;
- credentials in a URL never appear in a message.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal, Self

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field, field_validator, model_validator

from agent.config.schema import CameraPose
from agent.drivers.base import DriverOptions
from agent.messages import Severity

if TYPE_CHECKING:
    from agent.messages import Stamp

U8 = NDArray[np.uint8]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Polygon = tuple[tuple[Share, Share], ...]


class CameraOptions(CameraPose, DriverOptions):
    """Keys of a camera's `[[sensor]]` table besides its pose (agent/config/schema.py, CameraPose).

    `fps`: pictures looked at per second. `model`: an .onnx file, the shipped one when left out. `min_score`: boxes from
    here on are logged. `look`: `auto` = native resolution in a strip along the horizon and the whole picture reduced,
    `whole` = the whole picture only, `tiles` = the whole picture and tiles at native resolution. `masks`: polygons of
    (x, y) in shares of the picture's width and height, blacked out for privacy. `land`: such polygons in which no
    vessel can be: a box whose foot lies there is counted and dropped. `stall_s`: a stream without a new picture for
    this long is reopened. `cpu_share`: of one core, that the camera may use; beyond it, it looks less often and says
    so. `cued_fps`: pictures a second while a track, radar or AIS points at something (at least `fps`). `clip_before_s`:
    clips of alerts begin so long before them; 0: no clips, and no second stream for them. `clip_after_s`: how long
    behind the alert they end. `clip_severity`: from which severity on. `clip_max_mb`: of one clip.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    fps: Annotated[float, Field(gt=0.0, le=60.0)] = 2.0
    cued_fps: Annotated[float, Field(gt=0.0, le=60.0)] = 4.0
    cpu_share: Annotated[float, Field(gt=0.0, le=64.0)] = 0.6
    model: str | None = None
    min_score: Share = 0.1
    look: Literal["auto", "whole", "tiles"] = "auto"
    masks: tuple[Polygon, ...] = ()
    land: tuple[Polygon, ...] = ()
    threads: Annotated[int, Field(ge=1, le=64)] = 1
    providers: tuple[str, ...] = ("cpu",)
    stall_s: Annotated[float, Field(ge=0.5, le=600.0)] = 10.0
    clip_before_s: Annotated[float, Field(ge=0.0, le=120.0)] = 0.0
    clip_after_s: Annotated[float, Field(ge=0.0, le=120.0)] = 10.0
    clip_severity: Severity = Severity.HIGH
    clip_max_mb: Annotated[float, Field(ge=1.0, le=200.0)] = 32.0
    verify_tls: bool = True  # https cameras on a closed network often have certificates of their own making

    @field_validator("masks", "land")
    @classmethod
    def _corners(cls, v: tuple[Polygon, ...]) -> tuple[Polygon, ...]:
        if any(len(polygon) < 3 for polygon in v):
            raise ValueError("a mask is a polygon of at least three corners (x, y)")
        return v

    @model_validator(mode="after")
    def _clips_without_masks(self) -> Self:
        if self.clip_before_s > 0.0 and self.masks:
            raise ValueError("clips are the camera's own coding and cannot be masked: leave out masks or clip_before_s")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One picture: BGR uint8 [H, W, 3], when it was taken (as near as known), its number in the stream from 0 on."""

    image: U8
    at: Stamp
    number: int


class FrameSource(ABC):
    """One open camera. Counters: frames (handed out), dropped, broken (undecodable), bytes where known."""

    def __init__(self, shown: str, options: CameraOptions) -> None:
        self.shown = shown  # the URL as people may see it
        self.options = options
        self.fps = options.fps  # may be changed while running: a cue raises it
        self.counters: Counter[str] = Counter()

    @abstractmethod
    def open(self) -> None:
        """Connect.

        Raises:
            SensorUnavailable: not there, refused, or silent.
            UnsupportedError: there, but not a source of pictures.

        """

    def read(self, timeout_s: float) -> Frame | None:
        """The latest picture that was not handed out before, or None after `timeout_s` without one.

        Raises:
            SensorUnavailable: the camera is gone or stalled; close and reopen later.
            EndOfData: a recording is over.

        """
        frame = self._read(timeout_s)
        if frame is None:
            return None
        self.counters["frames"] += 1
        if self.options.masks:
            black_out(frame.image, self.options.masks)
        return frame

    @abstractmethod
    def _read(self, timeout_s: float) -> Frame | None:
        """As `read`, before masks and counting."""

    @abstractmethod
    def close(self) -> None:
        """Release the device. Idempotent."""


def black_out(image: U8, masks: tuple[Polygon, ...]) -> None:
    """Fill `masks` (corners in shares of width and height) with black, in place."""
    height, width = image.shape[:2]
    for mask in masks:
        corners = np.array([[round(x * width), round(y * height)] for x, y in mask], dtype=np.int32)
        cv2.fillPoly(image, [corners], (0, 0, 0))
