"""Both stages on one machine with a GPU and many cores: `python -m training.whole --run OUT --minutes 9`.

Promises:
- it ends by itself within the minutes given; `RUN/b/last.pt` is what came out;
- frames are rendered while the first stage learns from those that are there; the second sees all that were ready when
  it began, an unbroken range of seeds, and `RUN/train.json` says which, with the renderer's digest.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from training.frames import describe, open_frames

FIRST_STAGE = 0.38
"""Share of the minutes when the first stage ends."""
MINE_AT = 0.28
LAST_SHARE = 0.03
"""Left for ending: a process needs seconds to start and to save."""
MINED_FRAMES = 400


def ready(frames: Path) -> int:
    """How many shards of the training split are there from the first on without a gap."""
    count = 0
    while (frames / "train" / f"shard-{count:04d}.npz").exists():
        count += 1
    return count


def cut_off(frames: Path) -> int:
    """Take away what lies behind the first gap, and say how many shards are left."""
    count = ready(frames)
    for path in (frames / "train").glob("shard-????.npz"):
        if int(path.stem.removeprefix("shard-")) >= count:
            path.unlink()
    return count


def start(module: str, *words: object, nice: int = 0) -> subprocess.Popen[bytes]:
    """Run a module of this package in a group of its own."""
    command = [sys.executable, "-m", f"training.{module}", *map(str, words)]
    print("+", *command[2:], flush=True)
    process = subprocess.Popen(command, start_new_session=True)  # noqa: S603  # our own modules
    if nice:
        os.setpriority(os.PRIO_PGRP, process.pid, nice)
    return process


def run(module: str, *words: object) -> None:
    """Run a module and wait; CalledProcessError if it failed."""
    process = start(module, *words)
    if process.wait():
        raise subprocess.CalledProcessError(process.returncode, module)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--frames", type=Path, default=Path("training-out/frames"))
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--first-shards", type=int, default=12, help="shards of frames that the first stage waits for")
    parser.add_argument("--batch", type=int, default=384)
    parser.add_argument("--rate", type=float, default=4e-3)
    args = parser.parse_args()
    args.run.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()

    def left(share: float) -> float:
        """Minutes until this share of the whole."""
        return args.minutes * share - (time.monotonic() - begun) / 60

    renderers = start(
        "generate", "train", "--count", 40_000, "--out", args.frames, "--processes", args.processes, nice=5
    )
    try:
        while ready(args.frames) < args.first_shards:
            time.sleep(0.5)
            if renderers.poll() is not None:
                raise subprocess.CalledProcessError(renderers.returncode, "generate")
        print(f"{(time.monotonic() - begun):.0f} s: {ready(args.frames)} shards", flush=True)
        common = ("--frames", args.frames, "--batch", args.batch, "--rate", args.rate)
        first = args.run / "a"
        cutters = max(args.processes * 2 // 3, 1)
        learning = start(
            "train", "--run", first, "--fall", 0, "--workers", cutters, "--minutes", left(FIRST_STAGE), *common
        )
        time.sleep(max(left(MINE_AT) * 60, 0))
        hard = args.run / "hard.npy"
        run("export", first / "last.pt", args.run / "first.onnx", "--min-score", 0.5)
        run(
            "mine", args.run / "first.onnx", hard, "--frames", args.frames, "--score", 0.2,
            "--limit", MINED_FRAMES, "--threads", max(args.processes * 2 // 5, 1),
        )  # fmt: skip
        if learning.wait():
            raise subprocess.CalledProcessError(learning.returncode, "train")
    finally:
        os.killpg(renderers.pid, signal.SIGKILL)
        renderers.wait()
    print(f"{(time.monotonic() - begun):.0f} s: {cut_off(args.frames)} shards", flush=True)
    last = start(
        "train", "--run", args.run / "b", "--start", first / "last.pt", "--hard", hard, "--calm", "--wide", 0.6,
        "--seed", 2, "--workers", max(args.processes - 1, 1), "--minutes", left(1 - LAST_SHARE), *common,
    )  # fmt: skip
    frames = open_frames(args.frames / "train")
    (args.run / "train.json").write_text(describe("train", frames.seeds, frames.truths) + "\n")
    if last.wait():
        raise subprocess.CalledProcessError(last.returncode, "train")


if __name__ == "__main__":
    main()
