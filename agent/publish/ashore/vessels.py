"""The same vessel seen by two boxes, shown once: track to track, by identity and by gate.

Promises:
- two tracks of one box are two vessels; two different MMSIs are two vessels; one MMSI is one vessel;
- tracks of different boxes become one when position and motion agree within their stated errors, and stay one until
  they clearly do not (the gate is wider for what is together already), so that the picture does not flicker;
- a vessel keeps its name as long as any of its tracks lives;
- work grows with the number of neighbours, not with the square of the tracks.
"""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Any

from agent.geo import LocalFrame

GATE_CHI2 = 9.21  # 99 % of two dimensions
KEEP_CHI2 = 20.0  # for tracks that are one already
BASE_M = 50.0  # what clocks, poses and the extrapolation add to each track's own error
UNKNOWN_M = 300.0  # one sigma of a track that states none
SPEED_MPS = 3.0  # motion agrees within this, or a third of the speed
_CELL_M = 1500.0
_DEGREE_M = 111_320.0

Track = dict[str, Any]  # as `wire.decode` gives it, with `node` and `id`
_Key = tuple[str, int]


class Vessels:
    """Groups the tracks of all boxes; remembers which were together."""

    def __init__(self) -> None:
        self._names: dict[_Key, str] = {}
        self._made = 0

    def update(self, tracks: list[Track], now: float) -> list[dict[str, Any]]:
        """Vessels at `now` (Unix s): the best track's fields, extrapolated, with `vessel` and its `members`."""
        points = {(t["node"], t["id"]): _Point(t, now) for t in tracks}
        groups = _Groups(points)
        by_mmsi: dict[int, list[_Key]] = defaultdict(list)
        for key, point in points.items():
            if point.mmsi is not None:
                by_mmsi[point.mmsi].append(key)
        for same in by_mmsi.values():
            for other in same[1:]:
                groups.join(same[0], other, certain=True)
        for _, a, b in sorted(self._candidates(points)):
            groups.join(a, b, certain=False)
        return self._show(groups, points)

    def _candidates(self, points: dict[_Key, _Point]) -> list[tuple[float, _Key, _Key]]:
        cells: dict[tuple[int, int], list[_Key]] = defaultdict(list)
        for key, p in points.items():
            if not p.bearing_only:
                cells[p.cell].append(key)
        out = []
        for (x, y), keys in cells.items():
            around = ((0, 1), (1, -1), (1, 0), (1, 1))  # each pair of cells once
            near = [k for dx, dy in around for k in cells.get((x + dx, y + dy), ())]
            for i, a in enumerate(keys):
                name, here = self._names.get(a), points[a]
                for b in (*keys[i + 1 :], *near):
                    if a[0] == b[0]:
                        continue
                    chi2 = here.distance(points[b])
                    if chi2 >= KEEP_CHI2:
                        continue
                    together = name is not None and name == self._names.get(b)
                    if chi2 < (KEEP_CHI2 if together else GATE_CHI2):
                        out.append((chi2 / (2.0 if together else 1.0), a, b))
        return out

    def _show(self, groups: _Groups, points: dict[_Key, _Point]) -> list[dict[str, Any]]:
        out = []
        names: dict[_Key, str] = {}
        used: set[str] = set()
        for members in sorted(groups.all(), key=lambda m: -len(m)):
            old = [self._names[k] for k in members if k in self._names and self._names[k] not in used]
            if old:
                name = max(sorted(set(old)), key=old.count)
            else:
                self._made += 1
                name = f"v{self._made}"
            used.add(name)
            names.update(dict.fromkeys(members, name))
            out.append(_vessel(name, [points[k] for k in sorted(members)]))
        self._names = names
        return out


class _Point:
    """A track at one moment."""

    def __init__(self, track: Track, now: float) -> None:
        self.track = track
        self.mmsi = track.get("mmsi")
        self.bearing_only = "bearing_deg" in track
        self.sigma_m = math.hypot(float(track.get("accuracy_m", UNKNOWN_M)), BASE_M)
        course, way_m = math.radians(track["cog_deg"]), track["sog_mps"] * min(600.0, max(0.0, now - track["at"]))
        frame = LocalFrame(lat=track["lat"], lon=track["lon"])
        self.lat, self.lon = frame.to_geo(way_m * math.sin(course), way_m * math.cos(course))
        self.sog_mps = track["sog_mps"]
        self.v = (self.sog_mps * math.sin(course), self.sog_mps * math.cos(course))
        self.cell = (
            int(self.lon * _DEGREE_M * math.cos(math.radians(round(self.lat))) // _CELL_M),
            int(self.lat * _DEGREE_M // _CELL_M),
        )

    def distance(self, other: _Point) -> float:
        """Squared distance in sigmas; infinite where the motions disagree, or it is beyond every gate."""
        variance = (self.sigma_m**2 + other.sigma_m**2) / 2.0  # of each axis: the errors stated are radial
        # most neighbours are that far apart; a degree of the ellipsoid is at most 0.7 % shorter
        if 0.98 * ((other.lat - self.lat) * _DEGREE_M) ** 2 > KEEP_CHI2 * variance:
            return math.inf
        faster = max(self.sog_mps, other.sog_mps)
        if math.dist(self.v, other.v) > max(SPEED_MPS, faster / 3.0):
            return math.inf
        east, north = LocalFrame(lat=self.lat, lon=self.lon).to_enu(other.lat, other.lon)
        return float(east**2 + north**2) / variance


class _Groups:
    """Sets of tracks that are one vessel: at most one of each box, at most one MMSI."""

    def __init__(self, points: dict[_Key, _Point]) -> None:
        self._of = {key: {key} for key in points}
        self._points = points

    def join(self, a: _Key, b: _Key, *, certain: bool) -> None:
        """Make one of the groups of two tracks, if that is possible."""
        left, right = self._of[a], self._of[b]
        if left is right:
            return
        both = left | right
        mmsis = {self._points[k].mmsi for k in both} - {None}
        if not certain and (len(mmsis) > 1 or len({k[0] for k in both}) < len(both)):
            return
        for key in both:
            self._of[key] = both

    def all(self) -> list[set[_Key]]:
        """Every group once."""
        return list({id(group): group for group in self._of.values()}.values())


def _vessel(name: str, members: list[_Point]) -> dict[str, Any]:
    best = min(members, key=lambda p: (p.bearing_only, p.sigma_m, -p.track["at"]))
    shown = ("cog_deg", "sog_mps", "status", "accuracy_m", "ellipse", "bearing_deg", "sigma_bearing_deg")
    out = {"vessel": name, "lat": round(best.lat, 5), "lon": round(best.lon, 5), "at": best.track["at"]}
    out |= {k: best.track[k] for k in shown if k in best.track}
    for key in ("mmsi", "class", "confidence"):
        value = next((p.track[key] for p in [best, *members] if key in p.track), None)
        if value is not None:
            out[key] = value
    out["members"] = [{"node": p.track["node"], "track": p.track["id"], "sources": p.track["sources"]} for p in members]
    return out
