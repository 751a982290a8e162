"""Identities and completeness beside TrackEval's CLEAR MOT."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import numpy as np
import pytest

from hardware_sim.score import score_files
from hardware_sim.score.tracks import CUT_OFF_M
from sim.score_files import Path3, drawn, files
from support.peers import peer_python

if TYPE_CHECKING:
    from pathlib import Path

# likeness 1 - (d / c)^2, so that its best assignment is GOSPA's of order 2
TRACKEVAL = """
import json, sys
import numpy as np
from trackeval.metrics import CLEAR
cut_off, truths, tracks = json.load(sys.stdin)
seconds = range(1 + max(k for p in truths for k, _, _ in p))
data = {"gt_ids": [], "tracker_ids": [], "similarity_scores": [], "num_timesteps": len(seconds),
        "num_gt_ids": len(truths), "num_tracker_ids": len(tracks)}
for second in seconds:
    there, said = ([(i, x, y) for i, p in enumerate(q) for k, x, y in p if k == second] for q in (truths, tracks))
    where, what = (np.array([(x, y) for _, x, y in them]).reshape(-1, 1, 2) for them in (there, said))
    squares = ((where - what.reshape(1, -1, 2)) ** 2).sum(axis=2)
    data["gt_ids"].append(np.array([i for i, _, _ in there], dtype=int))
    data["tracker_ids"].append(np.array([i for i, _, _ in said], dtype=int))
    data["similarity_scores"].append(np.maximum(0.0, 1.0 - squares / cut_off**2))
data["num_gt_dets"] = sum(map(len, data["gt_ids"]))
data["num_tracker_dets"] = sum(map(len, data["tracker_ids"]))
result = CLEAR({"THRESHOLD": 1e-9, "PRINT_CONFIG": False}).eval_sequence(data)
print(json.dumps({key: float(result[key]) for key in ("IDSW", "CLR_TP", "CLR_FN", "CLR_FP", "CLR_Re")}))
"""


def crowd(seed: int) -> tuple[list[Path3], list[Path3]]:
    """Boats that cross within the cut-off of each other; tracks that end, begin late, and change their boats."""
    rng = np.random.default_rng(seed)
    truths: list[Path3] = []
    tracks: list[Path3] = []
    for _ in range(8):
        x, y, vx, vy = *rng.uniform(-400.0, 400.0, 2), *rng.uniform(-12.0, 12.0, 2)
        truths.append([(k, x + vx * k, y + vy * k) for k in range(60)])
    for _ in range(14):
        a, b = sorted(rng.integers(0, 60, 2).tolist())
        first, second = rng.integers(0, 8, 2)
        change, noise = rng.integers(0, 60), rng.normal(0.0, 40.0, (60, 2))
        path = [truths[first if k < change else second][k] for k in range(a, b + 1)]
        tracks.append([(k, x + noise[k, 0], y + noise[k, 1]) for k, x, y in path])
    return truths, tracks


def theirs(truths: list[Path3], tracks: list[Path3]) -> dict[str, float]:
    done = subprocess.run(
        [peer_python("trackeval"), "-c", TRACKEVAL],
        input=json.dumps([CUT_OFF_M, truths, tracks]), capture_output=True, text=True, check=True,
    )  # fmt: skip
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


@pytest.mark.parametrize("seed", range(3))
def test_beside_trackeval_where_targets_are_apart(seed: int, tmp_path: Path) -> None:
    truths, tracks = drawn(seed)
    truths = truths[:5]  # the sixth is clutter to us, which TrackEval does not know
    ours, clear = score_files(*files(truths, tracks, tmp_path))["tracks"], theirs(truths, tracks)
    assert ours["identity_switches"] == clear["IDSW"]
    assert ours["completeness"] == pytest.approx(clear["CLR_Re"], abs=1e-4)
    assert sum(x["missed"] for x in ours["over_time"]) == clear["CLR_FN"]
    assert sum(x["false"] for x in ours["over_time"]) == clear["CLR_FP"]


@pytest.mark.parametrize("seed", range(4))
def test_identities_beside_trackeval_in_a_crowd(seed: int, tmp_path: Path) -> None:
    truths, tracks = crowd(seed)
    ours, clear = score_files(*files(truths, tracks, tmp_path, clutter=None))["tracks"], theirs(truths, tracks)
    assert clear["IDSW"] > 5
    assert ours["identity_switches"] == clear["IDSW"]
