"""The score of a run, from its files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hardware_sim.errors import ScoreError
from hardware_sim.score.alerts import score_alerts
from hardware_sim.score.camera import read_camera, read_looks
from hardware_sim.score.pictures import score_pictures
from hardware_sim.score.read import json_lines, need, read_truth
from hardware_sim.score.tracks import score_tracks

if TYPE_CHECKING:
    from pathlib import Path


def score_files(
    truth_path: Path, tracks_path: Path, alerts_path: Path, camera_path: Path | None = None
) -> dict[str, Any]:
    """Alerts and tracks (JSON lines as `vigia watch --json` prints them) against a run's truth.

    `alert_delays_s` is the time from event to alert of every matched alert; `alerts` is of `score_alerts`, `tracks` of
    `score_tracks`, with sizes in the picture if `camera_path` is what `render` wrote of the same scenario and seed.

    Raises:
        ScoreError: a file is missing or is not what it should be.

    """
    truth = read_truth(truth_path)
    camera = None if camera_path is None else read_camera(camera_path)
    if camera is not None and any(camera.header[k] != truth.header[k] for k in ("scenario", "seed")):
        about, other = (f"{h['scenario']} with seed {h['seed']}" for h in (camera.header, truth.header))
        raise ScoreError(f"{camera_path} is of {about}, {truth_path} of {other}; render the same one")
    tracks = json_lines(tracks_path, "track")
    alerts = json_lines(alerts_path, "alert")
    for track in tracks:
        need(track, ("id", "at", "lat", "lon"), tracks_path)
    for alert in alerts:
        need(alert, ("id", "rule", "at", "lat", "lon"), alerts_path)
    scored = score_alerts(truth, alerts)
    return {
        "scenario": truth.header["scenario"],
        "seed": truth.header["seed"],
        "duration_s": round(truth.duration_s, 3),
        "alert_delays_s": scored.pop("delays_s"),
        "alerts": scored,
        "tracks": score_tracks(truth, tracks, camera),
    }


def score_boxes(camera_path: Path, boxes_path: Path) -> dict[str, Any]:
    """What `vigia detect` found in rendered pictures against their truth; `camera` is of `score_pictures`.

    Raises:
        ScoreError: a file is missing or is not what it should be.

    """
    camera = read_camera(camera_path)
    scored = score_pictures(camera, read_looks(boxes_path, camera))
    return {"scenario": camera.header["scenario"], "seed": camera.header["seed"], "camera": scored}
