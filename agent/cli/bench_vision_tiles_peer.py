"""sahi's side of `vigia bench vision-tiles`: run by the interpreter of .venv-peers/sahi.

Arguments: a JSON file of [size, true boxes, boxes of all views] for each picture, the tiles' side, their overlap.
Prints one JSON object: by size, the count of tiles and, by method, milliseconds a picture and the boxes left of each.
"""

from __future__ import annotations

import json
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from sahi.postprocess.combine import GreedyNMMPostprocess, NMMPostprocess, NMSPostprocess
from sahi.prediction import ObjectPrediction
from sahi.slicing import get_slice_bboxes

METHODS = {  # the first is what sahi does by default
    "sahi_greedy_nmm_ios": GreedyNMMPostprocess(match_threshold=0.5, match_metric="IOS", class_agnostic=False),
    "sahi_nmm_ios": NMMPostprocess(match_threshold=0.5, match_metric="IOS", class_agnostic=False),
    "sahi_nms_iou": NMSPostprocess(match_threshold=0.5, match_metric="IOU", class_agnostic=False),
}


def main(path: Path, side_px: int, overlap: float) -> dict[str, Any]:
    """The peer's figures."""
    pictures = json.loads(path.read_text(encoding="utf-8"))
    out: dict[str, Any] = {}
    for size in dict.fromkeys(p[0] for p in pictures):
        width, height = map(int, size.split("x"))
        slices = get_slice_bboxes(height, width, side_px, side_px, False, overlap, overlap)
        out[size] = {"tiles": len(slices)}
        spent: dict[str, float] = defaultdict(float)
        kept: dict[str, list[Any]] = defaultdict(list)
        chosen = [p[2] for p in pictures if p[0] == size]
        for boxes in chosen:
            for method, postprocess in METHODS.items():
                made = [
                    ObjectPrediction(
                        bbox=b[:4], score=b[4], category_id=0, category_name="boat", full_shape=[height, width]
                    )
                    for b in boxes
                ]
                start = time.thread_time()
                left = postprocess(made)
                spent[method] += time.thread_time() - start
                kept[method].append([list(map(float, p.bbox.to_xyxy())) for p in left])
        for method, seconds in spent.items():
            out[size][method] = [round(1000.0 * seconds / len(chosen), 2), kept[method]]
    return out


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))))
