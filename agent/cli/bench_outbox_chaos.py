"""kill -9, again and again: every committed alert reaches the picture, once, whatever dies when.

A real mosquitto without persistence (every third time that a broker starts the simulator's hub in its place), the
real agent fed with AIS over UDP, and `vigia watch --ack` as the picture, which is itself killed now and then so that
acknowledgements are withheld. Between agent and broker is a link that is slow, torn in the middle of packets, or
loses the broker's PUBACKs; in one round of five the disk is full for a while; in one of three the box' wall clock
steps by an hour, and every fifth start is an hour off. What was committed is read, while the agent is dead, from the
outbox's own table of alert steps, which outlives the messages; what arrived, from the picture's file and from a third
client that sees every repeat on the wire.

SIGTERM ends it after the round that runs, with the verdict on the rounds so far: a thousand take hours.
"""

from __future__ import annotations

import json
import random
import resource
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from pyais import encode_dict

from agent.cli.chaos_relay import FAULTS, Relay
from agent.errors import SensorUnavailable
from agent.geo import LocalFrame
from agent.runtime.status import ask_status

SITE = LocalFrame(lat=43.38, lon=-8.40)
DRAIN_S = 300.0  # at most
QUIET_S = 8
START_S = 60.0  # for an agent to start or stop, on a machine that has other things to do
HUB_EVERY = 3  # so many starts of a broker is the simulator's hub instead of mosquitto, from the second on
OFF_EVERY = 5  # so many starts of the agent have a wall clock that is an hour off, from the second on
TOLD_EVERY = 50  # rounds
NEW_PER_S = 8.0  # vessels that enter the zone each second
# The agent with a wall clock that is off by its first argument, and by something else after SIGUSR2.
STEPPED = """
import random, signal, sys, time
real, off = time.time, [float(sys.argv.pop(1))]
time.time = lambda: real() + off[0]
def step(*_):
    off[0] = random.choice([x for x in (-3600.0, 0.0, 3600.0) if x != off[0]])
signal.signal(signal.SIGUSR2, step)
from agent.cli.main import main
sys.exit(main())
"""
CONFIG = """
[site]
name = "chaos"
lat = 43.38
lon = -8.40
height_m = 20.0
exercise = true
[[sensor]]
name = "ais-1"
driver = "ais"
url = "udp://127.0.0.1:{udp}"
[[zone]]
name = "Z"
polygon = [[43.38, -8.45], [43.38, -8.35], [43.43, -8.35], [43.43, -8.45]]
[[rule]]
name = "in"
kind = "zone-enter"
zone = "Z"
[publish]
broker = "mqtt://127.0.0.1:{mqtt}"
puback_timeout_s = 2
retry_max_s = 2
"""


