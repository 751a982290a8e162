"""A camera's own process against a real MJPEG server: orders of the parent, faults, recovery, another model."""

from __future__ import annotations

import shutil
import threading
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from agent.clock import SystemClock
from agent.config.schema import Power, Sensor, Site
from agent.messages import Detections, SensorHealth, SensorState
from agent.perception.crops import BUDGET_BYTES
from agent.runtime.children import ChildSensor
from agent.runtime.power import Governor
from camera.mjpeg_server import Camera, part, wait_until
from inference.blob_model import blob_model, classifier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

RNG = np.random.default_rng(5)


def sea() -> bytes:
    """A picture with noise and one bright boat of 16 px."""
    image = RNG.integers(10, 40, (256, 320, 3), dtype=np.uint8)
    image[96:112, 160:176] = 255
    _, data = cv2.imencode(".jpg", image)
    return data.tobytes()


def living() -> Iterator[bytes | float]:
    while True:
        yield part(sea())
        yield 0.04


class Desk:
    """What the parent's desk does, with orders set by the test."""

    def __init__(self) -> None:
        self.cues: list[list[float | None]] = []
        self.wanted = 0
        self.crops: list[tuple[int, bytes]] = []

    def orders(self, camera: str, now_s: float) -> list[list[Any]]:
        assert camera == "cam"
        crops = [["crop", self.wanted, 10.0, 40.0]] if self.wanted else []
        return [["cues", now_s, self.cues], *crops]

    def clip_orders(self, camera: Sensor, now_s: float) -> list[list[Any]]:
        assert (camera.name, now_s > 0.0) == ("cam", True)
        return []

    def crop(self, camera: str, alert_id: int, jpeg: bytes) -> None:
        assert camera == "cam"
        self.crops.append((alert_id, jpeg))


class Watched:
    """A child and all that it said."""

    def __init__(self, url: str, model: Path, **options: Any) -> None:
        self.said: list[Any] = []
        self.desk = Desk()
        given = {"bearing_deg": 10.0, "model": str(model), "min_score": 0.6, "stall_s": 1.0, "look": "whole", **options}
        self.sensor = Sensor(name="cam", driver="camera", url=url, options=given)
        clock = SystemClock()
        self.child = ChildSensor(
            self.sensor, "camera", 20.0, model.parent, clock, lambda _, m: self.said.append(m),
            self.desk,  # type: ignore[arg-type] # its three methods
        )  # fmt: skip
        self.child.start()

    def seen(self, since: int = 0) -> list[Detections]:
        return [m for m in self.said[since:] if isinstance(m, Detections)]

    def told(self, part_of: str, since: int = 0) -> bool:
        return any(isinstance(m, SensorHealth) and part_of in m.sentence for m in self.said[since:])

    def waits(self, done: Callable[[], bool]) -> None:
        assert wait_until(done, 40.0), [m for m in self.said if isinstance(m, SensorHealth)][-5:]


@pytest.fixture
def camera() -> Iterator[Camera]:
    made = Camera(living)
    yield made
    made.close()


@pytest.fixture
def start() -> Iterator[Callable[..., Watched]]:
    made: list[Watched] = []

    def make(*args: Any, **options: Any) -> Watched:
        made.append(Watched(*args, **options))
        return made[-1]

    yield make
    for one in made:
        one.child.stop()


def test_cues_raise_the_pace_and_the_best_view_comes_on_request_without_what_is_masked(
    camera: Camera, start: Callable[..., Watched], tmp_path: Path
) -> None:
    mask = [[[0.0, 0.0], [0.5, 0.0], [0.5, 1.0], [0.0, 1.0]]]
    eyes = start(camera.url(), blob_model(tmp_path / "m.onnx"), fps=1.0, cued_fps=12.0, masks=mask, min_score=0.95)
    eyes.waits(lambda: len(eyes.seen()) >= 3)
    eyes.desk.wanted = 7
    eyes.waits(lambda: any(jpeg for _, jpeg in eyes.desk.crops))
    alert, jpeg = next(c for c in eyes.desk.crops if c[1])
    assert alert == 7
    assert len(jpeg) <= BUDGET_BYTES
    view = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert view is not None
    assert view.max() > 200, "the boat is in it"
    columns = view.max(axis=(0, 2))
    assert columns[:20].max() < 60, "left of the middle of the picture all is masked"

    def pace() -> float:
        times = [d.at_s for d in eyes.seen()[-4:]]
        return 3.0 / max(times[-1] - times[0], 1e-3)

    eyes.desk.cues = [[10.0, 0.5, 900.0]]
    eyes.waits(lambda: pace() > 2.0)


