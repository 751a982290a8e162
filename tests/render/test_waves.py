"""The waves' physics: phase speed, slope variance, foam cover."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from hardware_sim.render.waves import Cascade, Foam, mean_square_slope


def cascade(**change: Any) -> Cascade:
    options: dict[str, Any] = {
        "size_m": 128.0,
        "skew": 0.0,
        "count": 128,
        "k_band": (0.1, 2.0),
        "wind_mps": 8.0,
        "wind_to_rad": 0.0,
        "swell_m": 0.0,
        "rng": np.random.default_rng(1),
    }
    return Cascade(**{**options, **change})


def test_waves_run_downwind_at_their_phase_speed() -> None:
    k = 2.0 * math.pi / 16.0
    waves = cascade(k_band=(0.97 * k, 1.03 * k))
    speed = math.sqrt(9.81 / k)
    t = 2.0
    before = waves.filtered(waves.spectrum(0.0), 1.0, 1.0)
    after = waves.filtered(waves.spectrum(t), 1.0, 1.0)
    assert before is not None
    assert after is not None
    # the mode that runs straight down the wind has turned by k c t
    row = [np.fft.fft(field[0].mean(axis=1))[8] for field in (before, after)]
    turned = np.angle(row[1] / row[0])
    expected = (-k * speed * t + math.pi) % (2.0 * math.pi) - math.pi
    assert turned == pytest.approx(expected, abs=1e-3)


def test_filtered_slopes_have_the_variance_that_is_promised() -> None:
    kept, promised = [], []
    for seed in range(6):
        waves = cascade(rng=np.random.default_rng(seed))
        fields = waves.filtered(waves.spectrum(3.0), 2.0, 1.0)
        assert fields is not None
        kept.append(float(fields[0].var()))
        promised.append(waves.resolved(2.0, 1.0))
    assert np.mean(kept) == pytest.approx(np.mean(promised), rel=0.15)


def test_a_coarse_footprint_leaves_nothing() -> None:
    waves = cascade()
    assert waves.filtered(waves.spectrum(0.0), 500.0, 500.0) is None


@pytest.mark.parametrize("wind", [2.0, 8.0, 16.0])
def test_the_slopes_are_part_of_cox_and_munk_s(wind: float) -> None:
    share = cascade(wind_mps=wind, k_band=(0.0, 60.0)).resolved(0.01, 0.01) / mean_square_slope(wind)
    assert 0.05 < share < 1.1


@pytest.mark.parametrize(("wind", "least", "most"), [(2.0, 0.0, 0.001), (9.0, 0.005, 0.03), (16.0, 0.05, 0.2)])
def test_whitecaps_grow_with_the_wind(wind: float, least: float, most: float) -> None:
    foam = Foam(wind_mps=wind, wind_to_rad=0.3, rng=np.random.default_rng(2))
    cover = float((foam.tile(5.0) > 0.0).mean())
    assert least <= cover <= most
