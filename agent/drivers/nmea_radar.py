"""Targets that a radar tracks by itself (ARPA), as NMEA 0183 sentences: TTM and TLL, named by TLB.

Promises:
- SI units whatever the sentence used (K: km and km/h, N: nautical miles and knots, S: statute miles and mph; blank: N);
- bearings are true: a bearing relative to the bow is turned by `heading_deg`, else by a heading of at most 10 s heard
  on the same line (HDT, THS, OSD), and without either it is refused, never passed on as true;
- speed and course that the radar marks as relative motion stay so, and say so (`TrackReport.relative`).

Sources: IEC 61162-1; real sentences of Furuno, OpenCPN's radar_pi and go-nmea's tests. Met in the field and accepted:
blank T/R (read as T), fields padded with blanks, an extra comma at the end, three- and four-digit target numbers, the
older TTM that ends at its 13th field. OSD and RSD are checked and give no measurement. TTD: see `experimental_ttd`.
"""

from __future__ import annotations

import operator
import re
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from agent.drivers.nmea import (
    NmeaDecoder,
    NmeaOptions,
    SentencePart,
    all_right,
    angle,
    label,
    letter,
    number,
    position,
    time_of_day_s,
)
from agent.errors import ProtocolError
from agent.geo import KNOT_MPS, NM_M, wrap360
from agent.messages import TrackReport

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Mapping, Sequence

    from agent.drivers.base import DriverOptions
    from agent.drivers.nmea import Handler, Other, Where
    from agent.messages import Measurement

HEADING_LIFE_S = 10.0
MAX_KNOWN = 8192  # texts remembered: radars give directions to a tenth of a degree, so that they come again and again
MAX_LABELS = 1024  # more than any radar has target numbers
_UNITS = {"N": (NM_M, KNOT_MPS), "K": (1000.0, 1.0 / 3.6), "S": (1609.344, 0.44704)}  # metres, metres per second
_UNITS[""] = _UNITS["N"]
# TTM in nearly every form that radars send, and else a line of any kind. Checked here and no more: CPA, TCPA, time
_MOST = 1e7  # as for every number
_FIGURE, _TEXT = rb"([0-9.]++)", rb"[^,*\r\n]*+"
_USUAL, _NUMBER = rb"-?+[0-9]{1,6}+\.[0-9]*+", rb"-?+[0-9]{1,6}+(?:\.[0-9]*+)?+"
_NEXT = rb"(?:" + _USUAL + b"," + _USUAL + rb"| *+, *+|" + _NUMBER + b"," + _NUMBER + rb")"
_TIME = rb"(?:(?:[01][0-9]|2[0-3])[0-5][0-9](?:[0-5][0-9]|60)(?:\.[0-9]*+)?+| *+)"
_LINES = re.compile(
    rb"\$([^P\r\n][^\r\n]TTM,( *+[0-9]{1,4}+)," + _FIGURE + rb",([0-9.]++,[TR]?+)," + _FIGURE
    + rb",([0-9.]++,[TR]?+)," + _NEXT + rb",(" + _TEXT + rb"," + _TEXT + rb"," + _TEXT + rb",?+" + _TEXT
    + rb")(?:," + _TIME + rb"(?:,[^*\r\n]*+)?+)?+)\*([0-9A-Fa-f]{2})\r\n|([^\n]*+\n)"
)  # fmt: skip
_BODY, _CHECK = map(operator.itemgetter, (0, 7))
_TTD_TARGET_BITS = 90
_TTD_STATUS = {0: "", 1: "Q", 2: "L", 4: "T", 6: "T"}


# A report while it is made: the same slots, not yet frozen. Set so and then given its class it costs a third of what a
# frozen dataclass's own way does.
_Draft: Any = type("_Draft", (), {"__slots__": TrackReport.__slots__})
_new = object.__new__


class _Bow(float):
    """A direction relative to the bow, or a course of relative motion."""

    __slots__ = ()


class _Known(dict[bytes, Any]):
    """What a text means, looked up once: reading a figure takes five times as long as knowing it.

    Raises:
        ProtocolError: the text means nothing.

    """

    def __init__(self, read: Callable[[str], Any]) -> None:
        super().__init__()
        self._read = read

    def __missing__(self, text: bytes) -> Any:
        if len(self) >= MAX_KNOWN:
            self.clear()
        value = self[text] = self._read(text.decode("latin-1"))
        return value


