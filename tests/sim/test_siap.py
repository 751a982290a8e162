"""SIAP by hand and beside Stone Soup's; recall by band; what is optional."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hardware_sim.geo import Site
from hardware_sim.score import score_files
from hardware_sim.score.camera import Camera, Picture
from hardware_sim.score.recall import Recall
from hardware_sim.score.siap import Siap, nearest
from support.peers import peer_python

STONE_SOUP = """
import datetime, json, sys
from stonesoup.dataassociator.tracktotrack import TrackToTruth
from stonesoup.measures import Euclidean
from stonesoup.metricgenerator.manager import MultiManager
from stonesoup.metricgenerator.tracktotruthmetrics import SIAPMetrics
from stonesoup.types.groundtruth import GroundTruthPath, GroundTruthState
from stonesoup.types.state import State
from stonesoup.types.track import Track
start = datetime.datetime(2026, 1, 1)
def at(k):
    return start + datetime.timedelta(seconds=k)
truths, tracks = json.load(sys.stdin)
truths = {GroundTruthPath([GroundTruthState([[x], [0], [y], [0]], timestamp=at(k)) for k, x, y in p]) for p in truths}
tracks = {Track([State([[x], [0], [y], [0]], timestamp=at(k)) for k, x, y in p]) for p in tracks}
siap = SIAPMetrics(position_measure=Euclidean((0, 2)), velocity_measure=Euclidean((1, 3)),
                   generator_name="s", tracks_key="tracks", truths_key="truths")
associator = TrackToTruth(association_threshold=200.0, consec_pairs_confirm=1, consec_misses_end=1,
                          measure=Euclidean((0, 2)))
manager = MultiManager([siap], associator)
manager.add_data({"tracks": tracks, "truths": truths})
metrics = manager.generate_metrics()["s"]
print(json.dumps({t: float(metrics["SIAP " + t].value)
                  for t in ("Completeness", "Ambiguity", "Spuriousness", "Position Accuracy")}))
