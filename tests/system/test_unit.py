"""The systemd unit as systemd itself judges it, and the notifications that the daemon sends."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from .conftest import Daemon
from .test_bad_input import SITE

UNIT = Path(__file__).resolve().parents[2] / "systemd" / "vigia.service"


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit with a program that exists here in place of the installed one."""
    assert shutil.which("systemd-analyze") is not None
    path = tmp_path / "vigia.service"
    path.write_text(UNIT.read_text().replace("/usr/bin/vigia", "/bin/true"))
    return path


def test_systemd_has_nothing_to_say_against_it(unit: Path) -> None:
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""
    assert done.returncode == 0


def test_exposure_stays_at_most_1_5(unit: Path) -> None:
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=15", str(unit)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    found = re.search(r"Overall exposure level for vigia.service: ([\d.]+)", done.stdout)
    assert found is not None, done.stdout + done.stderr
    assert float(found.group(1)) <= 1.5


def test_the_daemon_speaks_to_systemd(daemon: Daemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(address)
        s.settimeout(20.0)
        monkeypatch.setitem(os.environ, "NOTIFY_SOCKET", address)
        monkeypatch.setitem(os.environ, "WATCHDOG_USEC", "2000000")
        daemon.start(SITE)
        heard = [s.recv(1000) for _ in range(4)]
        assert any(m.startswith(b"READY=1") for m in heard)
        assert heard.count(b"WATCHDOG=1") >= 2
        assert daemon.process is not None
        daemon.process.send_signal(signal.SIGHUP)
        while not (m := s.recv(1000)).startswith(b"RELOADING=1"):
            assert m == b"WATCHDOG=1"
        daemon.process.terminate()
        while s.recv(1000) != b"STOPPING=1":
            pass
        assert daemon.process.wait(20) == 0