def test_a_camera_that_is_killed_is_told_and_found_again(
    camera: Camera, start: Callable[..., Watched], tmp_path: Path
) -> None:
    eyes = start(camera.url(), blob_model(tmp_path / "m.onnx"), fps=10.0)
    eyes.waits(lambda: len(eyes.seen()) >= 3)
    alive = threading.Event()

    def dead() -> Iterator[bytes | float]:
        if alive.is_set():
            yield from living()

    camera.script = dead
    camera.ended.set()  # every stream ends ...
    before = len(eyes.said)
    eyes.waits(lambda: eyes.told("ended the stream", before))
    camera.ended.clear()  # ... and the server answers again, with nothing, for a while
    time.sleep(1.0)
    before = len(eyes.said)
    alive.set()
    eyes.waits(lambda: len(eyes.seen(before)) >= 3)
    states = [m.state for m in eyes.said if isinstance(m, SensorHealth)]
    assert SensorState.UNAVAILABLE in states
    eyes.waits(lambda: any(isinstance(m, SensorHealth) and m.state is SensorState.OK for m in eyes.said[before:]))


def test_a_stuck_picture_and_a_covered_lens_are_told_with_numbers(
    camera: Camera, start: Callable[..., Watched], tmp_path: Path
) -> None:
    eyes = start(camera.url(), blob_model(tmp_path / "m.onnx"), fps=4.0)
    eyes.waits(lambda: len(eyes.seen()) >= 3)
    still = sea()
    _, black = cv2.imencode(".jpg", np.zeros((256, 320, 3), dtype=np.uint8))

    def shown(picture: bytes) -> Callable[[], Iterator[bytes | float]]:
        def script() -> Iterator[bytes | float]:
            while True:
                yield part(picture)
                yield 0.05

        return script

    for picture, sentence in ((still, "has not changed for"), (black.tobytes(), "the picture is black (mean 0")):
        camera.script = shown(picture)
        camera.ended.set()
        time.sleep(0.3)
        camera.ended.clear()
        before = len(eyes.said)
        eyes.waits(lambda text=sentence, since=before: eyes.told(text, since))  # type: ignore[misc] # bound per round


def test_another_model_takes_over_while_the_camera_stays_open_and_a_wrong_one_does_not(
    camera: Camera, start: Callable[..., Watched], tmp_path: Path
) -> None:
    model = blob_model(tmp_path / "m.onnx")
    eyes = start(camera.url(), model, fps=10.0)
    eyes.waits(lambda: any(b.label == "vessel" for d in eyes.seen() for b in d.boxes))
    connections = camera.requests
    toml = model.with_suffix(".toml")
    toml.write_text(toml.read_text().replace('"vessel"', '"panga"') + 'vessel_labels = ["panga"]\n')
    before = len(eyes.said)
    eyes.child.swap(eyes.sensor)
    eyes.waits(lambda: any(b.label == "panga" for d in eyes.seen(before) for b in d.boxes))
    shutil.copy(classifier(tmp_path / "c.onnx"), model)
    before = len(eyes.said)
    eyes.child.swap(eyes.sensor)
    eyes.waits(lambda: eyes.told("the new model is not taken, the old one goes on", before))
    before = len(eyes.said)
    eyes.waits(lambda: any(b.label == "panga" for d in eyes.seen(before) for b in d.boxes))
    assert camera.requests == connections, "the stream was never opened again"


def test_a_box_that_saves_looks_less_and_in_full_when_something_is_tracked(
    camera: Camera, start: Callable[..., Watched], tmp_path: Path
) -> None:
    eyes = start(camera.url(), blob_model(tmp_path / "m.onnx"), fps=6.0, cued_fps=6.0, min_score=0.99)
    site = Site(name="Cabo", lat=36.0, lon=-5.6, height_m=20.0)
    governor = Governor(Power(profile="saver", camera_idle_fps=0.4), site)
    eyes.child._power = lambda: governor

    def pace() -> float:
        times = [d.at_s for d in eyes.seen()[-4:]]
        return (len(times) - 1) / max(times[-1] - times[0], 1e-3)

    eyes.waits(lambda: len(eyes.seen()) >= 4 and pace() > 2.0)
    governor.look(SystemClock().now())
    eyes.waits(lambda: pace() < 0.8)
    alert = SimpleNamespace()
    governor.watch(SystemClock().now().t_s, None, [alert])  # type: ignore[list-item] # that there is one is all
    eyes.waits(lambda: pace() > 2.0)
