"""Tiles and the merge of their boxes beside sahi: how many tiles a picture needs, and what is left of the same boxes.

A detector is not needed for it: what it would see of drawn vessels of 8 to 900 px in each tile and in the whole picture
is made from geometry and a seed, pieces at tile borders included. Both sides get the same boxes. sahi runs in an
environment of its own (`make peers`).
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from agent.inference.boxes import Found, found
from agent.inference.tiles import OVERLAP, TILE_PX, Region, find_in, tiles, whole

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agent.inference.boxes import F32
    from agent.inference.detector import Detector

PEER, PEER_SCRIPT = Path(".venv-peers/sahi/bin/python"), Path(__file__).with_name("bench_vision_tiles_peer.py")
SIZES = ((1920, 1080), (3840, 2160))
PICTURES = 40  # of each size
VESSELS = 15
_SEEN_SHARE = 0.2  # a piece of a vessel is a box from this share of it on
_WHOLE_MIN_PX = 12.0  # what the reduced picture shows, in its own pixels
_MATCH_IOU = 0.5


@dataclass(slots=True)
class _Prepared:
    """In the place of a detector: the boxes of one view after the other."""

    views: list[Found] = field(default_factory=list)
    rivals: None = None  # each class competes with itself alone

    def find(self, _image: object, **_: object) -> Found:
        return self.views.pop(0)


def measure(*, rounds: int, seed: int) -> dict[str, Any]:  # noqa: ARG001 - the shape of all benchmarks
    """Tiles a picture, recall, precision and IoU after the merge, milliseconds a picture, by size and side."""
    rng = np.random.default_rng(seed)
    figures: dict[str, Any] = {}
    pictures = []
    for width, height in SIZES:
        full = whole(width, height)
        regions = [full, *tiles(full, TILE_PX, TILE_PX)]
        scores, spent = [], 0.0
        image = np.zeros((height, width, 3), dtype=np.uint8)
        for _ in range(PICTURES):
            truth = _vessels(rng, width, height)
            views = [_seen(rng, truth, region) for region in regions]
            pictures.append([f"{width}x{height}", truth.tolist(), _joined(views, regions)])
            start = time.thread_time()
            merged = find_in(cast("Detector", _Prepared(views)), image, regions, min_score=0.1)
            spent += time.thread_time() - start
            scores.append(scored(truth, merged.corners))
        figures[f"{width}x{height}"] = {
            "tiles": len(regions) - 1,
            "vigia": {**summed(scores), "ms": round(1000.0 * spent / PICTURES, 2)},
        }
    if not PEER.exists():
        return {**figures, "peers": "not installed: make peers"}
    for size, by_side in _peers(pictures).items():
        figures[size] |= by_side
    return figures


def _vessels(rng: np.random.Generator, width: int, height: int) -> F32:
    """True boxes along a shore and on the water; they may hide each other in part."""
    wide = np.exp(rng.uniform(np.log(8.0), np.log(900.0), VESSELS))
    high = np.maximum(4.0, wide * rng.uniform(0.2, 0.4, VESSELS))
    x = rng.uniform(0.0, width - wide)
    foot = np.minimum(height - 1.0, 0.4 * height + high + rng.exponential(0.1 * height, VESSELS))
    return np.column_stack([x, np.maximum(0.0, foot - high), x + wide, foot]).astype(np.float32)


def _seen(rng: np.random.Generator, truth: F32, region: Region) -> Found:
    """The boxes of one view, in its pixels: noise of a pixel and 2 %, scores that fall with what is cut away."""
    corner = np.array([region.x, region.y] * 2, dtype=np.float32)
    limits = np.array([region.width, region.height] * 2, dtype=np.float32)
    inside = np.clip(truth - corner, 0.0, limits)
    sides, all_sides = inside[:, 2:] - inside[:, :2], truth[:, 2:] - truth[:, :2]
    share = sides.prod(axis=1) / all_sides.prod(axis=1)
    grain = max(1.0, region.width / TILE_PX / 2.0)  # the whole picture is looked at reduced
    there = (share >= _SEEN_SHARE) & (sides[:, 0] / grain >= (_WHOLE_MIN_PX if grain > 1.0 else 4.0))
    noise = rng.normal(0.0, 1.0, inside.shape) * (0.5 * grain + 0.02 * np.tile(sides, 2))
    scores = np.clip(0.8 * np.sqrt(share) + rng.normal(0.0, 0.05, len(share)), 0.1, 0.99)
    corners = np.clip(inside + noise, 0.0, limits)
    return found(corners[there], scores[there], np.zeros(int(there.sum())))


def _joined(views: list[Found], regions: list[Region]) -> list[list[float]]:
    """All views' boxes in pixels of the picture, with scores, for the peer."""
    return [
        [x0 + r.x, y0 + r.y, x1 + r.x, y1 + r.y, score]
        for view, r in zip(views, regions, strict=True)
        for (x0, y0, x1, y1), score in zip(view.corners.tolist(), view.scores.tolist(), strict=True)
    ]


def scored(truth: NDArray[np.floating], boxes: NDArray[np.floating]) -> tuple[int, int, int, float]:
    """Found vessels, true vessels, boxes, sum of IoU: each box for one vessel, the best pairs first."""
    low = np.maximum(truth[:, None, :2], boxes[None, :, :2])
    high = np.minimum(truth[:, None, 2:4], boxes[None, :, 2:4])
    shared = np.prod(np.clip(high - low, 0.0, None), axis=2)
    areas = [np.prod(b[:, 2:4] - b[:, :2], axis=1) for b in (truth, boxes)]
    iou = shared / np.maximum(areas[0][:, None] + areas[1][None] - shared, 1e-9)
    hits, total = 0, 0.0
    while iou.size and (best := float(iou.max())) >= _MATCH_IOU:
        i, j = np.unravel_index(int(iou.argmax()), iou.shape)
        iou[i, :], iou[:, j] = 0.0, 0.0
        hits, total = hits + 1, total + best
    return hits, len(truth), len(boxes), total


def summed(scores: list[tuple[int, int, int, float]]) -> dict[str, float]:
    """Recall, precision, mean IoU over several pictures."""
    hits, true, boxes, total = (float(sum(column)) for column in zip(*scores, strict=True))
    return {
        "recall": round(hits / true, 3), "precision": round(hits / max(boxes, 1.0), 3),
        "iou": round(total / max(hits, 1.0), 3),
    }  # fmt: skip


def _peers(pictures: list[list[Any]]) -> dict[str, dict[str, Any]]:
    with tempfile.TemporaryDirectory(prefix="vigia-tiles-") as name:
        given = Path(name, "given.json")
        given.write_text(json.dumps(pictures), encoding="utf-8")
        command = [str(PEER), str(PEER_SCRIPT), str(given), str(TILE_PX), str(OVERLAP)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - our own script
    answer: dict[str, dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    out: dict[str, dict[str, Any]] = {}
    for size, by_side in answer.items():
        truths = [np.asarray(t, dtype=np.float64) for s, t, _ in pictures if s == size]
        out[size] = {"tiles_sahi": by_side.pop("tiles")}
        for side, (ms, merged) in by_side.items():
            boxes = [np.asarray(m, dtype=np.float64).reshape(-1, 4) for m in merged]
            out[size][side] = {**summed(list(map(scored, truths, boxes))), "ms": ms}
    return out
