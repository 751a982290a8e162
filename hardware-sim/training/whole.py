"""Both stages on one machine with a GPU and many cores: `python -m training.whole --run OUT --minutes 9`.

Promises:
- it ends by itself within the minutes given, and says so if they are too few; nothing that it started outlives it;
  `RUN/b/last.pt` is what came out;
- frames are rendered while the first stage learns from those that are there; the second sees all that were ready when
  it began, an unbroken range of seeds, and `RUN/train.json` says which, with the renderer's digest.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

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


def left(minutes: float, share: float, spent_s: float) -> float:
    """Minutes until this share of the whole; SystemExit if it has passed, since the rest would lack them."""
    rest = minutes * share - spent_s / 60
    if rest <= 0:
        raise SystemExit(
            f"{spent_s:.0f} s are spent, the step at {share:.0%} of {minutes:g} minutes is late: give more --minutes"
        )
    return rest


class Processes:
    """Modules of this package, each in a process group of its own; all of them end with the `with`."""

    def __init__(self) -> None:
        self._groups: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._groups:
            self.end(process)

    def start(self, module: str, *words: object, nice: int = 0) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"training.{module}", *map(str, words)]
        print("+", *command[2:], flush=True)
        process = subprocess.Popen(command, start_new_session=True)  # noqa: S603  # our own modules
        self._groups.append(process)
        os.setpriority(os.PRIO_PGRP, process.pid, nice)
        return process

    def end(self, process: subprocess.Popen[bytes]) -> None:
        with contextlib.suppress(ProcessLookupError):  # it has ended, and so have its children
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def finish(process: subprocess.Popen[bytes]) -> None:
    """Wait; CalledProcessError if it failed."""
    if process.wait():
        raise subprocess.CalledProcessError(process.returncode, process.args)


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

    def until(share: float) -> float:
        return left(args.minutes, share, time.monotonic() - begun)

    cores, frames = args.processes, args.frames
    first, hard, model = args.run / "a", args.run / "hard.npy", args.run / "first.onnx"
    common = ("--frames", frames, "--batch", args.batch, "--rate", args.rate)
    with Processes() as processes:
        renderers = processes.start(
            "generate", "train", "--count", 40_000, "--out", frames, "--processes", cores, nice=5
        )
        while ready(frames) < args.first_shards:
            time.sleep(0.5)
            until(FIRST_STAGE)
            if renderers.poll() is not None:
                raise subprocess.CalledProcessError(renderers.returncode, renderers.args)
        print(f"{(time.monotonic() - begun):.0f} s: {ready(frames)} shards", flush=True)
        learning = processes.start(
            "train", "--run", first, "--fall", 0, "--workers", max(cores * 2 // 3, 1),
            "--minutes", until(FIRST_STAGE), *common,
        )  # fmt: skip
        time.sleep(until(MINE_AT) * 60)
        finish(processes.start("export", first / "last.pt", model, "--min-score", 0.5))
        finish(processes.start(
            "mine", model, hard, "--frames", frames, "--score", 0.2,
            "--limit", MINED_FRAMES, "--threads", max(cores * 2 // 5, 1),
        ))  # fmt: skip
        finish(learning)
        processes.end(renderers)
        print(f"{(time.monotonic() - begun):.0f} s: {cut_off(frames)} shards", flush=True)
        last = processes.start(
            "train", "--run", args.run / "b", "--start", first / "last.pt", "--hard", hard, "--calm", "--wide", 0.6,
            "--seed", 2, "--workers", max(cores - 1, 1), "--minutes", until(1 - LAST_SHARE), *common,
        )  # fmt: skip
        opened = open_frames(frames / "train")
        (args.run / "train.json").write_text(describe("train", opened.seeds, opened.truths) + "\n")
        finish(last)


if __name__ == "__main__":
    main()
