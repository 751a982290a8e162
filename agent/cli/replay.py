"""Examples.

vigia replay -c vigia.toml events.log --alerts alerts.jsonl --tracks tracks.jsonl
vigia replay -c site.toml --events plots.jsonl --tracks -
vigia replay -c new.toml events.log --diff old.toml        # alerts gained (+) and lost (-) by the new configuration
"""

from __future__ import annotations

import gc
import json
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from agent.errors import InputError, UsageError
from agent.messages import Alert, AlertState, ConfigChange, TrackPicture
from agent.record.events_json import read_events
from agent.record.log import ReadReport, read_log
from agent.record.output_json import alert_json, track_json
from agent.record.replaying import replayed
from agent.runtime import configuration

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from agent.config.schema import Config
    from agent.messages import Event

COLLECTED = (100_000, 20, 100)
"""How seldom the garbage collector looks for cycles: nothing here makes any, and all events are held at once."""
HELP = (
    "Recorded events through the core, as fast as it goes: byte-identical output for the same input and configuration."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `vigia replay`."""
    parser.add_argument("log", nargs="?", type=Path, metavar="LOG", help="an event log, or a folder of its segments")
    parser.add_argument("-c", "--config", type=Path, required=True, metavar="FILE")
    parser.add_argument(
        "--events", type=Path, metavar="F.jsonl", help="events as JSON lines instead of a log; - is stdin"
    )
    parser.add_argument("--tracks", metavar="OUT", help="write tracks as JSON lines; - is stdout")
    parser.add_argument("--alerts", metavar="OUT", help="write alerts as JSON lines; - is stdout (the default)")
    parser.add_argument(
        "--diff", type=Path, metavar="OLDCONFIG", help="compare the alerts with those of another configuration"
    )


def run(args: argparse.Namespace) -> int:
    """Replay and write."""
    if (args.log is None) == (args.events is None):
        raise UsageError("give either a LOG or --events F.jsonl")
    loaded = configuration.load(args.config)
    if args.diff is not None:
        return _diff(args, loaded.config)
    gc.freeze()
    gc.set_threshold(*COLLECTED)
    counts = {"events": 0, "tracks": 0, "alerts": 0}
    encode = json.JSONEncoder(ensure_ascii=False).encode
    with ExitStack() as stack:
        tracks = _output(stack, args.tracks)
        alerts = _output(stack, args.alerts if args.alerts is not None or args.tracks else "-")
        for _, effects in replayed(loaded.config, _events(args, loaded.config)):
            counts["events"] += 1
            for effect in effects:
                if isinstance(effect, TrackPicture):
                    counts["tracks"] += len(effect.tracks)
                    if tracks is not None:
                        tracks.writelines(encode(track_json(track)) + "\n" for track in effect.tracks)
                elif isinstance(effect, Alert):
                    counts["alerts"] += 1
                    if alerts is not None:
                        print(json.dumps(alert_json(effect), ensure_ascii=False), file=alerts)
    print(", ".join(f"{n} {what}" for what, n in counts.items()), file=sys.stderr)
    return 0


def _events(args: argparse.Namespace, config: Config) -> Iterator[Event]:
    if args.events is not None:
        with ExitStack() as stack:
            try:
                source = (
                    sys.stdin if str(args.events) == "-" else stack.enter_context(args.events.open(encoding="utf-8"))
                )
                yield from read_events(source, config)
            except OSError as e:
                raise InputError(f"{args.events}: cannot be read: {e.strerror}") from e
            except UnicodeDecodeError as e:
                raise InputError(f"{args.events}: is not UTF-8 text (byte {e.start})") from e
        return
    report = ReadReport()
    for _, event in read_log(args.log, report=report):
        if not isinstance(event, ConfigChange):  # the configuration of this replay is the one on the command line
            yield event
    if report.broken:
        print(f"{args.log}: {report.broken} broken blocks passed over ({report.skipped_bytes} bytes)", file=sys.stderr)


def _output(stack: ExitStack, name: str | None) -> TextIO | None:
    if name is None:
        return None
    if name == "-":
        return sys.stdout
    try:
        return stack.enter_context(Path(name).open("w", encoding="utf-8"))
    except OSError as e:
        raise InputError(f"{name}: cannot be written: {e.strerror}") from e


def _diff(args: argparse.Namespace, new: Config) -> int:
    old = configuration.load(args.diff).config
    before, after = _raised(args, old), _raised(args, new)
    for key, alert in sorted({**before, **after}.items()):
        if (key in before) != (key in after):
            change = "gained" if key in after else "lost"
            print(json.dumps({"change": change, **alert_json(alert)}, ensure_ascii=False))
    return 0


def _raised(args: argparse.Namespace, config: Config) -> dict[tuple[float, str, str], Alert]:
    return {
        (round(e.at_s), e.rule_name, f"{e.track.lat:.3f} {e.track.lon:.3f}"): e
        for _, effects in replayed(config, _events(args, config))
        for e in effects
        if isinstance(e, Alert) and e.state is AlertState.RAISED
    }
