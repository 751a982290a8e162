"""Where a radar does not look: sectors that a mast or a building shades, and land.

Promises:
- a sector is `(from_deg, to_deg, from_m, to_m)`, true bearings clockwise, over north if need be; several may overlap;
- the mask is made once per geometry: one bit a cell in effect, one byte in memory, none without sectors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def masked(
    sectors: Sequence[tuple[float, float, float, float]], azimuths: int, cells: int, cell_m: float, offset_m: float
) -> NDArray[np.bool_]:
    """(azimuths, cells), True where nothing is looked for; (0, 0) without sectors."""
    if not sectors:
        return np.zeros((0, 0), np.bool_)
    bearing = (np.arange(azimuths) + 0.5) * (360.0 / azimuths)
    range_m = (np.arange(cells) + 1.0) * cell_m + offset_m
    out = np.zeros((azimuths, cells), np.bool_)
    for from_deg, to_deg, from_m, to_m in sectors:
        width = (to_deg - from_deg) % 360.0 or 360.0
        rows = (bearing - from_deg) % 360.0 < width
        out[rows] |= ((range_m >= from_m) & (range_m <= to_m))[None, :]
    return out
