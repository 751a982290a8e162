"""Memory of a real radar process: `python -m bench.video.process`.

The agent runs as delivered with one CAT240 radar by UDP (8 bits; noise, sea clutter, land and 200 targets in each
turn); after `SCANS` turns of plots the PSS of the sensor's process is read from /proc/PID/smaps_rollup. One JSON object
for each size of video: 2048 x 1024 with the defaults, 4096 x 2048 with OS-CFAR.
"""

from __future__ import annotations

import argparse
import json
import socket
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from agent.cli.bench_cost import family, pss_mb
from agent.errors import InternalError, SensorUnavailable
from agent.runtime.status import ask_status

SCANS, MOST_TURNS = 6, 40  # turns that became plots; turns that are sent for them
SIZES = {(2048, 1024): "", (4096, 2048): 'cfar = "os"\nbeamwidth_deg = 1.0\n'}
ASKED_MB = {(2048, 1024): 80.0, (4096, 2048): 150.0}
RANGE_M = 24_000.0
TARGETS = 200
CONFIG = """
[site]
name = "memory"
lat = 43.0
lon = -8.0
height_m = 20.0
[[sensor]]
name = "radar-1"
driver = "cat240"
url = "udp://127.0.0.1:{port}"
azimuths = {azimuths}
{more}"""


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.video.process", description=__doc__)
    parser.add_argument("--turn-s", type=float, default=2.5, help="of the antenna; longer for a busy machine")
    turn_s = parser.parse_args().turn_s
    for (azimuths, cells), more in SIZES.items():
        print(json.dumps({
            "bench": "radar-process", "azimuths": azimuths, "cells": cells,
            **_measured(azimuths, cells, more, turn_s), "asked_pss_mb": ASKED_MB[azimuths, cells],
        }), flush=True)  # fmt: skip
    return 0


def _measured(azimuths: int, cells: int, more: str, turn_s: float) -> dict[str, object]:
    port = _free_port()
    with tempfile.TemporaryDirectory(prefix="vigia-memory-") as name, socket.socket(type=socket.SOCK_DGRAM) as out:
        folder = Path(name)
        (folder / "c.toml").write_text(CONFIG.format(port=port, azimuths=azimuths, more=more), encoding="utf-8")
        command = ["run", "-c", str(folder / "c.toml"), "--state", str(folder / "state"), "--log-level", "error"]
        with subprocess.Popen([sys.executable, "-m", "agent.cli.main", *command]) as agent:
            try:
                socket_path, counters = folder / "state" / "status.sock", _counters(folder / "state" / "status.sock")
                sent = 0
                while counters.get("scans", 0) < SCANS:
                    if sent == MOST_TURNS:
                        raise InternalError(f"{sent} turns sent, and the radar's process counts {counters}")
                    _send(out, port, sent, _picture(np.random.default_rng(sent), azimuths, cells, sent), turn_s)
                    sent, counters = sent + 1, _counters(socket_path)
                (child,) = (pid for pid, role in family(agent.pid).items() if role == "radar")
                lost = counters.get("spokes_lost", 0)
                return {"pss_mb": round(pss_mb(child), 1), "turns_sent": sent, "spokes_lost": lost}
            finally:
                agent.terminate()


def _counters(status: Path) -> dict[str, int]:
    """What the radar's process last said of itself."""
    until = time.monotonic() + 120.0
    while time.monotonic() < until:
        try:
            found: dict[str, int] = ask_status(status)["sensors"]["radar-1"]["counters"]
        except (SensorUnavailable, KeyError):
            time.sleep(1.0)
        else:
            return found
    raise InternalError("the agent does not answer within two minutes")


def _free_port() -> int:
    with socket.socket(type=socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def _picture(rng: np.random.Generator, azimuths: int, cells: int, turn: int) -> np.ndarray:
    """(azimuths, cells) of logarithmic 8-bit video."""
    speckle = 12.0 * np.log(np.maximum(rng.exponential(size=(azimuths, cells)), 1e-3))
    out = np.clip(np.clip(90.0 - np.arange(cells) / 4.0, 10.0, None) + speckle, 0.0, 255.0).astype(np.uint8)
    out[azimuths // 7 : azimuths // 5, cells * 3 // 4 : cells * 5 // 6] = 220  # land
    places = np.random.default_rng(1).uniform((0, 100), (azimuths, cells - 100), (TARGETS, 2)) + turn
    for row, cell in places.astype(int).tolist():
        out[(row + np.arange(-8, 9)) % azimuths, cell - 3 : cell + 4] = 200
    return out


def _send(out: socket.socket, port: int, turn: int, picture: np.ndarray, turn_s: float) -> None:
    """One turn, paced as the antenna turns."""
    azimuths, cells = picture.shape
    step = 65_536 // azimuths
    cell_fs = round(2.0 * RANGE_M / cells / 299_792_458.0 * 1e15)
    began = time.monotonic()
    for row in range(azimuths):
        number = turn * azimuths + row
        body = struct.pack(
            ">BBBBBIHHIIBBHBHB", 0xE7, 0xA0, 1, 7, 2, number, row * step, (row + 1) * step & 0xFFFF, 0, cell_fs, 0, 4,
            cells, 0, cells, cells // 64,
        ) + picture[row].tobytes()  # fmt: skip
        out.sendto(struct.pack(">BH", 240, 3 + len(body)) + body, ("127.0.0.1", port))
        if row % 64 == 63:
            time.sleep(max(began + (row + 1) / azimuths * turn_s - time.monotonic(), 0.0))


if __name__ == "__main__":
    sys.exit(main())
