"""Where a radar's learned clutter map lies while its process does not run.

Promises:
- one file per stream of video in the state directory, `clutter-NAME.map`, written aside and renamed: whole or none;
- a map that is damaged is set aside as `.broken` and said in the log, and the radar learns a new one.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from agent.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from agent.perception.radar.extract import PlotExtractor

log = logging.getLogger("vigia.radar")
SAVE_S = 300.0  # after the start; then twice as long each time, ...
SAVE_MAX_S = 3600.0  # ... up to this: a map is a megabyte, and what is learned in a minute can be learned again


class ClutterStore:
    """The maps of one sensor's extractors."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._saved_s: float | None = None
        self._every_s = SAVE_S
        self._failing = False

    def restore(self, extractor: PlotExtractor) -> None:
        """Hand the stored map to a new extractor."""
        path = self._path(extractor)
        try:
            state = path.read_bytes()
        except FileNotFoundError:
            return
        try:
            extractor.restore(state)
        except InputError as e:
            path.replace(path.with_suffix(".broken"))
            log.warning("%s: %s", path.name, e)

    def save(self, extractors: Iterable[PlotExtractor], now_s: float, *, at_once: bool = False) -> None:
        """Store the maps, now and then."""
        if not at_once:
            self._saved_s = now_s if self._saved_s is None else self._saved_s
            if now_s - self._saved_s < self._every_s:
                return
            self._every_s = min(2.0 * self._every_s, SAVE_MAX_S)
        self._saved_s = now_s
        for extractor in extractors:
            if state := extractor.state():
                self._write(self._path(extractor), state)

    def _write(self, path: Path, state: bytes) -> None:
        """A map that cannot be stored is learned again after the next start: no reason to stop looking."""
        aside = path.with_suffix(".new")
        try:
            aside.write_bytes(state)
            aside.replace(path)
        except OSError as e:
            if not self._failing:
                log.warning("%s cannot be written: %s; free space", path, e.strerror)
            self._failing = True
        else:
            self._failing = False

    def _path(self, extractor: PlotExtractor) -> Path:
        name = "".join(c if c.isalnum() or c in "-_." else "~" for c in extractor.source)
        return self._directory / f"clutter-{name}.map"
