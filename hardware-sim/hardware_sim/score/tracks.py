"""Tracks against the truth, second by second.

Promises:
- at each second of the truth every live track counts once: its newest report not after that second and not older than
  `MAX_AGE_S`, moved on by its own course and speed; tracks last reported as lost or tentative do not count;
- completeness is the share of (target, second) pairs with a track assigned within the cut-off;
- a target keeps the identity of its track as long as that track is within the cut-off, also when another one comes
  nearer; an identity switch is a change from one track to another (as CLEAR MOT counts).
"""

from __future__ import annotations

import math
from bisect import bisect_right
from typing import TYPE_CHECKING, Any

import numpy as np

from hardware_sim.geo import Site
from hardware_sim.score.gospa import gospa

if TYPE_CHECKING:
    from hardware_sim.score.read import Truth

MAX_AGE_S = 125.0  # boxes thin tracks: a receiver moves one on until it is told otherwise, or for the promised 120 s
CUT_OFF_M = 200.0
ORDER = 2.0
NOT_COUNTED = ("lost", "tentative")


def score_tracks(truth: Truth, tracks: list[dict[str, Any]]) -> dict[str, Any]:
    """GOSPA over time with its parts, completeness, identity switches.

    `gospa_rms_m` squared is the sum of the squares of `localisation_rms_m`, `missed_rms_m` and `false_rms_m`.
    """
    site = Site(truth.header["site"]["lat"], truth.header["site"]["lon"])
    start = float(truth.header["start_unix"])
    histories = _by_id(tracks)
    over_time: list[dict[str, float]] = []
    parts: list[tuple[float, float, float]] = []
    errors: list[float] = []
    first_seen: dict[str, float] = {}
    last_id: dict[str, Any] = {}
    switches = seen = total = 0
    for at, targets in sorted(truth.seconds.items()):
        live = [(i, where) for i, h in histories.items() if (where := _where(h, at, site)) is not None]
        g = gospa([(x["east_m"], x["north_m"]) for x in targets], [w for _, w in live], CUT_OFF_M, ORDER)
        for ti, ki in g.pairs:
            name, track = targets[ti]["id"], live[ki][0]
            if name in last_id and _kept(last_id[name], live, targets[ti]):
                track = last_id[name]
            switches += name in last_id and last_id[name] != track
            last_id[name] = track
            first_seen.setdefault(name, round(at - start, 3))
            e, n = live[ki][1]
            errors.append(math.hypot(e - targets[ti]["east_m"], n - targets[ti]["north_m"]))
        seen, total = seen + len(g.pairs), total + len(targets)
        parts.append((g.localisation, g.missed, g.false))
        over_time.append(
            {
                "t": round(at - start, 3),
                "gospa_m": round(g.total, 3),
                "localisation_m": round(g.localisation ** (1.0 / ORDER), 3),
                "missed": len(targets) - len(g.pairs),
                "false": len(live) - len(g.pairs),
            }
        )
    rms = np.sqrt(np.mean(parts, axis=0)) if parts else np.zeros(3)
    return {
        "cut_off_m": CUT_OFF_M,
        "order": ORDER,
        "alpha": 2,
        "gospa_rms_m": round(float(np.sqrt(np.sum(rms**2))), 3),
        "localisation_rms_m": round(float(rms[0]), 3),
        "missed_rms_m": round(float(rms[1]), 3),
        "false_rms_m": round(float(rms[2]), 3),
        "gospa_mean_m": round(float(np.mean([x["gospa_m"] for x in over_time])), 3) if over_time else None,
        "position_error_p50_m": _percentile(errors, 50),
        "position_error_p95_m": _percentile(errors, 95),
        "completeness": round(seen / total, 4) if total else None,
        "identity_switches": switches,
        "track_ids": len(histories),
        "first_tracked_s": first_seen,
        "over_time": over_time,
    }


def _kept(track: Any, live: list[tuple[Any, tuple[float, float]]], target: dict[str, Any]) -> bool:
    """Whether that track still stands for the target."""
    return any(i == track and math.dist(w, (target["east_m"], target["north_m"])) < CUT_OFF_M for i, w in live)


def _by_id(tracks: list[dict[str, Any]]) -> dict[Any, list[dict[str, Any]]]:
    histories: dict[Any, list[dict[str, Any]]] = {}
    for track in sorted(tracks, key=lambda x: float(x["at"])):
        histories.setdefault((track.get("node"), track["id"]), []).append(track)
    return histories


def _where(history: list[dict[str, Any]], at: float, site: Site) -> tuple[float, float] | None:
    """Where a track says its vessel is at `at`, or None when it says nothing."""
    i = bisect_right(history, at + 1e-6, key=lambda x: float(x["at"])) - 1
    if i < 0 or at - float(history[i]["at"]) > MAX_AGE_S or history[i].get("status") in NOT_COUNTED:
        return None
    track = history[i]
    e, n = site.to_enu(track["lat"], track["lon"])
    way = float(track.get("sog_mps") or 0.0) * (at - float(track["at"]))
    course = math.radians(float(track.get("cog_deg") or 0.0))
    return e + way * math.sin(course), n + way * math.cos(course)


def _percentile(values: list[float], which: float) -> float | None:
    return round(float(np.percentile(values, which)), 3) if values else None
