"""Rendered frames on disk: shards of raw pictures with their truth, made from seeds.

Promises:
- a frame is a function of its seed and of the renderer's source alone; the seed is the frame's name;
- the splits draw from ranges of seeds that never meet: a frame of the test split is in no training run, and the
  verifier learns from frames that the detector has not seen (`verify`);
- rocks are kept apart from the truth: no box is asked for there, and none is forgiven;
- a truth row is `x0, y0, x1, y1` px, a class (see `classes`), `visible` 0..1, `contrast` and `grain` in grey levels:
  the RMS difference from the surroundings, and how much neighbouring pixels of these differ among themselves;
- `judge` says which truth counts, by `hardware_sim.sight`: what a person could not see either is IGNORED.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from hardware_sim import render, sight
from hardware_sim.render import Renderer, random_scene
from training.classes import BACKGROUND, IGNORED, LABELS, class_of_kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hardware_sim.render.types import TruthBox

FIRST_SEED = {"test": 1_000_000, "val": 2_000_000, "train": 3_000_000, "verify": 4_000_000}
SHARD_FRAMES = 100
LIVE_ONE_IN = 4  # this share is drawn as the simulated cameras draw, the others in full detail
HEIGHT_EDGES_PX = (0, 4, 8, 16, 32, 64, 128, 10_000)
CONTRAST_EDGES = (0, 3, 6, 10, 15, 25, 40, 256)


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """All boxes of one frame: `boxes` (n, 4) px, `classes` (n,), `visible` (n,), `contrast` (n,), `grain` (n,).

    `rocks` (k, 4) are the plain ones among the rocks.
    """

    boxes: NDArray[np.float32]
    classes: NDArray[np.int64]
    visible: NDArray[np.float32]
    contrast: NDArray[np.float32]
    grain: NDArray[np.float32]
    rocks: NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Frames:
    """One opened split: `images[i]` is (720, 1280, 3) BGR uint8, mapped from disk, with `truths[i]` and `seeds[i]`."""

    images: list[NDArray[np.uint8]]
    truths: list[Truth]
    seeds: list[int]


def split_seeds(split: str, count: int) -> range:
    """Seeds of the first `count` frames of a split of FIRST_SEED."""
    first = FIRST_SEED[split]
    return range(first, first + count)


def render_seed(seed: int) -> tuple[NDArray[np.uint8], Truth]:
    """The frame of one seed and its truth."""
    rng = np.random.default_rng(seed)
    pose, conditions, vessels = random_scene(rng)
    detail = "live" if seed % LIVE_ONE_IN == 0 else "full"
    rendered = Renderer(pose, conditions, detail).render(vessels, float(rng.uniform(0.0, 600.0)))
    grey = np.asarray(cv2.cvtColor(rendered.image, cv2.COLOR_BGR2GRAY), np.float32)
    every = _table(rendered.boxes, grey)
    rocks = every["classes"] == BACKGROUND
    stone = {name: column[rocks] for name, column in every.items() if name != "classes"}
    plain = sight.seen(stone["boxes"], stone["visible"], stone["contrast"], stone["grain"])
    kept = {name: column[~rocks] for name, column in every.items()}
    return rendered.image, Truth(**kept, rocks=stone["boxes"][plain])


def _table(boxes: Sequence[TruthBox], grey: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
    """Columns of a Truth, rocks among the rows."""
    return {
        "boxes": np.array([[b.x0, b.y0, b.x1, b.y1] for b in boxes], dtype=np.float32).reshape(-1, 4),
        "classes": np.array([class_of_kind(b.kind) for b in boxes], dtype=np.int64),
        "visible": np.array([b.visible for b in boxes], dtype=np.float32),
        "contrast": np.array([b.contrast for b in boxes], dtype=np.float32),
        "grain": np.array([sight.grain(grey, (b.x0, b.y0, b.x1, b.y1)) for b in boxes], dtype=np.float32),
    }


def judge(truth: Truth) -> NDArray[np.int64]:
    """Class of each box, IGNORED where it is too faint, too hidden or too small to be asked for; shape (n,)."""
    seen = sight.seen(truth.boxes, truth.visible, truth.contrast, truth.grain)
    return np.where(seen, truth.classes, IGNORED)


def renderer_sha256() -> str:
    """Digest over the renderer's source files, so that a list of seeds says which renderer it was made with."""
    digest = hashlib.sha256()
    for path in sorted(Path(render.__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def write_shard(folder: Path, index: int, seeds: Sequence[int]) -> None:
    """Render `seeds` into shard `index` of `folder`; a shard that is already there is left alone."""
    target = folder / f"shard-{index:04d}.npz"
    if target.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    pairs = [render_seed(seed) for seed in seeds]
    np.save(folder / f"shard-{index:04d}.npy", np.stack([image for image, _ in pairs]))
    truths = [truth for _, truth in pairs]
    part = target.with_suffix(".part.npz")
    np.savez(
        part,
        seeds=np.array(seeds),
        frame=np.repeat(np.arange(len(truths)), [len(t.classes) for t in truths]),
        boxes=np.concatenate([t.boxes for t in truths]),
        classes=np.concatenate([t.classes for t in truths]),
        visible=np.concatenate([t.visible for t in truths]),
        contrast=np.concatenate([t.contrast for t in truths]),
        grain=np.concatenate([t.grain for t in truths]),
        rock_frame=np.repeat(np.arange(len(truths)), [len(t.rocks) for t in truths]),
        rocks=np.concatenate([t.rocks for t in truths]),
    )
    part.rename(target)


def open_frames(folder: Path, limit: int | None = None, shards: Sequence[Path] | None = None) -> Frames:
    """Every finished shard of a split, or those named; pictures mapped, not read; FileNotFoundError without any."""
    images: list[NDArray[np.uint8]] = []
    truths: list[Truth] = []
    seeds: list[int] = []
    for path in sorted(folder.glob("shard-????.npz")) if shards is None else shards:
        stack = np.load(path.with_suffix(".npy"), mmap_mode="r")
        with np.load(path) as rows:
            frame, table = rows["frame"], {k: rows[k] for k in ("boxes", "classes", "visible", "contrast", "grain")}
            rock_frame, rocks = rows["rock_frame"], rows["rocks"]
            seeds += [int(s) for s in rows["seeds"]]
        images += list(stack)
        truths += [
            Truth(**{k: v[frame == i] for k, v in table.items()}, rocks=rocks[rock_frame == i])
            for i in range(len(stack))
        ]
    if not images:
        raise FileNotFoundError(f"no frames under {folder}: make them with python -m training.generate")
    return Frames(images=images[:limit], truths=truths[:limit], seeds=seeds[:limit])


def describe(split: str, seeds: Sequence[int], truths: Sequence[Truth]) -> str:
    """The split as JSON text: its seeds, the renderer's digest, and its boxes by class, height and contrast."""
    heights: dict[str, list[int]] = {}
    contrasts: dict[str, list[int]] = {}
    for index, label in enumerate(LABELS):
        chosen = [t.classes == index for t in truths]
        tall = np.concatenate([(t.boxes[:, 3] - t.boxes[:, 1])[c] for t, c in zip(truths, chosen, strict=True)])
        clear = np.concatenate([t.contrast[c] for t, c in zip(truths, chosen, strict=True)])
        heights[label] = [int(n) for n in np.histogram(tall, HEIGHT_EDGES_PX)[0]]
        contrasts[label] = [int(n) for n in np.histogram(clear, CONTRAST_EDGES)[0]]
    wanted = [judge(t) for t in truths]
    return json.dumps(
        {
            "split": split,
            "renderer_sha256": renderer_sha256(),
            "first_seed": seeds[0],
            "frames": len(seeds),
            "frames_without_vessel": sum(1 for t in truths if not ((t.classes >= 0) & (t.classes < 5)).any()),
            "boxes": int(sum(len(t.classes) for t in truths)),
            "boxes_counted": int(sum((w != IGNORED).sum() for w in wanted)),
            "height_edges_px": HEIGHT_EDGES_PX,
            "height_px": heights,
            "contrast_edges": CONTRAST_EDGES,
            "contrast": contrasts,
            "truth_sha256": hashlib.sha256(b"".join(np.round(t.boxes, 1).tobytes() for t in truths)).hexdigest(),
        },
        indent=1,
    )
