"""Plot-level runs: reproducible, by the radar equation, and taken by the box."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hardware_sim import ais_slots, scenario
from hardware_sim.cli import main
from hardware_sim.fast import detection, plots
from hardware_sim.fast.run import write
from hardware_sim.scenario import Scenario
from hardware_sim.tables import VesselTable, WeatherTable
from hardware_sim.vessels import CLASSES
from hardware_sim.world import World


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("name", scenario.names())
def test_every_scenario_runs_and_reproduces_byte_for_byte(name: str, tmp_path: Path) -> None:
    chosen = scenario.load(name)
    for seed, out in ((4, "a"), (4, "b"), (5, "c")):
        write(chosen, seed, 120.0, tmp_path / out)
    for file in ("events.jsonl", "truth.jsonl"):
        one, two, three = ((tmp_path / out / file).read_bytes() for out in ("a", "b", "c"))
        assert one == two
        assert one != three
    events = read(tmp_path / "a" / "events.jsonl")
    assert [e["at"] for e in events] == sorted(e["at"] for e in events)
    assert sum(e["type"] == "scan" for e in events) == math.floor(120.0 * chosen.radar.rpm / 60.0)
    assert sum(e["type"] == "tick" for e in events) == 120
    header = read(tmp_path / "a" / "truth.jsonl")[0]
    assert (header["scenario"], header["seed"]) == (name, 4)


@pytest.mark.parametrize("name", scenario.names())
def test_what_a_scenario_expects_happens_in_its_time(name: str, tmp_path: Path) -> None:
    """Every expected alert has its event in the truth, and every rule of a scenario a name of its own."""
    chosen = scenario.load(name)
    write(chosen.model_copy(update={"traffic": ()}) if chosen.vessel else chosen, 1, chosen.time.duration_s, tmp_path)
    found = {(e["kind"], e["target"], e["zone"]) for e in read(tmp_path / "truth.jsonl") if e["type"] == "event"}
    for e in chosen.expect:
        assert (e.rule, e.vessel, e.zone) in found
    assert len({r.name for r in chosen.rule}) == len(chosen.rule)
    assert {e.rule for e in chosen.expect} <= {r.kind for r in chosen.rule}


def alone(*vessels: VesselTable, **weather: Any) -> Scenario:
    base = scenario.load("quiet-day")
    told = WeatherTable(**weather) if weather else base.weather
    return base.model_copy(update={"vessel": vessels, "traffic": (), "expect": (), "forbid": (), "weather": told})


def made(world: World, turns: int) -> dict[str, np.ndarray[Any, Any]]:
    radar = plots.RadarPlots(world)
    blocks = [p for _, p in radar.blocks(turns)]
    names = ("turn", "range_m", "bearing_deg", "sigma_range_m", "sigma_bearing_deg", "extent_m")
    return {n: np.concatenate([getattr(b, n) for b in blocks]) for n in names}


TURNS = 40 * plots.BLOCK


def near(got: dict[str, np.ndarray[Any, Any]], range_m: float, bearing_deg: float) -> np.ndarray[Any, Any]:
    turned = np.radians((got["bearing_deg"] - bearing_deg + 180.0) % 360.0 - 180.0) * range_m
    return np.hypot(got["range_m"] - range_m, turned) < 150.0


@pytest.mark.parametrize(("kind", "range_m"), [("lpv", 8000.0), ("lpv", 11000.0), ("panga", 10_000.0)])
def test_it_is_detected_as_often_as_swerling_1_says(kind: str, range_m: float) -> None:
    boat = VesselTable(name="boat", kind=kind, route_m=((range_m, 0.0),))
    world = World(alone(boat), 3)
    got = made(world, TURNS)
    d = detection.Detection(world.scenario.radar, world.scenario.weather, world.scenario.radar.height_m)
    heading = world.vessels[0].at(0.0).heading_deg
    gain = CLASSES[kind].aspect_gain(np.array([heading - 270.0]))
    sinr = float(d.sinr(kind, np.array([range_m]), gain)[0])
    expected = detection.FALSE_ALARM ** (1.0 / (1.0 + sinr))
    assert 0.2 < expected < 0.99
    share = len(set(got["turn"][near(got, range_m, 90.0)].tolist())) / TURNS
    assert share == pytest.approx(expected, abs=0.02)


def test_errors_are_those_of_the_sensor_model_and_declared_as_such() -> None:
    ship = VesselTable(name="ship", kind="cargo", route_m=((6000.0, 0.0),))
    world = World(alone(ship), 3)
    got = made(world, TURNS // 4)
    mine = near(got, 6000.0, 90.0)
    length = CLASSES["cargo"].length_m
    across = np.radians(got["bearing_deg"][mine] - 90.0) * 6000.0
    along = got["range_m"][mine] - 6000.0
    # its bow points north (a vessel at rest), so length lies across the line of sight
    assert np.std(across) == pytest.approx(math.hypot(length / 6.0, math.radians(0.05) * 6000.0), rel=0.06)
    assert np.std(along) == pytest.approx(math.hypot(20.0, CLASSES["cargo"].beam_m / 6.0), rel=0.06)
    score = (along / got["sigma_range_m"][mine]) ** 2 + (
        (got["bearing_deg"][mine] - 90.0) / got["sigma_bearing_deg"][mine]
    ) ** 2
    assert score.mean() == pytest.approx(2.0, abs=0.25)  # two degrees of freedom; extents are seen with 10 % error
    assert np.allclose(np.round(got["bearing_deg"] * 10.0), got["bearing_deg"] * 10.0, atol=1e-6)


@pytest.mark.parametrize(("sea", "wind"), [(2, 4.0), (3, 7.0), (5, 17.0)])
def test_false_plots_come_as_often_as_their_tables_say_and_more_upwind(sea: int, wind: float) -> None:
    boat = VesselTable(name="boat", kind="panga", route_m=((30_000.0, 0.0),))
    world = World(alone(boat, sea_state=sea, wind_mps=wind, wind_from_deg=0.0), 1)
    got = made(world, TURNS // 8)
    expected, _ = plots.RadarPlots(world)._detection(0.0).false_plots()
    assert len(got["turn"]) / (TURNS // 8) == pytest.approx(expected, rel=0.06)
    upwind = np.abs((got["bearing_deg"] + 180.0) % 360.0 - 180.0) < 60.0
    downwind = np.abs(got["bearing_deg"] - 180.0) < 60.0
    assert upwind.sum() > 1.3 * downwind.sum()


def test_rain_hides_and_a_spiky_sea_shows_more() -> None:
    radar = scenario.load("quiet-day").radar
    one = np.ones(1)
    dry, wet = (
        detection.Detection(radar, WeatherTable(rain_mm_h=r), radar.height_m).sinr("panga", np.array([6000.0]), one)[0]
        for r in (0.0, 25.0)
    )
    assert wet < dry / 10.0
    counts = [
        detection.Detection(radar, WeatherTable(wind_mps=w), radar.height_m).false_plots()[0] for w in (3.0, 7.0, 17.0)
    ]
    assert counts[0] < 3.0
    assert 10.0 < counts[1] < 30.0
    assert counts[2] > 60.0


def test_the_k_tail_is_that_of_drawn_k_noise() -> None:
    rng = np.random.default_rng(5)
    for nu in (0.5, 2.0):
        power = rng.gamma(nu, 1.0 / nu, 1_000_000) * rng.exponential(1.0, 1_000_000)
        assert (power > 7.0).mean() == pytest.approx(detection.k_tail(7.0, nu), rel=0.05)


def test_two_boats_in_one_cell_are_one_plot() -> None:
    pair = [
        VesselTable(name=n, kind="fishing", route_m=((e, 3000.0),)) for n, e in (("a", 0.0), ("b", 15.0), ("c", 400.0))
    ]
    got = made(World(alone(*pair, wind_mps=0.5), 1), plots.BLOCK)
    assert len(set(got["turn"][near(got, 3000.0, 0.0)].tolist())) > 250
    assert near(got, 3000.0, 0.0).sum() <= plots.BLOCK + 3
    assert near(got, 3026.5, 7.595).sum() > 250


def test_a_ship_s_ais_is_where_the_ship_is(tmp_path: Path) -> None:
    write(scenario.load("ais-spoof"), 1, 400.0, tmp_path)
    world = World(scenario.load("ais-spoof"), 1)
    start = read(tmp_path / "truth.jsonl")[0]["start_unix"]
    heard = [e for e in read(tmp_path / "events.jsonl") if e["type"] == "ais" and e.get("lat") is not None]
    assert {e["mmsi"] for e in heard} == {224310180, 224310181, 224310182}
    for e in heard:
        vessel = next(v for v in world.vessels if v.table.mmsi == e["mmsi"])
        state = vessel.at(e["at"] - start)
        east, north = world.site.to_enu(e["lat"], e["lon"])
        off = math.hypot(east - state.east_m, north - state.north_m)
        assert off == pytest.approx(math.hypot(3500.0, 800.0), abs=25.0) if vessel.id == "Liar" else off < 25.0
        slot = (e["at"]) / ais_slots.SLOT_S
        assert slot == pytest.approx(round(slot), abs=0.01)


def test_faults_that_plots_can_show_are_shown_and_others_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = ["run", "harbour-mouth", "--fast", "--duration", "60", "--out", str(tmp_path)]
    faults = ["--fault", "radar-standby@20:10", "--fault", "ais-cut@30", "--fault", "camera-black@3"]
    assert main([*args, *faults]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["not_shown"] == ["camera-black"]
    assert "camera-black" in said.err
    events = read(tmp_path / "events.jsonl")
    start = read(tmp_path / "truth.jsonl")[0]["start_unix"]
    scans = [e["at"] - start for e in events if e["type"] == "scan"]
    assert not [t for t in scans if 20.0 <= t < 30.0]
    assert [t for t in scans if t > 30.0]
    assert max(e["at"] - start for e in events if e["type"] == "ais") < 30.0
    assert main(["run", "harbour-mouth", "--fast"]) == 64


def test_the_box_takes_it_and_alerts_what_is_expected(tmp_path: Path) -> None:
    """Simulator, `vigia replay` and score, each a process of its own, on the shortest scenario."""
    assert main(["run", "harbour-mouth", "--fast", "--seed", "2", "--out", str(tmp_path)]) == 0
    replay = [
        sys.executable, "-m", "agent.cli.main", "replay", "-c", "box.toml", "--events", "events.jsonl",
        "--tracks", "tracks.jsonl", "--alerts", "alerts.jsonl",
    ]  # fmt: skip
    subprocess.run(replay, check=True, cwd=tmp_path, capture_output=True)
    score = [
        sys.executable, "-m", "hardware_sim", "score", "truth.jsonl", "tracks.jsonl", "alerts.jsonl", "--out", "s.json",
    ]  # fmt: skip
    subprocess.run(score, check=True, cwd=tmp_path, capture_output=True)
    got = json.loads((tmp_path / "s.json").read_text(encoding="utf-8"))
    assert got["alerts"]["all"]["missed"] == 0
    assert got["alerts"]["all"]["false"] == 0
    assert got["tracks"]["completeness"] > 0.85
