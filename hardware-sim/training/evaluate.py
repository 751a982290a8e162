"""Score an exported model on rendered frames: `python -m training.evaluate MODEL.onnx --split test --score 0.3`.

Without `--score` the threshold is chosen: the lowest at which empty frames give at most `--false-boxes` boxes each.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import onnxruntime  # type: ignore[import-untyped]  # ships no type information

from hardware_sim.sight import LOOSE_IOU
from training.frames import judge, open_frames
from training.metrics import (
    STRICT_IOU,
    Boxes,
    average_precision,
    boxes_of,
    recall_by_height,
    verdict,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from training.metrics import Verdict

PAD = 114
FLOOR = 0.05


def open_model(path: Path, threads: int = 2) -> onnxruntime.InferenceSession:
    """The model on the CPU."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def padded(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(H, W, 3) BGR uint8 to the model's input (1, 3, H', W') RGB 0..1, padded below and right to multiples of 32."""
    below, right = -image.shape[0] % 32, -image.shape[1] % 32
    whole = cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_CONSTANT, value=(PAD,) * 3)
    return np.ascontiguousarray(whole[..., ::-1].transpose(2, 0, 1)[None], dtype=np.float32) / np.float32(255)


def detect(session: onnxruntime.InferenceSession, image: NDArray[np.uint8], min_score: float = FLOOR) -> Boxes:
    """All boxes of a picture at its own resolution."""
    output = session.run(None, {session.get_inputs()[0].name: padded(image)})[0]
    return boxes_of(output[0], min_score)


def false_boxes(verdicts: Sequence[Verdict], min_score: float) -> float:
    """False boxes per frame among frames without a vessel to find."""
    counts = [int((v.scores >= min_score).sum()) for v in verdicts if not len(v.found)]
    return float(np.mean(counts)) if counts else 0.0


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--frames", type=Path, default=Path("training-out/frames"))
    parser.add_argument("--split", choices=("val", "test"), default="val")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--score", type=float, help="threshold; chosen from the frames if left out")
    parser.add_argument("--false-boxes", type=float, default=0.1, help="allowed per empty frame when choosing")
    args = parser.parse_args()
    session = open_model(args.model)
    frames = open_frames(args.frames / args.split, args.limit)
    found = [detect(session, image).vessels(0.0) for image in frames.images]
    judged = [judge(t) for t in frames.truths]
    loose, strict = (
        [verdict(f, t, j, iou) for f, t, j in zip(found, frames.truths, judged, strict=True)]
        for iou in (LOOSE_IOU, STRICT_IOU)
    )
    score = args.score
    if score is None:
        grid = np.arange(FLOOR, 0.96, 0.01)
        score = round(float(next((s for s in grid if false_boxes(loose, s) <= args.false_boxes), grid[-1])), 2)
    with_vessels = [v for v in loose if len(v.found)]
    report = {
        "model": args.model.name,
        "split": args.split,
        "frames": len(found),
        "frames_without_vessel": len(found) - len(with_vessels),
        "score": score,
        "recall_iou20_by_height_px": recall_by_height(loose, score),
        "false_boxes_per_empty_frame": false_boxes(loose, score),
        "false_boxes_per_frame_with_vessels": float(
            np.mean([((v.scores >= score) & ~v.right).sum() for v in with_vessels] or [0.0])
        ),
        "ap20": average_precision(loose),
        "ap50": average_precision(strict),
    }
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
