"""What the whole agent costs on simulated sensors: PSS by process, start to first frame, CPU at rest.

One camera, one radar's video and AIS from the simulated harbour mouth, as in the demo, without page; PSS from
/proc/PID/smaps_rollup of the parent and its children, CPU from /proc/PID/stat over twenty seconds.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from agent.errors import SensorUnavailable
from agent.runtime.status import ask_status

SETTLE_S = 15.0
WATCH_S = 20.0
CONFIG = """
[site]
name = "cost"
lat = {site[lat]}
lon = {site[lon]}
height_m = 20.0
[[sensor]]
name = "radar-1"
driver = "navico"
url = "{endpoints[radar_spokes]}"
[[sensor]]
name = "camera-1"
driver = "camera"
url = "{endpoints[camera]}"
bearing_deg = {camera[bearing_deg]}
pitch_deg = {camera[pitch_deg]}
hfov_deg = {camera[hfov_deg]}
fps = 2
[[sensor]]
name = "ais-1"
driver = "ais"
url = "{endpoints[ais]}"
"""


def measure(*, rounds: int, seed: int) -> dict[str, Any]:  # noqa: ARG001 - the shape of all benchmarks
    """Run simulator and agent; the figures."""
    with tempfile.TemporaryDirectory(prefix="vigia-cost-") as name:
        folder = Path(name)
        command = [sys.executable, "-m", "hardware_sim", "run", "harbour-mouth", "--seed", str(seed), "--out", name]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as sim:  # noqa: S603 - our own program
            try:
                assert sim.stdout is not None  # noqa: S101 - opened as a pipe
                ready = json.loads(sim.stdout.readline())
                (folder / "c.toml").write_text(CONFIG.format(**ready), encoding="utf-8")
                return _agent(folder)
            finally:
                sim.send_signal(signal.SIGTERM)


def _agent(folder: Path) -> dict[str, Any]:
    state = folder / "state"
    command = ["run", "-c", str(folder / "c.toml"), "--state", str(state), "--log-level", "error"]
    began = time.monotonic()
    agent = subprocess.Popen([sys.executable, "-m", "agent.cli.main", *command])  # noqa: S603 - our own program
    try:
        first_frame_s = _first_frame(state, began)
        time.sleep(SETTLE_S)
        processes = family(agent.pid)
        before = {pid: _cpu_s(pid) for pid in processes}
        time.sleep(WATCH_S)
        cpu = {pid: (_cpu_s(pid) - before[pid]) / WATCH_S for pid in processes}
        figures: dict[str, Any] = {"start_to_first_frame_s": round(first_frame_s, 2)}
        for pid, role in processes.items():
            figures[f"{role}_pss_mb"] = round(pss_mb(pid), 1)
            figures[f"{role}_cpu_share"] = round(cpu[pid], 3)
        figures["total_pss_mb"] = round(sum(v for k, v in figures.items() if k.endswith("pss_mb")), 1)
        figures["total_cpu_share"] = round(sum(cpu.values()), 3)
        return figures
    finally:
        agent.terminate()
        agent.wait(20)


def _first_frame(state: Path, began: float) -> float:
    while time.monotonic() - began < 60.0:
        try:
            camera = ask_status(state / "status.sock")["sensors"].get("camera-1", {})
        except SensorUnavailable:
            camera = {}
        if camera.get("counters", {}).get("pictures", 0) >= 1:
            return time.monotonic() - began
        time.sleep(0.02)
    raise SensorUnavailable("the camera gave no picture within a minute")


def family(parent: int) -> dict[int, str]:
    """Role of each process of the agent and its sensor children, by pid, told apart by what they have mapped."""
    out = {parent: "parent"}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and _parent_of(int(entry.name)) == parent:
            maps = (entry / "maps").read_text(encoding="utf-8", errors="replace")
            out[int(entry.name)] = "camera" if "onnxruntime" in maps else "radar"
    return out


def _parent_of(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[1])
    except OSError:
        return -1  # it has ended meanwhile


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def pss_mb(pid: int) -> float:
    """Proportional set size of a process, MB."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024.0
    raise SensorUnavailable("this kernel does not tell PSS")
