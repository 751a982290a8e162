"""The output layouts of model families: one small function each, gathered in the table `LAYOUTS`.

Promises:
- a decoder raises ValueError or IndexError on outputs of another layout, as NumPy does (agent/inference/load.py);
- a decoder gets the outputs in the graph's order and gives boxes as corners in pixels of the model's input, so that
  letterbox, NMS and clipping are the same for all;
- outputs are found by shape first and by name only between equal shapes: names lie, shapes do not;
- corners that nowhere pass 2 are shares of the input, not pixels: no list of boxes fits into two pixels;
- what no decoder knows is refused (agent/inference/recognise.py), never guessed.

Sources: the export code of each family (Ultralytics, YOLOX, NanoDet, YOLO-NAS, RT-DETR and D-FINE, RF-DETR, DETR,
TensorFlow Object Detection, OpenVINO Open Model Zoo, TensorRT EfficientNMS plugin, FastestDet).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from agent.inference.boxes import Found, corners_of, found
from agent.inference.spec import PRESETS, Pixels

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agent.inference.spec import Fit

Array = NDArray[Any]
STRIDES = (8, 16, 32)
_FASTESTDET_OBJECT, _FASTESTDET_CLASS = 0.6, 0.4  # exponents of its score
DFL_BINS = 8  # reg_max is 7 in every published NanoDet
SHARES_MAX = 2.0  # corners up to here are shares of the input: 1, and what a decoder overshoots


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a decoder may need besides the outputs: input size in pixels, output names, and the lowest score of use."""

    width: int
    height: int
    names: tuple[str, ...]
    min_score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """One family: decoder, class count as the output shapes tell it (or None), its usual input, whether NMS is left.

    `labels`: what class numbers mean where nobody says and the shapes do not tell how many there are. `spare`: class
    slots at the end that may go without a label.
    """

    decode: Callable[[list[Array], Context], Found]
    classes: Callable[[list[tuple[int, ...]]], int] | None = None
    pixels: Pixels = PRESETS["rgb01"]
    fit: Fit = "centre"
    pad: int = 114
    nms: bool = True
    labels: str | None = "coco80"
    spare: int = 0


def _anchors(scores: Array, corners: Callable[[Array], Array], ctx: Context) -> Found:
    """Detections of dense scores [N, nc]; `corners` makes boxes of the rows that stay."""
    best = scores.max(axis=1)
    rows = np.flatnonzero(best >= ctx.min_score)
    return found(corners(rows), best[rows], scores[rows].argmax(axis=1))


def yolov8(outputs: list[Array], ctx: Context) -> Found:
    """[1, 4+nc, N] or transposed: cx, cy, w, h in pixels, class scores after the sigmoid, no objectness."""
    out = outputs[0][0]
    rows = out.T if out.shape[0] < out.shape[1] else out
    return _anchors(rows[:, 4:], lambda keep: corners_of(rows[keep, :4]), ctx)


def yolov5(outputs: list[Array], ctx: Context) -> Found:
    """[1, N, 5+nc]: cx, cy, w, h in pixels, objectness, class scores. Also YOLOX exported with its decoding."""
    out = outputs[0][0]
    near = out[out[:, 4] >= ctx.min_score]
    return _anchors(near[:, 5:] * near[:, 4:5], lambda keep: corners_of(near[keep, :4]), ctx)


def yolox(outputs: list[Array], ctx: Context) -> Found:
    """[1, N, 5+nc] before decoding: xy = (t + cell) * stride, wh = exp(t) * stride, score = objectness * class."""
    out = outputs[0][0]
    near = np.flatnonzero(out[:, 4] >= ctx.min_score)
    cells, stride = grid(ctx, out.shape[0])

    def corners(keep: Array) -> Array:
        rows = near[keep]
        centre = (out[rows, :2] + cells[rows]) * stride[rows]
        size = np.exp(np.minimum(out[rows, 2:4], 20.0)) * stride[rows]
        return corners_of(np.concatenate([centre, size], axis=1))

    return _anchors(out[near, 5:] * out[near, 4:5], corners, ctx)


def end2end(outputs: list[Array], ctx: Context) -> Found:
    """[1, M, 6]: x0, y0, x1, y1 in pixels, score, class; NMS is done (YOLOv10, YOLO26, exports with NMS)."""
    out = _rows_of(outputs[0], 6)
    keep = out[:, 4] >= ctx.min_score
    return found(_pixels(out[:, :4], ctx)[keep], out[keep, 4], out[keep, 5])


