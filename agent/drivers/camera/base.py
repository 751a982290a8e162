"""The camera contract: frames and their source (an operator's options: agent/drivers/camera/options.py).

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
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from agent.drivers.camera.options import CameraOptions, Polygon
    from agent.messages import Stamp

U8 = NDArray[np.uint8]


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
