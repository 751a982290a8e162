"""Zones at their borders: noise carries nothing over them, vessels that move, drift or lie inside are told of."""

from __future__ import annotations

import pytest

from agent.config.schema import Config, Rule
from agent.core import Core
from agent.messages import AlertState

from .world import Ship, World, alerts, config, run, square

HALF_M = 500.0
ZONE = square("Reserva", 0.0, 3000.0, HALF_M)


def told(ship: Ship, kind: str, seed: int, duration_s: float = 1200.0) -> list[float]:
    """Times at which `kind` was raised about the only vessel there is. Becoming `static` takes longer than that."""
    tracking = {"static_after_s": 100_000.0}
    conf: Config = config([ZONE], [Rule(name=kind, kind=kind, options={"zone": "Reserva"})], tracking=tracking)
    events = World(ships=[ship], seed=seed, ais=ship.mmsi is not None).events(duration_s)
    return [a.at_s for a in alerts(run(Core(conf), events)) if a.state is AlertState.RAISED]


@pytest.mark.parametrize("kind", ["zone-enter", "zone-exit"])
@pytest.mark.parametrize("seed", range(3))
def test_a_buoy_on_the_border_neither_enters_nor_leaves(kind: str, seed: int) -> None:
    assert told(Ship(east=-HALF_M, north=3000.0 - HALF_M, course=[(0.0, 0.0, 0.0)]), kind, seed) == []


@pytest.mark.parametrize("seed", range(2))
def test_a_vessel_found_at_anchor_well_inside_is_told_of_at_once(seed: int) -> None:
    (at_s,) = told(Ship(east=0.0, north=3000.0, course=[(0.0, 0.0, 0.0)]), "zone-enter", seed, 120.0)
    assert at_s < 60.0


@pytest.mark.parametrize("seed", range(2))
def test_a_boat_that_drifts_in_from_just_outside_is_told_of(seed: int) -> None:
    drift = Ship(east=0.0, north=3000.0 - HALF_M - 20.0, course=[(0.0, 0.0, 0.4)])
    (at_s,) = told(drift, "zone-enter", seed)
    assert at_s < 600.0  # 240 m on its way


@pytest.mark.parametrize("seed", range(2))
def test_a_boat_that_drifts_out_from_just_inside_is_told_of(seed: int) -> None:
    drift = Ship(east=0.0, north=3000.0 - HALF_M + 60.0, course=[(0.0, 0.0, -0.4)])
    (at_s,) = told(drift, "zone-exit", seed)
    assert 150.0 < at_s < 700.0


@pytest.mark.parametrize("seed", range(2))
def test_ais_is_believed_at_the_border(seed: int) -> None:
    at_anchor = Ship(east=0.0, north=3000.0 - HALF_M + 60.0, course=[(0.0, 0.0, 0.0)], mmsi=224117250)
    assert len(told(at_anchor, "zone-enter", seed, 240.0)) == 1
