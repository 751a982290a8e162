"""A running mosquitto that ends with the test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from support.broker import Mosquitto

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def make_mosquitto(tmp_path: Path) -> Iterator[Callable[..., Mosquitto]]:
    """Brokers with extra lines of configuration; `start` is up to the test."""
    made: list[Mosquitto] = []

    def make(*lines: str, users: dict[str, str] | None = None, scheme: str = "mqtt") -> Mosquitto:
        folder = tmp_path / f"mosquitto-{len(made)}"
        folder.mkdir()
        made.append(Mosquitto(folder, *lines, users=users, scheme=scheme))
        return made[-1]

    yield make
    for broker in made:
        broker.stop()


@pytest.fixture
def mosquitto(make_mosquitto: Callable[..., Mosquitto]) -> Mosquitto:
    """A broker that is up."""
    broker = make_mosquitto()
    broker.start()
    return broker


@pytest.fixture
def stop_all() -> Iterator[list[Any]]:
    """What has to be stopped at the end, the newest first."""
    made: list[Any] = []
    yield made
    for thing in reversed(made):
        thing.stop()