class NmeaRadarOptions(NmeaOptions):
    """Options of the ARPA sentences."""

    heading_deg: float | None = Field(
        default=None,
        ge=0.0,
        lt=360.0,
        description="true direction of a fixed antenna's zero, for bearings relative to it",
    )
    experimental_ttd: bool = Field(
        default=False,
        description="decode TTD by a layout that no public source confirms; compare with the radar's screen first",
    )


class RadarPart(SentencePart):
    """TTM, TLL, TLB, TTD, OSD, RSD, and the headings that relative bearings need."""

    options: NmeaRadarOptions

    def __init__(self, source: str, options: NmeaRadarOptions, counters: Counter[str]) -> None:
        super().__init__(source, options, counters)
        self._heading: tuple[float, float] | None = None  # (t_s, degrees)
        self._labels: dict[int, str] = {}
        self._numbers, self._speeds, self._directions, self._tails = map(_Known, (_target, _speed, _direction, _tail))

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """The sentences of a radar."""
        return {
            "TTM": self._ttm,
            "TLL": self._tll,
            "TLB": self._tlb,
            "TTD": self._ttd,
            "OSD": self._osd,
            "RSD": self._rsd,
            "HDT": self._hdt,
            "THS": self._hdt,
        }

    def quick(self, block: bytes, t_s: float, other: Other) -> list[Measurement] | None:
        """TTM to the same result as `_ttm`: with the checksums of all at once, and texts that were met before."""
        if block[:1] != b"$":
            return None
        lines = _LINES.findall(block)
        bodies, checks = [*map(_BODY, lines)], [*map(_CHECK, lines)]
        if b"" in bodies:
            bodies, checks = [*filter(None, bodies)], [*filter(None, checks)]
        if 2 * len(bodies) < len(lines) or not all_right(bodies, checks):
            return None
        source, labels, new, draft = self.source, self._labels, _new, _Draft
        numbers, directions, speeds, tails = self._numbers, self._directions, self._speeds, self._tails
        out: list[Measurement] = []
        add, others, last = out.append, 0, b""
        metres, mps, status, name = 0.0, 0.0, "", None
        for body, number_, distance, bearing, speed, course, tail, check, line in lines:
            if not body:
                others += 1
                out += other(line)
                continue
            try:
                if tail != last:
                    metres, mps, status, name = tails[tail]
                    last = tail
                b, c = directions[bearing], directions[course]
                if type(b) is not float:
                    b = self._true(b, t_s)
                range_ = float(distance)
                if range_ >= _MOST:
                    raise ProtocolError("the distance is too large")
                m = new(draft)  # one statement a field: several in one make a tuple first
                m.at_s = t_s
                m.source = source
                m.number = number = numbers[number_]
                m.status = status
                m.range_m = range_ * metres
                m.bearing_deg = b
                m.lat = None
                m.lon = None
                m.sog_mps = speeds[speed] * mps
                if type(c) is float:
                    m.cog_deg = c
                    m.relative = False
                else:
                    m.cog_deg = float(c)
                    m.relative = True
                m.name = (name or labels.get(number)) if labels else name
                m.__class__ = TrackReport
                add(m)
            except (ProtocolError, ValueError):  # ValueError: two points in a figure; to be told as any other line
                others += 1
                out += other(b"$%b*%b\r\n" % (body, check))
        self.counters["units"] += len(lines) - others
        self.counters["used"] += len(lines) - others
        return out

    def _ttm(self, f: list[str], t_s: float, _where: Where) -> Sequence[Measurement]:
        """$--TTM,no,distance,bearing,T/R,speed,course,T/R,CPA,TCPA,units,name,status,R,time,acquisition."""
        if len(f) < 13:
            raise ProtocolError(f"TTM has {len(f) - 1} fields, not 13 to 15")
        target = _target(f[1])
        units = f[10].strip()
        if units not in _UNITS:
            raise ProtocolError(f"TTM units are {units[:20]!r}, not K, N or S")
        metres, mps = _UNITS[units]
        distance, bearing = number(f[2], "TTM distance"), angle(f[3], "TTM bearing")
        speed, course = number(f[5], "TTM speed"), angle(f[6], "TTM course")
        bow = letter(f[4], "TR", "TTM bearing reference") == "R"
        relative = letter(f[7], "TR", "TTM course reference") == "R"
        number(f[8], "TTM CPA")
        number(f[9], "TTM TCPA")
        status = letter(f[12], "LQT", "TTM status", "T")
        if len(f) > 13:
            letter(f[13], "R", "TTM reference target")
        if len(f) > 14:
            time_of_day_s(f[14])
        if distance is None or bearing is None:
            if status != "L":  # a lost target has no place any more; another without one tells nothing
                return ()
            distance = bearing = None
        elif distance < 0.0:
            raise ProtocolError(f"TTM distance is {distance:g}, below zero")
        elif bow:
            bearing = self._true(bearing, t_s)
        return (
            TrackReport(
                at_s=t_s,
                source=self.source,
                number=target,
                status=status,
                range_m=None if distance is None else distance * metres,
                bearing_deg=bearing,
                sog_mps=None if speed is None else speed * mps,
                cog_deg=course,
                relative=relative,
                name=label(f[11]) or self._labels.get(target),
            ),
        )

    def _tll(self, f: list[str], t_s: float, _where: Where) -> Sequence[Measurement]:
        """$--TLL,no,lat,N/S,lon,E/W,name,time,status,R. Without a number it is a mark of the operator, not a target."""
        if len(f) < 9:
            raise ProtocolError(f"TLL has {len(f) - 1} fields, not 9")
        place = position(f, 2)
        status = letter(f[8], "LQT", "TLL status", "T")
        time_of_day_s(f[7])
        if len(f) > 9:
            letter(f[9], "R", "TLL reference target")
        if not f[1].strip():
            return ()
        target = _target(f[1])
        if place is None and status != "L":
            return ()
        lat, lon = place or (None, None)
        name = label(f[6]) or self._labels.get(target)
        return (TrackReport(at_s=t_s, source=self.source, number=target, status=status, lat=lat, lon=lon, name=name),)

    def _tlb(self, f: list[str], _t_s: float, _where: Where) -> Sequence[Measurement]:
        """$--TLB,no,label,no,label... names targets of later sentences."""
        pairs = f[1:]
        if len(pairs) < 2 or len(pairs) % 2:
            raise ProtocolError(f"TLB has {len(pairs)} fields, not pairs of target number and label")
        for target_text, text in zip(pairs[::2], pairs[1::2], strict=True):
            value = number(target_text, "TLB target number")
            if value is None:
                continue
            target, name = int(value), label(text)
            if name is None:
                self._labels.pop(target, None)
            elif target in self._labels or len(self._labels) < MAX_LABELS:
                self._labels[target] = name
        return ()

    def _osd(self, f: list[str], t_s: float, _where: Where) -> Sequence[Measurement]:
        """$--OSD,heading,A/V,course,reference,speed,reference,set,drift,units: own ship as the radar sees it."""
        if len(f) < 10:
            raise ProtocolError(f"OSD has {len(f) - 1} fields, not 9")
        heading = angle(f[1], "OSD heading")
        valid = letter(f[2], "AV", "OSD heading status") != "V"
        angle(f[3], "OSD course")
        letter(f[4], "BMWRP", "OSD course reference")
        number(f[5], "OSD speed")
        letter(f[6], "BMWRP", "OSD speed reference")
        number(f[7], "OSD set")
        number(f[8], "OSD drift")
        letter(f[9], "KNS", "OSD units")
        if heading is not None and valid:
            self._heading = (t_s, heading)
        return ()

    def _rsd(self, f: list[str], _t_s: float, _where: Where) -> Sequence[Measurement]:
        """$--RSD: eleven figures of the radar's screen (cursor, markers, range scale), units, rotation."""
        if len(f) < 14:
            raise ProtocolError(f"RSD has {len(f) - 1} fields, not 13")
        for text in f[1:12]:
            number(text, "RSD figure")
        letter(f[12], "KNS", "RSD units")
        letter(f[13], "CHN", "RSD rotation")
        return ()

    def _hdt(self, f: list[str], t_s: float, _where: Where) -> Sequence[Measurement]:
        """$--HDT,x.x,T and $--THS,x.x,mode: only to turn relative bearings; they are the nav driver's to report."""
        heading = angle(f[1], "heading") if len(f) > 2 else None
        if heading is not None and f[2].strip() in ("T", "A"):
            self._heading = (t_s, heading)
        return ()

    def _true(self, bearing_deg: float, t_s: float) -> float:
        heading_deg = self.options.heading_deg
        if heading_deg is None and self._heading is not None and t_s - self._heading[0] <= HEADING_LIFE_S:
            heading_deg = self._heading[1]
        if heading_deg is None:
            raise ProtocolError(
                "the radar gives bearings relative to the bow and no heading is known: set the radar to north up, feed "
                "it a heading, or set heading_deg"
            )
        return wrap360(bearing_deg + heading_deg)

    # ---------------------------------------------------------------- TTD

    def _ttd(self, f: list[str], t_s: float, _where: Where) -> Sequence[Measurement] | None:
        """!--TTD,sentences (hex),sentence (hex),id,payload,fill bits."""
        if len(f) < 6:
            raise ProtocolError(f"TTD has {len(f) - 1} fields, not 5")
        for text in f[1:3]:
            if len(text) > 2 or not text or text.strip("0123456789ABCDEFabcdef"):
                raise ProtocolError(f"TTD sentence count is {text[:20]!r}, not two hex digits")
        bits, count = unarmour(f[4], f[5] if len(f) == 6 else f[-1])
        if not self.options.experimental_ttd:
            self.counters["unsupported"] += 1
            return None
        if count % _TTD_TARGET_BITS:
            raise ProtocolError(f"TTD carries {count} bits, not a multiple of {_TTD_TARGET_BITS}")
        shifts = range(count - _TTD_TARGET_BITS, -1, -_TTD_TARGET_BITS)
        reports = (self._ttd_target(bits >> shift, t_s) for shift in shifts)
        return tuple(r for r in reports if r is not None)

    def _ttd_target(self, bits: int, t_s: float) -> TrackReport | None:
        """One target of 90 bits, most significant first.

        Version 2, number 10, true bearing 12 (0.1 deg), speed 12 (0.1 kn), course 12 (0.1 deg), heading 12, status 3,
        operation 1, distance 14 (0.01 NM), relative 1, stabilisation 1, reserved 2, association 8. From memory of
        IEC 61162-1 edition 4; not confirmed by a recording.
        """

        def field(end: int, width: int) -> int:
            return bits >> (_TTD_TARGET_BITS - end) & ((1 << width) - 1)

        status = _TTD_STATUS.get(field(63, 3), "")
        bearing, speed, course = field(24, 12), field(36, 12), field(48, 12)
        if not status or bearing >= 3600:
            return None
        return TrackReport(
            at_s=t_s,
            source=self.source,
            number=field(12, 10),
            status=status,
            range_m=field(78, 14) * 0.01 * NM_M,
            bearing_deg=bearing / 10.0,
            sog_mps=speed * 0.1 * KNOT_MPS if speed < 4095 else None,
            cog_deg=course / 10.0 if course < 3600 else None,
            relative=bool(field(79, 1)),
        )


