"""A folder of pictures as a camera: in the order of their names, at a stated rate."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from agent.drivers.camera.source import Grabber
from agent.errors import InputError, SensorUnavailable
from agent.transport.base import EndOfData

if TYPE_CHECKING:
    from agent.drivers.camera.url import CameraUrl

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})


class Folder(Grabber):
    """Pictures of one folder; a broken one is counted and passed over."""

    cheap = True

    def __init__(self, url: CameraUrl, *, loop: bool, real: bool, fps: float) -> None:
        self._url = url
        self._loop = loop
        self._real = real
        self._period_s = 1.0 / fps
        self._paths: list[Path] = []
        self._index = -1
        self._start_s = 0.0
        self._ended = threading.Event()

    def open(self) -> None:
        """List the folder."""
        folder = Path(self._url.path)
        if not folder.is_dir():
            raise SensorUnavailable(f"{self._url.shown}: no such folder.")
        self._paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES)
        if not self._paths:
            raise InputError(f"{self._url.shown}: no pictures in it; give JPEG, PNG, WebP, BMP or TIFF files.")
        self._start_s = time.monotonic()

    def grab(self) -> bool:
        """The next picture, when it is due."""
        if self._ended.is_set() or not self._paths:
            raise EndOfData(f"{self._url.shown}: closed.")
        self._index += 1
        if self._index >= len(self._paths) and not self._loop:
            raise EndOfData(f"{self._url.shown}: the recording is over.")
        self.media_s = self._index * self._period_s
        if self._real:
            self._ended.wait(max(0.0, self._start_s + self.media_s - time.monotonic()))
        return True

    def take(self) -> bytes | None:
        """The picture, still coded; None when its file went away meanwhile."""
        try:
            return self._paths[self._index % len(self._paths)].read_bytes()
        except OSError:
            return None

    def abort(self) -> None:
        """End a wait for the next picture."""
        self._ended.set()

    def close(self) -> None:
        """Nothing is open."""
        self._ended.set()
