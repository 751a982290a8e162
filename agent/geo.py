"""WGS-84 to a local east/north plane and back, bearings, horizon and refraction. Pure functions, no state.

Promises:
- within 100 km of the site, a round trip through the local frame is exact to a millimetre, and distances agree with the
  geodesic to 0.1 % (tested against published geodesics);
- bearings are degrees true, clockwise from north, in [0, 360).

The local frame is the tangent plane's azimuthal map built on the ellipsoid's radii of curvature at the site
(meridional M, prime vertical N): what a coastal box needs to 100 km, without the cost of full ECEF.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

EARTH_RADIUS_M = 6_371_008.8  # mean radius, IUGG
WGS84_A_M = 6_378_137.0
WGS84_E2 = 6.694379990141e-3
NM_M = 1852.0
KNOT_MPS = 1852.0 / 3600.0
OPTICAL_REFRACTION = 0.13  # k of the standard atmosphere in visible light (bends rays down by k/R)
RADAR_REFRACTION = 0.25  # 4/3 earth


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalFrame:
    """East/north plane at (`lat`, `lon`), metres."""

    lat: float
    lon: float
    _m: float = field(init=False, repr=False, compare=False, default=0.0)
    _n: float = field(init=False, repr=False, compare=False, default=0.0)

    def __post_init__(self) -> None:
        s2 = math.sin(math.radians(self.lat)) ** 2
        w = 1.0 - WGS84_E2 * s2
        object.__setattr__(self, "_n", WGS84_A_M / math.sqrt(w))
        object.__setattr__(self, "_m", WGS84_A_M * (1.0 - WGS84_E2) / (w * math.sqrt(w)))

    def to_enu(self, lat: float, lon: float) -> tuple[float, float]:
        """(east_m, north_m) of a position. The parallel's radius is taken at mid-latitude."""
        dlat = math.radians(lat - self.lat)
        dlon = math.radians((lon - self.lon + 180.0) % 360.0 - 180.0)
        mid = math.radians((lat + self.lat) / 2.0)
        return dlon * self._n * math.cos(mid), dlat * self._m

    def to_geo(self, east_m: float, north_m: float) -> tuple[float, float]:
        """(lat, lon) of a point in the plane; the exact inverse of `to_enu`."""
        lat = self.lat + math.degrees(north_m / self._m)
        mid = math.radians((lat + self.lat) / 2.0)
        lon = self.lon + math.degrees(east_m / (self._n * math.cos(mid)))
        return lat, (lon + 180.0) % 360.0 - 180.0


def polar_to_enu(range_m: float, bearing_deg: float) -> tuple[float, float]:
    """(east_m, north_m) of a range and true bearing."""
    b = math.radians(bearing_deg)
    return range_m * math.sin(b), range_m * math.cos(b)


def enu_to_polar(east_m: float, north_m: float) -> tuple[float, float]:
    """(range_m, bearing_deg) of a point in the plane."""
    return math.hypot(east_m, north_m), wrap360(math.degrees(math.atan2(east_m, north_m)))


def wrap360(deg: float) -> float:
    """The angle in [0, 360)."""
    w = deg % 360.0
    return 0.0 if w >= 360.0 else w  # -1e-20 % 360 is 360.0 in floating point


def wrap180(deg: float) -> float:
    """The angle in [-180, 180)."""
    return (deg + 180.0) % 360.0 - 180.0


def dip_deg(height_m: float, refraction: float = OPTICAL_REFRACTION) -> float:
    """Depression of the sea horizon below the horizontal, seen from `height_m`."""
    return math.degrees(math.sqrt(2.0 * max(height_m, 0.0) * (1.0 - refraction) / EARTH_RADIUS_M))


def horizon_m(height_m: float, target_height_m: float = 0.0, refraction: float = OPTICAL_REFRACTION) -> float:
    """Distance at which a target of that height just shows above the horizon."""
    r = EARTH_RADIUS_M / (1.0 - refraction)
    return math.sqrt(2.0 * r * max(height_m, 0.0)) + math.sqrt(2.0 * r * max(target_height_m, 0.0))


def range_from_depression(
    depression_deg: float, height_m: float, refraction: float = OPTICAL_REFRACTION
) -> float | None:
    """Distance over the sea of a water-line seen `depression_deg` below the HORIZONTAL; None at or above the horizon.

    Solves tan(d) = h/r + r(1-k)/(2R) for the nearer root r.
    """
    t = math.tan(math.radians(depression_deg))
    c = (1.0 - refraction) / (2.0 * EARTH_RADIUS_M)
    disc = t * t - 4.0 * c * height_m
    if t <= 0.0 or disc <= 0.0:
        return None
    return (t - math.sqrt(disc)) / (2.0 * c)


def depression_from_range(range_m: float, height_m: float, refraction: float = OPTICAL_REFRACTION) -> float:
    """Depression below the horizontal of a water-line at `range_m` (degrees, positive down)."""
    c = (1.0 - refraction) / (2.0 * EARTH_RADIUS_M)
    return math.degrees(math.atan(height_m / range_m + c * range_m))
