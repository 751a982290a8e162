"""Moonlight at night: how strong a camera sees it, and what it lifts.

Promises:
- without a moon above the horizon (or by any other light than the night's) every figure is that of a moonless night;
- moonlight grows as the moon fills and rises: phase by Krisciunas and Schaefer (1991, eq. 20), air by 0.2 magnitudes
  per air mass (Rozenberg's formula);
- how a camera's exposure answers, and what clouds and haze take, is chosen by eye.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hardware_sim.render.types import Conditions

EXTINCTION_MAG = 0.2
HAZY_M = 8_000.0
LIFT = 3.0
"""A full moon overhead makes sky and sea this much brighter than starlight, after the camera's own exposure."""


@dataclass(frozen=True, slots=True)
class Moonlight:
    """`direct`: of the disc, its glitter and its shadows, 0..1; `gain`: of everything that starlight lights, from 1."""

    direct: float
    gain: float


def moonlight(conditions: Conditions) -> Moonlight:
    """What the moon of these conditions gives."""
    c = conditions
    if c.light != "night" or c.moon_elevation_deg <= 0.0 or c.moon_lit <= 0.0:
        return Moonlight(0.0, 1.0)
    up = math.sin(math.radians(c.moon_elevation_deg))
    magnitudes = phase_magnitudes(c.moon_lit) + EXTINCTION_MAG * (1.0 / (up + 0.025 * math.exp(-11.0 * up)) - 1.0)
    # a camera opens up as it gets darker: the picture falls with the root of the light
    direct = 10.0 ** (-0.2 * magnitudes) * (1.0 - 0.9 * c.clouds) * min(1.0, c.visibility_m / HAZY_M)
    return Moonlight(direct, 1.0 + LIFT * direct * math.sqrt(up))


def phase_magnitudes(lit: float) -> float:
    """By how many magnitudes a moon of that lit share is fainter than a full one."""
    alpha = math.degrees(math.acos(2.0 * min(max(lit, 0.0), 1.0) - 1.0))
    return 0.026 * alpha + 4e-9 * alpha**4
