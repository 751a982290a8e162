"""The figures that docs/sim-radar.md quotes, on other seeds and shorter: the video keeps to the radar equation."""

from __future__ import annotations

import math

import pytest

from hardware_sim.radar import measure


def test_every_target_of_imo_s_table_is_seen_as_far_as_it_asks() -> None:
    figures = list(measure.imo())
    assert len(figures) == 9
    for f in figures:
        assert f["share_at_table"] >= 0.8, f
        # and none absurdly far: within the horizon of a 15 m mast and 4/3 earth, and twice the table's range
        assert f["table_nm"] < f["seen_to_nm"] < 2.0 * f["table_nm"], f


def test_video_shows_what_the_radar_equation_says() -> None:
    turns = 16
    figures = {f["kind"]: f for f in measure.detection(seed=5, turns=turns, kinds=("buoy", "panga", "fishing"))}
    for kind, f in figures.items():
        looks = measure.STEPS * turns
        sigma = math.sqrt(0.25 * 0.8 / looks)  # of a share, at most
        assert abs(f["mean_share_seen"] - f["mean_share_predicted"]) < (0.03 if kind == "buoy" else 3.5 * sigma), f
        assert f["seen_to_m"] == pytest.approx(f["predicted_m"], rel=0.12), f
    assert figures["panga"]["predicted_m"] < figures["fishing"]["predicted_m"]


def test_the_sea_of_the_video_has_the_model_s_moments() -> None:
    for f in measure.sea(seed=6):
        assert f["mean"] == pytest.approx(1.0, abs=0.05), f
        # the plane has some thousand patches of texture; the second moment of spiky ones wanders by a few percent
        assert f["m2"] == pytest.approx(f["m2_model"], rel=0.15), f


def test_thresholds() -> None:
    assert measure.video_threshold(1) == pytest.approx(-math.log(1e-4), rel=1e-6)
    assert measure.video_threshold(2) == pytest.approx(5.88, abs=0.01)


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert measure.main(["imo"]) == 0
    assert capsys.readouterr().out.count('"figure": "imo"') == 9
    assert measure.main(["speeds"]) == 64
    assert "there are sea, range, imo, speed" in capsys.readouterr().err
