"""The pinhole over a round, refracting earth: from the world to the picture and back.

Promises:
- a point at ground range r and height z above the sea is seen at tan(depression) = (h - z) / r + r (1 - k) / 2R, which
  is the small-angle geometry of a sphere of radius R / (1 - k): exact to 1e-4 px out to 50 km;
- `sea_field` and `project` are inverses of one another on the sea in front of the horizon.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hardware_sim.render.types import CameraPose

    Array = NDArray[np.floating[Any]]

EARTH_RADIUS_M = 6_371_008.8
REFRACTION = 0.13
CURVATURE_PER_M = (1.0 - REFRACTION) / (2.0 * EARTH_RADIUS_M)
"""The sea sinks by this times range squared below the plane through the camera's foot point."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeaField:
    """The sea under a grid of pixels, (rows, columns) float32 each.

    `forward_m`, `right_m` lie along and across the camera's bearing; `range_m` is inf above the horizon. `top` is the
    first picture row of the grid, `step` the picture columns per grid column.
    """

    forward_m: Array
    right_m: Array
    range_m: Array
    top: int
    step: int


class Camera:
    """Projection of one pose. World axes are east, north, up from the sea surface at the camera's foot."""

    def __init__(self, pose: CameraPose) -> None:
        self.pose = pose
        self.focal_px = pose.focal_px
        self.cx = pose.width_px / 2.0
        self.cy = pose.height_px / 2.0
        b, p, r = (math.radians(a) for a in (pose.bearing_deg, pose.pitch_deg, pose.roll_deg))
        forward = np.array([math.sin(b) * math.cos(p), math.cos(b) * math.cos(p), math.sin(p)])
        right0 = np.array([math.cos(b), -math.sin(b), 0.0])
        up0 = np.array([-math.sin(b) * math.sin(p), -math.cos(b) * math.sin(p), math.cos(p)])
        right = right0 * math.cos(r) - up0 * math.sin(r)
        down = -(up0 * math.cos(r) + right0 * math.sin(r))
        self.axes = np.stack([right, down, forward])
        """Rows: picture x, picture y (down), optical axis; in east, north, up."""
        self.horizon_tan = 2.0 * math.sqrt(CURVATURE_PER_M * pose.height_m)
        self.horizon_m = math.sqrt(pose.height_m / CURVATURE_PER_M)

    def project(self, east_m: Array, north_m: Array, up_m: Array) -> tuple[Array, Array, Array]:
        """(x_px, y_px, depth_m) of world points, any shape; depth <= 0 is behind the camera (x, y are then nan)."""
        de = np.asarray(east_m, dtype=np.float64) - self.pose.east_m
        dn = np.asarray(north_m, dtype=np.float64) - self.pose.north_m
        dz = np.asarray(up_m, dtype=np.float64) - self.pose.height_m - CURVATURE_PER_M * (de * de + dn * dn)
        a = self.axes
        depth = de * a[2, 0] + dn * a[2, 1] + dz * a[2, 2]
        safe = np.where(depth > 1e-6, depth, np.nan)
        x = self.cx + self.focal_px * (de * a[0, 0] + dn * a[0, 1] + dz * a[0, 2]) / safe
        y = self.cy + self.focal_px * (de * a[1, 0] + dn * a[1, 1] + dz * a[1, 2]) / safe
        return x, y, depth

    def polar(self, range_m: Array, offset_deg: Array, up_m: Array) -> tuple[Array, Array, Array]:
        """`project` of points given by ground range and bearing offset from the optical axis."""
        b = np.radians(self.pose.bearing_deg + np.asarray(offset_deg, dtype=np.float64))
        r = np.asarray(range_m, dtype=np.float64)
        return self.project(self.pose.east_m + r * np.sin(b), self.pose.north_m + r * np.cos(b), up_m)

    def rays(self, x_px: Array, y_px: Array) -> tuple[Array, Array, Array]:
        """(along, across, up) of the rays through picture points, along and across the camera's bearing."""
        b = math.radians(self.pose.bearing_deg)
        dx = (np.asarray(x_px) - self.cx) / self.focal_px
        dy = (np.asarray(y_px) - self.cy) / self.focal_px
        a = self.axes
        e, n, u = (dx * a[0, i] + dy * a[1, i] + a[2, i] for i in range(3))
        return e * math.sin(b) + n * math.cos(b), e * math.cos(b) - n * math.sin(b), u

    def horizon_y(self, x_px: Array) -> Array:
        """Picture y of the sea horizon in each column: the cone of constant depression, by Newton's method."""
        x = np.asarray(x_px, dtype=np.float64)
        y = np.full(x.shape, self.cy + self.focal_px * math.tan(math.radians(self.pose.pitch_deg)))
        for _ in range(8):
            f0 = self._over_horizon(x, y)
            slope = (self._over_horizon(x, y + 0.5) - f0) / 0.5
            y = y - f0 / slope
        return y

    def _over_horizon(self, x: Array, y: Array) -> Array:
        along, across, up = self.rays(x, y)
        return up + self.horizon_tan * np.hypot(along, across)

    def elevation_field(self, step: int, top: int, bottom: int) -> tuple[Array, Array]:
        """(tangent of elevation, bearing offset in rad) at the centres of a coarse grid over rows top..bottom."""
        xs = (np.arange(0, self.pose.width_px, step) + step / 2.0)[None, :]
        ys = (np.arange(top, bottom, step) + step / 2.0)[:, None]
        along, across, up = self.rays(xs, ys)
        return (up / np.hypot(along, across)).astype(np.float32), np.arctan2(across, along).astype(np.float32)

    def sea_field(self, step: int) -> SeaField | None:
        """The sea in the picture, from the row of the highest visible horizon down; None if the picture has no sea."""
        w, h = self.pose.width_px, self.pose.height_px
        edge = self.horizon_y(np.linspace(0.0, w, 33))
        top = max(0, math.floor(float(edge.min())) - 1)
        if top >= h:
            return None
        xs = (np.arange(0, w, step) + step / 2.0)[None, :]
        ys = (np.arange(top, h) + 0.5)[:, None]
        along, across, up = self.rays(xs, ys)
        flat = np.hypot(along, across)
        t = -up / flat
        disc = t * t - 4.0 * CURVATURE_PER_M * self.pose.height_m
        on_sea = (t > 0.0) & (disc >= 0.0)
        # the nearer root in the form that does not cancel: 2h / (t + sqrt(disc))
        r = np.where(on_sea, 2.0 * self.pose.height_m / np.maximum(t + np.sqrt(np.maximum(disc, 0.0)), 1e-12), np.inf)
        finite = np.where(on_sea, r, self.horizon_m)
        return SeaField(
            forward_m=(finite * along / flat).astype(np.float32),
            right_m=(finite * across / flat).astype(np.float32),
            range_m=r.astype(np.float32),
            top=top,
            step=step,
        )
