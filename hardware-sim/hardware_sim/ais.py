"""AIS messages from the bits up: ITU-R M.1371-5, annex 8, and the VDM sentence of IEC 61162-1.

Promises:
- messages 1 and 4 (168 bits), 5 (424), 14 (40 and the text), 18 (168), 21 (272), 24 part A (160) and B (168), every bit
  accounted for;
- what a station does not know is sent as the standard's "not available" value, never as zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from hardware_sim import nmea
from hardware_sim.geo import KNOT_MPS

_SIX_BIT = "@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_ !\"#$%&'()*+,-./0123456789:;<=>?"
_CHUNK = 56
"""Payload characters per sentence: keeps the longest sentence under 82."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """What a position report says. `turn_dpm` in degrees per minute; `nav_status` 0: under way, 1: at anchor."""

    mmsi: int
    lat: float
    lon: float
    sog_mps: float
    cog_deg: float
    heading_deg: float | None
    turn_dpm: float = 0.0
    nav_status: int = 0
    utc_second: int = 60
    accurate: bool = False
    ais_class: str = "A"

    @property
    def sart(self) -> bool:
        """Whether it comes from a search and rescue transmitter."""
        return self.mmsi // 1_000_000 == 970


@dataclass(frozen=True, slots=True, kw_only=True)
class Static:
    """What a static report says. `part`: 5 (class A), 24 or 25 (class B, message 24 parts A and B)."""

    mmsi: int
    name: str
    callsign: str
    ship_type: int
    length_m: float
    beam_m: float
    draught_m: float = 0.0
    destination: str = ""
    part: int = 5

    @property
    def dimensions(self) -> tuple[int, int, int, int]:
        """To bow, stern, port, starboard, whole metres; aerial two thirds aft, amidships."""
        length, beam = max(1, round(self.length_m)), max(1, round(self.beam_m))
        bow, port = length * 2 // 3, beam // 2
        return min(bow, 511), min(length - bow, 511), min(port, 63), min(beam - port, 63)


@dataclass(frozen=True, slots=True, kw_only=True)
class Aton:
    """What an aid to navigation says of itself. `aid_type`: ITU-R M.1371-5, table 74."""

    mmsi: int
    name: str
    aid_type: int
    lat: float
    lon: float
    utc_second: int
    length_m: float
    beam_m: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SafetyText:
    """Safety-related broadcast text."""

    mmsi: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """What a base station says: where it stands and what time it is."""

    mmsi: int
    lat: float
    lon: float
    unix_s: float


Message = Position | Static | Aton | SafetyText | Base


class Bits:
    """A message under construction, most significant bit first."""

    def __init__(self) -> None:
        self._text = ""

    def __len__(self) -> int:
        return len(self._text)

    def unsigned(self, value: int, width: int) -> Bits:
        """`width` bits of a number that must fit."""
        if not 0 <= value < 1 << width:
            raise ValueError(f"{value} does not fit into {width} bits")
        self._text += f"{value:0{width}b}"
        return self

    def signed(self, value: int, width: int) -> Bits:
        """Two's complement."""
        return self.unsigned(value & ((1 << width) - 1), width)

    def text(self, value: str, chars: int) -> Bits:
        """Six-bit text, padded with @; what the alphabet lacks becomes a blank."""
        for c in value.upper()[:chars].ljust(chars, "@"):
            index = _SIX_BIT.find(c)
            self.unsigned(index if index >= 0 else 32, 6)
        return self

    def armoured(self) -> tuple[str, int]:
        """(payload characters, fill bits)."""
        fill = -len(self._text) % 6
        bits = self._text + "0" * fill
        values = (int(bits[i : i + 6], 2) for i in range(0, len(bits), 6))
        return "".join(chr(v + 48 if v < 40 else v + 56) for v in values), fill


def wire_knots(sog_mps: float) -> float:
    """A speed as messages carry it: tenths of a knot, at most 102.2."""
    return min(1022, round(sog_mps / KNOT_MPS * 10.0)) / 10.0


def _motion(bits: Bits, p: Position) -> Bits:
    """Speed, accuracy, longitude, latitude, course, heading, second: the run that messages 1 and 18 share."""
    bits.unsigned(round(wire_knots(p.sog_mps) * 10.0), 10).unsigned(int(p.accurate), 1)
    bits.signed(round(p.lon * 600_000), 28).signed(round(p.lat * 600_000), 27)
    bits.unsigned(round(p.cog_deg * 10.0) % 3600, 12)
    return bits.unsigned(511 if p.heading_deg is None else round(p.heading_deg) % 360, 9).unsigned(p.utc_second, 6)


def position_a(p: Position) -> Bits:
    """Message 1: position report of a class A station."""
    turn = 4.733 * abs(p.turn_dpm) ** 0.5
    turn = round(min(126.0, turn)) * (-1 if p.turn_dpm < 0 else 1)
    bits = Bits().unsigned(1, 6).unsigned(0, 2).unsigned(p.mmsi, 30).unsigned(p.nav_status, 4).signed(turn, 8)
    _motion(bits, p)
    return bits.unsigned(0, 2 + 3 + 1).unsigned(0, 19)  # manoeuvre, spare, RAIM, communication state (SOTDMA, in sync)


