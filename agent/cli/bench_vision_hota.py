"""trackeval's side of `vigia bench vision-tracks`: run by the interpreter of .venv-peers/trackeval.

Argument: a JSON file of [scene, true boxes by look, {tracker: boxes by look}] for each sequence. Prints one object.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from trackeval.metrics import HOTA, Identity

Rows = list[list[float]]


def overlap(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union [N, M] of boxes given by corners."""
    low, high = np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:4], b[None, :, 2:4])
    shared = np.prod(np.clip(high - low, 0.0, None), axis=2)
    areas = [np.prod(c[:, 2:4] - c[:, :2], axis=1) for c in (a, b)]
    iou: np.ndarray = shared / np.maximum(areas[0][:, None] + areas[1][None] - shared, 1e-9)
    return iou


def as_data(truth: list[Rows], tracks: list[Rows]) -> dict[str, Any]:
    """What trackeval's metrics take: identities counted from 0, overlaps look by look."""
    sides = [[np.asarray(rows, dtype=np.float64).reshape(-1, 5) for rows in side] for side in (truth, tracks)]
    numbers = [{n: i for i, n in enumerate(sorted({int(row[4]) for rows in side for row in rows}))} for side in sides]
    ids = [[np.array([numbers[k][int(n)] for n in rows[:, 4]], dtype=int) for rows in sides[k]] for k in (0, 1)]
    return {
        "num_timesteps": len(truth),
        "gt_ids": ids[0],
        "tracker_ids": ids[1],
        "similarity_scores": [overlap(a, b) for a, b in zip(*sides, strict=True)],
        "num_gt_ids": len(numbers[0]),
        "num_tracker_ids": len(numbers[1]),
        "num_gt_dets": sum(map(len, ids[0])),
        "num_tracker_dets": sum(map(len, ids[1])),
    }


def main(path: Path) -> dict[str, Any]:
    """Scores by scene and tracker."""
    scored: dict[str, dict[str, list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    hota, identity = HOTA(), Identity({"PRINT_CONFIG": False})
    for scene, truth, by_tracker in json.loads(path.read_text(encoding="utf-8")):
        for tracker, tracks in by_tracker.items():
            data = as_data(truth, tracks)
            scored[scene][tracker].append(
                {
                    "hota": hota.eval_sequence(data),
                    "id": identity.eval_sequence(data),
                    "tracks": data["num_tracker_ids"],
                }
            )
    out: dict[str, Any] = {}
    for scene, trackers in scored.items():
        out[scene] = {}
        for tracker, runs in trackers.items():
            whole = hota.combine_sequences({str(i): r["hota"] for i, r in enumerate(runs)})
            identities = identity.combine_sequences({str(i): r["id"] for i, r in enumerate(runs)})
            out[scene][tracker] = {
                **{k: round(float(np.mean(whole[k])), 3) for k in ("HOTA", "DetA", "AssA")},
                "IDF1": round(float(identities["IDF1"]), 3),
                "tracks": sum(r["tracks"] for r in runs),
            }
    return out


if __name__ == "__main__":
    with contextlib.redirect_stdout(io.StringIO()):
        result = main(Path(sys.argv[1]))
    print(json.dumps(result))
