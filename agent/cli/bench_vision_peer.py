"""The peers' side of `vigia bench vision`: run by the interpreter of .venv-peers/vision, which has PyAV, supervision.

Arguments: the folder with the boxes, the clip, `decode` (one turn) or `boxes`. Prints one JSON object.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import cv2
import numpy as np
import supervision as sv

if TYPE_CHECKING:
    from collections.abc import Callable


def cpu_ms_of(work: Callable[[], Any]) -> float:
    """Processor time of this thread, the median of twenty runs: a busy machine does not change it much."""
    spent = []
    for _ in range(20):
        start = time.thread_time()
        work()
        spent.append(time.thread_time() - start)
    return round(1000.0 * float(np.median(spent)), 3)


def decode(path: str, one_in: int) -> int:
    """All pictures decoded, one in so many made an array; how many there are."""
    with av.open(path) as container:
        container.streams.video[0].thread_count = 1
        count = 0
        for count, frame in enumerate(container.decode(video=0), 1):
            if count % one_in == 0:
                frame.to_ndarray(format="bgr24")
        return count


def cpu_ms(path: str, one_in: int) -> float:
    """Processor milliseconds per picture of the source, of one run through it."""
    start = time.process_time()
    count = decode(path, one_in)
    return 1000.0 * (time.process_time() - start) / count


def decoders(clip: str) -> dict[str, float]:
    """Of the clip, after one run that does not count."""
    decode(clip, 5)
    return {"decode_cpu_ms_pyav_all": cpu_ms(clip, 1), "decode_cpu_ms_pyav_one_in_five": cpu_ms(clip, 5)}


def on_boxes(folder: Path) -> dict[str, Any]:
    """NMS and letterbox, on one thread as ours: the time of this thread would not hold what OpenCV's others do."""
    cv2.setNumThreads(1)
    figures: dict[str, Any] = {}
    for path in sorted(folder.glob("nms*.npz"), key=lambda p: int(p.stem[3:])):
        boxes = np.load(path)
        rows = np.column_stack([boxes["corners"], boxes["scores"], boxes["classes"]]).astype(np.float64)

        def suppress(rows: np.ndarray = rows) -> np.ndarray:
            keep: np.ndarray = sv.box_non_max_suppression(rows, iou_threshold=0.5)
            return keep

        kept = np.sort(rows[suppress(), 4])
        figures[f"{path.stem.replace('nms', 'nms_')}_ms_supervision"] = cpu_ms_of(suppress)
        figures[f"{path.stem.replace('nms', 'nms_')}_same_boxes"] = bool(
            len(kept) == len(boxes["kept"]) and np.allclose(kept, boxes["kept"], atol=1e-6)
        )
    image = np.random.default_rng(0).integers(0, 255, (1080, 1920, 3), dtype=np.uint8)
    figures["letterbox_ms_supervision"] = cpu_ms_of(lambda: sv.letterbox_image(image, (640, 384)))
    return figures


if __name__ == "__main__":
    print(json.dumps(decoders(sys.argv[2]) if sys.argv[3] == "decode" else on_boxes(Path(sys.argv[1]))))
