"""How much of what was there was tracked, by class, by range and by size in the camera's picture.

Promises:
- a share is of (target, moment) pairs; every share says how many there were;
- size in the picture is the vessel's length as the camera sees it side on, in pixels, of targets within its field of
  view; whether they could be seen through fog, night or the horizon is not asked.
"""

from __future__ import annotations

import math
from typing import Any

from hardware_sim.geo import polar, wrap180

RANGES_M = (1000, 2000, 4000, 8000, 16_000, 32_000)
SIZES_PX = (8, 16, 32, 64, 128)


class Recall:
    """Counts of seen and there, by kind of share and by its band."""

    def __init__(self, camera: dict[str, Any] | None) -> None:
        self._camera = camera
        self._counts: dict[str, dict[str, list[int]]] = {"by_class": {}, "by_range_m": {}, "by_size_px": {}}

    def add(self, target: dict[str, Any], *, seen: bool) -> None:
        """One target at one moment."""
        range_m, bearing = polar(target["east_m"], target["north_m"])
        self._count("by_class", target["class"], seen=seen)
        self._count("by_range_m", _band(range_m, RANGES_M), seen=seen)
        camera = self._camera
        if camera is None or abs(wrap180(bearing - camera["bearing_deg"])) > camera["hfov_deg"] / 2.0:
            return
        focal_px = camera["width_px"] / 2.0 / math.tan(math.radians(camera["hfov_deg"]) / 2.0)
        size = target["length_m"] / max(range_m, 1.0) * focal_px
        self._count("by_size_px", _band(size, SIZES_PX), seen=seen)

    def result(self) -> dict[str, dict[str, dict[str, float]]]:
        """`{"by_class": {"panga": {"recall": 0.97, "of": 361}, ...}, ...}`, bands from small to large."""
        return {
            by: {
                band: {"recall": round(seen / there, 4), "of": there}
                for band, (seen, there) in sorted(bands.items(), key=lambda item: _order(item[0]))
            }
            for by, bands in self._counts.items()
        }

    def _count(self, by: str, band: str, *, seen: bool) -> None:
        counts = self._counts[by].setdefault(band, [0, 0])
        counts[0] += seen
        counts[1] += 1


def _band(value: float, edges: tuple[int, ...]) -> str:
    low = 0
    for edge in edges:
        if value < edge:
            return f"{low}-{edge}"
        low = edge
    return f"{low}-"


def _order(band: str) -> tuple[float, str]:
    low = band.partition("-")[0]
    return (float(low), "") if low.isdigit() else (0.0, band)
