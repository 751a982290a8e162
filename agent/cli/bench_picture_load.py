"""A thousand boxes, one mosquitto, two consumers of `vigia picture` on one store.

A simulated box here is what the broker and the picture see of one: a session, a birth, an alert and a batch of five
tracks every minute (then every ten seconds), and an ear for its acknowledgements; all of them live in one process.
Measured: how long from publishing an alert to hearing that the picture has it on disk, and what consumers and boxes
cost. Every alert has to be acknowledged, stored once, and shown.
"""

from __future__ import annotations

import heapq
import json
import os
import random
import resource
import select
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from agent.cli.bench_broker import BenchBroker
from agent.geo import LocalFrame
from agent.messages import Alert, AlertState, Likelihood, Severity, Track, TrackStatus
from agent.publish import link as links
from agent.publish import wire
from agent.publish.birth import Birth
from agent.publish.broker import parse
from agent.publish.encoder import Encoder

BOXES = 1000
CONSUMERS = 2
TRACKS = 5
EVERY_S = (60.0, 10.0)  # one run each, of
RUN_S = 60.0
DRAIN_S = 60.0
BORN_S = 1_790_000_000.0


class _Box:
    def __init__(self, number: int, url: str, rng: random.Random) -> None:
        self.node = f"box-{number}"
        self.frame = LocalFrame(lat=36.0 + 0.02 * (number // 40), lon=-6.0 + 0.03 * (number % 40))
        birth = Birth(
            node=self.node, boot=0x10000000 + number, t0_ms=round(time.time() * 1000), ref_e5=(3_600_000, -600_000),
            sensors=("radar",), rules=(("zone-enter", "Reserve"),), zones=("Reserve",), reasons=("zone-enter",),
        )  # fmt: skip
        self.encoder = Encoder(birth, BORN_S)
        self.rng = rng
        self.seq = self.batch = 0
        self.due = 0.0
        self.sent_at: dict[int, float] = {}
        self.latencies: list[float] = []
        options = links.Options(client_id=self.node, keepalive_s=600, session=True)
        self.link = links.open_link(parse(url), options, version5=True)
        self.up = False

    def hear(self, now: float) -> None:
        """Take what has come."""
        for event in self.link.pump(0.0):
            if isinstance(event, links.Connected):
                self.up = True
                self.link.subscribe([wire.topic(self.node, "d", "k")])
                self.link.publish(self.encoder.topic("b"), self.encoder.birth(), retain=True)
            elif isinstance(event, links.Received):
                ack = wire.decode_ack(event.payload)
                for seq in [s for s in self.sent_at if ack.covers(s)]:
                    self.latencies.append(now - self.sent_at.pop(seq))

    def say(self, now: float) -> None:
        """An alert and a batch of tracks."""
        at_s = BORN_S + now
        tracks = [self._track(i, at_s) for i in range(TRACKS)]
        self.batch += 1
        batch = [(t.id, self.encoder.kinematics(t, at_s)) for t in tracks]
        self.link.publish(self.encoder.topic("t"), self.encoder.tracks(batch, self.batch, at_s))
        self.seq += 1
        alert = Alert(
            at_s=at_s, wall_s=at_s, id=self.seq, revision=0, situation=self.seq, rule="zone-enter",
            rule_name="Reserve", state=AlertState.RAISED, severity=Severity.LOW, likelihood=Likelihood.LIKELY,
            reasons=(), reason_codes=("zone-enter",), zone="Reserve", track=tracks[0],
        )  # fmt: skip
        self.sent_at[self.seq] = now
        self.link.publish(self.encoder.topic("a"), self.encoder.alert(alert, self.seq))

    def _track(self, i: int, at_s: float) -> Track:
        lat, lon = self.frame.to_geo(self.rng.uniform(-900.0, 900.0), self.rng.uniform(-900.0, 900.0))
        return Track(
            at_s=at_s, id=i + 1, lat=lat, lon=lon, east_m=0.0, north_m=0.0, cog_deg=90.0, sog_mps=5.0,
            cov=((400.0, 0.0), (0.0, 400.0)), status=TrackStatus.CONFIRMED, sources=("radar",), confidence=0.8,
        )  # fmt: skip


def measure(*, rounds: int, seed: int) -> dict[str, Any]:  # noqa: ARG001 - the shape of all benchmarks
    """The figures."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # a socket a box, here and at the broker
    with tempfile.TemporaryDirectory(prefix="vigia-load-") as name:
        folder = Path(name)
        with BenchBroker(
            folder, "max_connections -1", "max_queued_messages 100000", "max_inflight_messages 1000"
        ) as broker:
            consumers = [_consumer(broker.url, folder / "picture.sqlite") for _ in range(CONSUMERS)]
            try:
                return _run(broker.url, folder / "picture.sqlite", consumers, random.Random(seed))
            finally:
                for consumer in consumers:
                    consumer.kill()
                    consumer.wait()
                    if consumer.stdout is not None:
                        consumer.stdout.close()


def _consumer(url: str, store: Path) -> subprocess.Popen[bytes]:
    command = ["picture", "--broker", url, "--store", str(store), "--group", "bench", "--port", "0"]
    consumer = subprocess.Popen([sys.executable, "-m", "agent.cli.main", *command], stdout=subprocess.PIPE)  # noqa: S603 - our own program
    if consumer.stdout is not None:
        json.loads(consumer.stdout.readline())
    return consumer


def _run(url: str, store: Path, consumers: list[subprocess.Popen[bytes]], rng: random.Random) -> dict[str, Any]:
    boxes = {box.link.fileno(): box for box in (_Box(i, url, rng) for i in range(BOXES))}
    with select.epoll() as ready:
        for descriptor in boxes:
            ready.register(descriptor, select.EPOLLIN)
        while not all(b.up for b in boxes.values()):
            _hear(boxes, ready)
        out: dict[str, Any] = {"boxes": BOXES}
        for every_s in EVERY_S:
            figures = _at_rate(boxes, ready, consumers, every_s, rng)
            out |= {f"every_{every_s:.0f}_s_{k}": v for k, v in figures.items()}
    for box in boxes.values():
        box.link.close()
    db = sqlite3.connect(store)
    stored, births = db.execute("SELECT (SELECT count(*) FROM messages), (SELECT count(*) FROM births)").fetchone()
    shown = db.execute("SELECT count(*) FROM tracks").fetchone()[0]
    db.close()
    return {
        **out, "births_stored": births, "alerts_sent": sum(b.seq for b in boxes.values()), "alerts_stored": stored,
        "tracks_shown": shown, "load_average": round(os.getloadavg()[0], 1),
    }  # fmt: skip


def _at_rate(
    boxes: dict[int, _Box],
    ready: select.epoll,
    consumers: list[subprocess.Popen[bytes]],
    every_s: float,
    rng: random.Random,
) -> dict[str, Any]:
    for box in boxes.values():
        box.latencies.clear()
    began, cpu, own = time.monotonic(), _cpu_s(consumers), time.process_time()
    due = [(began + rng.uniform(0.0, every_s), descriptor) for descriptor in boxes]
    heapq.heapify(due)
    sent = 0
    while time.monotonic() - began < RUN_S:
        _hear(boxes, ready)
        while due[0][0] <= time.monotonic():
            boxes[due[0][1]].say(time.monotonic())
            heapq.heapreplace(due, (due[0][0] + every_s, due[0][1]))
            sent += 2
    ran_s = time.monotonic() - began
    used_s, own_s = _cpu_s(consumers) - cpu, time.process_time() - own
    deadline = time.monotonic() + DRAIN_S
    while any(b.sent_at for b in boxes.values()) and time.monotonic() < deadline:
        _hear(boxes, ready)
    latencies = sorted(x for b in boxes.values() for x in b.latencies)
    return {
        "messages_per_s": round(sent / ran_s),
        "unacknowledged": sum(len(b.sent_at) for b in boxes.values()),
        "disk_to_box_ms_p50": round(1000 * statistics.median(latencies)),
        "disk_to_box_ms_p95": round(1000 * latencies[int(0.95 * len(latencies))]),
        "consumers_cpu": round(used_s / ran_s, 2), "boxes_cpu": round(own_s / ran_s, 2),
    }  # fmt: skip


def _hear(boxes: dict[int, _Box], ready: select.epoll) -> None:
    for descriptor, _ in ready.poll(0.02):
        boxes[descriptor].hear(time.monotonic())


def _cpu_s(consumers: list[subprocess.Popen[bytes]]) -> float:
    """CPU time that the consumers and the processes that show have used (proc(5): utime and stime, ticks of 10 ms)."""
    total = 0.0
    for consumer in consumers:
        children = Path(f"/proc/{consumer.pid}/task/{consumer.pid}/children").read_text(encoding="ascii").split()
        for pid in (str(consumer.pid), *children):
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
            total += (int(fields[11]) + int(fields[12])) / 100.0
    return total
