"""The best view of each vessel of the last while: a small JPEG for the alert that may come of it.

Promises:
- a crop fits its budget of bytes (`BUDGET_BYTES`): quality falls first, then size;
- it is cut out of the picture after the privacy masks, with the vessel's surroundings;
- what is kept is bounded: the best of each half degree of bearing, for `KEEP_S` seconds, `MAX_KEPT` in all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from agent.geo import wrap180, wrap360

if TYPE_CHECKING:
    from agent.drivers.camera.base import U8
    from agent.drivers.camera.options import CameraOptions
    from agent.messages import Box

BUDGET_BYTES = 6_000
KEEP_S = 30.0
MAX_KEPT = 24
_CELL_DEG = 0.5
_AROUND = 1.0  # of the box's size, on each side
_SIDE_MIN_PX, _SIDE_MAX_PX = 64, 256
_QUALITIES = (85, 70, 55, 40, 30)
_A_FRAME = 3  # the best boxes of one picture


@dataclass(frozen=True, slots=True, kw_only=True)
class Crop:
    """One view of one vessel: when, at which true bearing, how good (score x size), its pixels."""

    at_s: float
    bearing_deg: float
    worth: float
    label: str
    image: U8


class CropKeeper:
    """Collects crops of one camera; `best` makes the JPEG."""

    def __init__(self, options: CameraOptions) -> None:
        self._options = options
        self._kept: dict[int, Crop] = {}  # by cell of bearing

    def keep(self, image: U8, boxes: tuple[Box, ...], at_s: float) -> None:
        """Remember the best boxes of a picture [H, W, 3]."""
        self._kept = {cell: c for cell, c in self._kept.items() if at_s - c.at_s <= KEEP_S}
        height, width = image.shape[:2]
        for box in sorted(boxes, key=_worth, reverse=True)[:_A_FRAME]:
            bearing_deg = self._bearing_deg((box.x0 + box.x1) / 2.0, width)
            cell = round(bearing_deg / _CELL_DEG)
            if cell in self._kept and self._kept[cell].worth >= _worth(box):
                continue
            x0, y0, x1, y1 = _around(box, width, height)
            cut = image[y0:y1, x0:x1]
            scale = min(1.0, _SIDE_MAX_PX / max(cut.shape[:2]))
            size = (max(1, round(cut.shape[1] * scale)), max(1, round(cut.shape[0] * scale)))
            small = cut.copy() if scale == 1.0 else cv2.resize(cut, size, interpolation=cv2.INTER_AREA)
            self._kept[cell] = Crop(
                at_s=at_s, bearing_deg=bearing_deg, worth=_worth(box), label=box.label,
                image=np.asarray(small, dtype=np.uint8),
            )  # fmt: skip
        while len(self._kept) > MAX_KEPT:
            del self._kept[min(self._kept, key=lambda k: self._kept[k].worth)]

    def best(self, bearing_deg: float, within_deg: float) -> tuple[Crop, bytes] | None:
        """The best crop near a true bearing, and its JPEG within the budget; None where there is none."""
        near = [c for c in self._kept.values() if abs(wrap180(c.bearing_deg - bearing_deg)) <= within_deg]
        if not near:
            return None
        crop = max(near, key=lambda c: c.worth)
        return crop, small_jpeg(crop.image)

    def _bearing_deg(self, x_px: float, width: int) -> float:
        focal = width / 2.0 / math.tan(math.radians(self._options.hfov_deg) / 2.0)
        return wrap360(self._options.bearing_deg + math.degrees(math.atan((x_px - width / 2.0) / focal)))


def small_jpeg(image: U8, budget_bytes: int = BUDGET_BYTES) -> bytes:
    """A JPEG of the picture [H, W, 3] of at most `budget_bytes`."""
    while True:
        for quality in _QUALITIES:
            _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_OPTIMIZE, 1])
            if data.nbytes <= budget_bytes or max(image.shape[:2]) <= 16:
                return data.tobytes()
        half = (max(8, image.shape[1] * 3 // 4), max(8, image.shape[0] * 3 // 4))
        image = np.asarray(cv2.resize(image, half, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _worth(box: Box) -> float:
    return box.score * math.sqrt(max(1.0, (box.x1 - box.x0) * (box.y1 - box.y0)))


def _around(box: Box, width: int, height: int) -> tuple[int, int, int, int]:
    """The box with its surroundings, at least `_SIDE_MIN_PX` a side, inside the picture."""
    half_x = max(_SIDE_MIN_PX / 2.0, (box.x1 - box.x0) * (0.5 + _AROUND))
    half_y = max(_SIDE_MIN_PX / 2.0, (box.y1 - box.y0) * (0.5 + _AROUND))
    x, y = (box.x0 + box.x1) / 2.0, (box.y0 + box.y1) / 2.0
    return (
        max(0, math.floor(x - half_x)), max(0, math.floor(y - half_y)),
        min(width, math.ceil(x + half_x)), min(height, math.ceil(y + half_y)),
    )  # fmt: skip