def yolonas(outputs: list[Array], ctx: Context) -> Found:
    """[M, 7]: picture number, x0, y0, x1, y1 in pixels, score, class; a class of -1 ends the list; NMS is done."""
    out = _rows_of(outputs[0], 7)
    ends = np.flatnonzero(out[:, 6] < 0)
    rows = out[: ends[0]] if len(ends) else out
    rows = rows[rows[:, 5] >= ctx.min_score]
    return found(rows[:, 1:5], rows[:, 5], rows[:, 6])


def nanodet(outputs: list[Array], ctx: Context) -> Found:
    """Class scores [1, N, nc] and distances as distributions [1, N, 4*(reg_max+1)], per stride or in one output.

    Distances to the four sides, in strides, are the means of softmax distributions (DFL). NanoDet (strides 8, 16, 32)
    counts them from a cell's centre, NanoDet-Plus (also 64) from its upper left corner.
    """
    scores, dfl = _nanodet_parts([o[0] for o in outputs], ctx)
    cells, stride = grid(ctx, len(scores))
    bins = dfl.shape[1] // 4
    middle = 0.0 if stride[-1, 0] > STRIDES[-1] else 0.5

    def corners(keep: Array) -> Array:
        logits = dfl[keep].reshape(-1, 4, bins)
        weights = np.exp(logits - logits.max(axis=2, keepdims=True))
        sides = (weights * np.arange(bins)).sum(axis=2) / weights.sum(axis=2)
        centre = cells[keep] + middle
        sides_px: Array = np.concatenate([centre - sides[:, :2], centre + sides[:, 2:]], axis=1) * stride[keep]
        return sides_px

    return _anchors(scores, corners, ctx)


def _nanodet_parts(outputs: list[Array], ctx: Context) -> tuple[Array, Array]:
    """Scores [N, nc] and distributions [N, 4*bins] over all strides, the largest grid first."""
    if len(outputs) == 1:
        return outputs[0][:, : -4 * DFL_BINS], outputs[0][:, -4 * DFL_BINS :]
    by_cells: dict[int, list[int]] = {}
    for i, out in enumerate(outputs):
        by_cells.setdefault(out.shape[0], []).append(i)
    pairs = [sorted(by_cells[n], key=lambda i: _is_distance(ctx.names[i], i)) for n in sorted(by_cells, reverse=True)]
    return np.concatenate([outputs[p[0]] for p in pairs]), np.concatenate([outputs[p[1]] for p in pairs])


def _is_distance(name: str, place: int) -> tuple[bool, int]:
    return any(word in name.lower() for word in ("dis", "reg", "box")), place


def fastestdet(outputs: list[Array], ctx: Context) -> Found:
    """[1, 5+nc, H/16, W/16]: objectness, tanh offsets, sigmoid sizes, class scores; score = obj^0.6 * cls^0.4."""
    out = outputs[0][0]
    grid_h, grid_w = out.shape[1:]
    y, x = (v.reshape(-1) for v in np.mgrid[:grid_h, :grid_w])
    rows = out.reshape(out.shape[0], -1).T
    scores = np.power(rows[:, :1], _FASTESTDET_OBJECT) * np.power(rows[:, 5:], _FASTESTDET_CLASS)

    def corners(keep: Array) -> Array:
        centre_x = (x[keep] + np.tanh(rows[keep, 1])) / grid_w * ctx.width
        centre_y = (y[keep] + np.tanh(rows[keep, 2])) / grid_h * ctx.height
        size = 1.0 / (1.0 + np.exp(-rows[keep, 3:5]))
        return corners_of(np.stack([centre_x, centre_y, size[:, 0] * ctx.width, size[:, 1] * ctx.height], axis=1))

    return _anchors(scores, corners, ctx)


def rtdetr(outputs: list[Array], ctx: Context) -> Found:
    """Labels [1, M], boxes [1, M, 4] corners in pixels of `orig_target_sizes`, scores [1, M] (RT-DETR, D-FINE)."""
    boxes, (first, second) = _boxes_and(outputs)
    labels, scores = _labels_and_scores(outputs, first, second, ctx)
    keep = scores >= ctx.min_score
    return found(_pixels(outputs[boxes][0], ctx)[keep], scores[keep], labels[keep])


def detr(outputs: list[Array], ctx: Context) -> Found:
    """Boxes [1, M, 4] cx, cy, w, h in 0..1 and logits [1, M, nc+1]: softmax, the last class means nothing (DETR)."""
    boxes, logits = _boxes_and_logits(outputs, ctx)
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return _queries(boxes, (weights / weights.sum(axis=1, keepdims=True))[:, :-1], ctx)


