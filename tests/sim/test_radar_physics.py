"""The radar's physics against figures computed elsewhere."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from hardware_sim.radar import antenna, clutter, fluctuation, propagation, reflectivity
from hardware_sim.radar.physics import Radar
from hardware_sim.scenario import RadarTable


def radar(**change: Any) -> Radar:
    return Radar(RadarTable(**({"height_m": 20.0} | change)))


def db(x: float) -> float:
    return 10.0 * math.log10(x)


def test_snr_of_a_square_metre_at_five_miles() -> None:
    # 12 kW, 30 dBi, 6 MHz, 10 dB of noise and losses: 5.4 dB, worked out by hand
    assert db(radar().snr(1.0, 9260.0)) == pytest.approx(5.4, abs=0.1)
    big = radar(power_w=25_000.0, gain_db=34.0, bandwidth_hz=20e6)
    assert db(big.snr(1.0, 9260.0) / radar().snr(1.0, 9260.0)) == pytest.approx(3.19 + 8.0 - 5.23, abs=0.01)
    assert radar().snr(1.0, 1000.0) / radar().snr(1.0, 2000.0) == pytest.approx(16.0)


def test_horizon() -> None:
    assert radar().horizon_m(2.0) == pytest.approx(24_300, abs=80)
    # in the shadow of the sea: what is left is less than the noise of any radar
    assert db(radar(range_m=48_000.0).propagation(40_000.0, (1.0, 2.0), 2)) < -70.0


@pytest.mark.parametrize(
    ("grazing", "sea", "vertical", "expected"),
    [
        (0.5, 2, False, -52.0), (0.5, 3, False, -46.2), (0.5, 5, False, -37.5), (1.0, 2, False, -49.4),
        (1.0, 3, False, -43.7), (1.0, 5, False, -35.3), (0.2, 2, False, -56.9), (0.2, 3, False, -51.0),
        (0.2, 5, False, -42.1), (1.0, 3, True, -41.6),
    ],
)  # fmt: skip
def test_nrl_reflectivity(grazing: float, sea: int, vertical: bool, expected: float) -> None:
    got = reflectivity.sea_sigma0_db(np.array(grazing), sea, vertical=vertical)
    assert float(got) == pytest.approx(expected, abs=0.06)


def test_two_rays_over_a_flat_sea() -> None:
    """Close by, where the earth is flat and sea state 1 nearly a mirror: 16 sin^4."""
    for h, r in ((1.0, 2000.0), (0.5, 1500.0), (2.0, 5000.0)):
        phase = 2.0 * math.pi * 20.0 * h / (propagation.WAVELENGTH_M * r)
        got = radar().propagation(r, (h, h), 1)
        assert got == pytest.approx(16.0 * math.sin(phase) ** 4, rel=0.12, abs=0.15)


def test_a_rough_sea_fills_the_nulls() -> None:
    # the null nearest to 10 degrees of grazing is deep in a calm and gone in a rough sea
    ranges = np.linspace(400.0, 600.0, 400)
    calm, rough = (propagation.two_way_factor(ranges, 20.0, 3.0, sea, vertical=False) for sea in (0, 5))
    assert db(float(calm.min())) < -20.0
    assert db(float(rough.min())) > -1.0
    assert float(rough.mean()) == pytest.approx(1.0, abs=0.3)


def test_reflection_by_polarisation() -> None:
    low, brewster = np.radians(np.array([0.1, 7.0]))
    for vertical in (False, True):
        assert abs(complex(propagation.fresnel(np.array(low), vertical=vertical))) > 0.95
    assert abs(complex(propagation.fresnel(np.array(brewster), vertical=False))) > 0.95
    assert abs(complex(propagation.fresnel(np.array(brewster), vertical=True))) < 0.5


@pytest.mark.parametrize("height", [0.3, 1.0, 2.0, 10.0])
def test_from_the_last_lobe_to_the_shadow_it_only_falls(height: float) -> None:
    edge = propagation.horizon_m(20.0, height)
    ranges = np.arange(0.85 * edge, 1.5 * edge, 50.0)
    fall = propagation.two_way_factor(ranges, 20.0, height, 2, vertical=False)
    assert (np.diff(fall) < 0.0).all()
    assert float(np.max(np.abs(np.diff(10.0 * np.log10(fall))))) < 0.6  # dB per 50 m: no step at any seam


def test_diffraction_falls_as_the_recommendation_says() -> None:
    """ITU-R P.526: 17.6 dB per unit of normalised distance, less the root's growth, one way."""
    one_way = 17.6 * 2.188 * 9410 ** (1 / 3) * (4 / 3 * 6371) ** (-2 / 3)  # dB a kilometre
    far = propagation.two_way_factor(np.array([40_000.0, 41_000.0]), 20.0, 2.0, 2, vertical=False)
    assert db(float(far[0] / far[1])) == pytest.approx(2.0 * one_way - 2.0 * db(41 / 40), abs=0.05)


