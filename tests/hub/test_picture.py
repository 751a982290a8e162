"""The hub as the picture: its acknowledgements by the published example, by a set, and as a real outbox takes them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware_sim.hub.broker import Hub
from hardware_sim.hub.codec import Message
from hardware_sim.hub.picture import Picture, Received, acknowledgement
from hub.mqtt_client import Client
from hub.running import Running
from publish.test_delivery import Box


@pytest.fixture
def running() -> Iterator[Running]:
    with Running() as r:
        Picture(r.hub)
        yield r
        assert r.trouble == []


def test_an_acknowledgement_is_the_published_example() -> None:
    received = Received()
    for first, last in ((1050, 1077), (1043, 1043), (2, 1041), (1, 1)):
        received.add(first, last)
    example = "84011aa1b2c3d419041182821904131904138219041a190435"  # docs/wire.md
    assert acknowledgement(0xA1B2C3D4, received).hex() == example


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(0, 6)), max_size=40))
def test_ranges_are_what_a_set_says(pairs: list[tuple[int, int]]) -> None:
    received, numbers = Received(), set()
    for first, more in pairs:
        received.add(first, first + more)
        numbers |= set(range(first, first + more + 1))
    said = set(range(1, received.contiguous + 1))
    for low, high in received.beyond:
        said |= set(range(low, high + 1))
    assert said == numbers
    flat = [received.contiguous, *(x for pair in received.beyond for x in pair)]
    assert all(a + 1 < b for a, b in zip(flat[0::2], flat[1::2], strict=False))  # apart by a hole


def test_a_box_s_outbox_empties(running: Running, tmp_path: Path) -> None:
    """The agent's publisher, which forgets on the picture's word only."""
    box = Box(tmp_path, f"mqtt://127.0.0.1:{running.port}", acknowledge="picture")
    try:
        box.raise_alerts(1, 200)
        status = box.wait(lambda s: s["queued"] == 0 and s["acked"] >= 200, 30.0)
        assert status["connected"]
        assert running.hub.counters["acknowledgements"] >= 1
    finally:
        box.stop()


def test_what_comes_before_its_birth_waits_and_a_loss_closes_a_gap(running: Running) -> None:
    boot = 0xA1B2C3D4
    box = Client(running.port, "box")
    box.subscribe("s1/b/d/k")
    for n in (1, 2, 5):
        box.publish("s1/b/u/a", cbor2.dumps([1, boot & 0xFFFF, n, 0, 0]))
    box.publish("s1/b/u/b", cbor2.dumps([1, "b", boot, 0]), retain=True)
    assert cbor2.loads(box.next()[1]) == [1, boot, 2, [[5, 5]]]
    box.publish("s1/b/u/l", cbor2.dumps([1, boot & 0xFFFF, 6, 0, 0, boot, [[3, 4]], 2, 0]))
    while cbor2.loads(box.next()[1]) != [1, boot, 6, []]:
        continue
    box.close()


@given(st.sampled_from("abhlvrstix"), st.binary(max_size=60) | st.recursive(
    st.integers() | st.none() | st.binary(max_size=4), lambda inner: st.lists(inner, max_size=9), max_leaves=20
).map(lambda x: cbor2.dumps([1, x, 7, x, x, x, x])))  # fmt: skip
def test_no_payload_harms_it(kind: str, payload: bytes) -> None:
    async def hear() -> None:
        hub = Hub()
        picture = Picture(hub)
        hub.publish(Message(topic=f"s1/b/u/{kind}", payload=payload))
        hub.publish(Message(topic="s1/b/u/b", payload=cbor2.dumps([1, "b", 0xA1B20007, 0])))
        for node, boot in list(picture._due):
            picture._say(node, boot)
        assert hub.counters["acknowledgements"] >= 1

    asyncio.run(hear())


def test_nothing_is_acknowledged_without_being_asked(tmp_path: Path) -> None:
    with Running() as plain:
        box = Box(tmp_path, f"mqtt://127.0.0.1:{plain.port}", acknowledge="picture")
        box.raise_alerts(1, 5)
        box.wait(lambda s: s["connected"])
        deadline = time.monotonic() + 2.0
        while plain.hub.counters["published"] < 6 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert box.publisher.status()["queued"] >= 5
        box.stop()
