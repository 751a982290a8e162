"""The trackers' side of `vigia bench vision-tracks`: run by the interpreter of .venv-peers/trackers.

Argument: a JSON file of [name, boxes by look, shift by look] for each sequence. Prints one object: the tracks' boxes by
sequence and tracker, and microseconds of processor time a look by tracker.

Each tracker runs three times: as it comes (`bytetrack`; told the rate of looks); with our thresholds of scores, our
patience of 10 s and the least overlap it may ask for (`..._fitted`); and so, on boxes from which the picture's shift is
taken out (`..._steadied`). BoT-SORT's own compensation of the camera's motion needs pictures, and the last is what it
would give at its best.
"""

from __future__ import annotations

import json
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import supervision as sv
from trackers import BoTSORTTracker, ByteTrackTracker, OCSORTTracker

if TYPE_CHECKING:
    from collections.abc import Callable

RATE = 3.0  # as LOOKS_A_SECOND in bench_vision_tracks.py
LOW, HIGH = 0.2, 0.35  # the core's camera_low_score and camera_min_score
IOU = 0.05
_LOST = {"lost_track_buffer": 300, "frame_rate": RATE}  # counted at 30 a second: 10 s
_STARTS = {"track_activation_threshold": HIGH, "high_conf_det_threshold": HIGH, "minimum_consecutive_frames": 3}
MAKERS: dict[str, Callable[[], Any]] = {
    "bytetrack": lambda: ByteTrackTracker(frame_rate=RATE),
    "bytetrack_fitted": lambda: ByteTrackTracker(**_LOST, **_STARTS, minimum_iou_threshold=IOU),
    "ocsort": lambda: OCSORTTracker(frame_rate=RATE),
    "ocsort_fitted": lambda: OCSORTTracker(
        **_LOST, high_conf_det_threshold=HIGH, minimum_consecutive_frames=3, minimum_iou_threshold=IOU
    ),
    "botsort": lambda: BoTSORTTracker(frame_rate=RATE, enable_cmc=False),
    "botsort_fitted": lambda: BoTSORTTracker(
        **_LOST,
        **_STARTS,
        enable_cmc=False,
        minimum_iou_threshold_first_assoc=IOU,
        minimum_iou_threshold_second_assoc=IOU,
        minimum_iou_threshold_unconfirmed_assoc=IOU,
    ),
}


def follow(tracker: Any, looks: list[Any], shifts: list[float]) -> tuple[list[Any], float]:
    """Boxes with identities of each look, in the picture's own pixels; processor seconds."""
    out, spent = [], 0.0
    for rows, shift in zip(looks, shifts, strict=True):
        boxes = np.asarray([r for r in rows if r[4] >= LOW], dtype=np.float64).reshape(-1, 5)
        boxes[:, [1, 3]] -= shift
        detections = sv.Detections(
            xyxy=boxes[:, :4].astype(np.float32), confidence=boxes[:, 4], class_id=np.zeros(len(boxes), dtype=int)
        )
        start = time.thread_time()
        tracked = tracker.update(detections)
        spent += time.thread_time() - start
        kept = tracked[tracked.tracker_id >= 0] if len(tracked) else tracked
        corners = np.asarray(kept.xyxy, dtype=np.float64).reshape(-1, 4)
        corners[:, [1, 3]] += shift
        ids = [] if kept.tracker_id is None else kept.tracker_id.tolist()
        out.append([[*row, float(i)] for row, i in zip(corners.tolist(), ids, strict=True)])
    return out, spent


def main(path: Path) -> dict[str, Any]:
    """The peers' tracks and times."""
    tracks: dict[str, dict[str, Any]] = defaultdict(dict)
    spent: dict[str, float] = defaultdict(float)
    looks = 0
    for name, boxes, shifts in json.loads(path.read_text(encoding="utf-8")):
        looks += len(boxes)
        still = [0.0] * len(boxes)
        for tracker, make in MAKERS.items():
            tracks[name][tracker], seconds = follow(make(), boxes, still)
            spent[tracker] += seconds
            if tracker.endswith("_fitted"):
                steadied = tracker.replace("_fitted", "_steadied")
                tracks[name][steadied], _ = follow(make(), boxes, shifts)
    return {"tracks": tracks, "us_a_look": {k: round(1e6 * v / looks, 1) for k, v in spent.items()}}


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
