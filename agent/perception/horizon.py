"""The sea's horizon in a picture: where it lies, how it leans, how sure that is.

Promises:
- a line that most columns of the picture agree on, found to a fraction of a pixel, with its sigma; None where there is
  none (fog, night, land or a lens that sees no horizon);
- an object on the horizon, a wave or a cloud does not move it: columns vote, none counts for more than its share;
- pure: the same picture gives the same line.

Method: vertical contrast per column (mean of some rows above minus below), bounded so that no edge outweighs a column,
summed along every line of a small set (a Radon transform near level), the best line refined by least squares over the
columns' own extrema without those that disagree.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.floating[Any]]

COLUMNS = 128  # the picture is averaged into so many columns: a level line survives, waves do not
_ROWS_MAX = 720
_SPAN = 4  # rows above and below that are compared
_SLOPES = np.tan(np.radians(np.linspace(-10.0, 10.0, 51)))
_GROUP = 4  # columns averaged along the line before their step is looked for
_REACH = 6  # rows around the first line in which a step is looked for
_PEAK_MIN = 0.5  # of bounded contrast, 0.65 grey levels: less is no step
_AGREE = 1.5  # rows: a column farther from the line than this does not agree with it
_SHARE_MIN = 0.75  # of the columns have to agree
_NOISE = 0.5  # of bounded contrast: a line has to stand out of this as well as of its own unevenness
_ALIKE_MIN = 1.2  # mean contrast along the line over its spread: a wave's is well below, a horizon's above
_LEAN_SHARE = 0.12  # of the picture's height: how far a line that is sought near a place may lean out of it
_AT_ONCE = 1000  # lines whose contrast is summed at once: 250 kB
_COARSE = (64, 240)  # columns and rows of the first search


@dataclass(frozen=True, slots=True, kw_only=True)
class Horizon:
    """The line y = y_px + slope * (x - width / 2), in pixels of the picture, y down.

    `sigma_px` is that of `y_px`; `share`: of the column groups that agree.
    """

    y_px: float
    slope: float
    sigma_px: float
    share: float

    def at(self, x_px: float, width_px: float) -> float:
        """Y of the line at `x_px`."""
        return self.y_px + self.slope * (x_px - width_px / 2.0)


def find_horizon(image: NDArray[np.uint8], near: tuple[float, float] | None = None) -> Horizon | None:
    """The horizon of a BGR picture [H, W, 3]. `near`: only lines whose `y_px` lies between these two."""
    whole, width = image.shape[:2]
    top = 0
    if near is not None:  # averaging the rows is most of the cost: only those that such a line can touch
        lean = _LEAN_SHARE * whole
        top = max(0, int(near[0] - lean))
        image = image[top : min(whole, int(near[1] + lean) + 1)]
    height = image.shape[0]
    if height < 4 * _SPAN:
        return None
    rows = max(4 * _SPAN, round(height * min(1.0, _ROWS_MAX / whole)))
    grey = _columns(image, rows)
    coarse_rows = max(4 * _SPAN, round(_COARSE[1] * height / whole))
    coarse = np.asarray(cv2.resize(grey, (_COARSE[0], coarse_rows), interpolation=cv2.INTER_AREA), dtype=np.float32)
    found = _best_line(coarse, width, height, None if near is None else (near[0] - top, near[1] - top))
    if found is None:
        return None
    scale = rows / height
    fitted = _refine(_contrast(grey), found[0] * scale, found[1] * scale * width / COLUMNS)
    if fitted is None:
        return None
    row, slope, sigma, share = fitted
    return Horizon(y_px=top + row / scale, slope=slope * COLUMNS / width / scale, sigma_px=sigma / scale, share=share)


def _columns(image: NDArray[np.uint8], rows: int) -> NDArray[np.float32]:
    """Grey means [rows, COLUMNS] of a BGR picture; grey first, then one way after the other: a third of the time."""
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    narrow = cv2.resize(grey, (COLUMNS, len(grey)), interpolation=cv2.INTER_AREA)
    means = cv2.resize(narrow.astype(np.float32), (COLUMNS, rows), interpolation=cv2.INTER_AREA)
    return np.asarray(means, dtype=np.float32)


def _contrast(grey: Floats) -> Floats:
    """Mean of the rows above minus that of the rows below the upper border of each row [R, COLUMNS]."""
    out = np.zeros_like(grey, dtype=np.float64)
    sums = np.asarray(cv2.boxFilter(grey, cv2.CV_64F, (1, _SPAN), normalize=False))[_SPAN // 2 : 1 - _SPAN // 2]
    out[_SPAN:-_SPAN] = (sums[: -_SPAN - 1] - sums[_SPAN:-1]) / _SPAN  # sums[r]: of the rows r to r + _SPAN - 1
    return out


def _bounded(contrast: Floats) -> Floats:
    """Contrast with its sign and its order, but so that a strong edge counts little more than a fair one."""
    return np.asarray(np.sign(contrast) * np.log1p(np.abs(contrast)))


def _best_line(grey: Floats, width: int, height: int, near: tuple[float, float] | None) -> tuple[float, float] | None:
    """(y at the middle, slope) in picture pixels of the line whose contrast is the most alike over the columns."""
    rows, columns = grey.shape
    contrast = _bounded(_contrast(grey)).astype(np.float32)
    scale_x, scale_y = width / columns, height / rows
    offset = np.arange(columns) - (columns - 1) / 2.0
    padded = np.pad(contrast, ((rows, rows), (0, 0)))
    low, high = (0.0, float(height)) if near is None else near
    lines = np.arange(max(0, int(low / scale_y)), min(rows, int(high / scale_y) + 2))
    if not len(lines):
        return None
    flat, base = padded.ravel(), (lines[:, None] + rows) * columns + np.arange(columns)
    best = (0.0, 0.0, 0.0)
    for slopes in np.array_split(_SLOPES, math.ceil(len(_SLOPES) * len(lines) / _AT_ONCE)):
        shift = np.rint(slopes[:, None] * offset * scale_x / scale_y).astype(np.int64)
        values = flat[base + shift[:, None] * columns]
        mean, square = values.mean(axis=2), np.square(values).mean(axis=2)
        spread = np.sqrt(np.maximum(square - mean * mean, 0.0))
        score = np.abs(mean) / (spread + _NOISE)
        slope, line = (int(i) for i in np.unravel_index(int(score.argmax()), score.shape))
        if score[slope, line] > best[0]:
            best = (float(score[slope, line]), float(lines[line] * scale_y), float(slopes[slope]))
    return best[1:] if best[0] > _ALIKE_MIN else None


def _refine(contrast: Floats, row: float, slope: float) -> tuple[float, float, float, float] | None:
    """Least squares over the extrema near the line: (row, rows per column, sigma of row, share of column groups).

    Columns are averaged in groups along the line first: what is noise in one is a clear step in several.
    """
    rows = contrast.shape[0]
    offset = np.arange(COLUMNS) - (COLUMNS - 1) / 2.0
    exact = row + slope * offset
    middle = np.rint(exact).astype(np.int64)
    reach = np.arange(-_REACH, _REACH + 1)
    at = middle[:, None] + reach
    inside = ((at >= _SPAN) & (at < rows - _SPAN)).all(axis=1)
    if inside.sum() < _SHARE_MIN * COLUMNS:
        return None
    window = _bounded(contrast[np.clip(at, 0, rows - 1), np.arange(COLUMNS)[:, None]])
    grouped = window.reshape(-1, _GROUP, len(reach)).mean(axis=1)
    usable = inside.reshape(-1, _GROUP).all(axis=1)
    x, drift = offset.reshape(-1, _GROUP).mean(axis=1), (middle - exact).reshape(-1, _GROUP).mean(axis=1)
    grouped = grouped * np.sign(np.sum(grouped[usable][:, _REACH - 1 : _REACH + 2]))
    best = grouped[:, 1:-1].argmax(axis=1) + 1
    pick = np.arange(len(x))
    before, peak, after = (grouped[pick, best + d] for d in (-1, 0, 1))
    bend = before - 2.0 * peak + after
    inner = np.where(bend < -1e-9, 0.5 * (before - after) / np.minimum(bend, -1e-9), 0.0)
    # the contrast of row r stands at its upper border, which is where the step lies
    place = row + slope * x + drift + reach[best] + np.clip(inner, -0.5, 0.5)
    good = usable & (peak > _PEAK_MIN)
    error = np.abs(place - np.median(place[good] - slope * x[good]) - slope * x) if good.any() else np.zeros(len(x))
    good &= error <= 2.0 * _AGREE
    for _ in range(3):
        if good.sum() < _SHARE_MIN * len(x):
            return None
        slope, row = _line(x[good], place[good])
        error = np.abs(place - (row + slope * x))
        limit = min(max(0.5, 2.5 * 1.4826 * float(np.median(error[good]))), _AGREE)
        good = usable & (peak > _PEAK_MIN) & (error <= limit)
    count = int(good.sum())
    if count < _SHARE_MIN * len(x):
        return None
    spread = float(np.sqrt(np.mean(error[good] ** 2)))
    return row, slope, max(spread / np.sqrt(count), 0.05), count / len(x)


def _line(x: Floats, y: Floats) -> tuple[float, float]:
    """(slope, y at x = 0) of the least squares line: in closed form, since LAPACK is 2 MB of code for this alone."""
    off = x - x.mean()
    slope = float(np.sum(off * (y - y.mean())) / np.sum(off * off))
    return slope, float(y.mean() - slope * x.mean())
