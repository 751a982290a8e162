"""Draining an outbox, beside bare paho at QoS 1.

Messages a second from the outbox through the publisher with the broker's word as enough, and through paho's own loop
with the same window, against one mosquitto. They are taken in turns, for what else the machine does changes faster
than a run lasts, and the ratio is the median of those of each pair. What limits a box in the field is the token bucket,
which is opened here.
"""

from __future__ import annotations

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
from agent.publish.client import Publisher
from agent.publish.entries import RANK_MEDIUM, Entry
from agent.publish.outbox import Outbox
from agent.publish.sender import Tuning

DRAINED, DRAINS = 4_000, 7
WINDOW = 16
PAYLOAD = bytes(48)
SITE = Site(name="Bench", node="bench", lat=43.0, lon=-8.0, height_m=20.0)


def measure(*, rounds: int, seed: int) -> dict[str, Any]:  # noqa: ARG001 - the shape of all benchmarks
    """The figures."""
    with tempfile.TemporaryDirectory(prefix="vigia-drain-", dir=Path.cwd()) as name, BenchBroker(Path(name)) as broker:
        files = [Path(name) / f"{i}.sqlite" for i in range(DRAINS)]
        pairs = [(_drain_per_s(path, broker), _bare_per_s(broker)) for path in files]
    drain, bare = (statistics.median(side) for side in zip(*pairs, strict=True))
    ratios = sorted(a / b for a, b in pairs)
    return {
        "drain_per_s": round(drain), "bare_paho_per_s": round(bare), "ratio": round(statistics.median(ratios), 2),
        "ratio_least": round(ratios[0], 2), "ratio_most": round(ratios[-1], 2),
    }  # fmt: skip


def _drain_per_s(path: Path, broker: BenchBroker) -> float:
    outbox = Outbox(path, max_bytes=1 << 40)
    outbox.start_boot(1, b"birth", lambda _f, _s: b"")
    outbox.append([
        Entry(kind="a", rank=RANK_MEDIUM, encode=lambda _s: PAYLOAD, key=(i, 0, i)) for i in range(DRAINED)
    ])  # fmt: skip
    config = Publish(broker=broker.url, acknowledge="broker", window=WINDOW)
    tuning = Tuning(backlog_per_s=1e9, backlog_burst=WINDOW, backlog_delay_s=0.0)
    box = Publisher(config, SITE, outbox, SystemClock(), lambda _h: None, tuning=tuning)
    while outbox.totals()[0] >= DRAINED:
        box.turn()
    began, left = time.perf_counter(), outbox.totals()[0]
    while outbox.totals()[0] > 0:
        box.turn()
    took = time.perf_counter() - began
    box.stop(2.0)
    outbox.close()
    return left / took


def _bare_per_s(broker: BenchBroker) -> float:
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="bare", protocol=MQTTProtocolVersion.MQTTv5)
    client.max_inflight_messages_set(WINDOW)
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    began = time.perf_counter()
    infos = [client.publish("s1/bench/u/a", PAYLOAD, qos=1) for _ in range(DRAINED)]
    for info in infos:
        info.wait_for_publish(60.0)
    took = time.perf_counter() - began
    client.loop_stop()
    client.disconnect()
    return DRAINED / took