def test_beam_of_a_cosine_taper() -> None:
    off = np.arange(-60.0, 60.0, 0.005)
    gain = antenna.one_way_gain(off, 1.2)
    assert gain.max() == pytest.approx(1.0)
    half = off[gain >= 0.5]
    assert float(half[-1] - half[0]) == pytest.approx(1.2, abs=0.02)
    beyond = np.abs(off) > 1.5 * 1.2 / 1.189  # the first null
    assert db(float(gain[beyond].max())) == pytest.approx(-23.0, abs=0.3)
    assert db(float(gain[(np.abs(off) > 10.0) & (np.abs(off) < 20.0)].max())) < -38.0
    assert not gain[np.abs(off) > antenna.REACH_DEG].any()


@pytest.mark.parametrize("pulse", ["compressed", "magnetron"])
def test_pulse_width_and_sidelobes(pulse: antenna.Pulse) -> None:
    off = np.arange(-1000.0, 1000.0, 0.1)
    power = antenna.pulse_power(off, 25.0, pulse)
    half = off[power >= 0.5]
    assert float(half[-1] - half[0]) == pytest.approx(25.0, abs=0.3)
    lobes = float(power[np.abs(off) > 80.0].max())
    assert db(lobes) == pytest.approx(-60.5, abs=0.5) if pulse == "compressed" else lobes == 0.0
    assert antenna.pulse_reach_m(25.0, pulse, 1e3) < 80.0
    assert (antenna.pulse_reach_m(25.0, pulse, 1e6) > 700.0) is (pulse == "compressed")


def test_one_look_detection_of_the_swerling_cases() -> None:
    for case in (0, 1, 3):
        assert fluctuation.detection_probability(0.0, 1e-4, case) == pytest.approx(1e-4, rel=0.01)
    # Barton, Radar Equations: Pd 0.9 at Pfa 1e-6 takes 13.2 dB steady and 21.1 dB Swerling I
    assert fluctuation.detection_probability(10**1.318, 1e-6, 0) == pytest.approx(0.9, abs=0.01)
    assert fluctuation.detection_probability(10**2.114, 1e-6, 1) == pytest.approx(0.9, abs=0.01)
    assert fluctuation.detection_probability(10**1.715, 1e-6, 3) == pytest.approx(0.9, abs=0.01)


@pytest.mark.parametrize("case", [0, 1, 3])
def test_detection_is_what_drawing_gives(case: fluctuation.Swerling) -> None:
    """The formula against fluctuation and square-law noise drawn."""
    rng = np.random.default_rng(8)
    n, mean_snr, threshold = 40_000, 10.0, -math.log(1e-3)
    amplitude = np.sqrt([mean_snr * fluctuation.draw(rng, case) for _ in range(n)])
    seen = np.abs(amplitude + rng.normal(0, math.sqrt(0.5), n) + 1j * rng.normal(0, math.sqrt(0.5), n)) ** 2 > threshold
    assert float(seen.mean()) == pytest.approx(fluctuation.detection_probability(mean_snr, 1e-3, case), abs=0.012)