def rfdetr(outputs: list[Array], ctx: Context) -> Found:
    """As DETR, with a sigmoid per class and no slot for nothing (RF-DETR, Deformable DETR, RT-DETR of HF)."""
    boxes, logits = _boxes_and_logits(outputs, ctx)
    return _queries(boxes, 1.0 / (1.0 + np.exp(-logits)), ctx)


def _queries(boxes: Array, scores: Array, ctx: Context) -> Found:
    size = np.array([ctx.width, ctx.height] * 2, dtype=np.float32)
    return _anchors(scores, lambda keep: corners_of(boxes[keep] * size), ctx)


def ssd_tf(outputs: list[Array], ctx: Context) -> Found:
    """Boxes [1, M, 4] y0, x0, y1, x1 in 0..1, classes and scores [1, M], count [1] (TensorFlow, TFLite)."""
    if (picked := detection_outputs(ctx.names)) and len(outputs) > len(picked):
        outputs = [outputs[i] for i in picked]
        ctx = replace(ctx, names=tuple(ctx.names[i] for i in picked))
    boxes, rest = _boxes_and(outputs)
    counts = [i for i in rest if outputs[i].size == 1]
    first, second = [i for i in rest if i not in counts][:2] if outputs[boxes].shape[1] > 1 else rest[:2]
    labels, scores = _labels_and_scores(outputs, first, second, ctx)
    many = int(outputs[counts[0]].reshape(-1)[0]) if counts else len(scores)
    keep = np.flatnonzero(scores[:many] >= ctx.min_score)
    size = np.array([ctx.width, ctx.height] * 2, dtype=np.float32)
    return found(outputs[boxes][0][keep][:, [1, 0, 3, 2]] * size, scores[keep], labels[keep])


def efficient_nms(outputs: list[Array], ctx: Context) -> Found:
    """Count [1, 1], boxes [1, M, 4] corners in pixels, scores and classes [1, M] (TensorRT's EfficientNMS)."""
    boxes, rest = _boxes_and(outputs)
    (count,) = [i for i in rest if outputs[i].size == 1][:1]
    first, second = [i for i in rest if i != count][:2]
    labels, scores = _labels_and_scores(outputs, first, second, ctx)
    many = int(outputs[count].reshape(-1)[0])
    keep = np.flatnonzero(scores[:many] >= ctx.min_score)
    return found(_pixels(outputs[boxes][0], ctx)[keep], scores[keep], labels[keep])


def detection_outputs(names: tuple[str, ...]) -> list[int]:
    """Places of boxes, classes, scores and count among the eight outputs of a TensorFlow 2 detector; [] if not one.

    The others (raw boxes and scores, anchor numbers, scores of all classes) repeat these before their NMS.
    """
    plain = [name.split(":")[0].rsplit("/", 1)[-1].lower() for name in names]
    wanted = ("detection_boxes", "detection_classes", "detection_scores", "num_detections")
    return [plain.index(w) for w in wanted] if set(wanted) <= set(plain) else []


def ssd_openvino(outputs: list[Array], ctx: Context) -> Found:
    """[1, 1, M, 7]: picture number, class, score, x0, y0, x1, y1 in 0..1; a picture number of -1 ends the list."""
    out = _rows_of(outputs[0], 7)
    ends = np.flatnonzero(out[:, 0] < 0)
    rows = out[: ends[0]] if len(ends) else out
    rows = rows[rows[:, 2] >= ctx.min_score]
    size = np.array([ctx.width, ctx.height] * 2, dtype=np.float32)
    return found(rows[:, 3:7] * size, rows[:, 2], rows[:, 1])


