"""The radar's physics against figures computed elsewhere."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hardware_sim.radar import clutter
from hardware_sim.radar.physics import Radar, detection_probability, sigma0_db
from hardware_sim.scenario import RadarTable


def radar(**change: float) -> Radar:
    return Radar(RadarTable(**({"height_m": 20.0} | change)))


def test_snr_of_a_square_metre_at_five_miles() -> None:
    # 12 kW, 30 dBi, 6 MHz, 10 dB of noise and losses: 5.4 dB, worked out by hand
    assert 10 * math.log10(radar().snr(1.0, 9260.0)) == pytest.approx(5.4, abs=0.1)
    big = radar(power_w=25_000.0, gain_db=34.0, bandwidth_hz=20e6)
    assert 10 * math.log10(big.snr(1.0, 9260.0) / radar().snr(1.0, 9260.0)) == pytest.approx(
        3.19 + 8.0 - 5.23, abs=0.01
    )
    assert radar().snr(1.0, 1000.0) / radar().snr(1.0, 2000.0) == pytest.approx(16.0)


def test_horizon() -> None:
    assert radar().horizon_m(2.0) == pytest.approx(24_300, abs=60)
    assert radar().propagation(30_000.0, (1.0, 2.0), 2) == 0.0


@pytest.mark.parametrize(
    ("grazing", "sea", "expected"),
    [(0.5, 2, -52.0), (0.5, 3, -46.2), (0.5, 5, -37.5), (1.0, 2, -49.4), (1.0, 5, -35.3), (0.2, 3, -51.0)],
)
def test_nrl_reflectivity(grazing: float, sea: int, expected: float) -> None:
    assert float(sigma0_db(np.array(grazing), sea)) == pytest.approx(expected, abs=0.06)


def test_two_ray_over_a_flat_sea() -> None:
    flat = radar()
    wavelength = 299_792_458.0 / 9.41e9
    for h, r in ((1.0, 2000.0), (0.5, 1500.0), (2.0, 5000.0)):
        expected = 16 * math.sin(2 * math.pi * 20.0 * h / (wavelength * r)) ** 4
        # sea state 1 is nearly flat: waves of 10 cm
        assert flat.propagation(r, (h, h), 1) == pytest.approx(expected, rel=0.1, abs=0.1)


def test_swerling_one() -> None:
    assert detection_probability(0.0, 1e-4) == pytest.approx(1e-4)
    assert detection_probability(10 ** (20.2 / 10), 1e-4) == pytest.approx(0.916, abs=0.01)


@pytest.mark.parametrize("nu", [0.5, 2.0])
def test_speckle_times_texture_is_k_distributed(nu: float) -> None:
    rng = np.random.default_rng(3)
    shape = (1024, 512)
    z = clutter.speckle(rng, shape, 4.0, 3.0) * clutter.texture(rng, shape, nu, 6.0, 6.0)
    assert z.dtype == np.float32
    assert float(z.mean()) == pytest.approx(1.0, rel=0.06)
    assert float((z**2).mean() / z.mean() ** 2) == pytest.approx(2 * (1 + 1 / nu), rel=0.15)


def test_speckle_is_as_wide_as_beam_and_pulse() -> None:
    z = clutter.speckle(np.random.default_rng(4), (1024, 1024), 7.0, 4.0) - 1.0
    var = float((z**2).mean())
    for axis, width in ((0, 7), (1, 4)):
        near, far = (float((z * np.roll(z, k, axis)).mean()) / var for k in (1, 4 * width))
        assert near > 0.7
        assert abs(far) < 0.05
