"""Examples of `vigia record`.

  vigia record --raw serial:///dev/ttyUSB0?baud=38400 --out bridge.pcap --duration 3600
  vigia record --raw "udp://236.6.7.8:6678?iface=eth1" --out radar.pcap --max-bytes 500000000

Ctrl-C ends it. `vigia decode KIND FILE`, `file://FILE` as a sensor's url, and Wireshark read the file.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from agent.clock import SystemClock
from agent.errors import SensorUnavailable, UsageError
from agent.transport import open_transport
from agent.transport.base import EndOfData
from agent.transport.recorder import RawRecorder

if TYPE_CHECKING:
    from types import FrameType

    from agent.clock import Clock

NAME = "record"
HELP = "Writes all bytes of one sensor's line or port to a packet capture."
READ_S = 0.5
REOPEN_S = 1.0
MIN_BYTES = 1024  # of a capture with anything in it


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `vigia record`."""
    parser.add_argument("--raw", required=True, metavar="URL", help="serial://, udp://, tcp:// or file://")
    parser.add_argument("--out", required=True, type=Path, metavar="FILE", help="a new pcap file")
    parser.add_argument("--duration", type=_seconds, metavar="S", help="end after so many seconds (default: never)")
    parser.add_argument("--max-bytes", type=_octets, metavar="N", help="end before the file is larger than this")


def run(args: argparse.Namespace) -> int:
    """Record until told to stop; a sensor that goes away is waited for."""
    if args.out.suffix == ".gz":
        raise UsageError(f"--out {args.out}: the capture is written plain; leave .gz out and compress it afterwards")
    stop = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    before = {s: signal.signal(s, end) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        clock = SystemClock()
        with contextlib.closing(open_transport(args.raw, clock)) as transport:
            recorder = RawRecorder(transport, args.out, max_bytes=args.max_bytes)
            try:
                _record(recorder, args.raw, clock, stop, args.duration)
            except EndOfData as e:
                print(e, file=sys.stderr)
            finally:
                recorder.close()
    finally:
        for s, handler in before.items():
            signal.signal(s, handler)
    print(f"{args.out}: {recorder.packets} packets, {recorder.size} bytes", file=sys.stderr)
    return 0


def _record(recorder: RawRecorder, url: str, clock: Clock, stop: threading.Event, duration_s: float | None) -> None:
    end_s = math.inf if duration_s is None else clock.now().t_s + duration_s
    gone = False
    while not stop.is_set() and (left_s := end_s - clock.now().t_s) > 0.0:
        try:
            if gone:
                recorder.resume(open_transport(url, clock))
                gone = False
                print("the sensor is back", file=sys.stderr)
            recorder.read(min(READ_S, left_s))
        except SensorUnavailable as e:
            if not gone:
                print(f"{e}; waiting for it to come back", file=sys.stderr)
            gone = True
            stop.wait(min(REOPEN_S, left_s))


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0.0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is no time; write seconds, for example 3600")
    return value


def _octets(text: str) -> int:
    value = int(text) if text.isascii() and text.isdecimal() else 0
    if value < MIN_BYTES:
        raise argparse.ArgumentTypeError(f"{text}: write a number of bytes from {MIN_BYTES} on, for example 500000000")
    return value
