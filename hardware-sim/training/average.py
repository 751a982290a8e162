"""Average two checkpoints of one lineage: `python -m training.average EARLIER.pt LATER.pt OUT.pt --share 0.6`.

Weights between two minima of the same valley often do better than either (Wortsman et al., "Robust fine-tuning of
zero-shot models", 2022): the later run has fewer false boxes, the earlier one better boxes. `--share` is that of the
later one.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("earlier", type=Path)
    parser.add_argument("later", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--share", type=float, required=True)
    args = parser.parse_args()
    earlier, later = (torch.load(path, weights_only=True) for path in (args.earlier, args.later))
    mixed = {
        name: torch.lerp(earlier[name], value, args.share) if value.dtype.is_floating_point else value
        for name, value in later.items()
    }
    torch.save(mixed, args.target)


if __name__ == "__main__":
    main()
