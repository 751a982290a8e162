"""From power to samples, as the radars' receivers do it.

Promises:
- `Logarithmic`: 8 bits of 0.4 dB from 10 dB below mean noise on; the sea and the noise are in it, nothing is cut;
- `SeaControlled`: 0 below a threshold that follows mean noise and mean clutter over range (as automatic sea and rain
  controls set it), then from a first level on in steps up to a top: a radar's display video of 4, 6, 7 or 8 bits;
- `coloured`: levels of their own for echoes that move towards or away, as Doppler radars have them;
- a power is looked up by the upper half of its float32 (7 bits of mantissa: 0.03 dB).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Plane = NDArray[np.float32]

Doppler = Literal["off", "both", "approaching"]
LOG_STEP_DB = 0.4
LOG_FLOOR_DB = -10.0
NOISE_THRESHOLD_DB = 9.0
CLUTTER_THRESHOLD_DB = 11.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Levels above a threshold: the first one, what a step is, the highest."""

    first: int
    step_db: float
    top: int


FOUR_BITS = Scale(first=1, step_db=3.0, top=15)
SIX_BITS = Scale(first=8, step_db=1.0, top=63)
SEVEN_BITS = Scale(first=16, step_db=0.7, top=127)
EIGHT_BITS = Scale(first=32, step_db=0.4, top=255)


class Logarithmic:
    """8-bit logarithmic video."""

    def __init__(self) -> None:
        self._levels = _table(LOG_FLOOR_DB, LOG_STEP_DB, 255)

    def samples(self, power: Plane) -> NDArray[np.uint8]:
        """(spokes, cells) 0..255 of powers against mean noise."""
        return np.asarray(self._levels[np.ascontiguousarray(power).view(np.uint16)[:, 1::2]])


class SeaControlled:
    """Video behind sea control. `mean_clutter` (cells,) against noise."""

    def __init__(self, mean_clutter: NDArray[np.floating], scale: Scale = FOUR_BITS) -> None:
        noise, sea = 10.0 ** (NOISE_THRESHOLD_DB / 10.0), 10.0 ** (CLUTTER_THRESHOLD_DB / 10.0)
        self._inverse = (1.0 / np.maximum(noise, mean_clutter * sea)).astype(np.float32)
        self._levels = _table(-scale.first * scale.step_db, scale.step_db, scale.top)
        self._levels[self._levels < scale.first] = 0

    def samples(self, power: Plane) -> NDArray[np.uint8]:
        """(spokes, cells) of levels of powers against mean noise."""
        return np.asarray(self._levels[(power * self._inverse).view(np.uint16)[:, 1::2]])


def coloured(
    samples: NDArray[np.uint8], radial_mps: Plane, from_mps: float, doppler: Doppler, top: int = 15
) -> NDArray[np.uint8]:
    """Levels in which echoes that recede or approach at `from_mps` and more have levels of their own.

    `samples` are (spokes, cells) levels 0..top, `radial_mps` their mean radial speeds, receding positive. Approaching
    is `top`, receding the level below it, and strength ends below them.
    """
    if doppler == "off":
        return samples
    both = doppler == "both"
    out = np.minimum(samples, top - 2 if both else top - 1)
    lit = samples > 0
    out[lit & (radial_mps <= -from_mps)] = top
    if both:
        out[lit & (radial_mps >= from_mps)] = top - 1
    return out


def _table(floor_db: float, step_db: float, top: int) -> NDArray[np.uint8]:
    """Level by the upper 16 bits of a little-endian float32 (sign, exponent, 7 bits of mantissa)."""
    values = (np.arange(65536, dtype=np.uint32) << 16).view(np.float32)
    levels = np.zeros(65536, dtype=np.uint8)
    positive = np.isfinite(values) & (values > 0.0)
    db = 10.0 * np.log10(values[positive].astype(np.float64))
    levels[positive] = np.clip(np.floor((db - floor_db) / step_db + 1e-9), 0, top).astype(np.uint8)
    return levels
