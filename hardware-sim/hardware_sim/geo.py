"""WGS-84 and the local east/north frame, by way of earth-centred coordinates.

Promises:
- exact on the ellipsoid: `to_geo` gives the point of the sea surface (height 0) that stands at (east, north) in the
  tangent frame of the site, `to_enu` is its inverse to a micrometre within 100 km;
- bearings are degrees true, clockwise from north, in [0, 360).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

A_M = 6_378_137.0
E2 = 6.694379990141e-3
KNOT_MPS = 1852.0 / 3600.0
NM_M = 1852.0


@dataclass(frozen=True, slots=True)
class Site:
    """The tangent frame at (`lat`, `lon`) on the ellipsoid, degrees."""

    lat: float
    lon: float

    def to_enu(self, lat: float, lon: float) -> tuple[float, float]:
        """(east_m, north_m) of a point at sea level."""
        (sp, cp, sl, cl), (x0, y0, z0) = _frame(self.lat, self.lon)
        x, y, z = _ecef(lat, lon)
        dx, dy, dz = x - x0, y - y0, z - z0
        return -sl * dx + cl * dy, -sp * cl * dx - sp * sl * dy + cp * dz

    def to_geo(self, east_m: float, north_m: float) -> tuple[float, float]:
        """(lat, lon) in degrees of the point of the sea surface above or below (east, north)."""
        (sp, cp, sl, cl), (x0, y0, z0) = _frame(self.lat, self.lon)
        # height over the tangent plane: the ellipsoid's equation, times its major axis squared, is quadratic in it,
        # up^2 uu + 2 up (u + north un) + east^2 + north^2 nn = 0
        polar2 = 1.0 / (1.0 - E2)
        uu, nn, un = cp * cp + sp * sp * polar2, sp * sp + cp * cp * polar2, sp * cp * (polar2 - 1.0)
        c, b = east_m * east_m + north_m * north_m * nn, A_M / math.sqrt(1.0 - E2 * sp * sp) + north_m * un
        up = -c / (b + math.sqrt(b * b - uu * c))
        x = x0 - sl * east_m - sp * cl * north_m + cp * cl * up
        y = y0 + cl * east_m - sp * sl * north_m + cp * sl * up
        z = z0 + cp * north_m + sp * up
        lat = math.degrees(math.atan2(z, math.hypot(x, y) * (1.0 - E2)))  # exact at height 0
        return lat, math.degrees(math.atan2(y, x))


def polar(east_m: float, north_m: float) -> tuple[float, float]:
    """(range_m, bearing_deg) of a point."""
    return math.hypot(east_m, north_m), wrap360(math.degrees(math.atan2(east_m, north_m)))


def wrap360(deg: float) -> float:
    """The angle in [0, 360)."""
    w = deg % 360.0
    return 0.0 if w >= 360.0 else w


def wrap180(deg: float) -> float:
    """The angle in [-180, 180)."""
    return (deg + 180.0) % 360.0 - 180.0


def inside(east_m: float, north_m: float, polygon: tuple[tuple[float, float], ...]) -> bool:
    """Whether a point is in a polygon of (east, north), by the even-odd rule."""
    hit = False
    for (e0, n0), (e1, n1) in zip(polygon, polygon[1:] + polygon[:1], strict=True):
        if (n0 > north_m) != (n1 > north_m) and east_m < e0 + (north_m - n0) * (e1 - e0) / (n1 - n0):
            hit = not hit
    return hit


def inside_many(
    east_m: NDArray[np.float64], north_m: NDArray[np.float64], polygon: tuple[tuple[float, float], ...]
) -> NDArray[np.bool_]:
    """The same for many points."""
    hit = np.zeros(len(east_m), dtype=np.bool_)
    for (e0, n0), (e1, n1) in zip(polygon, polygon[1:] + polygon[:1], strict=True):
        if n0 != n1:
            hit ^= ((n0 > north_m) != (n1 > north_m)) & (east_m < e0 + (north_m - n0) * (e1 - e0) / (n1 - n0))
    return hit


def edge_distance_m(
    east_m: NDArray[np.float64], north_m: NDArray[np.float64], polygon: tuple[tuple[float, float], ...]
) -> NDArray[np.float64]:
    """Distance of many points from a polygon's nearest edge."""
    best = np.full(len(east_m), np.inf)
    for (e0, n0), (e1, n1) in zip(polygon, polygon[1:] + polygon[:1], strict=True):
        de, dn = e1 - e0, n1 - n0
        along = np.clip(((east_m - e0) * de + (north_m - n0) * dn) / max(de * de + dn * dn, 1e-9), 0.0, 1.0)
        np.minimum(best, np.hypot(east_m - e0 - along * de, north_m - n0 - along * dn), out=best)
    return best


def _trig(lat: float, lon: float) -> tuple[float, float, float, float]:
    p, lam = math.radians(lat), math.radians(lon)
    return math.sin(p), math.cos(p), math.sin(lam), math.cos(lam)


def _ecef(lat: float, lon: float) -> tuple[float, float, float]:
    sp, cp, sl, cl = _trig(lat, lon)
    n = A_M / math.sqrt(1.0 - E2 * sp * sp)
    return n * cp * cl, n * cp * sl, n * (1.0 - E2) * sp


@lru_cache(maxsize=64)
def _frame(lat: float, lon: float) -> tuple[tuple[float, float, float, float], tuple[float, float, float]]:
    """Trigonometry and earth-centred place of a site."""
    return _trig(lat, lon), _ecef(lat, lon)
