"""ASTERIX category 048, edition 1.32: plots and tracks of one radar, as a primary surface radar says them.

Promises:
- a plot is items 010, 140, 020 (single PSR detection) and 040; its run length and amplitude are in 130 when given;
- a track adds 161, 200 and 170; its last report carries the end-of-track bit;
- range comes in 1/256 NM (7.2 m), azimuth in 360/65536 degrees, speed in 2^-14 NM/s.

Source: Eurocontrol SUR.ET1.ST05.2000-STD-04-01.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hardware_sim.radar.asterix import NM_M, azimuth, block, record, time_of_day, unsigned, velocity

if TYPE_CHECKING:
    from hardware_sim.radar.asterix import Source

CATEGORY = 48
_PSR, _SIMULATED = 0x20, 0x10
_RUN_LENGTH_LSB_DEG = 360.0 / 8192.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """What a tracker knows of a target. `number` 0..4095; `tentative`: not confirmed yet; `ended`: the last report."""

    number: int
    speed_mps: float
    course_deg: float
    tentative: bool = False
    ended: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One report: where, when, how wide in azimuth, how strong; with a track it is a track report.

    Not `detected`: the tracker says where it expects the target that the beam has just missed.
    """

    unix_s: float
    range_m: float
    azimuth_deg: float
    run_length_deg: float | None = None
    amplitude_dbm: float | None = None
    track: Track | None = None
    detected: bool = True


def target_record(source: Source, target: Target, *, simulated: bool = False) -> bytes:
    """One record. `simulated` sets the SIM bit of item 020, as a radar's own test target has it."""
    items = {
        1: source.item(),
        2: time_of_day(target.unix_s),
        3: bytes(((_PSR if target.detected else 0) | (_SIMULATED if simulated else 0),)),
        4: unsigned(target.range_m / NM_M * 256.0, 2) + azimuth(target.azimuth_deg),
    }
    if (extra := _plot_characteristics(target)) is not None:
        items[7] = extra
    if target.track is not None:
        track = target.track
        items[11] = track.number.to_bytes(2, "big")
        items[13] = velocity(track.speed_mps, track.course_deg)
        first = 0x20 | (0x80 if track.tentative else 0)
        items[14] = bytes((first | 1, 0x80)) if track.ended else bytes((first,))
    return record(items)


def targets(source: Source, reports: list[Target]) -> bytes:
    """One data block of reports."""
    return block(CATEGORY, *(target_record(source, t) for t in reports))


def _plot_characteristics(target: Target) -> bytes | None:
    """Item 130: run length (PRL) and amplitude (PAM) of the primary plot."""
    present, out = 0, b""
    if target.run_length_deg is not None:
        present, out = present | 0x10, out + unsigned(target.run_length_deg / _RUN_LENGTH_LSB_DEG, 1)
    if target.amplitude_dbm is not None:
        present |= 0x08
        out += max(-128, min(127, round(target.amplitude_dbm))).to_bytes(1, "big", signed=True)
    return bytes((present,)) + out if present else None
