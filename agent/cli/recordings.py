"""Recordings on disk as chunks, whatever they were written by: captures as datagrams, anything else as pieces.

Promises:
- the chunks' stamps are the capture's times; a raw file has none and counts as 0;
- a capture that breaks off gives what it held; the sentence about it goes to stderr.
"""

from __future__ import annotations

import gzip
import sys
import zlib
from typing import TYPE_CHECKING

from agent.errors import InputError
from agent.messages import Stamp
from agent.transport.base import Chunk
from agent.transport.pcap import CaptureReader, is_capture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PIECE = 1 << 16
_SENTENCE_STARTS = (b"$", b"!", b"\\", b"UdPbC\0", b"RrUdP\0")


def is_sentence(datagram: bytes) -> bool:
    """Whether a datagram begins like NMEA."""
    return datagram.startswith(_SENTENCE_STARTS)


def recorded(
    path: Path, *, port: int | None, group: str | None, speaks: Callable[[bytes], bool] | None = None
) -> Iterator[Chunk]:
    """Chunks of a recording. `speaks`: of a capture only streams of which a datagram meets it, from that one on.

    Raises:
        InputError: the file cannot be opened or holds nothing of the kind.

    """
    if is_capture(path):
        yield from _captured(path, port, group, speaks)
    else:
        yield from _raw(path)


def _captured(
    path: Path, port: int | None, group: str | None, speaks: Callable[[bytes], bool] | None
) -> Iterator[Chunk]:
    speaking: set[str] = set()
    try:
        reader = CaptureReader(path, port=port, group=group)
    except ValueError as e:
        raise InputError(f"--group {group}: not an IP address") from e
    for datagram in reader:
        if speaks is not None and datagram.stream not in speaking:
            if not speaks(datagram.payload):
                continue
            speaking.add(datagram.stream)
        at = Stamp(t_s=datagram.wall_s, wall_s=datagram.wall_s)
        yield Chunk(data=datagram.payload, at=at, stream=datagram.stream)
    if reader.counters["errors"]:
        print(f"{reader.counters['errors']} packets unreadable, the last: {reader.last_error}", file=sys.stderr)


def _raw(path: Path) -> Iterator[Chunk]:
    at = Stamp(t_s=0.0, wall_s=0.0)
    try:
        with path.open("rb") as probe:
            zipped = probe.read(2) == b"\x1f\x8b"
        with gzip.open(path, "rb") if zipped else path.open("rb") as f:
            while piece := f.read(PIECE):
                yield Chunk(data=piece, at=at)
    except (OSError, EOFError, zlib.error) as e:
        raise InputError(f"{path}: cannot be read ({e}); copy the file again") from e
