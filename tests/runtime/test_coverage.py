"""Reach by sector: what is shown is what was measured, a fall is said, a quiet night is not."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config.load import parse_config
from agent.geo import LocalFrame, enu_to_polar
from agent.messages import Ais, Nav, Plot, Scan, SensorState, Stamp
from agent.runtime.coverage import ENOUGH_H, FAR_M, HOUR_S, Coverage, Reach
from agent.runtime.gnss import FIXES, LOST_S, GnssWatch

CONFIG = parse_config(
    '[site]\nname = "C"\nlat = 43.38\nlon = -8.4\nheight_m = 20\n'
    '[[sensor]]\nname = "ais"\ndriver = "ais"\nurl = "udp://127.0.0.1:1"\n'
    '[[sensor]]\nname = "cam"\ndriver = "camera"\nurl = "rtsp://127.0.0.1/"\nbearing_deg = 350\nhfov_deg = 40\n'
).config
FRAME = LocalFrame(lat=43.38, lon=-8.4)


def ais(at_s: float, east_m: float, north_m: float) -> Ais:
    lat, lon = FRAME.to_geo(east_m, north_m)
    return Ais(at_s=at_s, source="ais", mmsi=224000001, kind="a", msg_type=1, lat=lat, lon=lon)


def test_the_polygon_is_what_was_measured_and_forgets() -> None:
    coverage = Coverage(CONFIG)
    coverage.take("ais", ais(10.0, 0.0, 12_000.0))
    coverage.take("ais", ais(20.0, 30_000.0, 1_000.0))
    sectors = coverage.polygons()["ais"]["sectors_m"]
    assert sectors[0] == pytest.approx(12_000, abs=1)
    assert sectors[8] == pytest.approx(30_017, abs=1)
    assert sum(s > 0 for s in sectors) == 2
    coverage.fallen(20.0 + 2 * HOUR_S)
    assert max(coverage.polygons()["ais"]["sectors_m"]) == 0


def test_a_camera_covers_its_view_to_its_horizon() -> None:
    corner, *arc = Coverage(CONFIG).polygons()["cam"]["polygon"]
    assert corner == [43.38, -8.4]
    polar = [enu_to_polar(*FRAME.to_enu(lat, lon)) for lat, lon in arc]
    assert [round(b) % 360 for _, b in polar] == [330, 335, 340, 345, 350, 355, 0, 5, 10]
    assert all(r == pytest.approx(CONFIG.tracking.camera_range_m, rel=0.01) for r, _ in polar)


def test_a_radar_scan_counts_plot_by_plot() -> None:
    coverage = Coverage(CONFIG)
    plots = tuple(
        Plot(at_s=1.0, source="r", range_m=r, bearing_deg=b, sigma_range_m=1, sigma_bearing_deg=1)
        for r, b in ((500.0, 5.0), (900.0, 359.9), (1e9, 90.0), (math.nan, 90.0))
    )
    coverage.take("r", Scan(at_s=1.0, source="r", plots=plots))
    sectors = coverage.reach["r"].sectors_m()
    assert (sectors[0], sectors[35], sectors[9]) == (500.0, 900.0, 0.0)


def live(reach: Reach, hours: int, range_m: float, start_h: int) -> None:
    for hour in range(start_h, start_h + hours):
        for bearing in (10.0, 50.0, 200.0):
            reach.see(hour * HOUR_S, range_m, bearing)
    reach.advance((start_h + hours) * HOUR_S)


def test_a_fall_of_the_usual_reach_is_said_after_two_hours() -> None:
    reach = Reach()
    live(reach, 30, 40_000.0, 0)
    assert reach.fallen() is None
    live(reach, 1, 5_000.0, 30)
    assert reach.fallen() is None, "one hour says nothing"
    live(reach, 1, 5_000.0, 31)
    assert "5.0 km in the last two hours, 40.0 km are usual" in str(reach.fallen())
    live(reach, 1, 39_000.0, 32)
    assert reach.fallen() is None


def test_a_box_that_never_heard_anybody_is_not_blamed() -> None:
    reach = Reach()
    reach.advance(0.0)
    reach.advance(3 * ENOUGH_H * HOUR_S)
    assert reach.fallen() is None


@given(st.lists(st.tuples(st.floats(0, 1e7), st.floats(-10, 1e6), st.floats(-720, 720)), max_size=50))
def test_no_measurement_breaks_it(seen: list[tuple[float, float, float]]) -> None:
    reach = Reach()
    for at_s, range_m, bearing_deg in seen:
        reach.see(at_s, range_m, bearing_deg)
    assert all(0.0 <= r <= FAR_M for r in reach.sectors_m())


def nav(t_s: float, **fields: float) -> Nav:
    return Nav(at_s=t_s, source="gnss-1", **fields)  # type: ignore[arg-type] # the floats of Nav


def test_a_receiver_that_says_another_place_or_time_or_nothing() -> None:
    watch = GnssWatch(CONFIG.site)
    assert watch.report(Stamp(t_s=0.0, wall_s=0.0)) is None
    now = Stamp(t_s=1.0, wall_s=1000.0)
    for _ in range(FIXES):
        watch.take(nav(1.0, lat=43.3801, lon=-8.4, utc_s=1000.2), now)
    report = watch.report(now)
    assert report is not None
    assert report.state is SensorState.OK
    for n in range(FIXES):
        watch.take(nav(1.0, lat=43.50, lon=-8.4, utc_s=1060.0), now)
        report = watch.report(now)
        assert report is not None
        assert (report.state is SensorState.DEGRADED) == (n == FIXES - 1)
    assert re.search(r"133\d\d m from its configured place", report.sentence)
    assert "+60.0 s" in report.sentence
    later = watch.report(Stamp(t_s=2.0 + LOST_S, wall_s=1000.0))
    assert later is not None
    assert "no fix" in later.sentence


def test_a_receiver_that_is_pulled_away_says_so_before_it_is_far() -> None:
    watch = GnssWatch(CONFIG.site)
    now = Stamp(t_s=1.0, wall_s=1000.0)

    def state(sog_mps: float) -> SensorState:
        watch.take(nav(1.0, lat=43.3801, lon=-8.4, sog_mps=sog_mps), now)
        report = watch.report(now)
        assert report is not None
        assert ("moves at" in report.sentence) == (report.state is SensorState.DEGRADED)
        return report.state

    assert [state(0.3), *(state(5.1) for _ in range(FIXES))] == [SensorState.OK] * FIXES + [SensorState.DEGRADED]
    assert state(0.2) is SensorState.OK
