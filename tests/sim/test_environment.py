"""Sun, moon and tide against published values."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest

from hardware_sim import environment
from hardware_sim.devices.view import conditions
from hardware_sim.geo import wrap180
from hardware_sim.scenario import load, parse
from hardware_sim.tables import TideTable


@pytest.mark.parametrize(
    ("at", "lat", "lon", "bearing", "elevation"),
    [
        # NREL's Solar Position Algorithm report (TP-560-34302), its worked example: zenith 50.11162, azimuth 194.34024
        (datetime(2003, 10, 17, 19, 30, 30, tzinfo=UTC), 39.742476, -105.1786, 194.34024, 39.88838),
        # equinox of 2024-03-20 03:06 UTC: the sun stands over the equator; at its noon on the equator it is overhead
        (datetime(2024, 3, 20, 3, 6, tzinfo=UTC), 0.0, 135.4, None, 89.5),
        # midwinter noon in A Coruña: 90 - 43.37 - 23.44
        (datetime(2024, 12, 21, 12, 32, tzinfo=UTC), 43.37, -8.40, 180.0, 23.19),
    ],
)
def test_sun(at: datetime, lat: float, lon: float, bearing: float | None, elevation: float) -> None:
    b, e = environment.sun(at, lat, lon)
    assert e == pytest.approx(elevation, abs=0.05 if elevation < 89.0 else 0.6)
    assert bearing is None or abs(wrap180(b - bearing)) < 0.3


def test_moon_at_two_eclipses_and_a_full_moon() -> None:
    """At a solar eclipse moon and sun stand together; at a lunar one they stand opposite (NASA's eclipse catalogue)."""
    solar = datetime(2024, 4, 8, 18, 17, tzinfo=UTC)  # greatest eclipse at 25.3 N 104.1 W
    sun_bearing, sun_elevation = environment.sun(solar, 25.3, -104.1)
    bearing, elevation, lit = environment.moon(solar, 25.3, -104.1)
    assert elevation == pytest.approx(sun_elevation, abs=0.6)
    assert abs(wrap180(bearing - sun_bearing)) * math.cos(math.radians(elevation)) < 0.6
    assert lit < 0.001
    assert environment.moon(datetime(2025, 3, 14, 6, 59, tzinfo=UTC), 0.0, -103.0)[2] > 0.999  # total lunar eclipse
    assert environment.moon(datetime(2025, 3, 6, 16, 32, tzinfo=UTC), 0.0, 0.0)[2] == pytest.approx(0.5, abs=0.03)


def test_tide() -> None:
    tide = TideTable(range_m=4.0, high_water_s=3600.0)
    assert environment.tide_m(tide, 3600.0) == 2.0
    assert environment.tide_m(tide, 3600.0 + environment.TIDE_PERIOD_S / 2.0) == pytest.approx(-2.0)


def test_a_start_gives_light_and_sun_where_the_weather_is_silent() -> None:
    text = """
title = "t"
[time]
start_utc = {start}
[site]
name = "x"
lat = 43.37
lon = -8.40
height_m = 20
[camera]
height_m = 20
bearing_deg = 0
hfov_deg = 40
[radar]
height_m = 20
[weather]
{weather}
[[vessel]]
name = "a"
kind = "panga"
route_m = [[0, 900]]
"""
    noon = parse(text.format(start="2024-12-21T12:32:00Z", weather="clouds = 0.1"), "t").weather
    assert (noon.light, noon.clouds) == ("day", 0.1)
    assert noon.sun_elevation_deg == pytest.approx(23.2, abs=0.1)
    assert parse(text.format(start="2024-12-21T17:25:00Z", weather=""), "t").weather.light == "dusk"
    assert parse(text.format(start="2024-12-21T23:00:00Z", weather=""), "t").weather.light == "night"
    full = parse(text.format(start="2025-11-05T23:30:00Z", weather=""), "t").weather  # full moon of 13:19 UTC
    assert (full.light, full.moon_lit > 0.98, full.moon_elevation_deg > 50.0) == ("night", True, True)
    moonless = parse(text.format(start="2025-11-05T23:30:00Z", weather="moon_lit = 0.0"), "t").weather
    assert (moonless.moon_lit, moonless.moon_bearing_deg) == (0.0, full.moon_bearing_deg)
    assert parse(text.format(start="2024-12-21T23:00:00Z", weather='light = "thermal"'), "t").weather.light == "thermal"


def test_the_moonless_night_of_the_scenarios_is_moonless() -> None:
    """New moon of 2025-11-20, 06:47 UTC."""
    seen = conditions(load("night-run"), 0)
    assert (seen.light, seen.moon_lit < 0.01) == ("night", True)
    lit = conditions(load("mother-ship"), 0)  # last quarter of 2025-09-14, 10:33 UTC, high before dawn
    assert lit.moon_lit == pytest.approx(0.5, abs=0.05)
    assert lit.moon_elevation_deg > 40.0
