"""Whether the simulator keeps time: `python -m hardware_sim.radar.measure_live [SECONDS [NAME,...]]`, JSON by line.

Promises:
- the whole simulator runs as its own process and sends to a socket of this one, on the loopback, at 24 and 48 turns a
  minute; counted is what arrives, how late against an even pace from the first datagram on (of emissions that come
  evenly), and what processor time its process takes from `go` on for so many seconds of the scenario;
- figures depend on the machine and on what else it does; processor time less so. `took_s` beyond `seconds` says that
  the machine was too busy for real time.
"""

from __future__ import annotations

import json
import os
import resource
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
NAMES = (
    "spokes", "navico-4g", "cat240", "cat240-4bit", "cat240-zlib", "cat240-split", "garmin", "raymarine",
    "raymarine-rd", "raymarine-rd-hd", "furuno", "furuno-0", "furuno-1", "furuno-2",
)  # fmt: skip
A_TURN = {
    "spokes": 64, "navico-4g": 64, "cat240": 2049, "cat240-4bit": 2049, "cat240-zlib": 2049, "garmin": 1440,
    "raymarine": 251, "raymarine-rd": 257, "raymarine-rd-hd": 257,
}  # fmt: skip
"""Datagrams, where they are as many every turn; of category 240 a summary and the radials."""
TICK_S = 1.0 / os.sysconf("SC_CLK_TCK")


def live(name: str, rpm: float, seconds: float) -> dict[str, object]:
    """One run."""
    text = (resources.files("hardware_sim") / "scenarios" / f"{BASE}.toml").read_text("utf-8")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "live.toml"
        path.write_text(text.replace("[radar]", f"[radar]\nrpm = {rpm}"), encoding="utf-8")
        got, used_s, took_s = _arrivals(path, name, seconds)
    figure: dict[str, object] = {
        "figure": "live", "emission": name, "rpm": rpm, "seconds": seconds, "received": len(got),
        "took_s": round(took_s, 1),
        "cpu_s_a_turn": round(used_s / seconds * 60.0 / rpm, 3), "share_of_a_core": round(used_s / seconds, 3),
    }  # fmt: skip
    if name not in A_TURN:
        return figure
    arrivals = np.array(got)
    pace = np.arange(len(arrivals)) * 60.0 / rpm / A_TURN[name]
    late_ms = 1000.0 * (arrivals - arrivals[0] - pace)
    late_ms -= np.median(late_ms)
    return figure | {
        "expected": round(seconds * rpm / 60.0 * A_TURN[name]),
        "late_p99_ms": round(float(np.percentile(late_ms, 99)), 1), "late_max_ms": round(float(late_ms.max()), 1),
    }  # fmt: skip


def _arrivals(path: Path, name: str, seconds: float) -> tuple[list[float], float, float]:
    """When datagrams came; processor time and seconds that the simulator took from `go` to its end."""
    children_s = _children_cpu_s()
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
        began, before_s = time.monotonic(), _cpu_s(process.pid)
        out: list[float] = []
        while process.poll() is None:
            try:
                receiver.recv(65_536)
                out.append(time.monotonic())
            except TimeoutError:
                continue
    return out, _children_cpu_s() - children_s - before_s, time.monotonic() - began


def _children_cpu_s() -> float:
    """User and system time of all processes that we started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _cpu_s(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK_S


def main(argv: list[str] | None = None) -> int:
    """Every emission at every rate."""
    given = sys.argv[1:] if argv is None else argv
    seconds = float(given[0]) if given else 20.0
    for name in given[1].split(",") if len(given) > 1 else NAMES:
        for rpm in (24.0, 48.0):
            print(json.dumps(live(name, rpm, seconds)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
