"""ASTERIX category 010, edition 1.1: plots and tracks of a surface movement radar, which coastal extractors send too.

Promises:
- a target report has the metre-fine polar position (040), the Cartesian one (042) where it fits 16 bits, and, when
  given, size and orientation (270), amplitude (131) and the track's items (161, 200, 202, 170);
- Cartesian velocity (202) is in 0.25 m/s;
- each turn begins with a start-of-update-cycle message.

Source: Eurocontrol SUR.ET1.ST05.2000-STD-07-01. One public specification of edition 1.1 reads the velocity's last bit
as 1/16 m/s; the range it states itself (+-8192 m/s) says 0.25.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hardware_sim.radar.asterix import azimuth, block, record, time_of_day, unsigned, velocity

if TYPE_CHECKING:
    from hardware_sim.radar.asterix import Source
    from hardware_sim.radar.cat048 import Track

CATEGORY = 10
_TARGET, _CYCLE, _STATUS = b"\x01", b"\x02", b"\x03"
_PRIMARY = b"\x60"
_S16 = 32_767


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One report. `size_m` is (length, width) with the length along `orientation_deg`; `amplitude` 0..255."""

    unix_s: float
    range_m: float
    azimuth_deg: float
    size_m: tuple[float, float] | None = None
    orientation_deg: float = 0.0
    amplitude: int | None = None
    track: Track | None = None


def target_record(source: Source, target: Target) -> bytes:
    """One target report."""
    b = math.radians(target.azimuth_deg)
    x, y = target.range_m * math.sin(b), target.range_m * math.cos(b)
    items = {
        1: source.item(),
        2: _TARGET,
        3: _PRIMARY,
        4: time_of_day(target.unix_s),
        6: unsigned(target.range_m, 2) + azimuth(target.azimuth_deg),
    }
    if max(abs(x), abs(y)) <= _S16:
        items[7] = _signed(x) + _signed(y)
    if target.track is not None:
        track = target.track
        c = math.radians(track.course_deg)
        items[8] = velocity(track.speed_mps, track.course_deg)
        items[9] = _signed(4.0 * track.speed_mps * math.sin(c)) + _signed(4.0 * track.speed_mps * math.cos(c))
        items[10] = track.number.to_bytes(2, "big")
        items[11] = bytes(((0x80 if track.tentative else 0) | (0x40 if track.ended else 0),))
    if target.size_m is not None:
        length, width = (min(127, max(0, round(m))) for m in target.size_m)
        turn = round(target.orientation_deg * 128.0 / 360.0) % 128
        items[19] = bytes((length << 1 | 1, turn << 1 | 1, width << 1))
    if target.amplitude is not None:
        items[24] = bytes((target.amplitude,))
    return record(items)


def targets(source: Source, reports: list[Target]) -> bytes:
    """One data block of target reports."""
    return block(CATEGORY, *(target_record(source, t) for t in reports))


def start_of_cycle(source: Source, unix_s: float) -> bytes:
    """Start of update cycle: a new turn begins."""
    return block(CATEGORY, record({1: source.item(), 2: _CYCLE, 4: time_of_day(unix_s)}))


def periodic_status(source: Source, unix_s: float, *, operational: bool) -> bytes:
    """Periodic status: operational, or (NOGO) not to be used."""
    state = b"\x00" if operational else b"\x80"
    return block(CATEGORY, record({1: source.item(), 2: _STATUS, 4: time_of_day(unix_s), 20: state}))


def _signed(value: float) -> bytes:
    return max(-_S16 - 1, min(_S16, round(value))).to_bytes(2, "big", signed=True)
