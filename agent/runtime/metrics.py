"""Figures for Prometheus at http://127.0.0.1:PORT/metrics: opt-in, on this machine only, made from the status.

Source: Prometheus text exposition format 0.0.4.
"""

from __future__ import annotations

import http.server
import re
import threading
from typing import TYPE_CHECKING, Any

from agent.errors import SensorUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STATES = ("starting", "ok", "degraded", "stale", "unavailable", "unsupported")
_HOST = re.compile(r"^(127\.0\.0\.1|localhost)(:\d+)?$")  # a browser that was led here by a name of its own is refused
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class MetricsServer:
    """Answers GET /metrics from `status()`."""

    def __init__(self, port: int, status: Callable[[], dict[str, Any]]) -> None:
        class Handler(http.server.BaseHTTPRequestHandler):
            timeout = 5.0  # of a caller that says nothing

            def do_GET(self) -> None:
                if not _HOST.match(self.headers.get("Host", "")):
                    self.send_error(403)
                    return
                if self.path != "/metrics":
                    self.send_error(404)
                    return
                body = render(status()).encode()
                self.send_response(200)
                self.send_header("Content-Type", CONTENT_TYPE)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
                """Requests are no news."""

        try:
            self._server = http.server.HTTPServer(("127.0.0.1", port), Handler)
        except OSError as e:
            why = f"127.0.0.1:{port} is not free for the metrics: {e.strerror}"
            raise SensorUnavailable(f"{why}; set another [metrics] port") from e
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True)

    def start(self) -> None:
        """Answer, in the background."""
        self._thread.start()

    def stop(self) -> None:
        """Close the port. Idempotent."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join(5.0)
        self._server.server_close()


def render(status: dict[str, Any]) -> str:
    """The status as metrics."""
    return "".join(f"{line}\n" for line in _lines(status))


def _lines(status: dict[str, Any]) -> Iterator[str]:
    publish = status["publish"]
    yield from _metric("vigia_info", "gauge", [({"version": status["version"], "node": status["node"]}, 1.0)])
    yield from _metric(
        "vigia_sensor_state", "gauge",
        [({"sensor": n, "state": s}, int(h["state"] == s)) for n, h in status["sensors"].items() for s in STATES],
    )  # fmt: skip
    yield from _metric(
        "vigia_sensor_figure", "gauge",
        [({"sensor": n, "figure": k}, v) for n, h in status["sensors"].items() for k, v in h["counters"].items()],
    )  # fmt: skip
    rules: list[tuple[dict[str, str], float]] = [({"rule": n}, int(r["suspended"])) for n, r in status["rules"].items()]
    yield from _metric("vigia_rule_suspended", "gauge", rules)
    for name, kind, value in (
        ("vigia_tracks", "gauge", status["tracks"]),
        ("vigia_open_alerts", "gauge", status["open_alerts"]),
        ("vigia_link_connected", "gauge", int(publish["connected"])),
        ("vigia_outbox_messages", "gauge", publish["queued"]),
        ("vigia_outbox_bytes", "gauge", publish["queued_bytes"]),
        ("vigia_messages_sent_total", "counter", publish["sent"]),
        ("vigia_messages_acknowledged_total", "counter", publish["acked"]),
        ("vigia_messages_lost_total", "counter", publish["lost"]),
        ("vigia_events_dropped_total", "counter", sum(status["events_dropped"].values())),
    ):
        yield from _metric(name, kind, [({}, value)])


def _metric(name: str, kind: str, samples: list[tuple[dict[str, str], float]]) -> Iterator[str]:
    yield f"# TYPE {name} {kind}"
    for labels, value in samples:
        inside = ",".join(f'{k}="{_escaped(v)}"' for k, v in labels.items())
        yield f"{name}{{{inside}}} {value}" if inside else f"{name} {value}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
