"""A radar picture as people know it: plan position indicator, north up, range rings, plots as circles.

Promises:
- what is drawn is the frame that the plots come from, with the same geometry;
- the image is RGB-ordered PNG written by OpenCV, which is loaded only when a picture is asked for.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from agent.errors import InputError
from agent.geo import polar_to_enu

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from agent.messages import Plot

SIZE = 1400
_RINGS = 4
_PLOT, _LARGE, _RING = (90, 255, 90), (70, 110, 255), (70, 70, 40)  # blue, green, red


def write_ppi(
    path: Path, levels: NDArray[np.uint8], range_m: float, plots: Sequence[Plot] = (), large: Sequence[Plot] = ()
) -> None:
    """Draw (azimuths, cells) levels of true bearing, north up, `range_m` at the rim.

    Raises:
        InputError: the picture cannot be written there.

    """
    import cv2  # noqa: PLC0415 - 30 MB that only this picture needs

    azimuths, cells = levels.shape
    half = SIZE / 2.0
    y, x = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32)
    east, north = x + 0.5 - half, half - y - 0.5
    cell = (np.hypot(east, north) * (cells / half)).astype(np.int32)
    row = ((np.degrees(np.arctan2(east, north)) % 360.0) * (azimuths / 360.0)).astype(np.int32) % azimuths
    value = np.where(cell < cells, levels[row, np.minimum(cell, cells - 1)], 0)
    gain = 255.0 / max(1, int(levels.max(initial=0)))
    shades: NDArray[np.uint8] = (value * gain).astype(np.uint8)
    image = np.stack((shades // 4, (shades * np.float32(0.75)).astype(np.uint8), shades), axis=-1)
    centre = (SIZE // 2, SIZE // 2)
    for i in range(1, _RINGS + 1):
        radius = round(half * i / _RINGS) - 1
        cv2.circle(image, centre, radius, _RING, 1, cv2.LINE_AA)
        label = f"{range_m * i / _RINGS / 1000.0:.1f} km"
        cv2.putText(image, label, (centre[0] + 4, centre[1] - radius + 14), 0, 0.4, (160, 160, 120), 1, cv2.LINE_AA)
    for shown, colour in ((large, _LARGE), (plots, _PLOT)):
        for p in shown:
            e, n = polar_to_enu(p.range_m * half / range_m, p.bearing_deg)
            extent_px = (p.extent_m or 0.0) * half / range_m / 2.0
            cv2.circle(image, (round(half + e), round(half - n)), max(6, math.ceil(extent_px)), colour, 1, cv2.LINE_AA)
    ok, png = cv2.imencode(".png", image)
    try:
        path.write_bytes(png.tobytes() if ok else b"")
    except OSError as e:
        raise InputError(f"{path}: the picture cannot be written there ({e.strerror})") from e


def write_targets(path: Path, targets: Sequence[Plot]) -> None:
    """Draw targets of a radar that sends no video, the farthest near the rim.

    Raises:
        InputError: the picture cannot be written there, or there is nothing to draw.

    """
    if not targets:
        raise InputError(f"{path}: no target with range and bearing to draw")
    reach_m = 1.1 * max(100.0, *(t.range_m for t in targets))
    write_ppi(path, np.zeros((360, 1), np.uint8), reach_m, targets)
