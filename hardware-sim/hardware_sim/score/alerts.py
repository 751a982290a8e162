"""Alerts against what had to be alerted.

Promises:
- an alert is one `id`, however often it was sent; it is about the vessel whose MMSI its track carries, else about the
  nearest one within `MATCH_M` at the alert's time (moved on from the truth's nearest line);
- an expected alert is due when its event stands in the truth; it is matched by rule, vessel and zone, not earlier than
  `EARLY_S` before the event; a second alert for the same is a duplicate, not a false one;
- everything else is false; alerts of one situation count once among the situations;
- latency is from the true event to the first reception; `delays_s` lists it for every matched alert;
- alerts marked as an exercise count like all others: on simulated devices every alert should be one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from hardware_sim.geo import Site

if TYPE_CHECKING:
    from hardware_sim.score.read import Truth

MATCH_M = 300.0
EARLY_S = 5.0


@dataclass(slots=True)
class _Due:
    rule: str
    vessel: str
    zone: str | None
    at: float
    by: list[dict[str, Any]] = field(default_factory=list)

    def fits(self, alert: dict[str, Any], vessel: str | None) -> bool:
        zone = alert.get("zone")
        return (
            self.rule == alert["rule"]
            and self.vessel == vessel
            and (self.zone is None or zone is None or zone == self.zone)
            and float(alert["at"]) >= self.at - EARLY_S
        )


def score_alerts(truth: Truth, alerts: list[dict[str, Any]]) -> dict[str, Any]:
    """Counts by rule and in all, latencies, and the missed and false ones by name."""
    due = _due(truth)
    firsts = _firsts(alerts)
    site = Site(truth.header["site"]["lat"], truth.header["site"]["lon"])
    false: list[dict[str, Any]] = []
    forbidden = 0
    for alert in firsts:
        vessel = _vessel_of(alert, truth, site)
        fitting = next((d for d in due if d.fits(alert, vessel)), None)
        if fitting is None:
            false.append(
                {
                    "node": alert.get("node"),
                    "id": alert["id"],
                    "rule": alert["rule"],
                    "vessel": vessel,
                    "zone": alert.get("zone"),
                }
            )
            forbidden += _is_forbidden(truth, alert["rule"], vessel)
        else:
            fitting.by.append(alert)
    rules = sorted({d.rule for d in due} | {a["rule"] for a in firsts})
    false_ids = {_key(f) for f in false}
    return {
        "by_rule": {rule: _counts(rule, due, firsts, false_ids) for rule in rules},
        "all": _counts(None, due, firsts, false_ids),
        "forbidden": forbidden,
        "false_per_h": round(len(false) / truth.duration_s * 3600.0, 4) if truth.duration_s else None,
        "situations": _situations(due, firsts, false_ids),
        "delays_s": [round(_received(d.by[0]) - d.at, 3) for d in due if d.by],
        "missed": [{"rule": d.rule, "vessel": d.vessel, "zone": d.zone} for d in due if not d.by],
        "false": false,
    }


def _due(truth: Truth) -> list[_Due]:
    """Every expected alert whose event happened, once per event; a dark vessel once."""
    out = []
    for expect in truth.header["expect"]:
        for event in truth.events:
            same_zone = expect.get("zone") is None or event.get("zone") == expect["zone"]
            if event["kind"] == expect["rule"] and event.get("target") == expect["vessel"] and same_zone:
                out.append(_Due(expect["rule"], expect["vessel"], expect.get("zone"), float(event["at"])))
    return sorted(out, key=lambda d: -d.at)  # an alert answers the latest event before it


def _firsts(alerts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first line of each alert, in order of reception."""
    firsts: dict[Any, dict[str, Any]] = {}
    for alert in sorted(alerts, key=_received):
        firsts.setdefault(_key(alert), alert)
    return list(firsts.values())


def _key(alert: dict[str, Any]) -> tuple[Any, Any]:
    """What tells alerts of several boxes apart."""
    return alert.get("node"), alert["id"]


def _received(alert: dict[str, Any]) -> float:
    return float(alert.get("received_at") or alert["at"])


def _vessel_of(alert: dict[str, Any], truth: Truth, site: Site) -> str | None:
    """The vessel an alert is about."""
    at = min(truth.seconds, key=lambda s: abs(s - float(alert["at"])), default=None)
    if at is None:
        return None
    track = alert.get("track")
    mmsi = alert.get("mmsi") or (track.get("mmsi") if isinstance(track, dict) else None)
    e, n = site.to_enu(alert["lat"], alert["lon"])
    best, best_m = None, MATCH_M
    later_s = float(alert["at"]) - at
    for target in truth.seconds[at]:
        if mmsi is not None and target["mmsi"] == mmsi:
            return str(target["id"])
        way, course = target["sog_mps"] * later_s, math.radians(target["cog_deg"])
        there = target["east_m"] + way * math.sin(course), target["north_m"] + way * math.cos(course)
        distance = math.dist(there, (e, n))
        if distance < best_m:
            best, best_m = str(target["id"]), distance
    return best


def _is_forbidden(truth: Truth, rule: str, vessel: str | None) -> bool:
    """`NAME *` in the scenario forbids alerts about all vessels of that traffic."""
    return vessel is not None and any(
        f.get("rule") in (None, rule)
        and (f["vessel"] == vessel or (f["vessel"].endswith(" *") and vessel.startswith(f["vessel"][:-1])))
        for f in truth.header["forbid"]
    )


def _counts(
    rule: str | None, due: list[_Due], firsts: list[dict[str, Any]], false_ids: set[Any]
) -> dict[str, int | float | None]:
    """Counts for one rule, or for all."""
    mine = [d for d in due if rule in (None, d.rule)]
    raised = [a for a in firsts if rule in (None, a["rule"])]
    latencies = [_received(d.by[0]) - d.at for d in mine if d.by]
    return {
        "expected": len(mine),
        "raised": len(raised),
        "matched": sum(1 for d in mine if d.by),
        "missed": sum(1 for d in mine if not d.by),
        "duplicate": sum(max(0, len(d.by) - 1) for d in mine),
        "false": sum(1 for a in raised if _key(a) in false_ids),
        "latency_p50_s": round(float(np.percentile(latencies, 50)), 3) if latencies else None,
        "latency_p95_s": round(float(np.percentile(latencies, 95)), 3) if latencies else None,
    }


def _situations(due: list[_Due], firsts: list[dict[str, Any]], false_ids: set[Any]) -> dict[str, int]:
    """Alerts of one situation counted once: what people see as cards."""
    cards: dict[Any, list[bool]] = {}
    for a in firsts:
        cards.setdefault((a.get("node"), a.get("situation", a["id"])), []).append(_key(a) in false_ids)
    return {
        "expected": len({d.vessel for d in due}),
        "raised": len(cards),
        "matched": len({d.vessel for d in due if d.by}),
        "false": sum(all(wrong) for wrong in cards.values()),
    }
