"""How much of what was there was tracked or seen, by class, by range and by size in the camera's picture.

Promises:
- a share is of (target, moment) pairs, or of boxes in pictures; every share says how many there were;
- size in the picture is that of what shows there: height and width of the truth's box, cut at the horizon and at the
  edge, of vessels that `hardware_sim.sight` says could be seen; what stands in the camera's field of view and could not
  be (beyond the horizon, behind another hull, in fog, in the dark) is `unseen`;
- a moment counts for the sizes if a picture was taken within `PICTURE_S` of it; without a camera's truth none does.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from typing import TYPE_CHECKING, Any

from hardware_sim.geo import polar, wrap180

if TYPE_CHECKING:
    from hardware_sim.score.camera import Camera, Picture

RANGES_M = (1000, 2000, 4000, 8000, 16_000, 32_000)
HEIGHTS_PX = (4, 8, 16, 32, 64)
WIDTHS_PX = (8, 16, 32, 64, 128)
PICTURE_S = 0.5
UNSEEN = "unseen"


class Shares:
    """Counts of found and there, by kind of share and by its band."""

    def __init__(self) -> None:
        self._counts: dict[str, dict[str, list[int]]] = {}
        for by in ("by_class", "by_range_m", "by_height_px", "by_width_px"):
            self._counts[by] = {}

    def count(self, by: str, band: str, *, found: bool) -> None:
        """One more."""
        counts = self._counts[by].setdefault(band, [0, 0])
        counts[0] += found
        counts[1] += 1

    def by_range(self, range_m: float, *, found: bool) -> None:
        """One more at that range."""
        self.count("by_range_m", _band(range_m, RANGES_M), found=found)

    def by_size(self, size_px: tuple[float, float] | None, *, found: bool) -> None:
        """One more of that width and height; None: it could not be seen."""
        width, height = (UNSEEN, UNSEEN)
        if size_px is not None:
            width, height = _band(size_px[0], WIDTHS_PX), _band(size_px[1], HEIGHTS_PX)
        self.count("by_height_px", height, found=found)
        self.count("by_width_px", width, found=found)

    def result(self) -> dict[str, dict[str, dict[str, float]]]:
        """`{"by_class": {"panga": {"recall": 0.97, "of": 361}, ...}, ...}`, bands from small to large."""
        return {
            by: {
                band: {"recall": round(found / there, 4), "of": there}
                for band, (found, there) in sorted(bands.items(), key=lambda item: _order(item[0]))
            }
            for by, bands in self._counts.items()
        }


class Recall:
    """Of the tracks."""

    def __init__(self, camera: Camera | None) -> None:
        self._camera = camera
        self._times = [] if camera is None else [p.t for p in camera.pictures]
        self._shares = Shares()
        self.result = self._shares.result

    def add(self, target: dict[str, Any], t_s: float, *, seen: bool) -> None:
        """One target at one moment of the run."""
        range_m, bearing = polar(target["east_m"], target["north_m"])
        self._shares.count("by_class", target["class"], found=seen)
        self._shares.by_range(range_m, found=seen)
        picture = self._picture(t_s)
        if self._camera is None or picture is None:
            return
        size = picture.seen_px().get(target["id"])
        pose = self._camera.header["camera"]
        if size is not None or abs(wrap180(bearing - pose["bearing_deg"])) <= pose["hfov_deg"] / 2.0:
            self._shares.by_size(size, found=seen)

    def _picture(self, t_s: float) -> Picture | None:
        """The one nearest in time, if it is near enough."""
        if self._camera is None:
            return None
        i = bisect_left(self._times, t_s)
        near = min(self._camera.pictures[max(0, i - 1) : i + 1], key=lambda p: abs(p.t - t_s), default=None)
        return near if near is not None and abs(near.t - t_s) <= PICTURE_S else None


def _band(value: float, edges: tuple[int, ...]) -> str:
    low = 0
    for edge in edges:
        if value < edge:
            return f"{low}-{edge}"
        low = edge
    return f"{low}-"


def _order(band: str) -> tuple[float, str]:
    low = band.partition("-")[0]
    return (float(low), "") if low.isdigit() else (math.inf, band)
