"""What the camera of a scenario sees: pose, weather, vessels, and what may be wrong with its lens.

Promises:
- a picture, its burnt-in clock too, is a function of (scenario, seed, detail, time, what is wrong): the same ones give
  the same picture, bit for bit, whoever asks: the live camera and the renderer to files look through the same `View`;
- truth boxes are the renderer's; a cap on the lens or a burnt-out picture changes neither them nor their contrast.
"""

from __future__ import annotations

import dataclasses
import math
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np

from hardware_sim import environment
from hardware_sim.geo import edge_distance_m, inside
from hardware_sim.radar.land import HILL_M, terrain
from hardware_sim.radar.maps import RandomMap
from hardware_sim.render import CameraPose, Conditions, Renderer
from hardware_sim.render import Vessel as Drawn
from hardware_sim.render.coast import Ground
from hardware_sim.seeds import generator
from hardware_sim.vessels import drawn_as

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hardware_sim.render import Rendered
    from hardware_sim.scenario import Scenario
    from hardware_sim.tables import WeatherTable
    from hardware_sim.world import World

CONTRAST_THRESHOLD = -math.log(0.02)  # Koschmieder's: visibility is where 2 % of a contrast are left
DB_PER_NEPER = 10.0 / math.log(10.0)
CLOSED_SKY_MM_H = 0.5
FOG_M = 1000.0  # the WMO's
WAVES_M = (0.05, 0.3, 0.88, 1.88, 3.25, 5.0)
"""Significant heights in the middle of sea states 1 to 6 (WMO code table 3700)."""
TIDE_STEP_M = 0.1
"""The camera's height over the sea is made anew when the tide has changed it by so much."""
CLEARING_M = 60.0
"""Nothing of a coast is drawn nearer than this: a mast is set up where it has a view."""
BIRD_UP_M = 15.0
"""How high birds fly in the picture; one that stands still sits on the water."""


class View:
    """One camera's view, for one thread. Pictures may be asked for in any order."""

    def __init__(self, world: World, detail: str = "live") -> None:
        self._world, self._detail = world, detail
        self._made_for = (False, 0.0, 0.0)
        self._renderer = self._new_renderer()

    def picture(self, t_s: float, lens: str = "clear", knock_deg: float = 0.0, clock_s: float = 0.0) -> Rendered:
        """What it gives at `t_s` through a lens that is clear, black, overexposed or salted, turned by `knock_deg`.

        `clock_s`: how far its own clock is ahead.
        """
        tide_m = round(self._world.tide_m(t_s) / TIDE_STEP_M) * TIDE_STEP_M
        if self._made_for != (lens == "salted", knock_deg, tide_m):
            self._made_for = (lens == "salted", knock_deg, tide_m)
            self._renderer = self._new_renderer()
        self._renderer.conditions.overlay_text = burnt_in(self._world.scenario, t_s + clock_s)
        seen = self._renderer.render(drawn(self._world, t_s), t_s)
        return dataclasses.replace(seen, image=exposed(seen.image, lens))

    def _new_renderer(self) -> Renderer:
        salted, knock_deg, tide_m = self._made_for
        straight = pose(self._world.scenario)
        looks = dataclasses.replace(
            straight, bearing_deg=(straight.bearing_deg + knock_deg) % 360.0, height_m=straight.height_m - tide_m
        )
        weather = conditions(self._world.scenario, self._world.seed)
        if salted:
            weather = dataclasses.replace(weather, salt=0.9, lens_drops=0.6)  # whatever the scenario's [look] says
        return Renderer(looks, weather, self._detail, ground(self._world))


def burnt_in(scenario: Scenario, t_s: float) -> tuple[str, ...]:
    """The texts in the picture at that time; strftime's codes in them are the scenario's UTC."""
    now = environment.started(scenario.time) + timedelta(seconds=t_s)
    return tuple(now.strftime(text) if "%" in text else text for text in scenario.look.overlay_text)


def exposed(image: NDArray[np.uint8], lens: str) -> NDArray[np.uint8]:
    """The picture with a cap on the lens (noise is left) or burnt out (shadows are left); others as they are."""
    if lens == "black":
        return image // 32
    if lens == "overexposed":
        return np.asarray(np.clip(image.astype(np.int16) * 3 + 140, 0, 255), dtype=np.uint8)
    return image


