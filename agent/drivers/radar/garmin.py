"""Garmin GMR xHD radars: radar video and what the radar says of itself.

Promises:
- the decoder only listens; what a radar may be told is in `control.py`, and nothing is said by default;
- one datagram is one spoke of 8-bit samples; lost ones are counted by the angle, since there is no other number;
- the spokes carry no heading: give `heading_deg`, or let sentences of a compass come in beside them.

Protocol: reverse-engineered by OpenCPN's radar_pi, checked against a capture of an xHD (the layout of 16 bytes with
type 0x2904 that another public text gives does not fit it). Little endian; every message is u32 type, u32 octets that
follow, content. Spoke, type 0x0998: 8 u16 1 | 10 u16 octets that follow | 12 u16 angle (11,520 a turn, 1,440 spokes) |
14 u16 | 16 u32 selected range in m | 20 u32 range of the last sample in m | 24 u16 | 26 u16 samples | 28 u16 | 30 u32
samples | 34 u16 | 36 samples, near to far. The spokes come to 239.254.2.0:50102, reports to 239.254.2.0:50100.
"""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from agent.drivers.radar.control import GARMIN, ControlOptions, Language
from agent.drivers.radar.framed import VideoDecoder
from agent.drivers.radar.video import Spoke
from agent.errors import ProtocolError
from agent.geo import wrap360

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.messages import Stamp

SPOKE_TYPE = 0x0998
TURN = 11_520  # angle units
STEP = 8  # between spokes
_HEADER = struct.Struct("<IIHHHHIIHHHIH")
_LONGEST = 8192  # of a message; a spoke has 731
# what a report tells, and what its unit is worth
_REPORTS = {
    0x0916: ("scan_speed", 1.0), 0x0919: ("transmitting", 1.0), 0x091E: ("range_m", 1.0),
    0x0930: ("antenna_deg", 1.0 / 32.0), 0x0992: ("state", 1.0), 0x0993: ("countdown_s", 0.001),
}  # fmt: skip


class GarminOptions(ControlOptions):
    """Options of a Garmin radar: those of all radar video, for its spokes, and what it may be told."""

    azimuths: int = Field(
        default=TURN // STEP, ge=90, le=8192, description="bins per turn: the radar's spokes per turn"
    )

    @property
    def language(self) -> Language:
        """How this make is spoken to."""
        return GARMIN


class GarminDecoder(VideoDecoder):
    """Driver `garmin`. Further counter: reports. `gauges`: scan_speed, transmitting, range_m, state, countdown_s."""

    Options = GarminOptions

    starts = re.compile(rb"(?s).\x09\x00\x00")
    start_octets = 4

    def _frame_size(self, data: bytes, at: int) -> int | None:
        if len(data) - at < 8:
            return None
        kind, size = struct.unpack_from("<II", data, at)
        return size + 8 if 0x0900 <= kind < 0x0A00 and size <= _LONGEST else 0

    def _decode_unit(self, unit: bytes, at: Stamp, stream: str) -> Iterable[Spoke]:
        kind, size = struct.unpack_from("<II", unit) if len(unit) >= 8 else (0, 0)
        if not 0x0900 <= kind < 0x0A00:
            self.counters["ignored"] += 1
            return ()
        if size != len(unit) - 8:
            raise ProtocolError(f"a Garmin message of {len(unit)} bytes states {size} after its first 8")
        if kind == SPOKE_TYPE:
            return (self._spoke(unit, at, stream),)
        self.counters["reports"] += 1
        if kind in _REPORTS and size in (1, 2, 4):
            name, unit_of = _REPORTS[kind]
            self.gauges[name] = int.from_bytes(unit[8:], "little") * unit_of
        return ()

    def _spoke(self, unit: bytes, at: Stamp, stream: str) -> Spoke:
        if len(unit) < _HEADER.size:
            raise ProtocolError(f"a Garmin spoke of {len(unit)} bytes is shorter than its header")
        _, _, _, _, angle, _, _, extent_m, _, samples, _, again, _ = _HEADER.unpack_from(unit)
        if samples != again or samples != len(unit) - _HEADER.size:
            raise ProtocolError(f"a Garmin spoke states {samples} and {again} samples in {len(unit)} bytes")
        if angle >= TURN:
            raise ProtocolError(f"a Garmin spoke states the angle {angle}, beyond {TURN}")
        antenna = self._antenna(stream, None)
        degrees = angle * (360.0 / TURN)
        antenna.note(self, angle // STEP, TURN // STEP, degrees, at.t_s)
        o = self.options
        return Spoke(
            at_s=at.t_s,
            source=antenna.source,
            stream=antenna.stream,
            angle_deg=wrap360(degrees + o.bearing_bias_deg),
            heading_deg=self._no_heading(at.t_s),
            range_m=max(0.0, extent_m * o.range_scale + o.range_bias_m),
            samples=np.frombuffer(unit, np.uint8, samples, _HEADER.size),
            status=0,
            scan_number=angle // STEP,
            valid=extent_m > 0 and samples > 0,
            top_level=255,
        )
