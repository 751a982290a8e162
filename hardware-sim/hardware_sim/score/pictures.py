"""The camera's own score: a box's detections in rendered pictures against the truth of these pictures.

Promises:
- vessels are one class: calling a panga a sailing boat is no miss; calling a buoy, a bird, a rock or a wave one is a
  false box; a label of `NO_VESSEL` (`buoy`, `bird`) claims none, every other label does;
- what could not be seen (`hardware_sim.sight`), and a swimmer, can neither be missed nor make a box false: those
  vessels are counted as `unseen`;
- only pictures that were looked at count; how many were not is told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hardware_sim.score.recall import Shares
from hardware_sim.sight import LOOSE_IOU, match
from hardware_sim.vessels import CLASSES

if TYPE_CHECKING:
    from hardware_sim.score.camera import Camera, Looks

NO_VESSEL = frozenset(kind for kind, is_ in CLASSES.items() if not is_.vessel)


def score_pictures(camera: Camera, looks: Looks) -> dict[str, Any]:
    """Recall of vessels that could be seen, precision, false boxes a picture."""
    shares = Shares()
    vessels = found = unseen = right = boxes = 0
    for number, look in looks.items():
        picture = camera.pictures[number]
        claims = sorted((d for d in look if d["label"] not in NO_VESSEL), key=lambda d: -d["score"])
        is_vessel, rock, swimmer = (
            np.array([kind in kinds for kind in picture.kinds], dtype=bool)
            for kinds in (CLASSES.keys() - NO_VESSEL, ("rock",), ("swimmer",))
        )
        wanted, excused = picture.seen & is_vessel, (~picture.seen & ~rock) | swimmer
        m = match(
            np.array([d["box"] for d in claims], np.float32).reshape(-1, 4),
            np.array([d["score"] for d in claims], np.float32),
            picture.boxes[wanted],
            picture.boxes[excused],
        )
        for i, hit in zip(np.flatnonzero(wanted).tolist(), (m.found > 0).tolist(), strict=True):
            shares.count("by_class", picture.kinds[i], found=hit)
            shares.by_range(picture.range_m[i], found=hit)
            shares.by_size(picture.size_px(i), found=hit)
        vessels, found = vessels + len(m.found), found + int((m.found > 0).sum())
        unseen += int((is_vessel & ~picture.seen).sum())
        boxes, right = boxes + int(m.counted.sum()), right + int(m.right.sum())
    return {
        "min_iou": LOOSE_IOU,
        "pictures": len(looks),
        "not_looked_at": len(camera.pictures) - len(looks),
        "vessels": vessels,
        "found": found,
        "unseen": unseen,
        "boxes": boxes,
        "false_boxes": boxes - right,
        "precision": round(right / boxes, 4) if boxes else None,
        "false_boxes_per_picture": round((boxes - right) / len(looks), 4) if looks else None,
        "recall": {"all": round(found / vessels, 4) if vessels else None, **shares.result()},
    }
