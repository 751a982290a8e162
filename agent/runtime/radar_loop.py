"""What a radar-video child does: transport x decoder x plot extraction; scans and health go up, spokes never do."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from agent.drivers.radar.control import ControlOptions
from agent.drivers.radar.framed import VideoDecoder
from agent.drivers.radar.video import VideoOptions
from agent.drivers.table import load_driver
from agent.errors import UnsupportedError
from agent.messages import SensorState
from agent.perception.radar.extract import PlotExtractor
from agent.runtime.clutter_store import ClutterStore
from agent.runtime.further import FurtherInputs
from agent.runtime.orders import RadarOrders
from agent.transport import open_transport
from agent.transport.base import EndOfData

if TYPE_CHECKING:
    from agent.drivers.radar.video import Spoke
    from agent.runtime.backoff import Backoff
    from agent.runtime.child import Link
    from agent.transport.base import Chunk

READ_S = 0.5
READ_BESIDE_S = 0.05  # with further inputs, which wait for this long while the first is silent
LOST_WARN = 0.1  # share of spokes lost in a scan from which it is worth a caution


class RadarLoop:
    """One radar. A radar with two ranges gives two sources, each with its own extractor."""

    def __init__(self, link: Link) -> None:
        self._link = link
        driver = load_driver(link.sensor.driver)
        options = driver.Options.model_validate(link.sensor.options)
        decoder = driver(link.sensor.name, options)
        if not isinstance(options, VideoOptions) or not isinstance(decoder, VideoDecoder):
            raise UnsupportedError(f'driver "{link.sensor.driver}" gives no radar video; use it as a line sensor')
        self._options = options
        self._decoder = decoder
        self._orders: RadarOrders | None = None
        if isinstance(options, ControlOptions) and options.orders:
            self._orders = RadarOrders(link.sensor.url, options, link.log)
        self._further = FurtherInputs(options.also, link.clock)
        self._extractors: dict[str, PlotExtractor] = {}
        self._store = ClutterStore(link.directory)
        self._scans = 0
        self._on_s, self._off_s = 1.0, 0.0  # looks, and rests, by turns
        self._resting = False

    def run(self, backoff: Backoff) -> None:
        """Until the radar goes away (SensorUnavailable, EndOfData) or the parent says stop."""
        link = self._link
        transport = open_transport(link.sensor.url, link.clock)
        further = self._further
        wait_s = READ_BESIDE_S if self._options.also else READ_S
        try:
            link.health.opened(link.clock.now().t_s)
            while not link.stop.is_set():
                try:
                    chunk = transport.read(wait_s)
                except EndOfData:
                    self._flush()
                    raise
                now_s = link.clock.now().t_s
                self._obey(now_s)
                if chunk is not None:
                    self._decode(chunk, now_s)
                    backoff.success(now_s)
                for beside in further.read(now_s):
                    self._decode(beside, now_s)
                if self._orders is not None:
                    self._orders.step(now_s, self._decoder.counters, self._decoder.gauges, resting=self._resting)
                link.beat()
                counters = self._counters()
                figures = self._figures()
                report = link.health.judge(now_s, counters, self._decoder.last_error, self._note(), figures)
                if report is not None:
                    link.emit(report)
        finally:
            if self._orders is not None:
                self._orders.end()  # first: what follows may fail on a full disk
            self._store.save(self._extractors.values(), link.clock.now().t_s, at_once=True)
            self._decoder.close()
            transport.close()
            further.close()

    def _obey(self, now_s: float) -> None:
        """Look or rest now: what comes in while resting is thrown away unread, and shows that the radar transmits."""
        while not self._link.orders.empty():
            match self._link.orders.get():
                case ["pace", on_s, off_s, _]:
                    self._on_s, self._off_s = float(on_s), float(off_s)
        self._resting = self._off_s > 0.0 and now_s % (self._on_s + self._off_s) >= self._on_s

    def _decode(self, chunk: Chunk, now_s: float) -> None:
        if self._resting:
            self._link.health.data(now_s)
            return
        for spoke in self._decoder.decode(chunk.data, chunk.at, chunk.stream):
            self._link.health.data(now_s)
            self._feed(spoke)

    def _flush(self) -> None:
        for spoke in self._decoder.flush(self._link.clock.now()):
            self._feed(spoke)

    def _feed(self, spoke: Spoke) -> None:
        extractor = self._extractors.get(spoke.source)
        if extractor is None:
            if len(self._extractors) >= 4:
                return  # a radar has two ranges; more sources than that are somebody's joke
            options = self._options.for_video(spoke.top_level)
            extractor = self._extractors[spoke.source] = PlotExtractor(spoke.source, options)
            self._store.restore(extractor)
        scan = extractor.feed(spoke)
        if scan is not None:
            self._scans += 1
            self._link.emit(scan)
            self._store.save(self._extractors.values(), spoke.at_s)

    def _counters(self) -> Counter[str]:
        total = Counter(self._decoder.counters)
        for extractor in self._extractors.values():
            total.update(extractor.counters)
        if self._orders is not None:
            total.update(self._orders.counters)
        return total

    def _figures(self) -> dict[str, float]:
        """Of the last turn of each range: its length, its spokes, how many were lost, sectors that show their land."""
        figures = {k: round(v, 3) for k, v in self._decoder.gauges.items() if "turn_" in k}
        for source, extractor in self._extractors.items():
            if (land := extractor.land) is not None and land.known:
                further = source.removeprefix(self._link.sensor.name).lstrip("/")
                prefix = further and further + "_"
                figures |= {prefix + "land_sectors": land.known, prefix + "land_sectors_shown": land.shown}
        return figures

    def _note(self) -> tuple[SensorState, str] | None:
        if self._orders is not None and (said := self._orders.note()) is not None:
            return said
        for extractor in self._extractors.values():
            if extractor.counters["no_heading"] > 4096 and not extractor.counters["scans"]:
                return SensorState.DEGRADED, "the spokes carry no heading: set heading_deg, or feed the radar a heading"
            if stuck := extractor.stuck():
                return SensorState.DEGRADED, stuck
            if self._scans and extractor.last.seen < 1.0 - LOST_WARN:
                return (
                    SensorState.DEGRADED,
                    f"{1.0 - extractor.last.seen:.0%} of the spokes of the last turn are missing",
                )
            if extractor.land is not None and (missed := extractor.land.sentence()):
                return SensorState.DEGRADED, missed
        if self._off_s > 0.0:
            return SensorState.OK, f"looks for {self._on_s:g} of every {self._on_s + self._off_s:g} s to save power"
        for sentence in self._further.down.values():
            return SensorState.DEGRADED, f"a further input is not there: {sentence}"
        return None
