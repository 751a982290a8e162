"""Radar video: what every radar driver yields before plots are extracted, and the options they share. No behaviour.

Promises:
- `samples` is one row of the sweep, nearest first, uint8 in the radar's own levels (4-bit radars: 0..15), read-only;
- `angle_deg` is relative to the bow, clockwise, in [0, 360); adding `heading_deg` gives the true bearing;
- `range_m` is the slant range of the LAST sample.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, NamedTuple

from pydantic import Field, field_validator

from agent.drivers.base import DriverOptions
from agent.errors import ConfigError
from agent.transport.url import parse_url

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_TOP_LEVEL = 15  # of the 4-bit video in whose levels the options are written


class Spoke(NamedTuple):
    """One sweep of the antenna (a tuple and not a dataclass: thousands are made in a second).

    `status` is the radar's own code; `valid` is its driver's reading of that code.
    `stream` is the `ip:port` that it came by (a second radar on the same port adds its name), `scan_number` the radar's
    running number of the spoke. `top_level` is the highest level that this video's coding has (15: 4-bit), and
    `doppler` the levels that stand for (receding, approaching) instead of strength; None where all are strength.
    """

    at_s: float
    source: str
    stream: str
    angle_deg: float
    heading_deg: float | None
    range_m: float
    samples: NDArray[np.uint8]
    status: int
    scan_number: int
    valid: bool = True
    top_level: int = 15
    doppler: tuple[int | None, int] | None = None


class VideoOptions(DriverOptions):
    """Options of a radar-video sensor: how the antenna stands (for the driver), how plots are made (extractor).

    Corrections are what is ADDED to the radar's own figures. Levels are those of 4-bit video (0..15); for video of
    another depth they are scaled (`for_video`).
    """

    heading_deg: float | None = Field(
        default=None, ge=0.0, lt=360.0, description="true heading of a fixed antenna, used when the spokes carry none"
    )
    trust_heading: bool = Field(
        default=True, description="false: always use heading_deg, whatever heading the spokes carry"
    )
    also: tuple[str, ...] = Field(
        default=(), max_length=8, description="more udp:// addresses of this radar: second range, reports, a compass"
    )
    bearing_bias_deg: float = Field(default=0.0, ge=-180.0, le=180.0, description="alignment of the antenna, added")
    range_bias_m: float = Field(default=0.0, ge=-1000.0, le=1000.0, description="trigger delay as a range, added")
    range_scale: float = Field(default=1.0, gt=0.5, lt=2.0, description="factor on the radar's range")

    azimuths: int = Field(default=2048, ge=90, le=8192, description="bins per turn: the radar's spokes per turn")
    min_level: int = Field(default=4, ge=1, le=255, description="of 0..15; below: noise and the skirts of echoes")
    full_level: int = Field(default=13, ge=1, le=255, description="where the video saturates")
    clutter_margin: int = Field(default=3, ge=0, le=255, description="levels above the learned clutter")
    weak_level: int = Field(
        default=2, ge=1, le=255, description="of 0..15; weaker echoes count if they come again, ..."
    )
    weak_margin: int = Field(default=2, ge=0, le=255, description="... this many levels above the learned clutter")
    clutter_scans: int = Field(default=16, ge=1, le=128, description="turns in which clutter is learned")
    cfar: Literal["off", "ca", "go", "os"] = Field(
        default="off", description="beside the clutter map, for video that does not saturate: neighbours along range"
    )
    cfar_guard_m: float = Field(default=150.0, ge=0.0, description="what a ship itself takes of its neighbours")
    blank_sectors: tuple[tuple[float, float, float, float], ...] = Field(
        default=(), description="from, to (deg, true, clockwise), from, to (m): land, a mast; no plots there"
    )
    beamwidth_deg: float = Field(default=4.0, gt=0.0, le=30.0, description="horizontal beam width of the antenna")
    min_range_m: float = Field(
        default=0.0, ge=0.0, description="beside the transmitter's own pulse, which is found by itself"
    )
    max_range_m: float = Field(default=math.inf, gt=0.0)
    min_cells: int = Field(default=6, ge=1, description="smaller echoes are noise")
    min_width: float = Field(
        default=0.25, ge=0.0, description="of a beam width: narrower echoes are noise or interference"
    )
    max_extent_m: float = Field(
        default=600.0, gt=0.0, description="the longest ships reach 400 m, a long pulse adds 200"
    )
    crowd: int = Field(
        default=4,
        ge=0,
        description="while the clutter map is young, an echo with so many others within max_extent_m is land; 0: off",
    )
    level_db: float = Field(
        default=0.0,
        ge=0.0,
        description="what a level of 15 is worth: plots carry their highest level times this; 0: no amplitude",
    )
    prominence: int = Field(default=3, ge=1, description="levels by which two echoes stand above what joins them")
    max_plots: int = Field(default=1000, ge=1, description="of one turn, strongest first")

    @field_validator("also")
    @classmethod
    def _addresses(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        for url in urls:
            try:
                scheme = parse_url(url).scheme
            except ConfigError as e:
                raise ValueError(str(e)) from e
            if scheme != "udp":
                raise ValueError(f"{url}: only udp:// addresses can be read beside a radar's own")
        return urls

    def for_video(self, top_level: int) -> VideoOptions:
        """The same options with levels for video whose highest level is `top_level`."""
        if top_level == _TOP_LEVEL:
            return self
        levels = ("min_level", "full_level", "clutter_margin", "weak_level", "weak_margin", "prominence")
        scaled = {k: min(255, max(1, round(getattr(self, k) * top_level / _TOP_LEVEL))) for k in levels}
        return self.model_copy(update={**scaled, "level_db": self.level_db * _TOP_LEVEL / top_level})
