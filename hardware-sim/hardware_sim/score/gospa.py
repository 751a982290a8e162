"""GOSPA: generalised optimal sub-pattern assignment (Rahmathullah, Garcia-Fernandez, Svensson, 2017), alpha = 2.

Promises:
- `gospa(...).total ** p` is the sum of its three parts, each already to the power p;
- with alpha = 2 an unassigned true target is "missed", an unassigned track is "false", each at cost c^p / 2;
- a pair at c or farther apart is never assigned.
"""

from __future__ import annotations

from dataclasses import dataclass

import lap
import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True)
class Gospa:
    """The metric in metres, its parts to the power p, and (truth, track) index pairs."""

    total: float
    localisation: float
    missed: float
    false: float
    pairs: tuple[tuple[int, int], ...]


def gospa(
    truth: list[tuple[float, float]], tracks: list[tuple[float, float]], c: float = 200.0, p: float = 2.0
) -> Gospa:
    """The metric between true and estimated (east_m, north_m) positions, cut-off `c` metres, order `p`."""
    pairs: list[tuple[int, int]] = []
    localisation = 0.0
    if truth and tracks:
        x, y = np.asarray(truth, dtype=np.float64), np.asarray(tracks, dtype=np.float64)
        distance = np.hypot(x[:, None, 0] - y[None, :, 0], x[:, None, 1] - y[None, :, 1])
        _, of_truth, _ = lap.lapjv(np.minimum(distance, c) ** p, extend_cost=True)
        for i, j in enumerate(of_truth):
            if j >= 0 and distance[i, j] < c:
                pairs.append((i, int(j)))
                localisation += float(distance[i, j] ** p)
    each = c**p / 2.0
    missed, false = each * (len(truth) - len(pairs)), each * (len(tracks) - len(pairs))
    total = (localisation + missed + false) ** (1.0 / p)
    return Gospa(total=total, localisation=localisation, missed=missed, false=false, pairs=tuple(pairs))
