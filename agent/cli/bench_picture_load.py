"""A thousand boxes, one mosquitto, two consumers of `vigia picture` on one store.

A simulated box here is what the broker and the picture see of one: a session, a birth, an alert and a batch of five
tracks every minute, and an ear for its acknowledgements; all of them live in one process. Measured: how long from
publishing an alert to hearing that the picture has it on disk, and what the consumers cost. Every alert has to be
acknowledged, stored once, and shown.
"""

from __future__ import annotations

import json
import os
import random
import resource
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
from agent.publish.wire import Encoder

BOXES = 1000
CONSUMERS = 2
EVERY_S = 60.0
TRACKS = 5
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
        self.due = time.monotonic() + rng.uniform(0.0, EVERY_S)
        self.sent_at: dict[int, float] = {}
        self.latencies: list[float] = []
        options = links.Options(client_id=self.node, keepalive_s=600, session=True)
        self.link = links.open_link(parse(url), options, version5=True)
        self.up = False

    def pump(self, now: float, *, sending: bool) -> None:
        for event in self.link.pump(0.0):
            if isinstance(event, links.Connected):
                self.up = True
                self.link.subscribe([wire.topic(self.node, "d", "k")])
                self.link.publish(self.encoder.topic("b"), self.encoder.birth(), retain=True)
            elif isinstance(event, links.Received):
                ack = wire.decode_ack(event.payload)
                for seq in [s for s in self.sent_at if ack.covers(s)]:
                    self.latencies.append(now - self.sent_at.pop(seq))
        if self.up and sending and now >= self.due:
            self.due += EVERY_S
            self._say(now)

    def _say(self, now: float) -> None:
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
        with BenchBroker(folder, "max_connections -1", "max_queued_messages 100000") as broker:
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
    boxes = [_Box(i, url, rng) for i in range(BOXES)]
    while not all(b.up for b in boxes):
        for box in boxes:
            box.pump(time.monotonic(), sending=False)
    began, cpu = time.monotonic(), _cpu_s(consumers)
    for box in boxes:
        box.due = began + rng.uniform(0.0, EVERY_S)
    while time.monotonic() - began < RUN_S:
        _round(boxes, sending=True)
    ran_s, used_s = time.monotonic() - began, _cpu_s(consumers) - cpu
    deadline = time.monotonic() + DRAIN_S
    while any(b.sent_at for b in boxes) and time.monotonic() < deadline:
        _round(boxes, sending=False)
    for box in boxes:
        box.link.close()
    db = sqlite3.connect(store)
    stored, births = db.execute("SELECT (SELECT count(*) FROM messages), (SELECT count(*) FROM births)").fetchone()
    shown = db.execute("SELECT count(*) FROM tracks").fetchone()[0]
    db.close()
    latencies = sorted(x for b in boxes for x in b.latencies)
    sent = sum(b.seq for b in boxes)
    return {
        "boxes": BOXES, "births_stored": births, "alerts_sent": sent, "alerts_stored": stored,
        "alerts_unacknowledged": sum(len(b.sent_at) for b in boxes), "tracks_shown": shown,
        "messages_per_s": round((sent + sum(b.batch for b in boxes)) / ran_s),
        "disk_to_box_ms_p50": round(1000 * statistics.median(latencies)),
        "disk_to_box_ms_p95": round(1000 * latencies[int(0.95 * len(latencies))]),
        "consumers_cpu": round(used_s / ran_s, 2),
        "load_average": round(os.getloadavg()[0], 1),
    }  # fmt: skip


def _round(boxes: list[_Box], *, sending: bool) -> None:
    began = time.monotonic()
    for box in boxes:
        box.pump(time.monotonic(), sending=sending)
    time.sleep(max(0.0, 0.05 - (time.monotonic() - began)))


def _cpu_s(consumers: list[subprocess.Popen[bytes]]) -> float:
    """CPU time that the consumers have used (proc(5): utime and stime in ticks of 10 ms)."""
    total = 0.0
    for consumer in consumers:
        fields = Path(f"/proc/{consumer.pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
        total += (int(fields[11]) + int(fields[12])) / 100.0
    return total
