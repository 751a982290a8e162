"""The simulated coast camera: pictures of the sea with truth, live or for training.

Promises:
- the same pose, conditions, vessels and time give the same picture, bit for bit;
- a point at a bearing and range on the sea lands where the pinhole and the round, refracting earth put it (`geometry`);
- a truth box bounds the silhouette of its vessel as the picture shows it: without wake, reflection or glow, cut at the
  horizon and at the picture's edge;
- "live" differs from "full" in cost and texture, never in geometry or truth.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from hardware_sim.render.coast import make_coast
from hardware_sim.render.effects import draw_glow, draw_lamps, draw_reflection, draw_shine, draw_wake
from hardware_sim.render.foreground import Foreground
from hardware_sim.render.geometry import Camera
from hardware_sim.render.land import make_land
from hardware_sim.render.optics import Optics
from hardware_sim.render.overlay import burn_in
from hardware_sim.render.raster import Rasteriser, blend
from hardware_sim.render.sea import SeaModel, foam_colour
from hardware_sim.render.sky import SkyModel
from hardware_sim.render.types import LIGHTS, Rendered, TruthBox, Vessel
from hardware_sim.render.vessels import build

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hardware_sim.render.coast import Ground
    from hardware_sim.render.land import Land
    from hardware_sim.render.meshes import Mesh
    from hardware_sim.render.raster import Patch
    from hardware_sim.render.types import CameraPose, Conditions

    Array = NDArray[np.floating[Any]]
    Picture = NDArray[np.uint8]

DETAILS = ("live", "full")


class Renderer:
    """One camera in one place under one sky, before a coast if `ground` says where one is.

    ValueError for a light or detail that does not exist.
    """

    def __init__(
        self, pose: CameraPose, conditions: Conditions, detail: str = "live", ground: Ground | None = None
    ) -> None:
        if detail not in DETAILS:
            raise ValueError(f"renderer: detail {detail!r} is not one of {', '.join(DETAILS)}")
        if conditions.light not in LIGHTS:
            raise ValueError(f"conditions: light {conditions.light!r} is not one of {', '.join(LIGHTS)}")
        self.pose, self.conditions, self.detail = pose, conditions, detail
        self.camera = Camera(pose)
        sky = SkyModel(conditions)
        field = self.camera.sea_field(1 if detail == "full" else 2)
        self.sea = SeaModel(self.camera, conditions, sky, field) if field is not None else None
        self.foam = foam_colour(conditions, sky)
        self.raster = Rasteriser(self.camera, conditions, sky)
        self.optics = Optics(conditions, pose.width_px, pose.height_px)
        self.foreground = Foreground(conditions, pose.width_px, pose.height_px)
        self.backdrop = np.zeros((pose.height_px, pose.width_px, 3), dtype=np.uint8)
        sky_image = sky.image(self.camera)
        self.backdrop[: sky_image.shape[0]] = sky_image
        lands = make_land(self.camera, conditions, sky)
        self.far_land = [land for land in lands if land.patch.range_m >= self.camera.horizon_m]
        self.near_land = [land for land in lands if land.patch.range_m < self.camera.horizon_m]
        self.coast = make_coast(self.camera, conditions, sky, ground) if ground is not None else None
        for land in self.near_land:
            self._hide_behind_coast(land.patch)
        for land in self.far_land:
            blend(self.backdrop, land.patch)
            for lamp in land.lamps:
                draw_glow(self.backdrop, lamp.x, lamp.y, lamp.colour, lamp.energy)
        self._meshes: dict[tuple[object, ...], Mesh] = {}

    def render(self, vessels: Sequence[Vessel], t_s: float) -> Rendered:
        """The picture at a time, with the truth of every vessel that shows."""
        canvas = self.backdrop.copy()
        if self.sea is not None:
            self.sea.paint(canvas, t_s)
        if self.coast is not None:
            self.coast.paint(canvas)
        shown = self._draw_world(canvas, vessels, t_s)
        dx, dy = self._shake(t_s)
        canvas = self.optics.level(canvas)
        self.foreground.blend(canvas)
        for _, patch, clear in shown:
            cover = self.foreground.cover(patch.x0, patch.y0, clear.shape)
            if cover is not None:
                np.multiply(clear, 1.0 - cover, out=clear)
        if dx != 0.0 or dy != 0.0:
            move = np.array([[1.0, 0.0, dx], [0.0, 1.0, dy]])
            size = (self.pose.width_px, self.pose.height_px)
            canvas = np.asarray(
                cv2.warpAffine(canvas, move, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101),
                dtype=np.uint8,
            )
        canvas = self.optics.expose(canvas, t_s)
        text = burn_in(canvas, self.conditions)
        if text is not None:
            for _, patch, clear in shown:
                h, w = clear.shape
                over = text[patch.y0 : patch.y0 + h, patch.x0 : patch.x0 + w]
                np.multiply(clear, 1.0 - over, out=clear)
        canvas = self.optics.encode(canvas)
        if self.conditions.light == "thermal" and not self.conditions.overlay_text:
            canvas = np.asarray(
                cv2.cvtColor(cv2.cvtColor(canvas, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR), dtype=np.uint8
            )
        grey = np.asarray(cv2.cvtColor(canvas, cv2.COLOR_BGR2GRAY), dtype=np.uint8)
        boxes = tuple(b for b in (self._truth(v, p, c, grey, (dx, dy)) for v, p, c in shown) if b is not None)
        edge = self.camera.horizon_y(np.array([0.0, float(self.pose.width_px)])) + dy
        return Rendered(image=canvas, boxes=boxes, horizon_px=(float(edge[0]), float(edge[1])))

    def _mesh(self, vessel: Vessel) -> Mesh:
        key = (
            vessel.kind,
            vessel.id,
            vessel.length_m,
            vessel.beam_m,
            vessel.height_m,
            vessel.colour,
            vessel.speed_mps > 0.8,
            vessel.up_m > 0,
        )
        mesh = self._meshes.get(key)
        if mesh is None:
            if len(self._meshes) > 500:
                self._meshes.clear()
            mesh = self._meshes[key] = build(vessel, self.conditions.seed)
        return mesh

    def _range(self, vessel: Vessel) -> float:
        return math.hypot(vessel.east_m - self.pose.east_m, vessel.north_m - self.pose.north_m)

    def _draw_world(self, canvas: Picture, vessels: Sequence[Vessel], t_s: float) -> list[tuple[Vessel, Patch, Array]]:
        """Land and vessels, farthest first; each vessel with the share of its patch that nothing nearer covers."""
        things: list[tuple[float, Land | Vessel]] = [(land.patch.range_m, land) for land in self.near_land]
        things += [(self._range(v), v) for v in vessels]
        things.sort(key=lambda item: -item[0])
        shown: list[tuple[Vessel, Patch, Array]] = []
        for _, thing in things:
            if isinstance(thing, Vessel):
                self._draw_vessel(canvas, thing, t_s, shown)
            else:
                blend(canvas, thing.patch)
                _cover(shown, thing.patch)
                for lamp in thing.lamps:
                    draw_glow(canvas, lamp.x, lamp.y, lamp.colour, lamp.energy)
                    draw_shine(canvas, (lamp.x, lamp.y, 6.0), lamp.colour, lamp.energy, self.conditions)
        return shown

    def _draw_vessel(
        self, canvas: Picture, vessel: Vessel, t_s: float, shown: list[tuple[Vessel, Patch, Array]]
    ) -> None:
        mesh = self._mesh(vessel)
        patch = self.raster.patch(mesh, vessel, t_s)
        if patch is None:
            return
        for land in self.far_land:  # it is in the backdrop already: what stands behind it is cut out
            if patch.range_m > land.patch.range_m:
                _hide(patch, land.patch)
        self._hide_behind_coast(patch)
        if float(patch.alpha.max()) < 0.01:
            return
        coast, (x0, _, x1, foot) = self.coast, patch.box
        afloat = coast is None or not coast.before((x0 + x1) / 2.0, foot - 0.5, patch.range_m)
        if afloat:
            draw_wake(canvas, vessel, self.raster, self.foam)
        if afloat and vessel.up_m <= 0.0 and patch.range_m < self.camera.horizon_m:
            draw_reflection(canvas, patch, patch.box[3], self.conditions.wind_mps)
        blend(canvas, patch)
        _cover(shown, patch)
        draw_lamps(canvas, mesh, vessel, self.raster, self.conditions, t_s, None if coast is None else coast.before)
        shown.append((vessel, patch, np.ones_like(patch.alpha)))

    def _hide_behind_coast(self, patch: Patch) -> None:
        """Remove from a patch what the coast covers."""
        cover = None if self.coast is None else self.coast.cover(patch)
        if cover is not None:
            _keep(patch, 1.0 - cover)

    def _shake(self, t_s: float) -> tuple[float, float]:
        """Shift of the picture by wind on the mast, px: slow swing and quick tremble."""
        a = self.conditions.shake_px
        if a <= 0.0:
            return 0.0, 0.0
        p = np.random.default_rng([self.conditions.seed, 91]).uniform(0, 2 * math.pi, 4)
        x = 0.6 * math.sin(2 * math.pi * 1.3 * t_s + p[0]) + 0.4 * math.sin(2 * math.pi * 7.1 * t_s + p[1])
        y = 0.6 * math.sin(2 * math.pi * 1.7 * t_s + p[2]) + 0.4 * math.sin(2 * math.pi * 8.3 * t_s + p[3])
        return a * x, a * y

    def _truth(
        self, vessel: Vessel, patch: Patch, clear: Array, grey: Picture, shift: tuple[float, float]
    ) -> TruthBox | None:
        dx, dy = shift
        w, h = self.pose.width_px, self.pose.height_px
        x0, y0, x1, y1 = patch.box[0] + dx, patch.box[1] + dy, patch.box[2] + dx, patch.box[3] + dy
        x0, x1 = max(x0, 0.0), min(x1, float(w))
        y0, y1 = max(y0, 0.0), min(y1, float(h))
        if x1 <= x0 or y1 <= y0:
            return None
        total = float(patch.alpha.sum())
        visible = patch.share * float((patch.alpha * clear).sum()) / max(total, 1e-6)
        contrast = _contrast(grey, patch.alpha * clear, patch.x0 + round(dx), patch.y0 + round(dy))
        return TruthBox(vessel.id, vessel.kind, x0, y0, x1, y1, visible, contrast)


def _hide(patch: Patch, nearer: Patch) -> None:
    """Remove from a patch what a nearer one covers."""
    clear = np.ones_like(patch.alpha)
    _cover_one(patch, clear, nearer)
    _keep(patch, clear)


def _keep(patch: Patch, clear: Array) -> None:
    """Keep that share of each of a patch's pixels."""
    before = float(patch.alpha.sum())
    patch.alpha *= clear
    patch.colour *= clear[..., None]
    patch.share *= float(patch.alpha.sum()) / max(before, 1e-6)


