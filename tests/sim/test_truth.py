"""Truth lines and events."""

from __future__ import annotations

from itertools import takewhile

import pytest

from hardware_sim import truth
from hardware_sim.faults import Faults, FaultTable, garble, truncate
from hardware_sim.geo import Site, inside
from hardware_sim.seeds import generator
from hardware_sim.tables import ExpectTable
from hardware_sim.world import World

ENTERS_S = 31.887  # 414.5 m along its first leg to the zone's edge, at 13 m/s


def test_targets_once_a_second_and_events_at_their_moment(harbour: World, start_unix_s: float) -> None:
    lines = [x for _, x in takewhile(lambda item: item[0] <= 60.0, truth.lines(harbour, start_unix_s))]
    targets = [x for x in lines if x["type"] == "target"]
    assert len(targets) == 61 * 3
    for x in targets[:9]:
        assert x["at"] == start_unix_s + x["t"]
        e, n = Site(43.38, -8.40).to_enu(x["lat"], x["lon"])
        assert (e, n) == pytest.approx((x["east_m"], x["north_m"]), abs=0.01)
    assert {x["id"]: x["mmsi"] for x in targets}["panga"] is None
    events = {x["kind"]: x for x in lines if x["type"] == "event"}
    assert set(events) == {"zone-enter", "dark-vessel"}
    entry = events["zone-enter"]
    assert entry["t"] == ENTERS_S
    assert entry["at"] == pytest.approx(start_unix_s + entry["t"])
    zone, panga = harbour.scenario.zone[0].polygon_m, harbour.vessels[0]
    before, after = panga.at(entry["t"] - 0.01), panga.at(entry["t"] + 0.01)
    assert not inside(before.east_m, before.north_m, zone)
    assert inside(after.east_m, after.north_m, zone)
    assert (events["dark-vessel"]["t"], events["dark-vessel"]["target"]) == (30.0, "panga")


@pytest.mark.parametrize(
    ("wait", "zone", "due"),
    [(30.0, "Reserva A Barra", ENTERS_S), (10.0, None, 10.0), (45.0, "Reserva A Barra", 45.0), (500.0, None, None)],
)
def test_a_dark_vessel_is_due_after_the_wait_and_in_the_zone(
    harbour: World, wait: float, zone: str | None, due: float | None
) -> None:
    expect = ExpectTable(rule="dark-vessel", vessel="panga", zone=zone, ais_wait_s=wait)
    world = World(harbour.scenario.model_copy(update={"expect": (expect,)}), 0)
    found = [x for t, x in takewhile(lambda i: i[0] < 80, truth.lines(world, 0.0)) if x.get("kind") == "dark-vessel"]
    assert [x["t"] for x in found] == ([] if due is None else [due])


def test_faults_have_their_times() -> None:
    faults = Faults((FaultTable(name="ais-cut", at_s=5.0, duration_s=2.0), FaultTable(name="camera-killed", at_s=3.0)))
    assert [faults.active("ais-cut", t) for t in (4.9, 5.0, 6.9, 7.0)] == [False, True, True, False]
    assert faults.active("camera-killed", 1e6)
    assert not faults.active("nav-cut", 6.0)
    assert [(t, c.name, c.on) for t, c in faults.changes()] == [
        (3.0, "camera-killed", True), (5.0, "ais-cut", True), (7.0, "ais-cut", False),
    ]  # fmt: skip


def test_spoiling_spoils_a_part() -> None:
    line, block = b"$RATTM,01,1.00,10.0,T,5.0,20.0,T,0.00,0.0,N,,T,,120000.00,A*00\r\n", bytes(17_160)
    rng = generator(1, "x")
    spoiled = [garble(line, rng) for _ in range(600)]
    assert sum(s != line for s in spoiled) == pytest.approx(200, abs=45)
    cut = [len(truncate(block, rng)) for _ in range(400)]
    assert sum(n < len(block) for n in cut) == pytest.approx(200, abs=40)
    assert min(cut) >= 1
