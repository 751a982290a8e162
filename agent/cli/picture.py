"""Examples: vigia picture --broker mqtt://localhost --store p.sqlite --port 8490; vigia picture --make-key officer.key.

Receives from all boxes, stores, acknowledges, and serves the live picture on loopback: /state.json, /tracks.geojson and
a WebSocket at /ws. Several of them with one --store and one --group share the work (MQTT 5 shared subscription); any of
them may die. On stdout: one JSON object with the port, then with --json one object for everything that is new.
"""

from __future__ import annotations

import json
import random
import secrets
import signal
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.errors import SensorUnavailable, UsageError, VigiaError
from agent.publish import broker as brokers
from agent.publish import cose, wire
from agent.publish import link as links
from agent.publish.ashore.retention import STEP
from agent.publish.ashore.showing import Showing
from agent.publish.ashore.store import PictureStore
from agent.publish.trust import Trust, read_keys

if TYPE_CHECKING:
    import argparse
    from types import FrameType

HELP = "The picture's side: receives, stores, acknowledges, and serves the live state on loopback."

_BATCH_S, _BATCH_MAX_S = 0.05, 2.0  # group commit: for as long as the last one took, so that half the time is receiving
_TIDY_S = 60.0
_RETRY_MAX_S = 15.0
_SHARED = ("a", "t", "h", "n", "l", "v", "r", "i")
_ALL = ("b", "s")  # retained ones do not come through a shared subscription, and every consumer needs them
TRACK_KEPT_S = 900.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `vigia picture`."""
    parser.add_argument("--broker", metavar="URL", help="mqtt://host:port or mqtts://host:port")
    parser.add_argument("--store", type=Path, metavar="FILE", help="SQLite file; made on first use")
    parser.add_argument("--group", metavar="NAME", help="share the work with others of this name and --store")
    parser.add_argument("--port", type=int, metavar="N", help="serve the live picture on 127.0.0.1:N (0: any free one)")
    parser.add_argument("--json", action="store_true", help="print what is new, one JSON object a line")
    parser.add_argument("--keys", type=Path, metavar="FILE", help="lines of NODE and its key: only these are believed")
    parser.add_argument("--mac-key", metavar="FILE", help="the secret that alerts' MACs are made with")
    parser.add_argument("--track-age", type=float, default=TRACK_KEPT_S, metavar="S", help="tracks older than this go")
    parser.add_argument("--keep-days", type=_positive, metavar="N", help="give up messages that are older")
    parser.add_argument("--keep-mb", type=_positive, metavar="N", help="give up the oldest when the store holds more")
    parser.add_argument("--duration", type=float, metavar="S", help="end after so many seconds")
    parser.add_argument("--make-key", type=Path, metavar="FILE", help="make a key for commands, print its public half")
    parser.add_argument("--username", metavar="NAME")
    parser.add_argument("--password-file", metavar="FILE")
    parser.add_argument("--ca-file", metavar="FILE")
    parser.add_argument("--cert-file", metavar="FILE")
    parser.add_argument("--key-file", metavar="FILE")


def _positive(text: str) -> float:
    value = float(text)
    if not 0.0 < value < 1e9:
        raise ValueError(text)  # argparse makes it a sentence
    return value


def run(args: argparse.Namespace) -> int:
    """Receive until the duration is over, or a signal comes."""
    if args.make_key is not None:
        print(json.dumps({"key": str(args.make_key), "public": cose.load_or_make(args.make_key).public.hex()}))
        return 0
    if args.broker is None or args.store is None:
        raise UsageError("vigia picture needs --broker and --store (see `vigia picture --help`)")
    if args.group is not None and (not args.group or any(c in args.group for c in "/+#")):
        raise UsageError("--group is a name without /, + or #")
    try:
        broker = brokers.parse(
            args.broker, username=args.username, password_file=args.password_file, ca_file=args.ca_file,
            cert_file=args.cert_file, key_file=args.key_file,
        )  # fmt: skip
    except VigiaError as e:
        raise UsageError(str(e)) from e
    keys = None if args.keys is None else read_keys(args.keys)
    secret = None if args.mac_key is None else cose.read_secret(args.mac_key)
    with ExitStack() as stack:
        store = PictureStore(args.store, Trust(keys, strict=keys is not None, mac_secret=secret))
        stack.callback(store.close)
        showing = None
        if args.port is not None:
            showing = Showing(args.store, args.port, args.track_age)
            stack.callback(showing.close)
            print(json.dumps({"port": showing.port}), flush=True)
        picture = Picture(
            broker, store, group=args.group, showing=showing, track_age_s=args.track_age,
            keep_s=float("inf") if args.keep_days is None else args.keep_days * 86_400.0,
            keep_bytes=None if args.keep_mb is None else round(args.keep_mb * 1e6),
        )  # fmt: skip
        picture.tell = args.json
        stack.callback(picture.close)
        if args.duration is not None:
            picture.ends_at = time.monotonic() + args.duration
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                stack.callback(signal.signal, number, signal.signal(number, picture.stop))
        picture.run()
    return 0


class Picture:
    """One consumer."""

    def __init__(
        self,
        broker: brokers.Broker,
        store: PictureStore,
        *,
        group: str | None = None,
        showing: Showing | None = None,
        track_age_s: float = TRACK_KEPT_S,
        keep_s: float = float("inf"),
        keep_bytes: int | None = None,
    ) -> None:
        self._broker, self._store, self._group, self._showing = broker, store, group, showing
        self._track_age_s = track_age_s
        self._keep_s, self._keep_bytes = keep_s, keep_bytes
        self._link: links.Link | None = None
        self._failures = 0
        self._took_s = 0.0
        self._next_tidy = 0.0
        self._next_told = 0.0
        self._errors_told = 0
        self.tell = False
        self.ends_at = float("inf")

    def stop(self, _number: int = 0, _frame: FrameType | None = None) -> None:
        """End soon."""
        self.ends_at = 0.0

    def close(self) -> None:
        """Hang up."""
        if self._link is not None:
            self._link.close()

    def run(self) -> None:
        """Receive until told to stop.

        Raises:
            InputError: the store does not take what comes.
            SensorUnavailable: the broker lets nothing be read, or nothing shows the picture any more.

        """
        while time.monotonic() < self.ends_at:
            if self._link is None:
                self._dial()
            else:
                self._pump(self._link)
            self._tidy()
            self._show()

    def _dial(self) -> None:
        options = links.Options(client_id=f"vigia-picture-{secrets.token_hex(4)}")
        try:
            self._link = links.open_link(self._broker, options, version5=True)
        except SensorUnavailable as e:
            self._lost(str(e))

    def _lost(self, sentence: str) -> None:
        self._link = None
        if self._failures == 0:
            print(f"{sentence} Trying again.", file=sys.stderr)
        delay = min(_RETRY_MAX_S, 0.25 * 2.0 ** min(self._failures, 10)) * random.uniform(0.5, 1.0)
        self._failures += 1
        time.sleep(max(0.0, min(delay, self.ends_at - time.monotonic())))

    def _pump(self, link: links.Link) -> None:
        """What comes within the time of a group commit is one transaction, then one round of acknowledgements."""
        received: list[links.Received] = []
        until = time.monotonic() + max(0.5, self._took_s)
        connected = False
        while time.monotonic() < until and len(received) < 5000:
            for event in link.pump(max(0.0, until - time.monotonic())):
                if isinstance(event, links.Received):
                    if not received:
                        until = min(until, time.monotonic() + max(_BATCH_S, self._took_s))
                    received.append(event)
                elif isinstance(event, links.Connected):
                    self._subscribe(link)
                    connected, until = True, time.monotonic()
                elif isinstance(event, links.Subscribed) and event.refused is not None:
                    raise SensorUnavailable(f"{self._broker.name} does not let this user read: {event.refused}.")
                elif isinstance(event, links.Closed):
                    self._take(None, received)
                    self._lost(event.sentence)
                    return
        self._take(link, received, everything=connected)

    def _subscribe(self, link: links.Link) -> None:
        self._failures = 0
        share = "" if self._group is None else f"$share/{self._group}/"
        link.subscribe([f"{share}{wire.topic('+', 'u', kind)}" for kind in _SHARED])
        link.subscribe([wire.topic("+", "u", kind) for kind in _ALL])

    def _take(self, link: links.Link | None, received: list[links.Received], *, everything: bool = False) -> None:
        new: list[dict[str, Any]] = []
        began = time.monotonic()
        if received:
            now = round(time.time(), 3)
            with self._store.batch() as new:
                for event in received:
                    self._store.feed(event.topic, event.payload, now)
        if link is not None:
            with link.together():
                for topic, payload in self._store.acknowledgements(everything=everything):
                    link.publish(topic, payload, retain=True)
        self._took_s = min(_BATCH_MAX_S, time.monotonic() - began)
        if self.tell:
            for row in new:
                print(json.dumps(row, ensure_ascii=False, separators=(",", ":"), allow_nan=False), flush=True)
        if self._store.errors > self._errors_told:
            self._errors_told = self._store.errors
            print(f"A message could not be read: {self._store.last_error}", file=sys.stderr)

    def _tidy(self) -> None:
        """Once a minute, and at once again while there is much: give up what is older, or more, than is to be kept."""
        if time.monotonic() < self._next_tidy:
            return
        now = time.time()
        with self._store.batch():
            self._store.forget_tracks(now - max(self._track_age_s, TRACK_KEPT_S))
            many = self._store.retire(now - self._keep_s, self._keep_bytes) >= STEP
        self._next_tidy = time.monotonic() + (0.0 if many else _TIDY_S)

    def _show(self) -> None:
        """What only this consumer knows, once a second, to the process that shows."""
        if self._showing is not None and time.monotonic() >= self._next_told:
            self._next_told = time.monotonic() + 1.0
            self._showing.tell({"errors": self._store.errors, "repeats": self._store.repeats})
