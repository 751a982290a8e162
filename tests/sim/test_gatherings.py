"""Rendezvous and loitering in the truth: by scenario, and the same however the time is cut into spans."""

from __future__ import annotations

import pytest

from hardware_sim import scenario
from hardware_sim.gatherings import LOITER_S, MEETING_S, STEP_S, Gatherings
from hardware_sim.tables import VesselTable
from hardware_sim.world import World


def events(name: str, seed: int, duration_s: float, span_s: float) -> list[tuple[str, float, str, str | None]]:
    found = Gatherings(World(scenario.load(name), seed))
    rows = []
    for k in range(round(duration_s / span_s)):
        rows += found.between(k * span_s, (k + 1) * span_s)
    return [(e["kind"], e["t"], e["target"], e.get("with")) for e in rows]


def test_the_mother_ship_s_meeting_is_found_once_and_cut_time_changes_nothing() -> None:
    found = events("mother-ship", 3, 5400.0, 5400.0)
    (met,) = (e for e in found if e[0] == "rendezvous")
    assert set(met[2:]) == {"Nodriza", "Lancha"}
    assert 2100.0 <= met[1] - MEETING_S <= 2100.0 + 3.0 * STEP_S  # the go-fast has come to rest at 2,100 s
    assert events("mother-ship", 3, 5400.0, 7.0) == [e for e in found if e[1] <= 5397.0]


def vessels(*rows: dict[str, object]) -> World:
    base = scenario.load("mother-ship")
    tables = tuple(VesselTable.model_validate(row) for row in rows)
    return World(base.model_copy(update={"vessel": tables, "expect": (), "forbid": ()}), 1)


@pytest.mark.parametrize(
    ("rows", "kinds"),
    [
        ([{"behaviour": "loitering", "route_m": [[0, 4000]], "radius_m": 400.0, "speed_mps": 1.0}], ["loitering"]),
        ([{"behaviour": "anchored", "route_m": [[0, 4000]]}], []),
        ([{"route_m": [[0, 4000], [30000, 4000]], "speed_mps": 5.0}], []),
        ([{"behaviour": "anchored", "route_m": [[0, 4000]]}, {"behaviour": "anchored", "route_m": [[100, 4000]]}], []),
    ],
)  # fmt: skip
def test_who_loiters_and_who_only_lies_there(rows: list[dict[str, object]], kinds: list[str]) -> None:
    world = vessels(*({"name": f"v{i}", "kind": "fishing", **row} for i, row in enumerate(rows)))
    found = Gatherings(world).between(0.0, 3600.0)
    assert [e["kind"] for e in found] == kinds
    assert all(e["t"] >= LOITER_S for e in found if e["kind"] == "loitering")
