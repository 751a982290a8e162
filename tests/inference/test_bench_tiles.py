"""The benchmark of tiles runs beside the detector that there is, with or without its peer."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.cli import bench_vision_tiles


def test_the_bench_of_tiles_gives_its_figures_without_a_peer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(bench_vision_tiles, "PICTURES", 2)
    monkeypatch.setattr(bench_vision_tiles, "PEER", tmp_path / "none")
    figures = bench_vision_tiles.measure(rounds=1, seed=1)
    assert figures["1920x1080"]["tiles"] == 8
    assert figures["1920x1080"]["vigia"]["recall"] > 0.8
    assert figures["peers"] == "not installed: make peers"
