"""The radar half of `vigia decode`: spokes, plots, a picture, and the figures of each stream.

Promises:
- every well-formed spoke counts in its stream's `spokes` and `crc32_samples`, whatever its status says;
- `records` are what the driver calls one: a datagram, or an ASTERIX record;
- `rotations` are completed crossings of the radar's own zero, back and forth cancelling each other;
- a recording that ends within a turn of which next to nothing is missing gives that turn's plots and picture too;
- a picture that is asked for is written, or the command fails.
"""

from __future__ import annotations

import sys
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agent.cli.decode import emit, of_asterix, parse_options
from agent.cli.ppi import Pictures
from agent.cli.recordings import recorded
from agent.drivers.table import load_driver
from agent.errors import InputError
from agent.geo import wrap360
from agent.messages import Stamp
from agent.packing import to_json
from agent.perception.radar.extract import PlotExtractor

if TYPE_CHECKING:
    import argparse

    from agent.drivers.radar.video import Spoke, VideoOptions
    from agent.messages import Scan
    from agent.transport.base import Chunk


@dataclass(slots=True, kw_only=True)
class _Tally:
    """Figures of one stream."""

    records: int = 0
    spokes: int = 0
    errors: int = 0
    crossings: int = 0
    crc: int = 0
    last_deg: float | None = None
    plots_per_scan: list[int] = field(default_factory=list)

    def add(self, spoke: Spoke) -> None:
        self.spokes += 1
        self.crc = zlib.crc32(spoke.samples.data, self.crc)
        if self.last_deg is not None and abs(spoke.angle_deg - self.last_deg) > 180.0:
            self.crossings += 1 if spoke.angle_deg < self.last_deg else -1
        self.last_deg = spoke.angle_deg

    def as_json(self, stream: str, *, plots: bool) -> dict[str, Any]:
        out: dict[str, Any] = {
            "stream": stream,
            "records": self.records,
            "spokes": self.spokes,
            "rotations": abs(self.crossings),
            "errors": self.errors,
            "crc32_samples": f"{self.crc:08x}",
        }
        if plots:
            out["plots_per_scan"] = self.plots_per_scan
        return out


class _Chain:
    """Decoder and extractors of one recording."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        driver = load_driver(args.kind)
        self.options: VideoOptions = parse_options(args.option, driver.Options)
        self.decoder = driver(args.source or args.kind, self.options)
        self.tally: dict[str, _Tally] = {}
        self.extractors: dict[str, tuple[PlotExtractor, str]] = {}  # by source, with the stream that it comes by
        self.pictures = Pictures()

    def feed(self, chunk: Chunk) -> None:
        before = self.decoder.counters.copy()
        self._spokes(list(self.decoder.decode(chunk.data, chunk.at, chunk.stream)))
        new = self.decoder.counters - before
        if new["units"] > new["ignored"] or not chunk.stream:
            self._count(chunk.stream, new)

    def finish(self) -> None:
        """What still waits in the decoder, and the turn that the recording ends in."""
        before = self.decoder.counters.copy()
        self._spokes(list(self.decoder.flush(Stamp(t_s=0.0, wall_s=0.0))))
        new = self.decoder.counters - before
        if new["units"]:
            self._count("", new)
        for extractor, stream in self.extractors.values():
            self._scan(extractor, stream, extractor.finish())

    def _count(self, stream: str, new: dict[str, int]) -> None:
        tally = self.tally.setdefault(stream, _Tally())
        tally.records += new["records"] if "records" in self.decoder.counters else new["units"]
        tally.errors += new["errors"]

    def _spokes(self, spokes: list[Spoke]) -> None:
        for spoke in spokes:
            self.tally.setdefault(spoke.stream, _Tally()).add(spoke)
            if self.args.plots or self.args.ppi:
                self._extract(spoke)
            elif not self.args.summary:
                emit(spoke_json(spoke))

    def _extract(self, spoke: Spoke) -> None:
        known = self.extractors.get(spoke.source)
        if known is None:
            options = self.options.for_video(spoke.top_level)
            known = self.extractors[spoke.source] = PlotExtractor(spoke.source, options), spoke.stream
        if self.args.ppi:
            self.pictures.spoke(spoke, self.options.azimuths, self.options.range_bias_m)
        self._scan(*known, known[0].feed(spoke))

    def _scan(self, extractor: PlotExtractor, stream: str, scan: Scan | None) -> None:
        if scan is None:
            return
        tally = self.tally[stream]
        tally.plots_per_scan.append(len(scan.plots))
        if self.args.ppi:
            self.pictures.scan(extractor, scan.plots, marked=self.args.plots)
        if self.args.plots and not self.args.summary:
            for plot in scan.plots:
                emit({"type": "plot", "scan": len(tally.plots_per_scan), "stream": stream, **to_json(plot)})


def run_radar(args: argparse.Namespace) -> int:
    """Decode radar video and print."""
    chain = _Chain(args)
    for chunk in recorded(args.file, port=args.port, group=args.group, speaks=of_asterix(chain.decoder)):
        chain.feed(chunk)
    chain.finish()
    video = [(s, t) for s, t in chain.tally.items() if t.spokes]
    if not video:
        why = f": {chain.decoder.last_error}" if chain.decoder.last_error else ""
        raise InputError(f"{args.file}: holds no spokes of a {args.kind} radar{why}; is it the right file and kind?")
    if args.summary:
        others = [(s, t) for s, t in chain.tally.items() if not t.spokes]
        for stream, tally in (*video, *others):
            emit(tally.as_json(stream, plots=args.plots and bool(tally.spokes)))
    _warn(chain, args)
    for sentence in chain.pictures.write(args.ppi) if args.ppi else ():
        print(sentence, file=sys.stderr)
    return 0


def spoke_json(spoke: Spoke) -> dict[str, Any]:
    """A spoke without its samples; `max` is the highest of them."""
    heading = spoke.heading_deg
    return {
        "type": "spoke",
        "at_s": spoke.at_s,
        "source": spoke.source,
        "stream": spoke.stream,
        "scan_number": spoke.scan_number,
        "status": spoke.status,
        "angle_deg": spoke.angle_deg,
        "heading_deg": heading,
        "bearing_deg": None if heading is None else wrap360(spoke.angle_deg + heading),
        "range_m": spoke.range_m,
        "count": len(spoke.samples),
        "max": int(spoke.samples.max(initial=0)),
    }


def _warn(chain: _Chain, args: argparse.Namespace) -> None:
    decoder = chain.decoder
    if decoder.counters["errors"]:
        print(f"{decoder.counters['errors']} errors, the last: {decoder.last_error}", file=sys.stderr)
    if not (args.plots or args.ppi):
        return
    if decoder.counters["no_heading"]:
        print("the spokes carry no heading: give --option heading_deg=DEGREES for true bearings", file=sys.stderr)
    elif not any(e.counters["scans"] for e, _ in chain.extractors.values()):
        print("the recording is shorter than one turn of the antenna: no plots", file=sys.stderr)
