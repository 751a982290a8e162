"""Whether what a camera shows moves in the picture, or stands in it as text, a lens' drop or a reed does.

Promises:
- straight lines of place and of the logarithm of size over the last minute, by weighted least squares; a thing moves
  if one of them rises by more than boxes wander (`_LEAST_PX`, `_LEAST_SHARE`) and by more than chance (`_CHANCE`);
- few looks say little: the scatter of a box is taken for the usual one until it has shown its own;
- pure, and `row` is complete.

Source: weighted least squares with exponential forgetting, Ljung, System Identification, 1999, 11.2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

_MEMORY_S = 60.0
_LEAST_PX, _LEAST_SHARE = 3.0, 0.1  # pixels of a picture 1280 wide, and of the box
_LEAST_GROWTH = 0.2  # of the logarithm of size: a vessel that comes straight on
_USUAL_PX, _USUAL_SHARE, _USUAL_SIZE, _USUAL_LOOKS = (
    0.6,
    0.03,
    0.12,
    6.0,
)  # scatter of a box, and how far that is believed
_LEAST_LOOKS = 2.5  # three, of which the older ones count less
_CHANCE = 6.0  # sigmas of the slope


@dataclass(slots=True)
class _Line:
    """Sums of one quantity `v` against time."""

    v: float = 0.0
    tv: float = 0.0
    vv: float = 0.0


@dataclass(slots=True)
class Motion:
    """One thing's boxes so far: sums over time since its first, with what lies back counting ever less."""

    began_s: float
    x_px: float
    y_px: float
    log_size: float
    last_s: float = 0.0
    n: float = 0.0
    t: float = 0.0
    tt: float = 0.0
    lines: tuple[_Line, _Line, _Line] = field(default_factory=lambda: (_Line(), _Line(), _Line()))

    def add(self, at_s: float, x_px: float, y_px: float, log_size: float) -> None:
        """One box: its centre, and half the logarithm of its area."""
        at = at_s - self.began_s
        keep = math.exp(-max(at - self.last_s, 0.0) / _MEMORY_S)
        self.last_s = at
        self.n, self.t, self.tt = self.n * keep + 1.0, self.t * keep + at, self.tt * keep + at * at
        values = (x_px - self.x_px, y_px - self.y_px, log_size - self.log_size)
        for line, v in zip(self.lines, values, strict=True):
            line.v, line.tv, line.vv = line.v * keep + v, line.tv * keep + at * v, line.vv * keep + v * v

    def moves(self, width_px: float, height_px: float, scale: float) -> bool:
        """Whether it does; the size is its box's, `scale` the picture's width over 1280 px."""
        if self.n < _LEAST_LOOKS:
            return False
        spread = self.tt - self.t * self.t / self.n
        if spread <= 0.0:
            return False
        for line, size, least in zip(
            self.lines, (width_px, height_px, None), (_LEAST_PX, _LEAST_PX, _LEAST_GROWTH), strict=True
        ):
            usual = _USUAL_SIZE if size is None else _USUAL_PX * scale + _USUAL_SHARE * size
            asked = least if size is None else least * scale + _LEAST_SHARE * size
            slope = (line.tv - self.t * line.v / self.n) / spread
            rest = max(line.vv - line.v * line.v / self.n - slope * slope * spread, 0.0)
            variance = (rest + _USUAL_LOOKS * usual * usual) / (self.n - 2.0 + _USUAL_LOOKS)
            if abs(slope) * min(self.last_s, _MEMORY_S) > asked and slope * slope * spread > _CHANCE**2 * variance:
                return True
        return False

    def row(self) -> list[float]:
        """For the checkpoint."""
        sums = [s for line in self.lines for s in (line.v, line.tv, line.vv)]
        return [
            self.began_s, self.x_px, self.y_px, self.log_size, self.last_s, self.n, self.t, self.tt, *sums
        ]  # fmt: skip

    @classmethod
    def of(cls, row: list[float]) -> Motion:
        """What `row` was made of."""
        began_s, x_px, y_px, log_size, last_s, n, t, tt, *sums = row
        lines = (_Line(*sums[:3]), _Line(*sums[3:6]), _Line(*sums[6:]))
        return cls(began_s, x_px, y_px, log_size, last_s, n, t, tt, lines)
