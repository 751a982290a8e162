"""Pictures of a scenario as files, with truth: a video, a folder of pictures, one picture, or the truth alone.

Promises:
- the same scenario, seed, times, detail, size and faults give the same pictures and the same truth, byte for byte;
- `NAME.mp4`, `NAME.mkv` (H.264, `NAME.jsonl` beside it) and a folder (`000000.jpg`..., `truth.jsonl`): a header, then a
  line for every picture with a box for everything in it; `NAME.jsonl` is that truth without the pictures;
- nothing that exists is overwritten, except one picture.
"""

from __future__ import annotations

import json
import math
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, TextIO

import cv2
import numpy as np

from hardware_sim import sight
from hardware_sim.devices import h264
from hardware_sim.devices.view import View
from hardware_sim.errors import UsageError
from hardware_sim.faults import Faults

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from hardware_sim.render import Rendered
    from hardware_sim.world import World

    Put = Callable[[int, NDArray[np.uint8]], str | None]

VIDEOS, PICTURES, TRUTH = (".mp4", ".mkv"), (".jpg", ".png"), ".jsonl"
LENSES = ("camera-black", "camera-overexposed", "camera-salted")
FAULTS = (*LENSES, "camera-knocked", "camera-stuck", "camera-clock")
"""Those that can be seen in a picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What to render. `suffix`: of the pictures in a folder; `quality`: JPEG's."""

    out: Path
    from_s: float = 0.0
    duration_s: float = 10.0
    fps: float = 6.0
    detail: str = "full"
    suffix: str = ".jpg"
    quality: int = 85

    @property
    def times(self) -> list[float]:
        """When the pictures are taken."""
        single = self.out.suffix in PICTURES
        count = 1 if single else max(1, round(self.duration_s * self.fps))
        return [self.from_s + k / self.fps for k in range(count)]


def render(world: World, options: Options) -> dict[str, Any]:
    """Write the pictures and their truth; what was written, and the truth itself if it is one picture.

    Raises:
        UsageError: the destination or the options make no sense.

    """
    view, faults = View(world, options.detail), Faults(world.scenario.fault)
    count = boxes = 0
    line: dict[str, Any] = {}
    with ExitStack() as stack:
        try:
            put, truth = _opened(stack, world, options)
        except OSError as error:
            raise UsageError(f"{error.filename}: cannot be written: {error.strerror}; give another name") from error
        if truth is not None:
            _write(truth, _header(world, options))
        seen: Rendered | None = None
        for t in options.times:
            if seen is None or not faults.active("camera-stuck", t):
                seen = _seen(view, faults, t)
            line = _truth(world, put(count, seen.image), t, seen)
            count += 1
            boxes += len(line["boxes"])
            if truth is not None:
                _write(truth, line)
    camera = world.scenario.camera
    told = {"out": str(options.out), "pictures": count, "size_px": [camera.width_px, camera.height_px], "boxes": boxes}
    return told if options.out.suffix not in PICTURES else {**told, "truth": line}


def _seen(view: View, faults: Faults, t_s: float) -> Rendered:
    lens = next((name.removeprefix("camera-") for name in LENSES if faults.active(name, t_s)), "clear")
    return view.picture(t_s, lens, faults.value("camera-knocked", t_s), faults.value("camera-clock", t_s))


def _opened(stack: ExitStack, world: World, options: Options) -> tuple[Put, TextIO | None]:
    """Where the pictures go, and where the truth."""
    out = options.out
    if out.suffix in PICTURES:
        return _pictures(out.parent, options.quality, lambda _: out.name), None
    if out.suffix == TRUTH:
        return lambda _number, _image: None, stack.enter_context(out.open("x", encoding="utf-8"))
    if out.suffix in VIDEOS:
        camera = world.scenario.camera
        no = h264.why_not(camera.width_px, camera.height_px)
        if no is not None:
            raise UsageError(f"{out}: no video: {no}")
        truth = stack.enter_context(out.with_suffix(".jsonl").open("x", encoding="utf-8"))
        return stack.enter_context(_video(out, camera.width_px, camera.height_px, options.fps)), truth
    if out.suffix:
        raise UsageError(f"{out}: give NAME.mp4, .mkv, .jpg, .png or .jsonl, or a folder without a dot in its name")
    if out.is_dir() and any(out.iterdir()):
        raise UsageError(f"{out}: the folder is not empty; give a new one")
    out.mkdir(parents=True, exist_ok=True)
    truth = stack.enter_context((out / "truth.jsonl").open("x", encoding="utf-8"))
    return _pictures(out, options.quality, lambda n: f"{n:06d}{options.suffix}"), truth


