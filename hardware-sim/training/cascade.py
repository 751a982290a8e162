"""The second look inside the shipped graph: the detector's best places, cut out anew and judged by the verifier.

Promises:
- everything a candidate is judged by comes out of the graph that is shipped: the verifier learns from the very values
  that it will see (`proposer`), and `join` puts it behind them into one file;
- input and layout stay those of the detector alone: (1, 3, H, W) in, (1, 4 + classes, PLACES) out, empty places all 0;
- candidates are the detector's boxes of at least MIN_SCORE after an NMS over all classes, at most PLACES of them, so
  that an empty sea costs next to nothing;
- the detector's weights are taken over as they are; a file that has a second look already gives its first alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, compose, helper, numpy_helper

from training.classes import LABELS

if TYPE_CHECKING:
    from pathlib import Path

PLACES = 64
MIN_SCORE = 0.1
MERGE_IOU = 0.55
CROP_PX = 48
AROUND = 3.0
"""A window's side in those of the box's longer side; at least LEAST_PX."""
LEAST_PX = 32.0
MAP_CELLS = 8
MAP_CHANNELS = 32 + 48 + 64
STRIDES = (4, 8, 16)
CANDIDATES = ("rows", "pictures", "features")
VERIFIED = "verified"
_DENSE = "/Concat_15_output_0"  # (1, cells, 4 + classes), as torch.onnx.export names it
_MAPS = tuple(f"/smooth.{i}/smooth.{i}.2/Relu_output_0" for i in range(len(STRIDES)))


class _Nodes:
    """Collects nodes and constants of a graph; each call gives the name of the node's output."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self.made: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def __call__(self, op: str, inputs: list[str], output: str = "", **attributes: Any) -> str:
        name = output or f"{self._prefix}/{op}_{len(self.made)}"
        self.made.append(helper.make_node(op, inputs, [name], name=f"{self._prefix}/{len(self.made)}", **attributes))
        return name

    def numbers(self, values: list[int] | list[float]) -> str:
        """A constant vector: int64 of ints, float32 of floats."""
        kind = np.int64 if isinstance(values[0], int) else np.float32
        name = f"{self._prefix}/constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.array(values, kind), name))
        return name

    def part(self, of: str, first: int, last: int, axis: int) -> str:
        """`first` to before `last` along an axis."""
        return self("Slice", [of, *(self.numbers([n]) for n in (first, last, axis))])


def proposer(detector: Path) -> onnx.ModelProto:
    """The detector's graph with, for its n candidates, the outputs of CANDIDATES.

    `rows` (n, 4 + classes) as the detector gave them, `pictures` (n, 3, CROP_PX, CROP_PX) and `features` (n, channels,
    MAP_CELLS, MAP_CELLS) of a square window around each. The detector's very first cell ends them: n is never 0.
    """
    model = onnx.load(str(detector))
    graph = model.graph
    _keep_only(graph, {_DENSE, *_MAPS}, detector)
    add = _Nodes("second")
    columns = 4 + len(LABELS)
    best = add("ReduceMax", [add.part(_DENSE, 4, columns, 2)], axes=[2], keepdims=0)
    limits = [add.numbers([PLACES - 1]), add.numbers([MERGE_IOU]), add.numbers([MIN_SCORE])]
    scores = add("Unsqueeze", [best, add.numbers([1])])
    kept = add("NonMaxSuppression", [add.part(_DENSE, 0, 4, 2), scores, *limits], center_point_box=1)
    chosen = add("Reshape", [add.part(kept, 2, 3, 1), add.numbers([-1])])
    cells = add("Concat", [chosen, add.numbers([0])], axis=0)
    rows = add("Gather", [add("Squeeze", [_DENSE, add.numbers([0])]), cells], "rows", axis=0)
    centre = add.part(rows, 0, 2, 1)
    longer = add("ReduceMax", [add.part(rows, 2, 4, 1)], axes=[1], keepdims=1)
    half = add("Max", [add("Mul", [longer, add.numbers([AROUND / 2])]), add.numbers([LEAST_PX / 2])])
    windows = add("Concat", [add("Sub", [centre, half]), add("Add", [centre, half])], axis=1)
    picture = add("Mul", [cells, add.numbers([0])])

    def cut(name: str, pitch: int, side: int, samples: int, output: str = "") -> str:
        form = {"output_height": side, "output_width": side, "spatial_scale": 1 / pitch, "sampling_ratio": samples}
        return add("RoiAlign", [name, windows, picture], output, **form)

    cut(graph.input[0].name, 1, CROP_PX, 2, "pictures")
    parts = [cut(name, stride, MAP_CELLS, 1) for name, stride in zip(_MAPS, STRIDES, strict=True)]
    add("Concat", parts, "features", axis=1)
    graph.node.extend(add.made)
    graph.initializer.extend(add.constants)
    graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    del graph.output[:], graph.value_info[:]
    shapes = ((columns,), (3, CROP_PX, CROP_PX), (MAP_CHANNELS, MAP_CELLS, MAP_CELLS))
    for name, shape in zip(CANDIDATES, shapes, strict=True):
        graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", *shape]))
    onnx.checker.check_model(model)
    return model


def join(detector: Path, verifier: Path, target: Path) -> None:
    """Write detector and verifier as one file. The verifier turns CANDIDATES into VERIFIED (n, 4 + classes)."""
    first = proposer(detector)
    second = compose.add_prefix(onnx.load(str(verifier)), "verifier/")
    whole = compose.merge_models(first, second, io_map=[(name, f"verifier/{name}") for name in CANDIDATES])
    add = _Nodes("last")
    rows = f"verifier/{VERIFIED}"
    missing = add("Sub", [add.numbers([PLACES]), add.part(add("Shape", [rows]), 0, 1, 0)])
    ends = add("Concat", [add.numbers([0, 0]), missing, add.numbers([0])], axis=0)
    padded = add("Pad", [rows, ends])
    turned = add("Transpose", [padded], perm=[1, 0])
    add("Unsqueeze", [turned, add.numbers([0])], "output0")
    whole.graph.node.extend(add.made)
    whole.graph.initializer.extend(add.constants)
    del whole.graph.output[:]
    shape = [1, 4 + len(LABELS), PLACES]
    whole.graph.output.append(helper.make_tensor_value_info("output0", TensorProto.FLOAT, shape))
    helper.set_model_props(whole, {"names": repr(dict(enumerate(LABELS)))})
    onnx.checker.check_model(whole)
    onnx.save(whole, str(target))


def _keep_only(graph: onnx.GraphProto, wanted: set[str], path: Path) -> None:
    """Drop the nodes and constants that lead to none of the wanted tensors."""
    needed = set(wanted)
    nodes = []
    for node in reversed(graph.node):
        if needed & set(node.output):
            needed |= set(node.input)
            nodes.append(node)
    lacking = wanted - {name for node in nodes for name in node.output}
    if lacking:
        raise ValueError(f"{path} has no {min(lacking)}: export it with training.export.")
    constants = [i for i in graph.initializer if i.name in needed]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(reversed(nodes))
    graph.initializer.extend(constants)
