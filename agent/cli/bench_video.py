"""Radar video's speed: turns of 4096 azimuths by 2048 cells at 24 rpm through frame, clutter map, detection and plots.

The video is made beforehand: noise that is new each turn, sea clutter that falls off with range, land, and point
targets that move. Spokes are as a driver gives them; what decoding costs on top stands in the driver's own figures.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from agent.cli.bench_cost import pss_mb
from agent.drivers.radar.video import Spoke, VideoOptions
from agent.perception.radar.extract import PlotExtractor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

AZIMUTHS, CELLS = 4096, 2048
TURN_S = 2.5
RANGE_M = 24_000.0
BEAM_ROWS = 11  # 1 degree
TARGETS = 200
TURNS, WARM_UP = 10, 4


def measure(*, rounds: int, seed: int) -> dict[str, Any]:  # noqa: ARG001 - the shape of all benchmarks
    """CPU time of a turn, times real time, plots, and memory of the process less the video that it was given."""
    rng = np.random.default_rng(seed)
    places = np.stack((rng.uniform(0, AZIMUTHS, TARGETS), rng.uniform(100, CELLS - 100, TARGETS)), axis=1)
    steps = rng.uniform(-2.0, 2.0, (TARGETS, 2))
    extractor = PlotExtractor("radar", VideoOptions(azimuths=AZIMUTHS, beamwidth_deg=1.0, cfar="os").for_video(255))
    spent, plots = [], []
    picture = np.empty((0, 0), np.uint8)
    for turn in range(TURNS):
        picture = _picture(rng, places + turn * steps)
        spokes = list(_spokes(picture, turn))
        began = time.process_time()
        for spoke in spokes:
            scan = extractor.feed(spoke)
            if scan is not None and turn >= WARM_UP:
                plots.append(len(scan.plots))
        if turn >= WARM_UP:
            spent.append(time.process_time() - began)
    mean = sum(spent) / len(spent)
    return {
        "azimuths": AZIMUTHS, "cells": CELLS, "turn_s": TURN_S, "targets": TARGETS,
        "cpu_ms_per_turn": round(1000.0 * mean, 1), "times_real_time": round(TURN_S / mean, 1),
        "plots_per_turn": round(sum(plots) / len(plots), 1),
        "pss_mb": round(pss_mb(os.getpid()) - picture.nbytes / 1e6, 1),
    }  # fmt: skip


def _picture(rng: np.random.Generator, places: NDArray[np.float64]) -> NDArray[np.uint8]:
    """(AZIMUTHS, CELLS) levels of logarithmic 8-bit video, three levels a decibel's third."""
    sea = np.clip(90.0 - np.arange(CELLS) / 4.0, 10.0, None)
    out = np.empty((AZIMUTHS, CELLS), np.uint8)
    for start in range(0, AZIMUTHS, 256):  # in strips: a float picture would be what the memory figure shows
        speckle = 12.0 * np.log(np.maximum(rng.exponential(size=(256, CELLS)), 1e-3))
        out[start : start + 256] = np.clip(sea + speckle, 0.0, 255.0).astype(np.uint8)
    out[600:900, 1500:1700] = 220  # land
    rows, cells = np.arange(-BEAM_ROWS, BEAM_ROWS + 1), np.arange(-3, 4)
    shape = 200.0 - 100.0 * (rows[:, None] / BEAM_ROWS) ** 2 - 100.0 * (cells[None, :] / 3.0) ** 2
    for row, cell in places.tolist():
        where = np.ix_((int(row) + rows) % AZIMUTHS, np.clip(int(cell) + cells, 0, CELLS - 1))
        out[where] = np.maximum(out[where], np.clip(shape, 0.0, 255.0).astype(np.uint8))
    return out


def _spokes(picture: NDArray[np.uint8], turn: int) -> Iterator[Spoke]:
    for row in range(AZIMUTHS):
        yield Spoke(
            at_s=TURN_S * (turn + row / AZIMUTHS), source="radar", stream="", angle_deg=row * 360.0 / AZIMUTHS,
            heading_deg=0.0, range_m=RANGE_M, samples=picture[row], status=0, scan_number=row, top_level=255,
        )  # fmt: skip
