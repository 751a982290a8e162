"""Which track of one sensor is which track of another: gates and counts (track-to-track association).

Promises:
- two tracks become one vessel after `confirm` agreements in place and velocity, each with news from one of them;
- they part after `end` reports of the sensor that tracks by itself that disagree: age alone parts nothing;
- one track has at most one partner per kind of sensor at a time; the assignment between two kinds is the optimal one.

The gates allow for what registration leaves: a range bias and a bearing bias of the site's radar.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from agent.tracking.association import assign, near

if TYPE_CHECKING:
    from agent.tracking.arrays import Bools, Floats, Ints

CHI2 = 11.8  # 99.7 % of 2 degrees of freedom
BIAS_RANGE_M = 60.0
BIAS_BEARING_RAD = 0.0122  # 0.7 deg
REACH_SHARE = 0.04  # the greatest distance allowed grows with range: 2.3 deg
SLACK_MPS = 1.0
NEVER = (0, -np.inf)
LEAVE = 1.5  # a partner has to be this much farther off to be left than to be found


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Tracks of all sensors at one time, one row each.

    `heard_s`: newest measurement; `kind`: "contact", "ais" or the name of the reporting radar; `vessel`: row's vessel
    id; `named`: whether it may be fused (confirmed).
    """

    id: list[int]
    kind: list[str]
    source: list[str]
    x: Floats
    p: Floats
    heard_s: Floats
    named: list[bool]


def agreement(
    xa: Floats, pa: Floats, xb: Floats, pb: Floats, gate_m: float, leave: float = 1.0
) -> tuple[Bools, Floats]:
    """Whether states `a` and `b` (both (n, 4)) may be one vessel, and the cost of saying so."""
    d = xb - xa
    far = np.maximum(np.hypot(xa[:, 0], xa[:, 1]), 1.0)
    ue, un = xa[:, 0] / far, xa[:, 1] / far
    along, across = BIAS_RANGE_M**2, (BIAS_BEARING_RAD * far) ** 2
    s = pa + pb
    s00 = s[:, 0, 0] + along * ue * ue + across * un * un
    s11 = s[:, 1, 1] + along * un * un + across * ue * ue
    s01 = s[:, 0, 1] + (along - across) * ue * un
    d2 = (d[:, 0] ** 2 * s11 - 2.0 * d[:, 0] * d[:, 1] * s01 + d[:, 1] ** 2 * s00) / (s00 * s11 - s01 * s01)
    v00, v11, v01 = s[:, 2, 2] + SLACK_MPS**2, s[:, 3, 3] + SLACK_MPS**2, s[:, 2, 3]
    v2 = (d[:, 2] ** 2 * v11 - 2.0 * d[:, 2] * d[:, 3] * v01 + d[:, 3] ** 2 * v00) / (v00 * v11 - v01 * v01)
    reach = np.maximum(gate_m, REACH_SHARE * far) * leave
    ok = (d2 <= CHI2 * leave**2) & (v2 <= CHI2 * leave**2) & (np.hypot(d[:, 0], d[:, 1]) <= reach)
    return ok, d2 + v2


