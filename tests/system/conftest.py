"""The daemon as a process, with everything around it real."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.errors import SensorUnavailable
from agent.runtime.status import ask_status
from support.broker import Mosquitto


class Daemon:
    """`vigia run` on a configuration's text."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "vigia.toml"
        self.state = folder / "s"
        self.log = folder / "agent.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, text: str | None = None, *args: str) -> None:
        if text is not None:
            self.config.write_text(text, encoding="utf-8")
        with self.log.open("ab") as log:
            command = [
                sys.executable,
                "-m",
                "agent.cli.main",
                "run",
                "-c",
                str(self.config),
                "--state",
                str(self.state),
            ]
            self.process = subprocess.Popen([*command, *args], stderr=log)

    def status(self) -> dict[str, Any]:
        return ask_status(self.state / "status.sock")

    def wait(self, wanted: Any, timeout_s: float = 30.0) -> dict[str, Any]:
        """Until `wanted(status)` holds."""
        deadline = time.monotonic() + timeout_s
        status: dict[str, Any] = {}
        while time.monotonic() < deadline:
            assert self.process is not None
            assert self.process.poll() is None, self.log.read_text()
            try:
                status = self.status()
            except SensorUnavailable:
                time.sleep(0.05)
                continue
            if wanted(status):
                return status
            time.sleep(0.1)
        raise AssertionError(f"not reached in {timeout_s} s: {status}\n{self.log.read_text()}")

    def sensor(self, name: str, state: str, timeout_s: float = 30.0) -> str:
        """Wait for a sensor's state; its evidence."""
        status = self.wait(lambda s: s["sensors"].get(name, {}).get("state") == state, timeout_s)
        return str(status["sensors"][name]["evidence"])

    def stop(self) -> int:
        if self.process is None:
            return 0
        self.process.terminate()
        try:
            code = self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            self.process = None
        return code


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    d = Daemon(tmp_path)
    yield d
    if d.process is not None and d.process.poll() is None:
        d.process.kill()
        d.process.wait()


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    folder = tmp_path / "mosquitto"
    folder.mkdir()
    broker = Mosquitto(folder)
    broker.start()
    yield broker
    broker.stop()
