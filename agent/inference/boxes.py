"""Boxes as arrays: intersection, class-aware NMS, and the merge of views of one picture.

Promises:
- boxes are float32 [N, 4] corners x0, y0, x1, y1 in pixels, scores float32 [N], classes int64 [N];
- a box never suppresses one of another class: the person on the boat stays;
- results are ordered by falling score, ties by position in the input.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]
NMS_IOU = 0.5
_NMS_MAX = 3000  # candidates: a net that fires everywhere must not stall the box
_MERGE_MAX = 1000
_MERGE_IOU = 0.5
_MERGE_INSIDE = 0.6  # share of the smaller box: a boat cut by a tile's border lies inside the whole one
_MERGE_LENDS = 0.25  # a cut piece of at least this share of the whole box lends it its score


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Raw detections of one picture: corners [N, 4], scores [N], classes [N]."""

    corners: F32
    scores: F32
    classes: I64

    def __len__(self) -> int:
        return len(self.scores)

    def take(self, index: NDArray[np.integer] | NDArray[np.bool_]) -> Found:
        """Those at `index`, in its order."""
        return Found(corners=self.corners[index], scores=self.scores[index], classes=self.classes[index])


def found(corners: NDArray[np.floating], scores: NDArray[np.floating], classes: NDArray[np.generic]) -> Found:
    """`Found` from any number types; boxes with numbers that are not finite are left out."""
    corners32 = np.asarray(corners, dtype=np.float32).reshape(-1, 4)
    scores32 = np.asarray(scores, dtype=np.float32).reshape(-1)
    sane = np.isfinite(scores32) & np.isfinite(corners32).all(axis=1)
    return Found(corners=corners32, scores=scores32, classes=np.asarray(classes, dtype=np.int64).reshape(-1)).take(sane)


def join(parts: list[Found]) -> Found:
    """All detections of `parts`, one after the other."""
    if not parts:
        return found(np.empty((0, 4)), np.empty(0), np.empty(0))
    return Found(
        corners=np.concatenate([p.corners for p in parts]),
        scores=np.concatenate([p.scores for p in parts]),
        classes=np.concatenate([p.classes for p in parts]),
    )


def corners_of(centres: NDArray[np.floating]) -> F32:
    """Corners [N, 4] of boxes given as centre x, centre y, width, height [N, 4]."""
    half = centres[:, 2:4] / 2.0
    return np.concatenate([centres[:, :2] - half, centres[:, :2] + half], axis=1).astype(np.float32, copy=False)


def areas(corners: F32) -> F32:
    """Areas [N]; inverted boxes have none."""
    sides = np.clip(corners[:, 2:4] - corners[:, 0:2], 0.0, None)
    return np.asarray(sides[:, 0] * sides[:, 1], dtype=np.float32)


def rivals_of(labels: Sequence[str], vessel_labels: Collection[str]) -> I64:
    """Which classes compete for one place [nc]: all kinds of vessel together, another class with itself alone."""
    vessels = [i for i, label in enumerate(labels) if label in vessel_labels]
    return np.array([vessels[0] if i in vessels else i for i in range(len(labels))], dtype=np.int64)


def _rivals(classes: I64, rivals: I64 | None) -> I64:
    if rivals is None or not len(rivals):
        return classes
    known = (classes >= 0) & (classes < len(rivals))
    return np.where(known, rivals[np.where(known, classes, 0)], classes)


def nms(boxes: Found, iou: float = NMS_IOU, rivals: I64 | None = None) -> Found:
    """Greedy non-maximum suppression among classes that compete (`rivals_of`; None: each with itself alone)."""
    if len(boxes) < 2:
        return boxes
    boxes = _best(boxes, _NMS_MAX)
    rects = boxes.corners.astype(np.float64)
    rects[:, 2:] -= rects[:, :2]  # OpenCV wants x, y, width, height: corners would merge neighbouring boats
    rects[:, :2] -= rects[:, :2].min(axis=0)  # it keeps classes apart by an offset that assumes no negative place
    classes = _rivals(boxes.classes, rivals).astype(np.int32)
    keep = cv2.dnn.NMSBoxesBatched(rects, boxes.scores, classes, 0.0, iou)  # type: ignore[arg-type] # arrays do
    index = np.asarray(keep, dtype=np.int64).reshape(-1)
    return boxes.take(index[np.lexsort((index, -boxes.scores[index]))])


def _best(boxes: Found, many: int) -> Found:
    return boxes if len(boxes) <= many else boxes.take(np.argsort(-boxes.scores, kind="stable")[:many])


def _shares(boxes: Found, area: F32, rivals: I64 | None) -> tuple[F32, F32]:
    """Of each pair [N, N]: intersection over union, and over the smaller of the two; 0 where they do not compete."""
    low = np.maximum(boxes.corners[:, None, :2], boxes.corners[None, :, :2])
    high = np.minimum(boxes.corners[:, None, 2:4], boxes.corners[None, :, 2:4])
    sides = np.clip(high - low, 0.0, None)
    shared = sides[..., 0] * sides[..., 1]
    kinds = _rivals(boxes.classes, rivals)
    shared[kinds[:, None] != kinds] = 0.0
    union = np.maximum(area[:, None] + area - shared, 1e-6)
    smaller = np.maximum(np.minimum(area[:, None], area), 1e-6)
    return np.asarray(shared / union, dtype=np.float32), np.asarray(shared / smaller, dtype=np.float32)


def merge_views(boxes: Found, cut: NDArray[np.bool_], rivals: I64 | None = None) -> Found:
    """One list out of several views of a picture. `cut` [N] marks boxes that end at a view's inner border.

    Whole boxes go first, by score; then a box is dropped where it repeats a kept rival (`rivals_of`), and a cut one
    also where it lies mostly inside a kept one: it is a piece of the same vessel, and a large piece lends its score,
    because the view at native resolution saw the vessel better than the reduced whole.
    """
    if len(boxes) > _MERGE_MAX:
        best = np.argsort(-boxes.scores, kind="stable")[:_MERGE_MAX]
        boxes, cut = boxes.take(best), cut[best]
    area = areas(boxes.corners)
    overlap, inside = _shares(boxes, area, rivals)
    scores = boxes.scores.copy()
    kept = np.empty(len(boxes), dtype=np.int64)
    many = 0
    for i in np.lexsort((-boxes.scores, cut)):
        before = kept[:many]
        if many and (overlap[i, before].max() > _MERGE_IOU or (cut[i] and inside[i, before].max() > _MERGE_INSIDE)):
            whole = before[inside[i, before].argmax()]
            if area[i] > _MERGE_LENDS * area[whole]:
                scores[whole] = max(scores[whole], scores[i])
            continue
        kept[many] = i
        many += 1
    index = kept[:many]
    merged = Found(corners=boxes.corners, scores=scores, classes=boxes.classes)
    return merged.take(index[np.argsort(-scores[index], kind="stable")])
