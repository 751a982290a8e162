"""What the box keeps of pictures and event logs, and for how long; every removal leaves a receipt.

Promises:
- by age everything beyond its days goes; by size the least important goes first, and of those the oldest;
- each sweep that removed something is one line in `purges.jsonl` (when, what, why, how much, which files), also in the
  journal; that file is bounded itself and is not what makes room on a full disk;
- a box that does not know the time removes nothing for its age: a clock that jumps years ahead costs no evidence;
- a file that cannot be removed or looked at is left, and costs the others nothing.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.messages import Severity

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

log = logging.getLogger("vigia.retention")
DAY_S = 86_400.0
RECEIPTS = "purges.jsonl"
RECEIPTS_MAX = 1_000_000  # bytes; then it becomes purges.1.jsonl
NAMES_MAX = 200  # named in one receipt; the others are counted
KEEP_FILES = 20_000  # more small files than that make every look at the folder slow
_RANK = {severity.value: rank for rank, severity in enumerate(Severity)}  # low first


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One file: `rank` is how important it is (0: least), `at_s` when it was written (Unix s)."""

    path: Path
    size: int
    at_s: float
    rank: int = 0


class Receipts:
    """Appends what was removed to `purges.jsonl` in the state directory."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / RECEIPTS

    def write(self, wall_s: float, what: str, why: str, files: Iterable[Kept]) -> None:
        """One receipt; a disk that refuses it is told in the journal, where the receipt then stands."""
        gone = list(files)
        if not gone:
            return
        size = sum(f.size for f in gone)
        names = [f.path.name for f in gone[:NAMES_MAX]]
        row = {
            "at": round(wall_s, 1), "what": what, "why": why, "files": len(gone), "bytes": size,
            "oldest": round(min(f.at_s for f in gone), 1), "newest": round(max(f.at_s for f in gone), 1),
            "names": names,
        }  # fmt: skip
        log.info("%s: %d files of %d bytes removed (%s)", what, len(gone), size, why)
        try:
            if self._path.exists() and self._path.stat().st_size > RECEIPTS_MAX:
                self._path.replace(self._path.with_suffix(".1.jsonl"))
            with self._path.open("a", encoding="utf-8") as f:
                f.write(json.dumps(row, ensure_ascii=False) + "\n")
        except OSError as e:
            log.warning("%s cannot be written: %s; the receipt is %s", self._path, e.strerror, json.dumps(row))


def evidence_name(alert: int | str, camera: str, severity: str, ending: str = "jpg") -> str:
    """The file of an alert's picture or clip; its importance stands in the name, so that it outlives the daemon."""
    return f"{alert}-{camera}.{severity}.{ending}"


def sweep_evidence(
    folder: Path, wall_s: float, *, max_bytes: int, max_age_days: float, time_known: bool, receipts: Receipts
) -> None:
    """Remove what is too old or too much of the pictures in `folder`. `max_age_days` 0: never for its age."""
    files = sorted(_evidence(folder), key=lambda f: (f.rank, f.at_s, f.path.name))
    old = [f for f in files if time_known and max_age_days > 0.0 and wall_s - f.at_s > max_age_days * DAY_S]
    receipts.write(wall_s, "evidence", f"older than {max_age_days:g} days", filter(_removed, old))
    rest = [f for f in files if f not in old]
    total, count = sum(f.size for f in rest), len(rest)
    over = []
    for f in rest:
        if total <= max_bytes and count <= KEEP_FILES:
            break
        over.append(f)
        total, count = total - f.size, count - 1
    receipts.write(wall_s, "evidence", f"more than {max_bytes} bytes", filter(_removed, over))


def _evidence(folder: Path) -> Iterable[Kept]:
    try:
        paths = list(folder.iterdir())
    except FileNotFoundError:
        return
    for path in paths:
        try:
            stat = path.stat()
        except OSError:
            continue  # gone meanwhile
        severity = path.name.split(".")[-2] if path.name.count(".") > 1 else ""
        yield Kept(path=path, size=stat.st_size, at_s=stat.st_mtime, rank=_RANK.get(severity, _RANK["medium"]))


def _removed(f: Kept) -> bool:
    try:
        f.path.unlink()
    except OSError as e:
        log.warning("%s cannot be removed: %s", f.path, e.strerror)
        return False
    return True
