"""Train the detector: `python -m training.train --frames training-out/frames --minutes 45 --run training-out/first`.

`--steps` fixes the schedule's length and with it the run; `--minutes` fixes the time and prints the steps it came to.
Runs on the GPU where there is one. `training.whole` runs all stages.
"""

from __future__ import annotations

import argparse
import copy
import time
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from training.crops import CROP_PX, Cropper
from training.frames import open_frames
from training.losses import MAX_OWNERS, Batch, detection_loss
from training.network import Detector
from training.optimiser import optimisers_of
from training.targets import assign, cell_grid

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training.targets import Targets

WARM_STEPS = 100
MAX_STEPS = 10_000_000
MEAN_KEEP = 0.998
SAVE_EVERY_S = 45.0
WIDE_PX = 2 * CROP_PX
WIDE_SHARE = 0.33  # of the steps have a quarter as many crops of twice the side: large ships, and more around


class Steps(Dataset[Batch]):
    """What each step learns from, by its number."""

    def __init__(self, cropper: Cropper, batch: int, wide_share: float) -> None:
        self._cropper, self._batch, self._wide_share = cropper, batch, wide_share

    def __len__(self) -> int:
        return MAX_STEPS

    def __getitem__(self, step: int) -> Batch:
        cv2.setNumThreads(0)
        wide = int((step + 1) * self._wide_share) > int(step * self._wide_share)
        side, count = (WIDE_PX, self._batch // 4) if wide else (CROP_PX, self._batch)
        crops = [self._cropper(step * self._batch + i, side) for i in range(count)]
        return collate([c.image for c in crops], [assign(c.boxes, c.classes, side, side) for c in crops])


def collate(images: list[NDArray[np.uint8]], targets: list[Targets]) -> Batch:
    """Stack crops of one side; the owner numbers are made unique over the batch."""

    def column(rows: list[NDArray[np.int64]]) -> Tensor:
        return torch.from_numpy(np.concatenate(rows).astype(np.int64))

    return Batch(
        image=torch.from_numpy(np.stack([cv2.cvtColor(i, cv2.COLOR_BGR2RGB) for i in images])).permute(0, 3, 1, 2),
        picture=column([np.full(len(t.cell), i) for i, t in enumerate(targets)]),
        cell=column([t.cell for t in targets]),
        label=column([t.label for t in targets]),
        owner=column([t.owner + MAX_OWNERS * i for i, t in enumerate(targets)]),
        box=torch.from_numpy(np.concatenate([t.box for t in targets])),
        ignored=torch.from_numpy(np.stack([t.ignored for t in targets])),
    )


def save(mean: Mean, run: Path) -> None:
    """`last.pt`, whole at any moment: others read it while the run goes on."""
    torch.save(mean.network.state_dict(), run / "last.part")
    (run / "last.part").replace(run / "last.pt")


class Mean:
    """Exponential moving average of a network's weights and batch-norm statistics, short at first."""

    def __init__(self, model: nn.Module) -> None:
        self.network = copy.deepcopy(model).eval()
        values = zip(self.network.state_dict().values(), model.state_dict().values(), strict=True)
        pairs = [(a, b) for a, b in values if a.dtype.is_floating_point]
        self._mean, self._now = [a for a, _ in pairs], [b for _, b in pairs]

    def update(self, step: int) -> None:
        # one operation for all, as in torch's own optimisers
        torch._foreach_lerp_(self._mean, self._now, 1 - min(MEAN_KEEP, (1 + step) / (20 + step)))


def half_is_faster() -> bool:
    """Whether bfloat16 convolutions beat float32 here: twice as fast with AMX or AVX-512 BF16, far slower without."""
    layer = nn.Conv2d(32, 32, 3, padding=1)
    picture = torch.zeros(4, 32, 64, 64).contiguous(memory_format=torch.channels_last)
    spent = {True: 0.0, False: 0.0}
    for half in (True, False, True, False):
        begun = time.process_time()
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            layer(picture).float().sum().backward()
        spent[half] = time.process_time() - begun  # the second time counts
    return spent[True] < spent[False]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=Path, default=Path("training-out/frames"))
    parser.add_argument("--run", type=Path, required=True, help="folder for checkpoints and the log")
    parser.add_argument("--minutes", type=float, default=45.0)
    parser.add_argument("--steps", type=int, default=0, help="fixed number of steps instead of --minutes")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--fall", type=float, default=1.0, help="over this last share of the run the rate falls to 0")
    parser.add_argument("--wide", type=float, default=WIDE_SHARE, help="share of steps with crops of twice the side")
    parser.add_argument("--calm", action="store_true", help="crops that are varied less: a run's last stage")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--workers", type=int, default=1, help="processes that cut crops")
    parser.add_argument("--start", type=Path, help="checkpoint to start from")
    parser.add_argument("--hard", type=Path, help="npy (m, 3) of false boxes by training.mine")
    args = parser.parse_args()
    if not args.steps and args.minutes <= 0:
        parser.error(f"--minutes {args.minutes:g}: no time to train in")
    args.run.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.benchmark = True
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

    model = Detector()
    hard = np.load(args.hard) if args.hard else None
    cropper = Cropper(open_frames(args.frames / "train"), args.seed, hard, calm=args.calm)
    steps = Steps(cropper, args.batch, args.wide)
    if args.start:
        model.load_state_dict(torch.load(args.start, map_location="cpu", weights_only=True))
    model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub misses this keyword
    mean = Mean(model)
    model.train()
    optimisers = optimisers_of(model, args.rate)
    rates = [group["lr"] for optimiser in optimisers for group in optimiser.param_groups]
    pinned = device.type == "cuda"
    loader = DataLoader(steps, batch_size=None, num_workers=args.workers, prefetch_factor=4, pin_memory=pinned)
    grids = {side: [torch.from_numpy(a).to(device) for a in cell_grid(side, side)] for side in (CROP_PX, WIDE_PX)}

    half = device.type == "cuda" or half_is_faster()
    begun = saved = time.monotonic()
    shown: dict[str, Tensor] = {}
    for step, loaded in enumerate(loader):
        spent = time.monotonic() - begun
        share = step / args.steps if args.steps else spent / (60 * args.minutes)
        if share >= 1:
            break
        pace = min(1.0, (step + 1) / WARM_STEPS, (1 - share) / max(args.fall, 1e-6))
        groups = [group for optimiser in optimisers for group in optimiser.param_groups]
        for group, rate in zip(groups, rates, strict=True):
            group["lr"] = rate * pace
        batch: Batch = loaded.to(device)
        picture = (batch.image.float() / 255).contiguous(memory_format=torch.channels_last)
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            raw, logits = model(picture)
        loss, parts = detection_loss(raw, logits, batch, *grids[picture.shape[-1]])
        model.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        for optimiser in optimisers:
            optimiser.step()
        mean.update(step)
        shown = {k: torch.lerp(v, shown.get(k, v), 0.98) for k, v in parts.items()}
        if step % 50 == 0:
            losses = " ".join(f"{k} {float(v):.3f}" for k, v in shown.items())
            print(f"step {step} {spent / 60:.1f} min {losses}", flush=True)
        if time.monotonic() - saved > SAVE_EVERY_S:
            save(mean, args.run)
            saved = time.monotonic()
    save(mean, args.run)
    print(f"done: {step} steps of {args.batch} crops", flush=True)


if __name__ == "__main__":
    main()
