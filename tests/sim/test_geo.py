"""The simulator's geodesy, against published WGS-84 numbers and its own inverse."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hardware_sim.geo import Site, inside, polar, wrap180, wrap360


def test_a_minute_of_latitude_and_of_longitude_at_45_degrees() -> None:
    site = Site(45.0, 10.0)
    # WGS-84: 111,131.78 m per degree of latitude at 45 deg, 78,846.81 m per degree of longitude (NGA tables)
    east, north = site.to_enu(45.0 + 1 / 60, 10.0)
    assert (east, north) == pytest.approx((0.0, 111_131.78 / 60), abs=0.3)
    east, north = site.to_enu(45.0, 10.0 + 1 / 60)
    assert (east, north) == pytest.approx((78_846.81 / 60, 0.0), abs=0.3)


@settings(deadline=None, max_examples=60)
@given(st.floats(-80, 80), st.floats(-180, 179), st.floats(-70_000, 70_000), st.floats(-70_000, 70_000))
def test_there_and_back(lat: float, lon: float, east_m: float, north_m: float) -> None:
    site = Site(lat, lon)
    e, n = site.to_enu(*site.to_geo(east_m, north_m))
    assert math.hypot(e - east_m, n - north_m) < 1e-6


def test_angles_and_polygons() -> None:
    assert polar(-1.0, 0.0) == (1.0, 270.0)
    assert wrap360(-1e-20) == 0.0
    assert wrap180(190.0) == -170.0
    square = ((0.0, 0.0), (10.0, 0.0), (10.0, 10.0), (0.0, 10.0))
    assert inside(5.0, 5.0, square)
    assert not inside(15.0, 5.0, square)
    assert not inside(-1.0, -1.0, square)
