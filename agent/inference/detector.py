"""A loaded detector: pictures in, boxes out (loading: agent/inference/load.py).

Promises:
- `detect` gives boxes sorted by falling score, clipped to the picture, in pixels of the picture as given;
- a model with free height and width runs at any size; the caller chooses it, rounded up to a multiple of 32.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from agent.inference.boxes import NMS_IOU, Found, nms, rivals_of
from agent.inference.layouts import LAYOUTS, Context
from agent.inference.letterbox import InputForm, place, tensor
from agent.messages import Box

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from numpy.typing import NDArray

    from agent.inference.boxes import F32
    from agent.inference.letterbox import U8, Placement
    from agent.inference.session import Session

MULTIPLE = 32  # the coarsest stride of the models with free height and width
FREE_SIZE = (1280, 736)  # what such a model gets where the caller does not say


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """What was loaded. `size` is (width, height) of the input, None where they are free.

    `min_score`: from here on a box is worth showing, `class_scores` (label, score) where that differs; `sentence`: what
    runs otherwise than it was asked for.
    """

    path: Path
    sha256: str
    layout: str
    labels: tuple[str, ...]
    vessel_labels: tuple[str, ...]
    size: tuple[int, int] | None
    form: InputForm
    min_score: float
    providers: tuple[str, ...]
    class_scores: tuple[tuple[str, float], ...] = ()
    sentence: str = ""

    @property
    def summary(self) -> str:
        """What was loaded and what runs it, in one line for people."""
        size = "any size" if self.size is None else f"{self.size[0]}x{self.size[1]}"
        return f"{self.path}: layout {self.layout}, {size}, {len(self.labels)} labels, on {', '.join(self.providers)}"

    def worth_showing(self, box: Box) -> bool:
        """The score reaches what its label asks for."""
        return box.score >= dict(self.class_scores).get(box.label, self.min_score)


class Detector:
    """A loaded model. Not for use from several threads at once."""

    def __init__(self, info: ModelInfo, session: Session, *, nms_iou: float = NMS_IOU) -> None:
        self.info = info
        self._session = session
        self._layout = LAYOUTS[info.layout]
        self._nms_iou = nms_iou
        self.rivals = rivals_of(info.labels, info.vessel_labels)
        self._names = tuple(name for name, _, _ in session.outputs)
        self._unnamed: set[int] = set()
        self._memory = np.empty(0, dtype=np.float32)  # of the input tensor, for the largest view so far
        self._canvas = np.empty(0, dtype=np.uint8)  # the same of a view that is reduced or padded

    @property
    def unnamed(self) -> str:
        """One sentence where the model has given classes that its labels do not name, else ""."""
        if not self._unnamed:
            return ""
        return (
            f"{self.info.path}: class {max(self._unnamed)} was seen, but there are {len(self.info.labels)} labels: "
            "they belong to another model; correct labels."
        )

    def detect(
        self, image: U8, *, min_score: float | None = None, size: tuple[int, int] | None = None
    ) -> tuple[Box, ...]:
        """Boxes of a BGR picture [H, W, 3] uint8, from `min_score` (the model's own, class by class, if None) on.

        `size` (width, height) is for models that leave it free.
        """
        if min_score is not None:
            return self.to_boxes(self.find(image, min_score=min_score, size=size))
        return self.shown(self.find(image, min_score=self.lowest_score, size=size))

    @property
    def lowest_score(self) -> float:
        """The lowest score at which a box of any class is worth showing."""
        return min((self.info.min_score, *(s for _, s in self.info.class_scores)))

    def shown(self, boxes: Found) -> tuple[Box, ...]:
        """Messages of the boxes that are worth showing."""
        return tuple(b for b in self.to_boxes(boxes) if self.info.worth_showing(b))

    def find(self, image: U8, *, min_score: float, size: tuple[int, int] | None = None) -> Found:
        """As `detect`, as arrays."""
        width, height = self.input_size(size)
        inner = size if self.info.size is None else None
        if self._memory.size < 3 * width * height:
            self._memory = np.empty(3 * width * height, dtype=np.float32)
        canvas, placed = self._placed(image, width, height, inner)
        outputs = self._session.run(feed(self._session, canvas, self.info.form, self._memory))
        ctx = Context(width=width, height=height, names=self._names, min_score=min_score)
        boxes = self._layout.decode(outputs, ctx)
        if self._layout.nms:
            boxes = nms(boxes, self._nms_iou, self.rivals)
        boxes = boxes.take(np.argsort(-boxes.scores, kind="stable"))
        return Found(corners=placed.back(boxes.corners), scores=boxes.scores, classes=boxes.classes)

    def _placed(self, image: U8, width: int, height: int, inner: tuple[int, int] | None) -> tuple[U8, Placement]:
        form = self.info.form
        if image.shape[:2] == (height, width):
            return place(image, width, height, form.fit, form.pad, inner=inner)
        if self._canvas.size < 3 * width * height:
            self._canvas = np.empty(3 * width * height, dtype=np.uint8)
        return place(image, width, height, form.fit, form.pad, inner=inner, into=self._canvas)

    def giving_back(self) -> AbstractContextManager[None]:
        """Pictures in here leave no memory behind (agent/inference/session.py)."""
        return self._session.giving_back()

    def input_size(self, size: tuple[int, int] | None) -> tuple[int, int]:
        """(width, height) that the model runs at when asked for `size`."""
        if self.info.size is not None:
            return self.info.size
        width, height = size or FREE_SIZE
        return -(-width // MULTIPLE) * MULTIPLE, -(-height // MULTIPLE) * MULTIPLE

    def to_boxes(self, boxes: Found) -> tuple[Box, ...]:
        """Messages with labels."""
        return tuple(
            Box(
                x0=float(c[0]),
                y0=float(c[1]),
                x1=float(c[2]),
                y1=float(c[3]),
                score=float(s),
                class_id=int(k),
                label=self._label(int(k)),
            )
            for c, s, k in zip(boxes.corners, boxes.scores, boxes.classes, strict=True)
        )

    def _label(self, number: int) -> str:
        labels = self.info.labels
        if 0 <= number < len(labels) and labels[number]:
            return labels[number]
        if labels and not 0 <= number < len(labels):
            self._unnamed.add(number)
        return f"class-{number}"


def feed(session: Session, canvas: U8, form: InputForm, into: F32 | None = None) -> dict[str, NDArray[Any]]:
    """The graph's inputs: the picture; its size (width, height) where the graph scales the boxes itself (RT-DETR).

    `into` as in `tensor`. A mask [1, h, w] of what is picture and what is padding (DETR as Hugging Face exports it)
    says that all is picture.
    """
    height, width = canvas.shape[:2]
    tensors: dict[str, NDArray[Any]] = {}
    for name, shape, _ in session.inputs:
        if len(shape) == 4:
            tensors[name] = tensor(canvas, form, into)
        elif len(shape) == 3:
            rows, columns = (a if isinstance(a, int) else b for a, b in zip(shape[1:], (height, width), strict=True))
            tensors[name] = np.ones((1, rows, columns), dtype=np.int64)
        else:
            tensors[name] = np.array([[width, height]], dtype=np.int64)
    return tensors
