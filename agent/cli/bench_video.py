"""Radar video's speed: turns of 4096 azimuths by 2048 cells at 24 rpm through frame, clutter map, detection and plots.

The video is made beforehand: noise that is new each turn, sea clutter that falls off with range, land, and point
targets that move. It comes as CAT240 messages of 8 bits, a datagram each; processor time with and without decoding.
"""

from __future__ import annotations

import struct
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from agent.drivers.radar.cat240 import Cat240Decoder, Cat240Options
from agent.errors import InternalError
from agent.messages import Stamp
from agent.perception.radar.extract import PlotExtractor

if TYPE_CHECKING:
    from numpy.typing import NDArray

AZIMUTHS, CELLS = 4096, 2048
TURN_S = 2.5
RANGE_M = 24_000.0
BEAM_ROWS = 11  # 1 degree
TARGETS = 200
TURNS, WARM_UP = 10, 4


def measure(*, rounds: int, seed: int) -> dict[str, Any]:  # noqa: ARG001 - the shape of all benchmarks
    """CPU time of a turn, times real time, and plots; a process' memory is told by `python -m bench.video.process`."""
    rng = np.random.default_rng(seed)
    places = np.stack((rng.uniform(0, AZIMUTHS, TARGETS), rng.uniform(100, CELLS - 100, TARGETS)), axis=1)
    steps = rng.uniform(-2.0, 2.0, (TARGETS, 2))
    options = Cat240Options(azimuths=AZIMUTHS, beamwidth_deg=1.0, cfar="os")
    decoder, extractor = Cat240Decoder("radar", options), PlotExtractor("radar", options.for_video(255))
    spent, decoding, plots = [], [], []
    for turn in range(TURNS):
        picture = _picture(rng, places + turn * steps)
        messages = [
            (Stamp(t_s=TURN_S * (turn + n / AZIMUTHS), wall_s=0.0), m) for n, m in enumerate(_coded(picture, turn))
        ]
        began = time.process_time()
        spokes = [spoke for at, m in messages for spoke in decoder.decode(m, at, "10.0.0.1:1")]
        decoded = time.process_time()
        for spoke in spokes:
            scan = extractor.feed(spoke)
            if scan is not None and turn >= WARM_UP:
                plots.append(len(scan.plots))
        if turn >= WARM_UP:
            spent.append(time.process_time() - decoded)
            decoding.append(decoded - began)
    if decoder.counters["spokes"] != TURNS * AZIMUTHS or decoder.counters["spokes_lost"]:
        raise InternalError(f"{decoder.counters['spokes']} spokes of {TURNS * AZIMUTHS} messages")
    mean, decode = sum(spent) / len(spent), sum(decoding) / len(decoding)
    return {
        "azimuths": AZIMUTHS, "cells": CELLS, "turn_s": TURN_S, "targets": TARGETS,
        "cpu_ms_per_turn": round(1000.0 * mean, 1), "times_real_time": round(TURN_S / mean, 1),
        "decoding_cpu_ms_per_turn": round(1000.0 * decode, 1),
        "times_real_time_with_decoding": round(TURN_S / (mean + decode), 1),
        "plots_per_turn": round(sum(plots) / len(plots), 1),
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


def _coded(picture: NDArray[np.uint8], turn: int) -> list[bytes]:
    """The picture as CAT240 messages of one radial each, 8 bits, packed from the standard's table."""
    step = 65_536 // AZIMUTHS
    cell_fs = round(2.0 * RANGE_M / CELLS / 299_792_458.0 * 1e15)
    out = []
    for row in range(AZIMUTHS):
        body = struct.pack(
            ">BBBBBIHHIIBBHBHB", 0xE7, 0xA0, 1, 7, 2, turn * AZIMUTHS + row, row * step, (row + 1) * step & 0xFFFF, 0,
            cell_fs, 0, 4, CELLS, 0, CELLS, CELLS // 64,
        ) + picture[row].tobytes()  # fmt: skip
        out.append(struct.pack(">BH", 240, 3 + len(body)) + body)
    return out
