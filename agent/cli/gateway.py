"""Examples: vigia gateway cot --picture 127.0.0.1:8490 --to udp://239.2.3.1:6969 --format protobuf.

  vigia gateway nmea --to udp://10.0.0.20:10110        # an ECDIS or a plotter: one TLL sentence a vessel
  vigia gateway geojson --to tcp://10.0.0.30:7000      # one Feature a line

Reads the live picture of `vigia picture --port` over its WebSocket and tells TAK, a plotter or a map: a UDP address
(one vessel a datagram) or tcp://host:port of a server. Every vessel is sent when it has moved on and at least every
--every seconds, with the open alerts about it in its remarks; never as hostile.
"""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import sys
import threading
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from agent.errors import SensorUnavailable, UsageError
from agent.publish.ashore import cot, tll
from agent.publish.ashore.server import geojson, receive_texts

if TYPE_CHECKING:
    import argparse
    from types import FrameType

HELP = (
    "The live picture to other formats. cot: Cursor on Target for TAK, as XML or protobuf; nmea: targets as TLL "
    "sentences; geojson: Features."
)

_RETRY_S = 2.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `vigia gateway`."""
    parser.add_argument("format_name", choices=("cot", "nmea", "geojson"), help="which format")
    parser.add_argument("--picture", default="127.0.0.1:8490", metavar="HOST:PORT", help="of `vigia picture --port`")
    parser.add_argument("--to", required=True, metavar="URL", help="udp://host:port or tcp://host:port")
    parser.add_argument("--format", choices=("xml", "protobuf"), default="xml", help="of cot")
    parser.add_argument("--every", type=float, default=10.0, metavar="S", help="repeat a vessel after so many seconds")
    parser.add_argument(
        "--stale", type=float, default=60.0, metavar="S", help="when TAK shall drop what it hears no more"
    )
    parser.add_argument("--duration", type=float, metavar="S", help="end after so many seconds")


def run(args: argparse.Namespace) -> int:
    """Run until the duration is over, or a signal comes."""
    gateway = _Gateway(args)
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, gateway.stop)
    gateway.run()
    return 0


def _address(text: str, what: str) -> tuple[str, str, int]:
    try:
        parts = urlsplit(text if "://" in text else f"tcp://{text}")
        host, port = parts.hostname, parts.port
    except ValueError as e:
        raise UsageError(f"{what} has a bad port: {e}") from e
    if parts.scheme not in ("udp", "tcp") or not host or not port:
        raise UsageError(f"{what} is written udp://host:port or tcp://host:port")
    return parts.scheme, host, port


class _Gateway:
    def __init__(self, args: argparse.Namespace) -> None:
        self._args = args
        self._picture = _address(args.picture, "--picture")[1:]
        self._scheme = _address(args.to, "--to")[0]
        self._sink = _address(args.to, "--to")[1:]
        self._ends_at = float("inf") if args.duration is None else time.monotonic() + args.duration
        self._source: socket.socket | None = None
        self._socket: socket.socket | None = None
        self._numbers = tll.Numbers()
        self._told: dict[str, tuple[float, dict[str, Any]]] = {}  # uid: when (monotonic), what

    def stop(self, _number: int = 0, _frame: FrameType | None = None) -> None:
        self._ends_at = 0.0
        if self._source is not None:
            with contextlib.suppress(OSError):  # it has ended by itself
                self._source.shutdown(socket.SHUT_RDWR)  # else it would wait for the picture's next word

    def run(self) -> None:
        trouble = ""
        while time.monotonic() < self._ends_at:
            try:
                with socket.create_connection(self._picture, timeout=5.0) as source:
                    self._source = source
                    source.settimeout(60.0)  # a picture pings every 20 s
                    for text in receive_texts(source, f"127.0.0.1:{self._picture[1]}"):
                        self._tell(json.loads(text))
                        trouble = ""
                        if time.monotonic() >= self._ends_at:
                            break
            except (OSError, SensorUnavailable, ValueError) as e:
                if str(e) != trouble:
                    trouble = str(e)
                    print(f"the gateway waits: {e}", file=sys.stderr)
            time.sleep(min(_RETRY_S, max(0.0, self._ends_at - time.monotonic())))
        if self._socket is not None:
            self._socket.close()

    def _tell(self, state: dict[str, Any]) -> None:
        now = time.monotonic()
        alerts: dict[tuple[str, int], list[dict[str, Any]]] = {}
        for alert in state["alerts"]:
            alerts.setdefault((alert["node"], alert["track"]), []).append(alert)
        live = {cot.uid(v): v for v in state["vessels"]}
        for name, vessel in live.items():
            when, before = self._told.get(name, (float("-inf"), {}))
            if now - when >= self._args.every or before.get("at") != vessel["at"]:
                about = [a for m in vessel["members"] for a in alerts.get((m["node"], m["track"]), [])]
                self._send(vessel, state["at"], about)
                self._told[name] = (now, vessel)
        for name in [n for n in self._told if n not in live]:
            self._send({**self._told.pop(name)[1], "status": "lost"}, state["at"], [])
            self._numbers.release(name)

    def _send(self, vessel: dict[str, Any], now: float, alerts: list[dict[str, Any]]) -> None:
        stream = self._scheme == "tcp"
        if self._args.format_name == "nmea":
            if (number := self._numbers.number(cot.uid(vessel))) is None:
                return  # more vessels than there are numbers: those that were told go on
            data = tll.sentence(vessel, number)
        elif self._args.format_name == "geojson":
            data = _feature(vessel, alerts)
        elif self._args.format == "xml":
            data = cot.event_xml(vessel, now, self._args.stale, alerts)
        else:
            data = cot.event_protobuf(vessel, now, self._args.stale, alerts, stream=stream)
        if self._socket is None:
            kind = socket.SOCK_STREAM if stream else socket.SOCK_DGRAM
            self._socket = socket.socket(socket.AF_INET, kind)
            self._socket.settimeout(5.0)
            self._socket.connect(self._sink)
        try:
            self._socket.sendall(data)
        except OSError:
            self._socket.close()
            self._socket = None
            self._told.clear()  # the next connection hears everything
            raise


def _feature(vessel: dict[str, Any], alerts: list[dict[str, Any]]) -> bytes:
    """One vessel as a line of GeoJSON, with the open alerts about it."""
    (feature,) = geojson([vessel])["features"]
    feature["id"] = cot.uid(vessel)
    feature["properties"]["alerts"] = alerts
    return json.dumps(feature, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode() + b"\n"
