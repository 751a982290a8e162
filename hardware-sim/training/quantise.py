"""An exported model in eight bits: `python -m training.quantise MODEL.onnx OUT.onnx --min-score 0.5`.

Promises:
- backbone and neck are quantised (QDQ, activations U8, weights S8 for each channel, ranges from pictures of `train`);
- heads and decoding stay in float32: a box of 4 px is not to be rounded;
- input, output and layout are those of the model given, and the TOML beside the file says so.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import onnx
from onnxruntime.quantization import (  # type: ignore[import-untyped]  # ships no type information
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process  # type: ignore[import-untyped]  # the same

from training.evaluate import padded
from training.export import describe
from training.frames import open_frames

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    from numpy.typing import NDArray

PICTURES = 24
INSIDE = ("/stem/", "/s8/", "/s16/", "/s32/", "/lateral.", "/down.", "/smooth.")
"""How the names of the nodes begin that may be quantised; the additions of the neck are named by number alone."""
NECK = ("/Add", "/Add_1", "/Add_2", "/up/Resize", "/up_1/Resize", "/up_2/Resize")


class Pictures(CalibrationDataReader):  # type: ignore[misc]  # an untyped base
    """Frames, one at a time."""

    def __init__(self, images: Iterable[NDArray[np.uint8]]) -> None:
        self._left = iter(images)

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """The next input, None at the end."""
        image = next(self._left, None)
        return None if image is None else {"images": padded(image)}


def quantise(source: Path, target: Path, images: Iterable[NDArray[np.uint8]]) -> None:
    """Write `target`."""
    with tempfile.TemporaryDirectory() as folder:
        ready = Path(folder) / "ready.onnx"
        quant_pre_process(str(source), str(ready), skip_symbolic_shape=True)
        names = [node.name for node in onnx.load(str(ready)).graph.node]
        quantize_static(
            str(ready),
            str(target),
            Pictures(images),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=[n for n in names if not n.startswith(INSIDE) and n not in NECK],
        )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--frames", type=Path, default=Path("training-out/frames"))
    parser.add_argument("--min-score", type=float, required=True)
    args = parser.parse_args()
    images = open_frames(args.frames / "train").images
    quantise(args.model, args.target, images[:: max(len(images) // PICTURES, 1)][:PICTURES])
    args.target.with_suffix(".toml").write_text(describe(args.target, args.min_score))
    print(f"{args.target}: {args.target.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
