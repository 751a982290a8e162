"""Reads what a camera showed (`render` writes it) and what a box's detector said of it (`vigia detect` prints it).

Promises:
- pictures come in order of time; each says which of its boxes could be seen (`hardware_sim.sight`);
- a line of detections belongs to the picture with its file's name, or, of a video or a folder that was looked at as a
  whole, to the one with its `frame`; lines about anything else, or twice about one picture, are refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np

from hardware_sim import sight
from hardware_sim.errors import ScoreError
from hardware_sim.score.read import json_lines, need
from hardware_sim.vessels import CLASSES

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    Looks = dict[int, list[dict[str, Any]]]
    """Detections by the picture's number; an empty list: looked, and saw nothing."""

BOX = ("id", "kind", "box_px", "visible", "contrast", "grain", "range_m")


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One picture's truth. `boxes` (n, 4) x0, y0, x1, y1 px; `seen` (n,): could be seen."""

    t: float
    file: str | None
    ids: tuple[str, ...]
    kinds: tuple[str, ...]
    range_m: tuple[float, ...]
    boxes: NDArray[np.float32]
    seen: NDArray[np.bool_]

    def size_px(self, i: int) -> tuple[float, float]:
        """Width and height of a box."""
        x0, y0, x1, y1 = (float(x) for x in self.boxes[i])
        return x1 - x0, y1 - y0

    def seen_px(self) -> dict[str, tuple[float, float]]:
        """Width and height of everything that could be seen, by id."""
        return {self.ids[i]: self.size_px(i) for i in np.flatnonzero(self.seen).tolist()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Camera:
    """A camera's truth: its file, its header, its pictures."""

    path: Path
    header: dict[str, Any]
    pictures: list[Picture]


def read_camera(path: Path) -> Camera:
    """The truth that `render` wrote.

    Raises:
        ScoreError: it is not that.

    """
    lines = json_lines(path)
    if not lines or lines[0].get("type") != "header":
        raise ScoreError(f"{path}: does not begin with a header; give the truth that `render` wrote")
    header = lines[0]
    need(header, ("scenario", "seed", "camera"), path)
    pose = header["camera"] if isinstance(header["camera"], dict) else {}
    need({"type": "the camera of the header", **pose}, ("bearing_deg", "hfov_deg", "width_px", "height_px"), path)
    pictures = [_picture(line, path) for line in lines[1:]]
    if not pictures:
        raise ScoreError(f"{path}: no picture in it; give the truth that `render` wrote")
    return Camera(path=path, header=header, pictures=sorted(pictures, key=lambda p: p.t))


def _picture(line: dict[str, Any], path: Path) -> Picture:
    if line.get("type") != "picture":
        raise ScoreError(f"{path}: a line is no picture; give the truth that `render` wrote, not that of `run`")
    need(line, ("file", "t", "boxes"), path)
    rows = _objects(line["boxes"], f"{path}: `boxes` of the picture at {line['t']:g} s")
    for row in rows:
        need({"type": "a box", **row}, BOX, path)
        _need_corners(row["box_px"], f"{path}: the box of {row['id']}")
        if row["kind"] not in CLASSES:
            raise ScoreError(f"{path}: {row['id']}: no kind {row['kind']!r}; there are {', '.join(CLASSES)}")
    boxes = np.array([row["box_px"] for row in rows], np.float32).reshape(-1, 4)
    visible, contrast, grain = (np.array([r[k] for r in rows], np.float32) for k in ("visible", "contrast", "grain"))
    return Picture(
        t=float(line["t"]),
        file=line["file"],
        ids=tuple(row["id"] for row in rows),
        kinds=tuple(row["kind"] for row in rows),
        range_m=tuple(float(row["range_m"]) for row in rows),
        boxes=boxes,
        seen=sight.seen(boxes, visible, contrast, grain),
    )


def read_looks(path: Path, camera: Camera) -> Looks:
    """What `vigia detect` printed about the camera's pictures.

    Raises:
        ScoreError: it is not that.

    """
    looks: Looks = {}
    size = (camera.header["camera"]["width_px"], camera.header["camera"]["height_px"])
    numbers = {p.file: i for i, p in enumerate(camera.pictures)}
    for line in json_lines(path):
        need(line, ("image", "width", "height", "detections"), path)
        name = PurePath(str(line["image"])).name
        number = _number(line, name, numbers, camera)
        if number is None:
            raise ScoreError(f"{path}: {line['image']} is no picture of {camera.path}; look at the ones it is about")
        if number in looks:
            raise ScoreError(f"{path}: twice about one picture, {line['image']}; give the lines of one look")
        if (line["width"], line["height"]) != size:
            told, wanted = (f"{w} x {h}" for w, h in ((line["width"], line["height"]), size))
            raise ScoreError(f"{path}: {line['image']} has {told} pixels, the camera of {camera.path} {wanted}")
        for found in _objects(line["detections"], f"{path}: `detections` in {line['image']}"):
            need({"type": f"a detection in {line['image']}", **found}, ("label", "score", "box"), path)
            _need_corners(found["box"], f"{path}: a box in {line['image']}")
        looks[number] = line["detections"]
    return looks


def _number(line: dict[str, Any], name: str, numbers: dict[str | None, int], camera: Camera) -> int | None:
    """Of the picture that a line is about; None: of none."""
    if "frame" not in line:
        return numbers.get(name)
    about = {p.file for p in camera.pictures} == {name} or camera.path.absolute().parent.name == name
    number = line["frame"]
    return number if about and isinstance(number, int) and 0 <= number < len(camera.pictures) else None


def _objects(value: object, what: str) -> list[dict[str, Any]]:
    if not (isinstance(value, list) and all(isinstance(x, dict) for x in value)):
        raise ScoreError(f"{what} is a list of objects, not {value!r}")
    return value


def _need_corners(box: object, what: str) -> None:
    if not (isinstance(box, list) and len(box) == 4 and all(isinstance(x, int | float) for x in box)):
        raise ScoreError(f"{what} is four numbers of pixels, not {box!r}")
