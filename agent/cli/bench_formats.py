"""Payload bytes of one alert, and of one simulated day, in Vigía's format and in others with the same content.

The day: six vessels pass for forty minutes each, thinned as the `lte` profile thins them, and each raises an alert that
is updated once and cleared. Every format is given the very same updates and steps; what it has no place for is left
out. Frigate's is the JSON object of its `frigate/events` topic with what can be filled of it and no track history
(which makes real ones ten times as long); CoT is what `vigia gateway cot` sends; SAPIENT (BSI Flex 335 v2.0) is made by
the classes of the PyPI package sapient-msg, an alert being an Alert and the DetectionReport that it points to. Health,
births and the transport are not in it: `vigia bench quiet-day` counts those at the socket.
"""

from __future__ import annotations

import json
import math
import random
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import Any

from agent.errors import SensorUnavailable
from agent.geo import LocalFrame
from agent.messages import Alert, AlertState, Likelihood, Severity, Track, TrackPicture, TrackStatus
from agent.publish import wire
from agent.publish.ashore import cot
from agent.publish.birth import Birth
from agent.publish.encoder import Encoder
from agent.publish.thinning import Thinner

PEER = Path(".venv-peers/sapient/bin/python")
SITE = LocalFrame(lat=43.38, lon=-8.40)
BORN_S = 1_790_000_000.0
PASSAGES, PASSAGE_S = 6, 2400
ERROR_M, MAX_AGE_S, BATCH_S = 50.0, 120.0, 2
STALE_S = 300.0


