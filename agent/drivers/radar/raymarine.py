"""Raymarine Quantum and RD (HD digital) radars: radar video.

Promises:
- the decoder only listens; what a radar may be told is in `control.py`, and nothing is said by default;
- a Quantum's range comes from its status report; until one was heard, and from a change of the video's shape until the
  next one, spokes are `valid = False` (`no_range`): wrong ranges never pass for right;
- an RD states no range with its video. Its status report's layout is not confirmed by a recording, nor is the factor
  between selected range and last sample: with `unverified = true` they are used, without it RD spokes are not valid;
- Quantum levels 254 and 255 are strengths unless `doppler = true` says that the radar colours receding and approaching.

Protocol: reverse-engineered by radar_pi and mayara; video of both checked against captures. Little endian.
Quantum spoke, type 0x00280003: 4 u16 sequence | 6 u16 0x0101 | 8 u16 samples | 10 u16 spokes a turn | 12 u16 |
14 u16 samples that the selected range has | 16 u16 azimuth, 0 astern | 18 u16 octets | 20 octets (5C n v: n times v).
Quantum status, type 0x00280002: 4 u8 state | 20 u8 range's slot | 148 u32 x 20 ranges in 1/1000 NM.
RD frame, type 0x00010003: 32 octets, spokes at 12; each spoke: 40 octets (u32 1, u32 40, u32 azimuth of 2048, 0 astern,
then what tells HD from not), optional octets (u32 2, u32 how many with these 8: 28 of an RD418D), 12 octets (u32 3 or
0x80000003, u32 with these 12, u32 octets), octets. Not HD: 4-bit samples, low first, 512; HD: samples are the octet's
upper 7 bits, 1,024. The last sample lies at twice the selected range (radar_pi and mayara agree on it).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from agent.drivers.radar.control import QUANTUM, RD, ControlOptions, Language
from agent.drivers.radar.framed import VideoDecoder
from agent.drivers.radar.video import Spoke
from agent.errors import ProtocolError
from agent.geo import NM_M, wrap360

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from agent.drivers.radar.framed import Antenna
    from agent.messages import Stamp

QUANTUM_SPOKE, QUANTUM_STATUS = 0x00280003, 0x00280002
RD_FRAME, RD_STATUS, RD_HD_STATUS = 0x00010003, 0x00010001, 0x00018801
RUN = 0x5C
_TABLE_AT, _RANGES = 148, 20
_MILLI_NM_M = NM_M / 1000.0
_RD_TURN, _RD_MOST = 2048, 360
_RD_KINDS = {(1, 2, 1, 1, 0x1F4, 1): (False, 512), (3, 2, 3, 1, 0, 1): (True, 1024)}
_RD_TABLE_AT, _RD_RANGES, _RD_FACTOR = 4, 11, 2.0
_RD_SLOT_AT = {RD_STATUS: 193, RD_HD_STATUS: 296}
_RD_BEACONS = (36, 56)  # octets, to 224.0.0.1:5800


class RaymarineOptions(ControlOptions):
    """Options of a Raymarine radar: those of all radar video, what it may be told, what its messages leave open."""

    azimuths: int = Field(default=250, ge=90, le=8192, description="bins per turn: 250 of a Quantum, 2048 of an RD")
    doppler: bool = Field(default=False, description="Quantum 2 with Doppler on: 254 is receding, 255 approaching")
    unverified: bool = Field(
        default=False, description="take RD ranges from a layout that no recording confirms: compare with the display"
    )
    kind: Literal["quantum", "rd"] = Field(default="quantum", description="which of the two orders are written for")

    @property
    def language(self) -> Language:
        """How this kind is spoken to."""
        return QUANTUM if self.kind == "quantum" else RD


class RaymarineDecoder(VideoDecoder):
    """Driver `raymarine`. Further counters: reports, beacons, no_range. `gauges`: state, range_m."""

    Options = RaymarineOptions
    options: RaymarineOptions

    def __init__(self, source: str, options: RaymarineOptions | None = None) -> None:
        super().__init__(source, options)
        self._selected_m: dict[str, float] = {}  # by stream
        self._shape: dict[str, tuple[int, int]] = {}  # of a Quantum's video since its last status

    def _frame_size(self, data: bytes, at: int) -> int | None:
        """Not all messages state their length: recordings need addresses (pcap)."""
        return 0 if at < len(data) else None

    def _decode_unit(self, unit: bytes, at: Stamp, stream: str) -> Iterable[Spoke]:
        kind = int.from_bytes(unit[:4], "little") if len(unit) >= 4 else -1
        if kind == QUANTUM_SPOKE:
            return self._quantum(unit, at, stream)
        if kind == RD_FRAME:
            return self._rd(unit, at, stream)
        if kind == QUANTUM_STATUS:
            self._quantum_status(unit, stream)
        elif kind in _RD_SLOT_AT:
            self._rd_status(unit, kind, stream)
        elif kind in (0, 1) and len(unit) in _RD_BEACONS:
            self.counters["beacons"] += 1
        else:
            self.counters["ignored"] += 1
        return ()

    # ------------------------------------------------------------ Quantum

    def _quantum_status(self, unit: bytes, stream: str) -> None:
        if len(unit) < _TABLE_AT + 4 * _RANGES:
            raise ProtocolError(f"a Quantum status report of {len(unit)} bytes is cut off")
        self.counters["reports"] += 1
        table = struct.unpack_from(f"<{_RANGES}I", unit, _TABLE_AT)
        if unit[20] >= _RANGES:
            raise ProtocolError(f"a Quantum status report states range {unit[20]} of {_RANGES}")
        range_m = table[unit[20]] * _MILLI_NM_M
        if range_m > 200_000.0:
            raise ProtocolError(f"a Quantum status report states a range of {range_m:.0f} m")
        self.gauges["state"], self.gauges["range_m"] = float(unit[4]), range_m
        if stream in self._selected_m or len(self._selected_m) < 16:
            self._selected_m[stream] = range_m
        self._shape.pop(stream, None)

    def _quantum(self, unit: bytes, at: Stamp, stream: str) -> Iterator[Spoke]:
        if len(unit) < 20:
            raise ProtocolError(f"a Quantum spoke of {len(unit)} bytes is shorter than its header")
        number, _, samples, turn, _, per_range, azimuth, octets = struct.unpack_from("<8H", unit, 4)
        if 20 + octets > len(unit) or not turn or azimuth >= turn or not samples:
            raise ProtocolError(f"a Quantum spoke states {octets} octets and azimuth {azimuth} of {turn}")
        cells = np.frombuffer(unrun(unit[20 : 20 + octets], samples), np.uint8)
        antenna = self._antenna(stream, None)
        shape = (samples, per_range)
        if stream in self._selected_m and self._shape.setdefault(stream, shape) == shape and per_range:
            range_m = self._selected_m[stream] * samples / per_range
        else:
            range_m = 0.0
        degrees = (azimuth + turn // 2) % turn * (360.0 / turn)
        antenna.note(self, number, 1 << 16, degrees, at.t_s)
        yield self._spoke(antenna, degrees, range_m, cells, number, at, 255)

    # ------------------------------------------------------------ RD

    def _rd_status(self, unit: bytes, kind: int, stream: str) -> None:
        slot_at = _RD_SLOT_AT[kind]
        if len(unit) <= slot_at:
            raise ProtocolError(f"an RD status report of {len(unit)} bytes is cut off")
        self.counters["reports"] += 1
        if not self.options.unverified:
            return
        table = struct.unpack_from(f"<{_RD_RANGES}I", unit, _RD_TABLE_AT)
        if unit[slot_at] >= _RD_RANGES or table[unit[slot_at]] > 100_000:
            raise ProtocolError(f"an RD status report states range {unit[slot_at]} of {_RD_RANGES}")
        range_m = self.gauges["range_m"] = table[unit[slot_at]] * _MILLI_NM_M
        if stream in self._selected_m or len(self._selected_m) < 16:
            self._selected_m[stream] = range_m

    def _rd(self, unit: bytes, at: Stamp, stream: str) -> Iterator[Spoke]:
        if len(unit) < 32:
            raise ProtocolError(f"an RD frame of {len(unit)} bytes is shorter than its header")
        count = int.from_bytes(unit[12:16], "little")
        if not 0 < count <= _RD_MOST:
            raise ProtocolError(f"an RD frame states {count} spokes")
        range_m = self._selected_m.get(stream, 0.0) * _RD_FACTOR
        place = 32
        for _ in range(count):
            if place + 52 > len(unit):
                raise ProtocolError(f"an RD frame of {len(unit)} bytes ends within its {count} spokes")
            one, size, azimuth, a, b, c, d, e, _, f = struct.unpack_from("<10I", unit, place)
            kind = _RD_KINDS.get((a, b, c, d, e, f))
            if one != 1 or size != 40 or kind is None or azimuth >= _RD_TURN:
                raise ProtocolError("an RD spoke whose header is of no kind that is known here")
            place += 40
            if unit[place : place + 4] == b"\x02\0\0\0":
                place += max(8, int.from_bytes(unit[place + 4 : place + 8], "little"))
            if place + 12 > len(unit):
                raise ProtocolError("an RD frame ends within a spoke")
            mark, size, octets = struct.unpack_from("<3I", unit, place)
            if mark & 0x7FFFFFFF != 3 or size < octets + 8 or place + max(size, 12 + octets) > len(unit):
                raise ProtocolError(f"an RD spoke states {octets} octets in {size} of {len(unit) - place}")
            antenna = self._antenna(stream, None)
            cells, top = _rd_cells(unit[place + 12 : place + 12 + octets], *kind)
            degrees = (azimuth + _RD_TURN // 2) % _RD_TURN * (360.0 / _RD_TURN)
            antenna.note(self, azimuth, _RD_TURN, degrees, at.t_s)
            yield self._spoke(antenna, degrees, range_m, cells, azimuth, at, top)
            place += max(size, 12 + octets)

    def _spoke(
        self, antenna: Antenna, degrees: float, range_m: float, cells: NDArray[np.uint8], number: int, at: Stamp,
        top: int,
    ) -> Spoke:  # fmt: skip
        o = self.options
        self.counters["no_range"] += range_m <= 0.0
        return Spoke(
            at_s=at.t_s,
            source=antenna.source,
            stream=antenna.stream,
            angle_deg=wrap360(degrees + o.bearing_bias_deg),
            heading_deg=self._no_heading(at.t_s),
            range_m=max(0.0, range_m * o.range_scale + o.range_bias_m) if range_m > 0.0 else 0.0,
            samples=cells,
            status=0,
            scan_number=number,
            valid=range_m > 0.0,
            top_level=top,
            doppler=(254, 255) if o.doppler and top == 255 else None,
        )


def unrun(data: bytes, size: int) -> bytes:
    """`5C count value` expanded; zeros where the data give less than `size` octets.

    Raises:
        ProtocolError: a run that is cut off, or more octets than that.

    """
    out = bytearray()
    at = 0
    while at < len(data):
        run = data.find(RUN, at)
        if run < 0:
            out += data[at:]
            break
        out += data[at:run]
        if run + 3 > len(data):
            raise ProtocolError("a spoke ends within a run")
        out += data[run + 2 : run + 3] * data[run + 1]
        at = run + 3
        if len(out) > size:
            break
    if len(out) > size:
        raise ProtocolError(f"a spoke expands to more than its {size} samples")
    return bytes(out.ljust(size, b"\0"))


def _rd_cells(data: bytes, hd: bool, samples: int) -> tuple[NDArray[np.uint8], int]:
    """(samples, the highest level of their coding)."""
    if hd:
        cells, top = np.right_shift(np.frombuffer(unrun(data, samples), np.uint8), 1, dtype=np.uint8), 127
    else:
        octets = np.frombuffer(unrun(data, samples // 2), np.uint8)
        cells, top = np.stack((octets & 15, octets >> 4), axis=1).reshape(-1).astype(np.uint8), 15
    cells.setflags(write=False)
    return cells, top
