"""Tracks and alerts as the JSON objects that docs name (one per line in tracks.jsonl and alerts.jsonl).

Promises:
- every object has all its keys, null where nothing is known; units stand in the names;
- the same track or alert gives the same text (floats by repr).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agent.messages import Alert, Track


def track_json(track: Track) -> dict[str, Any]:
    """One vessel at one tick. `cov`: 4x4 of (east, north, v_east, v_north), metres and metres per second.

    A contact known by bearing only has `bearing_deg` and `sigma_bearing_deg` as well: its position is an assumed one.
    """
    out: dict[str, Any] = {
        "at": track.at_s,
        "id": track.id,
        "lat": track.lat,
        "lon": track.lon,
        "east_m": track.east_m,
        "north_m": track.north_m,
        "cog_deg": track.cog_deg,
        "sog_mps": track.sog_mps,
        "cov": [list(row) for row in track.cov],
        "status": track.status.value,
        "sources": list(track.sources),
        "mmsi": track.mmsi,
        "name": track.name,
        "class": track.class_,
        "confidence": track.confidence,
    }
    if track.bearing_deg is not None:
        out["bearing_deg"] = track.bearing_deg
        out["sigma_bearing_deg"] = track.sigma_bearing_deg
    return out


def alert_json(alert: Alert) -> dict[str, Any]:
    """One step in the life of an alert; `track` is the id of the track that it is about."""
    return {
        "at": alert.at_s,
        "wall_s": alert.wall_s,
        "id": alert.id,
        "revision": alert.revision,
        "situation": alert.situation,
        "rule": alert.rule,
        "rule_name": alert.rule_name,
        "state": alert.state.value,
        "severity": alert.severity.value,
        "likelihood": alert.likelihood.value,
        "reasons": list(alert.reasons),
        "reason_codes": list(alert.reason_codes),
        "zone": alert.zone,
        "track": alert.track.id,
        "lat": alert.track.lat,
        "lon": alert.track.lon,
        "cog_deg": alert.track.cog_deg,
        "sog_mps": alert.track.sog_mps,
        "mmsi": alert.track.mmsi,
        "sources": list(alert.track.sources),
        "exercise": alert.exercise,
    }
