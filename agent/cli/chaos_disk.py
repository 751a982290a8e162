"""The disk of a chaos box: a file system in a file, which can be full, and whose power can be cut. For benchmarks.

A power cut is ext4's own shutdown: what had reached the disk is there afterwards, what was only in the page cache above
it is not. Where there is no root or no loop device the disk is a folder, and there are no power cuts.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import struct
import subprocess
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_SIZE = 512 << 20  # of which only what is written takes space
_TRIES = 100
_EXT4_SHUTDOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN
_NO_FLUSH = struct.pack("I", 2)


class Disk:
    """`folder` is where the box keeps its state; `cuttable`: whether its power can be cut."""

    def __init__(self, under: Path) -> None:
        self.folder = under / "disk"
        self.folder.mkdir()
        self._image = under / "disk.ext4"
        self._filler = self.folder / "filler"
        self.cuttable = False
        if os.geteuid() == 0 and shutil.which("mkfs.ext4") is not None:
            with self._image.open("wb") as file:
                file.truncate(_SIZE)
            _run("mkfs.ext4", "-q", "-F", "-m", "0", str(self._image))
            self.cuttable = self._mount()

    def cut(self) -> None:
        """Now: nothing is written any more, and who tries is refused."""
        fd = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, _EXT4_SHUTDOWN, _NO_FLUSH)
        finally:
            os.close(fd)

    def power_up(self) -> None:
        """Start anew from what a cut has left; the agent must be dead.

        Raises:
            OSError: somebody still uses it, or it cannot be mounted.

        """
        self.close()
        if not self._mount():
            raise OSError(f"{self._image} cannot be mounted again after a power cut")

    def fill(self, left: int) -> None:
        """Leave so many bytes on the disk."""
        free = os.statvfs(self.folder)
        with self._filler.open("wb") as file, contextlib.suppress(OSError):  # it may be full already
            os.posix_fallocate(file.fileno(), 0, max(1, free.f_bavail * free.f_frsize - left))

    def empty(self) -> None:
        """Take away what `fill` put there."""
        self._filler.unlink(missing_ok=True)

    def close(self) -> None:
        """Take the file system away; what is on it stays in its file. Idempotent.

        Raises:
            OSError: somebody still uses it.

        """
        for _ in range(_TRIES):
            if not self.cuttable or not self.folder.is_mount():
                return
            with contextlib.suppress(subprocess.CalledProcessError):  # somebody still looks into it
                _run("umount", str(self.folder))
                return
            time.sleep(0.05)
        raise OSError(f"{self.folder} cannot be unmounted: some process still uses it")

    def _mount(self) -> bool:
        with contextlib.suppress(subprocess.CalledProcessError):
            _run("mount", "-o", "loop", str(self._image), str(self.folder))
            return True
        return False


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - of the system, with our own paths
