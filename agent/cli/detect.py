"""`vigia detect`: the camera path's own inference on pictures; one JSON object per picture on stdout."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from agent.errors import InputError, UsageError

if TYPE_CHECKING:
    import argparse

    from agent.inference.detector import Detector
    from agent.inference.letterbox import U8
    from agent.inference.spec import ModelOptions
    from agent.inference.tiles import Region
    from agent.messages import Box

NAME = "detect"
HELP = "find vessels in pictures, as a camera on the box would"
EXAMPLE = "vigia detect --annotate out harbour.jpg | jq .detections"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `vigia detect`."""
    parser.epilog = f"example: {EXAMPLE}"
    parser.add_argument("images", nargs="+", type=Path, metavar="IMAGE")
    parser.add_argument("--model", type=Path, metavar="M.onnx", help="default: the model that Vigía ships")
    parser.add_argument("--layout", help="output layout, where the graph does not tell it (yolov8, yolox, ssd-tf, ...)")
    parser.add_argument("--input", help="rgb01, rgb255, bgr01, bgr255, imagenet, or keys: order=bgr,scale=0.0039")
    parser.add_argument("--fit", choices=("topleft", "centre", "stretch"), help="how a picture fills the input")
    parser.add_argument("--labels", metavar="F", help="coco80, coco91, or a file with one class name a line")
    parser.add_argument("--tiles", default="auto", metavar="auto|off|WxH", help="look at overlapping tiles as well")
    parser.add_argument("--min-score", type=float, metavar="S", help="default: the model's own, or 0.3")
    parser.add_argument("--threads", type=int, default=2, help="default: %(default)s")
    parser.add_argument("--annotate", type=Path, metavar="DIR", help="write the pictures with their boxes to DIR")


def run(args: argparse.Namespace) -> int:
    """Detect in every picture; pictures that cannot be read are named together at the end.

    Raises:
        UsageError, ConfigError, InputError, UnsupportedError: one sentence each.

    """
    if args.min_score is not None and not 0.0 <= args.min_score <= 1.0:
        raise UsageError(f"--min-score {args.min_score:g}: give a number from 0 to 1.")
    tile = _tile(args.tiles)
    options = _options(args)
    if args.annotate is not None:
        _make_folder(args.annotate)

    import cv2  # noqa: PLC0415 - OpenCV and ONNX Runtime cost 0.2 s: only once it is clear that they are needed
    import numpy as np  # noqa: PLC0415 - as above

    from agent.inference.load import load_detector, looks_dead  # noqa: PLC0415 - as above

    detector = load_detector(args.model, options=options, threads=args.threads)
    min_score = detector.info.min_score if args.min_score is None else args.min_score
    for sentence in (detector.info.sentence, looks_dead(detector)):
        if sentence:
            print(sentence, file=sys.stderr)
    unread: list[str] = []
    written: set[str] = set()
    for path in args.images:
        loaded = cv2.imread(str(path), cv2.IMREAD_COLOR) if path.is_file() else None
        if loaded is None:
            unread.append(f"{path} ({'not a picture' if path.is_file() else 'no such file'})")
            continue
        image = np.asarray(loaded, dtype=np.uint8)
        boxes = _detect(detector, image, tile, min_score)
        print(json.dumps(report(str(path), image, boxes)), flush=True)
        if args.annotate is not None:
            name = path.stem if path.stem not in written else f"{path.stem}-{len(written)}"
            written.add(name)
            _write_annotated(args.annotate / f"{name}.jpg", image, boxes)
    if unread:
        raise InputError(f"Cannot be read as pictures: {', '.join(unread)}; give JPEG, PNG, WebP, BMP or TIFF files.")
    return 0


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


def _detect(detector: Detector, image: U8, tile: tuple[int, int] | str, min_score: float) -> tuple[Box, ...]:
    from agent.inference.tiles import find_in  # noqa: PLC0415 - see run

    return detector.to_boxes(find_in(detector, image, _regions(detector, image, tile), min_score=min_score))


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
    from agent.inference.spec import ModelOptions, parse_input  # noqa: PLC0415 - see run

    given = {"layout": args.layout, "fit": args.fit, "labels": _labels_argument(args.labels)}
    if args.input is not None:
        given |= parse_input(args.input)
    try:
        return ModelOptions(**{k: v for k, v in given.items() if v is not None})
    except ValidationError as e:
        first = e.errors()[0]
        raise UsageError(f"--input {args.input}: {first['loc'][0]}: {first['msg']}.") from e


def _labels_argument(text: str | None) -> str | None:
    """A file named on the command line is meant from the working directory, not from the model's folder."""
    return text if text is None or text in {"coco80", "coco91"} else str(Path(text).absolute())


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise UsageError(f"--annotate {folder}: cannot be made a folder ({e.strerror}); name another.") from e


def _write_annotated(path: Path, image: U8, boxes: tuple[Box, ...]) -> None:
    import cv2  # noqa: PLC0415 - see run

    from agent.inference.draw import annotated  # noqa: PLC0415 - see run

    if not cv2.imwrite(str(path), annotated(image, boxes)):
        raise InputError(f"{path}: the annotated picture cannot be written; is the disk full?")
