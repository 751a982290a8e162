"""What goes into the renderer and what comes out of it.

Promises:
- angles are degrees, lengths metres, both named in the field; bearings are true, clockwise from north;
- pixel coordinates are continuous: the pixel with index i covers [i, i + 1), the optical axis meets the picture at
  (width_px / 2, height_px / 2);
- the camera is a pinhole with square pixels: focal_px = width_px / 2 / tan(hfov_deg / 2).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

KINDS = (
    "panga",
    "go-fast",
    "lpv",
    "inflatable",
    "sailing",
    "trawler",
    "fishing",
    "tug",
    "ferry",
    "cargo",
    "tanker",
    "patrol",
    "jetski",
    "buoy",
    "rock",
    "bird",
    "swimmer",
)
CLUTTER_KINDS = ("buoy", "rock", "bird", "swimmer")
"""Kinds that are not vessels."""
LIGHTS = ("day", "overcast", "dusk", "night", "thermal")
FOREGROUNDS = ("none", "plants", "fence", "rail", "posts", "roof", "beach")


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraPose:
    """Where a camera stands and where it looks. `roll_deg` is clockwise as seen from behind the camera."""

    east_m: float = 0.0
    north_m: float = 0.0
    height_m: float
    bearing_deg: float
    pitch_deg: float
    roll_deg: float = 0.0
    hfov_deg: float
    width_px: int = 1280
    height_px: int = 720

    @property
    def focal_px(self) -> float:
        """Focal length in pixels."""
        return self.width_px / 2.0 / math.tan(math.radians(self.hfov_deg) / 2.0)


@dataclass(slots=True)
class Vessel:
    """One thing at sea: `kind` is one of KINDS; `height_m` above the water; `up_m` lifts birds; `colour` is BGR."""

    kind: str
    id: str
    east_m: float
    north_m: float
    heading_deg: float
    speed_mps: float
    length_m: float
    beam_m: float
    height_m: float
    up_m: float = 0.0
    lights: bool = False
    colour: tuple[int, int, int] | None = None


@dataclass(slots=True)
class Conditions:
    """Light, weather, what is on shore, and how good (or bad) the camera is.

    `light` is one of LIGHTS. Fractions (`rain`, `land`, `urban`, `ridge`, `clouds`, `lens_drops`, `salt`) go from 0
    to 1. `land` is the share of the horizon with land on it, `ridge` how tall it stands, `urban` how much of its shore
    is built over. `foreground` is one of FOREGROUNDS. `jpeg_quality` 0 leaves the picture uncompressed. `overlay_text`
    is drawn at random places in a random face; `overlay_style` picks face and box (seeded). `gamma`, `contrast`,
    `brightness`, `saturation` and `warmth` are the camera's tone, `auto_levels` how far it stretches the scene to its
    range; `haze_tint` shifts the haze from blue (-1) to brown. The moon, `moon_lit` of its disc, shines at night only.
    """

    light: str = "day"
    wind_mps: float = 5.0
    wind_from_deg: float = 270.0
    visibility_m: float = 20_000.0
    sun_bearing_deg: float = 180.0
    sun_elevation_deg: float = 40.0
    moon_bearing_deg: float = 0.0
    moon_elevation_deg: float = -90.0
    moon_lit: float = 0.0
    rain: float = 0.0
    land: float = 0.0
    land_range_m: float = 12_000.0
    ridge: float = 0.4
    ridge_layers: int = 2
    urban: float = 0.0
    clouds: float = 0.4
    cloud_layers: int = 2
    swell_m: float = 0.5
    water_bgr: tuple[int, int, int] | None = None
    haze_tint: float = 0.0
    lens_drops: float = 0.0
    salt: float = 0.0
    defocus_px: float = 0.0
    shake_px: float = 0.0
    motion_blur_px: float = 0.0
    soften: float = 1.0
    noise: float = 1.5
    sharpen: float = 0.3
    vignette: float = 0.1
    jpeg_quality: int = 0
    blockiness: float = 0.0
    gamma: float = 1.0
    auto_levels: float = 0.5
    contrast: float = 1.0
    brightness: float = 0.0
    saturation: float = 1.0
    warmth: float = 0.0
    overlay_text: tuple[str, ...] = ()
    overlay_style: int = 0
    crosshair: bool = False
    foreground: str = "none"
    foreground_amount: float = 0.5
    seed: int = 0


@dataclass(slots=True)
class TruthBox:
    """Where a thing is in the picture, px.

    `visible` is the share of its silhouette that is inside the picture, not hidden by the earth and not covered;
    `contrast` is the RMS difference of its pixels from their surroundings, grey levels of 255.
    """

    id: str
    kind: str
    x0: float
    y0: float
    x1: float
    y1: float
    visible: float
    contrast: float


@dataclass(slots=True)
class Rendered:
    """A picture, (H, W, 3) uint8 BGR, its truth, and the y of the sea horizon at the left and the right edge, px."""

    image: NDArray[np.uint8]
    boxes: tuple[TruthBox, ...]
    horizon_px: tuple[float, float]
