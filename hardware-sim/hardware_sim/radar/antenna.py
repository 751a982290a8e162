"""Beam and pulse: how an echo is spread over azimuth and range.

Promises:
- powers against the maximum; widths are the -3 dB widths of one way (beam) and of the compressed or transmitted pulse;
- the beam is that of a line of slots fed as a cosine: first sidelobe -23 dB as IMO MSC.192(79) allows within 10
  degrees, then 12 dB an octave down to a floor of -40 dB; nothing beyond `REACH_DEG`;
- a magnetron's rectangular pulse leaves its matched filter as a triangle; a compressed pulse is Gaussian and has range
  sidelobes of -60 dB (a weighted, non-linear chirp) as far as the chirp is long.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.floating]

Pulse = Literal["compressed", "magnetron"]
REACH_DEG = 20.0
FLOOR_DB = -40.0
CHIRP_M = 750.0
"""Length of the sidelobes on either side: a chirp of 5 microseconds."""
RANGE_SIDELOBE_DB = -60.0
_HALF_POWER_U = 1.189  # width of the cosine taper's main lobe in wavelengths per aperture
_TRIANGLE = 1.0 / (2.0 - math.sqrt(2.0))  # half base of the triangle whose square is half at +-0.5


def one_way_gain(off_deg: Floats, width_deg: float) -> Floats:
    """Power gain of the beam that far off its axis."""
    u = _HALF_POWER_U * off_deg / width_deg
    inside = np.abs(np.abs(u) - 0.5) < 1e-6
    field = np.where(inside, math.pi / 4.0, np.cos(math.pi * u) / np.where(inside, 1.0, 1.0 - 4.0 * u**2))
    floor = np.where(np.abs(off_deg) <= REACH_DEG, 10.0 ** (FLOOR_DB / 10.0), 0.0)
    return np.asarray(np.where(np.abs(off_deg) <= REACH_DEG, np.maximum(field**2, floor), 0.0))


def pulse_reach_m(width_m: float, pulse: Pulse, peak_to_noise: float) -> float:
    """How far from its middle an echo is to be drawn: its sidelobes only where they rise above the noise."""
    main = 3.0 * width_m if pulse == "compressed" else _TRIANGLE * width_m
    lobes = pulse == "compressed" and peak_to_noise * 10.0 ** (RANGE_SIDELOBE_DB / 10.0) > 0.1
    return CHIRP_M if lobes else main


def pulse_power(off_m: Floats, width_m: float, pulse: Pulse) -> Floats:
    """Power of an echo that far from its range."""
    x = np.abs(off_m) / width_m
    if pulse == "magnetron":
        return np.asarray(np.maximum(1.0 - x / _TRIANGLE, 0.0) ** 2)
    main = np.exp(-4.0 * math.log(2.0) * x**2)
    lobes = 10.0 ** (RANGE_SIDELOBE_DB / 10.0) * np.maximum(1.0 - np.abs(off_m) / CHIRP_M, 0.0)
    return np.asarray(np.maximum(main, lobes))
