"""Wind sea as travelling waves: slope fields from a directional spectrum with the dispersion of deep water.

Promises:
- every wave travels at its own phase speed (omega^2 = g k), so the sea at two times is the same sea, later;
- the mean square slope follows Cox and Munk (1954), 0.003 + 0.00512 U, spread evenly over the octaves of wave number
  (the k^-4 tail of the elevation spectrum), so what a filter removes is known and is given back as roughness.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.floating[Any]]

GRAVITY = 9.81
_CAPILLARY_K = 350.0
_BLUR = 0.33
"""Deviation of the footprint's Gaussian, in footprints."""


def mean_square_slope(wind_mps: float) -> float:
    """Variance of the sea's slope along one axis (half of the total)."""
    return 0.5 * (0.003 + 0.00512 * max(wind_mps, 0.3))


class Cascade:
    """Waves of a band of wave numbers on a periodic square; x is along the camera's bearing, y to its right.

    `skew` shifts each period sideways by up to that share of a period, so that repeats do not line up in any view.
    """

    def __init__(
        self,
        *,
        size_m: float,
        skew: float,
        count: int,
        k_band: tuple[float, float],
        wind_mps: float,
        wind_to_rad: float,
        swell_m: float,
        rng: np.random.Generator,
    ) -> None:
        self.size_m = size_m
        self.skew = skew
        self.count = count
        k1 = (2.0 * math.pi / size_m) * np.fft.fftfreq(count) * count
        self.ku, self.kv = np.meshgrid(k1, k1, indexing="ij")
        k = np.hypot(self.ku, self.kv)
        safe = np.where(k > 0, k, 1.0)
        self.omega = np.sqrt(GRAVITY * k)
        speed = max(wind_mps, 1.0)
        peak = min(max(0.6 * GRAVITY / speed**2, 0.08), 6.0)  # a coast's short fetch: never the open ocean's swell
        total = 2.0 * mean_square_slope(wind_mps) / math.log(_CAPILLARY_K / peak)
        angle = np.arctan2(self.kv, self.ku) - wind_to_rad
        spread = (
            0.65 * np.maximum(np.cos(angle), 0.0) ** 4 / 1.178
            + 0.35 * np.maximum(np.cos(angle / 2), 0.0) ** 2 / math.pi
        )
        variance = total / safe**2 * spread * np.exp(-1.25 * (peak / safe) ** 2) * (2.0 * math.pi / size_m) ** 2
        variance *= (k >= k_band[0]) & (k < k_band[1])
        if swell_m > 0.0 and k_band[0] == 0.0:
            ks = 2.0 * math.pi / rng.uniform(50.0, 120.0)
            swell_angle = np.arctan2(self.kv, self.ku) - wind_to_rad - rng.normal(0.0, 0.5)
            ring = np.exp(-(((safe - ks) / (0.2 * ks)) ** 2)) * np.maximum(np.cos(swell_angle), 0.0) ** 16 * (k > 0)
            variance += ring / max(float(ring.sum()), 1e-9) * (swell_m / 4.0 * ks) ** 2
        gauss = rng.normal(size=(count, count)) + 1j * rng.normal(size=(count, count))
        # two slope fields share one complex transform: Re = along, Im = across, so the spectrum must be Hermitian
        self.amplitude = gauss * np.sqrt(variance) / safe * count**2 / 2.0
        self.along_variance = variance * self.ku**2 / safe**2

    def spectrum(self, t_s: float) -> NDArray[np.complex128]:
        """Packed spectrum of (slope along) + i (slope across) at a time."""
        h = self.amplitude * np.exp(-1j * self.omega * t_s)
        h = h + np.conj(np.roll(h[::-1, ::-1], (1, 1), axis=(0, 1)))
        return np.asarray((1j * self.ku - self.kv) * h, dtype=np.complex128)

    def filtered(self, packed: NDArray[np.complex128], along_m: float, across_m: float) -> tuple[Array, Array] | None:
        """(slope along, slope across) blurred to footprints of that size, on as few samples as that needs.

        None when nothing of this cascade is left.
        """
        n_u = self._samples(along_m)
        n_v = self._samples(across_m)
        if n_u < 4 or n_v < 4:
            return None
        iu, iv = _low(self.count, n_u), _low(self.count, n_v)
        part = packed[np.ix_(iu, iv)]
        su, sv = _BLUR * along_m, _BLUR * across_m
        gain_u = np.exp(-0.5 * (self.ku[iu, 0] * su) ** 2)
        gain_v = np.exp(-0.5 * (self.kv[0, iv] * sv) ** 2)
        part = part * gain_u[:, None] * gain_v[None, :]
        field = np.fft.ifft2(part) * (n_u * n_v / self.count**2)
        return field.real.astype(np.float32), field.imag.astype(np.float32)

    def resolved(self, along_m: float, across_m: float) -> float:
        """Slope variance along the bearing that `filtered` keeps."""
        su, sv = _BLUR * along_m, _BLUR * across_m
        gain_u, gain_v = np.exp(-((self.ku[:, 0] * su) ** 2)), np.exp(-((self.kv[0] * sv) ** 2))
        return float(gain_u @ self.along_variance @ gain_v)

    def _samples(self, footprint_m: float) -> int:
        # the Gaussian has fallen to e^-3.5 at k = 2.65 / blur
        need = 2.0 * 2.65 / (_BLUR * footprint_m) * self.size_m / (2.0 * math.pi)
        return int(min(self.count, 2 ** math.ceil(math.log2(max(need, 1.0)))))


def _low(count: int, keep: int) -> NDArray[np.intp]:
    """Indices of the `keep` lowest frequencies of an FFT axis of `count`."""
    half = keep // 2
    return np.concatenate([np.arange(half), np.arange(count - half, count)])


class Foam:
    """Whitecaps: the crests of a short sea above a threshold; they move with their waves and live as long as crests do.

    Coverage follows Monahan and O'Muircheartaigh (1980), 3.84e-6 U^3.41, doubled for the foam that outlives its crest.
    """

    SIZE_M = 140.0
    SKEW = 0.41
    COUNT = 256

    def __init__(self, *, wind_mps: float, wind_to_rad: float, rng: np.random.Generator) -> None:
        self.coverage = min(2.0 * 3.84e-6 * max(wind_mps, 0.0) ** 3.41, 0.3)
        n = self.COUNT
        k1 = (2.0 * math.pi / self.SIZE_M) * np.fft.fftfreq(n) * n
        ku, kv = np.meshgrid(k1, k1, indexing="ij")
        k = np.hypot(ku, kv)
        self.omega = np.sqrt(GRAVITY * k)
        angle = np.arctan2(kv, ku) - wind_to_rad
        weight = np.maximum(k, 1e-6) ** -1.3 * (k > 0.15) * (k < 4.5) * (0.08 + np.maximum(np.cos(angle), 0.0) ** 2)
        self.amplitude = weight * (rng.normal(size=(n, n)) + 1j * rng.normal(size=(n, n)))
        sample = np.fft.ifft2(self.amplitude).real
        self.threshold = float(np.quantile(sample, 1.0 - self.coverage))
        self.width = float(sample.std()) * 0.35

    def tile(self, t_s: float) -> Array:
        """(COUNT, COUNT) foam cover 0..1; rows along the bearing, columns across."""
        crest = np.fft.ifft2(self.amplitude * np.exp(-1j * self.omega * t_s)).real
        return np.clip((crest - self.threshold) / self.width, 0.0, 1.0).astype(np.float32)
