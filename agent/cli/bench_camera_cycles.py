"""A camera opened, struck by a fault and closed, over and over: handles, threads and memory must stay where they are.

`--rounds N`: how many cycles, by turns one of `FAULTS`. Their server is a process of its own, so that only the driver
is counted. A stream of H.264 that breaks while it plays is not among them: that needs a camera, and is tested with one.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from agent.cli.bench_cost import pss_mb
from agent.clock import SystemClock
from agent.drivers.camera.open import open_camera
from agent.drivers.camera.options import CameraOptions
from agent.errors import VigiaError
from agent.runtime.children import MALLOC
from agent.transport.base import EndOfData

if TYPE_CHECKING:
    from collections.abc import Callable

SERVER_SCRIPT = Path(__file__).with_name("bench_camera_cycles_server.py")
FAULTS = ("cut", "garbage", "hangup", "missing", "refused", "rtsp-hangup", "rtsp-garbage", "clip", "no-clip")
SAMPLES = 40
_WARM_SHARE = 0.1  # of the cycles, in which libraries load and allocators settle
_OPTIONS = CameraOptions(fps=60.0, stall_s=2.0)
_SETTLE_S = 5.0


def measure(*, rounds: int, seed: int) -> dict[str, Any]:  # noqa: ARG001 - nothing here is random
    """Handles and threads at the start (warm) and the end, growth of PSS over the cycles by a straight line, MB."""
    command = [sys.executable, "-m", "agent.cli.bench_camera_cycles", str(rounds)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ | MALLOC)  # noqa: S603 - our own module
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def main(rounds: int) -> dict[str, Any]:
    """The figures, of this process: started as the parent starts a camera's process."""
    cv2.setNumThreads(1)
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # before the first use of FFmpeg: broken files are meant
    with tempfile.TemporaryDirectory(prefix="vigia-cycles-") as name:
        command = [sys.executable, str(SERVER_SCRIPT)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:  # noqa: S603 - our own script
            try:
                assert server.stdout is not None  # noqa: S101 - opened as a pipe
                return _cycles(rounds, _urls(Path(name), int(server.stdout.readline())))
            finally:
                server.kill()


def _urls(folder: Path, port: int) -> list[str]:
    """One for each of `FAULTS`."""
    clip = folder / "clip.mp4"
    writer = cv2.VideoWriter(str(clip), cv2.VideoWriter.fourcc(*"mp4v"), 25.0, (320, 240))
    for i in range(5):
        writer.write(np.full((240, 320, 3), 50 * i, dtype=np.uint8))
    writer.release()
    broken = folder / "broken.mp4"
    broken.write_bytes(b"no film" * 100)
    with socket.create_server(("127.0.0.1", 0)) as free:
        closed = free.getsockname()[1]
    by_fault = {f: f"http://127.0.0.1:{port}/{f}" for f in FAULTS}
    by_fault |= {f: f"rtsp://127.0.0.1:{port}/{f}" for f in FAULTS if f.startswith("rtsp")}
    by_fault |= {"refused": f"http://127.0.0.1:{closed}/", "clip": f"file://{clip}", "no-clip": f"file://{broken}"}
    return [by_fault[f] for f in FAULTS]


def _cycles(rounds: int, urls: list[str]) -> dict[str, Any]:
    warm = max(len(urls), round(rounds * _WARM_SHARE))
    for i in range(warm):
        _cycle(urls[i % len(urls)])
    _settled(lambda: threading.active_count() <= 1)
    threads, handles = threading.active_count(), _handles()
    pictures, taken, began = 0, [], time.monotonic()
    every = max(1, rounds // SAMPLES)
    for i in range(rounds):
        pictures += _cycle(urls[i % len(urls)])
        if i % every == 0:
            taken.append((i, pss_mb(os.getpid())))
    spent_s = time.monotonic() - began
    _settled(lambda: threading.active_count() <= threads and _handles() <= handles)
    at, memory = np.array(taken).T
    slope = float(np.polyfit(at, memory, 1)[0]) if len(taken) > 2 else 0.0
    return {
        "cycles": rounds, "warm_up": warm, "pictures": pictures, "seconds": round(spent_s, 1),
        "handles": [handles, _handles()], "threads": [threads, threading.active_count()],
        "pss_mb": [round(float(memory[0]), 2), round(float(memory[-1]), 2)],
        "pss_growth_mb": round(slope * rounds, 3), "pss_growth_mb_per_10000": round(slope * 10_000.0, 3),
    }  # fmt: skip


def _cycle(url: str) -> int:
    """Open, read until the fault, close; how many pictures came."""
    pictures = 0
    try:
        source = open_camera(url, _OPTIONS, SystemClock())
    except VigiaError:
        return 0
    try:
        while True:
            pictures += source.read(1.0) is not None
    except (VigiaError, EndOfData):
        return pictures
    finally:
        source.close()


def _handles() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def _settled(calm: Callable[[], bool]) -> None:
    """Give threads that are ending a moment."""
    end = time.monotonic() + _SETTLE_S
    while not calm() and time.monotonic() < end:
        time.sleep(0.05)


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]))))
