"""What is connected: cameras (V4L2, ONVIF), serial ports and network feeds, with the URL to write in a configuration.

One JSON object per find on stdout. It listens, and asks one question: the ONVIF probe, by multicast on each interface
that --iface names (all of them that have an IPv4 address, if it is left out). No password is ever tried.
"""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.errors import UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

HELP = "cameras, serial ports and network feeds that are there, and what they send"
EXAMPLE = "vigia probe --seconds 5 | jq -r .url"
KINDS = ("v4l2", "onvif", "serial", "network")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `vigia probe`."""
    parser.epilog = f"example: {EXAMPLE}"
    parser.add_argument("--seconds", type=float, default=3.0, help="how long to listen (default: %(default)s)")
    parser.add_argument("--only", metavar="KIND,...", default=",".join(KINDS), help=f"of {', '.join(KINDS)}")
    parser.add_argument("--iface", action="append", metavar="NAME", help="ask and listen here; may be repeated")
    parser.add_argument("--udp", action="append", default=[], metavar="[GROUP:]PORT", help="listen here, too")
    parser.add_argument("--serial", action="append", metavar="DEVICE", help="these instead of every serial port")
    parser.add_argument("--dev", type=Path, default=Path("/dev"), help="folder of devices (default: %(default)s)")


def run(args: argparse.Namespace) -> int:
    """Look in all places at once; print what is found.

    Raises:
        UsageError: a kind, a port or an interface that does not exist.

    """
    if not 0.1 <= args.seconds <= 3600.0:
        raise UsageError(f"--seconds {args.seconds:g}: give 0.1 to 3600.")
    kinds = args.only.split(",")
    if unknown := [k for k in kinds if k not in KINDS]:
        raise UsageError(f"--only {unknown[0]}: the kinds are {', '.join(KINDS)}.")
    from agent.cli import probe_feeds as feeds  # noqa: PLC0415 - the command's help is asked for without it

    interfaces = feeds.interfaces(args.iface)
    listen = feeds.places(args.udp)
    looks: dict[str, Callable[[], Iterator[dict[str, Any]]]] = {
        "v4l2": lambda: feeds.v4l2(args.dev),
        "onvif": lambda: feeds.onvif(interfaces, args.seconds),
        "serial": lambda: feeds.serial_ports(args.serial, args.seconds),
        "network": lambda: feeds.network(listen, interfaces, args.seconds),
    }
    with ThreadPoolExecutor(len(kinds)) as pool:
        found = [find for finds in pool.map(lambda k: list(looks[k]()), kinds) for find in finds]
    for find in found:
        print(json.dumps(find, ensure_ascii=False))
    if not found:
        print(f"Nothing was found in {args.seconds:g} s: check power, cables and --iface.", file=sys.stderr)
    return 0
