"""Random scenes for training a detector of small vessels.

Promises:
- a scene is a function of the generator's state: the same seed gives the same pictures;
- 20-25 % of the scenes hold no vessel, and those hold as much clutter, text and foreground as the others;
- sizes are drawn in picture pixels first (2-30 px high for most), then turned into ranges, so that long lenses and
  high masts do not push every vessel to the same size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hardware_sim.render.geometry import CURVATURE_PER_M
from hardware_sim.render.renderer import Renderer
from hardware_sim.render.types import CameraPose, Conditions, Vessel

if TYPE_CHECKING:
    import numpy as np

    from hardware_sim.render.types import Rendered

VESSEL_FREE_SHARE = 0.22


@dataclass(frozen=True, slots=True)
class _Sizes:
    weight: float
    length_m: tuple[float, float]
    beam_share: tuple[float, float]
    height_m: tuple[float, float]
    speed_mps: tuple[float, float]


_VESSELS: dict[str, _Sizes] = {
    "panga": _Sizes(0.26, (5.5, 10.5), (0.19, 0.27), (1.4, 2.2), (0.0, 13.0)),
    "go-fast": _Sizes(0.09, (8.0, 14.0), (0.20, 0.28), (1.5, 2.6), (2.0, 24.0)),
    "lpv": _Sizes(0.05, (10.0, 20.0), (0.14, 0.22), (1.0, 2.0), (2.0, 6.0)),
    "inflatable": _Sizes(0.08, (3.5, 11.0), (0.30, 0.42), (1.2, 2.0), (0.0, 14.0)),
    "sailing": _Sizes(0.11, (7.0, 16.0), (0.28, 0.36), (9.0, 21.0), (0.0, 4.5)),
    "trawler": _Sizes(0.06, (14.0, 38.0), (0.24, 0.32), (8.0, 16.0), (0.0, 6.0)),
    "fishing": _Sizes(0.12, (8.0, 22.0), (0.26, 0.36), (4.0, 10.0), (0.0, 6.0)),
    "tug": _Sizes(0.04, (18.0, 34.0), (0.30, 0.38), (10.0, 17.0), (0.0, 6.0)),
    "ferry": _Sizes(0.04, (25.0, 160.0), (0.16, 0.28), (10.0, 34.0), (3.0, 14.0)),
    "cargo": _Sizes(0.06, (80.0, 290.0), (0.13, 0.18), (24.0, 50.0), (0.0, 10.0)),
    "tanker": _Sizes(0.05, (90.0, 280.0), (0.15, 0.19), (24.0, 46.0), (0.0, 8.0)),
    "patrol": _Sizes(0.04, (9.0, 45.0), (0.20, 0.30), (4.0, 14.0), (0.0, 16.0)),
    "jetski": _Sizes(0.03, (2.6, 3.4), (0.32, 0.40), (1.2, 1.6), (3.0, 18.0)),
}
_CLUTTER: dict[str, _Sizes] = {
    "buoy": _Sizes(0.35, (0.8, 3.5), (1.0, 1.0), (0.8, 5.0), (0.0, 0.0)),
    "rock": _Sizes(0.2, (2.0, 40.0), (0.4, 0.9), (0.6, 6.0), (0.0, 0.0)),
    "bird": _Sizes(0.38, (0.4, 0.8), (2.2, 2.8), (0.25, 0.5), (0.0, 12.0)),
    "swimmer": _Sizes(0.07, (0.6, 1.6), (0.3, 0.5), (0.25, 0.4), (0.0, 1.0)),
}
_NAMES = (
    "CAM 01", "CAM-2", "Camera 01", "PTZ 3", "HARBOUR N", "PUERTO NORTE", "FARO", "Mirador", "IPCAM", "CH04", "HD",
    "Playa Sur", "COAST-07", "TORRE 2", "Bahia", "NVR-1", "pier cam", "28.1x", "ZOOM 12x", "REC", "AZ 214.3 EL -1.2",
)  # fmt: skip


def _pick(rng: np.random.Generator, table: dict[str, _Sizes]) -> str:
    kinds = list(table)
    total = sum(s.weight for s in table.values())
    return str(rng.choice(kinds, p=[s.weight / total for s in table.values()]))


def random_pose(rng: np.random.Generator) -> CameraPose:
    """A camera on a mast 5-60 m above the sea with a lens of 4-70 degrees; the horizon is in most pictures."""
    height = 5.0 * 12.0 ** rng.random()
    hfov = 4.0 * 17.5 ** rng.random()
    focal = 640.0 / math.tan(math.radians(hfov) / 2.0)
    row = rng.uniform(-0.35, -0.02) if rng.random() < 0.07 else rng.triangular(0.04, 0.35, 0.8)
    dip = 2.0 * math.sqrt(CURVATURE_PER_M * height)
    pitch = math.atan((row - 0.5) * 720.0 / focal) - dip
    roll = rng.normal(0.0, 3.0) if rng.random() < 0.12 else rng.normal(0.0, 0.6)
    return CameraPose(
        height_m=height,
        bearing_deg=rng.uniform(0.0, 360.0),
        pitch_deg=math.degrees(pitch),
        roll_deg=roll,
        hfov_deg=hfov,
    )


def _texts(rng: np.random.Generator) -> tuple[str, ...]:
    if rng.random() < 0.45:
        return ()
    y, m, d, h, n, s = (int(rng.integers(a, b)) for a, b in ((2004, 2031), (1, 13), (1, 29), (0, 24), (0, 60), (0, 60)))
    clocks = (
        f"{y}-{m:02d}-{d:02d} {h:02d}:{n:02d}:{s:02d}",
        f"{d:02d}/{m:02d}/{y} {h:02d}:{n:02d}:{s:02d}",
        f"{m:02d}-{d:02d}-{y} Mon {h:02d}:{n:02d}:{s:02d}",
        f"{h:02d}:{n:02d}:{s:02d}",
        f"{y}{m:02d}{d:02d}T{h:02d}{n:02d}{s:02d}Z",
    )
    out = [clocks[int(rng.integers(len(clocks)))]] if rng.random() < 0.85 else []
    out += [_NAMES[int(i)] for i in rng.integers(0, len(_NAMES), int(rng.integers(0, 3)))]
    return tuple(out)


def random_conditions(rng: np.random.Generator, pose: CameraPose) -> Conditions:
    """Weather, shore and camera faults."""
    light = str(rng.choice(["day", "overcast", "dusk", "night", "thermal"], p=[0.45, 0.22, 0.12, 0.11, 0.10]))
    horizon = math.sqrt(pose.height_m / CURVATURE_PER_M)
    off = rng.normal(0.0, 25.0) if rng.random() < 0.3 else rng.uniform(-180.0, 180.0)
    elevation = rng.uniform(-2.0, 7.0) if light == "dusk" else rng.uniform(6.0, 75.0)
    has_land = rng.random() < 0.5
    clarity = rng.random()
    visibility = 8_000.0 * 10.0 ** rng.random() if clarity < 0.8 else rng.uniform(3_000.0, 8_000.0)
    visibility = visibility if clarity < 0.95 else rng.uniform(800.0, 3_000.0)
    rain = float(rng.uniform(0.1, 1.0)) if light == "overcast" and rng.random() < 0.2 else 0.0
    return Conditions(
        light=light,
        wind_mps=float(rng.gamma(2.6, 2.4)),
        wind_from_deg=rng.uniform(0.0, 360.0),
        visibility_m=visibility * (1.0 - 0.6 * rain),
        sun_bearing_deg=(pose.bearing_deg + off) % 360.0,
        sun_elevation_deg=elevation,
        rain=rain,
        land=rng.uniform(0.15, 1.3) if has_land else 0.0,
        land_range_m=float(horizon * 0.08 * 25.0 ** rng.random()),
        ridge=float(rng.beta(1.0, 3.0)),
        ridge_layers=int(rng.integers(1, 5)),
        urban=float(rng.uniform(0.05, 1.0)) if rng.random() < 0.55 else 0.0,
        clouds=float(rng.beta(0.9, 1.1)) if light != "overcast" else float(rng.uniform(0.3, 1.0)),
        cloud_layers=int(rng.integers(1, 5)),
        swell_m=float(rng.gamma(1.5, 0.5)),
        haze_tint=rng.normal(0.0, 0.35),
        lens_drops=float(rng.uniform(0.05, 1.0)) if rng.random() < (0.5 if rain > 0 else 0.07) else 0.0,
        salt=float(rng.uniform(0.1, 0.9)) if rng.random() < 0.14 else 0.0,
        defocus_px=float(rng.gamma(1.2, 0.5)) if rng.random() < 0.5 else 0.0,
        motion_blur_px=float(rng.uniform(2.0, 7.0)) if rng.random() < 0.06 else 0.0,
        soften=float(rng.uniform(1.1, 2.6)) if rng.random() < 0.4 else 1.0,
        noise=float(rng.gamma(1.2, 0.95)) * (2.2 if light in ("night", "thermal") else 1.0),
        sharpen=float(rng.uniform(0.0, 1.1)) if rng.random() < 0.7 else 0.0,
        vignette=float(rng.uniform(0.0, 0.35)),
        jpeg_quality=int(rng.integers(28, 97)),
        blockiness=float(rng.uniform(0.2, 0.9)) if rng.random() < 0.25 else 0.0,
        auto_levels=float(rng.beta(2.0, 1.2)),
        gamma=float(math.exp(rng.normal(0.0, 0.22))),
        contrast=float(math.exp(rng.normal(0.02, 0.16))),
        brightness=rng.normal(0.0, 0.06) if rng.random() < 0.88 else rng.uniform(0.08, 0.25),
        saturation=float(rng.choice([0.0, 1.0], p=[0.08, 0.92]) * rng.uniform(0.45, 1.2)),
        warmth=rng.normal(0.0, 0.28),
        overlay_text=_texts(rng),
        overlay_style=int(rng.integers(1 << 30)),
        crosshair=bool(rng.random() < 0.06),
        foreground=str(
            rng.choice(
                ["none", "plants", "fence", "rail", "posts", "roof", "beach"],
                p=[0.54, 0.12, 0.05, 0.06, 0.10, 0.07, 0.06],
            )
        ),
        foreground_amount=float(rng.random()),
        seed=int(rng.integers(1 << 31)),
    )


def _place(
    rng: np.random.Generator, pose: CameraPose, height_m: float, reach_m: float, up: bool
) -> tuple[float, float]:
    """(range_m, bearing offset deg) at which a thing of that height has a drawn size and is in the picture."""
    size_px = 2.0 * 16.0 ** rng.beta(1.0, 1.15) if rng.random() < 0.88 else 20.0 * 9.0 ** rng.beta(1.0, 2.0)
    range_m = height_m * pose.focal_px / size_px
    lowest = math.radians(-pose.pitch_deg) + math.atan(0.5 * pose.height_px / pose.focal_px)
    nearest = pose.height_m / math.tan(min(max(lowest, 1e-3), 1.4)) * 1.06
    farthest = max(math.sqrt(pose.height_m / CURVATURE_PER_M) * 1.08, nearest * 1.1)
    if height_m > 8.0:
        farthest *= 1.25
    farthest = max(min(farthest, reach_m), nearest * 1.05)
    if up:
        return min(max(range_m, 15.0), 1_500.0), rng.uniform(-0.49, 0.49) * pose.hfov_deg
    if not nearest <= range_m <= farthest:
        range_m = nearest * (farthest / nearest) ** rng.random()
    return range_m, rng.uniform(-0.51, 0.51) * pose.hfov_deg


def _make(
    rng: np.random.Generator, pose: CameraPose, conditions: Conditions, name: str, kind: str, reach_m: float
) -> Vessel:
    sizes = _VESSELS.get(kind) or _CLUTTER[kind]
    s = rng.random()
    length = sizes.length_m[0] + (sizes.length_m[1] - sizes.length_m[0]) * s
    high = sizes.height_m[0] + (sizes.height_m[1] - sizes.height_m[0]) * min(max(s + rng.normal(0.0, 0.2), 0.0), 1.0)
    flying = kind == "bird" and rng.random() < 0.75
    range_m, offset = _place(rng, pose, high, reach_m, flying)
    bearing = math.radians(pose.bearing_deg + offset)
    up_m = 0.0
    if flying:
        tilt = math.radians(pose.pitch_deg) + rng.uniform(-0.45, 0.45) * pose.height_px / pose.focal_px
        up_m = max(pose.height_m + range_m * math.tan(tilt), 1.0)
    dark = conditions.light in ("night", "dusk")
    return Vessel(
        kind=kind,
        id=name,
        east_m=pose.east_m + range_m * math.sin(bearing),
        north_m=pose.north_m + range_m * math.cos(bearing),
        heading_deg=rng.uniform(0.0, 360.0),
        speed_mps=0.0 if rng.random() < 0.3 else rng.uniform(*sizes.speed_mps),
        length_m=length,
        beam_m=length * rng.uniform(*sizes.beam_share),
        height_m=high,
        up_m=up_m,
        lights=bool(dark and rng.random() < (0.55 if length < 15 else 0.93)),
    )


def _anchorage(rng: np.random.Generator, first: Vessel, pose: CameraPose, conditions: Conditions) -> list[Vessel]:
    """Yachts and small craft lying to their moorings around a place, most of them head to wind."""
    spread = 0.06 * math.hypot(first.east_m - pose.east_m, first.north_m - pose.north_m)
    moored = []
    for i in range(int(rng.integers(3, 13))):
        kind = str(rng.choice(["sailing", "sailing", "fishing", "panga", "inflatable"]))
        craft = _make(rng, pose, conditions, f"m{i}", kind, math.inf)
        craft.east_m, craft.north_m = first.east_m + rng.normal(0.0, spread), first.north_m + rng.normal(0.0, spread)
        craft.speed_mps, craft.heading_deg = 0.0, conditions.wind_from_deg + rng.normal(0.0, 20.0)
        moored.append(craft)
    return moored


def random_scene(rng: np.random.Generator) -> tuple[CameraPose, Conditions, tuple[Vessel, ...]]:
    """A camera, its conditions and what is at sea."""
    pose = random_pose(rng)
    conditions = random_conditions(rng, pose)
    reach = conditions.land_range_m * 0.97 if conditions.land > 0.0 else math.inf
    reach = min(reach, 0.75 * conditions.visibility_m)
    things: list[Vessel] = []
    if rng.random() >= VESSEL_FREE_SHARE:
        count = 1 + int(min(rng.geometric(0.35), 9))
        things += [_make(rng, pose, conditions, f"v{i}", _pick(rng, _VESSELS), reach) for i in range(count)]
        if rng.random() < 0.12:
            things += _anchorage(rng, things[0], pose, conditions)
    if rng.random() < 0.5:
        for i in range(int(min(rng.geometric(0.4), 8))):
            things.append(_make(rng, pose, conditions, f"c{i}", _pick(rng, _CLUTTER), reach))
    return pose, conditions, tuple(things)


def render_random(rng: np.random.Generator) -> Rendered:
    """A random scene, drawn in full detail."""
    pose, conditions, vessels = random_scene(rng)
    return Renderer(pose, conditions, "full").render(vessels, float(rng.uniform(0.0, 600.0)))
