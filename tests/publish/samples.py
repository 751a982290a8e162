"""Alerts, tracks and health as the core makes them, for the tests of the way to the picture."""

from __future__ import annotations

from typing import Any

from agent.geo import LocalFrame
from agent.messages import (
    Alert,
    AlertState,
    Likelihood,
    SensorHealth,
    SensorState,
    Severity,
    Track,
    TrackStatus,
)
from agent.publish.birth import Birth

BORN_S = 1_790_000_000.0  # logic time of the birth
T0_MS = 1_790_000_000_250
SITE = LocalFrame(lat=36.01234, lon=-5.60321)
BIRTH = Birth(
    node="tarifa-1",
    boot=0xA1B2C3D4,
    t0_ms=T0_MS,
    ref_e5=(3_601_234, -560_321),
    sensors=("radar-north", "camera-east", "ais", "camera-west"),
    classes=("panga", "sailing", "cargo"),
    rules=(("zone-enter", "No-go west"), ("dark-vessel", "Dark at night")),
    zones=("Reserve", "Harbour"),
    reasons=("zone-enter", "no-ais", "ais-healthy", "night"),
    counters=("rate_hz", "age_s", "range_m", "lost"),
    info={"site": "Punta Paloma", "software": "0.1.0", "track_error_m": 50.0},
)


def track(track_id: int = 4711, at_s: float = BORN_S + 400_000.3, **changes: Any) -> Track:
    """A track as far away as a radar sees, with everything that a track can have."""
    fields: dict[str, Any] = {
        "at_s": at_s, "id": track_id, "lat": 36.51234, "lon": -6.20321, "east_m": -53_800.0, "north_m": 55_500.0,
        "cog_deg": 243.3, "sog_mps": 15.2, "status": TrackStatus.CONFIRMED,
        "cov": ((900.0, 300.0, 0.0, 0.0), (300.0, 400.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0), (0.0, 0.0, 0.0, 1.0)),
        "sources": ("radar-north", "camera-east", "ais"), "mmsi": 224_123_456, "class_": "panga", "confidence": 0.87,
    }  # fmt: skip
    return Track(**{**fields, **changes})


def alert(alert_id: int = 4321, revision: int = 2, at_s: float = BORN_S + 400_000.3, **changes: Any) -> Alert:
    """An alert with all its fields."""
    fields: dict[str, Any] = {
        "at_s": at_s, "wall_s": at_s + 0.25, "id": alert_id, "revision": revision, "situation": alert_id - 31,
        "rule": "dark-vessel", "rule_name": "Dark at night", "state": AlertState.UPDATED, "severity": Severity.HIGH,
        "likelihood": Likelihood.VERY_LIKELY, "reasons": ("Entered zone Reserve.",),
        "reason_codes": ("zone-enter", "no-ais", "night"), "zone": "Reserve", "track": track(at_s=at_s),
        "exercise": True,
    }  # fmt: skip
    return Alert(**{**fields, **changes})


def health(source: str = "radar-north", **changes: Any) -> SensorHealth:
    fields: dict[str, Any] = {
        "at_s": BORN_S + 400_000.3, "source": source, "state": SensorState.DEGRADED,
        "sentence": "12 % of the spokes are lost: check the cable.",
        "counters": (("rate_hz", 0.42), ("age_s", 1.5), ("range_m", 18_900.0), ("lost", 0.12)),
    }  # fmt: skip
    return SensorHealth(**{**fields, **changes})
