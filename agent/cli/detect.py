"""`vigia detect`: the camera path's own inference on pictures and videos; one JSON object per picture on stdout.

The objects of a video also carry `frame` (from 0 on) and `at_s` (seconds from its start).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from agent.errors import InputError, SensorUnavailable, UsageError
from agent.transport.base import EndOfData

if TYPE_CHECKING:
    import argparse

    import cv2

    from agent.inference.detector import Detector
    from agent.inference.letterbox import U8
    from agent.inference.spec import ModelOptions
    from agent.inference.tiles import Region
    from agent.messages import Box

NAME = "detect"
HELP = "find vessels in pictures and videos, as a camera on the box would"
EXAMPLE = "vigia detect --annotate out harbour.jpg | jq .detections"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `vigia detect`."""
    parser.epilog = f"example: {EXAMPLE}"
    parser.add_argument("images", nargs="+", type=Path, metavar="IMAGE", help="pictures or videos")
    parser.add_argument("--model", type=Path, metavar="M.onnx", help="default: the model that Vigía ships")
    parser.add_argument("--layout", help="output layout, where the graph does not tell it (yolov8, yolox, ssd-tf, ...)")
    parser.add_argument("--input", help="rgb01, rgb255, bgr01, bgr255, imagenet, or keys: order=bgr,scale=0.0039")
    parser.add_argument("--fit", choices=("topleft", "centre", "stretch"), help="how a picture fills the input")
    parser.add_argument("--labels", metavar="F", help="coco80, coco91, or a file with one class name a line")
    parser.add_argument("--tiles", default="auto", metavar="auto|off|WxH", help="look at overlapping tiles as well")
    parser.add_argument("--min-score", type=float, metavar="S", help="default: the model's own, or 0.3")
    parser.add_argument("--threads", type=int, default=2, help="default: %(default)s")
    parser.add_argument("--providers", default="cpu", help="in order of preference: cuda,openvino,cpu (default: cpu)")
    parser.add_argument("--fps", type=float, default=60.0, help="of a video, look at so many a second (default: all)")
    parser.add_argument(
        "--annotate", type=Path, metavar="DIR", help="write pictures and videos with their boxes to DIR"
    )


def run(args: argparse.Namespace) -> int:
    """Detect in every picture and video; those that cannot be read are named together at the end.

    Raises:
        UsageError, ConfigError, InputError, UnsupportedError: one sentence each.

    """
    if args.min_score is not None and not 0.0 <= args.min_score <= 1.0:
        raise UsageError(f"--min-score {args.min_score:g}: give a number from 0 to 1.")
    if not 0.0 < args.fps <= 60.0:
        raise UsageError(f"--fps {args.fps:g}: give a number above 0, up to 60.")
    tile = _tile(args.tiles)
    options = _options(args)
    if args.annotate is not None:
        _make_folder(args.annotate)

    # OpenCV and ONNX Runtime cost 0.2 s: imported only once it is clear that they are needed
    from agent.inference.load import load_detector  # noqa: PLC0415 - see above
    from agent.inference.selfcheck import self_check  # noqa: PLC0415 - see above

    detector = load_detector(
        args.model, options=options, threads=args.threads, providers=tuple(args.providers.split(","))
    )
    for sentence in (detector.info.summary, detector.info.sentence, self_check(detector)):
        if sentence:
            print(sentence, file=sys.stderr)
    look = _Look(detector, tile, args.min_score)
    unread: list[str] = []
    written: set[str] = set()
    for path in args.images:
        name = path.stem if path.stem not in written else f"{path.stem}-{len(written)}"
        target = None if args.annotate is None else args.annotate / name
        try:
            _one(path, look, args.fps, target)
        except (InputError, SensorUnavailable) as e:
            if isinstance(e, _CannotWriteError):
                raise
            unread.append(f"{path} ({'not a picture or video' if path.is_file() else 'no such file'})")
            continue
        written.add(name)
    if detector.unnamed:
        print(detector.unnamed, file=sys.stderr)
    if unread:
        raise InputError(
            f"Cannot be read: {', '.join(unread)}; give JPEG, PNG, WebP, BMP or TIFF pictures, or videos such as MP4."
        )
    return 0


class _CannotWriteError(InputError):
    """The annotated picture cannot be stored: going on would lose all the others, too."""


class _Look:
    """What is looked at in a picture, and which boxes are worth printing."""

    def __init__(self, detector: Detector, tile: tuple[int, int] | str, min_score: float | None) -> None:
        self._detector = detector
        self._tile = tile
        self._min_score = min_score

    def boxes(self, image: U8) -> tuple[Box, ...]:
        """Boxes of a picture [H, W, 3], from `min_score` on, or from the model's own scores on."""
        from agent.inference.tiles import find_in  # noqa: PLC0415 - see run

        detector, low = self._detector, self._min_score
        regions = _regions(detector, image, self._tile)
        if low is not None:
            return detector.to_boxes(find_in(detector, image, regions, min_score=low))
        return detector.shown(find_in(detector, image, regions, min_score=detector.lowest_score))


