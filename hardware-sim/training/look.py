"""Draw a model's boxes on pictures, for a look: `python -m training.look MODEL.onnx OUT_DIR IMAGE...`.

Prints boxes per picture. Real pictures are looked at only: none is ever trained on.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from training.classes import LABELS
from training.evaluate import detect, open_model

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training.metrics import Boxes


def annotate(image: NDArray[np.uint8], found: Boxes) -> None:
    """Boxes with class and score, in place; vessels yellow, others grey."""
    for box, score, label in zip(found.boxes, found.scores, found.classes, strict=True):
        colour = (0, 255, 255) if label < 5 else (160, 160, 160)
        x0, y0, x1, y1 = (round(float(v)) for v in box)
        cv2.rectangle(image, (x0 - 1, y0 - 1), (x1 + 1, y1 + 1), colour, 1)
        cv2.putText(image, f"{LABELS[label]} {score:.2f}", (x0, y0 - 4), cv2.FONT_HERSHEY_PLAIN, 0.9, colour)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("images", type=Path, nargs="+")
    parser.add_argument("--score", type=float, default=0.3)
    parser.add_argument("--longer-side", type=int, default=1280, help="pictures are brought down to this")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    session = open_model(args.model)
    for path in args.images:
        read = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if read is None:
            raise FileNotFoundError(f"{path}: not a picture")
        factor = min(1.0, args.longer_side / max(read.shape[:2]))
        image = np.asarray(cv2.resize(read, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA), np.uint8)
        found = detect(session, image, args.score)
        annotate(image, found)
        cv2.imwrite(str(args.out / f"{path.stem}.png"), image)
        rows = [
            [LABELS[c], round(float(s), 2), *(round(float(v) / factor, 1) for v in b)]
            for c, s, b in zip(found.classes, found.scores, found.boxes, strict=True)
        ]
        print(json.dumps({"image": path.name, "boxes": rows}))


if __name__ == "__main__":
    main()
