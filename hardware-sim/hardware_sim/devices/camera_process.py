"""The camera as a process of its own: renders what it sees and serves it. Started by `camera.Camera`.

Speaks with its parent by lines. In: first `{"scenario":..., "seed":n, "fps":f, "port":p}`, then `start MONO UNIX`
(monotonic and Unix time of t = 0), `freeze`, `thaw`, `stick`, `unstick`. Out: `{"port":p}` once it serves. It ends when
its input does.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass

import cv2
import numpy as np

from hardware_sim.devices.mjpeg import Stage, server
from hardware_sim.process import end_with_parent
from hardware_sim.render import CameraPose, Conditions, Renderer
from hardware_sim.render import Vessel as Drawn
from hardware_sim.scenario import Scenario
from hardware_sim.vessels import drawn_as
from hardware_sim.world import World


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
        self._renderer = Renderer(pose(world.scenario), conditions(world.scenario, world.seed))

    def render_for_ever(self) -> None:
        """One picture per period while somebody looks."""
        due = time.monotonic()
        jpeg = self._jpeg(0.0)
        self.stage.show(self.clock.now()[1], jpeg)
        while not self.stage.closed:
            if not self.stage.wait_for_client(1.0):
                continue
            t, unix = self.clock.now()
            if not self.stuck:
                jpeg = self._jpeg(t)
            self.stage.show(unix, jpeg)
            due = max(due + self._period_s, time.monotonic())
            time.sleep(max(0.0, due - time.monotonic()))

    def _jpeg(self, t_s: float) -> bytes:
        image = self._renderer.render(drawn(self._world, t_s), t_s).image
        ok, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, self._quality])
        if not ok:
            raise RuntimeError("a rendered picture could not be compressed")
        return np.asarray(data).tobytes()

    def obey(self) -> None:
        """The parent's commands, until there are no more."""
        for line in sys.stdin:
            match line.split():
                case ["start", mono, unix]:
                    self.clock = _Clock(float(mono), float(unix))
                case ["freeze" | "thaw" as word]:
                    self.stage.frozen = word == "freeze"
                case ["stick" | "unstick" as word]:
                    self.stuck = word == "stick"
        os._exit(0)  # the parent is gone or wants us gone; clients' threads have nothing to save


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
    http = server(camera.stage, order["port"])
    threading.Thread(target=http.serve_forever, daemon=True).start()
    threading.Thread(target=camera.obey, daemon=True).start()
    print(json.dumps({"port": http.server_address[1]}), flush=True)
    camera.render_for_ever()


if __name__ == "__main__":
    main()
