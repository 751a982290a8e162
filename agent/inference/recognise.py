"""Which layout a graph has, from the shapes of its outputs; a refusal where it is none of a detector.

Promises:
- shapes and the number of labels decide; names only between equal shapes; then the values of a probe run: raw or
  decoded boxes, softmax or sigmoid, pixels or shares;
- what stays open between two families (YOLOv5 and a decoded YOLOX mean the same) does not matter or is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from agent.errors import UnsupportedError
from agent.inference.layouts import DFL_BINS, SHARES_MAX, detection_outputs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agent.inference.layouts import Array

_LIST_MAX = 1000  # boxes in a list after NMS; dense outputs have more rows than that at any input of use
_DFL = 4 * DFL_BINS
_NO_OBJECT_LEAD = 2.0  # a softmax family puts almost every query of an empty sea into its last slot, by this and more


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What one run on a blank picture of `width` x `height` gave; `classes` where labels tell the count."""

    path: str
    width: int
    height: int
    names: tuple[str, ...]
    outputs: list[NDArray[Any]]
    classes: int | None = None

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Shapes of the outputs."""
        return [o.shape for o in self.outputs]


def recognise(probe: Probe) -> str:
    """Name of the layout in `LAYOUTS`.

    Raises:
        UnsupportedError: not a detector that is known; one sentence with the shapes seen.

    """
    shapes = probe.shapes
    by_count = {1: _one, 2: _two, 3: _three, 4: _four}
    name = by_count[len(shapes)](probe) if len(shapes) in by_count else None
    if name is None and _is_nanodet(shapes):
        name = "nanodet"
    if name is None and detection_outputs(probe.names):
        name = "ssd-tf"
    if name is None:
        seen = ", ".join(f"{n} {list(s)}" for n, s in zip(probe.names, shapes, strict=True))
        raise UnsupportedError(
            f"{probe.path}: not a detector that Vigía can read (outputs: {seen}); use a model of a known layout, or "
            "name it with `layout` in MODEL.toml."
        )
    return name


def _one(probe: Probe) -> str | None:
    shape = probe.shapes[0]
    if len(shape) == 4 and shape[:2] == (1, 1) and shape[3] == 7:
        return "ssd-openvino"
    if len(shape) == 2 and shape[1] == 7:
        return "yolonas"
    if len(shape) == 4 and shape[0] == 1 and shape[1] > 5 and shape[2:] == (probe.height // 16, probe.width // 16):
        return "fastestdet"
    return _dense(probe) if len(shape) == 3 and shape[0] == 1 else None


def _dense(probe: Probe) -> str | None:
    """One output of rank 3: rows of boxes, or the same transposed."""
    _, rows, columns = probe.shapes[0]
    single, triple = _cells(probe)
    if columns in single and rows > 4 and rows not in single:
        return "yolov8"
    if rows in triple:
        return "yolov5" if columns > 5 else None
    if rows not in single:
        return "end2end" if columns == 6 and rows <= _LIST_MAX else None
    if columns < 6:  # room for one class at most without objectness
        return "yolov8" if columns == 5 else None
    by_classes = {columns - 4: "yolov8", columns - _DFL: "nanodet", columns - 5: ""}
    named = by_classes.get(probe.classes or 80)
    if named:
        return named
    values = probe.outputs[0][0]
    if named is None and columns > _DFL and _is_share(values[:, :-_DFL]) and not _is_share(values[:, -_DFL:]):
        return "nanodet"
    return "yolov5" if _decoded(values, probe.width) else "yolox"


def _cells(probe: Probe) -> tuple[set[int], set[int]]:
    """Row counts of dense heads: one box per cell for each usual set of strides, and three boxes per cell."""

    def cells(*strides: int) -> int:
        return sum(-(-probe.height // s) * -(-probe.width // s) for s in strides)

    plain, deep = cells(8, 16, 32), cells(8, 16, 32, 64)
    return {plain, deep, cells(4, 8, 16), cells(4, 8, 16, 32)}, {3 * plain, 3 * deep}


def _is_share(values: Array) -> bool:
    """All from 0 to 1: scores after their sigmoid, no distances."""
    return bool((values >= 0.0).all() and (values <= 1.0).all())


def _decoded(rows: Array, width: int) -> bool:
    """Centres of decoded boxes spread over the picture; raw ones are offsets of about a cell."""
    return bool(np.median(np.abs(rows[:, 0])) > width / 16)


def _two(probe: Probe) -> str | None:
    a, b = probe.shapes
    if not (len(a) == len(b) == 3 and a[:2] == b[:2] and 4 in (a[2], b[2])):
        return None
    names = " ".join(probe.names).lower()
    logits = probe.outputs[1 if a[2] == 4 else 0][0]
    classes = logits.shape[1]
    if probe.classes is not None and classes != probe.classes:
        known = classes == probe.classes + 1 and ("logits" in names or _softmax(logits))
        return "detr" if known else "rfdetr"
    if probe.classes is not None or classes in {80, 91}:
        return "rfdetr"  # a slot for each class and none for nothing
    return "detr" if (classes in {81, 92} and "logits" in names) or _softmax(logits) else "rfdetr"


def _softmax(logits: Array) -> bool:
    """Logits [Q, nc] of an empty sea that put most queries into the last slot, which then means nothing."""
    lead = logits[:, -1] - logits[:, :-1].max(axis=1)
    return bool(np.median(lead) > _NO_OBJECT_LEAD)


def _three(probe: Probe) -> str | None:
    boxes, lists, _ = _by_rank(probe.shapes)
    return "rtdetr" if len(boxes) == 1 and len(lists) == 2 else None


def _four(probe: Probe) -> str | None:
    boxes, lists, counts = _by_rank(probe.shapes)
    if len(boxes) != 1 or len(lists) != 2 or len(counts) != 1:
        return None
    corners = probe.outputs[boxes[0]]
    if corners.size and corners.max() > SHARES_MAX:
        return "efficient-nms"  # TensorFlow gives shares of the picture
    integers = any(np.issubdtype(o.dtype, np.integer) for o in probe.outputs)
    return "efficient-nms" if integers and probe.shapes[counts[0]] == (1, 1) else "ssd-tf"


def _by_rank(shapes: list[tuple[int, ...]]) -> tuple[list[int], list[int], list[int]]:
    """Outputs that hold M boxes [1, M, 4], lists [1, M] as long, and single numbers."""
    boxes = [i for i, s in enumerate(shapes) if len(s) == 3 and s[0] == 1 and s[2] == 4]
    many = shapes[boxes[0]][1] if boxes else -1
    lists = [i for i, s in enumerate(shapes) if s == (1, many)]
    counts = [i for i, s in enumerate(shapes) if int(np.prod(s)) == 1 and i not in lists]
    return boxes, lists, counts


def _is_nanodet(shapes: list[tuple[int, ...]]) -> bool:
    """Pairs of outputs of equal length per stride, one of each pair as wide as the distributions."""
    if len(shapes) < 4 or len(shapes) % 2 or any(len(s) != 3 or s[0] != 1 for s in shapes):
        return False
    lengths = [s[1] for s in shapes]
    return all(lengths.count(n) == 2 for n in lengths) and sum(s[2] == _DFL for s in shapes) * 2 == len(shapes)
