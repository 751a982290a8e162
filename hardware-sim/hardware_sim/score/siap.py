"""Single Integrated Air Picture metrics: completeness, ambiguity, spuriousness, position accuracy.

Promises:
- at one moment a track belongs to the nearest true target within the cut-off, several tracks may belong to one target;
- over time the sums are divided, as in Votruba et al., "Single integrated air picture metrics" (MITRE, 2001), and in
  Stone Soup's `SIAPMetrics` when every association is confirmed and ended at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Points = list[tuple[float, float]]


def nearest(truth: Points, tracks: Points, cut_off_m: float) -> list[tuple[int, int, float]]:
    """(truth's index, track's index, distance_m) of every track that belongs to a target."""
    if not truth or not tracks:
        return []
    x, y = np.asarray(truth, dtype=np.float64), np.asarray(tracks, dtype=np.float64)
    distance = np.hypot(x[:, None, 0] - y[None, :, 0], x[:, None, 1] - y[None, :, 1])
    of = distance.argmin(axis=0)
    return [(int(i), j, float(distance[i, j])) for j, i in enumerate(of) if distance[i, j] < cut_off_m]


@dataclass(slots=True)
class Siap:
    """Sums over time."""

    targets: int = 0
    tracked: int = 0
    tracks: int = 0
    belonging: int = 0
    error_m: float = 0.0

    def add(self, targets: int, tracks: int, pairs: list[tuple[int, int, float]]) -> None:
        """One moment: how many targets and tracks there are, and which belong together."""
        self.targets += targets
        self.tracked += len({i for i, _, _ in pairs})
        self.tracks += tracks
        self.belonging += len(pairs)
        self.error_m += sum(d for _, _, d in pairs)

    def result(self) -> dict[str, float | None]:
        """Completeness and spuriousness 0..1, ambiguity 1 at best, mean position error in metres; None: undefined."""
        return {
            "completeness": _share(self.tracked, self.targets),
            "ambiguity": _share(self.belonging, self.tracked),
            "spuriousness": _share(self.tracks - self.belonging, self.tracks),
            "position_accuracy_m": _share(self.error_m, self.belonging),
        }


def _share(part: float, whole: float) -> float | None:
    return round(part / whole, 4) if whole else None
