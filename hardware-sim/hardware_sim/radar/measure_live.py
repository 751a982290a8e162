"""Whether the simulator keeps time: `python -m hardware_sim.radar.measure_live [SECONDS]`, one JSON object per line.

Promises:
- the whole simulator runs as its own process and sends to a socket of this one, on the loopback, at 24 and 48 turns a
  minute; counted is what arrives, and how late against an even pace from the first datagram on;
- figures depend on the machine and on what else it does.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
import time
from importlib import resources
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

BASE = "harbour-mouth"
A_TURN = {"spokes": 64, "cat240": 2049}
"""Datagrams; of category 240 a summary and the radials."""


def live(name: str, rpm: float, seconds: float) -> dict[str, object]:
    """One run."""
    text = (resources.files("hardware_sim") / "scenarios" / f"{BASE}.toml").read_text("utf-8")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "live.toml"
        path.write_text(text.replace("[radar]", f"[radar]\nrpm = {rpm}"), encoding="utf-8")
        arrivals = np.array(_arrivals(path, name, seconds))
    expected = seconds * rpm / 60.0 * A_TURN[name]
    pace = np.arange(len(arrivals)) * 60.0 / rpm / A_TURN[name]
    late_ms = 1000.0 * (arrivals - arrivals[0] - pace)
    late_ms -= np.median(late_ms)
    return {
        "figure": "live", "emission": name, "rpm": rpm, "seconds": seconds, "expected": round(expected),
        "received": len(arrivals), "late_p99_ms": round(float(np.percentile(late_ms, 99)), 1),
        "late_max_ms": round(float(late_ms.max()), 1),
    }  # fmt: skip


def _arrivals(path: Path, name: str, seconds: float) -> list[float]:
    command = [sys.executable, "-m", "hardware_sim", "run", str(path), "--radar", name, "--duration", str(seconds)]
    command += ["--no-camera", "--no-ais", "--no-nav", "--wait", "--out", str(path.parent / "out")]
    with (
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process,  # noqa: S603 - ours
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver,
    ):
        assert process.stdin is not None  # noqa: S101 - opened as pipes
        assert process.stdout is not None  # noqa: S101 - as above
        (url,) = json.loads(process.stdout.readline())["endpoints"].values()
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        receiver.bind(("127.0.0.1", urlsplit(url).port or 0))
        receiver.settimeout(0.5)
        process.stdin.write("go\n")
        process.stdin.flush()
        out: list[float] = []
        while process.poll() is None:
            try:
                receiver.recv(65_536)
                out.append(time.monotonic())
            except TimeoutError:
                continue
    return out


def main(argv: list[str] | None = None) -> int:
    """Every emission at every rate."""
    given = sys.argv[1:] if argv is None else argv
    seconds = float(given[0]) if given else 20.0
    for name in A_TURN:
        for rpm in (24.0, 48.0):
            print(json.dumps(live(name, rpm, seconds)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
