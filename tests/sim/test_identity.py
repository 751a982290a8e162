"""Identity switches, completeness, missed and false against trackeval's CLEAR MOT on the same truth and tracks.

Where the targets lie far apart only what happens over time matters: tracks that begin late, end early, leave gaps,
double each other, and strays. In a crowd, targets share the reach of tracks, and tracks change their targets. Likeness
is 1 - (d / cut-off)^2, so that its best assignment is GOSPA's of order 2.
"""

from __future__ import annotations

import json
import subprocess

import numpy as np
import pytest

from hardware_sim.geo import Site
from hardware_sim.score.read import Truth
from hardware_sim.score.tracks import CUT_OFF_M, score_tracks
from support.peers import peer_python

SITE = Site(43.0, -8.0)
START = 1_750_000_000.0
SECONDS = 60
Points = dict[int, tuple[float, float]]  # second -> place

TRACKEVAL = """
import json, sys
import numpy as np
from trackeval.metrics import CLEAR
truths, tracks, cut_off, seconds = json.load(sys.stdin)
gt_ids, tracker_ids, similarity = [], [], []
for k in range(seconds):
    here = [i for i, p in enumerate(truths) if str(k) in p]
    live = [j for j, p in enumerate(tracks) if str(k) in p]
    gt_ids.append(np.array(here, dtype=int))
    tracker_ids.append(np.array(live, dtype=int))
    d = np.array([[np.hypot(*np.subtract(truths[i][str(k)], tracks[j][str(k)])) for j in live] for i in here])
    similarity.append(np.maximum(0.0, 1.0 - (d.reshape(len(here), len(live)) / cut_off) ** 2))
data = {"num_timesteps": seconds, "gt_ids": gt_ids, "tracker_ids": tracker_ids, "similarity_scores": similarity,
        "num_gt_ids": len(truths), "num_tracker_ids": len(tracks),
        "num_gt_dets": sum(map(len, gt_ids)), "num_tracker_dets": sum(map(len, tracker_ids))}
got = CLEAR({"THRESHOLD": 1e-9, "PRINT_CONFIG": False}).eval_sequence(data)
print(json.dumps({k: float(got[k]) for k in ("IDSW", "CLR_TP", "CLR_FN", "CLR_FP", "CLR_Re", "MOTP")}))
"""


def drawn(seed: int) -> tuple[list[Points], list[Points]]:
    """Five targets 3 km apart and the tracks of each, with gaps; two strays."""
    rng = np.random.default_rng(seed)
    truths, tracks = [], []
    for i in range(5):
        x, y, vx, vy = 3000.0 * i, 1000.0, *rng.uniform(-8.0, 8.0, 2)
        way = {k: (x + vx * k, y + vy * k) for k in range(SECONDS)}
        truths.append(way)
        for _ in range(int(rng.integers(1, 5))):
            a, b = sorted(rng.integers(0, SECONDS, 2).tolist())
            gap = range(*sorted(rng.integers(a, b + 1, 2).tolist())) if rng.random() < 0.5 else range(0)
            off = rng.normal(0.0, 30.0, (SECONDS, 2))
            seen = [k for k in range(a, b + 1) if k not in gap]
            tracks.append({k: (way[k][0] + off[k, 0], way[k][1] + off[k, 1]) for k in seen})
    first = rng.integers(0, 30, 2).tolist()
    tracks += [{k: (1500.0 + k, 4000.0 + k0 * 10.0) for k in range(k0, 50)} for k0 in first]
    return truths, tracks


def crowd(seed: int) -> tuple[list[Points], list[Points]]:
    """Eight boats that cross within the cut-off of each other; tracks that begin late, end, and change their boats."""
    rng = np.random.default_rng(seed)
    truths, tracks = [], []
    for _ in range(8):
        x, y, vx, vy = *rng.uniform(-400.0, 400.0, 2), *rng.uniform(-12.0, 12.0, 2)
        truths.append({k: (x + vx * k, y + vy * k) for k in range(SECONDS)})
    for _ in range(14):
        a, b = sorted(rng.integers(0, SECONDS, 2).tolist())
        (first, second), change = rng.integers(0, 8, 2).tolist(), int(rng.integers(0, SECONDS))
        off = rng.normal(0.0, 40.0, (SECONDS, 2))
        way = {k: truths[first if k < change else second][k] for k in range(a, b + 1)}
        tracks.append({k: (x + off[k, 0], y + off[k, 1]) for k, (x, y) in way.items()})
    return truths, tracks


def ours(truths: list[Points], tracks: list[Points]) -> dict[str, float]:
    def line(k: int, place: tuple[float, float]) -> dict[str, float]:
        lat, lon = SITE.to_geo(*place)
        e, n = SITE.to_enu(lat, lon)
        return {"at": START + k, "lat": lat, "lon": lon, "east_m": e, "north_m": n}

    seconds = {
        START + k: [
            {"id": f"t{i}", "class": "panga", "mmsi": None, "length_m": 7.0, "sog_mps": 0.0, "cog_deg": 0.0,
             **line(k, p[k])}
            for i, p in enumerate(truths)
        ]
        for k in range(SECONDS)
    }  # fmt: skip
    header = {"site": {"lat": SITE.lat, "lon": SITE.lon}, "start_unix": START, "expect": [], "forbid": []}
    truth = Truth(header=header, seconds=seconds, events=[])
    said = [{**line(k, place), "id": j, "status": "confirmed"} for j, p in enumerate(tracks) for k, place in p.items()]
    got = score_tracks(truth, said)
    return {
        "switches": got["identity_switches"], "completeness": got["completeness"],
        "missed": sum(x["missed"] for x in got["over_time"]), "false": sum(x["false"] for x in got["over_time"]),
    }  # fmt: skip


def theirs(truths: list[Points], tracks: list[Points]) -> dict[str, float]:
    done = subprocess.run(
        [peer_python("trackeval"), "-c", TRACKEVAL], input=json.dumps([truths, tracks, CUT_OFF_M, SECONDS]),
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("seed", range(6))
def test_beside_trackeval(seed: int) -> None:
    truths, tracks = drawn(seed)
    we, they = ours(truths, tracks), theirs(truths, tracks)
    assert we["switches"] == they["IDSW"]
    assert we["completeness"] == pytest.approx(they["CLR_Re"], abs=1e-4)
    assert (we["missed"], we["false"]) == (they["CLR_FN"], they["CLR_FP"])


@pytest.mark.parametrize("seed", range(6))
def test_identities_in_a_crowd_beside_trackeval(seed: int) -> None:
    truths, tracks = crowd(seed)
    we, they = ours(truths, tracks), theirs(truths, tracks)
    assert they["IDSW"] > 3
    assert we["switches"] == they["IDSW"]


def test_the_drawn_tracks_hold_what_the_comparison_is_about() -> None:
    """Switches, gaps and strays are there, in more than one of the seeds."""
    found = [ours(*drawn(seed)) for seed in range(6)]
    assert sum(f["switches"] > 0 for f in found) >= 4
    assert all(f["missed"] > 0 and f["false"] > 0 for f in found)


def test_a_track_that_comes_back_after_a_gap_is_no_switch_and_another_one_is() -> None:
    way = {k: (0.0, 1000.0 + k) for k in range(SECONDS)}
    same = [{k: p for k, p in way.items() if not 20 <= k < 30}]
    other = [{k: p for k, p in way.items() if k < 20}, {k: p for k, p in way.items() if k >= 30}]
    for tracks, switches in ((same, 0), (other, 1)):
        assert ours([way], tracks)["switches"] == theirs([way], tracks)["IDSW"] == switches
