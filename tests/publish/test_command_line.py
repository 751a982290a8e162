"""`vigia command` against a running `vigia run`: a judgement, a link profile, and what the box will not do."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from agent.errors import SensorUnavailable
from agent.runtime.status import ask_status
from support.broker import Mosquitto

CONFIG = """
[site]
name = "Commanded"
lat = 43.38
lon = -8.40
height_m = 20.0
[publish]
broker = "{url}"
command_keys = ["{key}"]
commands = ["snapshot", "acknowledge", "profile"]
"""


def vigia(*args: str) -> tuple[int, list[dict[str, Any]], str]:
    done = subprocess.run([sys.executable, "-m", "agent.cli.main", *args], capture_output=True, text=True, check=False)
    return done.returncode, [json.loads(x) for x in done.stdout.splitlines()], done.stderr


class Daemon:
    def __init__(self, config: Path, state: Path) -> None:
        command = ["run", "-c", str(config), "--state", str(state), "--log-level", "error"]
        self.socket = state / "status.sock"
        self.process = subprocess.Popen([sys.executable, "-m", "agent.cli.main", *command])

    def wait(self, wanted: str, value: Any) -> dict[str, Any]:
        deadline = time.monotonic() + 30.0
        publish: dict[str, Any] = {}
        while time.monotonic() < deadline:
            try:
                publish = ask_status(self.socket)["publish"]
            except SensorUnavailable:
                publish = {}
            if publish.get(wanted) == value:
                return publish
            time.sleep(0.1)
        raise AssertionError(publish)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(20)


def test_a_box_does_what_it_is_asked_and_says_so(tmp_path: Path, mosquitto: Mosquitto, stop_all: list[Any]) -> None:
    key = str(tmp_path / "officer.key")
    public = vigia("picture", "--make-key", key)[1][0]["public"]
    config = tmp_path / "c.toml"
    config.write_text(CONFIG.format(url=mosquitto.url, key=public))
    daemon = Daemon(config, tmp_path / "state")
    stop_all.append(daemon)
    daemon.wait("connected", True)
    asked = ["command", "--broker", mosquitto.url, "--node", "commanded", "--key", key, "--wait", "20"]
    code, rows, _ = vigia(*asked, "acknowledge", "alert=7", "by=Ana")
    assert (code, rows[0]["done"]) == (0, True)
    judgement = ask_status(daemon.socket)["judgements"]["7"]
    assert (judgement["verdict"], judgement["by"]) == ("acknowledge", "Ana")
    code, rows, _ = vigia(*asked, "snapshot", "sensor=cam")
    assert (code, rows[0]["sentence"]) == (69, "this box has no camera 'cam'")
    code, rows, _ = vigia(*asked, "reject", "alert=7", "reason=boat")
    assert (code, rows[0]["sentence"]) == (69, "this box does not take the command 'reject'")
    assert vigia(*asked, "profile", "profile=satellite")[0] == 0
    daemon.wait("profile", "satellite")
    (tmp_path / "other.key").write_text("11" * 32)
    stranger = [*asked[:6], str(tmp_path / "other.key"), "--wait", "2"]
    code, rows, error = vigia(*stranger, "acknowledge", "alert=8")
    assert (code, rows) == (69, [])
    assert "did not reply" in error
    assert (tmp_path / "state" / "node.key").stat().st_mode & 0o777 == 0o600