def _pictures(folder: Path, quality: int, name: Callable[[int], str]) -> Put:
    def put(number: int, image: NDArray[np.uint8]) -> str:
        file = folder / name(number)
        how = [cv2.IMWRITE_JPEG_QUALITY, quality] if file.suffix == ".jpg" else []
        ok, data = cv2.imencode(file.suffix, image, how)
        if not ok:
            raise UsageError(f"{file}: the picture could not be compressed; choose another format")
        try:
            file.write_bytes(data.tobytes())
        except OSError as error:
            raise UsageError(f"{file}: cannot be written: {error.strerror}") from error
        return file.name

    return put


@contextmanager
def _video(path: Path, width_px: int, height_px: int, fps: float) -> Iterator[Put]:
    import av  # noqa: PLC0415 - who wants pictures needs none of it

    path.touch(exist_ok=False)
    with av.open(str(path), "w") as container:
        rate = Fraction(fps).limit_denominator(1000)
        stream = container.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = width_px, height_px, "yuv420p"
        stream.codec_context.thread_count = 1  # with several, the bytes depend on how many
        stream.options = {"preset": "medium", "crf": "18", "x264-params": h264.COLOURS}

        def put(number: int, image: NDArray[np.uint8]) -> str:
            frame = av.VideoFrame.from_ndarray(h264.yuv(image), format="yuv420p")
            frame.pts, frame.time_base = number, 1 / rate
            container.mux(stream.encode(frame))
            return path.name

        yield put
        container.mux(stream.encode(None))


def _header(world: World, options: Options) -> dict[str, Any]:
    s = world.scenario
    return {
        "type": "header",
        "scenario": s.name,
        "seed": world.seed,
        "from_s": options.from_s,
        "fps": options.fps,
        "detail": options.detail,
        "camera": s.camera.model_dump(exclude={"fps", "jpeg_quality"}),
        "weather": s.weather.model_dump(),
        "faults": [f.model_dump(exclude_none=True) for f in s.fault if f.name in FAULTS],
    }


def _truth(world: World, file: str | None, t_s: float, seen: Rendered) -> dict[str, Any]:
    """One picture: everything that shows in it. Pixels from the upper left corner, see `hardware_sim.render.types`."""
    states = {v.id: (v.table.kind, v.at(t_s)) for v in world.vessels}
    grey = np.asarray(cv2.cvtColor(seen.image, cv2.COLOR_BGR2GRAY), dtype=np.float32)
    boxes = []
    for box in seen.boxes:
        kind, state = states[box.id]
        boxes.append(
            {
                "id": box.id,
                "kind": kind,
                "box_px": [round(x, 2) for x in (box.x0, box.y0, box.x1, box.y1)],
                "size_px": [round(box.x1 - box.x0, 2), round(box.y1 - box.y0, 2)],
                "visible": round(box.visible, 3),
                "contrast": round(box.contrast, 2),
                "grain": round(sight.grain(grey, (box.x0, box.y0, box.x1, box.y1)), 2),
                "range_m": round(math.hypot(state.east_m, state.north_m), 1),
                "bearing_deg": round(math.degrees(math.atan2(state.east_m, state.north_m)) % 360.0, 3),
            }
        )
    horizon = [round(y, 2) for y in seen.horizon_px]
    return {"type": "picture", "file": file, "t": round(t_s, 6), "horizon_px": horizon, "boxes": boxes}


def _write(truth: TextIO, line: dict[str, Any]) -> None:
    truth.write(json.dumps(line, ensure_ascii=False) + "\n")
