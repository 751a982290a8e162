"""The operator's page of a running daemon: how one gets in, and that its token stands nowhere else."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from http.client import HTTPMessage
from pathlib import Path

import cv2
import numpy as np
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


def test_the_cameras_picture_loads_where_the_pages_script_looks_for_it(daemon: Daemon) -> None:
    """As a browser that has followed the link: its cookie, its Sec-Fetch headers, the address of the script's img."""
    (daemon.folder / "pictures").mkdir()
    image = np.random.default_rng(1).integers(0, 255, (360, 640, 3), np.uint8)
    cv2.imwrite(str(daemon.folder / "pictures" / "1.jpg"), image)
    url = f"file://{daemon.folder}/pictures/?fps=2&loop=1"
    sensor = f'[[sensor]]\nname = "cam-1"\ndriver = "camera"\nurl = "{url}"\n'
    daemon.start(SITE + "[web]\nenabled = true\nport = 0\n" + sensor)
    address = daemon.wait(lambda s: s["page"] is not None)["page"]
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())

    def load(what: str, kind: str) -> tuple[bytes, HTTPMessage]:
        headers = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Dest": kind, "Referer": address}
        with browser.open(urllib.request.Request(address + what, headers=headers), timeout=10) as answer:  # noqa: S310 - ours
            return answer.read(), answer.headers

    browser.open(vigia("status", "--page", "--state", str(daemon.state)).stdout.strip(), timeout=10).close()
    page, headers = load("", "document")
    assert b'src="page.js"' in page
    policy = dict(p.split(None, 1) for p in headers["Content-Security-Policy"].split(";") if " " in p.strip())
    assert "'self'" in policy.get("img-src", policy["default-src"])
    template = re.search(r"img\.src = `([^`]*)`", load("page.js", "script")[0].decode())
    assert template is not None
    assert json.loads(load("state.json", "empty")[0])["cameras"] == ["cam-1"]
    where = re.sub(r"\$\{Date\.now\(\)\}", "1", template[1].replace("${name}", "cam-1"))
    data = b""
    deadline = time.monotonic() + 60.0
    while not data and time.monotonic() < deadline:
        with contextlib.suppress(urllib.error.HTTPError):  # there is none yet
            data, headers = load(where, "image")
        time.sleep(0.3)
    assert headers["Content-Type"] == "image/jpeg"
    shown = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert shown is not None
    assert shown.shape == (360, 640, 3)
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(address + where, timeout=10)  # noqa: S310 - as above, by a stranger
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
