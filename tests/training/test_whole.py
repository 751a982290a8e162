"""What the stages of one training run hand to each other: shards without a gap, and the time that is left."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from training.whole import Processes, cut_off, left, ready


def shards(folder: Path, *numbers: int) -> list[str]:
    train = folder / "train"
    train.mkdir(exist_ok=True)
    for number in numbers:
        (train / f"shard-{number:04d}.npz").touch()
    return sorted(p.name for p in train.iterdir())


def test_shards_are_counted_up_to_the_first_gap(tmp_path: Path) -> None:
    assert ready(tmp_path) == 0
    shards(tmp_path, 1, 2)
    assert ready(tmp_path) == 0
    shards(tmp_path, 0, 4)
    assert ready(tmp_path) == 3


def test_what_lies_behind_a_gap_is_taken_away_and_nothing_else(tmp_path: Path) -> None:
    shards(tmp_path, 0, 1, 3, 10)
    (tmp_path / "train" / "shard-0002.part.npz").touch()
    assert cut_off(tmp_path) == 2
    assert shards(tmp_path) == ["shard-0000.npz", "shard-0001.npz", "shard-0002.part.npz"]


def test_a_step_that_is_late_ends_the_run_and_says_so() -> None:
    assert left(10.0, 0.5, 60.0) == pytest.approx(4.0)
    with pytest.raises(SystemExit, match="give more --minutes"):
        left(10.0, 0.5, 300.0)


def test_nothing_outlives_a_run(tmp_path: Path) -> None:
    with Processes() as processes:
        rendering = processes.start("generate", "train", "--count", "100", "--out", tmp_path)
        assert rendering.poll() is None
    assert rendering.returncode == -signal.SIGKILL
    processes.end(rendering)  # once more is no error
