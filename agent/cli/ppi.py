"""A radar picture as people know it: plan position indicator, north up, range rings, plots as circles.

Promises:
- what is drawn is the frame that the plots come from, with the same geometry; where no turn made plots (no heading,
  less than a turn, a sector), it is the last whole turn of the spokes themselves, or what there is of one: `Pictures`;
- what has no heading is drawn head up, and the picture says so in its corner;
- several radars or ranges are a file each;
- the image is RGB-ordered PNG written by OpenCV, which is loaded only when a picture is asked for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from agent.errors import InputError
from agent.geo import polar_to_enu
from agent.perception.radar.frame import MAX_SAMPLES, PolarFrame

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from agent.drivers.radar.video import Spoke
    from agent.messages import Plot
    from agent.perception.radar.extract import PlotExtractor

SIZE = 1400
_RINGS = 4
_PLOT, _LARGE, _RING = (90, 255, 90), (70, 110, 255), (70, 70, 40)  # blue, green, red


@dataclass(frozen=True, slots=True, kw_only=True)
class _Turn:
    """What one picture shows; `part` is the share of a turn that was seen."""

    levels: NDArray[np.uint8]
    range_m: float
    plots: Sequence[Plot] = ()
    large: Sequence[Plot] = ()
    head_up: bool = False
    part: float = 1.0


class _Raw:
    """One radar's spokes as they come, for as long as no turn of it has made plots."""

    def __init__(self, azimuths: int, offset_m: float) -> None:
        self._frame = PolarFrame(azimuths, offset_m)
        self._head_up = False
        self._whole: _Turn | None = None

    def add(self, spoke: Spoke) -> None:
        if not spoke.valid or spoke.range_m <= 0.0 or not 0 < len(spoke.samples) <= MAX_SAMPLES:
            return
        head_up = spoke.heading_deg is None
        if not self._frame.fits(spoke) or head_up is not self._head_up:
            self._frame.reset(spoke)
            self._head_up = head_up
        complete, ready = self._frame.move(spoke)
        if complete:
            self._whole = self._turn(1.0)
            self._frame.start_turn()
        for one in ready:
            self._frame.put(one)

    def last(self) -> _Turn | None:
        """The last whole turn, else what there is of one; None where nothing can be drawn."""
        seen = self._frame.seen
        return self._turn(seen) if self._whole is None and seen > 0.0 else self._whole

    def _turn(self, part: float) -> _Turn:
        self._frame.finish()
        return _Turn(levels=self._frame.levels.copy(), range_m=self._frame.range_m, head_up=self._head_up, part=part)


class Pictures:
    """The picture of each radar or range (`source`) of a recording."""

    def __init__(self) -> None:
        self._turns: dict[str, _Turn] = {}
        self._raw: dict[str, _Raw] = {}

    def spoke(self, spoke: Spoke, azimuths: int, offset_m: float) -> None:
        """Take a spoke in, before the extractor does."""
        if spoke.source not in self._turns:
            if spoke.source not in self._raw:
                self._raw[spoke.source] = _Raw(azimuths, offset_m)
            self._raw[spoke.source].add(spoke)

    def scan(self, extractor: PlotExtractor, plots: Sequence[Plot], *, marked: bool) -> None:
        """A turn that made plots takes the place of all before; `marked`: with its plots in it."""
        frame = extractor.frame
        self._raw.pop(extractor.source, None)
        self._turns[extractor.source] = _Turn(
            levels=frame.levels.copy(), range_m=frame.range_m, plots=plots if marked else (),
            large=extractor.last.large if marked else (),
        )  # fmt: skip

    def write(self, path: Path) -> list[str]:
        """Draw all: one to `path`, several each to a file of its own. What is to be said of them, a sentence each.

        Raises:
            InputError: nothing can be drawn, or not there.

        """
        raw = {source: turn for source, r in self._raw.items() if (turn := r.last()) is not None}
        turns = {**self._turns, **raw}
        if not turns:
            raise InputError(f"{path}: not drawn, no spoke tells its range")
        files = {s: path if len(turns) == 1 else path.with_stem(f"{path.stem}-{s.replace('/', '-')}") for s in turns}
        for source, t in turns.items():
            write_ppi(files[source], t.levels, t.range_m, t.plots, t.large, caption="head up" if t.head_up else "")
        said = [said for source, t in turns.items() if (said := _said(files[source], t))]
        if len(turns) > 1:
            said.insert(0, f"{len(turns)} radars or ranges, a picture each: {', '.join(map(str, files.values()))}")
        return said


def _said(path: Path, turn: _Turn) -> str:
    if turn.part < 1.0:
        shows = f"{path}: the picture shows {turn.part:.1%} of a turn, which is all there is"
        return shows + ", head up for want of a heading" if turn.head_up else shows
    return f"{path}: the picture is head up, the spokes carry no heading" if turn.head_up else ""


def write_ppi(
    path: Path, levels: NDArray[np.uint8], range_m: float, plots: Sequence[Plot] = (), large: Sequence[Plot] = (),
    *, caption: str = "",
) -> None:  # fmt: skip
    """Draw (azimuths, cells) levels of true bearing, north up, `range_m` at the rim, `caption` in a corner.

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
    cv2.putText(image, caption, (10, 24), 0, 0.6, (230, 230, 180), 1, cv2.LINE_AA)
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
