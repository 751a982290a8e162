"""What a camera child does: frame source x detector x camera pipeline; detections and health go up, frames never do.

Promises:
- orders of the parent (where to look, whose picture, which model) are obeyed between two frames;
- another model is loaded and checked beside the one in use, and takes over with the next frame; one that cannot be used
  is reported, and the old one stays.
"""

from __future__ import annotations

import dataclasses
import hashlib
import queue
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2

from agent.drivers.camera.clips import ClipKeeper, why_no_clips
from agent.drivers.camera.open import open_camera
from agent.errors import VigiaError
from agent.inference.load import default_model_path, load_detector
from agent.messages import SensorHealth, SensorState
from agent.perception.camera import CameraPipeline
from agent.perception.look import Cue
from agent.runtime.settings import plain

if TYPE_CHECKING:
    from agent.drivers.camera.options import CameraOptions
    from agent.inference.detector import Detector
    from agent.runtime.backoff import Backoff
    from agent.runtime.child import Link

READ_S = 0.5
REPORT_S = 30.0
LIVES = 2.0  # pictures in `stale_s` at least: a camera that saves is not to be taken for one that is gone
SAME_STATE_S = 10.0  # the same state in other words may wait


class CameraLoop:
    """One camera. The detector is loaded once and kept while the camera comes and goes."""

    _pipeline: CameraPipeline | None = None
    _model: tuple[Any, ...] = ()  # what the detector in use was loaded from
    _clips: ClipKeeper | None = None  # has a stream of its own, which outlives this one

    def __init__(self, link: Link) -> None:
        cv2.setNumThreads(1)
        self._link = link
        self._options: CameraOptions = plain(link.sensor.options)
        options = self._options
        if CameraLoop._pipeline is None:
            CameraLoop._model = _model_key(options)
            detector = load_detector(options.model, threads=options.threads, providers=options.providers)
            CameraLoop._pipeline = CameraPipeline(options, detector, link.sensor.name, stale_s=link.sensor.stale_s)
        self._eyes = CameraLoop._pipeline
        self._no_clips = why_no_clips(link.sensor.url, options)
        if not self._no_clips and CameraLoop._clips is None:
            CameraLoop._clips = ClipKeeper(link.sensor.url, options, link.clock)
            CameraLoop._clips.start()
        self._reported: SensorHealth | None = None
        self._loaded: queue.SimpleQueue[Detector | VigiaError] = queue.SimpleQueue()
        self._refused = ""  # why another model was not taken
        self._idle_fps = 0.0  # the most pictures a second that the box allows; 0: the camera's own

    def run(self, backoff: Backoff) -> None:
        """Until the camera goes away (SensorUnavailable, EndOfData) or the parent says stop."""
        link = self._link
        link.beat()
        source = open_camera(link.sensor.url, self._options, link.clock)
        try:
            link.health.opened(link.clock.now().t_s)
            while not link.stop.is_set():
                if self._obey():
                    source.fps = self._fps(link.clock.now().t_s)
                frame = source.read(READ_S)
                now_s = link.clock.now().t_s
                if frame is not None:
                    found = self._eyes.process(frame)
                    link.emit(found)
                    self._eyes.judge(frame, found)
                    source.fps = self._fps(frame.at.t_s)
                    backoff.success(now_s)
                    if link.picture_wanted.is_set() and (jpeg := self._eyes.jpeg(frame, found)) is not None:
                        link.picture_wanted.clear()
                        link.picture(frame.at.t_s, jpeg)
                frame = None  # its memory is there for the next picture
                link.beat()
                self._report(self._eyes.health(now_s))
        finally:
            source.close()
            if link.stop.is_set() and CameraLoop._clips is not None:
                CameraLoop._clips.stop()

    def _fps(self, now_s: float) -> float:
        wanted = self._eyes.look.fps(now_s)
        if not self._idle_fps:
            return wanted
        return min(wanted, max(self._idle_fps, LIVES / self._link.sensor.stale_s))

    def _obey(self) -> bool:
        """What the parent has asked for since the last frame; whether it has changed the pace."""
        before = self._idle_fps
        while not self._link.orders.empty():
            order = self._link.orders.get()
            match order:
                case ["cues", at_s, cues]:
                    heard = tuple(Cue(bearing_deg=float(b), sigma_deg=float(s), range_m=r) for b, s, r in cues)
                    self._eyes.look.cue(heard, float(at_s))
                case ["crop", alert_id, bearing_deg, within_deg]:
                    best = self._eyes.crops.best(float(bearing_deg), float(within_deg))
                    self._link.crop(int(alert_id), b"" if best is None else best[1])
                case ["clip", name, at_s]:
                    self._clip(str(name), float(at_s))
                case ["pace", _, _, idle_fps]:
                    self._idle_fps = float(idle_fps)
                case ["swap", options]:
                    self._load(plain(options))
        while not self._loaded.empty():
            self._take(self._loaded.get())
        return self._idle_fps != before

    def _clip(self, name: str, at_s: float) -> None:
        def done(size: int, sentence: str) -> None:
            self._link.clip(name, size, sentence)

        if CameraLoop._clips is None:
            done(0, self._no_clips)
        else:
            CameraLoop._clips.ask(self._link.directory / "evidence" / name, at_s, done)

    def _load(self, options: CameraOptions) -> None:
        """Load the model that `options` name, if it is another one, in the background."""
        key = _model_key(options)
        if key == CameraLoop._model:
            return
        CameraLoop._model = key

        def work() -> None:
            try:
                self._loaded.put(load_detector(options.model, threads=options.threads, providers=options.providers))
            except VigiaError as e:
                self._loaded.put(e)

        threading.Thread(target=work, name="model", daemon=True).start()

    def _take(self, loaded: Detector | VigiaError) -> None:
        try:
            if isinstance(loaded, VigiaError):
                raise loaded
            self._eyes.use(loaded)
            self._refused = ""
        except VigiaError as e:
            self._refused = f"the new model is not taken, the old one goes on: {e}"

    def _clip_trouble(self, now_s: float) -> str:
        """Why there are no clips though they are wanted."""
        if self._options.clip_before_s <= 0.0:
            return ""
        why = self._no_clips if CameraLoop._clips is None else CameraLoop._clips.trouble(now_s)
        return f"pictures arrive and change, but no clips can be made: {why}" if why else ""

    def _report(self, health: SensorHealth) -> None:
        trouble = self._refused or self._clip_trouble(health.at_s)
        if trouble and health.state is SensorState.OK:
            health = SensorHealth(
                at_s=health.at_s, source=health.source, state=SensorState.DEGRADED, sentence=trouble,
                counters=health.counters,
            )  # fmt: skip
        if self._idle_fps and health.state is SensorState.OK:
            sentence = f"{health.sentence}; {self._idle_fps:g} a second to save power"
            health = dataclasses.replace(health, sentence=sentence)
        last = self._reported
        if last is not None:
            age_s = health.at_s - last.at_s
            wait_s = REPORT_S if health.sentence == last.sentence else SAME_STATE_S
            if health.state is last.state and age_s < wait_s:
                return
        self._reported = health
        self._link.emit(health)


def _model_key(options: CameraOptions) -> tuple[Any, ...]:
    """What a detector depends on: files by their content, threads and providers."""
    model = Path(options.model) if options.model is not None else default_model_path()
    files = (model, model.with_suffix(".toml"), model.with_name("MODEL.toml"))
    digests = tuple(hashlib.sha256(f.read_bytes()).hexdigest() if f.is_file() else "" for f in files)
    return (str(model), digests, options.threads, options.providers)