def _cover(shown: list[tuple[Vessel, Patch, Array]], nearer: Patch) -> None:
    """Take what a nearer patch hides from those already drawn."""
    for _, patch, clear in shown:
        _cover_one(patch, clear, nearer)


def _cover_one(patch: Patch, clear: Array, nearer: Patch) -> None:
    h, w = nearer.alpha.shape
    x0, x1 = max(patch.x0, nearer.x0), min(patch.x0 + clear.shape[1], nearer.x0 + w)
    y0, y1 = max(patch.y0, nearer.y0), min(patch.y0 + clear.shape[0], nearer.y0 + h)
    if x1 > x0 and y1 > y0:
        over = nearer.alpha[y0 - nearer.y0 : y1 - nearer.y0, x0 - nearer.x0 : x1 - nearer.x0]
        clear[y0 - patch.y0 : y1 - patch.y0, x0 - patch.x0 : x1 - patch.x0] *= 1.0 - over


def _contrast(grey: Picture, alpha: Array, x0: int, y0: int) -> float:
    """RMS difference of the silhouette's pixels (by cover) from the median of a ring around it."""
    h, w = alpha.shape
    pad = int(min(max(4, 0.3 * max(h, w)), 24))
    top, left = max(y0 - pad, 0), max(x0 - pad, 0)
    bottom, right = min(y0 + h + pad, grey.shape[0]), min(x0 + w + pad, grey.shape[1])
    if bottom <= top or right <= left:
        return 0.0
    area = grey[top:bottom, left:right].astype(np.float32)
    weight = np.zeros_like(area)
    a, b = max(y0, top), min(y0 + h, bottom)
    c, d = max(x0, left), min(x0 + w, right)
    if b <= a or d <= c:
        return 0.0
    weight[a - top : b - top, c - left : d - left] = alpha[a - y0 : b - y0, c - x0 : d - x0]
    ring = area[weight < 0.02]
    total = float(weight.sum())
    if ring.size == 0 or total < 0.05:
        return 0.0
    return float(np.sqrt((weight * (area - np.median(ring)) ** 2).sum() / total))
