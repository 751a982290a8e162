"""The score of a run, from its files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hardware_sim.score.alerts import score_alerts
from hardware_sim.score.read import json_lines, need, read_truth
from hardware_sim.score.tracks import score_tracks

if TYPE_CHECKING:
    from pathlib import Path


def score_files(truth_path: Path, tracks_path: Path, alerts_path: Path) -> dict[str, Any]:
    """Alerts and tracks (JSON lines as `vigia watch --json` prints them) against a run's truth.

    `alert_delays_s` is the time from event to alert of every matched alert; `alerts` is of `score_alerts`, `tracks` of
    `score_tracks`.

    Raises:
        ScoreError: a file is missing or is not what it should be.

    """
    truth = read_truth(truth_path)
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
        "tracks": score_tracks(truth, tracks),
    }
