"""What the parent asks of its cameras, and what it keeps."""

from __future__ import annotations

import dataclasses
import math
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from agent.config.schema import Sensor
from agent.messages import Alert, AlertState, Likelihood, Severity, Track, TrackPicture, TrackStatus
from agent.runtime.desk import MAX_CUES, CameraDesk

if TYPE_CHECKING:
    from pathlib import Path


def track(number: int, east_m: float, north_m: float, **more: Any) -> Track:
    cov = ((100.0, 0.0, 0.0, 0.0), (0.0, 400.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0), (0.0, 0.0, 0.0, 1.0))
    return Track(
        at_s=100.0, id=number, lat=43.0, lon=-8.0, east_m=east_m, north_m=north_m, cog_deg=0.0, sog_mps=1.0, cov=cov,
        status=TrackStatus.CONFIRMED, sources=("radar",), **more,
    )  # fmt: skip


def alert(number: int, about: Track, at_s: float = 100.0) -> Alert:
    return Alert(
        at_s=at_s, wall_s=at_s, id=number, revision=1, situation=1, rule="zone-enter", rule_name="x",
        state=AlertState.RAISED, severity=Severity.LOW, likelihood=Likelihood.LIKELY, reasons=(), reason_codes=(),
        zone=None, track=about,
    )  # fmt: skip


def made(folder: Path, tracks: tuple[Track, ...], alerts: tuple[Alert, ...] = ()) -> CameraDesk:
    picture = TrackPicture(at_s=100.0, tracks=tracks) if tracks else None
    engine = SimpleNamespace(picture=picture, open_alerts={a.id: a for a in alerts})
    return CameraDesk(engine, folder)  # type: ignore[arg-type] # all that it reads


def test_cues_are_bearings_with_sigma_and_range_nearest_first(tmp_path: Path) -> None:
    ship = track(1, 0.0, 2000.0)
    bearing_only = track(2, 0.0, 0.0, bearing_deg=200.0, sigma_bearing_deg=0.4)
    ((kind, at_s, cues),) = made(tmp_path, (bearing_only, ship, track(3, 500.0, 0.0))).orders("cam", 101.0)
    assert (kind, at_s) == ("cues", 101.0)
    assert cues[0] == pytest.approx((90.0, math.degrees(math.atan2(20.0, 500.0)), 500.0))
    assert cues[1] == pytest.approx((0.0, math.degrees(math.atan2(10.0, 2000.0)), 2000.0))
    assert cues[2] == (200.0, 0.4, None)
    many = made(tmp_path, tuple(track(i, 100.0 + i, 0.0) for i in range(200)))
    assert len(many.orders("cam", 101.0)[0][2]) == MAX_CUES
    assert made(tmp_path, ()).orders("cam", 101.0) == [["cues", 101.0, []]]


def test_each_alert_gets_one_picture_of_each_camera_and_is_asked_for_until_there_is_one(tmp_path: Path) -> None:
    ship = track(1, 0.0, 2000.0)
    desk = made(tmp_path, (ship,), (alert(7, ship), alert(8, ship, at_s=10.0)))
    assert [o[:2] for o in desk.orders("cam", 101.0)[1:]] == [["crop", 7]], "the other one is too long ago"
    desk.crop("cam", 7, b"")
    assert len(desk.orders("cam", 102.0)) == 2
    desk.crop("cam", 7, b"first")
    desk.crop("cam", 7, b"second")
    assert len(desk.orders("cam", 103.0)) == 1
    assert len(desk.orders("other", 103.0)) == 2
    assert (tmp_path / "evidence" / "7-cam.low.jpg").read_bytes() == b"first"


def test_a_clip_is_asked_for_once_of_cameras_that_keep_any_and_can_have_seen_it(tmp_path: Path) -> None:
    ahead, behind = track(1, 0.0, 2000.0), track(2, 0.0, -2000.0)
    high = dataclasses.replace(alert(7, ahead), severity=Severity.HIGH)
    others = (alert(8, ahead), dataclasses.replace(alert(9, behind), severity=Severity.HIGH))
    old = dataclasses.replace(alert(10, ahead, at_s=90.0), severity=Severity.HIGH)
    desk = made(tmp_path, (ahead, behind), (high, *others, old))

    def cam(name: str, **options: Any) -> Sensor:
        return Sensor(name=name, driver="camera", url="rtsp://10.0.0.8/main", options={"hfov_deg": 40.0, **options})

    assert desk.clip_orders(cam("none"), 101.0) == []
    keeps = cam("keeps", clip_before_s=5.0)
    assert desk.clip_orders(keeps, 101.0) == [["clip", "7-keeps.high.mp4", 100.0]]
    assert desk.clip_orders(keeps, 102.0) == []
    every = desk.clip_orders(cam("every", clip_before_s=5.0, clip_severity="low"), 101.0)
    assert [o[1] for o in every] == ["7-every.high.mp4", "8-every.low.mp4"]
    astern = desk.clip_orders(cam("astern", clip_before_s=5.0, bearing_deg=180.0), 101.0)
    assert [o[1] for o in astern] == ["9-astern.high.mp4"]


def test_a_full_disk_costs_the_picture_and_no_alert(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").touch()
    made(tmp_path / "file", ()).crop("cam", 9, b"x")
    assert "picture of alert 9 from cam cannot be kept" in caplog.text
