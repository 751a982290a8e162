"""Checkpoints: the core's state with the place in the log from which to go on.

Promises:
- a checkpoint on disk is whole or not there (written aside, synced, renamed); a broken one is set aside, not trusted;
- checkpoint + tail of the log gives the core that was killed, with its track and alert identities, and the alerts that
  it had raised but not yet committed.
"""

from __future__ import annotations

import os
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cbor2

from agent.errors import ProtocolError
from agent.messages import Alert
from agent.packing import pack, unpack
from agent.record.log import Position

if TYPE_CHECKING:
    from pathlib import Path

VERSION = 3  # 1 knew no pending alerts, 2 did not compress
_MOST = 1 << 28  # bytes of state: a broken length allocates no more


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """State of the core after every event before `position`; `at_s` is its newest logic time.

    `pending`: alerts that the core had raised by then and that are not in the outbox yet.
    """

    at_s: float
    position: Position
    digest: str
    state: bytes
    pending: tuple[Alert, ...] = ()


def write_checkpoint(path: Path, c: Checkpoint, *, at_once: bool = True) -> int:
    """Replace the checkpoint atomically; returns its size in bytes.

    Without `at_once` a power cut in the next seconds may bring back the one before, which is as good with a whole log.
    """
    pending = [pack(a) for a in c.pending]
    state = zlib.compress(c.state, 1)
    body = cbor2.dumps([VERSION, c.at_s, c.position.segment, c.position.offset, c.digest, state, pending])
    aside = path.with_suffix(".new")
    with aside.open("wb") as f:
        f.write(zlib.crc32(body).to_bytes(4, "little") + body)
        f.flush()
        os.fsync(f.fileno())
    aside.replace(path)
    if not at_once:
        return len(body)
    fd = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
    return len(body)


def read_checkpoint(path: Path) -> Checkpoint | None:
    """The last checkpoint; None where there is none. A broken one is renamed `.broken` and None is returned."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        if zlib.crc32(data[4:]) != int.from_bytes(data[:4], "little"):
            raise ValueError("checksum")
        version, at_s, segment, offset, digest, state, *later = cbor2.loads(data[4:])
        if version not in (1, 2, VERSION):
            raise ValueError("version")
        if version == VERSION:
            state = zlib.decompressobj().decompress(state, _MOST)
        return Checkpoint(
            at_s=float(at_s),
            position=Position(segment=str(segment), offset=int(offset)),
            digest=str(digest),
            state=bytes(state),
            pending=tuple(_alert(row) for row in (later[0] if later else ())),
        )
    except (ValueError, TypeError, ProtocolError, cbor2.CBORDecodeError, zlib.error):
        path.replace(path.with_suffix(".broken"))
        return None


def _alert(row: object) -> Alert:
    alert = unpack(row)
    if not isinstance(alert, Alert):
        raise TypeError("not an alert")
    return alert
