"""Checkpoint to the shipped ONNX file and its MODEL.toml.

`python -m training.export CHECKPOINT OUT.onnx --min-score 0.3`. fp32, decoded in the graph, dynamic height and width.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
import torch

from training.classes import LABELS, VESSEL_LABELS
from training.evaluate import open_model
from training.metrics import NMS_IOU
from training.network import Detector, Exported

OPSET = 17


def export(checkpoint: Path, target: Path) -> None:
    """Write `target`; checked against the network on two picture sizes before it is called done."""
    detector = Detector()
    detector.load_state_dict(torch.load(checkpoint, map_location="cpu", weights_only=True))
    module = Exported(detector).eval()
    axes = {"images": {0: "batch", 2: "height", 3: "width"}, "output0": {0: "batch", 2: "cells"}}
    torch.onnx.export(
        module,
        (torch.zeros(1, 3, 256, 320),),
        str(target),
        input_names=["images"],
        output_names=["output0"],
        dynamic_axes=axes,
        opset_version=OPSET,
        dynamo=False,
    )
    graph = onnx.load(str(target))
    onnx.helper.set_model_props(graph, {"names": repr(dict(enumerate(LABELS)))})
    onnx.checker.check_model(graph)
    onnx.save(graph, str(target))
    session = open_model(target)
    for height, width in ((384, 640), (736, 1280)):
        picture = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(height))
        with torch.no_grad():
            want = module(picture).numpy()
        got = session.run(None, {"images": picture.numpy()})[0]
        np.testing.assert_allclose(got, want, rtol=1e-3, atol=1e-3)


def describe(target: Path, min_score: float) -> str:
    """MODEL.toml of an exported model."""
    labels, vessels = (json.dumps(list(x)) for x in (LABELS, VESSEL_LABELS))
    return (
        "# How to feed this model and read it; written by hardware-sim/training/export.py. The card is CARD.md.\n"
        f'layout = "yolov8"\ninput = "rgb01"\nfit = "topleft"\npad = 114\nlabels = {labels}\n'
        f"vessel_labels = {vessels}\nmin_score = {min_score}\nnms_iou = {NMS_IOU}\n"
        f'sha256 = "{hashlib.sha256(target.read_bytes()).hexdigest()}"\n'
    )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--min-score", type=float, required=True)
    args = parser.parse_args()
    export(args.checkpoint, args.target)
    args.target.with_suffix(".toml").write_text(describe(args.target, args.min_score))
    print(f"{args.target}: {args.target.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