def _target(text: str) -> int:
    text = text.strip()
    if not text.isdecimal() or len(text) > 4:
        raise ProtocolError(f"target number is {text[:20]!r}, not one to four digits")
    return int(text)


def _speed(text: str) -> float | None:
    return number(text, "TTM speed")


def _direction(text: str) -> float:
    """Of direction,reference."""
    figure, reference = text.split(",")
    value = angle(figure, "TTM direction") or 0.0  # it is not blank
    return _Bow(value) if reference == "R" else value


def _tail(text: str) -> tuple[float, float, str, str | None]:
    """(metres, metres a second, status, name) of units,name,status and perhaps R."""
    units, name, status, *reference = text.split(",")
    if units.strip() not in _UNITS:
        raise ProtocolError(f"TTM units are {units[:20]!r}, not K, N or S")
    if reference:
        letter(reference[0], "R", "TTM reference target")
    return (*_UNITS[units.strip()], letter(status, "LQT", "TTM status", "T"), label(name))


def unarmour(payload: str, fill: str) -> tuple[int, int]:
    """(bits as one number, how many) of the six-bit armour that AIS and TTD share.

    Raises:
        ProtocolError: a character outside `0`..`W`, `` ` ``..`w`, or a fill that is not 0..5 or more than there is.

    """
    if len(fill) != 1 or fill not in "012345":
        raise ProtocolError(f"fill bits are {fill[:20]!r}, not 0 to 5")
    value = 0
    for c in payload:
        v = ord(c) - 48
        if not (0 <= v < 40 or 48 <= v < 72):
            raise ProtocolError(f"{c!r} in a payload is not six-bit armour")
        value = value << 6 | (v if v < 40 else v - 8)
    count = 6 * len(payload) - int(fill)
    if count < 0:
        raise ProtocolError(f"a payload without a character has {fill} fill bits")
    return value >> int(fill), count


class NmeaRadarDecoder(NmeaDecoder):
    """Driver `nmea-radar`: a radar's own targets."""

    Options: ClassVar[type[DriverOptions]] = NmeaRadarOptions
    parts = (RadarPart,)
