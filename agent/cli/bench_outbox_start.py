"""Start with a million messages queued, beside an empty outbox.

From opening the file to the first new alert at a subscriber, with the real publisher and a real mosquitto; the two
outboxes take turns. The million is written into the file's own tables, as a year without a link would leave it.
"""

from __future__ import annotations

import queue
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from agent.cli.bench_broker import BenchBroker
from agent.clock import SystemClock
from agent.config.schema import Publish, Site
from agent.messages import Alert, AlertState, Likelihood, Severity, Track, TrackStatus
from agent.publish.client import Publisher
from agent.publish.entries import RANK_MEDIUM
from agent.publish.outbox import ROW_BYTES, Outbox
from agent.publish.sender import Tuning

QUEUED = 1_000_000
STARTS = 5
PAYLOAD = bytes(48)
SITE = Site(name="Bench", node="bench", lat=43.0, lon=-8.0, height_m=20.0)


def measure(*, rounds: int, seed: int) -> dict[str, Any]:  # noqa: ARG001 - the shape of all benchmarks
    """The figures."""
    with tempfile.TemporaryDirectory(prefix="vigia-start-", dir=Path.cwd()) as name:
        folder = Path(name)
        with BenchBroker(folder) as broker:
            full, empty = folder / "full.sqlite", folder / "empty.sqlite"
            for path, count in ((full, QUEUED), (empty, 0)):
                _fill(path, count)
            times: dict[Path, list[float]] = {full: [], empty: []}
            for _ in range(STARTS):
                for path, took in times.items():
                    took.append(_start_s(path, broker))
    with_million, with_none = statistics.median(times[full]), statistics.median(times[empty])
    return {
        "queued": QUEUED, "start_s_with_a_million": round(with_million, 3), "start_s_with_none": round(with_none, 3),
        "ratio": round(with_million / with_none, 2),
    }  # fmt: skip


def _fill(path: Path, count: int) -> None:
    box = Outbox(path, max_bytes=1 << 40)
    box.start_boot(1, b"birth", lambda _f, _s: b"")
    box.close()
    db = sqlite3.connect(path)
    rows = ((1, i, "a", RANK_MEDIUM, i, PAYLOAD) for i in range(1, count + 1))
    db.executemany("INSERT INTO messages (boot, seq, kind, rank, alert, payload) VALUES (?, ?, ?, ?, ?, ?)", rows)
    keys = ((i, 0, i, i) for i in range(1, count + 1))
    db.executemany("INSERT INTO keys (alert, revision, at_ds, id) VALUES (?, ?, ?, ?)", keys)
    db.execute("UPDATE boots SET next_seq = ?", (count + 1,))
    totals = (count, count * (len(PAYLOAD) + ROW_BYTES), count)
    db.execute("UPDATE totals SET messages = ?, bytes = ?, last_id = ?", totals)
    db.commit()
    db.close()


def _start_s(path: Path, broker: BenchBroker) -> float:
    heard: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    listener = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    listener.on_message = lambda _c, _d, m: heard.put(bytes(m.payload))
    listener.on_subscribe = lambda *_: heard.put(b"ready")
    listener.connect("127.0.0.1", broker.port)
    listener.subscribe("s1/bench/u/a", qos=1)
    listener.loop_start()
    heard.get(timeout=10.0)
    began = time.perf_counter()
    outbox = Outbox(path, max_bytes=1 << 40)
    clock = SystemClock()
    # the backlog waits: what is measured is the way of something new past it
    tuning = Tuning(backlog_delay_s=3600.0)
    box = Publisher(Publish(broker=broker.url), SITE, outbox, clock, lambda _h: None, tuning=tuning)
    box.start()
    box.submit_alerts([_alert(clock.now().t_s)])
    heard.get(timeout=60.0)
    took = time.perf_counter() - began
    box.stop(2.0)
    outbox.close()
    listener.loop_stop()
    listener.disconnect()
    return took


def _alert(at_s: float) -> Alert:
    track = Track(
        at_s=at_s, id=1, lat=43.01, lon=-8.01, east_m=0.0, north_m=0.0, cog_deg=0.0, sog_mps=5.0, cov=(),
        status=TrackStatus.CONFIRMED, sources=("radar",),
    )  # fmt: skip
    return Alert(
        at_s=at_s, wall_s=at_s, id=round(at_s * 1000), revision=0, situation=1, rule="zone-enter", rule_name="x",
        state=AlertState.RAISED, severity=Severity.HIGH, likelihood=Likelihood.LIKELY, reasons=(), reason_codes=(),
        zone=None, track=track,
    )  # fmt: skip
