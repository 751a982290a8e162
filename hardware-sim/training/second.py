"""Put a trained verifier behind a detector and write both as one file with its MODEL.toml.

`python -m training.second VERIFIER.pt DETECTOR.onnx OUT.onnx --min-score 0.5`. DETECTOR may have a second look of its
own: that one is replaced. `--offset` and `--pitch` (see `verifier.Verified`) say which score means what.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch

from training.cascade import CANDIDATES, CROP_PX, MAP_CELLS, MAP_CHANNELS, VERIFIED, join
from training.classes import LABELS
from training.evaluate import open_model
from training.export import OPSET, describe
from training.verifier import Verified, Verifier


def export(module: Verified, target: Path) -> None:
    """Write the verifier alone; checked against the network on one and on many candidates."""
    draw = torch.Generator().manual_seed(1)

    def candidates(count: int) -> tuple[torch.Tensor, ...]:
        shapes = ((4 + len(LABELS),), (3, CROP_PX, CROP_PX), (MAP_CHANNELS, MAP_CELLS, MAP_CELLS))
        return tuple(torch.rand(count, *shape, generator=draw) for shape in shapes)

    torch.onnx.export(
        module,
        candidates(3),
        str(target),
        input_names=list(CANDIDATES),
        output_names=[VERIFIED],
        dynamic_axes={name: {0: "n"} for name in (*CANDIDATES, VERIFIED)},
        opset_version=OPSET,
        dynamo=False,
    )
    session = open_model(target)
    for count in (1, 20):
        given = candidates(count)
        with torch.no_grad():
            want = module(*given).numpy()
        got = session.run(None, {name: v.numpy() for name, v in zip(CANDIDATES, given, strict=True)})[0]
        np.testing.assert_allclose(got, want, rtol=1e-3, atol=1e-3)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("verifier", type=Path)
    parser.add_argument("detector", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--min-score", type=float, required=True)
    parser.add_argument("--pitch", type=float, default=1.0, help="factor of the presences' logits")
    parser.add_argument("--offset", type=float, default=0.0, help="then added to them")
    args = parser.parse_args()
    verifier = Verifier()
    verifier.load_state_dict(torch.load(args.verifier, weights_only=True))
    with tempfile.TemporaryDirectory() as folder:
        alone = Path(folder) / "verifier.onnx"
        export(Verified(verifier, args.pitch, args.offset).eval(), alone)
        join(args.detector, alone, args.target)
    args.target.with_suffix(".toml").write_text(describe(args.target, args.min_score))
    print(f"{args.target}: {args.target.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