def test_fluctuation_moments() -> None:
    rng = np.random.default_rng(9)
    for case, variance in ((0, 0.0), (1, 1.0), (3, 0.5)):
        power = np.array([fluctuation.draw(rng, case) for _ in range(40_000)])  # type: ignore[arg-type] # 0, 1, 3
        assert power.mean() == pytest.approx(1.0, abs=0.02)
        assert power.var() == pytest.approx(variance, abs=0.05)


@pytest.mark.parametrize("nu", [0.1, 0.2, 0.5, 1.0, 3.0, 20.0])
def test_texture_is_gamma_and_clutter_k_distributed(nu: float) -> None:
    g = np.linspace(-6.0, 6.0, 24_001)
    weight = np.exp(-(g**2) / 2.0) / np.exp(-(g**2) / 2.0).sum()
    exact = clutter.gamma_of_gaussian(g, nu)
    moments = [float((weight * exact**k).sum()) for k in (1, 2, 3)]
    assert moments[0] == pytest.approx(1.0, rel=1e-3)
    assert moments[1] == pytest.approx(1.0 + 1.0 / nu, rel=1e-3)
    assert moments[2] == pytest.approx((1.0 + 1.0 / nu) * (1.0 + 2.0 / nu), rel=5e-3)
    rng = np.random.default_rng(3)
    shape = (1024, 1024)
    field = clutter.texture_field(rng, shape, 3.0, 3.0)
    table = clutter.TextureTable([nu])
    z = clutter.speckle(rng, shape, 2.0, 2.0) * np.take(table.values, clutter.TextureTable.levels(field))
    assert z.dtype == np.float32
    # of a plane with so many independent patches the moments wander by themselves, the more the spikier
    assert float((z**2).mean() / z.mean() ** 2) == pytest.approx(2.0 * (1.0 + 1.0 / nu), rel=0.05 + 0.03 / nu)


def test_speckle_is_as_wide_as_beam_and_pulse() -> None:
    z = clutter.speckle(np.random.default_rng(4), (1024, 1024), 7.0, 4.0) - 1.0
    var = float((z**2).mean())
    for axis, width in ((0, 7), (1, 4)):
        near, far = (float((z * np.roll(z, k, axis)).mean()) / var for k in (1, 4 * width))
        assert near > 0.7
        assert abs(far) < 0.05


def test_averaged_noise() -> None:
    one, four = (clutter.noise(np.random.default_rng(5), (512, 512), 2.0, n) for n in (1, 4))
    assert float(one.var()) == pytest.approx(1.0, abs=0.05)
    assert float(four.var()) == pytest.approx(0.25, abs=0.02)


def test_shape_of_the_sea() -> None:
    """Ward and Watts by hand: 1 degree, 1,000 m2, HH across or along the swell."""
    grazing, area = np.array([1.0]), np.array([1000.0])
    assert float(reflectivity.k_shape(grazing, area)[0]) == pytest.approx(10 ** (0.625 * 3 - 2.09), rel=1e-6)
    along, across = (float(reflectivity.k_shape(grazing, area, c)[0]) for c in (1.0, -1.0))
    assert across / along == pytest.approx(10 ** (2 / 3))
    assert float(reflectivity.k_shape(grazing, area, vertical=True)[0]) == pytest.approx(10 ** (0.625 * 3 - 1.39))


def test_rain() -> None:
    # 4 mm/h: Z = 200 * 4^1.6 = 1838 mm6/m3 (32.6 dBZ); at 3.19 cm that is 5.0e-7 m2/m3
    assert reflectivity.rain_volume_m2_per_m3(4.0) == pytest.approx(5.0e-7, rel=0.03)
    assert reflectivity.rain_loss_db_per_m(0.0) == 0.0
    assert 1000.0 * reflectivity.rain_loss_db_per_m(10.0) == pytest.approx(0.158, abs=0.003)
    wet = radar()
    near, far = (float(wet.rain_to_noise(np.array([r]), 10.0)[0]) for r in (1000.0, 2000.0))
    assert near / far == pytest.approx(
        4.0, rel=0.25
    )  # a filled beam falls with the square, the mast's height helps near
    assert float(wet.rain_loss(np.array([10_000.0]), 10.0)[0]) == pytest.approx(10 ** (-0.316), abs=0.01)