class Pairing:
    """Counts of agreements between tracks of different sensors."""

    def __init__(self, gate_m: float, confirm: int, end: int) -> None:
        self._gate_m = gate_m
        self._confirm = confirm
        self._end = end
        self._count: dict[tuple[int, int], list[float]] = {}  # (ids) -> [agreements, disagreements, newest news]
        self._off: dict[int, list[float]] = {}  # fused track's id -> [disagreeing reports, newest report judged]

    def look(self, parts: Parts, partners: list[list[str]]) -> list[tuple[int, int]]:
        """Count agreements now. `partners[row]`: kinds that the row's vessel already has. Returns row pairs to fuse."""
        kinds = list(dict.fromkeys(parts.kind))
        chosen: dict[tuple[int, int], tuple[int, int]] = {}
        for n, a in enumerate(kinds):
            for b in kinds[n + 1 :]:
                for i, j in self._between(parts, partners, a, b):
                    chosen[parts.id[i], parts.id[j]] = (i, j)
        self._tally(parts, chosen)
        return [
            rows for key, rows in chosen.items()
            if self._count[key][0] >= self._confirm and parts.named[rows[0]] and parts.named[rows[1]]
        ]  # fmt: skip

    def agree(self, parts: Parts, looks: list[tuple[int, list[int]]]) -> dict[tuple[int, int], bool]:
        """Whether fused tracks may still be one vessel, by (reporting row, other row); for those with news."""
        pairs = [
            (row, other) for row, others in looks
            if parts.heard_s[row] > self._off.get(parts.id[row], NEVER)[1] for other in others
        ]  # fmt: skip
        if not pairs:
            return {}
        same, k = np.array(pairs).T
        ok, _ = agreement(parts.x[k], parts.p[k], parts.x[same], parts.p[same], self._gate_m, LEAVE)
        return dict(zip(pairs, ok.tolist(), strict=True))

    def disagrees(self, parts: Parts, row: int, others: list[int], agree: dict[tuple[int, int], bool]) -> bool:
        """Whether the fused reporting track in `row` has by now reported often enough that it is not its `others`."""
        track, news = parts.id[row], float(parts.heard_s[row])
        off = self._off.setdefault(track, [0, -np.inf])
        if news <= off[1]:
            return False
        off[0] = 0 if any(agree[row, other] for other in others) else off[0] + 1
        off[1] = news
        if off[0] < self._end:
            return False
        del self._off[track]
        return True

    def forget(self, alive: dict[int, None]) -> None:
        """Drop the counts of tracks that are no more."""
        self._count = {k: v for k, v in self._count.items() if k[0] in alive and k[1] in alive}
        self._off = {k: v for k, v in self._off.items() if k in alive}

    def _between(self, parts: Parts, partners: list[list[str]], a: str, b: str) -> list[tuple[int, int]]:
        rows_a = np.array([i for i, k in enumerate(parts.kind) if k == a and b not in partners[i]], dtype=np.int64)
        rows_b = np.array([i for i, k in enumerate(parts.kind) if k == b and a not in partners[i]], dtype=np.int64)
        if not len(rows_a) or not len(rows_b):
            return []
        xa, xb = parts.x[rows_a], parts.x[rows_b]
        reach = np.maximum(self._gate_m, REACH_SHARE * np.hypot(xa[:, 0], xa[:, 1]))
        found: list[tuple[Ints, Ints, Floats]] = []
        for i, j in near(xa[:, :2], xb[:, :2], reach):
            ok, cost = agreement(xa[i], parts.p[rows_a[i]], xb[j], parts.p[rows_b[j]], self._gate_m)
            found.append((i[ok], j[ok], cost[ok]))
        row, col, cost = (np.concatenate(c) for c in zip(*found, strict=True))
        r, c = assign(row, col, cost, np.full(len(row), 2.0 * CHI2))
        return list(zip(rows_a[r].tolist(), rows_b[c].tolist(), strict=True))

    def _tally(self, parts: Parts, chosen: dict[tuple[int, int], tuple[int, int]]) -> None:
        for key, (i, j) in chosen.items():
            news = max(float(parts.heard_s[i]), float(parts.heard_s[j]))
            count = self._count.setdefault(key, [0, 0, -np.inf])
            if news > count[2]:
                self._count[key] = [count[0] + 1, 0, news]
        row_of = {t: i for i, t in enumerate(parts.id)}
        for key in [k for k in self._count if k not in chosen]:
            first, second = row_of.get(key[0]), row_of.get(key[1])
            if first is None or second is None:
                del self._count[key]
                continue
            count = self._count[key]
            news = max(float(parts.heard_s[first]), float(parts.heard_s[second]))
            if news > count[2]:
                self._count[key] = [count[0], count[1] + 1, news]
                if count[1] + 1 >= self._end:
                    del self._count[key]

    def state(self) -> list[Any]:
        """For the checkpoint."""
        return [[[*k, *v] for k, v in self._count.items()], [[k, *v] for k, v in self._off.items()]]

    def restore(self, data: Any) -> None:
        """Take over what `state` was made of."""
        count, off = data
        self._count = {(a, b): [n, m, t] for a, b, n, m, t in count}
        self._off = {k: [n, t] for k, n, t in off}
