"""A real mosquitto on a free loopback port, with its faults: down, killed, forgetful, particular about passwords.

Tests that need it skip where it is not installed (Debian: `apt-get install mosquitto`).
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest


def free_port() -> int:
    """A TCP port that nobody listens on at 127.0.0.1."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port: int = s.getsockname()[1]
        return port


def find_mosquitto() -> str | None:
    return shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")


class Mosquitto:
    """One broker on one port over any number of starts. `lines` are extra lines of its configuration."""

    def __init__(self, folder: Path, *lines: str, users: dict[str, str] | None = None, scheme: str = "mqtt") -> None:
        self.folder = folder
        self.port = free_port()
        self.scheme = scheme
        self._process: subprocess.Popen[bytes] | None = None
        if find_mosquitto() is None:
            pytest.skip("mosquitto is not installed")
        if os.geteuid() == 0:
            lines = ("user root", *lines)  # it would drop to a user who cannot read the test's folder
        if users is not None:
            lines = (*lines, "allow_anonymous false", f"password_file {self._passwords(users)}")
        else:
            lines = (*lines, "allow_anonymous true")
        config = [f"listener {self.port} 127.0.0.1", "persistence false", *lines, ""]
        (folder / "mosquitto.conf").write_text("\n".join(config))

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def start(self) -> None:
        program = find_mosquitto()
        assert program is not None
        with (self.folder / "mosquitto.log").open("ab") as log:
            self._process = subprocess.Popen(
                [program, "-c", str(self.folder / "mosquitto.conf")], stdout=log, stderr=log
            )
        for _ in range(500):
            with socket.socket() as s:
                if s.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert self._process.poll() is None, (self.folder / "mosquitto.log").read_text()
            time.sleep(0.02)
        raise AssertionError("mosquitto did not start")

    def stop(self) -> None:
        """Down at once; without persistence it forgets everything."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        self.stop()
        self.start()

    def _passwords(self, users: dict[str, str]) -> Path:
        path = self.folder / "passwords"
        path.write_text("".join(f"{name}:{password}\n" for name, password in users.items()))
        path.chmod(0o600)
        tool = shutil.which("mosquitto_passwd", path=os.environ.get("PATH", "") + ":/usr/bin")
        if tool is None:
            pytest.skip("mosquitto_passwd is not installed")
        subprocess.run([tool, "-U", str(path)], check=True, capture_output=True)
        return path