def static_a(s: Static) -> Bits:
    """Message 5: static and voyage data of a class A station."""
    bits = Bits().unsigned(5, 6).unsigned(0, 2).unsigned(s.mmsi, 30).unsigned(0, 2).unsigned(0, 30)
    bits.text(s.callsign, 7).text(s.name, 20).unsigned(s.ship_type, 8)
    _dimensions(bits, s).unsigned(1, 4)  # GPS
    bits.unsigned(0, 4).unsigned(0, 5).unsigned(24, 5).unsigned(60, 6)  # no arrival time: month, day, hour, minute
    bits.unsigned(min(255, round(s.draught_m * 10)), 8).text(s.destination, 20)
    return bits.unsigned(0, 2)  # data terminal ready, spare


def position_b(p: Position) -> Bits:
    """Message 18: position report of a class B carrier-sense station."""
    bits = Bits().unsigned(18, 6).unsigned(0, 2).unsigned(p.mmsi, 30).unsigned(0, 8)
    _motion(bits, p)
    bits.unsigned(0, 2)  # spare
    if p.ais_class == "B-SO":  # SOTDMA, no display, DSC, whole band, message 22, autonomous, no RAIM; state: in sync
        return bits.unsigned(0b0011100, 7).unsigned(0, 1).unsigned(0, 19)
    # carrier sense, then as above; state: CSTDMA's fixed value
    return bits.unsigned(0b1011100, 7).unsigned(1, 1).unsigned(0b1100000000000000110, 19)


def static_b(s: Static) -> tuple[Bits, Bits]:
    """Message 24, parts A (name) and B (type, callsign, size)."""
    head = (24, 6), (0, 2), (s.mmsi, 30)
    a, b = Bits(), Bits()
    for value, width in head:
        a.unsigned(value, width)
        b.unsigned(value, width)
    a.unsigned(0, 2).text(s.name, 20)
    b.unsigned(1, 2).unsigned(s.ship_type, 8).text("SIM", 3).unsigned(0, 4).unsigned(1, 20).text(s.callsign, 7)
    _dimensions(b, s).unsigned(1, 4).unsigned(0, 2)
    return a, b


def aton(a: Aton) -> Bits:
    """Message 21: aid-to-navigation report."""
    bits = Bits().unsigned(21, 6).unsigned(0, 2).unsigned(a.mmsi, 30).unsigned(a.aid_type, 5).text(a.name, 20)
    bits.unsigned(0, 1).signed(round(a.lon * 600_000), 28).signed(round(a.lat * 600_000), 27)
    half, side = max(1, round(a.length_m / 2.0)), max(1, round(a.beam_m / 2.0))
    bits.unsigned(half, 9).unsigned(half, 9).unsigned(side, 6).unsigned(side, 6)
    bits.unsigned(7, 4).unsigned(a.utc_second, 6)  # surveyed position
    return bits.unsigned(0, 1).unsigned(0, 8).unsigned(0, 4)  # on position; regional; no RAIM, real, autonomous, spare


def safety_text(s: SafetyText) -> Bits:
    """Message 14: safety-related broadcast."""
    bits = Bits().unsigned(14, 6).unsigned(0, 2).unsigned(s.mmsi, 30).unsigned(0, 2)
    return bits.text(s.text, len(s.text))


def base(b: Base) -> Bits:
    """Message 4: base station report."""
    at = datetime.fromtimestamp(b.unix_s, UTC)
    bits = Bits().unsigned(4, 6).unsigned(0, 2).unsigned(b.mmsi, 30).unsigned(at.year, 14).unsigned(at.month, 4)
    bits.unsigned(at.day, 5).unsigned(at.hour, 5).unsigned(at.minute, 6).unsigned(at.second, 6).unsigned(1, 1)
    bits.signed(round(b.lon * 600_000), 28).signed(round(b.lat * 600_000), 27)
    return bits.unsigned(7, 4).unsigned(0, 1 + 9 + 1).unsigned(0, 19)  # surveyed; spare, RAIM, communication state


def encoded(m: Message) -> Bits:
    """The bits of any message."""
    match m:
        case Position():
            return position_a(m) if m.ais_class == "A" else position_b(m)
        case Aton():
            return aton(m)
        case SafetyText():
            return safety_text(m)
        case Base():
            return base(m)
        case Static():
            return static_a(m) if m.part == 5 else static_b(m)[m.part - 24]


def _dimensions(bits: Bits, s: Static) -> Bits:
    bow, stern, port, starboard = s.dimensions
    return bits.unsigned(bow, 9).unsigned(stern, 9).unsigned(port, 6).unsigned(starboard, 6)


def vdm(bits: Bits, channel: str, group: int) -> bytes:
    """The message as one or more VDM sentences; `group` (0-9) ties several together."""
    payload, fill = bits.armoured()
    parts = [payload[i : i + _CHUNK] for i in range(0, len(payload), _CHUNK)]
    if len(parts) == 1:
        return nmea.sentence(f"AIVDM,1,1,,{channel},{payload},{fill}", "!")
    last = len(parts) - 1
    return b"".join(
        nmea.sentence(f"AIVDM,{len(parts)},{i + 1},{group},{channel},{part},{fill if i == last else 0}", "!")
        for i, part in enumerate(parts)
    )
