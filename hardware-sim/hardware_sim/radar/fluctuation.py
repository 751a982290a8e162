"""How echoes fluctuate from turn to turn, and what that does to detection.

Promises:
- `draw` has mean 1; `detection_probability` is that of one decision behind a square-law detector;
- Swerling 0 is steady (a buoy's corner reflector, a rock), I one exponential power a turn (many scatterers alike: small
  craft), III a chi-square of four degrees (one that stands out: ships). Which kind is which: Skolnik, Radar Handbook.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np

Swerling = Literal[0, 1, 3]
_STEADY = frozenset({"buoy", "rock"})
_ONE_STANDS_OUT = frozenset({"trawler", "tug", "barge", "patrol", "ferry", "cargo", "tanker"})


def swerling(kind: str) -> Swerling:
    """The case of a kind of vessel."""
    return 0 if kind in _STEADY else 3 if kind in _ONE_STANDS_OUT else 1


def draw(rng: np.random.Generator, case: Swerling) -> float:
    """This turn's RCS against its mean."""
    if case == 0:
        return 1.0
    return float(rng.exponential() if case == 1 else rng.gamma(2.0, 0.5))


def detection_probability(signal_to_interference: float, false_alarm: float, case: Swerling = 1) -> float:
    """Pd of one look at a mean signal-to-interference ratio (linear)."""
    s, threshold = signal_to_interference, -math.log(false_alarm)
    if case == 1:
        return float(false_alarm ** (1.0 / (1.0 + s)))
    if case == 3:
        spread = 1.0 + s / 2.0
        return (1.0 + threshold * (s / 2.0) / spread**2) * math.exp(-threshold / spread)
    return _marcum(s, threshold)


def _marcum(s: float, threshold: float) -> float:
    """Marcum's Q1(sqrt(2 s), sqrt(2 threshold)): Poisson weights of mean s over Erlang tails, summed until they end."""
    if s > 4.0 * threshold + 200.0:
        return 1.0
    weight, term = math.exp(-s), math.exp(-threshold)
    tail, total = term, weight * term
    for k in range(1, int(s + 12.0 * math.sqrt(s + 1.0)) + 20):
        weight *= s / k
        term *= threshold / k
        tail += term
        total += weight * tail
    return total