def grid(ctx: Context, cells: int) -> tuple[Array, Array]:
    """(column, row) [N, 2] and stride [N, 1] of `cells` cells: strides 8, 16, 32, and 64 where the count says so."""
    columns: list[Array] = []
    strides: list[Array] = []
    for stride in (*STRIDES, 64):
        if sum(len(c) for c in columns) == cells:
            break
        h, w = -(-ctx.height // stride), -(-ctx.width // stride)
        y, x = np.mgrid[:h, :w]
        columns.append(np.stack([x.reshape(-1), y.reshape(-1)], axis=1).astype(np.float32))
        strides.append(np.full((h * w, 1), stride, dtype=np.float32))
    return np.concatenate(columns), np.concatenate(strides)


def _rows_of(out: Array, columns: int) -> Array:
    """Rows [M, columns] of an output whose last axis has them."""
    if out.shape[-1] != columns:
        raise ValueError(f"rows of {out.shape[-1]} values instead of {columns}")
    return out.reshape(-1, columns)


def _pixels(corners: Array, ctx: Context) -> Array:
    """Corners [M, 4] in pixels of the input, also where the graph gives shares of it."""
    if corners.size and np.nanmax(corners) <= SHARES_MAX:
        return corners * np.array([ctx.width, ctx.height] * 2, dtype=np.float32)
    return corners


def _boxes_and(outputs: list[Array]) -> tuple[int, list[int]]:
    """Which output holds the boxes (the one of rank 3), and the others in order."""
    boxes = next(i for i, o in enumerate(outputs) if o.ndim == 3 and o.shape[2] == 4)
    return boxes, [i for i in range(len(outputs)) if i != boxes]


def _labels_and_scores(outputs: list[Array], first: int, second: int, ctx: Context) -> tuple[Array, Array]:
    """Of two outputs [1, M] the classes first: the integer one, else the one named so, else that of whole values."""
    a, b = outputs[first][0], outputs[second][0]
    if np.issubdtype(a.dtype, np.integer) != np.issubdtype(b.dtype, np.integer):
        return (a, b) if np.issubdtype(a.dtype, np.integer) else (b, a)
    named = ["class" in ctx.names[i].lower() or "label" in ctx.names[i].lower() for i in (first, second)]
    if named[0] != named[1]:
        return (a, b) if named[0] else (b, a)
    return (a, b) if bool((a == np.round(a)).all()) else (b, a)


def _boxes_and_logits(outputs: list[Array], ctx: Context) -> tuple[Array, Array]:
    """Boxes [M, 4] and logits [M, nc]; of two outputs with 4 columns the name tells."""
    a, b = outputs[0][0], outputs[1][0]
    swapped = b.shape[1] == 4 and (a.shape[1] != 4 or "box" in ctx.names[1].lower())
    return (b, a) if swapped else (a, b)


def _query_classes(shapes: list[tuple[int, ...]]) -> int:
    """Width of the logits: of two outputs [1, Q, 4] and [1, Q, nc] the one that is not 4, if they differ."""
    return next((s[-1] for s in shapes if s[-1] != 4), 4)


_NANODET_PIXELS = Pixels(order="bgr", mean=(103.53, 116.28, 123.675), std=(57.375, 57.12, 58.395))


def _nanodet_classes(shapes: list[tuple[int, ...]]) -> int:
    """[N, nc+32] in one output, else the width that is not the distributions'."""
    wide = 4 * DFL_BINS
    return shapes[0][-1] - wide if len(shapes) == 1 else next((s[-1] for s in shapes if s[-1] != wide), wide)


LAYOUTS: Mapping[str, Layout] = {
    "yolov8": Layout(decode=yolov8, classes=lambda s: min(s[0][1:]) - 4),
    "yolov5": Layout(decode=yolov5, classes=lambda s: s[0][2] - 5),
    "yolox": Layout(decode=yolox, classes=lambda s: s[0][2] - 5, pixels=PRESETS["bgr255"], fit="topleft"),
    "end2end": Layout(decode=end2end, nms=False),
    "yolonas": Layout(decode=yolonas, pixels=PRESETS["bgr255"], nms=False),
    "nanodet": Layout(decode=nanodet, classes=_nanodet_classes, pixels=_NANODET_PIXELS, pad=0),
    "fastestdet": Layout(decode=fastestdet, classes=lambda s: s[0][1] - 5, pixels=PRESETS["bgr01"], fit="stretch"),
    "rtdetr": Layout(decode=rtdetr, fit="stretch", nms=False),
    "detr": Layout(
        decode=detr, classes=lambda s: _query_classes(s) - 1, pixels=PRESETS["imagenet"], fit="stretch", nms=False
    ),
    "rfdetr": Layout(
        decode=rfdetr, classes=_query_classes, spare=1, pixels=PRESETS["imagenet"], fit="stretch", nms=False
    ),
    "ssd-tf": Layout(decode=ssd_tf, pixels=PRESETS["rgb255"], fit="stretch", nms=False, labels="coco91"),
    "efficient-nms": Layout(decode=efficient_nms, nms=False),
    "ssd-openvino": Layout(decode=ssd_openvino, pixels=PRESETS["bgr255"], fit="stretch", nms=False, labels=None),
}
