"""Square training crops cut from the frames.

Promises:
- a crop is a function of (frames, run seed, its number, its side): any worker can make any crop;
- about one in four has no vessel; of these a share is cut where an earlier model saw vessels that are not there;
- scale, mirror, clutter and photometry vary, for half of the crops less if `calm`;
- boxes that end up covered, cut or too small become IGNORED.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from training import clutter, photometry
from training.classes import IGNORED, LABELS, ROCK
from training.frames import Frames, judge

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

CROP_PX = 256
PAD = 114
EMPTY_SHARE = 0.25
HARD_SHARE = 0.6
CLUTTER_SHARE = 0.3
CALM_SHARE = 0.5
AREA_BELOW = 0.7  # a mean over all pixels takes four times as long as one over the nearest four
MIN_LEFT_INSIDE = 0.4


@dataclass(frozen=True, slots=True, kw_only=True)
class Crop:
    """`image` (side, side, 3) BGR uint8; `boxes` (n, 4) x0, y0, x1, y1 px; `classes` (n,), IGNORED and ROCK too."""

    image: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    classes: NDArray[np.int64]


class Cropper:
    """Cuts crops from frames; `hard` (m, 3) holds frame number, x, y of an earlier model's false boxes."""

    def __init__(
        self, frames: Frames, seed: int, hard: NDArray[np.float32] | None = None, *, calm: bool = False
    ) -> None:
        self._frames, self._seed, self._calm = frames, seed, calm
        self._hard = hard if hard is not None and len(hard) else None
        self._judged = [np.concatenate((judge(t), np.full(len(t.rocks), ROCK))) for t in frames.truths]
        self._boxes = [np.concatenate((t.boxes, t.rocks)) for t in frames.truths]
        pool = [(i, j, c) for i, classes in enumerate(self._judged) for j, c in enumerate(classes) if c != IGNORED]
        self._pool = np.array(pool, np.int64).reshape(-1, 3)
        counts = np.bincount(self._pool[:, 2], minlength=len(LABELS) + 1).clip(min=1)
        weight = (1 / np.sqrt(counts))[self._pool[:, 2]]
        self._chance = np.cumsum(weight / weight.sum())

    def __call__(self, number: int, side_px: int = CROP_PX) -> Crop:
        """Crop `number` of the run, `side_px` wide and high."""
        rng = np.random.default_rng((self._seed, number))
        frame, x, y = self._place(rng)
        size = side_px / (1.0 if self._calm and rng.random() < CALM_SHARE else _scale(rng))
        at = x + rng.uniform(-0.42, 0.42) * size, y + rng.uniform(-0.42, 0.42) * size
        crop = self._cut(frame, at, size, side_px)
        if rng.random() < 0.5:
            flipped = _mirrored(crop.boxes, side_px)
            crop = Crop(image=_bytes(cv2.flip(crop.image, 1)), boxes=flipped, classes=crop.classes)
        classes = crop.classes
        if rng.random() < CLUTTER_SHARE * (1 - CALM_SHARE * self._calm):
            mask = clutter.draw(crop.image, rng)
            hidden = [_covered(mask, box) for box in crop.boxes]
            classes = np.where(np.array(hidden, bool), IGNORED, classes)
        plain = self._calm and rng.random() < CALM_SHARE
        image = crop.image if plain else photometry.vary(crop.image, rng)
        return Crop(image=image, boxes=crop.boxes, classes=classes)

    def _place(self, rng: Generator) -> tuple[int, float, float]:
        """A frame and a point in it to cut around."""
        if rng.random() >= EMPTY_SHARE:
            frame, index, _ = self._pool[min(int(np.searchsorted(self._chance, rng.random())), len(self._pool) - 1)]
            box = self._boxes[frame][index]
            return int(frame), float(box[0] + box[2]) / 2, float(box[1] + box[3]) / 2
        if self._hard is not None and rng.random() < HARD_SHARE:
            row = self._hard[rng.integers(len(self._hard))]
            return int(row[0]), float(row[1]), float(row[2])
        frame = int(rng.integers(len(self._frames.images)))
        height, width = self._frames.images[frame].shape[:2]
        return frame, float(rng.uniform(0, width)), float(rng.uniform(0, height))

    def _cut(self, frame: int, at: tuple[float, float], size: float, side_px: int) -> Crop:
        source = self._frames.images[frame]
        height, width = source.shape[:2]
        half = size / 2
        left = round(np.clip(at[0], half, max(width - half, half)) - half)
        top = round(np.clip(at[1], half, max(height - half, half)) - half)
        side = round(size)
        part = source[top : top + side, left : left + side]
        if part.shape[:2] != (side, side):
            below, right = side - part.shape[0], side - part.shape[1]
            part = _bytes(cv2.copyMakeBorder(part, 0, below, 0, right, cv2.BORDER_CONSTANT, value=(PAD,) * 3))
        factor = side_px / side
        how = cv2.INTER_AREA if factor < AREA_BELOW else cv2.INTER_LINEAR
        image = np.array(part) if side == side_px else _bytes(cv2.resize(part, (side_px, side_px), interpolation=how))
        whole = (self._boxes[frame] - np.array([left, top, left, top], np.float32)) * factor
        boxes = whole.clip(0, side_px)
        spread, kept = whole[:, 2:] - whole[:, :2], boxes[:, 2:] - boxes[:, :2]
        inside = kept.prod(1) / spread.prod(1).clip(min=1e-6)
        asked = (inside >= MIN_LEFT_INSIDE) & (kept.max(1, initial=0) >= 2.5)
        classes = np.where(asked, self._judged[frame], IGNORED)
        there = inside > 0
        return Crop(image=image, boxes=boxes[there].astype(np.float32), classes=classes[there])


def _mirrored(boxes: NDArray[np.float32], side_px: int) -> NDArray[np.float32]:
    out = boxes[:, [2, 1, 0, 3]]
    out[:, [0, 2]] = side_px - out[:, [0, 2]]
    return out


def _scale(rng: Generator) -> float:
    """Mostly native, since the smallest vessels live there; sometimes the whole frame seen at half size and less."""
    draw = rng.random()
    if draw < 0.4:
        return 1.0
    if draw < 0.75:
        return float(np.exp(rng.uniform(np.log(0.7), np.log(1.6))))
    return float(np.exp(rng.uniform(np.log(0.36), np.log(0.7))))


def _bytes(picture: NDArray[Any]) -> NDArray[np.uint8]:
    return np.asarray(picture, np.uint8)


def _covered(mask: NDArray[np.uint8], box: NDArray[np.float32]) -> bool:
    x0, y0 = np.floor(box[:2]).astype(int)
    x1, y1 = np.ceil(box[2:]).astype(int)
    return float(mask[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)].mean()) > 0.5 * 255
