"""Collect a model's false boxes on the training frames: `python -m training.mine MODEL.onnx OUT.npy`.

The places go back into training as crops without a vessel (`training.train --hard OUT.npy`).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from hardware_sim.sight import iou_table
from training.evaluate import detect, open_model
from training.frames import open_frames


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--frames", type=Path, default=Path("training-out/frames"))
    parser.add_argument("--score", type=float, default=0.15)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    session = open_model(args.model, args.threads)
    frames = open_frames(args.frames / "train", args.limit)
    rows: list[tuple[float, float, float]] = []
    for i, (image, truth) in enumerate(zip(frames.images, frames.truths, strict=True)):
        found = detect(session, image, args.score).vessels(args.score)
        real = truth.boxes[(truth.classes >= 0) & (truth.classes < 5)]
        wrong = iou_table(found.boxes, real).max(1, initial=0) < 0.05
        rows += [(i, (b[0] + b[2]) / 2, (b[1] + b[3]) / 2) for b in found.boxes[wrong]]
    np.save(args.target, np.array(rows, np.float32).reshape(-1, 3))
    print(f"{len(rows)} false boxes in {len(frames.images)} frames")


if __name__ == "__main__":
    main()
