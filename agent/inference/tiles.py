"""Looking at a picture in several views (whole, strip, tiles) and merging what they show.

Promises:
- every pixel of the asked region lies in at least one tile; neighbours overlap, so that a vessel smaller than the
  overlap is whole in one of them;
- a vessel seen in two views is reported once; pieces at tile borders do not outlive the whole vessel;
- what is tiny in a reduced view is left to a view that sees the same place finer: at a few pixels the reduced one boxes
  a small boat too large beside its own box, and a ship's bow as a boat;
- the largest view is looked at first: the other way round the runtime keeps memory that fits the small ones only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from agent.inference.boxes import Found, join, merge_views
from agent.inference.detector import FREE_SIZE, MULTIPLE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agent.inference.boxes import F32
    from agent.inference.detector import Detector
    from agent.inference.letterbox import U8

OVERLAP = 0.2  # of a tile's side
TILE_PX = 640  # tiles for models of fixed size: with them small COCO models see vessels of 500 px^2
_REDUCTION_MAX = 1.25  # a picture reduced by less needs no tiles
_FINER = 1.25  # a view that is reduced by so much less counts as finer
_TINY_PX = 12.0  # the longer side of a box, in pixels that the model saw
_EDGE_SHARE = 0.04  # of a view's side: boxes of cut vessels end this near to its border


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A rectangle of the picture, in whole pixels, and the input size that a model of free size shall run it at."""

    x: int
    y: int
    width: int
    height: int
    size: tuple[int, int] | None = None

    @property
    def reduction(self) -> float:
        """How many pixels of the picture one of the model's input is; 1 where the model's own size decides."""
        return max(self.width / self.size[0], self.height / self.size[1]) if self.size else 1.0


def whole(width: int, height: int, *, longest: int | None = None) -> Region:
    """The whole picture, for a model of free size reduced so that its longer side is at most `longest`."""
    if longest is None or max(width, height) <= longest:
        return Region(x=0, y=0, width=width, height=height, size=(width, height))
    scale = longest / max(width, height)
    return Region(x=0, y=0, width=width, height=height, size=(round(width * scale), round(height * scale)))


def tiles(area: Region, tile_width: int, tile_height: int) -> list[Region]:
    """Overlapping tiles over `area`, all of one size (smaller only where the area is)."""
    width, height = min(tile_width, area.width), min(tile_height, area.height)
    return [
        Region(x=area.x + x, y=area.y + y, width=width, height=height, size=(width, height))
        for y in _starts(area.height, height)
        for x in _starts(area.width, width)
    ]


def abreast(area: Region, longest: int, overlap: int) -> list[Region]:
    """As few views of one size beside each other, at native resolution, as are needed to be at most `longest` wide.

    They share `overlap` pixels, or up to `MULTIPLE` more.
    """
    count = max(1, math.ceil((area.width - overlap) / (longest - overlap)))
    width = min(area.width, math.ceil((area.width + (count - 1) * overlap) / count / MULTIPLE) * MULTIPLE)
    starts = [round(i * (area.width - width) / max(1, count - 1)) for i in range(count)]
    size = (width, area.height)
    return [Region(x=area.x + x, y=area.y, width=width, height=area.height, size=size) for x in starts]


def _starts(length: int, tile: int) -> list[int]:
    if tile >= length:
        return [0]
    count = int(np.ceil((length - tile) / (tile * (1.0 - OVERLAP)))) + 1
    return [round(i * (length - tile) / (count - 1)) for i in range(count)]


def auto_regions(detector: Detector, width: int, height: int) -> list[Region]:
    """What `--tiles auto` looks at: the whole picture; for a model of free size also tiles where it was reduced.

    A model of fixed size gets the whole picture as its makers run it: tiles show it pieces of large vessels, which it
    was not made for, so they are only used when asked for.
    """
    if detector.info.size is not None:
        return [whole(width, height)]
    full = whole(width, height, longest=FREE_SIZE[0])
    if max(width, height) <= _REDUCTION_MAX * FREE_SIZE[0]:
        return [full]
    return [full, *tiles(full, *FREE_SIZE)]


def find_in(detector: Detector, image: U8, regions: list[Region], *, min_score: float) -> Found:
    """Detections of all regions of a picture [H, W, 3], merged, in pixels of the picture, by falling score."""
    if len(regions) == 1 and regions[0].width == image.shape[1] and regions[0].height == image.shape[0]:
        return detector.find(image, min_score=min_score, size=regions[0].size)
    parts, cuts = [], []
    for region in sorted(regions, key=_pixels, reverse=True):  # what a smaller view needs fits where a larger one was
        view = image[region.y : region.y + region.height, region.x : region.x + region.width]
        boxes = detector.find(view, min_score=min_score, size=region.size)
        shift = np.array([region.x, region.y] * 2, dtype=np.float32)
        boxes = Found(corners=boxes.corners + shift, scores=boxes.scores, classes=boxes.classes)
        boxes = boxes.take(~_left_to_others(boxes.corners, region, regions))
        cuts.append(_cut(boxes.corners - shift, region, image.shape[1], image.shape[0]))
        parts.append(boxes)
    return merge_views(join(parts), np.concatenate(cuts), detector.rivals)


def _left_to_others(corners: F32, region: Region, regions: list[Region]) -> NDArray[np.bool_]:
    """Which boxes [N, 4] of a region, in pixels of the picture, are tiny in it and whole in a finer one."""
    left = np.zeros(len(corners), dtype=bool)
    tiny = (corners[:, 2:] - corners[:, :2]).max(axis=1, initial=0.0) < _TINY_PX * region.reduction
    for other in regions:
        if region.reduction >= _FINER * other.reduction:
            low, high = (other.x, other.y), (other.x + other.width, other.y + other.height)
            left |= tiny & (corners[:, :2] >= low).all(axis=1) & (corners[:, 2:] <= high).all(axis=1)
    return left


def _pixels(region: Region) -> int:
    """Of the model's input, where its size is free."""
    width, height = region.size or (region.width, region.height)
    return width * height


def _cut(corners: F32, region: Region, width: int, height: int) -> NDArray[np.bool_]:
    """Which boxes [N, 4] (in pixels of the region) end at a border of the region that is not the picture's."""
    cut = np.zeros(len(corners), dtype=bool)
    near_x, near_y = _EDGE_SHARE * region.width, _EDGE_SHARE * region.height
    if region.x > 0:
        cut |= corners[:, 0] < near_x
    if region.y > 0:
        cut |= corners[:, 1] < near_y
    if region.x + region.width < width:
        cut |= corners[:, 2] > region.width - near_x
    if region.y + region.height < height:
        cut |= corners[:, 3] > region.height - near_y
    return cut
