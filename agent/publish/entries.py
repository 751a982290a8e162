"""What goes into the outbox and comes out of it.

Promises:
- a message that is on the disk never changes: `Message` is what every repeat sends;
- `digest` is what a seal says of a message, for who seals and who verifies alike.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

DIGEST_BYTES = 8

# How long a message is kept when space runs out: the higher rank goes first.
RANK_LOSS, RANK_HIGH, RANK_MEDIUM, RANK_LOW, RANK_HEALTH, RANK_NOTE, RANK_POISON = range(7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Something to send. `encode(seq)` makes its payload.

    `key` is (alert id, revision, time in 0.1 s) of an alert; `expires_s` the logic time from which it is worth nothing.
    """

    kind: str
    rank: int
    encode: Callable[[int], bytes]
    key: tuple[int, int, int] | None = None
    expires_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """Something that is on the disk. `id` is the outbox' own number, in order of arrival."""

    id: int
    boot: int
    seq: int
    kind: str
    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Digests of messages of one boot, from `first` on, for a seal."""

    boot: int
    first: int
    digests: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """What an `append` did: messages stored (loss records too), and entries that could not be encoded."""

    messages: tuple[Message, ...]
    refused: tuple[str, ...] = ()


def digest(kind: str, payload: bytes) -> bytes:
    """What a seal says of one message."""
    return hashlib.sha256(kind.encode() + payload).digest()[:DIGEST_BYTES]
