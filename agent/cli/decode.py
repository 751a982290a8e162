"""Examples of `vigia decode`.

  vigia decode navico harbour.pcap.gz --summary
  vigia decode navico harbour.pcap.gz --plots --ppi harbour.png --option heading_deg=296
  vigia decode cat240 vts.pcap --ppi vts.png --option heading_deg=0
  vigia decode asterix plots.ast --plots --option time=message
  vigia decode navico harbour.pcap.gz --register
  vigia decode nmea night.log
  mosquitto_sub -t 's1/#' -F '%t %x' | vigia decode alert -
  vigia decode alert 8d01...f2 --birth birth.bin

FILE is a recording as it is, or a pcap or pcapng capture of UDP, either also .gz. One JSON object per measurement,
spoke or plot goes to the standard output. A recording without times (raw) counts from 0. Of `alert`, FILE holds
messages of the wire: one as it is, or one a line in hex or base64, its topic before it or not; or FILE is that hex.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from agent.cli.recordings import is_sentence, recorded
from agent.errors import ConfigError, InputError, UsageError
from agent.messages import Plot, Scan, TrackReport
from agent.packing import to_json

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Mapping

    from agent.drivers.base import Decoder, DriverOptions
    from agent.messages import Measurement

NAME = "decode"
HELP = "Puts a recording through one driver, and radar video through the plot extractor."
LINES = ("nmea", "nmea-radar", "ais", "nav", "asterix")
RADARS = ("navico", "cat240", "garmin", "raymarine", "furuno")
WIRE = "alert"
MAX_DRAWN = 4096  # targets of a picture without video


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `vigia decode`."""
    parser.add_argument("kind", metavar="KIND", help=", ".join((*LINES, *RADARS, WIRE)))
    parser.add_argument("file", metavar="FILE", type=Path, help="a raw recording, pcap or pcapng; .gz too")
    parser.add_argument("--plots", action="store_true", help="plots of the whole radar chain instead of spokes")
    parser.add_argument(
        "--ppi",
        metavar="OUT.png",
        type=Path,
        help="draw the radar's last turn, north up; of several radars or ranges OUT-NAME.png each",
    )
    parser.add_argument(
        "--register", action="store_true", help="the radar's range and bearing bias against the recording's own AIS"
    )
    parser.add_argument("--summary", action="store_true", help="one object per stream instead of measurements")
    parser.add_argument("--port", type=int, help="only datagrams to this UDP port")
    parser.add_argument("--group", metavar="IP", help="only datagrams to this address")
    parser.add_argument("--birth", type=Path, metavar="FILE", help="of an alert without its topic: its box's birth")
    parser.add_argument("--source", metavar="NAME", help="the sensor's name in the output (default: KIND)")
    parser.add_argument(
        "--option", action="append", default=[], metavar="KEY=VALUE", help="an option of the driver or of the extractor"
    )


def run(args: argparse.Namespace) -> int:
    """Decode and print."""
    if args.kind == WIRE:
        from agent.cli.decode_wire import run_wire  # noqa: PLC0415 - the wire, which no recording of a sensor needs

        return run_wire(args)
    if args.kind not in LINES + RADARS:
        raise UsageError(f"vigia decode {args.kind}: no such kind; choose from {', '.join((*LINES, *RADARS, WIRE))}")
    if args.birth is not None:
        raise UsageError(f"--birth is for {WIRE}")
    if args.kind in RADARS and args.register:
        from agent.cli.register import run_register  # noqa: PLC0415 - as below

        return run_register(args)
    if args.kind in RADARS:
        from agent.cli.decode_radar import run_radar  # noqa: PLC0415 - numpy and the extractor, which sentences do not need

        return run_radar(args)
    if args.register:
        raise UsageError("--register is for radar video")
    if args.plots and args.kind != "asterix":
        raise UsageError(f"--plots: {args.kind} carries no plots; its targets come without that option")
    if args.ppi and args.kind in ("ais", "nav"):
        raise UsageError(f"--ppi: {args.kind} is no radar")
    return _Lines(args).run()


