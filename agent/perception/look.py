"""Where a camera looks, and how often: whole picture, strip on the horizon, tiles, cued regions, within a CPU budget.

Promises:
- a cue (a bearing that a track, radar or AIS points at) inside the field of view gets a region at native resolution, if
  no view covers it at native resolution already, and raises the rate to `cued_fps` while it is fresh;
- what is over the budget costs rate first (down to half of `fps`), then the strip or the tiles; cued regions and the
  reduced whole picture stay. What was given up stands in `sentence`. A cue's higher rate is a wish, and costs no view.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.geo import depression_from_range, dip_deg, wrap180
from agent.inference.detector import FREE_SIZE, MULTIPLE
from agent.inference.tiles import TILE_PX, Region, abreast, tiles, whole

if TYPE_CHECKING:
    from agent.drivers.camera.options import CameraOptions

WHOLE_PX = 640  # longer side of the reduced whole picture
STRIP_SHARE = 0.2  # of the picture's width: height of the strip (256 rows of 1280)
STRIP_ABOVE = 0.35  # of strip and cued regions lie above: masts and superstructures; the rest is the near sea
STRIP_VIEW_PX = 1280  # a wider strip is looked at in parts: memory follows the view
STRIP_OVERLAP_PX = 128
CUE_PX = (320, 192)  # of a cued region, at least
CUE_FRESH_S = 5.0
MAX_CUES = 4  # regions looked at in one picture: the nearest to the middle of the view first
_DEFAULT_HEIGHT_M = 15.0  # only places strip and cues, where the camera's height is left to the site's
_SIGMAS = 3.0
_COST_MEMORY = 0.8  # of the old mean, per picture
_EASY = 0.7  # of the budget: below this, what was given up comes back
_SLOWEST_FPS = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Cue:
    """Something is expected at a true bearing, one sigma wide, and at a range where that is known."""

    bearing_deg: float
    sigma_deg: float
    range_m: float | None = None


class Look:
    """Regions and rate of one camera. `fixed`: (width, height) of the model's input, None where it is free."""

    def __init__(self, options: CameraOptions, fixed: tuple[int, int] | None) -> None:
        self.options = options
        self.sentence = ""
        self._fixed = fixed
        self._cues: tuple[Cue, ...] = ()
        self._cued_s = -math.inf
        self._cost_s: float | None = None
        self._less = False  # the strip or the tiles are given up

    def cue(self, cues: tuple[Cue, ...], at_s: float) -> None:
        """What other sensors expect in this camera's view, as of `at_s`."""
        half = self.options.hfov_deg / 2.0
        inside = [c for c in cues if abs(self._off_axis_deg(c)) <= half + c.sigma_deg]
        self._cues = tuple(sorted(inside, key=lambda c: abs(self._off_axis_deg(c)))[:MAX_CUES])
        self._cued_s = at_s if inside else -math.inf

    def saw(self, at_s: float) -> None:
        """The camera itself saw something worth showing: look as often as if it were cued."""
        self._cued_s = max(self._cued_s, at_s)

    def spent(self, cpu_s: float) -> None:
        """A picture cost so much processor time: keeps the budget."""
        self._cost_s = cpu_s if self._cost_s is None else _COST_MEMORY * self._cost_s + (1.0 - _COST_MEMORY) * cpu_s

    def fps(self, at_s: float) -> float:
        """How many pictures a second to look at now."""
        o = self.options
        wanted = max(o.fps, o.cued_fps) if at_s - self._cued_s <= CUE_FRESH_S else o.fps
        cost_s = self._cost_s or 0.0
        share = cost_s * o.fps  # the rate of every day: a cue's higher one costs no view, it is only not reached
        if share > 2.0 * o.cpu_share and not self._less and self.can_do_less:
            self._less, self._cost_s = True, None  # half the rate is not enough
        elif self._less and share < _EASY * o.cpu_share / 2.0:  # the strip about doubles what a picture costs
            self._less, self._cost_s = False, None
        affordable = max(_SLOWEST_FPS, o.cpu_share / cost_s) if cost_s > 0.0 else wanted
        given_up = []
        if affordable < o.fps:  # a cue's higher rate is a wish, the rate of every day is not
            given_up.append(f"looks at {affordable:.1f} instead of {o.fps:g} pictures a second")
        if self._less:
            given_up.append("leaves out the strip and tiles at native resolution")
        limit = f"{o.cpu_share:.0%} of a core"
        self.sentence = f"inference is over its budget of {limit}: it {' and '.join(given_up)}" if given_up else ""
        return min(wanted, affordable)

    @property
    def can_do_less(self) -> bool:
        """There is something beside the whole picture to give up."""
        return self.options.look != "whole"

    def regions(self, width: int, height: int, at_s: float = 0.0) -> list[Region]:
        """What is looked at in a picture of this size, as `look`, cues and budget say."""
        views = self._views(width, height)
        if at_s - self._cued_s <= CUE_FRESH_S:
            for cue in self._cues:
                region = self.cued_region(cue, width, height)
                if not any(self._covers(v, region) for v in views):
                    views.append(region)
        return views

    def _views(self, width: int, height: int) -> list[Region]:
        fixed = self._fixed
        free = fixed is None
        if self.options.look == "whole":
            return [whole(width, height, longest=FREE_SIZE[0])]
        reduced = whole(width, height, longest=WHOLE_PX if free else None)
        if self._less:
            return [reduced]
        if self.options.look == "tiles":
            return [reduced, *tiles(whole(width, height), *(FREE_SIZE if free else (TILE_PX, TILE_PX)))]
        if max(width, height) <= max(fixed or (WHOLE_PX,)):
            return [whole(width, height)]  # the whole picture is at native resolution already
        strip = self.strip(width, height)
        return [reduced, *(tiles(strip, *fixed) if fixed else abreast(strip, STRIP_VIEW_PX, STRIP_OVERLAP_PX))]

    def strip(self, width: int, height: int) -> Region:
        """The band along the horizon, as wide as the picture, from the camera's pose."""
        o = self.options
        horizon = self._pixel(o.bearing_deg, dip_deg(self._height_m), width, height)[1]
        tilt = width / 2.0 * math.tan(math.radians(abs(o.roll_deg)))
        rows = STRIP_SHARE * width
        band = min(height, math.ceil((rows + 2.0 * tilt) / MULTIPLE) * MULTIPLE)
        if self._fixed is not None:
            band = min(height, max(band, self._fixed[1]))  # its tiles are looked at pixel by pixel
        top = round(horizon - tilt - STRIP_ABOVE * rows)
        return Region(x=0, y=min(max(0, top), height - band), width=width, height=band, size=(width, band))

    def cued_region(self, cue: Cue, width: int, height: int) -> Region:
        """A region around what the cue points at, wide enough for its sigma, at native resolution."""
        far_deg = dip_deg(self._height_m)
        depression = far_deg if cue.range_m is None else depression_from_range(max(cue.range_m, 10.0), self._height_m)
        x, y = self._pixel(cue.bearing_deg, max(depression, far_deg), width, height)
        reach = math.tan(math.radians(min(_SIGMAS * cue.sigma_deg, 60.0))) * self._focal_px(width)
        asked = self._fixed or CUE_PX
        wide = min(width, max(asked[0], math.ceil(2.0 * reach / MULTIPLE) * MULTIPLE))
        high = min(height, asked[1])
        left, top = round(x - wide / 2), round(y - STRIP_ABOVE * high)
        return Region(
            x=min(max(0, left), width - wide), y=min(max(0, top), height - high),
            width=wide, height=high, size=(wide, high),
        )  # fmt: skip

    def _covers(self, view: Region, region: Region) -> bool:
        """The view shows the whole region at native resolution."""
        shown = self._fixed or view.size or (view.width, view.height)
        inside_x = view.x <= region.x and region.x + region.width <= view.x + view.width
        inside_y = view.y <= region.y and region.y + region.height <= view.y + view.height
        return inside_x and inside_y and shown[0] >= view.width and shown[1] >= view.height

    @property
    def _height_m(self) -> float:
        return _DEFAULT_HEIGHT_M if self.options.height_m is None else self.options.height_m

    def _focal_px(self, width: int) -> float:
        return width / 2.0 / math.tan(math.radians(self.options.hfov_deg) / 2.0)

    def _off_axis_deg(self, cue: Cue) -> float:
        return wrap180(cue.bearing_deg - self.options.bearing_deg)

    def _pixel(self, bearing_deg: float, depression_deg: float, width: int, height: int) -> tuple[float, float]:
        """Where a direction lies in the picture: pinhole, turned by pitch and roll."""
        turn = math.radians(max(-80.0, min(80.0, wrap180(bearing_deg - self.options.bearing_deg))))
        down, pitch, roll = (math.radians(v) for v in (depression_deg, self.options.pitch_deg, self.options.roll_deg))
        right, ahead, up = math.sin(turn) * math.cos(down), math.cos(turn) * math.cos(down), -math.sin(down)
        depth = max(ahead * math.cos(pitch) + up * math.sin(pitch), 1e-3)
        level_up = -ahead * math.sin(pitch) + up * math.cos(pitch)
        u = (right * math.cos(roll) - level_up * math.sin(roll)) / depth
        v = (-right * math.sin(roll) - level_up * math.cos(roll)) / depth
        focal = self._focal_px(width)
        return width / 2.0 + focal * u, height / 2.0 + focal * v
