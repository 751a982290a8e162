"""The event log: everything that enters the core, on disk before the core acts on it.

Promises:
- an event that was appended is in the operating system's hands when `append` returns (it survives kill -9), and on the
  disk when `sync` returns (it survives a power cut); alerts are committed only after `sync`;
- a torn or corrupted block costs that block, is counted, and never hides the blocks behind it;
- what a killed process left unsynced is made durable (`settle`) before a restart goes on from it;
- files may be concatenated: the result is a log; zeros between blocks are space that was prepared, and no damage;
- at most `max_bytes` and `max_age_s` (logic time, back from the newest) are kept: the oldest whole segments go first,
  with a receipt.

Block: b"VGL1" | u32 stored length | u32 CRC-32 of the stored bytes | zlib of a CBOR array of [seen_s, packed event].
All integers little-endian. Segments are named by the logic time at which they begin, one an hour.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

import cbor2

from agent.errors import InputError, ProtocolError
from agent.packing import pack, unpack
from agent.record.retention import DAY_S, Kept, Receipts

if TYPE_CHECKING:
    import io
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from agent.messages import Alert, Event

MAGIC = b"VGL1"
HEADER = struct.Struct("<4sII")
MAX_BLOCK = 16 * 1024 * 1024
SEGMENT_S = 3600.0
SUFFIX = ".vlog"
# A file that grows has its new size written to the file system's journal at every sync, several blocks each time; one
# that is filled in place has not. What is prepared costs its size once more, so only what is synced often is prepared.
PREPARED_BYTES = 65_536
OFTEN_BYTES = 16_384  # since the sync before


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A place between two blocks: segment file name and byte offset."""

    segment: str
    offset: int


@dataclass(slots=True)
class ReadReport:
    """What reading met: whole blocks, broken blocks, bytes that belong to none."""

    blocks: int = 0
    broken: int = 0
    skipped_bytes: int = 0


class EventLog:
    """Appends to the newest segment of a directory."""

    def __init__(
        self,
        directory: Path,
        max_bytes: int,
        max_age_s: float = 0.0,
        *,
        segment_s: float = SEGMENT_S,
        what: str = "event-log",
    ) -> None:
        self.directory = directory
        self._segment_s, self._what = segment_s, what
        self.max_bytes = max_bytes
        self.max_age_s = max_age_s  # 0: for ever
        self._receipts = Receipts(directory.parent)
        directory.mkdir(parents=True, exist_ok=True)
        self._file: io.FileIO | None = None
        self._name = ""
        self._offset = 0
        self._prepared = 0  # the file's size, where it is larger than what it holds
        self._synced = 0  # the offset at the last sync
        self._began_s = 0.0
        self.appended_bytes = 0  # by this object
        self._dirty = False

    @property
    def position(self) -> Position:
        """Where the next block will stand; before the first one, behind all that is there."""
        if self._file is None and not self._name:
            files = segments(self.directory)
            if files:
                return Position(segment=files[-1].name, offset=files[-1].stat().st_size)
        return Position(segment=self._name, offset=self._offset)

    def append(self, events: Sequence[tuple[float, Event | Alert]]) -> None:
        """Write one block of (seen_s, event), in order.

        Raises:
            OSError: the disk is full or gone; the half block is cut off again.

        """
        if not events:
            return
        self._roll(events[0][1].at_s)
        block = encode_block(events)
        assert self._file is not None  # noqa: S101 - _roll has just opened it
        try:
            if self._file.write(block) != len(block):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.directory / self._name))
        except OSError:
            self._drop_torn_tail()
            raise
        self._offset += len(block)
        self.appended_bytes += len(block)
        self._dirty = True

    def sync(self) -> None:
        """Force what was appended to the disk."""
        if self._file is not None and self._dirty:
            if self._offset >= self._prepared and self._offset - self._synced <= OFTEN_BYTES:
                self._prepare(self._file.fileno())
            os.fdatasync(self._file.fileno())
            self._dirty = False
            self._synced = self._offset

    def close(self) -> None:
        """Sync and release. Idempotent."""
        if self._file is not None:
            if self._prepared > self._offset:
                os.ftruncate(self._file.fileno(), self._offset)
            self._prepared, self._synced = self._offset, -OFTEN_BYTES - 1  # nothing is to come
            self.sync()
            self._file.close()
            self._file = None

    def _prepare(self, fd: int) -> None:
        """Space for what comes next; a disk that has none for it may still have enough for the blocks themselves."""
        with contextlib.suppress(OSError):
            os.pwrite(fd, bytes(PREPARED_BYTES), self._offset)
            self._prepared = self._offset + PREPARED_BYTES

    def _drop_torn_tail(self) -> None:
        assert self._file is not None  # noqa: S101 - only called by append
        fd = self._file.fileno()
        os.ftruncate(fd, self._offset)
        os.lseek(fd, self._offset, os.SEEK_SET)
        self._prepared = 0

    def _roll(self, at_s: float) -> None:
        if self._file is not None and at_s - self._began_s < self._segment_s:
            return
        self.close()
        # Names only ever grow, also when time does not: a checkpoint's position stands before all that came after it.
        files = segments(self.directory)
        newest = int(files[-1].stem) if files else -1
        name = f"{max(int(at_s * 1000), newest + 1):015d}{SUFFIX}"
        # unbuffered: what write() took is the kernel's, and a refused block leaves nothing behind in Python
        self._file = (self.directory / name).open("xb", buffering=0)
        self._name, self._offset, self._prepared, self._synced, self._began_s = name, 0, 0, 0, at_s
        self._retire()

    def _retire(self) -> None:
        kept = [Kept(path=f, size=f.stat().st_size, at_s=int(f.stem) / 1000.0) for f in segments(self.directory)]
        total = sum(k.size for k in kept)
        old, over = [], []
        for k, after in itertools.pairwise(kept):  # never the newest; one ends where the next begins
            if self.max_age_s and kept[-1].at_s - after.at_s > self.max_age_s:
                old.append(k)
            elif total > self.max_bytes:
                over.append(k)
            else:
                break
            total -= k.size
            k.path.unlink()
        self._receipts.write(self._began_s, self._what, f"older than {self.max_age_s / DAY_S:g} days", old)
        self._receipts.write(self._began_s, self._what, f"more than {self.max_bytes} bytes", over)


