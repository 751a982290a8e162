from __future__ import annotations

import pytest
from pydantic import BaseModel, ConfigDict

from agent.config.load import ConfigProblems, parse_config
from agent.errors import ConfigError

GOOD = """
[site]
name = "Cabo"   # a comment
lat = 43.0
lon = -8.0
height_m = 20

[[sensor]]
name = "radar-1"
driver = "navico"
url = "udp://${RADAR_HOST}:7059"
range_scale = 0.98

[[zone]]
name = "Reserva"
polygon = [[43.0, -8.0], [43.1, -8.0], [43.1, -8.1]]

[[rule]]
name = "reserve"
kind = "zone-enter"
zone = "Reserva"
"""


class NavicoOptions(BaseModel):
    model_config = ConfigDict(extra="forbid")
    range_scale: float = 1.0


class ZoneOptions(BaseModel):
    model_config = ConfigDict(extra="forbid")
    zone: str


def driver(name: str) -> type[BaseModel]:
    if name != "navico":
        raise ConfigError(f'there is no driver "{name}"')
    return NavicoOptions


def rule(kind: str) -> type[BaseModel]:
    assert kind == "zone-enter"
    return ZoneOptions


def load(text: str) -> list[str]:
    with pytest.raises(ConfigProblems) as e:
        parse_config(text, "v.toml", driver=driver, rule=rule, environ={"RADAR_HOST": "10.0.0.2"})
    return str(e.value).splitlines()


def test_good_config_keeps_owner_options_and_expands_variables() -> None:
    loaded = parse_config(GOOD, driver=driver, rule=rule, environ={"RADAR_HOST": "10.0.0.2"})
    assert loaded.config.sensor[0].url == "udp://10.0.0.2:7059"
    assert loaded.config.sensor[0].options == {"range_scale": 0.98}
    assert loaded.config.rule[0].options == {"zone": "Reserva"}
    assert loaded.config.site.node_id == "cabo"


def test_all_errors_at_once_each_with_line_key_and_hint() -> None:
    text = (
        GOOD.replace("height_m = 20", "heigth_m = 20")
        .replace("lat = 43.0", "lat = 143.0")
        .replace("range_scale", "range_scal")
        .replace('zone = "Reserva"', 'zone = "Reserve"')
    )
    problems = load(text)
    assert "v.toml:4: site.lat: has to be 90 or less, not 143.0" in problems
    assert 'v.toml:6: site.heigth_m: unknown key "heigth_m" (did you mean "height_m"?)' in problems
    assert any(p.startswith("v.toml:2: site.height_m: is missing") for p in problems)
    assert 'v.toml:12: sensor.1.range_scal: unknown key "range_scal" (did you mean "range_scale"?)' in problems


def test_rule_that_names_no_zone() -> None:
    problems = load(GOOD.replace('zone = "Reserva"', 'zone = "Reserve"'))
    assert problems == ['v.toml:21: rule.1.zone: there is no zone "Reserve" (did you mean "Reserva"?)']


def test_unknown_driver_is_pointed_at() -> None:
    assert load(GOOD.replace("navico", "navicoo")) == ['v.toml:10: sensor.1.driver: there is no driver "navicoo"']


def test_broken_toml_gives_its_line() -> None:
    assert load("[site]\nname = \n")[0].startswith("v.toml:2: is not valid TOML: ")


def test_missing_variable_names_it() -> None:
    assert load(GOOD.replace("RADAR_HOST", "NOT_THERE")) == [
        "v.toml:11: sensor.1.url: the environment variable NOT_THERE is not set (export NOT_THERE=... before starting)"
    ]


def test_two_sensors_of_one_name() -> None:
    again = '[[sensor]]\nname = "radar-1"\ndriver = "navico"\nurl = "udp://0.0.0.0:1"\n'
    assert 'two sensors are called "radar-1"' in load(GOOD + again)[0]


def test_a_rule_without_its_zone_is_told_beside_other_errors() -> None:
    site = '[site]\nname = "Cabo"\nlat = 43.38\nlon = -8.40\nheigth_m = 20\n'
    text = site + '[[rule]]\nname = "r"\nkind = "zone-enter"\nzone = "Nowhere"\n'
    with pytest.raises(ConfigProblems) as caught:
        parse_config(text)
    messages = " ".join(p.message for p in caught.value.problems)
    assert "heigth_m" in messages
    assert 'there is no zone "Nowhere"' in messages
