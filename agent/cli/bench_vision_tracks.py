"""Tracks in the picture beside ByteTrack, OC-SORT and BoT-SORT, on the same boxes: HOTA, identities, time a look.

The boxes are made here, from geometry and a seed: vessels of 8 to 90 px that cross each other, seen through noise,
misses and false boxes, `LOOKS_A_SECOND` times a second, from a steady and from a swinging mast. The peers get them
twice: as they are, and with the picture's shift taken out, which is what our tracker does itself. Everybody's tracks
are scored by trackeval against the true boxes. Both run in environments of their own (`make peers`).
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from agent.config.schema import Tracking
from agent.fusion.camera import sight_settings
from agent.messages import Box
from agent.tracking.sight import SightTracker

if TYPE_CHECKING:
    from numpy.typing import NDArray

PEER, PEER_SCRIPT = Path(".venv-peers/trackers/bin/python"), Path(__file__).with_name("bench_vision_tracks_peer.py")
JUDGE, JUDGE_SCRIPT = Path(".venv-peers/trackeval/bin/python"), Path(__file__).with_name("bench_vision_hota.py")
WIDTH, HEIGHT = 1280, 720
LOOKS = 300
LOOKS_A_SECOND = 3.0
SEEDS = 6  # sequences a scene: with two, a single swap that lasts decides who is ahead
VESSELS = 8
SWING_PX = {"steady": 0.0, "swinging": 5.0}  # one sigma of the mast's swing in the picture, up and down
_SWING_KEEPS = 0.3  # correlation from look to look: a mast swings faster than it is looked at
_SHIFT_ERROR_PX = 0.7
_FALSE_A_LOOK = 1.0
_HORIZON_PX = 300.0

Rows = list[list[float]]  # of one look: x0, y0, x1, y1, and an identity (truth, tracks) or a score (boxes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequence:
    """True boxes, found boxes and measured shift (px, positive down) of each look."""

    name: str
    truth: list[Rows]
    boxes: list[Rows]
    shifts_px: list[float]


def measure(*, rounds: int, seed: int) -> dict[str, Any]:  # noqa: ARG001 - the shape of all benchmarks
    """HOTA, DetA, AssA (0 to 1), identity switches and microseconds a look, by scene and tracker."""
    sequences = [make_sequence(scene, seed + n) for scene in SWING_PX for n in range(SEEDS)]
    tracks = {s.name: {"vigia": ours(s)} for s in sequences}
    figures: dict[str, Any] = {"looks": LOOKS * len(sequences), "us_a_look": {"vigia": _us_a_look(sequences)}}
    if not (PEER.exists() and JUDGE.exists()):
        return {**figures, "peers": "not installed: make peers"}
    with tempfile.TemporaryDirectory(prefix="vigia-tracks-") as name:
        given, tracked = Path(name, "given.json"), Path(name, "tracked.json")
        given.write_text(json.dumps([[s.name, s.boxes, s.shifts_px] for s in sequences]), encoding="utf-8")
        theirs = _run(PEER, PEER_SCRIPT, given)
        for sequence, by_tracker in theirs["tracks"].items():
            tracks[sequence] |= by_tracker
        figures["us_a_look"] |= theirs["us_a_look"]
        tracked.write_text(
            json.dumps([[s.name.split("-")[0], s.truth, tracks[s.name]] for s in sequences]), encoding="utf-8"
        )
        return {**figures, **_run(JUDGE, JUDGE_SCRIPT, tracked)}


def make_sequence(scene: str, seed: int) -> Sequence:
    """One sequence; the same scene and seed give the same."""
    rng = np.random.default_rng(seed)
    swing = SWING_PX[scene]
    width = np.exp(rng.uniform(np.log(8.0), np.log(90.0), VESSELS))
    height = np.maximum(3.0, width * rng.uniform(0.2, 0.45, VESSELS))
    x = rng.uniform(0.0, WIDTH, VESSELS)
    y = _HORIZON_PX + 2.0 + 1.2 * height  # the larger, the nearer, the lower
    vx = rng.choice([-1.0, 1.0], VESSELS) * rng.uniform(0.3, 3.0, VESSELS) * np.sqrt(width) / 2.0  # px/s
    gone = np.minimum(0.35, 0.05 + 1.5 / width)  # share of looks that miss it
    down = 0.0
    truth, boxes, shifts = [], [], []
    for _ in range(LOOKS):
        down = _SWING_KEEPS * down + float(rng.normal(0.0, swing * np.sqrt(1.0 - _SWING_KEEPS**2)))
        x = x + vx / LOOKS_A_SECOND
        vx = np.where((x < 0.0) | (x > WIDTH), -vx, vx)  # comes about at the edge of the picture
        true = _corners(x, y + down, width, height)
        truth.append([[*row, float(i)] for i, row in enumerate(true.tolist())])
        seen = rng.uniform(size=VESSELS) >= gone
        jitter = np.column_stack([rng.normal(0.0, 0.7 + 0.04 * side) for side in (width, height)])
        size = np.exp(rng.normal(0.0, 0.12, (VESSELS, 2)))
        noisy = _corners(x + jitter[:, 0], y + down + jitter[:, 1], width * size[:, 0], height * size[:, 1])
        scores = np.clip(rng.normal(0.6, 0.15, VESSELS), 0.1, 0.99)
        found = [[*row, s] for row, s, there in zip(noisy.tolist(), scores.tolist(), seen, strict=True) if there]
        boxes.append(found + _false_boxes(rng, down))
        shifts.append(down + float(rng.normal(0.0, _SHIFT_ERROR_PX)) * (swing > 0.0))
    return Sequence(name=f"{scene}-{seed}", truth=truth, boxes=boxes, shifts_px=shifts)


def _corners(
    x: NDArray[np.float64], y: NDArray[np.float64], width: NDArray[np.float64], height: NDArray[np.float64]
) -> NDArray[np.float64]:
    return np.column_stack([x - width / 2.0, y - height / 2.0, x + width / 2.0, y + height / 2.0])


def _false_boxes(rng: np.random.Generator, down: float) -> Rows:
    """Waves and glint: anywhere on the water, of any size, mostly with poor scores."""
    many = int(rng.poisson(_FALSE_A_LOOK))
    width = np.exp(rng.uniform(np.log(6.0), np.log(40.0), many))
    place = rng.uniform(0.0, WIDTH, many), _HORIZON_PX + down + rng.exponential(40.0, many)
    corners = _corners(*place, width, np.maximum(3.0, 0.35 * width))
    return [[*row, float(np.clip(rng.normal(0.35, 0.12), 0.1, 0.9))] for row in corners.tolist()]


def ours(sequence: Sequence) -> list[Rows]:
    """Our tracks' boxes with identities: each box has a label of its own, and a track's classes list those it had."""
    tracker = SightTracker(sight_settings(Tracking()))
    identities: dict[str, int] = {}
    out: list[Rows] = []
    for i, (rows, shift_px) in enumerate(zip(sequence.boxes, sequence.shifts_px, strict=True)):
        boxes = tuple(_box(row, f"{i}/{j}") for j, row in enumerate(rows))
        tracks: Rows = []
        for sighting in tracker.look(i / LOOKS_A_SECOND, boxes, WIDTH, shift_px):
            known = [identities[label] for label, _ in sighting.classes if label in identities]
            identity = min(known) if known else len(identities)
            identities.update((label, identity) for label, _ in sighting.classes)
            b = sighting.box
            tracks.append([b.x0, b.y0, b.x1, b.y1, float(identity)])
        out.append(tracks)
    return out


def _box(row: list[float], label: str) -> Box:
    return Box(x0=row[0], y0=row[1], x1=row[2], y1=row[3], score=row[4], class_id=0, label=label)


def _us_a_look(sequences: list[Sequence]) -> float:
    """Processor time of this thread: with one label, as a model gives them; the least of three runs."""
    looks = [[tuple(_box(row, "boat") for row in rows) for rows in s.boxes] for s in sequences]
    spent = []
    for _ in range(3):
        start = time.thread_time()
        for sequence, boxes in zip(sequences, looks, strict=True):
            tracker = SightTracker(sight_settings(Tracking()))
            for i, shift_px in enumerate(sequence.shifts_px):
                tracker.look(i / LOOKS_A_SECOND, boxes[i], WIDTH, shift_px)
        spent.append(time.thread_time() - start)
    return round(1e6 * min(spent) / (LOOKS * len(sequences)), 1)


def _run(python: Path, script: Path, argument: Path) -> dict[str, Any]:
    done = subprocess.run([str(python), str(script), str(argument)], check=True, capture_output=True, text=True)  # noqa: S603 - our own script
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer
