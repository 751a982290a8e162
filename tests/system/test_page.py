"""The operator's page of a running daemon: how one gets in, and that its token stands nowhere else."""

from __future__ import annotations

import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from system.conftest import Daemon

SITE = '[site]\nname = "Cabo"\nlat = 36.0\nlon = -5.6\nheight_m = 20\n'


def vigia(*args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "agent.cli.main", *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_status_gives_the_link_and_nothing_else_gives_the_token(daemon: Daemon) -> None:
    daemon.start(SITE + "[web]\nenabled = true\nport = 0\n")
    status = daemon.wait(lambda s: s["page"] is not None)
    done = vigia("status", "--page", "--state", str(daemon.state))
    link = done.stdout.strip()
    address, _, token = link.partition("?token=")
    assert address == status["page"]
    assert len(token) >= 43
    assert (daemon.state / "page.token").stat().st_mode & 0o777 == 0o600
    with urllib.request.urlopen(link, timeout=10) as answer:  # noqa: S310 - our own http link
        assert b"<title>" in answer.read()
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(address + "state.json", timeout=10)  # noqa: S310 - as above
    assert daemon.process is not None
    assert token not in str(daemon.status()) + daemon.log.read_text()
    for process in family(daemon.process.pid):
        for name in ("cmdline", "environ"):
            assert token.encode() not in (process / name).read_bytes()
    assert daemon.stop() == 0


def family(pid: int) -> list[Path]:
    """A process and its children in /proc."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    threads = [Path(t) for t in Path(f"/proc/{pid}/task").iterdir()]
    children += [c for t in threads for c in (t / "children").read_text().split()]
    return [Path(f"/proc/{p}") for p in {str(pid), *children}]


def test_no_page_is_one_sentence(daemon: Daemon) -> None:
    daemon.start(SITE)
    daemon.wait(lambda s: "page" in s)
    done = vigia("status", "--page", "--state", str(daemon.state))
    assert done.returncode == 69
    assert done.stderr == "the page does not answer: set [web] enabled = true and start the daemon anew\n"
    assert daemon.stop() == 0
