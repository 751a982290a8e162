"""Example: `vigia watch --broker mqtt://localhost:1883 --json`.

What the boxes tell the shared picture, as it reaches a broker: one JSON object a line with `type` (alert, track, birth,
health, state, will, loss), `node` and `received_at` (Unix s), or a line for people. With `--ack` it is the picture:
boxes forget what it acknowledges, so give it an `--out` file that is kept and a `--state` file.
"""

from __future__ import annotations

import json
import os
import random
import secrets
import signal
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from agent.errors import InputError, ProtocolError, SensorUnavailable, UsageError, VigiaError
from agent.geo import KNOT_MPS
from agent.publish import broker as brokers
from agent.publish import link as links
from agent.publish import wire
from agent.publish.picture import PictureReceiver

if TYPE_CHECKING:
    import argparse
    from types import FrameType

NAME = "watch"
HELP = "alerts and tracks from a broker, decoded"

_ACK_EVERY_S = 1.0
_RETRY_MAX_S = 15.0
_COLOURS = {"high": "\x1b[1;31m", "medium": "\x1b[33m", "low": "\x1b[36m"}
_PLAIN = "\x1b[0m"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `vigia watch`."""
    parser.add_argument("--broker", required=True, metavar="URL", help="mqtt://host:port or mqtts://host:port")
    parser.add_argument("--node", metavar="NAME", help="this box only")
    parser.add_argument("--json", action="store_true", help="one JSON object a line on stdout")
    parser.add_argument("--ack", action="store_true", help="be the picture: acknowledge what has been written")
    parser.add_argument("--out", type=Path, metavar="FILE", help="append the JSON objects to FILE as well")
    parser.add_argument("--state", type=Path, metavar="FILE", help="remember over restarts what has been received")
    parser.add_argument("--duration", type=float, metavar="S", help="end after so many seconds")
    parser.add_argument(
        "--wait", type=float, default=10.0, metavar="S", help="how long to wait for the broker at first"
    )
    parser.add_argument("--username", metavar="NAME")
    parser.add_argument("--password-file", metavar="FILE")
    parser.add_argument("--ca-file", metavar="FILE")
    parser.add_argument("--cert-file", metavar="FILE")
    parser.add_argument("--key-file", metavar="FILE")


def run(args: argparse.Namespace) -> int:
    """Watch until the duration is over, or a signal comes.

    Raises:
        VigiaError: the broker cannot be reached or refuses, or a file cannot be used.

    """
    if args.node is not None and any(c in args.node for c in "/+#"):
        raise UsageError("--node is the name of one box, without /, + or #")
    try:
        broker = brokers.parse(
            args.broker, username=args.username, password_file=args.password_file, ca_file=args.ca_file,
            cert_file=args.cert_file, key_file=args.key_file,
        )  # fmt: skip
    except VigiaError as e:
        raise UsageError(str(e)) from e
    with ExitStack() as stack:
        book = _Book(args.out, args.state, stack)
        watch = _Watch(args, broker, book)
        stack.callback(watch.close)
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                stack.callback(signal.signal, number, signal.signal(number, watch.stop))
        watch.run()
    return 0


class _Book:
    """Where received messages are written down, so that acknowledging them is honest.

    An object counts as received when its line is on the disk (`--out`) and the state file says so; what was written
    after the last state file is read back from the lines themselves.
    """

    def __init__(self, out: Path | None, state: Path | None, stack: ExitStack) -> None:
        self._state_path = state
        self.receiver = PictureReceiver()
        offset = self._load() if state is not None and state.exists() else 0
        self._out: TextIO | None = None
        if out is not None:
            try:
                if state is not None and out.exists():
                    self._read_back(out, offset)
                self._out = stack.enter_context(out.open("a", encoding="utf-8"))
            except OSError as e:
                raise InputError(f"{out} cannot be written: {e.strerror}; choose another --out.") from e

    def write(self, line: str) -> None:
        """One object."""
        if self._out is not None:
            self._out.write(line + "\n")

    def secure(self) -> None:
        """Everything written so far survives a power cut.

        Raises:
            InputError: the disk did not take it.

        """
        try:
            offset = 0
            if self._out is not None:
                self._out.flush()
                os.fsync(self._out.fileno())
                offset = self._out.tell()
            if self._state_path is not None:
                _replace_file(self._state_path, json.dumps({"offset": offset, "nodes": self.receiver.dump()}))
        except OSError as e:
            raise InputError(f"what was received cannot be written down: {e}; nothing of it is acknowledged.") from e

    def _load(self) -> int:
        path = self._state_path
        try:
            state = json.loads(path.read_text(encoding="utf-8")) if path is not None else {}
            self.receiver = PictureReceiver.load(state["nodes"])
            return int(state["offset"])
        except (OSError, ValueError, KeyError, TypeError, ProtocolError) as e:
            raise InputError(f"{path} is no state file of `vigia watch`: {e}; move it away to start anew.") from e

    def _read_back(self, out: Path, offset: int) -> None:
        with out.open("r+b") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(offset if offset <= size else 0)
            end = file.tell()
            for line in file:
                if not line.endswith(b"\n"):
                    file.truncate(end)  # the power went in the middle of a line: it was not acknowledged
                    break
                end += len(line)
                self._remember(line)

    def _remember(self, line: bytes) -> None:
        try:
            row = json.loads(line)
            if row["type"] in ("alert", "health", "note", "loss", "seal", "reply"):
                self.receiver.mark_seen(row["node"], int(row["boot"]), int(row["seq"]))
        except (ValueError, KeyError, TypeError):
            return  # a line of somebody else's


class _Watch:
    def __init__(self, args: argparse.Namespace, broker: brokers.Broker, book: _Book) -> None:
        self._args = args
        self._broker = broker
        self._book = book
        self._link: links.Link | None = None
        self._version5 = True
        self._ends_at = float("inf") if args.duration is None else time.monotonic() + args.duration
        self._patience_until = time.monotonic() + args.wait
        self._failures = 0
        self._ever_in = False
        self._acks_due = False
        self._next_ack = 0.0
        self._errors_told = 0
        self._colour = sys.stdout.isatty()

    def stop(self, _number: int = 0, _frame: FrameType | None = None) -> None:
        """End soon: between two messages, never between receiving one and writing it down."""
        self._ends_at = 0.0

    def run(self) -> None:
        while time.monotonic() < self._ends_at:
            if self._link is None:
                self._dial()
            else:
                self._pump(self._link)
        if self._link is not None:  # not after an error: what could not be written is not acknowledged
            self._acknowledge(self._link)
            self._link.pump(0.2)

    def close(self) -> None:
        if self._link is not None:
            self._link.close()

    def _dial(self) -> None:
        options = links.Options(client_id=f"vigia-watch-{secrets.token_hex(4)}")
        try:
            self._link = links.open_link(self._broker, options, version5=self._version5)
        except SensorUnavailable as e:
            self._lost(str(e), fatal=False)

    def _lost(self, sentence: str, *, fatal: bool) -> None:
        self._link = None
        if not self._ever_in and (fatal or time.monotonic() >= self._patience_until):
            raise SensorUnavailable(sentence)
        if self._ever_in and self._failures == 0:
            print(f"{sentence} Trying again.", file=sys.stderr)
        delay = min(_RETRY_MAX_S, 0.25 * 2.0 ** min(self._failures, 10)) * random.uniform(0.5, 1.0)
        self._failures += 1
        time.sleep(max(0.0, min(delay, self._ends_at - time.monotonic())))

    def _pump(self, link: links.Link) -> None:
        now = time.monotonic()
        for event in link.pump(max(0.0, min(0.5, self._ends_at - now))):
            if isinstance(event, links.Received):
                self._received(event)
            elif isinstance(event, links.Connected):
                self._connected(link)
            elif isinstance(event, links.Subscribed) and event.refused is not None:
                raise SensorUnavailable(f"{self._broker.name} does not let this user read: {event.refused}.")
            elif isinstance(event, links.Closed):
                self._closed(event)
                return
        if time.monotonic() >= self._next_ack:
            self._acknowledge(link)

    def _connected(self, link: links.Link) -> None:
        if self._failures and self._ever_in:
            print(f"Connected to {self._broker.name} again.", file=sys.stderr)
        self._ever_in, self._failures = True, 0
        link.subscribe([wire.topic(self._args.node or "+", "u", "#")])
        self._book.secure()
        self._publish_acks(link, everything=True)  # boxes learn what was missed while nobody listened

    def _closed(self, event: links.Closed) -> None:
        if event.old_protocol:
            self._version5 = False
            self._link = None
            return
        self._version5 = True
        self._lost(event.sentence, fatal=event.refused)

    def _received(self, event: links.Received) -> None:
        receiver = self._book.receiver
        for row in receiver.feed(event.topic, event.payload, round(time.time(), 3)):
            line = json.dumps(row, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
            self._book.write(line)
            print(line if self._args.json else readable(row, colour=self._colour), flush=True)
        self._acks_due = True
        if receiver.errors > self._errors_told:
            self._errors_told = receiver.errors
            print(f"A message could not be read: {receiver.last_error}", file=sys.stderr)

    def _acknowledge(self, link: links.Link) -> None:
        if self._acks_due:
            self._next_ack = time.monotonic() + _ACK_EVERY_S
            self._acks_due = False
            self._book.secure()
            self._publish_acks(link)

    def _publish_acks(self, link: links.Link, *, everything: bool = False) -> None:
        if self._args.ack:
            for topic, payload in self._book.receiver.take_acks(everything=everything):
                link.publish(topic, payload, retain=True)


def readable(row: dict[str, Any], *, colour: bool = False) -> str:
    """A received object as one line for people."""
    when = time.strftime("%H:%M:%S", time.gmtime(row.get("at", row["received_at"]))) + "Z"
    kind, node = row["type"], row["node"]
    if kind == "alert":
        text = (
            f"{row['severity'].upper()} {row['state']} {row['rule']} ({row['rule_name']}) track {row['track']} at "
            f"{_place(row)}, {_motion(row)}, {row['likelihood']}: {' '.join(row['reasons'])}"
            + (" EXERCISE" if row["exercise"] else "")
        )
    elif kind == "track":
        name = f" MMSI {row['mmsi']}" if "mmsi" in row else ""
        text = f"track {row['id']}{name} {row['status']} at {_place(row)}, {_motion(row)}"
    elif kind == "health":
        text = f"{row['sensor']} is {row['state']}" + (f": {row['sentence']}" if row["sentence"] else "")
    elif kind == "note":
        text = f"{row['sensor']}: {row['sentence'] or row['counters']}"
    elif kind == "state":
        text = "online" if row["online"] else "signed off"
    elif kind == "will":
        text = "went silent without a goodbye"
    elif kind == "loss":
        text = f"gave up {row['lost_alerts']} alerts and {row['lost_others']} other messages: its outbox was full"
    elif kind == "seal":
        text = f"sealed {len(row['digests'])} messages from number {row['first']} on"
    elif kind == "reply":
        text = f"{'did' if row['done'] else 'refused'} a command: {row['sentence']}"
    elif kind == "image":
        text = f"sent a picture of {row['sensor']}"
    else:
        text = f"started: {row['info'].get('site', '')} at {_place(row)}"
    line = "".join(c if c.isprintable() else "?" for c in f"{when} {node} {text}")  # a stranger's text, our terminal
    return f"{_COLOURS[row['severity']]}{line}{_PLAIN}" if colour and kind == "alert" else line


def _place(row: dict[str, Any]) -> str:
    lat, lon = row["lat"], row["lon"]
    return f"{abs(lat):.5f}{'N' if lat >= 0 else 'S'} {abs(lon):.5f}{'E' if lon >= 0 else 'W'}"


def _motion(row: dict[str, Any]) -> str:
    return f"{row['sog_mps'] / KNOT_MPS:.1f} kn on {row['cog_deg']:03.0f}"


def _replace_file(path: Path, text: str) -> None:
    draft = path.with_name(path.name + ".new")
    with draft.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
