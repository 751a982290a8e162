"""Train the detector: `python -m training.train --frames training-out/frames --minutes 45 --run training-out/first`.

`--steps` fixes the schedule's length and with it the run; `--minutes` fixes the time and prints the steps it came to.
"""

from __future__ import annotations

import argparse
import copy
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from training.classes import LABELS
from training.crops import CROP_PX, Cropper
from training.frames import open_frames
from training.losses import Batch, detection_loss
from training.network import Detector
from training.targets import Targets, assign, cell_grid

if TYPE_CHECKING:
    from numpy.typing import NDArray

Sample = tuple["NDArray[np.uint8]", Targets]

WARM_STEPS = 100
MAX_STEPS = 10_000_000


class Samples(Dataset[Sample]):
    """Crops by number, with their targets."""

    def __init__(self, cropper: Cropper) -> None:
        self._cropper = cropper

    def __len__(self) -> int:
        return MAX_STEPS

    def __getitem__(self, number: int) -> Sample:
        cv2.setNumThreads(0)
        crop = self._cropper(number)
        return crop.image, assign(crop.boxes, crop.classes, CROP_PX, CROP_PX)


def collate(samples: list[Sample]) -> Batch:
    """Stack samples; the owner numbers are made unique over the batch."""
    targets = [t for _, t in samples]
    images = np.stack([image[..., ::-1].transpose(2, 0, 1) for image, _ in samples])

    def column(rows: list[NDArray[np.int64]]) -> Tensor:
        return torch.from_numpy(np.concatenate(rows).astype(np.int64))

    return Batch(
        image=torch.from_numpy(images),
        picture=column([np.full(len(t.cell), i) for i, t in enumerate(targets)]),
        cell=column([t.cell for t in targets]),
        label=column([t.label for t in targets]),
        owner=column([t.owner + 1000 * i for i, t in enumerate(targets)]),
        box=torch.from_numpy(np.concatenate([t.box for t in targets])),
        ignored=torch.from_numpy(np.stack([t.ignored for t in targets])),
    )


def update_mean(mean: nn.Module, model: nn.Module, step: int) -> None:
    """Exponential moving average of weights and batch-norm statistics, short at first."""
    keep = min(0.998, (1 + step) / (20 + step))
    with torch.no_grad():
        for a, b in zip(mean.state_dict().values(), model.state_dict().values(), strict=True):
            if a.dtype.is_floating_point:
                a.lerp_(b, 1 - keep)
            else:
                a.copy_(b)


def optimiser_of(model: nn.Module, rate: float) -> torch.optim.AdamW:
    """AdamW; only convolution weights decay."""
    heavy = [p for p in model.parameters() if p.ndim > 1]
    light = [p for p in model.parameters() if p.ndim <= 1]
    return torch.optim.AdamW([{"params": heavy, "weight_decay": 0.02}, {"params": light, "weight_decay": 0.0}], lr=rate)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=Path, default=Path("training-out/frames"))
    parser.add_argument("--run", type=Path, required=True, help="folder for checkpoints and the log")
    parser.add_argument("--minutes", type=float, default=45.0)
    parser.add_argument("--steps", type=int, default=0, help="fixed number of steps instead of --minutes")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--start", type=Path, help="checkpoint to start from")
    parser.add_argument("--hard", type=Path, help="npy (m, 3) of false boxes by training.mine")
    args = parser.parse_args()
    args.run.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)

    model = Detector(len(LABELS))
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub misses this keyword
    if args.start:
        model.load_state_dict(torch.load(args.start, weights_only=True))
    mean = copy.deepcopy(model).eval()
    optimiser = optimiser_of(model, args.rate)
    cropper = Cropper(open_frames(args.frames / "train"), args.seed, np.load(args.hard) if args.hard else None)
    loader = DataLoader(Samples(cropper), args.batch, num_workers=1, collate_fn=collate, prefetch_factor=6)
    centres, strides = (torch.from_numpy(a) for a in cell_grid(CROP_PX, CROP_PX))

    begun = saved = time.monotonic()
    shown = {"score": 0.0, "box": 0.0}
    for step, batch in enumerate(loader):
        spent = time.monotonic() - begun
        share = step / args.steps if args.steps else spent / (60 * args.minutes)
        if share >= 1:
            break
        for group in optimiser.param_groups:
            group["lr"] = (
                args.rate * min(1.0, (step + 1) / WARM_STEPS) * (0.01 + 0.495 * (1 + math.cos(math.pi * share)))
            )
        picture = (batch.image.float() / 255).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            raw, logits = model.train()(picture)
        loss, parts = detection_loss(raw, logits, batch, centres, strides)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimiser.step()
        update_mean(mean, model, step)
        shown = {k: 0.98 * v + 0.02 * parts[k] if step else parts[k] for k, v in shown.items()}
        if step % 50 == 0:
            line = f"step {step} {spent / 60:.1f} min score {shown['score']:.3f} box {shown['box']:.3f}"
            print(line, flush=True)
        if time.monotonic() - saved > 120:
            torch.save(mean.state_dict(), args.run / "last.pt")
            saved = time.monotonic()
    torch.save(mean.state_dict(), args.run / "last.pt")
    print(f"done: {step} steps of {args.batch} crops", flush=True)


if __name__ == "__main__":
    main()
