"""The scenario that most of these tests look at."""

from __future__ import annotations

import pytest

from hardware_sim import scenario
from hardware_sim.world import World

START_UNIX_S = 1_750_000_000.0


@pytest.fixture(scope="session")
def harbour() -> World:
    return World(scenario.load("harbour-mouth"), seed=7)


@pytest.fixture(scope="session")
def start_unix_s() -> float:
    return START_UNIX_S
