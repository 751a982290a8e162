"""A full disk: a file that takes all the room of a small filesystem.

Promises:
- a filesystem with more than `MOST_BYTES` free is refused before a byte is written: it is the machine's own;
- what was filled is freed at the fault's end and at the run's.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from hardware_sim.errors import DeviceError

if TYPE_CHECKING:
    from pathlib import Path

MOST_BYTES = 256 << 20
NAME = "hardware-sim-ballast"
STEPS = (1 << 20, 1 << 12, 1)


class Ballast:
    """Fills the filesystem of a folder; None: nothing to fill."""

    def __init__(self, folder: Path | None) -> None:
        self._path = None if folder is None else folder / NAME

    def fill(self) -> None:
        """Take every byte that is left.

        Raises:
            DeviceError: the filesystem is too large to be one made for this, or cannot be written.

        """
        if self._path is None:
            return
        try:
            where = os.statvfs(self._path.parent)
            free = where.f_bavail * where.f_frsize
            if free > MOST_BYTES:
                raise DeviceError(
                    f"{self._path.parent}: {free >> 20} MiB are free there, more than where a disk may be filled; "
                    f"give one with less than {MOST_BYTES >> 20} MiB, such as a small tmpfs"
                )
            with self._path.open("wb", buffering=0) as file:
                for step in STEPS:
                    self._write_until_full(file.fileno(), step)
        except OSError as error:
            raise DeviceError(f"{self._path.parent}: cannot be filled: {error.strerror}") from error

    def clear(self) -> None:
        """Free it again."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    @staticmethod
    def _write_until_full(fd: int, step: int) -> None:
        block = bytes(step)
        while True:
            try:
                if os.write(fd, block) < step:
                    return
            except OSError as error:
                if error.errno == errno.ENOSPC:
                    return
                raise
