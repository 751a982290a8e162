"""Scenario files: the shipped ones are sound, wrong ones are refused with a sentence."""

from __future__ import annotations

import json
from importlib import resources

import pytest

from hardware_sim import scenario, truth
from hardware_sim.cli import main
from hardware_sim.errors import FaultError, ScenarioError
from hardware_sim.faults import FAULTS, parse_fault
from hardware_sim.geo import inside, polar, wrap180
from hardware_sim.world import World

TEXT = (resources.files("hardware_sim") / "scenarios" / "harbour-mouth.toml").read_text("utf-8")


@pytest.mark.parametrize("name", scenario.names())
def test_shipped_scenarios_load(name: str) -> None:
    chosen = scenario.load(name)
    assert chosen.name == name
    assert World(chosen, 0).vessels


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('kind = "panga"', 'kind = "canoe"', "unknown kind 'canoe'"),
        ("speed_mps = 13.0", "speed_mps = 40.0", "at most 16"),
        ('vessel = "panga"', 'vessel = "pangs"', "'pangs', which is not in the scenario"),
        ('ais = "B"\n', "", "`ais` and `mmsi` go together"),
        ('name = "Nuevo Orzan"', 'name = "panga"', "two vessels have one name"),
        ("[radar]", "[radar]\ncolour = 1", "radar.colour"),
        ("[site]", "[site", "not TOML"),
        ('zone = "Reserva A Barra"\n', 'zone = "Elsewhere"\n', "'Elsewhere', which is not"),
        ('rule = "dark-vessel"\nvessel = "panga"', 'rule = "dark-vessel"\nvessel = "Ria Express"', "sends AIS"),
    ],
)
def test_errors_name_their_place(old: str, new: str, says: str) -> None:
    assert old in TEXT
    with pytest.raises(ScenarioError, match=says):
        scenario.parse(TEXT.replace(old, new), "changed")


def test_unknown_names_and_files(tmp_path: object) -> None:
    with pytest.raises(ScenarioError, match="harbour-mouth"):
        scenario.load("nowhere")
    with pytest.raises(ScenarioError, match="no such"):
        scenario.load(f"{tmp_path}/none.toml")


def test_faults_from_the_command_line() -> None:
    fault = parse_fault("ais-cut@20:7.5")
    assert (fault.name, fault.at_s, fault.duration_s) == ("ais-cut", 20.0, 7.5)
    assert parse_fault("camera-killed@3").duration_s is None
    for wrong in ("ais-cut", "ais-cut@soon", "gremlins@3", "ais-cut@-1"):
        with pytest.raises(FaultError, match=wrong.split("@", maxsplit=1)[0]):
            parse_fault(wrong)


def test_harbour_mouth_is_a_demo(harbour: World) -> None:
    """The panga enters 30-35 s after the start, all stay in the picture for a minute, only the panga is ever inside."""
    camera, zone = harbour.scenario.camera, harbour.scenario.zone[0].polygon_m
    entries = [e for e in truth.events(harbour, 0.0, 60.0) if e["kind"] == "zone-enter"]
    assert [e["target"] for e in entries] == ["panga"]
    assert 30.0 <= entries[0]["t"] <= 35.0
    for vessel in harbour.vessels:
        for t in range(0, 61, 2):
            s = vessel.at(t)
            range_m, bearing = polar(s.east_m, s.north_m)
            assert 600.0 <= range_m <= 2500.0
            assert abs(wrap180(bearing - camera.bearing_deg)) < camera.hfov_deg / 2 - 1.0
            assert vessel.id == "panga" or not inside(s.east_m, s.north_m, zone)


def test_list_names_scenarios_and_faults(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    items = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {x["scenario"] for x in items if "scenario" in x} == set(scenario.names())
    assert {x["fault"] for x in items if "fault" in x} == set(FAULTS)
