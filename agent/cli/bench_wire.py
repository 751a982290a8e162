"""Payload sizes of messages with all their fields set, far offsets and four-digit ids, beside the same as JSON."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from agent.messages import (
    Alert,
    AlertState,
    Likelihood,
    SensorHealth,
    SensorState,
    Severity,
    Track,
    TrackPicture,
    TrackStatus,
)
from agent.packing import to_json
from agent.publish import wire
from agent.publish.ashore import cot
from agent.publish.birth import Birth
from agent.publish.encoder import Encoder

BORN_S = 1_790_000_000.0
COUNT = 200


def measure(*, rounds: int, seed: int) -> dict[str, Any]:  # noqa: ARG001 - the shape of all benchmarks
    """The figures, in bytes."""
    birth = Birth(
        node="tarifa-1", boot=0xA1B2C3D4, t0_ms=round(BORN_S * 1000), ref_e5=(3_601_234, -560_321),
        sensors=("radar-1", "camera-1", "ais-1"), rules=(("zone-enter", "reserve"),), zones=("Reserve",), info={},
    )  # fmt: skip
    encoder = Encoder(birth, BORN_S)
    tracks = [_track(1000 + i, i) for i in range(COUNT)]
    alerts = [_alert(4000 + i, t) for i, t in enumerate(tracks)]
    sizes = sorted(len(encoder.alert(a, 5000 + i)) for i, a in enumerate(alerts))
    batches = []
    for i in range(0, COUNT, 20):
        at_s = tracks[i].at_s
        batch = [(t.id, encoder.kinematics(t, at_s)) for t in tracks[i : i + 20]]
        batches.append(len(encoder.tracks(batch, 5000 + i, at_s)))
    health = SensorHealth(
        at_s=BORN_S + 40_000.0, source="radar-1", state=SensorState.DEGRADED, sentence="12 % of the spokes are missing",
        counters=(("spokes", 2048.0),),
    )  # fmt: skip
    told = wire.decode("a", encoder.alert(alerts[0], 5000), encoder.tables.birth)[0]
    shown = {**told, "vessel": "v1", "members": [{"node": birth.node, "track": told["track"]}]}
    return {
        "alert_bytes_p50": sizes[COUNT // 2],
        "alert_bytes_p95": sizes[int(COUNT * 0.95)],
        "track_bytes_in_batch_of_20": round(max(batches) / 20.0, 2),
        "health_bytes": len(encoder.health(health, 5000, 300)),
        "health_note_bytes": len(encoder.note(health, 5000, 300)),
        "alert_as_cot_xml_bytes": len(cot.event_xml(shown, BORN_S, 60.0, [told])),
        "alert_as_cot_protobuf_bytes": len(cot.event_protobuf(shown, BORN_S, 60.0, [told])),
        "alert_as_json_bytes": len(json.dumps(to_json(alerts[0]), separators=(",", ":"))),
        "tracks_as_json_bytes_each": round(
            len(json.dumps(to_json(TrackPicture(at_s=0.0, tracks=tuple(tracks[:20]))))) / 20
        ),
    }


def _track(track_id: int, i: int) -> Track:
    lat, lon = 36.01234 + 0.4 * (-1) ** i - i * 0.0003, -5.60321 - 0.5 + i * 0.0007
    cov = ((900.0, 300.0, 0.0, 0.0), (300.0, 400.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0), (0.0, 0.0, 0.0, 1.0))
    return Track(
        at_s=BORN_S + 400_000.3 + i * 0.1, id=track_id, lat=lat, lon=lon, east_m=0.0, north_m=0.0,
        cog_deg=(243.3 + i) % 360.0, sog_mps=3.0 + i * 0.07, cov=cov, status=TrackStatus.CONFIRMED,
        sources=("radar-1", "camera-1", "ais-1"), mmsi=None, class_="small-craft", confidence=0.87,
    )  # fmt: skip


def _alert(alert_id: int, track: Track) -> Alert:
    return Alert(
        at_s=track.at_s, wall_s=track.at_s, id=alert_id, revision=1, situation=alert_id - 31, rule="zone-enter",
        rule_name="reserve", state=AlertState.UPDATED, severity=Severity.HIGH, likelihood=Likelihood.VERY_LIKELY,
        reasons=("entered",), reason_codes=("zone-enter", "no-ais"), zone="Reserve",
        track=replace(track, mmsi=224_123_456), exercise=True,
    )  # fmt: skip
