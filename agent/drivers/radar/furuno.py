"""Furuno DRS and FAR radars of the NavNet network: radar video in the "IMO echo" frames that all of them send.

Promises:
- receive-only: no login, no keep-alive, so the radar has to be kept transmitting by its own display;
- encodings 0 (raw) to 3; only encoding 3 has been checked against captures (DRS4D-NXT, DRS4W), the others are read only
  with `unverified = true` and refused otherwise, each frame one error;
- after a lost or broken frame, what would be copied from it is empty until the radar sends it anew: echoes may be
  missing for some sweeps, none is invented;
- a radar with two ranges is two sources (the frame says which).

Protocol: reverse-engineered by the mayara project. UDP 10024, to 239.255.0.2 or broadcast. Header of 16 octets: 0 the
constant 2 | 1 sequence | 8, 9 length, and sweeps in bits 1-7 of 9 | 10, 11 samples of a sweep (11 bits), encoding in
bits 3-4 of 11, heading valid in bit 5 | 12 range's slot (6 bits) | 14, 15 samples that the selected range has (11
bits), which range of two in bit 6 of 15. Then sweeps, each padded to 4 octets: u16 angle, u16 heading (8,192 a turn,
little endian), samples. The slot says nothing of its unit: `range_unit`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from agent.drivers.radar.framed import VideoDecoder
from agent.drivers.radar.video import Spoke, VideoOptions
from agent.errors import ProtocolError
from agent.geo import NM_M, wrap360

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.drivers.radar.framed import Antenna
    from agent.messages import Stamp

HEADER = 16
TURN = 8192
MAGIC = 2
# ranges by their slot, in the display's unit
RANGES = {
    21: 0.0625, 0: 0.125, 1: 0.25, 2: 0.5, 3: 0.75, 4: 1.0, 5: 1.5, 6: 2.0, 7: 3.0, 8: 4.0, 9: 6.0, 10: 8.0, 11: 12.0,
    12: 16.0, 13: 24.0, 14: 32.0, 19: 36.0, 15: 48.0, 20: 64.0, 16: 72.0, 17: 96.0, 18: 120.0,
}  # fmt: skip
_VERIFIED = 3


class FurunoOptions(VideoOptions):
    """Options of a Furuno radar: those of all radar video, and what its frames leave open."""

    range_unit: Literal["nm", "km"] = Field(default="nm", description="what the radar's display is set to")
    unverified: bool = Field(
        default=False, description="read encodings 0 to 2 too, which no recording confirms: compare with the display"
    )


class FurunoDecoder(VideoDecoder):
    """Driver `furuno`. Further counter: frames_lost."""

    Options = FurunoOptions
    options: FurunoOptions

    def __init__(self, source: str, options: FurunoOptions | None = None) -> None:
        super().__init__(source, options)
        self._unit_m = NM_M if self.options.range_unit == "nm" else 1000.0
        self._sweeps: dict[tuple[str, int], tuple[int, bytes]] = {}  # sequence number and last sweep

    def _frame_size(self, data: bytes, at: int) -> int | None:
        """Frames of a recording without addresses cannot be told apart: their sweeps state no length."""
        return 0 if at < len(data) else None

    def _decode_unit(self, unit: bytes, at: Stamp, stream: str) -> Iterator[Spoke]:
        if not unit or unit[0] != MAGIC:
            self.counters["ignored"] += 1
            return
        if len(unit) < HEADER:
            raise ProtocolError(f"a Furuno frame of {len(unit)} bytes is shorter than its header")
        count, samples = unit[9] >> 1, (unit[11] & 7) << 8 | unit[10]
        encoding = unit[11] >> 3 & 3
        scale = (unit[15] & 7) << 8 | unit[14]
        if not samples or not count:
            raise ProtocolError(f"a Furuno frame states {count} sweeps of {samples} samples")
        if encoding != _VERIFIED and not self.options.unverified:
            raise ProtocolError(
                f"Furuno encoding {encoding}, which no recording confirms: set unverified = true and compare"
            )
        second = unit[15] >> 6 & 1
        antenna = self._antenna(stream, second, suffix="b" if second else "")
        before, sweep = self._sweeps.get((stream, second), (-1, b""))
        if (unit[1] - before) % 256 not in (0, 1) and before >= 0:
            self.counters["frames_lost"] += (unit[1] - before) % 256 - 1
            sweep = b""
        range_m = RANGES.get(unit[12] & 0x3F, 0.0) * self._unit_m * (samples / scale if 0 < scale < samples else 1.0)
        place = HEADER
        try:
            for n in range(count):
                if place + 4 > len(unit):
                    raise ProtocolError(f"a Furuno frame of {len(unit)} bytes ends within its {count} sweeps")
                angle, heading = unit[place] | unit[place + 1] << 8, unit[place + 2] | unit[place + 3] << 8
                if angle >= TURN:
                    raise ProtocolError(f"a Furuno sweep states the angle {angle}, beyond {TURN}")
                # encoding 2 begins each frame with a sweep that stands alone
                sweep, used = unfold(unit, place + 4, samples, 1 if encoding == 2 and n == 0 else encoding, sweep)
                place += 4 + (used + 3 & ~3)
                heading_deg = heading * (360.0 / TURN) if unit[11] & 0x20 and heading < TURN else None
                yield self._spoke(antenna, angle, heading_deg, range_m, sweep, at)
        except ProtocolError:
            sweep = b""
            raise
        finally:
            self._sweeps[stream, second] = (unit[1], sweep)

    def _spoke(
        self, antenna: Antenna, angle: int, heading_deg: float | None, range_m: float, sweep: bytes, at: Stamp
    ) -> Spoke:
        degrees = angle * (360.0 / TURN)
        # sweeps are 2 to 4 angles apart, as the radar turns: what is lost shows in the turn's count, not in this number
        antenna.note(self, antenna.number + 1, 1 << 62, degrees, at.t_s)
        o = self.options
        if heading_deg is None or not o.trust_heading:
            heading_deg = self._no_heading(at.t_s)
        return Spoke(
            at_s=at.t_s,
            source=antenna.source,
            stream=antenna.stream,
            angle_deg=wrap360(degrees + o.bearing_bias_deg),
            heading_deg=heading_deg,
            range_m=max(0.0, range_m * o.range_scale + o.range_bias_m),
            samples=np.frombuffer(sweep, np.uint8),
            status=0,
            scan_number=angle,
            valid=range_m > 0.0,
            top_level=252,
        )


def unfold(data: bytes, at: int, samples: int, encoding: int, before: bytes) -> tuple[bytes, int]:
    """(one sweep, octets used); `before` is the sweep to copy from, empty where it is not known.

    Encoding 1: even octets are strengths, odd ones repeat the last strength (octet >> 1, 0 for 128) times. 2: odd ones
    copy so many samples of the sweep before. 3: multiples of 4 are strengths; of the others, octet >> 2 (0 for 64) is a
    count: bit 0 set repeats the strength, otherwise the sweep before is copied.

    Raises:
        ProtocolError: the data end before the sweep does.

    """
    if encoding == 0:
        if at + samples > len(data):
            raise ProtocolError("a Furuno sweep ends beyond its frame")
        return data[at : at + samples], samples
    out = bytearray()
    strength, began = 0, at
    shift, most, mask = (2, 64, 3) if encoding == 3 else (1, 128, 1)
    while len(out) < samples:
        if at >= len(data):
            raise ProtocolError("a Furuno sweep ends beyond its frame")
        octet = data[at]
        at += 1
        if not octet & mask:
            strength = octet
            out.append(octet)
            continue
        count = octet >> shift or most
        if encoding == 1 or (encoding == 3 and octet & 1):
            out += bytes((strength,)) * count
        else:
            here = len(out)
            out += before[here : here + count].ljust(count, b"\0")
            strength = out[-1]
    return bytes(out[:samples]), at - began