def pose(scenario: Scenario) -> CameraPose:
    """The scenario's camera as the renderer wants it."""
    c = scenario.camera
    return CameraPose(
        height_m=c.height_m,
        bearing_deg=c.bearing_deg,
        pitch_deg=c.pitch_deg,
        roll_deg=c.roll_deg,
        hfov_deg=c.hfov_deg,
        width_px=c.width_px,
        height_px=c.height_px,
    )


def conditions(scenario: Scenario, seed: int) -> Conditions:
    """The scenario's weather as the renderer wants it.

    By day it rains from a closed sky, and in fog no clouds are seen. One sees as far as `visibility_m` and the rain
    allow, whichever is less; how many streaks and drops a rain makes in the picture is chosen by eye.
    """
    w, look = scenario.weather, scenario.look.model_dump()
    visibility_m = min(w.visibility_m, rain_visibility_m(w))
    rain = 1.0 - math.exp(-w.rain_mm_h / 15.0)
    closed = w.light == "day" and w.rain_mm_h >= CLOSED_SKY_MM_H
    return Conditions(
        light="overcast" if closed else w.light,
        wind_mps=w.wind_mps,
        wind_from_deg=w.wind_from_deg,
        visibility_m=visibility_m,
        sun_bearing_deg=w.sun_bearing_deg,
        sun_elevation_deg=w.sun_elevation_deg,
        moon_bearing_deg=w.moon_bearing_deg,
        moon_elevation_deg=w.moon_elevation_deg,
        moon_lit=w.moon_lit,
        clouds=0.0 if visibility_m < FOG_M else w.clouds,
        rain=rain,
        land=w.land,
        seed=seed,
        overlay_style=seed,
        **{**look, "lens_drops": max(look["lens_drops"], 0.4 * rain), "swell_m": swell_m(scenario)},
    )


def swell_m(scenario: Scenario) -> float:
    """Height of the swell beside the wind's own waves: `[look]`'s, or half of what the sea state stands for."""
    told = scenario.look.swell_m
    return WAVES_M[scenario.weather.sea_state - 1] / 2.0 if told is None else told


def ground(world: World) -> Ground | None:
    """The `[[coast]]` tables with the hills that the radar sees on them; None without any."""
    coasts = world.scenario.coast
    if not coasts:
        return None
    hills = RandomMap(generator(world.seed, "land"), HILL_M, 4.0 * world.scenario.radar.range_m)
    here = np.zeros(1)
    near_m = min(float(edge_distance_m(here, here, coast.polygon_m)[0]) for coast in coasts)
    if any(inside(0.0, 0.0, coast.polygon_m) for coast in coasts):
        near_m = 0.0
    far_m = max(math.hypot(*point) for coast in coasts for point in coast.polygon_m)
    return Ground(
        height_m=lambda east_m, north_m: terrain(coasts, east_m, north_m, hills),
        near_m=max(near_m, CLEARING_M),
        far_m=max(far_m, CLEARING_M + 1.0),
    )


def rain_visibility_m(weather: WeatherTable) -> float:
    """How far one sees in otherwise clear air through its rain.

    Extinction 1.076 R^0.67 dB/km, R in mm/h (Carbonneau and Wisely 1998, in ITU-R P.1814), by Koschmieder.
    """
    if weather.rain_mm_h <= 0.0:
        return math.inf
    extinction_per_m: float = 1.076 * weather.rain_mm_h**0.67 / DB_PER_NEPER / 1000.0
    return CONTRAST_THRESHOLD / extinction_per_m


def drawn(world: World, t_s: float) -> list[Drawn]:
    """All vessels as the renderer wants them at `t_s`."""
    out = []
    for v in world.vessels:
        s = v.at(t_s)
        out.append(
            Drawn(
                kind=drawn_as(v.table.kind),
                id=v.id,
                east_m=s.east_m,
                north_m=s.north_m,
                heading_deg=s.heading_deg,
                speed_mps=s.sog_mps,
                length_m=v.length_m,
                beam_m=v.beam_m,
                height_m=v.kind.height_m,
                up_m=BIRD_UP_M if v.table.kind == "bird" and s.sog_mps > 0.0 else 0.0,
                lights=v.table.lights and world.scenario.weather.light in ("dusk", "night"),
            )
        )
    return out
