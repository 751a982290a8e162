"""The camera as a process of its own: renders what it sees and serves it. Started by `camera.Camera`.

Speaks with its parent by lines. In: first `{"scenario":..., "seed":n, "fps":f, "port":p, "rtsp_port":q,
"standing":[...]}` (the last are commands that hold from the first picture on), then `start MONO UNIX` (monotonic and
Unix time of t = 0), `freeze`, `thaw`, `stick`, `unstick`, `lens WHAT`, `knock DEGREES`, `clock SECONDS` (how far its
pictures' times are ahead). Out: `{"port":p,"rtsp_port":q}` once it serves, or `"no_rtsp":"why"` for the last. It ends
when its input does.

A picture is drawn once for all clients, and compressed once in each form that somebody takes.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from hardware_sim.devices import h264
from hardware_sim.devices.mjpeg import Stage, server
from hardware_sim.devices.rtsp import RtspServer
from hardware_sim.devices.view import View
from hardware_sim.process import end_with_parent
from hardware_sim.scenario import Scenario
from hardware_sim.world import World

if TYPE_CHECKING:
    from numpy.typing import NDArray

ONE_THREAD_FPS = 8.0  # what a core gives; asked for more, the camera takes two


@dataclass(slots=True)
class _Clock:
    """Time of the scenario; it stands at 0 until `start`."""

    mono_s: float | None = None
    unix_s: float = 0.0

    def now(self) -> tuple[float, float]:
        """(t, Unix time)."""
        if self.mono_s is None:
            return 0.0, time.time()
        t = time.monotonic() - self.mono_s
        return t, self.unix_s + t


class _Camera:
    """What its drawing threads share. Each has a view of its own; pictures leave in the order of their times."""

    def __init__(self, fps: float, quality: int) -> None:
        self.clock = _Clock()
        self.clock_s = 0.0
        self.lens, self.knock_deg, self.stuck = "clear", 0.0, False
        self.stage = Stage()
        self.rtsp: RtspServer | None = None
        self._period_s, self._quality = 1.0 / fps, quality
        self._taking = threading.Lock()
        self._due = time.monotonic()
        self._taken = 0
        self._giving = threading.Condition()
        self._given = 0
        self._image: NDArray[np.uint8] | None = None

    def serve_rtsp(self, order: dict[str, Any]) -> dict[str, Any]:
        """Open the RTSP server, if this machine can; what the parent is told of it."""
        size = (order["scenario"]["camera"]["width_px"], order["scenario"]["camera"]["height_px"])
        no = h264.why_not(*size)
        if no is not None:
            return {"no_rtsp": no}
        fps = order["fps"]
        self.rtsp = RtspServer(self.stage, h264.Encoder(*size, fps), fps, order["rtsp_port"])
        return {"rtsp_port": self.rtsp.port}

    def draw_for_ever(self, view: View) -> None:
        """One picture per period while somebody looks; of two threads, each takes every other."""
        while not self.stage.closed:
            if self.stage.wait_for_client(1.0):
                self._draw(view)

    def _draw(self, view: View) -> None:
        with self._taking:
            time.sleep(max(0.0, self._due - time.monotonic()))
            # what is late is made up for by half a period at most: two threads must not take the same moment
            self._due = max(self._due, time.monotonic() - self._period_s / 2.0) + self._period_s
            number = self._taken
            self._taken += 1
            t, unix = self.clock.now()
            ticks = round(time.monotonic() * h264.CLOCK_HZ)
            again = self.stuck and self._image is not None
            lens, knock_deg, clock_s = self.lens, self.knock_deg, self.clock_s
        image = None if again else view.picture(t, lens, knock_deg, clock_s).image
        with self._giving:
            self._giving.wait_for(lambda: self._given == number)
            if image is not None:
                self._image = image
            self._give(ticks, unix + self.clock_s)
            self._given += 1
            self._giving.notify_all()

    def _give(self, ticks: int, unix_s: float) -> None:
        assert self._image is not None  # noqa: S101 - the first one is always drawn
        if self.stage.wanted("jpeg"):
            self.stage.show(unix_s, jpeg(self._image, self._quality))
        if self.rtsp is not None and self.stage.wanted("h264"):
            self.rtsp.show(self._image, ticks, unix_s)

    def obey(self) -> None:
        """The parent's commands, until there are no more."""
        for line in sys.stdin:
            self.do(line)
        os._exit(0)  # the parent is gone or wants us gone; clients' threads have nothing to save

    def do(self, line: str) -> None:
        """One command."""
        match line.split():
            case ["start", mono, unix]:
                self.clock = _Clock(float(mono), float(unix))
            case ["freeze" | "thaw" as word]:
                self.stage.frozen = word == "freeze"
            case ["stick" | "unstick" as word]:
                self.stuck = word == "stick"
            case ["lens", what]:
                self.lens = what
            case ["knock", degrees]:
                self.knock_deg = float(degrees)
            case ["clock", seconds]:
                self.clock_s = float(seconds)


def jpeg(image: NDArray[np.uint8], quality: int) -> bytes:
    """The picture as JPEG."""
    ok, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not ok:
        raise RuntimeError("a rendered picture could not be compressed")
    return np.asarray(data).tobytes()


def main() -> None:
    """Run until the parent's line ends."""
    end_with_parent(signal.SIGKILL)
    cv2.setNumThreads(1)
    said = sys.stdin.readline()
    if not said:  # the parent is gone already
        return
    order = json.loads(said)
    threading.excepthook = _end
    world = World(Scenario.model_validate(order["scenario"]), order["seed"])
    camera = _Camera(order["fps"], world.scenario.camera.jpeg_quality)
    first, *others = [View(world) for _ in range(1 if order["fps"] <= ONE_THREAD_FPS else 2)]
    for line in order["standing"]:
        camera.do(line)
    http = server(camera.stage, order["port"])
    told = {"port": http.server_address[1], **camera.serve_rtsp(order)}
    threading.Thread(target=http.serve_forever, daemon=True).start()
    threading.Thread(target=camera.obey, daemon=True).start()
    print(json.dumps(told), flush=True)
    for view in others:
        threading.Thread(target=camera.draw_for_ever, args=(view,), daemon=True).start()
    camera.draw_for_ever(first)


def _end(broken: threading.ExceptHookArgs) -> None:
    """A camera with a broken thread is a broken camera; the parent notices."""
    traceback.print_exception(broken.exc_type, broken.exc_value, broken.exc_traceback)
    os._exit(os.EX_SOFTWARE)


if __name__ == "__main__":
    main()
