"""The camera's path against its parts: bare inference, plain decoding, NMS and letterbox of others, memory of a child.

All on one clip that is drawn here (1080p, 25 pictures a second, MPEG-4), in one run. The peers (PyAV, supervision) run
in their own environment (`make peers`) on the same clip and boxes; without it their figures are missing, and said so.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from agent.clock import SystemClock
from agent.config.schema import Sensor
from agent.drivers.camera.base import CameraOptions
from agent.drivers.camera.open import open_camera
from agent.errors import SensorUnavailable
from agent.inference.boxes import found, nms
from agent.inference.detector import FREE_SIZE
from agent.inference.letterbox import InputForm, place, tensor
from agent.inference.load import load_detector
from agent.inference.session import Session
from agent.inference.spec import PRESETS
from agent.perception.camera import CameraPipeline
from agent.runtime.children import ChildSensor
from agent.transport.base import EndOfData

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.inference.letterbox import U8

SOURCE = (1920, 1080, 25.0, 100)  # width, height, pictures a second, pictures
RUN_S = 8.0
CHILD_S = 8.0
PSS_SAMPLES = 40
PEER = Path(".venv-peers/vision/bin/python")
PEER_SCRIPT = Path(__file__).with_name("bench_vision_peer.py")
NMS_BOXES = (200, 1000, 3000)


def measure(*, rounds: int, seed: int) -> dict[str, Any]:  # noqa: ARG001 - the shape of all benchmarks
    """The figures; `_ms` are milliseconds, `cpu` of processor time."""
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory(prefix="vigia-vision-") as name:
        folder = Path(name)
        clip = _clip(folder / "clip.mp4", seed)
        figures = {**_pipeline(clip), **_decoders(clip), **_suppression(folder, seed), **_letterbox()}
        figures |= _child_pss_mb(clip)
        return {**figures, **_peers(folder, clip)}


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


def _pipeline(clip: Path) -> dict[str, float]:
    """Pictures a second of the whole path on a live source against bare session.run on the same input, by turns."""
    detector = load_detector(threads=1)
    options = CameraOptions(fps=60.0, look="whole", cpu_share=64.0)
    clock = SystemClock()
    pipeline = CameraPipeline(options, detector, "bench")
    blob = tensor(np.zeros((FREE_SIZE[1], FREE_SIZE[0], 3), dtype=np.uint8), detector.info.form)
    session = Session(detector.info.path, threads=1)
    feed = {session.inputs[0][0]: blob}
    session.run(feed)
    bare: list[float] = []
    whole: list[float] = []
    cpu: dict[int, list[float]] = {id(bare): [], id(whole): []}  # of this thread: what a busy machine does not change
    late: list[float] = []
    source = open_camera(f"file://{clip}?loop=1", options, clock)
    try:
        for turn in range(4):
            times = bare if turn % 2 == 0 else whole
            end = time.monotonic() + RUN_S / 4.0
            source.read(1.0)  # a fresh picture to begin with
            while time.monotonic() < end:
                start, start_cpu = time.monotonic(), time.thread_time()
                if times is bare:
                    session.run(feed)
                else:
                    frame = source.read(1.0)
                    if frame is None:
                        continue
                    pipeline.process(frame)
                    late.append(clock.now().t_s - frame.at.t_s)
                times.append(time.monotonic() - start)
                cpu[id(times)].append(time.thread_time() - start_cpu)
    finally:
        source.close()
    bare_ms = 1000.0 * float(np.median(bare))
    return {
        "bare_ms": round(bare_ms, 1),
        "pipeline_ms": round(1000.0 * float(np.median(whole)), 1),
        "pipeline_share_of_bare": round(float(np.median(bare) / np.median(whole)), 3),
        "bare_cpu_ms": round(1000.0 * float(np.median(cpu[id(bare)])), 1),
        "pipeline_cpu_ms": round(1000.0 * float(np.median(cpu[id(whole)])), 1),
        "frame_to_measurement_p99_over_inference_ms": round(1000.0 * float(np.percentile(late, 99)) - bare_ms, 1),
    }


def _decoders(clip: Path) -> dict[str, float]:
    """Processor milliseconds per picture of the source: one in five taken, as a camera at 5 a second does."""

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

    return {
        "decode_cpu_ms": round(_cpu_ms(ours) / SOURCE[3], 2),
        "decode_cpu_ms_cv2_read": round(_cpu_ms(plainly) / SOURCE[3], 2),
    }


def _cpu_ms(work: Callable[[], None]) -> float:
    """The least of three runs."""
    spent = []
    for _ in range(3):
        start = time.process_time()
        work()
        spent.append(time.process_time() - start)
    return 1000.0 * min(spent)


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
    image: U8 = np.random.default_rng(0).integers(0, 255, (1080, 1920, 3), dtype=np.uint8)
    form = InputForm(pixels=PRESETS["rgb01"], fit="centre", pad=114, dtype="float32", nhwc=False)

    def ours() -> None:
        tensor(place(image, 640, 384, "centre", 114)[0], form)

    def blob() -> None:
        small = cv2.copyMakeBorder(cv2.resize(image, (640, 360)), 12, 12, 0, 0, cv2.BORDER_CONSTANT, value=(114,) * 3)
        cv2.dnn.blobFromImage(small, 1 / 255, swapRB=True)

    return {"letterbox_ms": round(_cpu_ms_of(ours), 2), "letterbox_ms_cv2": round(_cpu_ms_of(blob), 2)}


def _cpu_ms_of(work: Callable[[], object]) -> float:
    """Processor time of this thread, the median of twenty runs: a busy machine does not change it much."""
    spent = []
    for _ in range(20):
        start = time.thread_time()
        work()
        spent.append(time.thread_time() - start)
    return 1000.0 * float(np.median(spent))


def _child_pss_mb(clip: Path) -> dict[str, float]:
    """Proportional set size of a camera's process on the clip, as configured by default: in the middle, and at most."""
    sensor = Sensor(name="bench", driver="camera", url=f"file://{clip}?loop=1")
    child = ChildSensor(sensor, "camera", 20.0, clip.parent, SystemClock(), lambda _, __: None)
    child.start()
    try:
        time.sleep(CHILD_S)
        found = []
        for _ in range(PSS_SAMPLES):
            time.sleep(0.31)  # no multiple of the pictures' period
            if child.pid is None:
                raise SensorUnavailable(
                    "the camera's process of the benchmark ended by itself; see its messages above."
                )
            rollup = Path(f"/proc/{child.pid}/smaps_rollup").read_text(encoding="ascii")
            kilobytes = next(line.split()[1] for line in rollup.splitlines() if line.startswith("Pss:"))
            found.append(int(kilobytes) / 1024.0)
        return {"child_pss_mb": round(float(np.median(found)), 1), "child_pss_peak_mb": round(max(found), 1)}
    finally:
        child.stop()


def _peers(folder: Path, clip: Path) -> dict[str, Any]:
    if not PEER.exists():
        return {"peers": "not installed: make peers"}
    command = [str(PEER), str(PEER_SCRIPT), str(folder), str(clip)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - our own script
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures
