"""Scoring boxes against truth: recall by height, false boxes of empty frames, average precision. NumPy and cv2 only.

Promises:
- vessels are scored as one class: calling a panga a sailing boat is no miss, calling a buoy a vessel is a false box;
- truth that is IGNORED can neither be missed nor make a box false;
- boxes are matched as `hardware_sim.sight` matches them, which scores a box's camera as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from hardware_sim.sight import match
from training.classes import IGNORED, VESSEL_CLASSES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from training.frames import Truth

NMS_IOU = 0.45
BANDS_PX = ((0.0, 8.0), (8.0, 16.0), (16.0, 10_000.0))
STRICT_IOU = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Boxes:
    """Detections of one picture, best first: `boxes` (n, 4) x0, y0, x1, y1 px, `scores` (n,), `classes` (n,)."""

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    classes: NDArray[np.int64]

    def vessels(self, min_score: float) -> Boxes:
        """Those of a vessel class that reach `min_score`."""
        keep = (self.classes < VESSEL_CLASSES) & (self.scores >= min_score)
        return Boxes(boxes=self.boxes[keep], scores=self.scores[keep], classes=self.classes[keep])


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One picture judged at one IoU.

    `scores` and `right` (n,) are those of its counted boxes; `found` (m,) is the score that found each truth box, 0
    where missed; `heights_px` (m,) are the truth boxes' heights.
    """

    scores: NDArray[np.float32]
    right: NDArray[np.bool_]
    found: NDArray[np.float32]
    heights_px: NDArray[np.float32]


def boxes_of(output: NDArray[np.float32], min_score: float) -> Boxes:
    """Decode a model output (4 + classes, N) and suppress what overlaps a better box, whatever its class."""
    scores, classes = output[4:].max(0), output[4:].argmax(0)
    keep = np.flatnonzero(scores >= min_score)
    centre, size = output[:2, keep].T, output[2:4, keep].T
    corners = np.concatenate((centre - size / 2, centre + size / 2), 1)
    plain = np.concatenate((corners[:, :2], size), 1)
    chosen = np.array(cv2.dnn.NMSBoxes(plain.tolist(), scores[keep].tolist(), 0.0, NMS_IOU), np.int64).reshape(-1)
    return Boxes(
        boxes=corners[chosen].astype(np.float32),
        scores=scores[keep][chosen],
        classes=classes[keep][chosen].astype(np.int64),
    )


def verdict(found: Boxes, truth: Truth, judged: NDArray[np.int64], min_iou: float) -> Verdict:
    """Match the vessel boxes of a picture with its vessels. `judged` is `frames.judge(truth)`."""
    vessels = (judged >= 0) & (judged < VESSEL_CLASSES)
    real, excused = truth.boxes[vessels], truth.boxes[judged == IGNORED]
    m = match(found.boxes, found.scores, real, excused, min_iou)
    return Verdict(
        scores=found.scores[m.counted], right=m.right[m.counted], found=m.found, heights_px=real[:, 3] - real[:, 1]
    )


def average_precision(verdicts: Sequence[Verdict]) -> float:
    """Area under the precision envelope over recall, all points."""
    total = sum(len(v.found) for v in verdicts)
    scores = np.concatenate([v.scores for v in verdicts])
    right = np.concatenate([v.right for v in verdicts])[np.argsort(-scores, kind="stable")]
    hits = np.cumsum(right)
    precision = hits / np.arange(1, len(hits) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(envelope[right].sum() / max(total, 1))


def recall_by_height(verdicts: Sequence[Verdict], min_score: float) -> dict[str, tuple[float, int]]:
    """Per band of truth height: (share found at `min_score`, number of vessels)."""
    heights = np.concatenate([v.heights_px for v in verdicts])
    found = np.concatenate([v.found for v in verdicts]) >= min_score
    out: dict[str, tuple[float, int]] = {}
    for low, high in BANDS_PX:
        band = (heights > low) & (heights <= high)
        name = f"{low:g}-{high:g}" if high < BANDS_PX[-1][1] else f">{low:g}"
        out[name] = (float(found[band].mean()) if band.any() else 0.0, int(band.sum()))
    return out
