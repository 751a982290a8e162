"""Reads truth, tracks and alerts from JSON lines."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hardware_sim.errors import ScoreError

if TYPE_CHECKING:
    from pathlib import Path


HEADER = ("scenario", "seed", "site", "start_unix", "expect", "forbid")
TARGET = ("id", "class", "mmsi", "length_m", "east_m", "north_m", "sog_mps", "cog_deg")
NUMBERS_OF_A_RUN = ("at", "lat", "lon", "start_unix", "length_m", "east_m", "north_m", "sog_mps", "cog_deg")
NUMBERS_OF_A_PICTURE = ("t", "visible", "contrast", "grain", "range_m", "score")
NUMBERS_OF_A_CAMERA = ("bearing_deg", "hfov_deg", "width_px", "height_px")
NUMBERS = frozenset((*NUMBERS_OF_A_RUN, *NUMBERS_OF_A_PICTURE, *NUMBERS_OF_A_CAMERA))


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """A truth file: header, targets by second of the run (Unix time of the second), events."""

    header: dict[str, Any]
    seconds: dict[float, list[dict[str, Any]]]
    events: list[dict[str, Any]]

    @property
    def duration_s(self) -> float:
        """From the start to the last second."""
        return max(self.seconds, default=self.header["start_unix"]) - float(self.header["start_unix"])


def json_lines(path: Path, wanted: str | None = None) -> list[dict[str, Any]]:
    """All objects of a file, or those of one `type`.

    Raises:
        ScoreError: no such file, not text, or a line that is not a JSON object.

    """
    if not path.is_file():
        raise ScoreError(f"{path}: no such file")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ScoreError(f"{path}: cannot be read as JSON lines: {error}") from error
    out = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            item = json.loads(line)
        except json.JSONDecodeError as error:
            raise ScoreError(f"{path}:{number}: not JSON: {error.msg}") from error
        if not isinstance(item, dict):
            raise ScoreError(f"{path}:{number}: not a JSON object")
        if wanted is None or item.get("type", wanted) == wanted:
            out.append(item)
    return out


def read_truth(path: Path) -> Truth:
    """A truth file.

    Raises:
        ScoreError: it is not one.

    """
    lines = json_lines(path)
    if not lines or lines[0].get("type") != "header":
        raise ScoreError(f"{path}: does not begin with a header; give the truth.jsonl of a run")
    need(lines[0], HEADER, path)
    seconds: dict[float, list[dict[str, Any]]] = {}
    events = []
    for line in lines[1:]:
        need(line, ("type", "at"), path)
        if line["type"] == "target":
            need(line, TARGET, path)
            seconds.setdefault(line["at"], []).append(line)
        elif line["type"] == "event":
            need(line, ("kind",), path)
            events.append(line)
    return Truth(header=lines[0], seconds=seconds, events=events)


def need(item: dict[str, Any], keys: tuple[str, ...], path: Path) -> None:
    """Refuse an object that lacks one of `keys`, or has words where a number is wanted.

    Raises:
        ScoreError: it does.

    """
    for key in keys:
        if key not in item:
            raise ScoreError(f"{path}: {_who(item)} lacks `{key}`")
        if key in NUMBERS and type(item[key]) not in (float, int):
            raise ScoreError(f"{path}: {_who(item)}: `{key}` is a number, not {item[key]!r}")


def _who(item: dict[str, Any]) -> str:
    return " ".join(str(x) for x in (item.get("type", "a line"), item.get("id")) if x is not None)