def _one(path: Path, look: _Look, fps: float, target: Path | None) -> None:
    """One picture or video: its lines, and its annotated copy at `target` with a suffix.

    Raises:
        InputError, SensorUnavailable: it is neither, or not there.

    """
    import cv2  # noqa: PLC0415 - see run
    import numpy as np  # noqa: PLC0415 - see run

    loaded = cv2.imread(str(path), cv2.IMREAD_COLOR) if path.is_file() else None
    if loaded is None:
        _video(path, look, fps, target)
        return
    image = np.asarray(loaded, dtype=np.uint8)
    boxes = look.boxes(image)
    print(json.dumps(report(str(path), image, boxes)), flush=True)
    if target is not None:
        from agent.inference.draw import annotated  # noqa: PLC0415 - see run

        if not cv2.imwrite(f"{target}.jpg", annotated(image, boxes)):
            raise _CannotWriteError(f"{target}.jpg: the annotated picture cannot be written; is the disk full?")


def _video(path: Path, look: _Look, fps: float, target: Path | None) -> None:
    """Every picture of a video, at most `fps` a second of it; the annotated one is MP4 at the same pace."""
    from agent.clock import SystemClock  # noqa: PLC0415 - see run
    from agent.drivers.camera.open import open_camera  # noqa: PLC0415 - see run
    from agent.drivers.camera.options import CameraOptions  # noqa: PLC0415 - see run
    from agent.inference.draw import annotated  # noqa: PLC0415 - see run

    source = open_camera(f"file://{quote(str(path))}?pace=fast", CameraOptions(fps=fps), SystemClock())
    writer: cv2.VideoWriter | None = None
    start_s, before_s = None, 0.0
    held: U8 | None = None
    try:
        while True:
            frame = source.read(1.0)
            if frame is None:
                continue
            start_s = frame.at.t_s if start_s is None else start_s
            at_s = frame.at.t_s - start_s
            boxes = look.boxes(frame.image)
            line = report(str(path), frame.image, boxes)
            print(
                json.dumps({"image": line.pop("image"), "frame": frame.number, "at_s": round(at_s, 3), **line}),
                flush=True,
            )
            if target is not None:
                drawn = annotated(frame.image, boxes)
                if writer is None and held is not None:
                    writer = _writer(target, 1.0 / (at_s - before_s), held)
                if writer is not None:
                    writer.write(drawn)
                held, before_s = drawn, at_s
    except EndOfData:
        if start_s is None:
            raise InputError(f"{path}: no picture in it.") from None
        if target is not None and writer is None and held is not None:  # a video of one picture
            writer = _writer(target, 1.0, held)
    finally:
        source.close()
        if writer is not None:
            writer.release()


def _writer(target: Path, fps: float, first: U8) -> cv2.VideoWriter:
    """A video at `target`.mp4 with its first picture in it."""
    import cv2  # noqa: PLC0415 - see run

    writer = cv2.VideoWriter(f"{target}.mp4", cv2.VideoWriter.fourcc(*"mp4v"), fps, (first.shape[1], first.shape[0]))
    if not writer.isOpened():
        raise _CannotWriteError(f"{target}.mp4: the annotated video cannot be written; is the disk full?")
    writer.write(first)
    return writer


def report(name: str, image: U8, boxes: tuple[Box, ...]) -> dict[str, object]:
    """The object printed for one picture; boxes in its pixels."""
    height, width = image.shape[:2]
    detections = [
        {
            "label": b.label,
            "class": b.class_id,
            "score": round(b.score, 4),
            "box": [round(v, 2) for v in (b.x0, b.y0, b.x1, b.y1)],
        }
        for b in boxes
    ]
    return {"image": name, "width": width, "height": height, "detections": detections}


def _regions(detector: Detector, image: U8, tile: tuple[int, int] | str) -> list[Region]:
    from agent.inference.detector import FREE_SIZE  # noqa: PLC0415 - see run
    from agent.inference.tiles import auto_regions, tiles, whole  # noqa: PLC0415 - see run

    height, width = image.shape[:2]
    if tile == "auto":
        return auto_regions(detector, width, height)
    full = whole(width, height, longest=FREE_SIZE[0])
    return [full] if isinstance(tile, str) else [full, *tiles(full, *tile)]


def _tile(text: str) -> tuple[int, int] | str:
    if text in {"auto", "off"}:
        return text
    width, _, height = text.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal() and min(int(width), int(height)) >= 32):
        raise UsageError(f"--tiles {text}: give auto, off, or a size such as 640x640 (32 pixels or more).")
    return int(width), int(height)


def _options(args: argparse.Namespace) -> ModelOptions:
    from agent.inference.spec import BadOptionError, checked, parse_input  # noqa: PLC0415 - see run

    given = {"layout": args.layout, "fit": args.fit, "labels": _labels_argument(args.labels)}
    if args.input is not None:
        given |= parse_input(args.input)
    try:
        return checked({k: v for k, v in given.items() if v is not None})
    except BadOptionError as e:
        raise UsageError(f"--input {args.input}: {e}.") from e


def _labels_argument(text: str | None) -> str | None:
    """A file named on the command line is meant from the working directory, not from the model's folder."""
    return text if text is None or text in {"coco80", "coco91"} else str(Path(text).absolute())


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise UsageError(f"--annotate {folder}: cannot be made a folder ({e.strerror}); name another.") from e
