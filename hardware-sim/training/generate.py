"""Render one split to disk: `python -m training.generate train --count 3000 --out training-out/frames`."""

from __future__ import annotations

import argparse
import multiprocessing
from pathlib import Path

import cv2

from training.frames import FIRST_SEED, SHARD_FRAMES, describe, open_frames, split_seeds, write_shard

SEED_LISTS = Path(__file__).parent / "seeds"


def _job(task: tuple[Path, int, list[int]]) -> int:
    cv2.setNumThreads(1)
    write_shard(*task)
    return task[1]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("split", choices=tuple(FIRST_SEED))
    parser.add_argument("--count", type=int, required=True, help="frames, rounded up to whole shards of 100")
    parser.add_argument("--out", type=Path, default=Path("training-out/frames"))
    parser.add_argument("--processes", type=int, default=1)
    args = parser.parse_args()
    folder = args.out / args.split
    seeds = list(split_seeds(args.split, -(-args.count // SHARD_FRAMES) * SHARD_FRAMES))
    tasks = [(folder, i, seeds[i * SHARD_FRAMES : (i + 1) * SHARD_FRAMES]) for i in range(len(seeds) // SHARD_FRAMES)]
    with multiprocessing.get_context("spawn").Pool(args.processes) as pool:
        for done in pool.imap(_job, tasks):
            print(f"{args.split}: shard {done + 1} of {len(tasks)}", flush=True)
    frames = open_frames(folder, len(seeds))
    (SEED_LISTS / f"{args.split}.json").write_text(describe(args.split, frames.seeds, frames.truths) + "\n")


if __name__ == "__main__":
    main()
