"""Further inputs of one radar: the group of its second range, of its reports and beacons, a compass on the network.

Promises:
- none of them can hold up or end the radar: one that cannot be opened, or breaks, is tried again every `AGAIN_S`;
- one that floods is read `MOST` datagrams at a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.errors import SensorUnavailable
from agent.transport import open_transport

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agent.clock import Clock
    from agent.transport.base import Chunk, Transport

AGAIN_S = 10.0
MOST = 256  # datagrams of one input in a row


class FurtherInputs:
    """Reads what waits, never waits itself. `down` has the sentence of each input that is not there."""

    def __init__(self, urls: Sequence[str], clock: Clock) -> None:
        self._clock = clock
        self._open: dict[str, Transport | None] = dict.fromkeys(urls)
        self._again_s: dict[str, float] = {}
        self.down: dict[str, str] = {}

    def read(self, now_s: float) -> Iterator[Chunk]:
        """What has come in since the last call."""
        for url in self._open:
            try:
                transport = self._transport(url, now_s)
                for _ in range(MOST if transport else 0):
                    chunk = transport.read(0.0) if transport else None
                    if chunk is None:
                        break
                    yield chunk
            except SensorUnavailable as e:
                self._lost(url, now_s, str(e))

    def close(self) -> None:
        """Close all. Idempotent."""
        for url, transport in self._open.items():
            if transport is not None:
                transport.close()
            self._open[url] = None

    def _transport(self, url: str, now_s: float) -> Transport | None:
        transport = self._open[url]
        if transport is None and now_s >= self._again_s.get(url, now_s):
            transport = self._open[url] = open_transport(url, self._clock)
            self.down.pop(url, None)
        return transport

    def _lost(self, url: str, now_s: float, sentence: str) -> None:
        transport = self._open[url]
        if transport is not None:
            transport.close()
        self._open[url] = None
        self._again_s[url] = now_s + AGAIN_S
        self.down[url] = sentence
