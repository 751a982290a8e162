"""Candidates of rendered frames with what they are worth: `python -m training.candidates DETECTOR.onnx OUT`.

Promises:
- what is kept of a candidate is what the shipped graph computes of it (`cascade.proposer`), features as float16,
  pictures as the bytes nearest to their means;
- `worth` (n, PRESENCES) is the score that each presence should have: the box's quality where it lies on a vessel, a
  buoy or a bird, relative to the best candidate of the same object as in `losses`, else 0;
- `counts` (n,) is False for what lies on truth that a person could not see either: it teaches nothing.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime  # type: ignore[import-untyped]  # ships no type information

from hardware_sim.sight import iou_table
from training.cascade import CANDIDATES, proposer
from training.classes import IGNORED, LABELS, VESSEL_CLASSES
from training.evaluate import padded
from training.frames import judge, open_frames

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training.frames import Truth

MIN_IOU = 0.1
MIN_QUALITY = 0.5
PRESENCES = 1 + len(LABELS) - VESSEL_CLASSES


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """Rows of arrays, n each: `rows`, `pictures` uint8, `features` float16 (see `cascade.CANDIDATES`).

    `worth` and `counts` as above; `box` cx, cy, w, h px and `label` of the object that each lies on, label -1: none.
    """

    rows: NDArray[np.float32]
    pictures: NDArray[np.uint8]
    features: NDArray[np.float16]
    worth: NDArray[np.float32]
    counts: NDArray[np.bool_]
    box: NDArray[np.float32]
    label: NDArray[np.int64]

    @classmethod
    def load(cls, folder: Path) -> Candidates:
        """All parts in a folder; FileNotFoundError when there is none."""
        parts = [np.load(p) for p in sorted(folder.glob("part-????.npz"))]
        if not parts:
            raise FileNotFoundError(f"no candidates under {folder}: make them with python -m training.candidates")
        return cls(**{f.name: np.concatenate([p[f.name] for p in parts]) for f in fields(cls)})


def corners(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, 4+) rows of cx, cy, w, h to x0, y0, x1, y1."""
    return np.concatenate((rows[:, :2] - rows[:, 2:4] / 2, rows[:, :2] + rows[:, 2:4] / 2), 1)


def teach(
    rows: NDArray[np.float32], truth: Truth, judged: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.float32], NDArray[np.int64]]:
    """`worth`, `counts`, `box` and `label` of a frame's candidates."""
    worth = np.zeros((len(rows), PRESENCES), np.float32)
    label = np.full(len(rows), -1, np.int64)
    box = rows[:, :4].copy()
    table = iou_table(corners(rows), truth.boxes)
    on, faint = judged >= 0, judged == IGNORED
    mine = np.where(on, table, 0.0)
    if len(truth.boxes):
        best = mine.max(0)
        owner, iou = mine.argmax(1), mine.max(1)
        hit = iou >= MIN_IOU
        quality = iou / best[owner].clip(1e-3) * np.sqrt(best[owner].clip(MIN_QUALITY))
        label[hit] = judged[owner[hit]]
        column = np.maximum(label - VESSEL_CLASSES + 1, 0)
        worth[np.flatnonzero(hit), column[hit]] = quality[hit]
        real = truth.boxes[owner[hit]]
        box[hit] = np.concatenate(((real[:, :2] + real[:, 2:]) / 2, real[:, 2:] - real[:, :2]), 1)
    middle = rows[:, :2]
    low, high = truth.boxes[faint, :2] - 2, truth.boxes[faint, 2:] + 2
    inside = (middle[:, None] >= low) & (middle[:, None] <= high)
    within = np.any(np.all(inside, axis=2), axis=1)
    return worth, ~(within & (label < 0)), box, label


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("detector", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--frames", type=Path, default=Path("training-out/frames"))
    parser.add_argument("--split", default="verify")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = args.threads
    model = proposer(args.detector).SerializeToString()
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    args.target.mkdir(parents=True, exist_ok=True)
    for shard in sorted((args.frames / args.split).glob("shard-????.npz")):
        target = args.target / f"part-{shard.stem[-4:]}.npz"
        if target.exists():
            continue
        frames = open_frames(shard.parent, shards=(shard,))
        columns: list[tuple[NDArray[np.generic], ...]] = []
        for image, truth in zip(frames.images, frames.truths, strict=True):
            rows, pictures, features = session.run(list(CANDIDATES), {"images": padded(image)})
            whole = np.rint(pictures * 255).clip(0, 255).astype(np.uint8)
            columns.append((rows, whole, features.astype(np.float16), *teach(rows, truth, judge(truth))))
        names = [f.name for f in fields(Candidates)]
        parts = {n: np.concatenate([c[i] for c in columns]) for i, n in enumerate(names)}
        np.savez(target.with_suffix(".part.npz"), **parts)  # type: ignore[arg-type] # savez takes no such keyword
        target.with_suffix(".part.npz").rename(target)
        print(
            f"{target}: {len(parts['label'])} candidates, {int((parts['label'] >= 0).sum())} on something", flush=True
        )


if __name__ == "__main__":
    main()
