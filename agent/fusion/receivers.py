"""How each AIS receiver listens: the gaps in what it hears, and how far it has heard vessels in which direction.

Promises:
- a gap is one receiver's own: what another one hears meanwhile does not fill it;
- `cover_m` is proven by vessels' own positions, and fades in time of listening: a receiver that is silent keeps what it
  had, so that its silence is known to matter there however long it lasts;
- memory is bounded: gaps as long as stations are remembered, two farthest ranges a sector.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import Any

SECTORS = 16
COVER_S = 12.0 * 3600.0  # what has been heard is kept for one to two of these: a quiet night erases nothing
GAP_S = 10.0  # the shortest interval of a class: what is shorter hides nobody's report but by chance


@dataclass(slots=True, kw_only=True)
class Receiver:
    """One receiver. Times are of its messages, about any station.

    `alive_s`: since when it has been heard without a long gap; `gaps`: (end, length) of those of more than `GAP_S`;
    `farthest_m`, `earlier_m`: farthest vessel by sector of bearing, in this period and the one before it.
    """

    name: str
    heard_s: float = -math.inf
    alive_s: float = math.inf
    period_s: float = -math.inf
    gaps: list[tuple[float, float]] = field(default_factory=list)
    farthest_m: list[float] = field(default_factory=lambda: [0.0] * SECTORS)
    earlier_m: list[float] = field(default_factory=lambda: [0.0] * SECTORS)

    def hear(self, at_s: float, healthy_s: float) -> None:
        """One message. `healthy_s`: a longer silence is a gap after which it is alive anew."""
        if at_s - self.heard_s > healthy_s:
            self.alive_s = at_s
        if GAP_S < at_s - self.heard_s < math.inf:
            self.gaps.append((at_s, at_s - self.heard_s))
        self.heard_s = max(self.heard_s, at_s)

    def place(self, at_s: float, east_m: float, north_m: float) -> None:
        """It has heard a vessel that says it is there."""
        if at_s - self.period_s > COVER_S:
            self.earlier_m, self.farthest_m = self.farthest_m, [0.0] * SECTORS
            self.period_s = at_s
        sector = _sector(east_m, north_m)
        self.farthest_m[sector] = max(self.farthest_m[sector], math.hypot(east_m, north_m))

    def cover_m(self, east_m: float, north_m: float) -> float:
        """The farthest that it has lately heard a vessel in this direction, m; 0: none."""
        sector = _sector(east_m, north_m)
        return max(self.farthest_m[sector], self.earlier_m[sector])

    def forget(self, before_s: float) -> None:
        """Drop gaps that ended before this time."""
        if self.gaps and self.gaps[0][0] < before_s:
            self.gaps = [g for g in self.gaps if g[0] >= before_s]

    def row(self) -> list[Any]:
        """For the checkpoint."""
        values = [getattr(self, f.name) for f in fields(Receiver)]
        return [[list(g) if isinstance(g, tuple) else g for g in v] if isinstance(v, list) else v for v in values]

    @classmethod
    def of(cls, row: Any) -> Receiver:
        """What `row` was made of."""
        r = cls(**dict(zip([f.name for f in fields(Receiver)], row, strict=True)))
        r.gaps = [(end_s, long_s) for end_s, long_s in r.gaps]
        return r


def _sector(east_m: float, north_m: float) -> int:
    return math.floor(math.atan2(east_m, north_m) / (2.0 * math.pi) * SECTORS) % SECTORS
