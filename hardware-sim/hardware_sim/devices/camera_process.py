"""The camera as a process of its own: renders what it sees and serves it. Started by `camera.Camera`.

Speaks with its parent by lines. In: first `{"scenario":..., "seed":n, "fps":f, "port":p, "standing":[...]}` (the last
are commands that hold from the first picture on), then `start MONO UNIX` (monotonic and Unix time of t = 0), `freeze`,
`thaw`, `stick`, `unstick`, `lens WHAT`, `knock DEGREES`, `clock SECONDS` (how far its pictures' times are ahead). Out:
`{"port":p}` once it serves. It ends when its input does.
"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from hardware_sim.devices.mjpeg import Stage, server
from hardware_sim.process import end_with_parent
from hardware_sim.render import CameraPose, Conditions, Renderer
from hardware_sim.render import Vessel as Drawn
from hardware_sim.scenario import Scenario
from hardware_sim.vessels import drawn_as
from hardware_sim.world import World

if TYPE_CHECKING:
    from numpy.typing import NDArray


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
    def __init__(self, world: World, fps: float) -> None:
        self.clock = _Clock()
        self.stage = Stage()
        self.stuck = False
        self._world, self._period_s = world, 1.0 / fps
        self._quality = world.scenario.camera.jpeg_quality
        self.lens = "clear"
        self.knock_deg = 0.0
        self.clock_s = 0.0
        self._renderer = self._new_renderer()

    def _new_renderer(self) -> Renderer:
        self._seen = (self.lens == "salted", self.knock_deg)
        straight = pose(self._world.scenario)
        looks = dataclasses.replace(straight, bearing_deg=(straight.bearing_deg + self.knock_deg) % 360.0)
        weather = conditions(self._world.scenario, self._world.seed)
        if self.lens == "salted":
            weather = dataclasses.replace(weather, salt=0.9, lens_drops=0.6)
        return Renderer(looks, weather)

    def render_for_ever(self) -> None:
        """One picture per period while somebody looks."""
        due = time.monotonic()
        jpeg = self._jpeg(0.0)
        self.stage.show(self.clock.now()[1] + self.clock_s, jpeg)
        while not self.stage.closed:
            if not self.stage.wait_for_client(1.0):
                continue
            t, unix = self.clock.now()
            if not self.stuck:
                jpeg = self._jpeg(t)
            self.stage.show(unix + self.clock_s, jpeg)
            due = max(due + self._period_s, time.monotonic())
            time.sleep(max(0.0, due - time.monotonic()))

    def _jpeg(self, t_s: float) -> bytes:
        if self._seen != (self.lens == "salted", self.knock_deg):
            self._renderer = self._new_renderer()
        image = exposed(self._renderer.render(drawn(self._world, t_s), t_s).image, self.lens)
        ok, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, self._quality])
        if not ok:
            raise RuntimeError("a rendered picture could not be compressed")
        return np.asarray(data).tobytes()

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


def exposed(image: NDArray[np.uint8], lens: str) -> NDArray[np.uint8]:
    """The picture with a cap on the lens (noise is left) or burnt out (shadows are left); others as they are."""
    if lens == "black":
        return image // 32
    if lens == "overexposed":
        return np.asarray(np.clip(image.astype(np.int16) * 3 + 140, 0, 255), dtype=np.uint8)
    return image


def pose(scenario: Scenario) -> CameraPose:
    """The scenario's camera as the renderer wants it."""
    c = scenario.camera
    return CameraPose(
        height_m=c.height_m,
        bearing_deg=c.bearing_deg,
        pitch_deg=c.pitch_deg,
        roll_deg=c.roll_deg,
        hfov_deg=c.hfov_deg,
        width_px=c.width_px,
        height_px=c.height_px,
    )


def conditions(scenario: Scenario, seed: int) -> Conditions:
    """The scenario's weather as the renderer wants it."""
    w = scenario.weather
    return Conditions(
        light=w.light,
        wind_mps=w.wind_mps,
        wind_from_deg=w.wind_from_deg,
        visibility_m=w.visibility_m,
        sun_bearing_deg=w.sun_bearing_deg,
        sun_elevation_deg=w.sun_elevation_deg,
        clouds=w.clouds,
        land=w.land,
        seed=seed,
    )


def drawn(world: World, t_s: float) -> list[Drawn]:
    """All vessels as the renderer wants them at `t_s`."""
    out = []
    for v in world.vessels:
        s = v.at(t_s)
        out.append(
            Drawn(
                kind=drawn_as(v.table.kind),
                id=v.id,
                east_m=s.east_m,
                north_m=s.north_m,
                heading_deg=s.heading_deg,
                speed_mps=s.sog_mps,
                length_m=v.length_m,
                beam_m=v.beam_m,
                height_m=v.kind.height_m,
                lights=world.scenario.weather.light in ("dusk", "night"),
            )
        )
    return out


def main() -> None:
    """Run until the parent's line ends."""
    end_with_parent(signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal reaches us too; the parent decides
    cv2.setNumThreads(1)
    order = json.loads(sys.stdin.readline())
    camera = _Camera(World(Scenario.model_validate(order["scenario"]), order["seed"]), order["fps"])
    for line in order["standing"]:
        camera.do(line)
    http = server(camera.stage, order["port"])
    threading.Thread(target=http.serve_forever, daemon=True).start()
    threading.Thread(target=camera.obey, daemon=True).start()
    print(json.dumps({"port": http.server_address[1]}), flush=True)
    camera.render_for_ever()


if __name__ == "__main__":
    main()
