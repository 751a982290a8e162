"""The camera's path against its parts: bare inference, plain decoding, NMS and letterbox of others, memory of a child.

All on one clip that is drawn here (1080p, 25 pictures a second, MPEG-4), in one run. The peers (PyAV, supervision) run
in their own environment (`make peers`) on the same clip and boxes; without it their figures are missing, and said so.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from agent.clock import SystemClock
from agent.config.schema import Sensor
from agent.drivers.camera.open import open_camera
from agent.drivers.camera.options import CameraOptions
from agent.errors import SensorUnavailable
from agent.inference.boxes import found, nms
from agent.inference.detector import FREE_SIZE, Detector
from agent.inference.letterbox import InputForm, place, tensor
from agent.inference.load import load_detector
from agent.inference.session import Session
from agent.inference.spec import PRESETS
from agent.messages import Detections, Stamp
from agent.perception.camera import CameraPipeline
from agent.perception.stance import LEARN_LOOKS, LOOK_S
from agent.runtime.children import ChildSensor
from agent.transport.base import EndOfData

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from agent.drivers.camera.base import Frame, FrameSource
    from agent.inference.letterbox import U8

SOURCE = (1920, 1080, 25.0, 200)  # width, height, pictures a second, pictures
TURNS, TURN_S = 4, 5.0
PACES = {"flat_out": 60.0, "paced": 4.0}  # pictures a second that are asked for; 4: a camera with something to look at
UNCOUNTED = 3
CHILD_S = 20.0  # from its second look on a child has let go of what its start needed
PSS_SAMPLES = 40
PEER = Path(".venv-peers/vision/bin/python")
PEER_SCRIPT = Path(__file__).with_name("bench_vision_peer.py")
DECODE_TURNS = 9
NMS_BOXES = (200, 1000, 3000)


def measure(*, rounds: int, seed: int) -> dict[str, Any]:  # noqa: ARG001 - the shape of all benchmarks
    """The figures; `_ms` are milliseconds, `cpu` of processor time."""
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory(prefix="vigia-vision-") as name:
        folder = Path(name)
        clip = _clip(folder / "clip.mp4", seed)
        figures = {**_pipeline(clip), **_decoders(folder, clip), **_suppression(folder, seed), **_letterbox()}
        figures |= _child_mb(clip)
        if not PEER.exists():
            return {**figures, "peers": "not installed: make peers"}
        return {**figures, **_peers(folder, clip, "boxes")}


def _clip(path: Path, seed: int) -> Path:
    """A sea of moving noise under a sky, with a bright boat."""
    width, height, fps, count = SOURCE
    rng = np.random.default_rng(seed)
    waves = cv2.resize(rng.integers(60, 120, (270, 960, 3), dtype=np.uint8), (width * 2, height))
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), fps, (width, height))
    for i in range(count):
        image = np.asarray(waves[:, 4 * i : 4 * i + width]).copy()
        image[: height // 3] = (200, 180, 160)
        image[height // 3 + 20 : height // 3 + 40, 600 + 3 * i : 660 + 3 * i] = 240
        writer.write(image)
    writer.release()
    return path


def _pipeline(clip: Path) -> dict[str, Any]:
    """The whole path on a live source against bare session.run on an input of the same size, by turns.

    Flat out, a camera takes the newest picture at hand, which may be as old as the stream's period; at its own pace it
    waits for the next one. Delays (50, 90 and 99 % are below) run from a picture's stamp to its boxes: over the median
    of bare runs, in which the spread of the runs themselves is, and over the very run that found them.
    """
    info = load_detector(threads=1).info
    session = _TimedSession(info.path, threads=1)
    feed = {session.inputs[0][0]: tensor(np.zeros((FREE_SIZE[1], FREE_SIZE[0], 3), dtype=np.uint8), info.form)}
    session.run(feed)
    bare = _Times()
    looking = {name: _Looking(clip, fps, Detector(info, session), session) for name, fps in PACES.items()}
    for _ in range(TURNS):
        end = time.monotonic() + TURN_S
        while time.monotonic() < end:
            bare.take(lambda: session.run(feed))
        for camera in looking.values():
            camera.look(TURN_S)
    flat_out = looking["flat_out"]
    figures: dict[str, Any] = {
        "bare_ms": round(bare.wall_ms(50), 1),
        "bare_p99_ms": round(bare.wall_ms(99), 1),
        "pipeline_ms": round(flat_out.times.wall_ms(50), 1),
        "pipeline_share_of_bare": round(bare.wall_ms(50) / flat_out.times.wall_ms(50), 3),
        "bare_cpu_ms": round(bare.cpu_ms, 1),
        "pipeline_cpu_ms": round(flat_out.times.cpu_ms, 1),
    }
    for name, camera in looking.items():
        late_ms, own_ms = (1000.0 * np.asarray(s) for s in (camera.late_s, camera.own_s))
        for over, ms in (("inference", bare.wall_ms(50)), ("its_inference", own_ms)):
            over_ms = np.percentile(late_ms - ms, (50, 90, 99))
            figures[f"{name}_delay_over_{over}_ms"] = [round(float(v), 1) for v in over_ms]
    return figures


class _TimedSession(Session):
    """Notes how long its last run took."""

    ran_s = 0.0

    def run(self, feed: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
        start = time.monotonic()
        outputs = super().run(feed)
        self.ran_s = time.monotonic() - start
        return outputs


class _Times:
    """Of one kind of work, over and over."""

    def __init__(self) -> None:
        self._wall_s: list[float] = []
        self._cpu_s: list[float] = []

    def take(self, work: Callable[[], object]) -> None:
        start, start_cpu = time.monotonic(), time.thread_time()
        work()
        self._wall_s.append(time.monotonic() - start)
        self._cpu_s.append(time.thread_time() - start_cpu)

    def wall_ms(self, percent: float) -> float:
        return 1000.0 * float(np.percentile(self._wall_s, percent))

    @property
    def cpu_ms(self) -> float:
        """Of this thread, the median: what a busy machine does not change."""
        return 1000.0 * float(np.median(self._cpu_s))


class _Looking:
    """A camera on the clip that looks at `fps` pictures a second, if it can, and has learnt its view."""

    def __init__(self, clip: Path, fps: float, detector: Detector, session: _TimedSession) -> None:
        self.times = _Times()  # from one picture judged to the next
        self.late_s: list[float] = []  # from a picture's stamp to its boxes
        self.own_s: list[float] = []  # of these, the model's run
        self._url = f"file://{clip}?loop=1"
        self._options = CameraOptions(fps=fps, cued_fps=fps, look="whole", cpu_share=64.0)
        self._pipeline = CameraPipeline(self._options, detector, "bench")
        self._session = session
        self._clock = SystemClock()
        source = open_camera(f"file://{clip}?pace=fast", self._options, self._clock)
        try:
            picture = self._read(source)
        finally:
            source.close()
        for i in range(LEARN_LOOKS):
            at_s = self._clock.now().t_s + LOOK_S * (i - LEARN_LOOKS)
            nothing = Detections(at_s=at_s, source="bench", width_px=SOURCE[0], height_px=SOURCE[1], boxes=())
            self._pipeline.judge(replace(picture, at=Stamp(t_s=at_s, wall_s=at_s)), nothing)

    def look(self, seconds: float) -> None:
        """For so long. The first pictures, of a camera that has just been opened, do not count."""
        source = open_camera(self._url, self._options, self._clock)
        try:
            for _ in range(UNCOUNTED):
                self._picture(source)
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                self.times.take(lambda: self._note(*self._picture(source)))
        finally:
            source.close()

    def _picture(self, source: FrameSource) -> tuple[float, float]:
        frame = self._read(source)
        found = self._pipeline.process(frame)
        late_s = self._clock.now().t_s - frame.at.t_s
        self._pipeline.judge(frame, found)
        return late_s, self._session.ran_s

    @staticmethod
    def _read(source: FrameSource) -> Frame:
        while True:
            if (frame := source.read(1.0)) is not None:
                return frame

    def _note(self, late_s: float, own_s: float) -> None:
        self.late_s.append(late_s)
        self.own_s.append(own_s)


def _decoders(folder: Path, clip: Path) -> dict[str, Any]:
    """Processor milliseconds per picture of the source: one in five taken, as a camera at 5 a second does.

    By turns with the peers: medians, and the quartiles of ours over PyAV's one in five of the same turn.
    """

    def ours() -> None:
        source = open_camera(f"file://{clip}?pace=fast", CameraOptions(fps=5.0), SystemClock())
        try:
            while True:
                source.read(1.0)
        except EndOfData:
            source.close()

    def plainly() -> None:
        capture = cv2.VideoCapture(str(clip))
        while capture.read()[0]:
            pass
        capture.release()

    turns: dict[str, list[float]] = {}
    for _ in range(DECODE_TURNS):
        figures = {"decode_cpu_ms": _cpu_ms(ours), "decode_cpu_ms_cv2_read": _cpu_ms(plainly)}
        if PEER.exists():
            figures |= _peers(folder, clip, "decode")
        for name, value in figures.items():
            turns.setdefault(name, []).append(value)
    figures = {name: round(float(np.median(values)), 2) for name, values in turns.items()}
    if PEER.exists():
        ratios = np.divide(turns["decode_cpu_ms"], turns["decode_cpu_ms_pyav_one_in_five"])
        quartiles = np.percentile(ratios, (0, 25, 50, 75, 100))
        return {**figures, "decode_ours_over_pyav_one_in_five": [round(float(q), 2) for q in quartiles]}
    return figures


def _cpu_ms(work: Callable[[], None]) -> float:
    """Of one run through the clip, per picture of it."""
    start = time.process_time()
    work()
    return 1000.0 * (time.process_time() - start) / SOURCE[3]


def _suppression(folder: Path, seed: int) -> dict[str, Any]:
    """NMS on random boats in two classes; the boxes and what stayed are left for the peer."""
    rng = np.random.default_rng(seed)
    figures: dict[str, Any] = {}
    for many in NMS_BOXES:
        corners = rng.uniform(0, 1200, (many, 4))
        corners[:, 2:] = corners[:, :2] + rng.uniform(5, 120, (many, 2))
        scores = (1.0 + rng.permutation(many)) / (many + 1)
        boxes = found(corners, scores, rng.integers(0, 2, many))
        kept = nms(boxes)
        figures[f"nms_{many}_ms"] = round(_cpu_ms_of(lambda b=boxes: nms(b)), 3)  # type: ignore[misc] # bound now
        np.savez(
            folder / f"nms{many}.npz", corners=boxes.corners, scores=boxes.scores, classes=boxes.classes,
            kept=np.sort(kept.scores),
        )  # fmt: skip
    return figures


def _letterbox() -> dict[str, float]:
    """A picture laid into 640 x 384, as supervision does it; and with the input tensor made of it, as OpenCV does."""
    image: U8 = np.random.default_rng(0).integers(0, 255, (1080, 1920, 3), dtype=np.uint8)
    form = InputForm(pixels=PRESETS["rgb01"], fit="centre", pad=114, dtype="float32", nhwc=False)
    memory = np.empty(3 * 384 * 640, dtype=np.float32)  # as a detector keeps it

    def laid() -> U8:
        return place(image, 640, 384, "centre", 114)[0]

    def blob() -> None:
        small = cv2.copyMakeBorder(cv2.resize(image, (640, 360)), 12, 12, 0, 0, cv2.BORDER_CONSTANT, value=(114,) * 3)
        cv2.dnn.blobFromImage(small, 1 / 255, swapRB=True)

    return {
        "letterbox_ms": round(_cpu_ms_of(laid), 2),
        "letterbox_tensor_ms": round(_cpu_ms_of(lambda: tensor(laid(), form, memory)), 2),
        "letterbox_tensor_ms_cv2": round(_cpu_ms_of(blob), 2),
    }


def _cpu_ms_of(work: Callable[[], object]) -> float:
    """Processor time of this thread, the median of twenty runs: a busy machine does not change it much."""
    spent = []
    for _ in range(20):
        start = time.thread_time()
        work()
        spent.append(time.thread_time() - start)
    return 1000.0 * float(np.median(spent))


def _child_mb(clip: Path) -> dict[str, float]:
    """Memory of a camera's process on the clip, as configured by default: in the middle, and at most.

    The proportional set size depends on how many others have its libraries open (this benchmark does); `own` does not.
    """
    sensor = Sensor(name="bench", driver="camera", url=f"file://{clip}?loop=1")
    child = ChildSensor(sensor, "camera", 20.0, clip.parent, SystemClock(), lambda _, __: None)
    child.start()
    try:
        time.sleep(CHILD_S)
        seen: dict[str, list[float]] = {"Pss": [], "Private_Dirty": []}
        for _ in range(PSS_SAMPLES):
            time.sleep(0.31)  # no multiple of the pictures' period
            if child.pid is None:
                raise SensorUnavailable(
                    "the camera's process of the benchmark ended by itself; see its messages above."
                )
            rollup = Path(f"/proc/{child.pid}/smaps_rollup").read_text(encoding="ascii")
            lines = dict(line.split(":", 1) for line in rollup.splitlines()[1:])
            for key, values in seen.items():
                values.append(int(lines[key].split()[0]) / 1024.0)
        figures = {}
        for name, key in (("pss", "Pss"), ("own", "Private_Dirty")):
            figures[f"child_{name}_mb"] = round(float(np.median(seen[key])), 1)
            figures[f"child_{name}_peak_mb"] = round(max(seen[key]), 1)
        return figures
    finally:
        child.stop()


def _peers(folder: Path, clip: Path, what: str) -> dict[str, Any]:
    command = [str(PEER), str(PEER_SCRIPT), str(folder), str(clip), what]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - our own script
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures
