"""Whether the camera keeps time: `python -m hardware_sim.devices.measure_live [SECONDS [FPS]]`, JSON by line.

Promises:
- the whole simulator runs as its own process (harbour-mouth at 1280 x 720, no radar, AIS or navigation) and this one is
  the client that takes its pictures over the loopback: over HTTP-MJPEG, without decoding them, then over RTSP, decoded;
- counted are pictures that arrive, per second in the second half of the run (a client that has just opened a stream
  holds pictures back, and hands them on at once), and the longest wait between two; processor time is the simulator's,
  of all its processes from start to end. `load` says what else the machine did.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import urllib.request
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np

from hardware_sim.devices.measure import BASE, SIZE, WEATHERS

if TYPE_CHECKING:
    from collections.abc import Iterator

BOUNDARY = b"\r\n\r\n\xff\xd8"  # the end of a part's header and the start of its JPEG
LEAVE = ("--no-radar", "--no-ais", "--no-nav")


def live(name: str, endpoint: str, seconds: float, fps: float) -> dict[str, object]:
    """One run of one weather."""
    text = (resources.files("hardware_sim") / "scenarios" / f"{BASE}.toml").read_text("utf-8")
    for key, was, px in (("width_px", 1920, SIZE[0]), ("height_px", 1080, SIZE[1])):
        text = text.replace(f"{key} = {was}", f"{key} = {px}")
    weather = "".join(f"{key} = {json.dumps(value)}\n" for key, value in WEATHERS[name].items())
    kept = [line for line in text.splitlines() if line.partition(" = ")[0] not in WEATHERS[name]]
    text = "\n".join(kept).replace("[weather]\n", f"[weather]\n{weather}")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "live.toml"
        path.write_text(text, encoding="utf-8")
        command = [sys.executable, "-m", "hardware_sim", "run", str(path), "--fps", str(fps)]
        command += ["--duration", str(seconds), *LEAVE, "--out", str(path.parent / "out")]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - ours
            assert process.stdout is not None  # noqa: S101 - opened as a pipe
            url = json.loads(process.stdout.readline())["endpoints"][endpoint]
            arrivals = [time.monotonic() for _ in (_decoded(url) if endpoint.endswith("rtsp") else _parts(url))]
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    gaps = np.diff(arrivals)[len(arrivals) // 2 :]
    return {
        "figure": "camera-live", "weather": name, "endpoint": endpoint, "size_px": SIZE, "asked_fps": fps,
        "pictures": len(arrivals), "fps": round(float(1.0 / gaps.mean()), 2),
        "longest_wait_ms": round(1000.0 * float(gaps.max())), "cores": round(used_s / seconds, 2),
        "load": round(os.getloadavg()[0], 1),
    }  # fmt: skip


def _parts(url: str) -> Iterator[None]:
    with urllib.request.urlopen(url) as stream, contextlib.suppress(ConnectionError):  # noqa: S310 - the address that our simulator named
        tail = b""
        while data := stream.read1(65_536):
            have = tail + data
            for _ in range(have.count(BOUNDARY)):
                yield
            tail = have[-(len(BOUNDARY) - 1) :]


def _decoded(url: str) -> Iterator[None]:
    with (
        av.open(url, options={"rtsp_transport": "tcp"}, timeout=10.0) as stream,
        contextlib.suppress(av.error.FFmpegError),
    ):
        for _ in stream.decode(video=0):
            yield


def main(argv: list[str] | None = None) -> int:
    """Every light and weather, both ways."""
    given = sys.argv[1:] if argv is None else argv
    seconds, fps = (float(given[0]) if given else 20.0), (float(given[1]) if len(given) > 1 else 10.0)
    for name in WEATHERS:
        for endpoint in ("camera", "camera_rtsp"):
            print(json.dumps(live(name, endpoint, seconds, fps)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
