"""What a camera child does: frame source x detector x camera pipeline; detections and health go up, frames never do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2

from agent.drivers.camera.base import CameraOptions
from agent.drivers.camera.open import open_camera
from agent.inference.load import load_detector
from agent.perception.camera import CameraPipeline

if TYPE_CHECKING:
    from agent.messages import SensorHealth
    from agent.runtime.backoff import Backoff
    from agent.runtime.child import Link

READ_S = 0.5
REPORT_S = 30.0
SAME_STATE_S = 10.0  # the same state in other words may wait


class CameraLoop:
    """One camera. The detector is loaded once and kept while the camera comes and goes."""

    _pipeline: CameraPipeline | None = None

    def __init__(self, link: Link, site_height_m: float) -> None:
        cv2.setNumThreads(1)
        self._link = link
        options = CameraOptions.model_validate(link.sensor.options)
        if options.height_m is None:
            options = options.model_copy(update={"height_m": site_height_m})
        self._options = options
        if CameraLoop._pipeline is None:
            detector = load_detector(options.model, threads=options.threads, providers=options.providers)
            CameraLoop._pipeline = CameraPipeline(options, detector, link.sensor.name, stale_s=link.sensor.stale_s)
        self._eyes = CameraLoop._pipeline
        self._reported: SensorHealth | None = None

    def run(self, backoff: Backoff) -> None:
        """Until the camera goes away (SensorUnavailable, EndOfData) or the parent says stop."""
        link = self._link
        link.beat()
        source = open_camera(link.sensor.url, self._options, link.clock)
        try:
            link.health.opened(link.clock.now().t_s)
            while not link.stop.is_set():
                frame = source.read(READ_S)
                now_s = link.clock.now().t_s
                if frame is not None:
                    link.emit(self._eyes.process(frame))
                    backoff.success(now_s)
                    if link.picture_wanted.is_set() and (jpeg := self._eyes.latest_jpeg()) is not None:
                        link.picture_wanted.clear()
                        link.picture(frame.at.t_s, jpeg)
                link.beat()
                self._report(self._eyes.health(now_s))
        finally:
            source.close()

    def _report(self, health: SensorHealth) -> None:
        last = self._reported
        if last is not None:
            age_s = health.at_s - last.at_s
            wait_s = REPORT_S if health.sentence == last.sentence else SAME_STATE_S
            if health.state is last.state and age_s < wait_s:
                return
        self._reported = health
        self._link.emit(health)
