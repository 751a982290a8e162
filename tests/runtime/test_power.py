"""Heat, battery, night and budgets, on boxes made of files; and a radar's process that really rests."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.clock import SystemClock
from agent.config.schema import Power, Sensor, Site
from agent.messages import Scan, SensorHealth, SensorState, Stamp, Track, TrackPicture, TrackStatus
from agent.runtime.children import ChildSensor
from agent.runtime.power import HOLD_S, Governor, sun_elevation_deg
from faults.devices import Radar

SITE = Site(name="Cabo", lat=36.0, lon=-5.6, height_m=20.0)
NOON = dt.datetime(2026, 6, 21, 12, tzinfo=dt.UTC).timestamp()


@pytest.fixture
def put(tmp_path: Path) -> Callable[[str, object], None]:
    def write(path: str, value: object) -> None:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(f"{value}\n")

    return write


@pytest.fixture
def governor(tmp_path: Path) -> Callable[..., Governor]:
    def make(**keys: Any) -> Governor:
        paths = {"thermal_path": str(tmp_path / "thermal"), "supply_path": str(tmp_path / "supply")}
        return Governor(Power.model_validate({**paths, **keys}), SITE)

    return make


def at(t_s: float) -> Stamp:
    return Stamp(t_s=t_s, wall_s=NOON)


def picture(status: TrackStatus = TrackStatus.TENTATIVE, class_: str | None = None) -> TrackPicture:
    row = (1.0, 0.0, 0.0, 0.0)
    track = Track(
        at_s=0.0, id=1, lat=36.0, lon=-5.6, east_m=0.0, north_m=0.0, cog_deg=0.0, sog_mps=0.0, cov=(row,) * 4,
        status=status, sources=("radar",), class_=class_,
    )  # fmt: skip
    return TrackPicture(at_s=0.0, tracks=(track,))


def test_a_box_without_thermometer_and_battery_works_in_full(governor: Callable[..., Governor]) -> None:
    g = governor()
    health = g.look(at(0.0))
    assert (health.state, health.sentence, g.pace()) == (SensorState.OK, "in full", ["pace", 20.0, 0.0, 0.0])


def test_heat_saves_from_one_limit_to_the_other(
    governor: Callable[..., Governor], put: Callable[[str, object], None]
) -> None:
    g = governor()
    states = []
    for t, (one, two) in enumerate([(50, 77), (40, 78), (76, 30), (73, 30), (71, 30), (77, 30), (79, 30)]):
        put("thermal/thermal_zone0/temp", one * 1000)
        put("thermal/thermal_zone1/temp", two * 1000)
        states.append(g.look(at(float(t))).state)
    ok, bad = SensorState.OK, SensorState.DEGRADED
    assert states == [ok, bad, bad, bad, ok, ok, bad]
    assert "at 79 degrees: saving while nothing is tracked" in g.sentence()
    assert "may be seen 40 s later" in g.sentence()
    assert g.pace() == ["pace", 20.0, 40.0, 0.2]
    assert g.values["temperature_c"] == 79.0


@pytest.mark.parametrize("status", [TrackStatus.TENTATIVE, TrackStatus.CONFIRMED, TrackStatus.COASTING])
def test_what_is_tracked_is_watched_in_full(governor: Callable[..., Governor], status: TrackStatus) -> None:
    g = governor(profile="saver")
    g.look(at(100.0))
    assert g.delay_s() == 40.0
    g.watch(100.0, picture(status), [])
    assert g.pace() == ["pace", 20.0, 0.0, 0.0]
    assert g.sentence().endswith("in full just now")
    g.watch(100.0 + HOLD_S, None, [])
    assert g.delay_s() == 0.0, "it may come back"
    g.watch(101.0 + HOLD_S, None, [])
    assert g.delay_s() == 40.0


def test_ships_known_from_ais_alone_and_buoys_keep_no_box_awake(governor: Callable[..., Governor]) -> None:
    g = governor(profile="saver")
    g.look(at(0.0))
    g.watch(0.0, picture(TrackStatus.AIS), [])
    g.watch(0.0, picture(TrackStatus.CONFIRMED, "static"), [])
    assert g.pace() == ["pace", 20.0, 40.0, 0.2]
    assert g.look(at(1.0)).state is SensorState.OK, "what the operator asked for is no fault, but it is told"
    assert "the profile is saver" in g.sentence()


def test_a_box_about_to_stop_slows_its_cameras_also_when_something_is_tracked_but_not_its_radar(
    governor: Callable[..., Governor], put: Callable[[str, object], None]
) -> None:
    g = governor()
    put("thermal/thermal_zone0/temp", 90_000)
    g.look(at(0.0))
    g.watch(0.0, picture(), [])
    assert g.pace() == ["pace", 20.0, 0.0, 0.2]
    assert "also at what is tracked; cool the box" in g.sentence()


def test_a_battery_counts_when_the_box_lives_on_it(
    governor: Callable[..., Governor], put: Callable[[str, object], None]
) -> None:
    g = governor()
    put("supply/mouse/type", "Battery")
    put("supply/mouse/scope", "Device")
    put("supply/mouse/capacity", 3)
    put("supply/mouse/status", "Discharging")
    assert g.look(at(0.0)).state is SensorState.OK, "a mouse's battery is not the box's"
    put("supply/BAT0/type", "Battery")
    seen = []
    for t, (percent, status) in enumerate(
        [(31, "Discharging"), (30, "Discharging"), (39, "Discharging"), (41, "Discharging"), (20, "Charging")]
    ):
        put("supply/BAT0/capacity", percent)
        put("supply/BAT0/status", status)
        seen.append("battery is at" in g.look(at(float(t))).sentence)
    assert seen == [False, True, True, False, False]


def test_night_saves_where_it_is_asked_for(governor: Callable[..., Governor]) -> None:
    g = governor(saver_at_night=True)
    assert g.look(at(0.0)).sentence == "in full"
    assert "it is night" in g.look(Stamp(t_s=1.0, wall_s=NOON + 43_200.0)).sentence


@pytest.mark.parametrize(
    ("when", "lat", "lon", "elevation_deg"),
    [  # by spherical astronomy: at local noon of a solstice 90 - |lat - 23.44|, at midnight of the pole's winter -23.44
        ((2026, 6, 21, 12, 2), 50.0, 0.0, 63.44),
        ((2026, 12, 21, 11, 58), 50.0, 0.0, 16.56),
        ((2026, 6, 21, 0, 2), 50.0, 0.0, -16.56),
        ((2026, 12, 21, 20, 50), 90.0, 0.0, -23.44),
        ((2026, 6, 21, 12, 2), -50.0, 0.0, 16.56),
        ((2026, 3, 20, 18, 7), 0.0, 0.0, 0.0),
    ],
)
def test_the_sun_stands_where_astronomy_says(
    when: tuple[int, int, int, int, int], lat: float, lon: float, elevation_deg: float
) -> None:
    wall_s = dt.datetime(*when, tzinfo=dt.UTC).timestamp()
    assert sun_elevation_deg(wall_s, lat, lon) == pytest.approx(elevation_deg, abs=0.3)


def test_a_processor_budget_is_kept_over_a_minute(governor: Callable[..., Governor]) -> None:
    g = governor(cpu_cores=1e-6)
    assert g.look(at(0.0)).state is SensorState.OK
    end = time.process_time() + 0.1
    while time.process_time() < end:
        pass
    assert "of the 1e-06 cores" in g.look(at(60.0)).sentence
    assert g.values["cores_used"] >= 0.0


@pytest.fixture
def radar(tmp_path: Path) -> Iterator[Radar]:
    device = Radar(tmp_path)
    device.start()
    yield device
    device.close()


def test_a_radars_process_rests_and_wakes_without_being_called_silent(radar: Radar, tmp_path: Path) -> None:
    said: list[Any] = []
    asleep = Governor(Power(profile="saver", radar_on_s=10.0, radar_off_s=600.0), SITE)
    options = {"heading_deg": 0.0}
    sensor = Sensor(name="radar", driver="navico", url=radar.url, stale_s=3.0, options=options)
    child = ChildSensor(
        sensor, "radar", 20.0, tmp_path, SystemClock(), lambda _, m: said.append(m), power=lambda: asleep
    )
    child.start()
    try:
        wait(lambda: scans(said) >= 2, said)
        asleep.look(SystemClock().now())
        wait(lambda: heard_for_s(said) > 6.0, said)  # more than two turns, and twice the time of silence
        before = scans(said)
        assert all(h.state is not SensorState.STALE for h in healths(said))
        asleep.watch(SystemClock().now().t_s, picture(), [])
        wait(lambda: scans(said) >= before + 3, said)
    finally:
        child.stop()


def test_a_process_that_grows_over_its_budget_is_started_anew_with_the_reason(radar: Radar, tmp_path: Path) -> None:
    said: list[Any] = []
    tight = Governor(Power.model_construct(**{**Power().model_dump(), "child_memory_mb": 1.0}), SITE)
    sensor = Sensor(name="radar", driver="navico", url=radar.url, options={"heading_deg": 0.0})
    child = ChildSensor(
        sensor, "radar", 20.0, tmp_path, SystemClock(), lambda _, m: said.append(m), power=lambda: tight
    )
    child.start()
    try:
        wait(lambda: any("[power] child_memory_mb allows 1" in h.sentence for h in healths(said)), said)
        tight.power = Power()
        said.clear()
        wait(lambda: scans(said) >= 1, said)
    finally:
        child.stop()


def heard_for_s(said: list[Any]) -> float:
    """Since the end of the last turn."""
    return SystemClock().now().t_s - max(m.at_s for m in said if isinstance(m, Scan))


def scans(said: list[Any]) -> int:
    return sum(isinstance(m, Scan) for m in said)


def healths(said: list[Any]) -> list[SensorHealth]:
    return [m for m in said if isinstance(m, SensorHealth)]


def wait(true: Callable[[], bool], said: list[Any]) -> None:
    deadline = time.monotonic() + 60.0
    while not true():
        assert time.monotonic() < deadline, healths(said)
        time.sleep(0.1)
