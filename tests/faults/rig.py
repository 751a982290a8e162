"""A whole box for one fault: mosquitto, a picture that acknowledges, sensors, `vigia run`; and the verdict at the end.

`lost` and `double` compare what the outbox had committed (its own table of alert steps) with what the picture wrote.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from agent.errors import SensorUnavailable
from agent.runtime.status import ask_status
from support.broker import Mosquitto

from .devices import Ais, Device

CONFIG = """\
[site]
name = "faults"
lat = 43.38
lon = -8.40
height_m = 20.0
exercise = true
[[zone]]
name = "Z"
polygon = [[43.38, -8.45], [43.38, -8.35], [43.43, -8.35], [43.43, -8.45]]
[[rule]]
name = "in"
kind = "zone-enter"
zone = "Z"
[publish]
broker = "{broker}"
puback_timeout_s = 3
retry_max_s = 2
keepalive_s = 5
{publish}
[storage]
checkpoint_s = {checkpoint_s}
"""
WAIT_S = 90.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One row of the table."""

    fault: str
    report: str
    reported_s: float | None
    recovered_s: float | None
    committed: int
    lost: int
    double: int


class Rig:
    """Use as a context manager; `start` brings it up."""

    def __init__(self, folder: Path, device: Device | None = None) -> None:
        self.folder = folder
        self.state = folder / "s"
        self.config = folder / "vigia.toml"
        (folder / "m").mkdir()
        self.mosquitto = Mosquitto(folder / "m")
        self.ais = Ais(folder)
        self.device = device or self.ais
        self.devices = {d.name: d for d in (self.ais, self.device)}
        self.publish = ""
        self.checkpoint_s = 3
        self.broker = self.mosquitto.url
        self.command = [sys.executable, "-m", "agent.cli.main"]
        self._watch = [*self.command, "watch"]
        self.daemon: subprocess.Popen[bytes] | None = None
        self._picture: subprocess.Popen[bytes] | None = None
        self._closing = contextlib.ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in (self.daemon, self._picture):
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()
        for device in self.devices.values():
            device.close()
        self.mosquitto.stop()
        self._closing.close()

    def start(self) -> None:
        """Everything up, the device believed, and a first alert at the picture."""
        self.mosquitto.start()
        for device in self.devices.values():
            device.start()
        self.write(self.text())
        files = ["--out", str(self.folder / "picture.jsonl"), "--state", str(self.folder / "picture.state")]
        self._picture = subprocess.Popen(
            [*self._watch, "--broker", self.mosquitto.url, "--ack", "--wait", "120", *files],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.run_daemon()
        self.until(lambda s: all(s["sensors"].get(n, {}).get("state") == "ok" for n in self.devices), "all sensors ok")
        self.until(lambda s: s["publish"]["acked"] > 0 and s["open_alerts"] > 0, "alerts reach the picture")
        self.until(
            lambda _: '"type":"alert"' in (self.folder / "picture.jsonl").read_text(), "an alert is written down"
        )

    def text(self) -> str:
        return CONFIG.format(broker=self.broker, publish=self.publish, checkpoint_s=self.checkpoint_s) + "".join(
            d.table() for d in self.devices.values()
        )

    def write(self, text: str) -> None:
        self.config.write_text(text, encoding="utf-8")

    def run_daemon(self) -> None:
        with (self.folder / "agent.log").open("ab") as log:
            command = [*self.command, "run", "-c", str(self.config), "--state", str(self.state)]
            self.daemon = subprocess.Popen(command, stderr=log)

    def status(self) -> dict[str, Any] | None:
        try:
            return ask_status(self.state / "status.sock")
        except SensorUnavailable:
            return None

    def until(self, true: Callable[[dict[str, Any]], Any], what: str, timeout_s: float = WAIT_S) -> tuple[float, Any]:
        """(seconds, what `true(status)` gave) when it first gave something."""
        began = time.monotonic()
        status: dict[str, Any] | None = None
        while time.monotonic() - began < timeout_s:
            if (status := self.status()) is not None and (value := true(status)):
                return time.monotonic() - began, value
            time.sleep(0.1)
        log = (self.folder / "agent.log").read_text(errors="replace")
        raise AssertionError(f"not in {timeout_s:g} s: {what}\n{json.dumps(status)}\n{log[-4000:]}")

    def child(self, name: str) -> int:
        """The process of a camera or radar."""
        assert self.daemon is not None
        children = Path(f"/proc/{self.daemon.pid}/task/{self.daemon.pid}/children")
        tasks = Path(f"/proc/{self.daemon.pid}/task")
        pids = {int(p) for t in tasks.iterdir() for p in (t / "children").read_text().split()}
        assert children.exists()
        (pid,) = [p for p in pids if b"agent.runtime.child" in Path(f"/proc/{p}/cmdline").read_bytes()]
        assert name in self.devices
        return pid

    def signal(self, number: signal.Signals) -> None:
        assert self.daemon is not None
        self.daemon.send_signal(number)

    def kill(self) -> None:
        """Kill -9, and wait until it is gone."""
        assert self.daemon is not None
        self.daemon.kill()
        self.daemon.wait()

    def finish(self, fault: str, report: str, reported_s: float | None, recovered_s: float | None) -> Verdict:
        """Let everything arrive, stop, and compare."""
        self.ais.set("freeze")
        still, before = 0, -1
        deadline = time.monotonic() + WAIT_S
        while still < 4 and time.monotonic() < deadline:
            time.sleep(0.5)
            if (status := self.status()) is not None:
                quiet = status["publish"]["queued"] == 0 and status["open_alerts"] == before
                before, still = status["open_alerts"], still + 1 if quiet else 0
        assert self.daemon is not None
        self.daemon.terminate()
        assert self.daemon.wait(30) == 0
        committed = self._committed()
        rows = [json.loads(line) for line in (self.folder / "picture.jsonl").read_text(encoding="utf-8").splitlines()]
        steps = [(a["id"], a["revision"]) for a in rows if a["type"] == "alert"]
        return Verdict(
            fault=fault, report=report, reported_s=reported_s, recovered_s=recovered_s, committed=len(committed),
            lost=len(committed - set(steps)), double=len(steps) - len(set(steps)),
        )  # fmt: skip

    def _committed(self) -> set[tuple[int, int]]:
        with contextlib.closing(sqlite3.connect(self.state / "outbox.sqlite", timeout=20.0)) as db:
            return {(int(a), int(r)) for a, r in db.execute("SELECT alert, revision FROM keys")}

    def mount(self, *command: str) -> None:
        """A file system of its own for the state; gone with the rig."""
        self.state.mkdir()
        subprocess.run(["mount", *command, str(self.state)], check=True, capture_output=True)
        self._closing.callback(subprocess.run, ["umount", "-l", str(self.state)], check=False)

    def on_close(self, action: Callable[[], object]) -> None:
        self._closing.callback(action)


def can_mount() -> bool:
    return os.geteuid() == 0
