"""The exported model in 8 bits: `python -m training.quantise MODEL.onnx OUT.onnx --min-score 0.5`.

Promises:
- weights of 8 bits per channel, activations of 8 bits calibrated (MinMax) on `--frames` pictures of the split `val`;
- input and output stay float32: heads and decoding are left as they are, since boxes and scores lose most by rounding;
- OUT.toml beside it, as `training.export` writes it.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx
from onnxruntime.quantization import (  # type: ignore[import-untyped]  # ships no type information
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process  # type: ignore[import-untyped]  # as above

from training.evaluate import padded
from training.export import describe
from training.frames import open_frames

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Pictures(CalibrationDataReader):  # type: ignore[misc]  # untyped base
    """Feeds the calibration pictures, one a call."""

    def __init__(self, pictures: list[NDArray[Any]], name: str) -> None:
        self._left = iter(pictures)
        self._name = name

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        """The next input, or None at the end."""
        picture = next(self._left, None)
        return None if picture is None else {self._name: padded(picture)}


def left_alone(graph: Any) -> list[str]:
    """Names of the nodes that stay float32: all but the convolutions, and the convolutions of the heads."""
    return [n.name for n in graph.node if n.op_type != "Conv" or any("heads" in i for i in (n.name, *n.input))]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--min-score", type=float, required=True)
    parser.add_argument("--frames", type=int, default=24)
    args = parser.parse_args()
    frames = open_frames(Path("training-out/frames/val")).images
    chosen = [frames[i * len(frames) // args.frames] for i in range(args.frames)]
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "whole.onnx"
        quant_pre_process(str(args.model), str(whole), skip_symbolic_shape=True)
        graph = onnx.load(str(whole)).graph
        quantize_static(
            str(whole),
            str(args.target),
            Pictures(chosen, graph.input[0].name),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            nodes_to_exclude=left_alone(graph),
        )
    model = onnx.load(str(args.target))
    onnx.helper.set_model_props(model, {p.key: p.value for p in onnx.load(str(args.model)).metadata_props})
    onnx.save(model, str(args.target))
    args.target.with_suffix(".toml").write_text(describe(args.target, args.min_score))
    print(f"{args.target}: {args.target.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