def measure(*, rounds: int, seed: int) -> dict[str, Any]:  # noqa: ARG001 - the shape of all benchmarks
    """The figures, in bytes.

    Raises:
        SensorUnavailable: the peer is not installed.

    """
    if not PEER.exists():
        raise SensorUnavailable(f"{PEER} is not there: make peers")
    payload_bytes, tracks, alerts = _day(random.Random(seed))
    rows = tracks + alerts
    sizes = {"vigia": payload_bytes["alert"] + payload_bytes["track"], **_others(rows)}
    one = {"vigia": payload_bytes["alert"] // len(alerts), **_others([alerts[0]])}
    return {
        "track_updates": len(tracks), "alert_steps": len(alerts),
        **{f"alert_{name}_bytes": n for name, n in one.items()},
        **{f"day_{name}_bytes": n for name, n in sizes.items()},
    }  # fmt: skip


def _day(rng: random.Random) -> tuple[dict[str, int], list[dict[str, Any]], list[dict[str, Any]]]:
    """Our payload bytes by kind, and what was sent: track updates and alert steps as receivers decode them."""
    birth = Birth(
        node="quiet-1", boot=0xA1B2C3D4, t0_ms=round(BORN_S * 1000), ref_e5=(4_338_000, -840_000), sensors=("radar-1",),
        classes=("small-craft",), rules=(("zone-enter", "Reserve"),), zones=("Reserve",),
        reasons=("zone-enter", "no-ais"),
    )  # fmt: skip
    encoder = Encoder(birth, BORN_S)
    size: dict[str, int] = defaultdict(int)
    tracks: list[dict[str, Any]] = []
    alerts: list[dict[str, Any]] = []
    for i in range(PASSAGES):
        thinner = Thinner(SITE, error_m=ERROR_M, max_age_s=MAX_AGE_S, horizon_s=float(BATCH_S))
        for t in range(0, PASSAGE_S, BATCH_S):
            track = _track(rng, i, t)
            due = thinner.due(TrackPicture(at_s=track.at_s, tracks=(track,)))
            thinner.sent(due)
            for update in due:
                k = encoder.kinematics(update.track, track.at_s, identity=update.identity)
                payload = encoder.tracks([(track.id, k)], len(tracks) + 1, track.at_s)
                size["track"] += len(payload)
                tracks += wire.decode("t", payload, encoder.tables.birth)
            if t in (600, 900, 1800):
                state = {600: AlertState.RAISED, 900: AlertState.UPDATED, 1800: AlertState.CLEARED}[t]
                payload = encoder.alert(_alert(track, i, len(alerts), state), len(alerts) + 1)
                size["alert"] += len(payload)
                alerts += wire.decode("a", payload, encoder.tables.birth)
    return size, tracks, alerts


def _track(rng: random.Random, i: int, t: int) -> Track:
    east, north = -7000.0 + 6.0 * t + rng.gauss(0, 8.0), 3000.0 + 400.0 * i + rng.gauss(0, 8.0)
    lat, lon = SITE.to_geo(east, north)
    return Track(
        at_s=BORN_S + 14_400.0 * i + t, id=100 + i, lat=lat, lon=lon, east_m=east, north_m=north,
        cog_deg=(90.0 + rng.gauss(0, 2.0)) % 360.0, sog_mps=max(0.0, 6.0 + rng.gauss(0, 0.2)),
        cov=((64.0, 0.0), (0.0, 64.0)), status=TrackStatus.CONFIRMED, sources=("radar-1",), class_="small-craft",
        confidence=round(0.7 + 0.2 * math.sin(i), 2),
    )  # fmt: skip


def _alert(track: Track, i: int, n: int, state: AlertState) -> Alert:
    return Alert(
        at_s=track.at_s, wall_s=track.at_s, id=4000 + i, revision=n % 3, situation=4000 + i, rule="zone-enter",
        rule_name="Reserve", state=state, severity=Severity.HIGH, likelihood=Likelihood.VERY_LIKELY, reasons=(),
        reason_codes=("zone-enter", "no-ais"), zone="Reserve", track=track,
    )  # fmt: skip


def _others(rows: list[dict[str, Any]]) -> dict[str, int]:
    out = {"frigate_json": 0, "cot_xml": 0, "cot_protobuf": 0}
    for row in rows:
        track = row["id"] if row["type"] == "track" else row["track"]
        vessel = {**row, "vessel": "v1", "members": [{"node": row["node"], "track": track}]}
        about = [row] if row["type"] == "alert" else None
        out["frigate_json"] += len(json.dumps(_frigate(row, track), separators=(",", ":")))
        out["cot_xml"] += len(cot.event_xml(vessel, row["at"], STALE_S, about))
        out["cot_protobuf"] += len(cot.event_protobuf(vessel, row["at"], STALE_S, about))
    text = "".join(json.dumps(row) + "\n" for row in rows)
    done = subprocess.run(  # noqa: S603 - our own script, in the peer's environment
        [str(PEER), str(Path(__file__).with_name("bench_formats_peer.py"))], input=text, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    theirs = [json.loads(line) for line in done.stdout.splitlines()]
    return {
        **out,
        "sapient_protobuf": sum(x["protobuf"] for x in theirs),
        "sapient_json": sum(x["json"] for x in theirs),
    }


def _frigate(row: dict[str, Any], track: int) -> dict[str, Any]:
    """As https://docs.frigate.video/integrations/mqtt lays `frigate/events` out; the position stands in a sub-label."""
    began = row["at"] - 60.0
    zones = [row["zone"]] if row.get("zone") else []
    place = f"{row['lat']:.5f} {row['lon']:.5f} {row['cog_deg']:.0f} {row['sog_mps']:.1f}"
    state = {
        "id": f"{began:.6f}-{track:06d}", "camera": row["node"], "frame_time": row["at"], "snapshot_time": row["at"],
        "label": row.get("class", "boat"), "sub_label": [place, 1.0], "top_score": row.get("confidence", 0.5),
        "false_positive": False, "start_time": began, "end_time": None, "score": row.get("confidence", 0.5),
        "box": [424, 500, 536, 712], "area": 23744, "ratio": 2.113, "region": [264, 450, 667, 853],
        "active": True, "stationary": False, "motionless_count": 0, "position_changes": 2,
        "current_zones": zones, "entered_zones": zones,
        "has_clip": False, "has_snapshot": False, "attributes": {}, "current_attributes": [],
        "current_estimated_speed": round(row["sog_mps"] * 3.6, 1), "velocity_angle": row["cog_deg"],
        "recognized_license_plate": None,
    }  # fmt: skip
    return {"type": "update", "before": state, "after": state}
