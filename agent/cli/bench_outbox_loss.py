"""What is lost in a crash and in an outage: the outbox beside plain paho-mqtt with QoS 1, in one run.

Both are processes that are told on stdin how many messages to take, answer when they have accepted them, and publish to
one real mosquitto without persistence. Ours is heard by `vigia watch --ack`; paho's by a subscriber with a session, as
its documentation recommends. Crash: the broker is away, both accept messages, both are killed (SIGKILL) and started
anew. Outage: the broker is away for a minute while both go on accepting. Lost is what was accepted and not heard.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from agent.cli.bench_broker import BenchBroker
from agent.clock import SystemClock
from agent.config.schema import Publish, Site
from agent.messages import Alert, AlertState, Likelihood, Severity, Track, TrackStatus
from agent.publish.client import Publisher
from agent.publish.outbox import Outbox

CRASH = 200  # messages accepted before the kill
OUTAGE_S, EVERY_S = 60.0, 0.1
SETTLE_S = 45.0
SITE = Site(name="Bench", node="bench", lat=43.0, lon=-8.0, height_m=20.0)
SIDES = ("outbox", "paho")


def measure(*, rounds: int, seed: int) -> dict[str, Any]:  # noqa: ARG001 - the shape of all benchmarks
    """The figures."""
    with tempfile.TemporaryDirectory(prefix="vigia-loss-") as name:
        return _Run(Path(name)).run()


class _Run:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.broker = BenchBroker(folder)
        self.accepted = dict.fromkeys(SIDES, 0)
        self.heard_of_paho: set[int] = set()
        self.sides: dict[str, subprocess.Popen[str]] = {}

    def run(self) -> dict[str, Any]:
        self.broker.start()
        watch = self._watch()
        listener = self._listener()
        try:
            for side in SIDES:
                self._start(side)
            self._accept(10)
            self._settle()
            self.broker.stop()
            self._accept(CRASH)
            for side in SIDES:
                self.sides[side].kill()
                self.sides[side].wait()
            self.broker.start()
            for side in SIDES:
                self._start(side)
            crash = self._lost()
            before = dict(self.accepted)
            self.broker.stop()
            until = time.monotonic() + OUTAGE_S
            while time.monotonic() < until:
                self._accept(1)
                time.sleep(EVERY_S)
            self.broker.start()
            outage = self._lost()
        finally:
            listener.loop_stop()
            for process in (*self.sides.values(), watch):
                process.kill()
                process.wait()
            self.broker.stop()
        return {
            **{f"crash_{s}_lost": crash[s] for s in SIDES}, "crash_accepted": CRASH,
            **{f"outage_{s}_lost": outage[s] - crash[s] for s in SIDES},
            "outage_accepted": self.accepted["outbox"] - before["outbox"], "outage_s": OUTAGE_S,
        }  # fmt: skip

    def _watch(self) -> subprocess.Popen[str]:
        files = ["--out", str(self.folder / "heard.jsonl"), "--state", str(self.folder / "heard.state")]
        command = [sys.executable, "-m", "agent.cli.main", "watch", "--broker", self.broker.url, "--ack", *files]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True)  # noqa: S603 - ours

    def _listener(self) -> mqtt.Client:
        client = _paho("listener")
        client.on_connect = lambda c, *_: c.subscribe("bare/#", qos=1)
        client.on_message = lambda _c, _d, m: self.heard_of_paho.add(int(m.payload))
        client.connect("127.0.0.1", self.broker.port, clean_start=False, properties=_session())
        client.loop_start()
        return client

    def _start(self, side: str) -> None:
        command = [sys.executable, "-m", "agent.cli.bench_outbox_loss", side, str(self.folder), str(self.broker.port)]
        self.sides[side] = subprocess.Popen(  # noqa: S603 - this module
            [*command, str(self.accepted[side])], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        _stream(self.sides[side].stdout).readline()

    def _accept(self, count: int) -> None:
        for side in SIDES:
            stdin = _stream(self.sides[side].stdin)
            stdin.write(f"{count}\n")
            stdin.flush()
            _stream(self.sides[side].stdout).readline()
            self.accepted[side] += count

    def _lost(self) -> dict[str, int]:
        """What has not come although the broker is back for as long as it takes, or `SETTLE_S`."""
        self._settle()
        return {side: self.accepted[side] - self._heard(side) for side in SIDES}

    def _settle(self) -> None:
        deadline = time.monotonic() + SETTLE_S
        while time.monotonic() < deadline and any(self._heard(s) < self.accepted[s] for s in SIDES):
            time.sleep(0.5)

    def _heard(self, side: str) -> int:
        if side == "paho":
            return len(self.heard_of_paho)
        path = self.folder / "heard.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return len({row["id"] for row in map(json.loads, lines) if row["type"] == "alert"})


def _stream(stream: IO[str] | None) -> IO[str]:
    if stream is None:
        raise RuntimeError("a pipe was asked for")
    return stream


def _paho(name: str) -> mqtt.Client:
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=name, protocol=MQTTProtocolVersion.MQTTv5)
    client.reconnect_delay_set(1, 2)
    return client


def _session() -> Properties:
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho has no types here
    properties.SessionExpiryInterval = 3600
    return properties


def _plain_paho(port: int, first: int) -> None:
    client = _paho("sender")
    client.connect_async("127.0.0.1", port, clean_start=False, properties=_session())
    client.loop_start()
    print("ready", flush=True)
    for line in sys.stdin:
        for i in range(first, first + int(line)):
            client.publish("bare/a", str(i), qos=1)
        first += int(line)
        print("accepted", flush=True)


def _outbox(folder: Path, port: int, first: int) -> None:
    clock = SystemClock()
    config = Publish(broker=f"mqtt://127.0.0.1:{port}", retry_max_s=2.0)
    box = Publisher(config, SITE, Outbox(folder / "outbox.sqlite", max_bytes=1 << 30), clock, lambda _h: None)
    box.start()
    print("ready", flush=True)
    for line in sys.stdin:
        box.submit_alerts([_alert(i + 1, clock.now().t_s) for i in range(first, first + int(line))])
        first += int(line)
        print("accepted", flush=True)


def _alert(number: int, at_s: float) -> Alert:
    track = Track(
        at_s=at_s, id=number, lat=43.01, lon=-8.01, east_m=0.0, north_m=0.0, cog_deg=0.0, sog_mps=5.0, cov=(),
        status=TrackStatus.CONFIRMED, sources=("radar",),
    )  # fmt: skip
    return Alert(
        at_s=at_s, wall_s=at_s, id=number, revision=0, situation=number, rule="zone-enter", rule_name="x",
        state=AlertState.RAISED, severity=Severity.HIGH, likelihood=Likelihood.LIKELY, reasons=(), reason_codes=(),
        zone=None, track=track,
    )  # fmt: skip


if __name__ == "__main__":
    if sys.argv[1] == "paho":
        _plain_paho(int(sys.argv[3]), int(sys.argv[4]))
    else:
        _outbox(Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
