"""One box of the chaos: its agent, broker, picture, link and disk, killed again and again, and the verdict.

A round starts the agent and kills it: while it starts, at any time after, or at a moment that is waited for
(chaos_aims.py); by SIGKILL, or by a power cut. Meanwhile the wall clock may step, the disk fill up, the broker die and
come back without a memory, the picture die. What was committed is read, while the agent is dead, from a copy of its
outbox (to open it would mend it for the next start): from the table of alert steps, which outlives the messages. What
was on the wire had been committed before, so a power cut must not undo it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import random
import resource
import shutil
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.cli.chaos_aims import AT_COMMIT, AT_LINK, Trap, Writes
from agent.cli.chaos_coast import CONFIG, Coast, Tap
from agent.cli.chaos_disk import Disk
from agent.cli.chaos_fork import Forked, Nursery
from agent.cli.chaos_relay import FAULTS, Relay
from agent.errors import SensorUnavailable
from agent.runtime.status import ask_status

if TYPE_CHECKING:
    from collections.abc import Callable

DRAIN_S = 300.0  # at most
QUIET_S = 8
START_S = 300.0  # for an agent to start or stop, on a machine that has other things to do
HUB_EVERY = 3  # so many starts of a broker is the simulator's hub instead of mosquitto, from the second on
OFF_EVERY = 5  # so many starts of the agent have a wall clock that is an hour off, from the second on
TOLD_EVERY = 25  # rounds
AIMED = 0.6  # of the rounds wait for a moment
EARLY = 0.1  # ... and so many are killed while the agent starts
CUT = 0.25  # of the kills of an agent that had started are power cuts
EARLY_S = 1.0
LATE_S = 3.5  # from "in the middle of the first commit" to "in the middle of sending and acknowledging"
_SIOCSIFFLAGS, _IFF_UP = 0x8914, 1  # linux/sockios.h, linux/if.h
WRONG = ("lost", "double", "reordered", "raised_again", "repeats_that_differ")
SWITCH_S = 0.0005  # between threads: a kill that waits for its moment is to come at that moment
PATIENCE_S = 30.0  # for a moment to come
SHARES = {"clock": 0.33, "disk": 0.2, "broker": 0.15, "picture": 0.15}  # of the rounds in which it happens


class Box:
    """Everything of it in `folder`, its chances from `seed`."""

    def __init__(self, folder: Path, mosquitto: str, rounds: int, seed: int) -> None:
        self.folder, self.program, self.rounds = folder, mosquitto, rounds
        self.random = random.Random(seed)
        self.mqtt, self.udp = _free(socket.SOCK_STREAM), _free(socket.SOCK_DGRAM)
        self.relay = Relay(self.mqtt, self.random)
        self.disk = Disk(folder)
        self.state = self.disk.folder / "state"
        self.state.mkdir()
        self.counts: Counter[str] = Counter()
        self.starts: Counter[str] = Counter()
        (folder / "c.toml").write_text(CONFIG.format(udp=self.udp, mqtt=self.relay.port), encoding="utf-8")
        lines = [f"listener {self.mqtt} 127.0.0.1", "allow_anonymous true", "persistence false", "user root", ""]
        (folder / "mosquitto.conf").write_text("\n".join(lines), encoding="utf-8")
        self.broker: subprocess.Popen[bytes] | None = None
        self.picture: Forked | None = None
        self.agent: Forked | None = None
        self.committed: set[tuple[int, int]] = set()
        self.torn = False  # whether the last outbox that was looked at ends inside a commit
        self.tap = Tap()
        self.nursery = Nursery()

    def run(self, enough: threading.Event) -> dict[str, Any]:
        """All rounds, or those until `enough`; the figures."""
        coast = Coast(self.udp)
        coast.start()
        with ExitStack() as stack:
            stack.callback(self.disk.close)
            stack.enter_context(self.nursery)
            stack.callback(self.relay.close)
            stack.callback(self._set_broker, up=False)
            stack.callback(self._set_picture, up=False)
            stack.callback(self._kill_agent)
            stack.callback(coast.stop.set)
            for i in range(self.rounds):
                self._round(up=i % 2 == 0)
                if self.counts["rounds"] % TOLD_EVERY == 0:
                    said = f"  {self.counts['rounds']} rounds, {len(self.committed)} durable"
                    print(said, file=sys.stderr, flush=True)
                if enough.is_set():
                    break
            coast.stop.set()
            self._finish()
            verdict = self._verdict()
            if any(verdict[k] for k in WRONG) or self.counts["undone_by_power_cuts"]:
                kept = Path(tempfile.mkdtemp(prefix="vigia-chaos-kept-"))
                shutil.copytree(
                    self.folder, kept, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.sock", "*.ext4")
                )
                print(f"  a promise is broken: {verdict}; everything is kept in {kept}", file=sys.stderr, flush=True)
        return {
            **{k: self.counts[k] for k in (
                "rounds", "rounds_broker_down", "rounds_link_slow", "rounds_link_torn", "rounds_link_deaf",
                "rounds_disk_full", "rounds_with_the_hub", "clock_steps", "brokers_restarted", "pictures_killed",
                "kills_at_start", "kills_at_random", "kills_at_commit", "kills_at_send", "kills_at_puback",
                "kills_at_acknowledgement", "moments_that_did_not_come", "kills_inside_a_commit", "power_cuts",
                "undone_by_power_cuts",
            )},
            "connections_torn": self.relay.cuts, "pubacks_withheld": self.relay.withheld, **verdict,
        }  # fmt: skip

    # ------------------------------------------------------------------ a round

    def _round(self, *, up: bool) -> None:
        self.counts["rounds_broker_down"] += not up
        self._set_broker(up=up)
        self._set_picture(up=up and self.random.random() < 0.8)
        self.relay.fault = self.random.choice(FAULTS) if up else "none"
        self.counts[f"rounds_link_{self.relay.fault}"] += 1
        chance = self.random.random()
        agent = self._agent()
        if chance < EARLY:
            self._early(agent)
        else:
            self._late(agent, self._choose(up=up) if chance < EARLY + AIMED else "random")
        self._kill_agent()
        self.disk.empty()
        self.counts["rounds"] += 1
        self._note_committed()

    def _early(self, agent: Forked) -> None:
        time.sleep(self.random.uniform(0.0, EARLY_S))
        if agent.ended():
            raise SensorUnavailable("the agent ended by itself while it started")
        self.counts["kills_at_start"] += 1

    def _choose(self, *, up: bool) -> str:
        """A moment: half of them commits, and all where there is no link."""
        links = [at for at in AT_LINK if up and (self.picture is not None or at != "acknowledgement")]
        return self.random.choice([*AT_COMMIT] * max(1, len(links)) + links)

    def _late(self, agent: Forked, aim: str) -> None:
        """Until the agent has started and then to the kill, or the power cut, whatever else happens meanwhile."""
        alive = threading.Event()
        cut = self.disk.cuttable and self.random.random() < CUT
        done: list[str] = []
        acting = threading.Lock()

        def act() -> None:
            """Once, whoever comes first: the moment that is waited for, or the end of patience."""
            with acting:
                if done:
                    return
                done.append("cut" if cut and alive.is_set() else "kill")
                if done == ["cut"]:
                    self.disk.cut()
                agent.send_signal(signal.SIGKILL)

        trap = None if aim == "random" else Trap(aim, self.random, act)
        writes = None
        if trap is not None and aim in AT_COMMIT:
            writes = Writes(self.state, "outbox.sqlite-wal", trap)
            writes.start()
        self.relay.trap = trap
        try:
            self._wait_alive(agent, trap, alive)
            self._live_through(agent, trap)
        finally:
            self.relay.trap = None
            if writes is not None:
                writes.stop()
        sprung = trap is not None and trap.sprung.is_set()
        act()
        self.counts[f"kills_at_{aim if sprung else 'random'}"] += 1
        self.counts["moments_that_did_not_come"] += trap is not None and not sprung
        if done == ["cut"]:
            agent.wait()
            self.disk.power_up()
            self.counts["power_cuts"] += 1
            self.counts["undone_by_power_cuts"] += len((self.committed | self.tap.steps) - self._steps())

    def _live_through(self, agent: Forked, trap: Trap | None) -> None:
        """The agent's life after its start, with what happens in it."""
        left_s = self.random.uniform(0.0, LATE_S) if trap is None else PATIENCE_S
        events: dict[str, Callable[[], None]] = {
            "clock": lambda: self._step_clock(agent), "disk": lambda: self._fill_the_disk(agent),
            "broker": self._restart_broker, "picture": self._restart_picture,
        }  # fmt: skip
        happening = sorted(
            (self.random.uniform(0.0, min(left_s, LATE_S)), n) for n in events if self.random.random() < SHARES[n]
        )
        began = time.monotonic()
        for at, name in [*happening, (left_s, "")]:
            wait_s = max(0.0, began + at - time.monotonic())
            if trap is None:
                time.sleep(wait_s)
            elif trap.sprung.wait(wait_s):
                return
            if name:
                with contextlib.suppress(OSError):  # the power may be cut meanwhile
                    events[name]()

    def _step_clock(self, agent: Forked) -> None:
        self.counts["clock_steps"] += 1
        agent.send_signal(signal.SIGUSR2)

    def _fill_the_disk(self, agent: Forked) -> None:
        """For a while the disk is full, or the kernel refuses writes beyond the end of the log."""
        self.counts["rounds_disk_full"] += 1
        left = self.random.randint(0, 30_000)
        if self.disk.cuttable and self.random.random() < 0.5:
            self.disk.fill(left)
        else:
            wal = self.state / "outbox.sqlite-wal"
            size = (wal.stat().st_size if wal.exists() else 0) + left
            self._limit(agent, size)
        time.sleep(self.random.uniform(0.2, 1.5))
        if self.random.random() < 0.5:  # else it is killed with the disk still full
            self._limit(agent, resource.RLIM_INFINITY)
            self.disk.empty()

    def _limit(self, agent: Forked, size: int) -> None:
        if not agent.ended():
            resource.prlimit(agent.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    # ------------------------------------------------------------------ who takes part

    def _agent(self) -> Forked:
        self.starts["agent"] += 1
        off_s = self.random.choice((-3600.0, 3600.0)) if self.starts["agent"] % OFF_EVERY == 2 else 0.0
        self.counts["clock_steps"] += off_s != 0.0
        files = ["-c", str(self.folder / "c.toml"), "--state", str(self.state)]
        self.agent = self.nursery.start("run", *files, "--log-level", "error", off_s=off_s)
        return self.agent

    def _kill_agent(self) -> None:
        if self.agent is not None:
            self.agent.send_signal(signal.SIGKILL)
            self.agent.wait()

    def _wait_alive(self, agent: Forked, trap: Trap | None, alive: threading.Event) -> None:
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            if trap is not None and trap.sprung.is_set():
                return
            if agent.ended() and (trap is None or not trap.sprung.wait(START_S)):
                raise SensorUnavailable("the agent ended by itself")
            with socket.socket(socket.AF_UNIX) as s:  # it listens; on a busy machine an answer may take long
                if s.connect_ex(str(self.state / "status.sock")) == 0:
                    alive.set()
                    return
            time.sleep(0.02)
        raise SensorUnavailable("the agent did not come up")

    def _set_broker(self, *, up: bool) -> None:
        if up and self.broker is None:
            command = [self.program, "-c", str(self.folder / "mosquitto.conf")]
            self.starts["broker"] += 1
            if self.starts["broker"] % HUB_EVERY == 2:  # another broker, which knows nothing of the first
                command = [sys.executable, "-m", "hardware_sim", "hub", "--port", str(self.mqtt)]
                self.counts["rounds_with_the_hub"] += 1
            self.broker = subprocess.Popen(  # noqa: S603 - found above, or our own program
                command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            for _ in range(1000):
                with socket.socket() as s:
                    if s.connect_ex(("127.0.0.1", self.mqtt)) == 0:
                        break
                time.sleep(0.02)
            if self.broker.poll() is not None:
                raise SensorUnavailable(f"the broker has ended: another program may have port {self.mqtt}")
            self.tap.connect(self.mqtt)
        elif not up and self.broker is not None:
            self.tap.close()
            self.broker.kill()
            self.broker.wait()
            self.broker = None

    def _restart_broker(self) -> None:
        """It dies while the agent lives, and one that knows nothing takes its place."""
        if self.broker is not None:
            self.counts["brokers_restarted"] += 1
            self._set_broker(up=False)
            self._set_broker(up=True)

    def _set_picture(self, *, up: bool) -> None:
        if up and self.picture is None:
            files = ["--out", str(self.folder / "picture.jsonl"), "--state", str(self.folder / "picture.state")]
            broker = f"mqtt://127.0.0.1:{self.mqtt}"
            self.picture = self.nursery.start("watch", "--broker", broker, "--ack", "--wait", "30", *files, quiet=True)
        elif not up and self.picture is not None:
            self.picture.send_signal(signal.SIGKILL)
            self.picture.wait()
            self.picture = None

    def _restart_picture(self) -> None:
        if self.picture is not None:
            self.counts["pictures_killed"] += 1
            self._set_picture(up=False)
            self._set_picture(up=True)

    # ------------------------------------------------------------------ what came of it

    def _steps(self) -> set[tuple[int, int]]:
        """Alert steps in the outbox, from a copy: opening the file would mend it before the agent does."""
        path = self.state / "outbox.sqlite"
        if not path.exists():
            return set()
        aside = self.folder / "aside"
        aside.mkdir(exist_ok=True)
        for old in aside.iterdir():
            old.unlink()
        for suffix in ("", "-wal"):
            if path.with_name(path.name + suffix).exists():
                shutil.copyfile(path.with_name(path.name + suffix), aside / (path.name + suffix))
        self.torn = _ends_inside_a_commit(aside / (path.name + "-wal"))
        db = sqlite3.connect(aside / path.name)
        try:
            if not self.committed and not db.execute("SELECT 1 FROM sqlite_schema").fetchall():
                return set()  # its first start was killed before the tables were there
            return {(int(a), int(b)) for a, b in db.execute("SELECT alert, revision FROM keys")}
        finally:
            db.close()

    def _note_committed(self) -> None:
        self.committed |= self._steps() | self.tap.steps
        self.counts["kills_inside_a_commit"] += self.torn

    def _finish(self) -> None:
        """Everything works again, for as long as it takes until all has arrived."""
        self.relay.fault = "none"
        self._set_broker(up=True)
        self._set_picture(up=True)
        agent = self._agent()
        self._wait_alive(agent, None, threading.Event())
        self._drain()
        agent.send_signal(signal.SIGTERM)
        if not agent.wait(START_S):
            raise SensorUnavailable("the agent does not end")
        self._note_committed()

    def _drain(self) -> None:
        """Until the coast has been quiet and the outbox empty for a while: vessels under way still enter."""
        deadline = time.monotonic() + DRAIN_S
        still, before = 0, -1
        while still < QUIET_S and time.monotonic() < deadline:
            time.sleep(1.0)
            status = _status(self.state / "status.sock")
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


def _ends_inside_a_commit(wal: Path) -> bool:
    """Whether a log's frames go on behind its last commit (SQLite's file format, section 4)."""
    data = wal.read_bytes() if wal.exists() else b""
    if len(data) < 32:
        return False
    page, salts, at, open_frames = int.from_bytes(data[8:12], "big"), data[16:24], 32, 0
    while data[at + 8 : at + 16] == salts:
        open_frames = 0 if int.from_bytes(data[at + 4 : at + 8], "big") else open_frames + 1
        at += 24 + page
    return open_frames > 0


def _status(path: Path) -> dict[str, Any] | None:
    try:
        return ask_status(path)
    except SensorUnavailable:
        return None


def _free(kind: socket.SocketKind) -> int:
    with socket.socket(socket.AF_INET, kind) as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def _loopback_up() -> None:
    """In a network of one's own it is down; elsewhere nothing changes."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        fcntl.ioctl(s, _SIOCSIFFLAGS, struct.pack("16sh", b"lo", _IFF_UP))


def main() -> None:
    """`python -m agent.cli.chaos_box MOSQUITTO ROUNDS SEED`: one JSON line; SIGTERM ends it after the round."""
    program, rounds, seed = sys.argv[1:]
    if os.geteuid() == 0:
        _loopback_up()
    enough = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: enough.set())
    sys.setswitchinterval(SWITCH_S)
    with tempfile.TemporaryDirectory(prefix="vigia-chaos-") as folder:
        print(json.dumps(Box(Path(folder), program, int(rounds), int(seed)).run(enough)))


if __name__ == "__main__":
    main()
