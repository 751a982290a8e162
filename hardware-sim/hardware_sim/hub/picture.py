"""The picture ashore as far as a box needs it: acknowledgements of what has come (`vigia sim hub --ack`).

Promises:
- every message that carries a number (alert, health, loss, seal, reply) is acknowledged once its boot's birth is known,
  within `EVERY_S`, retained, by what docs/wire.md says; what a loss counts as lost closes the gap that it leaves;
- what is no CBOR, or has no birth yet, is not acknowledged and harms nothing.

It reads heads only and keeps nothing on a disk: for demo and tests. `vigia watch --ack` is a picture that does.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import cbor2

from hardware_sim.hub.codec import Message

if TYPE_CHECKING:
    from hardware_sim.hub.broker import Hub

EVERY_S = 0.2
VERSION = 1
_NUMBERED = ("a", "h", "l", "v", "r")
_BOOTS = range(1 << 16, 1 << 32)
_MOST_SEQ = (1 << 63) - 1
_MOST_HELD = 10_000


class Received:
    """Numbers of one boot: all up to `contiguous`, and ranges beyond it, in order and apart."""

    def __init__(self) -> None:
        self.contiguous = 0
        self.beyond: list[list[int]] = []

    def add(self, first: int, last: int) -> None:
        """From `first` to `last`."""
        if last <= self.contiguous:
            return
        ranges = sorted([*self.beyond, [max(first, self.contiguous + 1), last]])
        joined = [[0, self.contiguous]]
        for low, high in ranges:
            if low <= joined[-1][1] + 1:
                joined[-1][1] = max(joined[-1][1], high)
            else:
                joined.append([low, high])
        self.contiguous, self.beyond = joined[0][1], joined[1:]


class Picture:
    """Listens to all that a hub hands on."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._boots: dict[tuple[str, int], Received] = {}  # by node and whole boot id
        self._waiting: dict[tuple[str, int], list[tuple[int, int]]] = {}  # by node and boot16, until a birth comes
        self._due: set[tuple[str, int]] = set()
        hub.listeners.append(self.hear)

    def hear(self, message: Message) -> None:
        """Take note of one message."""
        parts = message.topic.split("/")
        if len(parts) != 4 or parts[0] != "s1" or parts[2] != "u" or not message.payload:
            return
        try:
            row = cbor2.loads(message.payload)
        except (cbor2.CBORDecodeError, ValueError, RecursionError):
            return
        if isinstance(row, list) and len(row) > 2 and row[0] == VERSION:
            self._row(parts[1], parts[3], row)

    def _row(self, node: str, kind: str, row: list[object]) -> None:
        boot, number = (row[2], 0) if kind == "b" else (row[1], row[2])
        if not isinstance(boot, int) or not isinstance(number, int) or not 0 <= number <= _MOST_SEQ:
            return
        if kind == "b" and boot in _BOOTS:
            received = self._boots.setdefault((node, boot), Received())
            for first, last in self._waiting.pop((node, boot & 0xFFFF), ()):
                received.add(first, last)
            self._acknowledge(node, boot)
        elif kind in _NUMBERED and number:
            self._take(node, boot, [(number, number)])
            if kind == "l":
                self._lost(node, row)

    def _take(self, node: str, boot16: int, ranges: list[tuple[int, int]]) -> None:
        whole = [b for n, b in self._boots if n == node and b & 0xFFFF == boot16 & 0xFFFF]
        if not whole:
            held = self._waiting.setdefault((node, boot16 & 0xFFFF), [])
            held += ranges[: _MOST_HELD - len(held)]
            return
        for first, last in ranges:
            self._boots[node, whole[-1]].add(first, last)
        self._acknowledge(node, whole[-1])

    def _lost(self, node: str, row: list[object]) -> None:
        """A loss: [head, lost boot, [[from, to], ...], ...]."""
        boot, ranges = (row[5], row[6]) if len(row) > 6 else (None, None)
        if isinstance(boot, int) and isinstance(ranges, list):
            pairs = [r for r in ranges if isinstance(r, list) and len(r) == 2 and all(isinstance(x, int) for x in r)]
            self._take(node, boot, [(low, high) for low, high in pairs if 0 < low <= high <= _MOST_SEQ])

    def _acknowledge(self, node: str, boot: int) -> None:
        """Soon, and once for all that comes until then."""
        if (node, boot) not in self._due:
            self._due.add((node, boot))
            asyncio.get_running_loop().call_later(EVERY_S, self._say, node, boot)

    def _say(self, node: str, boot: int) -> None:
        self._due.discard((node, boot))
        received = self._boots[node, boot]
        payload = acknowledgement(boot, received)
        self._hub.counters["acknowledgements"] += 1
        self._hub.publish(Message(topic=f"s1/{node}/d/k", payload=payload, qos=1, retain=True))


def acknowledgement(boot: int, received: Received) -> bytes:
    """`[v, boot, contiguous, [[from, to], ...]]`."""
    return cbor2.dumps([VERSION, boot, received.contiguous, received.beyond])
