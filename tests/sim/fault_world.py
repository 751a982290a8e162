"""What tests of the simulator's faults share: its programs, running, and sockets that listen to them."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from hardware_sim.geo import Site

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE_S = 40.0
SITE = Site(43.38, -8.40)


@contextmanager
def program(*args: str) -> Iterator[dict[str, Any]]:
    """A running part of the simulator and its ready line; killed at the end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "hardware_sim", *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        stdin = process.stdin
        yield {**ready, "go": lambda: (stdin.write("go\n"), stdin.flush())}
    finally:
        process.kill()
        process.communicate()


def devices(out: Path, *args: str, name: str = "harbour-mouth") -> Any:
    return program("run", name, "--out", str(out), "--no-camera", *args)


@contextmanager
def listening(url: str) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", urlsplit(url).port or 0))
        s.settimeout(PATIENCE_S)
        yield s
