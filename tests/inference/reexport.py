"""The same weights in other output layouts: a detector's graph [1, 300, 6] with a tail of its own.

The tails are written from the layouts' own descriptions, not from Vigía's decoders.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnx.version_converter
from onnx import TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CLASSES = 80
OPSET = 17
_FAR = 20.0  # a logit of no chance


class Tail:
    """Nodes behind a base model's only output `base` [1, M, 6]: corners in pixels, score, class."""

    def __init__(self, side: int) -> None:
        self.side = float(side)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.inputs: list[onnx.ValueInfoProto] = []
        self.corners, self.score, self.number = self.columns(0, 4), self.columns(4, 5), self.columns(5, 6)

    def constant(self, value: object, dtype: type = np.float32) -> str:
        name = f"tail_constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype=dtype), name))
        return name

    def op(self, kind: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        name = name or f"tail_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def columns(self, low: int, high: int) -> str:
        return self.op("Slice", "base", *(self.constant([v], np.int64) for v in (low, high, 2)))

    def squeezed(self, of: str, name: str = "", axis: int = 2) -> str:
        return self.op("Squeeze", of, self.constant([axis], np.int64), name=name)

    def order(self, of: str, columns: list[int], name: str = "") -> str:
        return self.op("Gather", of, self.constant(columns, np.int64), name=name, axis=2)

    def shares(self) -> str:
        """Corners in shares of the input."""
        return self.op("Div", self.corners, self.constant(self.side))

    def centres(self) -> str:
        """cx, cy, w, h in shares of the input."""
        low, high = self.order(self.shares(), [0, 1]), self.order(self.shares(), [2, 3])
        middle = self.op("Mul", self.op("Add", low, high), self.constant(0.5))
        return self.op("Concat", middle, self.op("Sub", high, low), axis=2)

    def count(self, name: str, kind: int, *, keepdims: int) -> None:
        """How many scores are above zero."""
        positive = self.op("Greater", self.squeezed(self.score), self.constant(0.0))
        whole = self.op("Cast", positive, to=kind)
        self.op("ReduceSum", whole, self.constant([1], np.int64), name=name, keepdims=keepdims)

    def at_class(self, value: str) -> str:
        """[1, M, 80]: `value` [1, M, 1] in the slot of the row's class, a logit of no chance elsewhere."""
        numbers = self.constant(np.arange(CLASSES).reshape(1, 1, -1))
        return self.op("Where", self.op("Equal", self.number, numbers), value, self.constant(-_FAR))

    def log(self, value: str) -> str:
        return self.op("Log", self.op("Max", value, self.constant(1e-9)))

    def rest(self) -> str:
        """1 - score."""
        return self.op("Sub", self.constant(1.0), self.score)


def yolonas(t: Tail) -> dict[str, int]:
    """[M, 7]: picture, corners, score, class; the padding has class -1."""
    padding = t.op("Equal", t.score, t.constant(0.0))
    number = t.op("Where", padding, t.constant(-1.0), t.number)
    picture = t.op("Mul", t.score, t.constant(0.0))
    t.squeezed(t.op("Concat", picture, t.corners, t.score, number, axis=2), "flat_predictions", axis=0)
    return {"flat_predictions": TensorProto.FLOAT}


def efficient_nms(t: Tail) -> dict[str, int]:
    """Count, corners in pixels, scores, classes."""
    t.count("num_dets", TensorProto.INT32, keepdims=1)
    t.op("Identity", t.corners, name="det_boxes")
    t.squeezed(t.score, "det_scores")
    t.op("Cast", t.squeezed(t.number), name="det_classes", to=TensorProto.INT32)
    kinds = {"num_dets": TensorProto.INT32, "det_classes": TensorProto.INT32}
    return {n: kinds.get(n, TensorProto.FLOAT) for n in ("num_dets", "det_boxes", "det_scores", "det_classes")}


def ssd_openvino(t: Tail) -> dict[str, int]:
    """[1, 1, M, 7]: picture (-1 ends), class, score, corners in shares."""
    padding = t.op("Equal", t.score, t.constant(0.0))
    picture = t.op("Where", padding, t.constant(-1.0), t.constant(0.0))
    rows = t.op("Concat", picture, t.number, t.score, t.shares(), axis=2)
    t.op("Unsqueeze", rows, t.constant([0], np.int64), name="detection_out")
    return {"detection_out": TensorProto.FLOAT}


def ssd_tf2(t: Tail) -> dict[str, int]:
    """The eight outputs of a TensorFlow 2 detector, in the order of their names."""
    t.op("Identity", t.score, name="detection_anchor_indices")
    t.order(t.shares(), [1, 0, 3, 2], "detection_boxes")
    t.squeezed(t.number, "detection_classes")
    t.op("Identity", t.at_class(t.score), name="detection_multiclass_scores")
    t.squeezed(t.score, "detection_scores")
    t.count("num_detections", TensorProto.FLOAT, keepdims=0)
    t.op("Identity", t.shares(), name="raw_detection_boxes")
    t.op("Identity", t.at_class(t.score), name="raw_detection_scores")
    return {name: TensorProto.FLOAT for node in t.nodes for name in node.output if "detection" in name}


def dfine(t: Tail) -> dict[str, int]:
    """Labels, corners in pixels of a second input (width, height), scores."""
    t.inputs.append(helper.make_tensor_value_info("orig_target_sizes", TensorProto.INT64, [1, 2]))
    size = t.op("Cast", "orig_target_sizes", to=TensorProto.FLOAT)
    twice = t.op("Concat", size, size, axis=1)
    t.op("Mul", t.shares(), t.op("Unsqueeze", twice, t.constant([1], np.int64)), name="boxes")
    t.op("Cast", t.squeezed(t.number), name="labels", to=TensorProto.INT64)
    t.squeezed(t.score, "scores")
    return {"labels": TensorProto.INT64, "boxes": TensorProto.FLOAT, "scores": TensorProto.FLOAT}


def rfdetr(t: Tail) -> dict[str, int]:
    """Centres in shares, logits under a sigmoid, no slot for nothing; names that lie about it ("labels")."""
    t.op("Identity", t.centres(), name="dets")
    t.op("Identity", t.at_class(t.op("Sub", t.log(t.score), t.log(t.rest()))), name="labels")
    return {"dets": TensorProto.FLOAT, "labels": TensorProto.FLOAT}


def detr(t: Tail) -> dict[str, int]:
    """Centres in shares, logits under a softmax whose last slot means nothing."""
    t.op("Concat", t.at_class(t.log(t.score)), t.log(t.rest()), name="logits", axis=2)
    t.op("Identity", t.centres(), name="pred_boxes")
    return {"logits": TensorProto.FLOAT, "pred_boxes": TensorProto.FLOAT}


TAILS: dict[str, Callable[[Tail], dict[str, int]]] = {
    "yolonas": yolonas,
    "efficient-nms": efficient_nms,
    "ssd-openvino": ssd_openvino,
    "ssd-tf": ssd_tf2,
    "rtdetr": dfine,
    "rfdetr": rfdetr,
    "detr": detr,
}


def opened(base: Path) -> onnx.ModelProto:
    """The model in the operator set that the tails are written in."""
    return onnx.version_converter.convert_version(onnx.load(str(base)), OPSET)


def reexport(base: Path, target: Path, layout: str, side: int = 416) -> Path:
    """The weights of `base` (one output [1, M, 6]) in another layout, at `target`."""
    model = opened(base)
    graph = model.graph
    (old,) = graph.output
    for node in graph.node:
        node.output[:] = ["base" if n == old.name else n for n in node.output]
    tail = Tail(side)
    kinds = TAILS[layout](tail)
    graph.node.extend(tail.nodes)
    graph.initializer.extend(tail.constants)
    graph.input.extend(tail.inputs)
    del graph.output[:]
    graph.output.extend(helper.make_tensor_value_info(n, kind, None) for n, kind in kinds.items())
    onnx.save(model, str(target))
    return target