"""
SITE = Site(43.0, -8.0)
START = 1_750_000_000.0
Path3 = list[tuple[int, float, float]]


def drawn(seed: int) -> tuple[list[Path3], list[Path3]]:
    """Truths on straight ways, tracks with gaps, doubles and strays, no two truths near each other."""
    rng = np.random.default_rng(seed)
    truths: list[Path3] = []
    tracks: list[Path3] = []
    for i in range(6):
        x, y, vx, vy = 2000.0 * i, 0.0, *rng.uniform(-8.0, 8.0, 2)
        path = [(k, x + vx * k, y + vy * k) for k in range(40)]
        truths.append(path)
        for _ in range(int(rng.integers(0, 3))):
            a, b = sorted(rng.integers(0, 40, 2).tolist())
            noise = rng.normal(0.0, 30.0, (40, 2))
            tracks.append([(k, px + noise[k, 0], py + noise[k, 1]) for k, px, py in path[a : b + 1]])
    for _ in range(3):
        x, y = rng.uniform(0.0, 10_000.0), rng.uniform(3000.0, 6000.0)
        tracks.append([(k, x + k, y) for k in range(int(rng.integers(0, 20)), 35)])
    return truths, tracks


def files(truths: list[Path3], tracks: list[Path3], folder: Path, **header: Any) -> tuple[Path, Path, Path]:
    def where(x: float, y: float) -> dict[str, float]:
        lat, lon = SITE.to_geo(x, y)
        e, n = SITE.to_enu(lat, lon)
        return {"lat": lat, "lon": lon, "east_m": e, "north_m": n}

    head = {
        "type": "header", "scenario": "s", "seed": 0, "site": {"lat": 43.0, "lon": -8.0}, "start_unix": START,
        "expect": [], "forbid": [], **header,
    }  # fmt: skip
    lines = [head]
    for i, path in enumerate(truths):
        lines += [
            {"type": "target", "at": START + k, "id": f"t{i}", "class": "buoy" if i == 5 else "panga", "mmsi": None,
             "length_m": 7.0, "sog_mps": 0.0, "cog_deg": 0.0, **where(x, y), **({"clutter": True} if i == 5 else {})}
            for k, x, y in path
        ]  # fmt: skip
    said = [
        {"at": START + k, "id": i, "status": "confirmed", **where(x, y)} for i, p in enumerate(tracks) for k, x, y in p
    ]
    out = folder / "truth.jsonl", folder / "tracks.jsonl", folder / "alerts.jsonl"
    contents: tuple[list[dict[str, Any]], ...] = (lines, said, [])
    for path_, items in zip(out, contents, strict=True):
        path_.write_text("".join(json.dumps(x) + "\n" for x in items), encoding="utf-8")
    return out


@pytest.mark.parametrize("seed", range(4))
def test_beside_stone_soup_from_files_to_figures(seed: int, tmp_path: Path) -> None:
    truths, tracks = drawn(seed)
    truths = truths[:5]  # the sixth is clutter to us, which Stone Soup does not know
    ours = score_files(*files(truths, tracks, tmp_path))["tracks"]["siap"]
    done = subprocess.run(
        [peer_python("stonesoup"), "-c", STONE_SOUP],
        input=json.dumps([truths, tracks]), capture_output=True, text=True, check=True,
    )  # fmt: skip
    theirs = json.loads(done.stdout)
    assert ours["completeness"] == pytest.approx(theirs["Completeness"], abs=1e-4)
    assert ours["ambiguity"] == pytest.approx(theirs["Ambiguity"], abs=1e-4)
    assert ours["spuriousness"] == pytest.approx(theirs["Spuriousness"], abs=1e-4)
    assert ours["position_accuracy_m"] == pytest.approx(theirs["Position Accuracy"], abs=0.02)


def test_by_hand() -> None:
    siap = Siap()
    truth, tracks = [(0.0, 0.0), (1000.0, 0.0)], [(30.0, 40.0), (0.0, 10.0), (5000.0, 0.0)]
    pairs = nearest(truth, tracks, 200.0)
    assert pairs == [(0, 0, 50.0), (0, 1, 10.0)]
    siap.add(2, 3, pairs)
    assert siap.result() == {
        "completeness": 0.5, "ambiguity": 2.0, "spuriousness": 0.3333, "position_accuracy_m": 30.0,
    }  # fmt: skip
    assert Siap().result()["ambiguity"] is None


def test_clutter_and_what_is_out_of_reach_cost_nothing_and_earn_nothing(tmp_path: Path) -> None:
    truths, _ = drawn(0)
    tracks = [list(truths[5]), list(truths[0])]
    got = score_files(*files(truths, tracks, tmp_path, reach_m=3500.0))["tracks"]
    assert got["false_rms_m"] == 0.0
    assert (got["false_tracks"], got["track_ids"]) == (0, 2)
    assert got["recall"]["by_class"] == {"panga": {"recall": 0.5, "of": 80}}  # t0 and t1 are within 3.5 km
    assert got["completeness"] == 0.5


def test_a_track_that_a_tick_leaves_out_has_ended_and_a_thinned_one_has_not(tmp_path: Path) -> None:
    truths, _ = drawn(0)
    track = [x for x in truths[0] if x[0] < 10]
    others = [list(truths[1])]
    paths = files(truths[:2], [track, *others], tmp_path)
    assert score_files(*paths)["tracks"]["completeness"] == pytest.approx((10 + 40) / 80, abs=1e-4)
    lines = [json.loads(line) | {"type": "track"} for line in paths[1].read_text(encoding="utf-8").splitlines()]
    paths[1].write_text("".join(json.dumps(x) + "\n" for x in lines), encoding="utf-8")
    assert score_files(*paths)["tracks"]["completeness"] > 0.7


def test_false_tracks_are_counted_once_however_long_they_live(tmp_path: Path) -> None:
    truths, _ = drawn(0)
    stray = [(k, 0.0, 4000.0) for k in range(30)]
    got = score_files(*files(truths[:5], [*truths[:5], stray], tmp_path))["tracks"]
    assert got["false_tracks"] == 1
    assert got["false_tracks_per_h"] == pytest.approx(3600.0 / 39.0, abs=0.01)
    assert got["completeness"] == 1.0


def test_bands() -> None:
    """A ship of 60 x 12 px at 30 s, hidden at 40 s; no picture of 50 s."""
    header = {"camera": {"bearing_deg": 350.0, "hfov_deg": 40.0}}
    box = np.array([[10.0, 10.0, 70.0, 22.0]], np.float32)
    pictures = [
        Picture(t=t, file=None, ids=("a",), kinds=("tug",), range_m=(1500.0,), boxes=box, seen=np.array([t == 30.0]))
        for t in (30.0, 40.0)
    ]
    recall = Recall(Camera(path=Path(), header=header, pictures=pictures))
    a = {"id": "a", "class": "tug", "east_m": 0.0, "north_m": 1500.0}
    for t, seen in ((29.6, True), (30.4, False), (40.0, True), (50.0, True)):
        recall.add(a, t, seen=seen)
    recall.add({**a, "id": "far", "class": "panga", "north_m": 50_000.0}, 30.0, seen=False)  # in its field of view
    recall.add({**a, "id": "aside", "class": "panga", "east_m": 900.0}, 30.0, seen=True)  # 31 deg: outside
    got = recall.result()
    assert got["by_class"] == {"panga": {"recall": 0.5, "of": 2}, "tug": {"recall": 0.75, "of": 4}}
    assert list(got["by_range_m"]) == ["1000-2000", "32000-"]
    assert got["by_range_m"]["1000-2000"] == {"recall": 0.8, "of": 5}
    unseen = {"recall": 0.5, "of": 2}
    assert got["by_height_px"] == {"8-16": {"recall": 0.5, "of": 2}, "unseen": unseen}
    assert got["by_width_px"] == {"32-64": {"recall": 0.5, "of": 2}, "unseen": unseen}
    assert list(got["by_height_px"])[-1] == "unseen"
    alone = Recall(None)
    alone.add(a, 30.0, seen=True)
    assert alone.result()["by_height_px"] == {}
