"""AIS from a receiver or transponder: VDM and VDO sentences, ITU-R M.1371-5.

Promises:
- messages 1, 2, 3, 5, 27 (class A), 18, 19, 24 (class B), 4 (base station), 21 (aid to navigation), 9 (SAR aircraft)
  give one `Ais` each; others are counted in `other`;
- what a station marks as not available is None: 181/91 degrees, 102.3 kn, course 360, heading 511, empty names, ship
  type 0, dimensions 0. So is what cannot be: latitude 97, heading 400;
- SARTs, man-overboard devices and EPIRBs (MMSI 970, 972, 974) have the kind "sart" whatever the message;
- the MMSI is passed on as sent. One that the ITU does not assign (0, fewer than 9 digits but for base stations...) is
  counted in `mmsi_invalid`; who names vessels by it has to look;
- parts of a message are put together in any order, kept for at most 30 s and 64 messages, told apart by TAG-block group
  where there is one; what never completes is counted in `fragments_lost`;
- a payload that is too short for its message is an error, never read as zeros.

pyais reads the bits. Met in the field and accepted: no channel, an extra `,0` before the checksum, reception data
after it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pyais
from pyais.exceptions import AISBaseException

from agent.drivers.nmea import NmeaDecoder, SentencePart
from agent.errors import ProtocolError
from agent.geo import KNOT_MPS
from agent.messages import Ais

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Mapping, Sequence

    from agent.drivers.nmea import Handler, NmeaOptions, Where
    from agent.messages import Measurement

MAX_PENDING = 64  # messages with parts missing
PENDING_LIFE_S = 30.0  # parts follow each other within a second; a relay may take longer
MAX_PARTS = 9
_ARMOUR = "".join(chr(c) for c in (*range(48, 88), *range(96, 120)))
_PAYLOAD = str.maketrans("", "", _ARMOUR)  # deletes every character that may stand in a payload


class _Kind(NamedTuple):
    """What a message type is: the station's kind, the fewest bits that hold its facts, speed in knots not available."""

    kind: str
    bits: int
    no_speed: float = 102.25


_TYPES = {
    1: _Kind("a", 143),  # to the second; the radio state at the end is cut by some receivers
    2: _Kind("a", 143),
    3: _Kind("a", 143),
    4: _Kind("base", 138),
    5: _Kind("a", 422),  # 424, but two bits short is common
    9: _Kind("sar", 134, 1022.5),
    18: _Kind("b", 139),
    19: _Kind("b", 301),
    21: _Kind("aton", 249),
    24: _Kind("b", 160),  # part A; part B see _PART_B_BITS
    27: _Kind("a", 95, 62.5),
}
_PART_B_BITS = 162
_DISTRESS = (970, 972, 974)


class _Pending:
    """A message with parts missing."""

    __slots__ = ("parts", "since_s")

    def __init__(self, since_s: float) -> None:
        self.since_s = since_s
        self.parts: dict[int, tuple[str, str]] = {}


