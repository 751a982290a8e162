"""Radar video to plots: polar frame, interference rejection, clutter map, components, plots.

Promises:
- one `Scan` per antenna turn, also an empty one, at the time of its last spoke; each plot of it carries the time of its
  own spoke, up to one turn before; these times never run backwards, whatever the spokes' clock does;
- bearings are true: a spoke without a heading is refused and counted (`no_heading`), never taken for north-up;
- nothing is tuned to a place: the threshold of each cell is what the clutter map has learned there plus a margin; sizes
  are those of the radar's beam and of the largest ship; land and other echoes too large for a vessel, which cannot be
  split, become no plots and are counted (`large`, and `Extraction.large` shows them);
- while the map is young, echoes in a `crowd` are land in pieces: no plots either, counted (`crowded`), but not learned
  faster for it, so that a crowded anchorage comes back;
- a spoke of another range than its neighbours is left out and counted (`odd`); after a change of range it goes on
  with what it had learned there before; sectors that are never sent are unseen, and miss nothing;
- the learned map and the known land survive restarts through `state` and `restore`.

Sizes: a point target fills about one beamwidth; saturated video broadens strong ones to two or three. Uncertainty: the
centroid of an extended echo wanders by about a sixth of its length (glint, IMO A.823), in azimuth by about a twelfth of
its width, both with the quantisation below.
"""

from __future__ import annotations

import math
import struct
from collections import Counter
from dataclasses import dataclass
from itertools import compress
from typing import TYPE_CHECKING

import numpy as np

from agent.drivers.radar.video import VideoOptions
from agent.geo import wrap360
from agent.messages import Plot, Scan
from agent.perception.radar.cfar import background
from agent.perception.radar.clutter import ClutterMap
from agent.perception.radar.components import Components, label_cells, measure, split
from agent.perception.radar.frame import MAX_SAMPLES, PolarFrame
from agent.perception.radar.geometry import Candidate, Learned, Shelf
from agent.perception.radar.land import KnownLand
from agent.perception.radar.masks import masked
from agent.perception.radar.recall import Recall
from agent.perception.radar.sent import SentSectors
from agent.perception.radar.stuck import Progress
from agent.perception.radar.unseen import blanked, lost

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from agent.drivers.radar.video import Spoke

_RING = 0.9  # a range cell lit over that part of the circle, from cell 0 on, is the transmitter's own pulse
_RING_CELLS = 256  # at most
_BROADENING = 3.0  # saturated video shows a strong point target up to this many beamwidths wide
_SPLIT_STEPS = 5
_WHOLE = 0.95  # of a turn: what a recording that ends in the middle of one may lack of it
_END = struct.Struct("<I4s")  # of a saved state: bytes of known land before it, and a mark; older states have none
_MARK = b"LAND"
_YOUNG = 2  # times `clutter_scans`: turns until the map knows land, its flicker too
_MAX_PAUSE_S = 10.0  # slower than any antenna turns a quarter: the radar stood still, the turn starts anew


@dataclass(frozen=True, slots=True, kw_only=True)
class Extraction:
    """What the last turn held beside its plots: echoes too `large` for a vessel, the blind ring.

    `seen` is the part that came of what usually comes.
    """

    large: tuple[Plot, ...] = ()
    blind_m: float = 0.0
    seen: float = 0.0


