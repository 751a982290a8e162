"""A small radar of our own: logarithmic 4-bit video with targets, noise, interference, and Navico datagrams of it."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from agent.drivers.radar.video import Spoke

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

BEAM_DEG = 4.0
PULSE_CELLS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A point echo; `level` is what its peak would read in video that does not saturate (3 dB a level)."""

    range_m: float
    bearing_deg: float
    level: float = 10.0


def picture(
    targets: Sequence[Target],
    *,
    azimuths: int = 512,
    cells: int = 256,
    range_m: float = 6144.0,
    noise: float = 0.0,
    seed: int = 0,
    phase: float = 0.0,
) -> NDArray[np.uint8]:
    """(azimuths, cells) levels 0..13; spoke i looks at (i + phase) * 360 / azimuths, cell k ends at (k+1)/cells.

    Beam and pulse are Gaussian in power, so their level falls quadratically; `noise` is the level of Rayleigh noise,
    independent from cell to cell.
    """
    bearing = (np.arange(azimuths) + phase) * (360.0 / azimuths)
    ranges = (np.arange(cells) + 1.0) * (range_m / cells)
    power = np.zeros((azimuths, cells))
    for t in targets:
        off = (bearing - t.bearing_deg + 180.0) % 360.0 - 180.0
        down = 12.0 * (off / BEAM_DEG) ** 2  # dB, two-way pattern: 3 dB at the edge of the beam
        deep = 12.0 * ((ranges - t.range_m) / (PULSE_CELLS * range_m / cells)) ** 2
        power += 10.0 ** ((3.0 * t.level - down[:, None] - deep[None, :]) / 10.0)
    if noise:
        power += 10.0 ** (0.3 * noise) * np.random.default_rng(seed).exponential(size=power.shape)
    levels = 10.0 * np.log10(np.maximum(power, 1.0)) / 3.0
    return np.clip(np.round(levels), 0, 13).astype(np.uint8)


def spokes(
    levels: NDArray[np.uint8],
    *,
    heading_deg: float | None = 0.0,
    range_m: float = 6144.0,
    start_s: float = 1000.0,
    period_s: float = 2.5,
    phase: float = 0.0,
    first: int = 0,
) -> Iterator[Spoke]:
    """One turn of `levels`, beginning at row `first`. The rows stand for TRUE bearings."""
    azimuths = len(levels)
    for n in range(azimuths):
        row = (first + n) % azimuths
        yield Spoke(
            at_s=start_s + n * period_s / azimuths,
            source="radar",
            stream="239.0.0.1:1",
            angle_deg=((row + phase) * 360.0 / azimuths - (heading_deg or 0.0)) % 360.0,
            heading_deg=heading_deg,
            range_m=range_m,
            samples=levels[row],
            status=2,
            scan_number=n,
        )


def navico_spoke(
    *, samples: NDArray[np.uint8] | None = None, angle: int = 0, scan: int = 0, heading: int = 0x8000,
    large: int = 6000, small: int = 512, status: int = 2, length: int = 0x18, mark: int = 0x4400,
) -> bytes:  # fmt: skip
    """24 + 512 octets, written from the protocol's description."""
    if samples is None:
        samples = np.zeros(1024, np.uint8)
    head = struct.pack("<BBHHHHHHH8x", length, status, scan, mark, large, angle, heading, small, 0)
    return head + (samples[0::2] | samples[1::2] << 4).astype(np.uint8).tobytes()


def navico_frame(*rows: bytes, stated: int | None = None, size: int = 512) -> bytes:
    """A datagram of those spokes."""
    return struct.pack("<5sBH", b"\x01", len(rows) if stated is None else stated, size) + b"".join(rows)
