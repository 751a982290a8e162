"""Radar video to plots: polar frame, interference rejection, clutter map, components, plots.

Promises:
- one `Scan` per antenna turn, also an empty one; every plot of it carries the time of the turn's LAST spoke, so a plot
  may be up to one turn old;
- bearings are true: a spoke without a heading is refused and counted (`no_heading`), never taken for north-up;
- nothing is tuned to a place: the threshold of each cell is what the clutter map has learned there plus a margin; sizes
  are those of the radar's beam and of the largest ship; land and other echoes too large for a vessel, which cannot be
  split, become no plots and are counted (`large`, and `Extraction.large` shows them);
- the learned map survives restarts through `state` and `restore`.

Sizes: a point target fills about one beamwidth; saturated video broadens strong ones to two or three. Uncertainty: the
centroid of an extended echo wanders by about a sixth of its length (glint, IMO A.823), in azimuth by about a twelfth of
its width, both with the quantisation below.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from agent.drivers.radar.video import VideoOptions
from agent.geo import wrap360
from agent.messages import Plot, Scan
from agent.perception.radar.clutter import ClutterMap
from agent.perception.radar.components import Components, measure, split
from agent.perception.radar.frame import MAX_SAMPLES, PolarFrame

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agent.drivers.radar.video import Spoke

_RING = 0.9  # a range cell lit over that part of the circle, from cell 0 on, is the transmitter's own pulse
_BROADENING = 3.0  # saturated video shows a strong point target up to this many beamwidths wide
_SPLIT_STEPS = 5
_WHOLE = 0.95  # of a turn: what a recording that ends in the middle of one may lack of it
_MAX_PAUSE_S = 10.0  # slower than any antenna turns a quarter: the radar stood still, the turn starts anew


@dataclass(frozen=True, slots=True, kw_only=True)
class Extraction:
    """What the last turn held beside its plots: echoes too `large` for a vessel, the blind ring, the part seen."""

    large: tuple[Plot, ...] = ()
    blind_m: float = 0.0
    seen: float = 0.0


class PlotExtractor:
    """Plots of one stream of radar video. Counters: scans, turns_lost, no_heading, invalid, restarts, large, cut."""

    def __init__(self, source: str, options: VideoOptions | None = None) -> None:
        self.source = source
        self.options = options or VideoOptions()
        self.counters: Counter[str] = Counter()
        self.last = Extraction()
        self.frame = PolarFrame(self.options.azimuths, self.options.range_bias_m)
        self._clutter: ClutterMap | None = None
        self._saved = b""
        self._last_at_s: float | None = None
        self._last_scan_s: float | None = None

    def feed(self, spoke: Spoke) -> Scan | None:
        """Take one spoke in; the turn's scan when this spoke is the first of the next turn."""
        if not spoke.valid or spoke.range_m <= 0.0 or not 0 < len(spoke.samples) <= MAX_SAMPLES:
            self.counters["invalid"] += 1
            return None
        if spoke.heading_deg is None:
            self.counters["no_heading"] += 1
            return None
        if not self.frame.fits(spoke):
            self.counters["restarts"] += 1
            self._start(spoke)
        if self._last_at_s is not None and abs(spoke.at_s - self._last_at_s) > _MAX_PAUSE_S:
            self.counters["restarts"] += 1
            self.frame.start_turn()
            self._last_scan_s = None
        scan = None
        if self.frame.passes(spoke):
            scan = self._turn()
            self.frame.start_turn()
        self.frame.put(spoke, spoke.heading_deg)
        self._last_at_s = spoke.at_s if self._last_at_s is None else max(self._last_at_s, spoke.at_s)
        return scan

    def finish(self) -> Scan | None:
        """The turn that a recording ends in, if next to all of it was seen."""
        return self._turn() if self.frame.seen >= _WHOLE else None

    def state(self) -> bytes:
        """The learned clutter map, for the checkpoint; empty before the first spoke."""
        return self._clutter.dump() if self._clutter else self._saved

    def restore(self, state: bytes) -> None:
        """Take a learned map over; it is used if the video turns out to have its range and size.

        Raises:
            InputError: the bytes are no saved map (raised here or, before the first spoke, by the first `feed`).

        """
        self._saved = state
        if self._clutter and state:
            self._clutter.load(state)

    def _start(self, spoke: Spoke) -> None:
        self.frame.reset(spoke)
        o = self.options
        self._clutter = ClutterMap(
            o.azimuths, len(spoke.samples), spoke.range_m, scans=o.clutter_scans, still_every=o.still_every
        )
        if self._saved:
            saved, self._saved = self._saved, b""
            self._clutter.load(saved)

    # ------------------------------------------------------------ one turn

    def _turn(self) -> Scan | None:
        at_s = self._last_at_s or 0.0
        seen = self.frame.seen
        if seen < 0.5:
            self.counters["turns_lost"] += 1
            return None
        unseen, offset = self.frame.finish()
        plots = self._extract(at_s, unseen, offset, seen)
        period_s = None if self._last_scan_s is None else at_s - self._last_scan_s
        self._last_scan_s = at_s
        self.counters["scans"] += 1
        return Scan(at_s=at_s, source=self.source, plots=plots, period_s=period_s)

    def _extract(self, at_s: float, unseen: NDArray[np.bool_], offset: float, seen: float) -> tuple[Plot, ...]:
        o, frame = self.options, self.frame
        clutter = self._clutter
        if clutter is None:
            return ()
        cells = frame.levels.shape[1]
        levels = reject_interference(frame.levels)
        first = self._first_cell(levels)
        index = clutter.exceedances(levels, min_level=o.min_level, margin=o.clutter_margin, first_cell=first)
        level = levels.reshape(-1)[index]
        label, n = split(
            index, level, azimuths=o.azimuths, cells=cells, thresholds=self._thresholds(),
            prominence=o.prominence, min_cells=o.min_cells,
        )  # fmt: skip
        inside = label >= 0
        found = measure(index[inside], level[inside], label[inside], n, o.azimuths, cells)
        vessel, large = self._judge(found)
        self.last = Extraction(
            large=self._plots(at_s, found, np.flatnonzero(large), offset), blind_m=first * frame.cell_m, seen=seen
        )
        self.counters["large"] += int(large.sum())
        taught = vessel[found.label] if n else np.zeros(0, bool)
        clutter.learn(levels, index[inside][taught], unseen)
        best = np.flatnonzero(vessel)
        if len(best) > o.max_plots:
            self.counters["cut"] += len(best) - o.max_plots
            strength = found.count[best] * found.peak[best].astype(np.int64)
            best = np.sort(best[np.argsort(-strength, kind="stable")][: o.max_plots])
        return self._plots(at_s, found, best, offset)

    def _thresholds(self) -> tuple[int, ...]:
        low, high = self.options.min_level, self.options.full_level
        steps = {low + math.ceil((high - low) * k / _SPLIT_STEPS) for k in range(1, _SPLIT_STEPS + 1)}
        return tuple(sorted(steps - {low}))

    def _first_cell(self, levels: NDArray[np.uint8]) -> int:
        """Cells from the antenna outwards that are lit all around (the pulse's own leakage), or below `min_range_m`."""
        lit = (levels >= self.options.min_level).mean(axis=0) >= _RING
        ring = int(np.argmin(lit)) if not lit.all() else len(lit)
        ring += 1 if ring else 0  # the pulse's trailing edge
        return max(ring, math.ceil(self.options.min_range_m / self.frame.cell_m))

    def _judge(self, c: Components) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """(taken for vessels, real but too large for one)."""
        o = self.options
        width_deg = c.rows * (360.0 / o.azimuths)
        range_m = (c.cell + 1.0) * self.frame.cell_m + self.frame.offset_m
        real = (c.count >= o.min_cells) & (width_deg >= o.min_width * o.beamwidth_deg) & (range_m <= o.max_range_m)
        room_deg = _BROADENING * o.beamwidth_deg + np.degrees(o.max_extent_m / np.maximum(range_m, 1.0))
        large = (c.cells * self.frame.cell_m > o.max_extent_m) | (width_deg > room_deg)
        return real & ~large, real & large

    def _plots(self, at_s: float, c: Components, which: NDArray[np.int64], offset: float) -> tuple[Plot, ...]:
        o, cell_m, bin_deg = self.options, self.frame.cell_m, 360.0 / self.options.azimuths
        out = []
        for i in which.tolist():
            range_m = (
                float(c.cell[i]) + 1.0
            ) * cell_m + self.frame.offset_m  # the spoke's range is that of its last sample
            depth_m, width_deg = int(c.cells[i]) * cell_m, int(c.rows[i]) * bin_deg
            across_m = range_m * math.radians(max(0.0, width_deg - o.beamwidth_deg))
            out.append(
                Plot(
                    at_s=at_s,
                    source=self.source,
                    range_m=range_m,
                    bearing_deg=wrap360((float(c.row[i]) + offset) * bin_deg),
                    sigma_range_m=math.hypot(cell_m / math.sqrt(12.0), depth_m / 6.0),
                    sigma_bearing_deg=math.hypot(bin_deg / math.sqrt(12.0), width_deg / 12.0),
                    extent_m=max(depth_m, across_m),
                )
            )
        return tuple(out)


def reject_interference(levels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Another radar's pulses light a cell in one spoke only: no cell may rise above the higher of its two neighbours.

    `levels` is (azimuths, cells); azimuth wraps. A copy is returned.
    """
    out = np.empty_like(levels)
    np.maximum(levels[:-2], levels[2:], out=out[1:-1])
    np.maximum(levels[-1], levels[1], out=out[0])
    np.maximum(levels[-2], levels[0], out=out[-1])
    return np.minimum(out, levels, out=out)
