"""ASTERIX category 034, edition 1.29: a radar's service messages: north marker, sector crossing, where it stands.

Source: Eurocontrol SUR.ET1.ST05.2000-STD-02b-01.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hardware_sim.radar.asterix import TICKS_PER_S, block, record, time_of_day, unsigned

if TYPE_CHECKING:
    from hardware_sim.radar.asterix import Source

CATEGORY = 34
_NORTH, _SECTOR = b"\x01", b"\x02"
_POSITION_LSB_DEG = 180.0 / 2**23


def north_marker(
    source: Source, unix_s: float, turn_s: float, position: tuple[float, float, float] | None = None
) -> bytes:
    """The antenna points north; `turn_s` is the period, `position` latitude, longitude (degrees) and height (m)."""
    items = {1: source.item(), 2: _NORTH, 3: time_of_day(unix_s), 5: unsigned(turn_s * TICKS_PER_S, 2)}
    if position is not None:
        lat, lon, height_m = position
        items[11] = round(height_m).to_bytes(2, "big", signed=True) + b"".join(
            round(deg / _POSITION_LSB_DEG).to_bytes(3, "big", signed=True) for deg in (lat, lon)
        )
    return block(CATEGORY, record(items))


def sector_crossing(source: Source, unix_s: float, azimuth_deg: float) -> bytes:
    """The antenna has come to that azimuth, told in 1/256 turns."""
    sector = round(azimuth_deg * 256.0 / 360.0) % 256
    return block(CATEGORY, record({1: source.item(), 2: _SECTOR, 3: time_of_day(unix_s), 4: bytes((sector,))}))