def segments(directory: Path) -> list[Path]:
    """Segment files of a directory, oldest first."""
    return sorted(f for f in directory.glob("*" + SUFFIX) if f.stem.isdigit())


def settle(directory: Path, start: Position | None) -> None:
    """Force what another process left in the segments from `start` on to the disk, and their names.

    A process that was killed had not synced its last blocks: they are in the operating system's hands, are read after a
    restart, and would be gone after a power cut, though alerts may rest on them by then.

    Raises:
        OSError: the disk refuses.

    """
    names = [f for f in segments(directory) if start is None or f.name >= start.segment]
    for path in (*names, directory, directory.parent):
        fd = os.open(path, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def encode_block(events: Sequence[tuple[float, Event | Alert]]) -> bytes:
    """One block of (seen_s, event)."""
    stored = zlib.compress(cbor2.dumps([[seen_s, pack(e)] for seen_s, e in events]), 1)
    return HEADER.pack(MAGIC, len(stored), zlib.crc32(stored)) + stored


def read_log(
    path: Path, start: Position | None = None, report: ReadReport | None = None
) -> Iterator[tuple[float, Event]]:
    """(seen_s, event) of a log file, or of a directory of segments, from `start` on.

    Raises:
        InputError: the path is not there, or holds no event log at all.

    """
    report = report if report is not None else ReadReport()
    try:
        files = segments(path) if path.is_dir() else [path]
        for file in files:
            if start is not None and file.name < start.segment:
                continue
            offset = start.offset if start is not None and file.name == start.segment else 0
            with file.open("rb") as f:
                f.seek(offset)
                yield from _blocks(f, report)
    except OSError as e:
        raise InputError(f"{path}: cannot be read as an event log: {e.strerror or e}") from e
    if report.blocks == 0 and report.skipped_bytes > 0 and start is None:
        raise InputError(
            f"{path}: is no event log of Vigía (no block begins with VGL1); give a .vlog file or its folder"
        )


def _blocks(f: BinaryIO, report: ReadReport) -> Iterator[tuple[float, Event]]:
    while head := f.read(HEADER.size):
        block_at = f.tell() - len(head)
        if not head[0]:
            _skip_zeros(f, block_at)
            continue
        events = _block(f, head)
        if events is None:
            report.broken += 1
            f.seek(block_at + 1)
            report.skipped_bytes += 1 + _seek_magic(f)
            continue
        report.blocks += 1
        yield from events


def _block(f: BinaryIO, head: bytes) -> list[tuple[float, Event]] | None:
    if len(head) < HEADER.size:
        return None
    magic, length, crc = HEADER.unpack(head)
    if magic != MAGIC or length > MAX_BLOCK:
        return None
    stored = f.read(length)
    if len(stored) < length or zlib.crc32(stored) != crc:
        return None
    try:
        raw = zlib.decompressobj()
        rows = cbor2.loads(raw.decompress(stored, MAX_BLOCK * 4))
        return [(float(seen_s), unpack(row)) for seen_s, row in rows]
    except (ProtocolError, cbor2.CBORDecodeError, zlib.error, TypeError, ValueError):
        return None


def _skip_zeros(f: BinaryIO, start: int) -> None:
    """Move to the first byte from `start` on that is none."""
    f.seek(start)
    while chunk := f.read(4096):
        if rest := chunk.lstrip(b"\0"):
            f.seek(f.tell() - len(rest))
            return


def _seek_magic(f: BinaryIO) -> int:
    """Move to the next block's start (or the end of the file); bytes passed over."""
    start = f.tell()
    keep = b""
    while chunk := f.read(65_536):
        at = (keep + chunk).find(MAGIC)
        if at >= 0:
            f.seek(f.tell() - len(chunk) - len(keep) + at)
            return f.tell() - start
        keep = (keep + chunk)[-3:]
    return f.tell() - start
