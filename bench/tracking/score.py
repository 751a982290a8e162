"""Tracks against truth: GOSPA with its parts, completeness, swaps and breaks, false tracks, errors, NEES.

Promises:
- a target and the track it had stay a pair while they are within the cut-off (as in CLEAR MOT), so that two crossing
  tracks count as swapped only when they part on each other's targets; the rest is paired by GOSPA's own assignment;
- `swap`: a target goes on with a track that was another target's; `break`: it goes on with a new one;
- NEES is of four degrees of freedom, over firm tracks that are paired; its band is that of a mean over as many
  independent targets as the scan has. Warm-up scans count for none of it but for the pairs;
- `each` is (target, mean NEES of its scans): what is independent from one to the next.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from hardware_sim.score.gospa import gospa

if TYPE_CHECKING:
    from bench.tracking.scenes import Scene

Estimate = tuple[int, list[float], list[list[float]]]  # id, (e, n, ve, vn), covariance 4 x 4
SINGLE = (0.484, 11.143)  # 95 % of chi-square with 4 degrees of freedom: one target, one scan
_Z = 1.959964  # 95 % of a normal


@dataclass(slots=True, kw_only=True)
class Score:
    """Sums over scans; `summary` makes figures of them. Scores of several seeds add up by `add`."""

    scans: int = 0
    targets: int = 0
    pairs: int = 0
    gospa: float = 0.0
    parts: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    false: int = 0
    swaps: int = 0
    breaks: int = 0
    pos2: float = 0.0
    vel2: float = 0.0
    nees: float = 0.0
    nees_n: int = 0
    in_band: int = 0
    band_n: int = 0
    single: int = 0
    seconds: float = 0.0
    ids: int = 0
    each: list[tuple[int, float]] = field(default_factory=list)

    def add(self, other: Score) -> None:
        """Take another seed's sums in."""
        for name in self.__slots__:
            mine, theirs = getattr(self, name), getattr(other, name)  # those of `each` follow one another
            setattr(
                self, name, [a + b for a, b in zip(mine, theirs, strict=True)] if name == "parts" else mine + theirs
            )

    def summary(self) -> dict[str, float]:
        """What a table shows."""
        n, pairs = max(self.scans, 1), max(self.pairs, 1)
        return {
            "gospa_m": round(self.gospa / n, 1),
            "localisation_m": round(math.sqrt(self.parts[0] / pairs), 1),
            "missed": round(self.parts[1] / n, 2),
            "false": round(self.parts[2] / n, 2),
            "completeness": round(self.pairs / max(self.targets, 1), 4),
            "swaps": self.swaps,
            "breaks": self.breaks,
            "tracks": self.ids,
            "rms_m": round(math.sqrt(self.pos2 / pairs), 1),
            "rms_mps": round(math.sqrt(self.vel2 / pairs), 2),
            "nees": round(self.nees / max(self.nees_n, 1), 2),
            "nees_in_band": round(self.in_band / max(self.band_n, 1), 3),
            "ms_per_scan": round(1000.0 * self.seconds / n, 2),
        }


def chi2_quantile(dof: float, z: float) -> float:
    """Wilson and Hilferty's approximation: the value that chi-square exceeds as a normal exceeds z."""
    k = 2.0 / (9.0 * dof)
    return float(dof * (1.0 - k + z * math.sqrt(k)) ** 3)


def score(scene: Scene, estimates: list[list[Estimate]], seconds: float) -> Score:
    """`estimates[k]` are the firm tracks after scan k."""
    out = Score(seconds=seconds * max(len(scene.moments) - scene.skip, 0) / max(len(scene.moments), 1))
    has: dict[int, int] = {}  # target -> track
    owner: dict[int, int] = {}  # track -> the target it was last paired with
    seen: dict[int, None] = {}
    nees: dict[int, list[float]] = {}
    for k, (moment, tracks) in enumerate(zip(scene.moments, estimates, strict=True)):
        counted = k >= scene.skip
        where = {i: (x[0], x[1]) for i, x, _ in tracks}
        pairs = _pair(moment.truth, where, has, scene.cutoff_m)
        for target, track in pairs.items():
            before = has.get(target)
            if before is not None and before != track:
                stolen = owner.get(track, target) != target
                out.swaps += stolen
                out.breaks += not stolen
            has[target], owner[track] = track, target
        if counted:
            seen.update(dict.fromkeys(where))
            _count(out, scene, moment.truth, tracks, pairs, nees)
    out.ids = len(seen)
    out.each = [(target, sum(values) / len(values)) for target, values in sorted(nees.items())]
    return out


def _pair(
    truth: dict[int, tuple[float, float, float, float]], where: dict[int, tuple[float, float]], has: dict[int, int],
    cutoff_m: float,
) -> dict[int, int]:  # fmt: skip
    pairs: dict[int, int] = {}
    for target, state in truth.items():
        track = has.get(target)
        if track in where and math.dist(state[:2], where[track]) < cutoff_m:
            pairs[target] = track
    taken = dict.fromkeys(pairs.values())
    left = [t for t in truth if t not in pairs]
    free = [i for i in where if i not in taken]
    for i, j in gospa([truth[t][:2] for t in left], [where[f] for f in free], cutoff_m).pairs:
        pairs[left[i]] = free[j]
    return pairs


def _count(
    out: Score, scene: Scene, truth: dict[int, tuple[float, float, float, float]], tracks: list[Estimate],
    pairs: dict[int, int], nees: dict[int, list[float]],
) -> None:  # fmt: skip
    g = gospa([s[:2] for s in truth.values()], [(x[0], x[1]) for _, x, _ in tracks], scene.cutoff_m)
    out.scans += 1
    out.gospa += g.total
    half = scene.cutoff_m**2 / 2.0
    for n, part in enumerate((g.localisation, g.missed / half, g.false / half)):
        out.parts[n] += part
    out.targets += len(truth)
    out.pairs += len(pairs)
    state = {i: (np.array(x), np.array(p)) for i, x, p in tracks}
    total, n = 0.0, 0
    for target, track in pairs.items():
        x, p = state[track]
        d = x - np.array(truth[target])
        out.pos2 += float(d[0] ** 2 + d[1] ** 2)
        if not np.isnan(d).any():
            out.vel2 += float(d[2] ** 2 + d[3] ** 2)
            value = float(d @ np.linalg.solve(p, d))
            nees.setdefault(target, []).append(value)
            out.single += SINGLE[0] < value < SINGLE[1]
            total += value
            n += 1
    if n:
        out.nees += total
        out.nees_n += n
        out.band_n += 1
        out.in_band += chi2_quantile(4.0 * n, -_Z) <= total <= chi2_quantile(4.0 * n, _Z)
