"""Tracks against the truth, second by second.

Promises:
- at each second of the truth every live track counts once: its newest report not after that second and not older than
  `MAX_AGE_S`, moved on by its own course and speed; tracks last reported as lost or tentative do not count; where every
  tick lists all live tracks (as `vigia replay` writes them), a track that a tick leaves out has ended;
- completeness is the share of (target, second) pairs with a track assigned within the cut-off;
- a target keeps the identity of its track as long as that track is within the cut-off, also when another one comes
  nearer; what is left is assigned anew, no track to two; an identity switch is a change from one track to another, also
  over a gap (as CLEAR MOT counts);
- what is no vessel (`clutter`), and vessels beyond the header's `reach_m`, are optional: a track on one is no false
  track, and none on it is no miss;
- a false track is an id that never was within the cut-off of anything, counted once however long it lived.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from hardware_sim.geo import Site
from hardware_sim.score.gospa import gospa
from hardware_sim.score.recall import Recall
from hardware_sim.score.siap import Siap, nearest

if TYPE_CHECKING:
    from hardware_sim.score.camera import Camera
    from hardware_sim.score.read import Truth

MAX_AGE_S = 125.0  # boxes thin tracks: a receiver moves one on until it is told otherwise, or for the promised 120 s
CUT_OFF_M = 200.0
ORDER = 2.0
NOT_COUNTED = ("lost", "tentative")


def score_tracks(truth: Truth, tracks: list[dict[str, Any]], camera: Camera | None = None) -> dict[str, Any]:
    """GOSPA over time with its parts, SIAP, recall, identity switches, false tracks.

    `gospa_rms_m` squared is the sum of the squares of `localisation_rms_m`, `missed_rms_m` and `false_rms_m`.
    """
    histories = _Histories(tracks, Site(truth.header["site"]["lat"], truth.header["site"]["lon"]))
    start = float(truth.header["start_unix"])
    over_time: list[dict[str, float]] = []
    parts: list[tuple[float, float, float]] = []
    errors: list[float] = []
    identity = _Identity(start)
    recall, siap = Recall(camera), Siap()
    seen = total = 0
    real: set[Any] = set()
    counted: set[Any] = set()
    for at, targets in sorted(truth.seconds.items()):
        live = histories.live(at)
        places = [(x["east_m"], x["north_m"]) for x in targets]
        wanted = [not _optional(x, truth) for x in targets]
        everything = gospa(places, [w for _, w in live], CUT_OFF_M, ORDER)
        pairs = [(ti, ki) for ti, ki in everything.pairs if wanted[ti]]
        belonging = nearest(places, [w for _, w in live], CUT_OFF_M)
        real.update(live[ki][0] for _, ki, _ in belonging)
        counted.update(i for i, _ in live)
        errors += [math.dist(live[ki][1], places[ti]) for ti, ki in pairs]
        identity.step(at, targets, live, wanted)
        assigned = {ti for ti, _ in pairs}
        for ti, target in enumerate(targets):
            if wanted[ti]:
                recall.add(target, at - start, seen=ti in assigned)
        mine = [p for p in belonging if wanted[p[0]]]
        siap.add(sum(wanted), len(live) - (len(belonging) - len(mine)), mine)
        missed, false = sum(wanted) - len(pairs), len(live) - len(everything.pairs)
        seen, total = seen + len(pairs), total + sum(wanted)
        localisation = sum(math.dist(live[ki][1], places[ti]) ** ORDER for ti, ki in pairs)
        each = CUT_OFF_M**ORDER / 2.0
        parts.append((localisation, each * missed, each * false))
        over_time.append(
            {
                "t": round(at - start, 3),
                "gospa_m": round(sum(parts[-1]) ** (1.0 / ORDER), 3),
                "localisation_m": round(localisation ** (1.0 / ORDER), 3),
                "missed": missed,
                "false": false,
            }
        )
    rms = np.sqrt(np.mean(parts, axis=0)) if parts else np.zeros(3)
    false_ids = len(counted - real)
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
        "siap": siap.result(),
        "recall": recall.result(),
        "identity_switches": identity.switches,
        "track_ids": len(histories),
        "false_tracks": false_ids,
        "false_tracks_per_h": round(false_ids / truth.duration_s * 3600.0, 3) if truth.duration_s else None,
        "first_tracked_s": identity.first_seen,
        "over_time": over_time,
    }


def _optional(target: dict[str, Any], truth: Truth) -> bool:
    reach = truth.header.get("reach_m")
    beyond = reach is not None and math.hypot(target["east_m"], target["north_m"]) > reach
    return bool(target.get("clutter")) or beyond


class _Identity:
    """Which track stands for which target, from moment to moment."""

    def __init__(self, start: float) -> None:
        self._start = start
        self._now: dict[str, Any] = {}
        self._last: dict[str, Any] = {}
        self.first_seen: dict[str, float] = {}
        self.switches = 0

    def step(
        self,
        at: float,
        targets: list[dict[str, Any]],
        live: list[tuple[Any, tuple[float, float]]],
        wanted: list[bool],
    ) -> None:
        """The next moment; only targets that are `wanted` are counted."""
        places = [(x["east_m"], x["north_m"]) for x in targets]
        where = dict(live)
        now: dict[int, Any] = {}
        for ti, target in enumerate(targets):
            track = self._now.get(target["id"])
            if track in where and math.dist(where[track], places[ti]) < CUT_OFF_M:
                now[ti] = track
        free = [ti for ti in range(len(targets)) if ti not in now]
        taken = set(now.values())
        open_ = [(i, w) for i, w in live if i not in taken]
        for fi, ki in gospa([places[ti] for ti in free], [w for _, w in open_], CUT_OFF_M, ORDER).pairs:
            now[free[fi]] = open_[ki][0]
        self._now = {targets[ti]["id"]: track for ti, track in now.items()}
        for ti, track in now.items():
            if wanted[ti]:
                self._count(targets[ti]["id"], track, at)

    def _count(self, name: str, track: Any, at: float) -> None:
        self.switches += name in self._last and self._last[name] != track
        self._last[name] = track
        self.first_seen.setdefault(name, round(at - self._start, 3))


class _Histories:
    """What was said of every track."""

    def __init__(self, tracks: list[dict[str, Any]], site: Site) -> None:
        self._site = site
        self._all = _by_id(tracks)
        self._max_age_s = MAX_AGE_S
        ticks = sorted({float(t["at"]) for t in tracks})
        if tracks and all("type" not in t for t in tracks) and len(ticks) > 1:  # as `vigia replay` writes them
            self._max_age_s = 0.9 * median(b - a for a, b in pairwise(ticks))
        self._times = {i: [float(x["at"]) for x in h] for i, h in self._all.items()}

    def __len__(self) -> int:
        return len(self._all)

    def live(self, at: float) -> list[tuple[Any, tuple[float, float]]]:
        """(id, where) of every track that counts at `at`."""
        return [
            (i, where)
            for i, times in self._times.items()
            if times[0] <= at + 1e-6 and at <= times[-1] + self._max_age_s
            if (where := self._where(self._all[i], times, at)) is not None
        ]

    def _where(self, history: list[dict[str, Any]], times: list[float], at: float) -> tuple[float, float] | None:
        """Where a track says its vessel is at `at`, or None when it says nothing."""
        i = bisect_right(times, at + 1e-6) - 1
        if i < 0 or at - times[i] > self._max_age_s or history[i].get("status") in NOT_COUNTED:
            return None
        track = history[i]
        e, n = self._site.to_enu(track["lat"], track["lon"])
        way = float(track.get("sog_mps") or 0.0) * (at - float(track["at"]))
        course = math.radians(float(track.get("cog_deg") or 0.0))
        return e + way * math.sin(course), n + way * math.cos(course)


def _by_id(tracks: list[dict[str, Any]]) -> dict[Any, list[dict[str, Any]]]:
    histories: dict[Any, list[dict[str, Any]]] = {}
    for track in sorted(tracks, key=lambda x: float(x["at"])):
        histories.setdefault((track.get("node"), track["id"]), []).append(track)
    return histories


def _percentile(values: list[float], which: float) -> float | None:
    return round(float(np.percentile(values, which)), 3) if values else None
