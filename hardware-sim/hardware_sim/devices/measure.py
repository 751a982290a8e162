"""What the camera costs: `python -m hardware_sim.devices.measure [PICTURES]`, one JSON object per line.

Promises:
- harbour-mouth at 1280 x 720 as the camera's process makes it (live detail, one thread), in every light and weather,
  and before a coast;
- figures are CPU time of this process for a picture; other work on the machine still makes them larger (caches, shared
  cores), so the least and the load average stand beside the median.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from hardware_sim import scenario
from hardware_sim.devices import h264
from hardware_sim.devices.camera_process import jpeg
from hardware_sim.devices.view import View
from hardware_sim.scenario import CoastTable
from hardware_sim.world import World

if TYPE_CHECKING:
    from collections.abc import Callable

WEATHERS: dict[str, dict[str, Any]] = {
    "day": {},
    "overcast": {"light": "overcast"},
    "dusk": {"light": "dusk", "sun_elevation_deg": 1.0},
    "night": {"light": "night"},
    "thermal": {"light": "thermal"},
    "fog": {"light": "overcast", "visibility_m": 800.0},
    "rain": {"rain_mm_h": 6.0},
    "moon": {"light": "night", "moon_bearing_deg": 330.0, "moon_elevation_deg": 20.0, "moon_lit": 1.0},
}
COAST = CoastTable(polygon_m=((-3000.0, 1300.0), (-1500.0, 1450.0), (6000.0, 6000.0), (-6000.0, 9000.0)))
"""Land across the whole picture, by day, of the figure `coast`."""
SIZE = (1280, 720)
FPS = 10.0
BASE = "harbour-mouth"


def cost(name: str, count: int) -> dict[str, object]:
    """CPU ms of a picture: rendered, as JPEG, as H.264."""
    base = scenario.load(BASE)
    camera = base.camera.model_copy(update={"width_px": SIZE[0], "height_px": SIZE[1], "fps": FPS})
    weather = base.weather.model_copy(update=WEATHERS.get(name, {}))
    coast = (COAST,) if name == "coast" else ()
    view = View(World(base.model_copy(update={"camera": camera, "weather": weather, "coast": coast}), 0))
    encoder = h264.Encoder(*SIZE, FPS)
    view.picture(0.0)
    spent: dict[str, list[float]] = {"render": [], "jpeg": [], "h264": []}
    sizes = []
    for k in range(count + 1):
        images: list[Any] = []
        _timed(spent["render"], lambda k=k, images=images: images.append(view.picture(40.0 + k / FPS).image))  # type: ignore[misc] # early binding
        image = images[0]
        _timed(spent["jpeg"], lambda image=image: jpeg(image, camera.jpeg_quality))  # type: ignore[misc] # as above
        units: list[h264.Unit] = []
        ticks = round(k * h264.CLOCK_HZ / FPS)
        _timed(spent["h264"], lambda i=image, t=ticks, u=units: u.append(encoder.encode(i, t)))  # type: ignore[misc] # as above
        sizes.append(sum(len(n) for n in units[0].nals))
    ms = {what: [round(1000.0 * float(f(times[1:])), 1) for f in (min, np.median)] for what, times in spent.items()}
    return {
        "figure": "camera", "scenario": BASE, "weather": name, "size_px": SIZE, "pictures": count,
        **{f"{what}_cpu_ms": {"least": least, "median": median} for what, (least, median) in ms.items()},
        "h264_kbit_s": round(8e-3 * FPS * float(np.mean(sizes))), "load": round(os.getloadavg()[0], 1),
    }  # fmt: skip


def _timed(into: list[float], act: Callable[[], object]) -> None:
    began = time.process_time()
    act()
    into.append(time.process_time() - began)


def main(argv: list[str] | None = None) -> int:
    """Every light and weather."""
    given = sys.argv[1:] if argv is None else argv
    cv2.setNumThreads(1)
    for name in (*WEATHERS, "coast"):
        print(json.dumps(cost(name, int(given[0]) if given else 20)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