class AisPart(SentencePart):
    """VDM (others) and VDO (own station)."""

    def __init__(self, source: str, options: NmeaOptions, counters: Counter[str]) -> None:
        super().__init__(source, options, counters)
        self._pending: dict[tuple[str, str, str, str, int], _Pending] = {}

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """Both are read alike."""
        return {"VDM": self._vdm, "VDO": self._vdm}

    def _vdm(self, f: list[str], t_s: float, where: Where) -> Sequence[Measurement] | None:
        """!--VDM,parts,part,message id,channel,payload,fill bits."""
        if len(f) < 7:
            raise ProtocolError(f"{f[0][-3:]} has {len(f) - 1} fields, not 6")
        payload, fill = f[5], f[6]
        if len(fill) != 1 or fill not in "012345":
            raise ProtocolError(f"{f[0][-3:]} fill bits are {fill[:20]!r}, not 0 to 5")
        if payload.translate(_PAYLOAD):
            raise ProtocolError(f"{f[0][-3:]} payload holds {payload.translate(_PAYLOAD)[:10]!r}: not six-bit armour")
        if fill != "0" and not payload:
            raise ProtocolError(f"{f[0][-3:]} has fill bits and no payload")
        if f[1] != "1":
            joined = self._join(f, t_s, where)
            if joined is None:
                self.counters["fragments"] += 1
                return None
            payload, fill = joined
        elif f[2] != "1":
            raise ProtocolError(f"{f[0][-3:]} is part {f[2][:20]!r} of 1")
        return self._message(payload, fill, t_s) if payload else ()

    def _join(self, f: list[str], t_s: float, where: Where) -> tuple[str, str] | None:
        """(payload, fill) once the last missing part is here."""
        try:
            total, part = int(f[1]), int(f[2])
        except ValueError:
            raise ProtocolError(f"{f[0][-3:]} is part {f[2][:20]!r} of {f[1][:20]!r}: not numbers") from None
        if not (1 < total <= MAX_PARTS and 1 <= part <= total):
            raise ProtocolError(f"{f[0][-3:]} is part {part} of {total}: a message has at most {MAX_PARTS}")
        stream, tag = where
        group = tag.group if tag is not None else None
        key = (stream, "" if group is None else str(group[2]), f[0], f[3], total)
        pending = self._pending.get(key)
        if pending is not None and (part in pending.parts or t_s - pending.since_s > PENDING_LIFE_S):
            self._lose(key)  # the id comes round again: what waits is of an older message
            pending = None
        if pending is None:
            self._forget(t_s)
            pending = self._pending[key] = _Pending(t_s)
        pending.parts[part] = (f[5], f[6])
        if len(pending.parts) < total:
            return None
        del self._pending[key]
        return "".join(pending.parts[n][0] for n in range(1, total + 1)), pending.parts[total][1]

    def _forget(self, t_s: float) -> None:
        old = [key for key, pending in self._pending.items() if t_s - pending.since_s > PENDING_LIFE_S]
        for key in old:
            self._lose(key)
        while len(self._pending) >= MAX_PENDING:
            self._lose(next(iter(self._pending)))

    def _lose(self, key: tuple[str, str, str, str, int]) -> None:
        self.counters["fragments_lost"] += len(self._pending.pop(key).parts)

    def _message(self, payload: str, fill: str, t_s: float) -> Sequence[Measurement] | None:
        code = ord(payload[0]) - 48
        kind = _TYPES.get(code if code < 40 else code - 8)
        if kind is None:
            self.counters["other"] += 1
            return None
        bits = 6 * len(payload) - int(fill)
        if bits < kind.bits:
            raise ProtocolError(f"AIS message {code} has {bits} bits, not at least {kind.bits}")
        sentence = f"!AIVDM,1,1,,A,{payload},{fill}*00"  # pyais does not look at the checksum; it was checked above
        try:
            message: Any = pyais.decode(sentence)
        except (AISBaseException, ValueError, KeyError, IndexError, TypeError) as e:
            raise ProtocolError(f"AIS message {code} cannot be read: {e}") from e
        if getattr(message, "partno", 0) == 1 and bits < _PART_B_BITS:
            raise ProtocolError(f"AIS message 24 part B has {bits} bits, not at least {_PART_B_BITS}")
        return (self._ais(message, kind, t_s),)

    def _ais(self, m: Any, kind: _Kind, t_s: float) -> Ais:
        mmsi = int(m.mmsi)
        if not mmsi_assigned(mmsi):
            self.counters["mmsi_invalid"] += 1
        lat, lon = _place(m)
        length_m, beam_m = _size(m)
        return Ais(
            at_s=t_s,
            source=self.source,
            mmsi=mmsi,
            kind="sart" if mmsi // 1_000_000 in _DISTRESS else kind.kind,
            msg_type=int(m.msg_type),
            lat=lat,
            lon=lon,
            sog_mps=_below(getattr(m, "speed", None), kind.no_speed, KNOT_MPS),
            cog_deg=_below(getattr(m, "course", None), 360.0),
            heading_deg=_below(getattr(m, "heading", None), 360.0),
            nav_status=_integer(getattr(m, "status", None)),
            accurate=None if lat is None else bool(m.accuracy),
            ship_type=_integer(getattr(m, "ship_type", None)) or None,
            name=_text(getattr(m, "shipname", None) or getattr(m, "name", None), getattr(m, "name_ext", None)),
            callsign=_text(getattr(m, "callsign", None)),
            length_m=length_m,
            beam_m=beam_m,
        )


def mmsi_assigned(mmsi: int) -> bool:
    """Whether the ITU assigns such numbers at all (M.585): ships, groups, coast stations, aircraft, aids, craft."""
    text = f"{mmsi:09d}"
    if len(text) > 9:
        return False
    at = {"00": 2, "0": 1, "111": 3, "98": 2, "99": 2, "8": 1}
    start = next((n for prefix, n in at.items() if text.startswith(prefix)), 0)
    return "201" <= text[start : start + 3] <= "775" or mmsi // 1_000_000 in _DISTRESS


def _place(m: Any) -> tuple[float | None, float | None]:
    lat, lon = getattr(m, "lat", None), getattr(m, "lon", None)
    if lat is None or lon is None or not (-90.0 <= lat <= 90.0 and -180.0 <= lon <= 180.0):
        return None, None
    return float(lat), float(lon)


def _size(m: Any) -> tuple[float | None, float | None]:
    """(length, beam) from the distances of the antenna to bow, stern, port and starboard."""
    bow, stern = getattr(m, "to_bow", None), getattr(m, "to_stern", None)
    port, starboard = getattr(m, "to_port", None), getattr(m, "to_starboard", None)
    return float((bow or 0) + (stern or 0)) or None, float((port or 0) + (starboard or 0)) or None


def _below(value: float | None, limit: float, factor: float = 1.0) -> float | None:
    return value * factor if value is not None and 0.0 <= value < limit else None


def _integer(value: Any) -> int | None:
    return None if value is None else int(value)


def _text(*parts: str | None) -> str | None:
    """A name without AIS's padding (`@`, blanks)."""
    return "".join(p for p in parts if p).split("@", 1)[0].strip() or None


class AisDecoder(NmeaDecoder):
    """Driver `ais`: what other stations say of themselves."""

    parts = (AisPart,)