class Coast(threading.Thread):
    """Vessels that enter the zone one after the other, heard by AIS over UDP."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self._port = port
        self.stop = threading.Event()
        self.entered = 0

    def run(self) -> None:
        """Each vessel is heard five times a second apart while it runs north across the border at 8 m/s."""
        began = time.monotonic()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            while not self.stop.wait(1.0):
                now = time.monotonic() - began
                newest = int(now * NEW_PER_S)
                for i in range(max(0, newest - int(NEW_PER_S * 14)), newest):
                    age = now - i / NEW_PER_S
                    s.sendto(_report(i, north_m=-40.0 + 8.0 * age), ("127.0.0.1", self._port))
                self.entered = max(0, newest - int(NEW_PER_S * 6))


def _report(i: int, north_m: float) -> bytes:
    lat, lon = SITE.to_geo(-3000.0 + 173.0 * (i % 35), north_m)
    fields: dict[str, str | int | float | bytes | bool] = {
        "type": 1,
        "mmsi": 200_000_000 + i,
        "lat": lat,
        "lon": lon,
        "speed": 15.6,
        "course": 0.0,
        "heading": 0,
    }
    return "".join(line + "\r\n" for line in encode_dict(fields, talker_id="AI", radio_channel="A")).encode()


class Tap:
    """A third client: every alert payload on the wire, repeats included."""

    def __init__(self) -> None:
        self.payloads: dict[tuple[Any, ...], set[bytes]] = {}
        self.repeats = 0
        self._client: mqtt.Client | None = None

    def connect(self, port: int) -> None:
        """Listen at a broker that has just come up."""
        client = mqtt.Client(CallbackAPIVersion.VERSION2)
        client.on_message = lambda _c, _u, m: self._take(bytes(m.payload))
        client.connect("127.0.0.1", port)
        client.subscribe("s1/+/u/a", qos=1)
        client.loop_start()
        self._client = client

    def close(self) -> None:
        """Stop listening."""
        if self._client is not None:
            self._client.loop_stop()
            self._client = None

    def _take(self, payload: bytes) -> None:
        import cbor2  # noqa: PLC0415 - only this client looks inside

        row = cbor2.loads(payload)
        seen = self.payloads.setdefault((row[1], row[2]), set())
        self.repeats += bool(seen)
        seen.add(payload)


def measure(*, rounds: int, seed: int) -> dict[str, Any]:
    """Run the chaos; the figures.

    Raises:
        SensorUnavailable: mosquitto is not installed.

    """
    program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
    if program is None:
        raise SensorUnavailable("mosquitto is not installed; on Debian: apt-get install mosquitto")
    enough = threading.Event()
    before = signal.signal(signal.SIGTERM, lambda *_: enough.set())
    try:
        with tempfile.TemporaryDirectory(prefix="vigia-chaos-") as folder:
            return _Chaos(Path(folder), program, rounds, seed).run(enough)
    finally:
        signal.signal(signal.SIGTERM, before)


class _Chaos:
    def __init__(self, folder: Path, program: str, rounds: int, seed: int) -> None:
        self.folder, self.program, self.rounds = folder, program, rounds
        self.random = random.Random(seed)
        self.mqtt, self.udp = _free(socket.SOCK_STREAM), _free(socket.SOCK_DGRAM)
        self.relay = Relay(self.mqtt, self.random)
        self.faults: Counter[str] = Counter()
        self.starts: Counter[str] = Counter()
        (folder / "c.toml").write_text(CONFIG.format(udp=self.udp, mqtt=self.relay.port), encoding="utf-8")
        lines = [f"listener {self.mqtt} 127.0.0.1", "allow_anonymous true", "persistence false", "user root", ""]
        (folder / "mosquitto.conf").write_text("\n".join(lines), encoding="utf-8")
        self.broker: subprocess.Popen[bytes] | None = None
        self.picture: subprocess.Popen[bytes] | None = None
        self.committed: set[tuple[int, int]] = set()
        self.tap = Tap()

    def run(self, enough: threading.Event) -> dict[str, Any]:
        coast = Coast(self.udp)
        coast.start()
        kills = down = 0
        agent = None
        try:
            for i in range(self.rounds):
                up = i % 2 == 0
                down += not up
                self._set_broker(up=up)
                self._set_picture(up=up and self.random.random() < 0.8)
                self.relay.fault = self.random.choice(FAULTS) if up else "none"
                self.faults[self.relay.fault] += up
                agent = self._agent()
                self._wait_alive(agent)
                if self.random.random() < 0.33:
                    self.faults["clock"] += 1
                    agent.send_signal(signal.SIGUSR2)
                if self.random.random() < 0.2:
                    self._fill_the_disk(agent)
                # from "in the middle of the first commit" to "in the middle of sending and acknowledging"
                time.sleep(self.random.uniform(0.0, 3.5))
                agent.send_signal(signal.SIGKILL)
                agent.wait()
                kills += 1
                self._note_committed()
                if kills % TOLD_EVERY == 0:
                    print(f"  {kills} rounds, {len(self.committed)} durable", file=sys.stderr, flush=True)
                if enough.is_set():
                    break
            coast.stop.set()
            self.relay.fault = "none"
            self._set_broker(up=True)
            self._set_picture(up=True)
            agent = self._agent()
            self._drain()
            agent.send_signal(signal.SIGTERM)
            agent.wait(START_S)
            self._note_committed()
        finally:
            coast.stop.set()
            if agent is not None and agent.poll() is None:
                agent.kill()
            self._set_picture(up=False)
            self._set_broker(up=False)
            self.relay.close()
        links = {
            f"rounds_link_{k}": v for k, v in sorted(self.faults.items()) if k not in ("none", "disk", "hub", "clock")
        }
        return {
            "rounds": kills, "rounds_broker_down": down, **links, "rounds_disk_full": self.faults["disk"],
            "rounds_with_the_hub": self.faults["hub"], "clock_steps": self.faults["clock"],
            "connections_torn": self.relay.cuts, "pubacks_withheld": self.relay.withheld, **self._verdict(),
        }  # fmt: skip

    def _fill_the_disk(self, agent: subprocess.Popen[bytes]) -> None:
        """For a while the kernel refuses the agent's writes beyond where its files are now: in the middle of one."""
        self.faults["disk"] += 1
        wal = self.folder / "state" / "outbox.sqlite-wal"
        size = (wal.stat().st_size if wal.exists() else 0) + self.random.randint(0, 30_000)
        resource.prlimit(agent.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
        time.sleep(self.random.uniform(0.2, 1.5))
        if self.random.random() < 0.5:  # else it is killed with the disk still full
            resource.prlimit(agent.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    def _agent(self) -> subprocess.Popen[bytes]:
        command = [
            "run",
            "-c",
            str(self.folder / "c.toml"),
            "--state",
            str(self.folder / "state"),
            "--log-level",
            "error",
        ]
        self.starts["agent"] += 1
        off_s = self.random.choice((-3600.0, 3600.0)) if self.starts["agent"] % OFF_EVERY == 2 else 0.0
        self.faults["clock"] += off_s != 0.0
        return subprocess.Popen([sys.executable, "-c", STEPPED, str(off_s), *command])  # noqa: S603 - our own program

    def _wait_alive(self, agent: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            if agent.poll() is not None:
                raise SensorUnavailable(f"the agent ended by itself with {agent.returncode}")
            if _status(self.folder / "state" / "status.sock") is not None:
                return
            time.sleep(0.05)
        raise SensorUnavailable("the agent did not come up")

    def _set_broker(self, *, up: bool) -> None:
        if up and self.broker is None:
            command = [self.program, "-c", str(self.folder / "mosquitto.conf")]
            self.starts["broker"] += 1
            if self.starts["broker"] % HUB_EVERY == 2:  # another broker, which knows nothing of the first
                command = [sys.executable, "-m", "hardware_sim", "hub", "--port", str(self.mqtt)]
                self.faults["hub"] += 1
            self.broker = subprocess.Popen(  # noqa: S603 - found above, or our own program
                command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            for _ in range(1000):
                with socket.socket() as s:
                    if s.connect_ex(("127.0.0.1", self.mqtt)) == 0:
                        break
                time.sleep(0.02)
            self.tap.connect(self.mqtt)
        elif not up and self.broker is not None:
            self.tap.close()
            self.broker.kill()
            self.broker.wait()
            self.broker = None

    def _set_picture(self, *, up: bool) -> None:
        if up and self.picture is None:
            files = ["--out", str(self.folder / "picture.jsonl"), "--state", str(self.folder / "picture.state")]
            command = ["watch", "--broker", f"mqtt://127.0.0.1:{self.mqtt}", "--ack", "--wait", "30", *files]
            self.picture = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-m", "agent.cli.main", *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
        elif not up and self.picture is not None:
            self.picture.kill()
            self.picture.wait()
            self.picture = None

    def _note_committed(self) -> None:
        path = self.folder / "state" / "outbox.sqlite"
        if path.exists():
            self.committed |= {(int(a), int(b)) for a, b in _ask(path, "SELECT alert, revision FROM keys")}

    def _drain(self) -> None:
        """Until the coast has been quiet and the outbox empty for a while: vessels under way still enter."""
        deadline = time.monotonic() + DRAIN_S
        still, before = 0, -1
        while still < QUIET_S and time.monotonic() < deadline:
            time.sleep(1.0)
            status = _status(self.folder / "state" / "status.sock")
            if status is None:
                continue
            quiet = status["publish"]["queued"] == 0 and status["open_alerts"] == before
            before = status["open_alerts"]
            still = still + 1 if quiet else 0

    def _verdict(self) -> dict[str, Any]:
        lines = [json.loads(x) for x in (self.folder / "picture.jsonl").read_text(encoding="utf-8").splitlines()]
        alerts = [a for a in lines if a["type"] == "alert"]
        steps = [(a["id"], a["revision"]) for a in alerts]
        raised = [a for a in alerts if a["state"] == "raised"]
        order: dict[int, list[int]] = {}
        for alert_id, revision in steps:
            order.setdefault(alert_id, []).append(revision)
        vessels = [a.get("mmsi") for a in raised]
        return {
            "durable": len(self.committed),
            "received": len(set(steps)),
            "lost": len(self.committed - set(steps)),
            "double": len(steps) - len(set(steps)),
            "reordered": sum(r != sorted(r) for r in order.values()),
            "raised_again": len(vessels) - len(set(vessels)),
            "repeats_on_the_wire": self.tap.repeats,
            "repeats_that_differ": sum(len(p) > 1 for p in self.tap.payloads.values()),
        }


def _status(path: Path) -> dict[str, Any] | None:
    try:
        return ask_status(path)
    except SensorUnavailable:
        return None


def _ask(path: Path, query: str) -> list[tuple[Any, ...]]:
    """Rows of a dead agent's outbox."""
    db = sqlite3.connect(path, timeout=20.0)
    try:
        return db.execute(query).fetchall()
    finally:
        db.close()


def _free(kind: socket.SocketKind) -> int:
    with socket.socket(socket.AF_INET, kind) as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])
