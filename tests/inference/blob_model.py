"""Small real ONNX graphs made on the spot: a detector of bright blobs with free height and width, and broken ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    from pathlib import Path

    from agent.inference.letterbox import U8

OPSET = 17


def save(
    path: Path,
    nodes: list[onnx.NodeProto],
    inputs: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
    constants: dict[str, np.ndarray],
) -> Path:
    initializers = [numpy_helper.from_array(v, k) for k, v in constants.items()]
    graph = helper.make_graph(nodes, "g", inputs, outputs, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return path


def blob_model(path: Path, *, strides: tuple[int, ...] = (4, 8, 16), gain: float = 1.0) -> Path:
    """A detector [1, 5, N] (YOLOv8 style, one class): score = mean brightness of a cell, box = the cell."""
    nodes: list[onnx.NodeProto] = []
    constants: dict[str, np.ndarray] = {
        "shape": np.array([1, 5, -1], dtype=np.int64),
        "axis_x": np.array(3, dtype=np.int64),
        "axis_y": np.array(2, dtype=np.int64),
        "zero": np.array(0.0, dtype=np.float32),
        "one": np.array(1.0, dtype=np.float32),
        "half": np.array(0.5, dtype=np.float32),
        "gain": np.array(gain, dtype=np.float32),
    }
    for s in strides:
        constants[f"stride{s}"] = np.array(float(s), dtype=np.float32)
        n = [
            helper.make_node("AveragePool", ["images"], [f"p{s}"], kernel_shape=[s, s], strides=[s, s]),
            helper.make_node("ReduceMean", [f"p{s}"], [f"m{s}"], axes=[1], keepdims=1),
            helper.make_node("Mul", [f"m{s}", "gain"], [f"score{s}"]),
            helper.make_node("Mul", [f"m{s}", "zero"], [f"z{s}"]),
            helper.make_node("Add", [f"z{s}", "one"], [f"ones{s}"]),
            helper.make_node("Mul", [f"ones{s}", f"stride{s}"], [f"side{s}"]),
        ]
        for axis in ("x", "y"):
            n += [
                helper.make_node("CumSum", [f"ones{s}", f"axis_{axis}"], [f"n{axis}{s}"]),
                helper.make_node("Sub", [f"n{axis}{s}", "half"], [f"h{axis}{s}"]),
                helper.make_node("Mul", [f"h{axis}{s}", f"stride{s}"], [f"c{axis}{s}"]),
            ]
        n += [
            helper.make_node("Concat", [f"cx{s}", f"cy{s}", f"side{s}", f"side{s}", f"score{s}"], [f"c{s}"], axis=1),
            helper.make_node("Reshape", [f"c{s}", "shape"], [f"o{s}"]),
        ]
        nodes += n
    nodes.append(helper.make_node("Concat", [f"o{s}" for s in strides], ["output0"], axis=2))
    picture = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, "height", "width"])
    out = helper.make_tensor_value_info("output0", TensorProto.FLOAT, [1, 5, "cells"])
    save(path, nodes, [picture], [out], constants)
    path.with_suffix(".toml").write_text('input = "rgb01"\nfit = "centre"\npad = 0\nlabels = ["vessel"]\n')
    return path


def classifier(path: Path) -> Path:
    """[1, 3, 64, 64] to [1, 10]: no detector."""
    nodes = [
        helper.make_node("GlobalAveragePool", ["images"], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("MatMul", ["f", "w"], ["logits"]),
    ]
    picture = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 64, 64])
    out = helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 10])
    return save(path, nodes, [picture], [out], {"w": np.ones((3, 10), dtype=np.float32)})


def constant_model(path: Path, outputs: dict[str, np.ndarray], *, size: int = 64) -> Path:
    """[1, 3, size, size] to fixed outputs: any layout with known content."""
    kinds = {np.dtype(np.float32): TensorProto.FLOAT, np.dtype(np.int64): TensorProto.INT64}
    kinds[np.dtype(np.int32)] = TensorProto.INT32
    nodes = [helper.make_node("Identity", [f"value_{name}"], [name]) for name in outputs]
    picture = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, size, size])
    infos = [helper.make_tensor_value_info(n, kinds[v.dtype], list(v.shape)) for n, v in outputs.items()]
    return save(path, nodes, [picture], infos, {f"value_{n}": v for n, v in outputs.items()})


def blank(width: int, height: int, *blobs: tuple[int, int, int]) -> U8:
    """A black picture with white squares (x, y, side)."""
    image = np.zeros((height, width, 3), dtype=np.uint8)
    for x, y, side in blobs:
        image[y : y + side, x : x + side] = 255
    return image