class PlotExtractor:
    """Plots of one stream of radar video.

    Counters: scans, turns_lost, no_heading, invalid, odd, restarts, large, weak, cut, crowded.
    """

    def __init__(self, source: str, options: VideoOptions | None = None) -> None:
        self.source = source
        self.options = options or VideoOptions()
        self.counters: Counter[str] = Counter()
        self.last = Extraction()
        self.frame = PolarFrame(self.options.azimuths, self.options.range_bias_m)
        self.land: KnownLand | None = None
        self._clutter: ClutterMap | None = None
        self._recall = Recall()
        self._mask: NDArray[np.bool_] = np.zeros((0, 0), np.bool_)
        self._weak = (
            min(self.options.weak_level, self.options.min_level),
            min(self.options.weak_margin, self.options.clutter_margin),
        )
        self._saved = b""
        self._candidate = Candidate(self.options.azimuths)
        self._shelf = Shelf()
        self._sent = SentSectors(self.options.azimuths)
        self._progress = Progress()
        self._last_scan_s: float | None = None

    def feed(self, spoke: Spoke) -> Scan | None:
        """Take one spoke in; the turn's scan when this spoke is the first of the next turn."""
        self._progress.heard(spoke.at_s, self.counters)
        if not spoke.valid or spoke.range_m <= 0.0 or not 0 < len(spoke.samples) <= MAX_SAMPLES:
            self.counters["invalid"] += 1
            return None
        if spoke.heading_deg is None:
            self.counters["no_heading"] += 1
            return None
        if self.frame.fits(spoke):
            if dropped := self._candidate.against():
                self.counters["odd"] += dropped
            return self._take(spoke)
        if self._clutter is None:
            self._change(spoke)
            self._progress.begin(spoke.at_s, self.counters)
            return self._take(spoke)
        ready, dropped = self._candidate.other(spoke)
        if dropped:
            self.counters["odd"] += dropped
        if not ready:
            return None
        scan = self._change(ready[0])
        for first in ready:  # much less than a turn: none ends here
            self._take(first)
        return scan

    def _take(self, spoke: Spoke) -> Scan | None:
        last_s = self.frame.at_s
        if last_s is not None and abs(spoke.at_s - last_s) > _MAX_PAUSE_S:
            self.counters["restarts"] += 1
            self.frame.start_turn()
            self._last_scan_s = None
            self._progress.begin(spoke.at_s, self.counters)
        complete, ready = self.frame.move(spoke)
        scan = None
        if complete:
            scan = self._turn()
            self.frame.start_turn()
        for one in ready:
            self.frame.put(one)
        return scan

    def _change(self, spoke: Spoke) -> Scan | None:
        """Go over to the spoke's range; the scan of the turn before it, if that was whole."""
        scan = None
        if self._clutter is not None and (self.frame.move(spoke)[0] or self._sent.share(self.frame.fresh) >= _WHOLE):
            scan = self._turn()
        self.counters["restarts"] += 1
        self._start(spoke)
        return scan

    def finish(self) -> Scan | None:
        """The turn that a recording ends in, if next to all of it was seen."""
        return self._turn() if self._sent.share(self.frame.fresh) >= _WHOLE else None

    def stuck(self) -> str:
        """What keeps turns from being complete although spokes come, in one sentence; empty while they are."""
        return self._progress.sentence(self.counters, self.frame.turned_deg)

    def state(self) -> bytes:
        """The learned clutter map and known land, for the checkpoint; empty before the first spoke."""
        if self._clutter is None or self.land is None:
            return self._saved
        land = self.land.dump()
        return self._clutter.dump() + land + _END.pack(len(land), _MARK)

    def restore(self, state: bytes) -> None:
        """Take a learned map over; it is used if the video turns out to have its range and size.

        Raises:
            InputError: the bytes are no saved map.

        """
        if state:
            clutter, land = _parts(state)
            ClutterMap.check(clutter)
            if land:
                KnownLand.check(land)
        self._saved = state
        if self._clutter and state:
            self._take_saved()

    def _take_saved(self) -> None:
        """A saved map of another range waits: the first spoke may have been a stray one."""
        clutter, land = _parts(self._saved)
        if self._clutter is None or not self._clutter.load(clutter):
            return
        self._saved = b""
        if self.land is not None and land:
            self.land.load(land)

    def _start(self, spoke: Spoke) -> None:
        known = self._shelf.take(spoke.range_m, len(spoke.samples))
        if self._clutter is not None and self.land is not None:
            self._shelf.put(Learned(clutter=self._clutter, land=self.land, mask=self._mask, recall=self._recall))
        self.frame.reset(spoke)
        found = known or self._unlearned(spoke)
        self._clutter, self.land, self._mask, self._recall = found.clutter, found.land, found.mask, found.recall
        if self._saved:
            self._take_saved()

    def _unlearned(self, spoke: Spoke) -> Learned:
        o, cells = self.options, len(spoke.samples)
        clutter = ClutterMap(
            o.azimuths, cells, spoke.range_m, scans=o.clutter_scans, min_level=self._weak[0], margin=self._weak[1]
        )
        land = KnownLand(
            o.azimuths, cells, spoke.range_m, strong=o.min_level, contrast=o.clutter_margin,
            step=max(1, o.weak_level // 2),
        )  # fmt: skip
        mask = masked(o.blank_sectors, o.azimuths, cells, self.frame.cell_m, self.frame.offset_m)
        return Learned(clutter=clutter, land=land, mask=mask, recall=Recall())

    # ------------------------------------------------------------ one turn

    def _turn(self) -> Scan | None:
        at_s = self.frame.at_s or 0.0
        self._sent.learn(self.frame.fresh)
        seen = self._sent.share(self.frame.fresh)
        if max(seen, self.frame.seen) < 0.5:
            self.counters["turns_lost"] += 1
            return None
        unseen, offset = self.frame.finish()
        plots = self._extract(at_s, unseen, offset, seen)
        period_s = None if self._last_scan_s is None else at_s - self._last_scan_s
        self._last_scan_s = at_s
        self.counters["scans"] += 1
        self._progress.turn(at_s, period_s, self.counters)
        missing = lost(unseen) + blanked(self.options.blank_sectors)
        return Scan(
            at_s=at_s, source=self.source, plots=plots, period_s=period_s, unseen=missing,
            beam_deg=self.options.beamwidth_deg,
        )  # fmt: skip

    def _extract(self, at_s: float, unseen: NDArray[np.bool_], offset: float, seen: float) -> tuple[Plot, ...]:
        o, frame = self.options, self.frame
        clutter = self._clutter
        if clutter is None:
            return ()
        cells = frame.levels.shape[1]
        levels = reject_interference(frame.levels)
        first = self._first_cell(levels)
        lit = clutter.exceedances(levels, first_cell=first, masked=self._mask)
        limit = np.maximum(clutter.limits(lit) + (o.clutter_margin - self._weak[1]), o.min_level)
        lit, limit = self._among_neighbours(levels, lit, limit)
        index = lit[levels.reshape(-1)[lit] >= limit]
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
        strong = index[inside]
        real = (vessel | large)[found.label]
        weak, cells_of = self._again(at_s, levels, lit, strong[real], found, np.flatnonzero(vessel), offset)
        self.counters["weak"] += len(weak.count)
        vessels = np.concatenate((strong[vessel[found.label]], cells_of))
        clutter.learn(levels, vessels, unseen)
        if self.land is not None:
            self.land.turn(levels, vessels, unseen)
        plots = self._plots(at_s, found, self._strongest(found, np.flatnonzero(vessel), o.max_plots), offset)
        room = o.max_plots - len(plots)
        plots += self._plots(at_s, weak, self._strongest(weak, np.arange(len(weak.count)), room), offset)
        return self._apart(plots) if o.crowd and clutter.scans_seen <= _YOUNG * o.clutter_scans else plots

    def _apart(self, plots: tuple[Plot, ...]) -> tuple[Plot, ...]:
        """Without those in a crowd: land, which comes in pieces while it is half learned, other ones in each turn."""
        keep = around(plots, self.last.large, self.options.max_extent_m) < self.options.crowd
        self.counters["crowded"] += len(plots) - int(keep.sum())
        return tuple(compress(plots, keep.tolist()))

    def _among_neighbours(
        self, levels: NDArray[np.uint8], lit: NDArray[np.int64], limit: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The cells that stand out of those before and behind them, too, and what strong echoes need there."""
        o = self.options
        if o.cfar == "off" or not len(lit):
            return lit, limit
        around = background(levels, lit, o.cfar, math.ceil(o.cfar_guard_m / self.frame.cell_m))
        keep = levels.reshape(-1)[lit] >= around + self._weak[1]
        return lit[keep], np.maximum(limit[keep], np.ceil(around[keep] + o.clutter_margin).astype(np.int64))

    def _strongest(self, c: Components, which: NDArray[np.int64], most: int) -> NDArray[np.int64]:
        if len(which) <= most:
            return which
        self.counters["cut"] += len(which) - most
        return np.sort(which[np.argsort(-_strength(c)[which], kind="stable")][:most])

    def _again(
        self, at_s: float, levels: NDArray[np.uint8], lit: NDArray[np.int64], taken: NDArray[np.int64],
        found: Components, vessels: NDArray[np.int64], offset: float,
    ) -> tuple[Components, NDArray[np.int64]]:  # fmt: skip
        """Echoes among the cells `lit` that hold none of the cells `taken`, and came before; and their cells."""
        azimuths, cells = levels.shape
        label, n = label_cells(lit, azimuths, cells)
        old = np.zeros(n, np.bool_)
        old[label[np.searchsorted(lit, taken)]] = True
        new = ~old[label]
        number = np.cumsum(~old) - 1
        c = measure(lit[new], levels.reshape(-1)[lit[new]], number[label[new]], int((~old).sum()), azimuths, cells)
        vessel, _ = self._judge(c)
        which = np.flatnonzero(vessel)
        which = which[np.argsort(-_strength(c)[which], kind="stable")]
        bearing, range_m = self._places(c, which, offset)
        width_m = range_m * np.radians(c.rows[which] * 360.0 / azimuths)
        slack = 0.25 * np.hypot(width_m, c.cells[which] * self.frame.cell_m) + self.frame.cell_m
        most = self._recall.most(at_s, range_m, slack)
        which, bearing, range_m, slack = which[:most], bearing[:most], range_m[:most], slack[:most]
        seen = which[self._recall.again(at_s, range_m, bearing, slack)]
        strong_bearing, strong_m = self._places(found, vessels, offset)
        self._recall.note(
            at_s, np.concatenate((strong_m, range_m)), np.concatenate((strong_bearing, bearing)),
            np.concatenate((_strength(found)[vessels], _strength(c)[which])),
        )  # fmt: skip
        chosen = np.zeros(len(c.count), np.bool_)
        chosen[seen] = True
        inside = chosen[c.label]
        again = np.cumsum(chosen) - 1
        kept = lit[new][inside]
        return measure(kept, levels.reshape(-1)[kept], again[c.label[inside]], int(chosen.sum()), azimuths, cells), kept

    def _places(
        self, c: Components, which: NDArray[np.int64], offset: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Bearings (deg) and ranges (m) of components; the spoke's range is that of its last sample."""
        bearing = (c.row[which] + offset) * (360.0 / self.options.azimuths)
        return bearing, (c.cell[which] + 1.0) * self.frame.cell_m + self.frame.offset_m

    def _thresholds(self) -> tuple[int, ...]:
        low, high = self.options.min_level, self.options.full_level
        steps = {low + math.ceil((high - low) * k / _SPLIT_STEPS) for k in range(1, _SPLIT_STEPS + 1)}
        return tuple(sorted(steps - {low}))

    def _first_cell(self, levels: NDArray[np.uint8]) -> int:
        """Cells from the antenna outwards that are lit all around (the pulse's own leakage), or below `min_range_m`."""
        lit = (levels[:, :_RING_CELLS] >= self.options.min_level).mean(axis=0) >= _RING
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
            swept_s = float(self.frame.swept_s[int(c.row[i]) % o.azimuths])
            depth_m, width_deg = int(c.cells[i]) * cell_m, int(c.rows[i]) * bin_deg
            across_m = range_m * math.radians(max(0.0, width_deg - o.beamwidth_deg))
            out.append(
                Plot(
                    at_s=at_s if math.isnan(swept_s) else swept_s,
                    source=self.source,
                    range_m=range_m,
                    bearing_deg=wrap360((float(c.row[i]) + offset) * bin_deg),
                    sigma_range_m=math.hypot(cell_m / math.sqrt(12.0), depth_m / 6.0),
                    sigma_bearing_deg=math.hypot(bin_deg / math.sqrt(12.0), width_deg / 12.0),
                    amplitude_db=int(c.peak[i]) * o.level_db if o.level_db else None,
                    extent_m=max(depth_m, across_m),
                )
            )
        return tuple(out)


def _parts(state: bytes) -> tuple[bytes, bytes]:
    """(clutter map, known land) of a saved state; a state of before there was known land is all clutter map."""
    if len(state) < _END.size:
        return state, b""
    size, mark = _END.unpack_from(state, len(state) - _END.size)
    begin = len(state) - _END.size - size
    if mark != _MARK or begin < 0:
        return state, b""
    return state[:begin], state[begin : len(state) - _END.size]


def around(plots: Sequence[Plot], large: Sequence[Plot], reach_m: float) -> NDArray[np.int64]:
    """How many others, echoes too `large` for a vessel among them, lie within `reach_m` of each plot."""
    both = (*plots, *large)
    bearing = np.radians([p.bearing_deg for p in both])
    place = np.array([p.range_m for p in both]) * np.exp(1j * bearing)
    return np.array([np.count_nonzero(np.abs(place - at) <= reach_m) - 1 for at in place[: len(plots)]], np.int64)


def _strength(c: Components) -> NDArray[np.int64]:
    return np.asarray(c.count * c.peak.astype(np.int64))


def reject_interference(levels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Another radar's pulses light a cell in one spoke only: no cell may rise above the higher of its two neighbours.

    `levels` is (azimuths, cells); azimuth wraps. A copy is returned.
    """
    out = np.empty_like(levels)
    np.maximum(levels[:-2], levels[2:], out=out[1:-1])
    np.maximum(levels[-1], levels[1], out=out[0])
    np.maximum(levels[-2], levels[0], out=out[-1])
    return np.minimum(out, levels, out=out)