class _Lines:
    """Decoder and figures of one recording without radar video."""

    def __init__(self, args: argparse.Namespace) -> None:
        from agent.drivers.table import load_driver  # noqa: PLC0415 - drivers are imported by name, when asked for

        driver = load_driver(args.kind)
        self.args = args
        self.decoder = driver(args.source or args.kind, parse_options(args.option, driver.Options))
        self.tally: dict[str, Counter[str]] = {}
        self.drawn: dict[tuple[str, int], tuple[Plot, ...]] = {}  # what each source last said, for the picture

    def run(self) -> int:
        chunk = None
        for chunk in recorded(self.args.file, port=self.args.port, group=self.args.group, speaks=self._speaks()):
            self._take(self.decoder.decode(chunk.data, chunk.at, chunk.stream), chunk.stream)
        if chunk is None:
            what = "ASTERIX" if self.args.kind == "asterix" else "sentences"
            raise InputError(f"{self.args.file}: holds no {what}; is it the right file?")
        self._take(self.decoder.flush(chunk.at), next(reversed(self.tally)))
        if self.args.summary:
            for stream, counts in self.tally.items():
                none_of = {"spokes": 0, "rotations": counts["rotations"], "errors": counts["errors"]}
                record = {"stream": stream, "records": counts["records"], **none_of, "crc32_samples": f"{0:08x}"}
                emit({**record, "measurements": counts["measurements"]})
        if self.args.ppi:
            from agent.cli.ppi import write_targets  # noqa: PLC0415 - numpy and OpenCV, for this picture only

            write_targets(self.args.ppi, [p for plots in self.drawn.values() for p in plots])
        if self._nothing_good():
            error = self.decoder.last_error
            raise InputError(f"{self.args.file}: holds nothing that {self.args.kind} can read, the last: {error}")
        if self.decoder.counters["errors"]:
            print(f"{self.decoder.counters['errors']} errors, the last: {self.decoder.last_error}", file=sys.stderr)
        return 0

    def _nothing_good(self) -> bool:
        errors, total = self.decoder.counters["errors"], sum(self.tally.values(), Counter[str]())
        return errors > 0 and not total["measurements"] and errors >= total["records"]

    def _speaks(self) -> Callable[[bytes], bool]:
        return of_asterix(self.decoder) or is_sentence

    def _take(self, measurements: Iterable[Measurement], stream: str) -> None:
        counts = self.tally.setdefault(stream, Counter())
        counters = self.decoder.counters
        before = counters.copy()
        for m in measurements:
            counts["measurements"] += 1
            counts["rotations"] += isinstance(m, Scan)
            self._show(m, stream)
        key = "records" if "records" in counters else "units"
        counts["records"] += counters[key] - before[key]
        counts["errors"] += counters["errors"] - before["errors"]

    def _show(self, m: Measurement, stream: str) -> None:
        plots = m.plots if isinstance(m, Scan) else ()
        if self.args.ppi and (isinstance(m, Scan) or (isinstance(m, TrackReport) and len(self.drawn) < MAX_DRAWN)):
            self.drawn[m.source, -1 if isinstance(m, Scan) else m.number] = plots or _drawn(m)
        if self.args.summary:
            return
        if self.args.plots:
            for plot in plots:
                emit({"type": "plot", "stream": stream, **to_json(plot)})
        else:
            emit({"type": type(m).__name__.lower(), **to_json(m)})


def of_asterix(decoder: Decoder[Any]) -> Callable[[bytes], bool] | None:
    """What tells an ASTERIX driver's streams from others in a capture; None of a driver that knows by itself."""
    from agent.drivers.radar.asterix import AsterixDecoder, is_asterix  # noqa: PLC0415 - drivers when asked for

    if not isinstance(decoder, AsterixDecoder):
        return None
    return lambda datagram: is_asterix(datagram, decoder.profiles)


def _drawn(m: Scan | TrackReport) -> tuple[Plot, ...]:
    """A target that its sensor tracks, as a plot to be drawn; none where it tells no range and bearing."""
    if isinstance(m, Scan) or m.range_m is None or m.bearing_deg is None or m.status == "L":
        return ()
    plot = Plot(
        at_s=m.at_s, source=m.source, range_m=m.range_m, bearing_deg=m.bearing_deg, sigma_range_m=0.0,
        sigma_bearing_deg=0.0,
    )  # fmt: skip
    return (plot,)


def emit(record: Mapping[str, Any]) -> None:
    """One JSON object on one line of the standard output."""
    print(json.dumps(record, ensure_ascii=False, allow_nan=False))


def parse_options(pairs: Iterable[str], model: type[DriverOptions]) -> Any:
    """`KEY=VALUE` pairs to the driver's options.

    Raises:
        UsageError: not of that form, or the driver has no such option.
        ConfigError: a value that does not fit.

    """
    values: dict[str, str] = {}
    for pair in pairs:
        key, sign, value = pair.partition("=")
        if not sign or key not in model.model_fields:
            known = ", ".join(sorted(model.model_fields)) or "none"
            raise UsageError(f"--option {pair}: write KEY=VALUE with one of these keys: {known}")
        values[key] = value
    try:
        options = model.model_validate(values)
    except ValidationError as e:
        wrong = "; ".join(f"{'.'.join(map(str, x['loc']))}: {x['msg']}" for x in e.errors())
        raise ConfigError(f"--option: {wrong}") from e
    if getattr(options, "orders", False):
        raise UsageError("--option transmit, keep_alive, select_range_m: a recording cannot be told anything")
    return options
