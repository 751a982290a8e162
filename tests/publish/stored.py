"""What tests of the picture's store share: messages of one box, and feeding them."""

from __future__ import annotations

from typing import Any

from agent.publish import cose, wire
from agent.publish.ashore.store import PictureStore
from agent.publish.encoder import Encoder

from . import samples

KEY = cose.key_of(bytes(range(32)))
TOPIC = "s1/tarifa-1/u/"


def alerts(count: int, first: int = 1) -> list[bytes]:
    encoder = Encoder(samples.BIRTH, samples.BORN_S)
    return [encoder.alert(samples.alert(4000 + i, 0), i) for i in range(first, first + count)]


def feed(store: PictureStore, *messages: tuple[str, bytes]) -> list[dict[str, Any]]:
    with store.batch() as new:
        for kind, payload in messages:
            store.feed(TOPIC + kind, payload, 1.0)
    return new


def acked(store: PictureStore) -> list[tuple[int, tuple[tuple[int, int], ...]]]:
    return [(a.contiguous, a.ranges) for a in (wire.decode_ack(p) for _, p in store.acknowledgements())]
