"""Examples of `vigia decode`.

  vigia decode navico harbour.pcap.gz --summary
  vigia decode navico harbour.pcap.gz --plots --ppi harbour.png --option heading_deg=296
  vigia decode nmea night.log

FILE is a recording as it is, or a pcap or pcapng capture of UDP, either also .gz. One JSON object per measurement,
spoke or plot goes to the standard output. A recording without times (raw) counts from 0.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from agent.cli.recordings import recorded
from agent.errors import ConfigError, InputError, UnsupportedError, UsageError
from agent.packing import to_json

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Mapping

    from agent.drivers.base import DriverOptions

NAME = "decode"
HELP = "Puts a recording through one driver, and radar video through the plot extractor."
LINES = ("nmea", "nmea-radar", "ais", "nav")
RADARS = ("navico", "cat240")
LATER = ("asterix", "garmin", "raymarine", "furuno", "alert")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `vigia decode`."""
    parser.add_argument("kind", metavar="KIND", help=", ".join((*LINES, *RADARS)))
    parser.add_argument("file", metavar="FILE", type=Path, help="a raw recording, pcap or pcapng; .gz too")
    parser.add_argument("--plots", action="store_true", help="plots of the whole radar chain instead of spokes")
    parser.add_argument("--ppi", metavar="OUT.png", type=Path, help="draw the radar's last turn, north up")
    parser.add_argument("--summary", action="store_true", help="one object per stream instead of measurements")
    parser.add_argument("--port", type=int, help="only datagrams to this UDP port")
    parser.add_argument("--group", metavar="IP", help="only datagrams to this address")
    parser.add_argument("--source", metavar="NAME", help="the sensor's name in the output (default: KIND)")
    parser.add_argument(
        "--option", action="append", default=[], metavar="KEY=VALUE", help="an option of the driver or of the extractor"
    )


def run(args: argparse.Namespace) -> int:
    """Decode and print."""
    if args.kind in LATER:
        raise UnsupportedError(f"vigia decode {args.kind}: not in this version; it reads {', '.join(LINES + RADARS)}")
    if args.kind not in LINES + RADARS:
        raise UsageError(f"vigia decode {args.kind}: no such kind; choose from {', '.join(LINES + RADARS)}")
    if args.kind in RADARS:
        from agent.cli.decode_radar import run_radar  # noqa: PLC0415 - numpy and the extractor, which sentences do not need

        return run_radar(args)
    if args.plots or args.ppi:
        raise UsageError("--plots and --ppi are for radar video")
    return _run_lines(args)


def _run_lines(args: argparse.Namespace) -> int:
    from agent.drivers.table import load_driver  # noqa: PLC0415 - drivers are imported by name, when asked for

    driver = load_driver(args.kind)
    decoder = driver(args.source or args.kind, parse_options(args.option, driver.Options))
    tally: dict[str, Counter[str]] = {}
    at = None
    for chunk in recorded(args.file, port=args.port, group=args.group, sentences=True):
        at = chunk.at
        counts = tally.setdefault(chunk.stream, Counter())
        before = Counter(decoder.counters)
        for measurement in decoder.decode(chunk.data, chunk.at, chunk.stream):
            counts["measurements"] += 1
            _print(args, measurement)
        counts["records"] += decoder.counters["units"] - before["units"]
        counts["errors"] += decoder.counters["errors"] - before["errors"]
    if at is None:
        raise InputError(f"{args.file}: holds no sentences; is it the right file?")
    last = next(reversed(tally.values()))
    before = Counter(decoder.counters)
    for measurement in decoder.flush(at):
        last["measurements"] += 1
        _print(args, measurement)
    last["records"] += decoder.counters["units"] - before["units"]
    last["errors"] += decoder.counters["errors"] - before["errors"]
    if args.summary:
        for stream, counts in tally.items():
            emit({"stream": stream, **{k: counts[k] for k in ("records", "measurements", "errors")}})
    if decoder.counters["errors"]:
        print(f"{decoder.counters['errors']} errors, the last: {decoder.last_error}", file=sys.stderr)
    return 0


def _print(args: argparse.Namespace, measurement: Any) -> None:
    if not args.summary:
        emit({"type": type(measurement).__name__.lower(), **to_json(measurement)})


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
        return model.model_validate(values)
    except ValidationError as e:
        wrong = "; ".join(f"{'.'.join(map(str, x['loc']))}: {x['msg']}" for x in e.errors())
        raise ConfigError(f"--option: {wrong}") from e
