"""Own position, motion, heading, time and wind, as NMEA 0183 sentences: RMC GGA GLL GSV HDT THS HDM HDG VTG ZDA MWV.

Promises:
- one sentence, one `Nav`; a field that the sentence leaves blank is None, and one that says nothing gives nothing;
- what the receiver marks as not valid (status V; mode E, M, N or S; GGA quality 0, 6, 7, 8) gives `fix_ok=False` and no
  position or motion: an estimate is not a fix;
- true and magnetic headings are kept apart. HDG gives the magnetic one (sensor + deviation), and the true one as well
  where it carries the variation;
- a receiver's satellites come from GGA (used in the fix), their signal from GSV once a group is whole; groups of
  several systems and signals are taken together;
- wind: R is apparent and T theoretical wind, both from the mast's mark; `wind_relative` tells which.

Source: IEC 61162-1; the years of RMC's date are 1980 to 2079.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from agent.drivers.nmea import NmeaDecoder, SentencePart, angle, letter, number, position, time_of_day_s
from agent.errors import ProtocolError
from agent.geo import KNOT_MPS, wrap360
from agent.messages import Nav

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Mapping, Sequence

    from agent.drivers.nmea import Handler, NmeaOptions, Where
    from agent.messages import Measurement

_NO_FIX_MODES = "EMNS"  # estimated, manual, not valid, simulator
_MAX_GROUPS = 16  # systems by signals that a receiver may tell of
_BEST = 4
_GROUP_S = 10.0  # so long a group counts: what is no longer told of is not received
_FIX_QUALITIES = "123459"  # GGA: GPS, DGPS, PPS, RTK, float RTK; 9 is used for SBAS by some receivers
_WIND_MPS = {"N": KNOT_MPS, "K": 1.0 / 3.6, "M": 1.0, "S": 0.44704}


class NavPart(SentencePart):
    """The sentences of own ship, or of a box's own GNSS receiver, compass and anemometer."""

    def __init__(self, source: str, options: NmeaOptions, counters: Counter[str]) -> None:
        super().__init__(source, options, counters)
        self._groups: dict[tuple[str, str], tuple[float, list[float]]] = {}  # (talker, signal): when, C/N0s
        self._open: tuple[tuple[str, str], int, list[float]] | None = None  # the group that is coming in, next number

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """The sentences of navigation sensors."""
        return {
            "RMC": self._rmc,
            "GGA": self._gga,
            "GLL": self._gll,
            "GSV": self._gsv,
            "HDT": self._hdt,
            "THS": self._ths,
            "HDM": self._hdm,
            "HDG": self._hdg,
            "VTG": self._vtg,
            "ZDA": self._zda,
            "MWV": self._mwv,
        }

    def _no_fix(self, t_s: float, utc_s: float | None = None) -> Sequence[Measurement]:
        return (Nav(at_s=t_s, source=self.source, utc_s=utc_s, fix_ok=False),)

    def _rmc(self, f: list[str], t_s: float, _where: Where) -> Sequence[Measurement]:
        """$--RMC,time,A/V,lat,N/S,lon,E/W,knots,course,ddmmyy,variation,E/W,mode,navigational status."""
        _at_least(f, 9)
        valid = letter(f[2], "AV", "RMC status") == "A" and _mode_ok(f, 12)
        utc_s = _utc_s(f[9], f[1])
        place, speed, course = position(f, 3), number(f[7], "RMC speed"), angle(f[8], "RMC course")
        if not valid:
            return self._no_fix(t_s, utc_s)
        lat, lon = place or (None, None)
        return (
            Nav(
                at_s=t_s,
                source=self.source,
                lat=lat,
                lon=lon,
                sog_mps=None if speed is None else speed * KNOT_MPS,
                cog_deg=course,
                utc_s=utc_s,
                fix_ok=place is not None,
            ),
        )

    def _gga(self, f: list[str], t_s: float, _where: Where) -> Sequence[Measurement]:
        """$--GGA,time,lat,N/S,lon,E/W,quality,satellites,HDOP,height..."""
        _at_least(f, 6)
        time_of_day_s(f[1])
        place = position(f, 2)
        quality = letter(f[6], "0123456789", "GGA quality", "0")
        satellites = _count(f[7], "GGA satellites") if len(f) > 7 else None
        if quality not in _FIX_QUALITIES or place is None:
            return (Nav(at_s=t_s, source=self.source, fix_ok=False, satellites=satellites),)
        return (Nav(at_s=t_s, source=self.source, lat=place[0], lon=place[1], fix_ok=True, satellites=satellites),)

    def _gsv(self, f: list[str], t_s: float, _where: Where) -> Sequence[Measurement]:
        """$--GSV,sentences,number,in view,{satellite,elevation,azimuth,C/N0} up to four times,signal.

        The C/N0 of a satellite that is not received is blank. `signal` came with NMEA 4.10.
        """
        _at_least(f, 3)
        total, number = _count(f[1], "GSV sentences") or 0, _count(f[2], "GSV number") or 0
        if not 1 <= number <= total:
            raise ProtocolError(f"GSV is sentence {number} of {total}")
        key = (f[0][:2], f[-1].strip() if len(f) % 4 == 1 else "")
        signals = [x for x in (_count(text, "GSV C/N0") for text in f[7::4]) if x]
        begun = self._open if number > 1 else (key, 1, [])
        if begun is None or begun[:2] != (key, number):
            self._open = None  # a sentence of the group is missing
            return ()
        begun[2].extend(map(float, signals))
        if number < total:
            self._open = (key, number + 1, begun[2])
            return ()
        self._open = None
        if key in self._groups or len(self._groups) < _MAX_GROUPS:
            self._groups[key] = (t_s, begun[2])
        heard = (group for at_s, group in self._groups.values() if t_s - at_s <= _GROUP_S)
        best = sorted((x for group in heard for x in group), reverse=True)[:_BEST]
        return (Nav(at_s=t_s, source=self.source, signal_dbhz=sum(best) / len(best)),) if best else ()

    def _gll(self, f: list[str], t_s: float, _where: Where) -> Sequence[Measurement]:
        """$--GLL,lat,N/S,lon,E/W,time,A/V,mode. The oldest form ends after E/W and says nothing of its validity."""
        _at_least(f, 4)
        place = position(f, 1)
        if len(f) > 5:
            time_of_day_s(f[5])
        status = letter(f[6], "AV", "GLL status") if len(f) > 6 else ""
        if status == "V" or not _mode_ok(f, 7) or (place is None and status):
            return self._no_fix(t_s)
        if place is None:
            return ()
        return (Nav(at_s=t_s, source=self.source, lat=place[0], lon=place[1], fix_ok=True if status else None),)

    def _hdt(self, f: list[str], t_s: float, _where: Where) -> Sequence[Measurement]:
        """$--HDT,heading,T."""
        _at_least(f, 2)
        heading = angle(f[1], "HDT heading")
        letter(f[2], "T", "HDT reference")
        return () if heading is None else (Nav(at_s=t_s, source=self.source, heading_deg=heading),)

    def _ths(self, f: list[str], t_s: float, _where: Where) -> Sequence[Measurement]:
        """$--THS,true heading,mode: only A (autonomous) is a measured heading."""
        _at_least(f, 2)
        heading = angle(f[1], "THS heading")
        mode = letter(f[2], "AEMSV", "THS mode")
        if heading is None or mode != "A":
            return ()
        return (Nav(at_s=t_s, source=self.source, heading_deg=heading),)

    def _hdm(self, f: list[str], t_s: float, _where: Where) -> Sequence[Measurement]:
        """$--HDM,heading,M."""
        _at_least(f, 2)
        heading = angle(f[1], "HDM heading")
        letter(f[2], "M", "HDM reference")
        return () if heading is None else (Nav(at_s=t_s, source=self.source, heading_magnetic_deg=heading),)

    def _hdg(self, f: list[str], t_s: float, _where: Where) -> Sequence[Measurement]:
        """$--HDG,sensor heading,deviation,E/W,variation,E/W; easterly is added."""
        _at_least(f, 5)
        sensor = angle(f[1], "HDG heading")
        deviation = _signed(f[2], f[3], "HDG deviation")
        variation = _signed(f[4], f[5], "HDG variation")
        if sensor is None:
            return ()
        magnetic = wrap360(sensor + (deviation or 0.0))
        true = None if variation is None else wrap360(magnetic + variation)
        return (Nav(at_s=t_s, source=self.source, heading_deg=true, heading_magnetic_deg=magnetic),)

    def _vtg(self, f: list[str], t_s: float, _where: Where) -> Sequence[Measurement]:
        """$--VTG,course,T,course,M,knots,N,km/h,K,mode; before NMEA 2.0 without the letters."""
        _at_least(f, 4)
        old = len(f) < 9 and f[2].strip() != "T"
        course = angle(f[1], "VTG course")
        knots = number(f[3 if old else 5] if old or len(f) > 5 else "", "VTG speed")
        kmh = number(f[4] if old else f[7] if len(f) > 7 else "", "VTG speed")
        if not _mode_ok(f, 9):
            return self._no_fix(t_s)
        speed = knots * KNOT_MPS if knots is not None else None if kmh is None else kmh / 3.6
        if course is None and speed is None:
            return ()
        return (Nav(at_s=t_s, source=self.source, sog_mps=speed, cog_deg=course),)

    def _zda(self, f: list[str], t_s: float, _where: Where) -> Sequence[Measurement]:
        """$--ZDA,time,day,month,year,zone hours,zone minutes. Some receivers write the year with two digits."""
        _at_least(f, 4)
        day, month, year = (x.strip() for x in f[2:5])
        if not (day or month or year):
            return ()
        utc_s = _utc_s(f"{day:0>2}{month:0>2}{year}", f[1])
        return () if utc_s is None else (Nav(at_s=t_s, source=self.source, utc_s=utc_s),)

    def _mwv(self, f: list[str], t_s: float, _where: Where) -> Sequence[Measurement]:
        """$--MWV,angle,R/T,speed,K/M/N/S,A/V."""
        _at_least(f, 5)
        direction, speed = angle(f[1], "MWV angle"), number(f[3], "MWV speed")
        reference, units = letter(f[2], "RT", "MWV reference"), letter(f[4], "KMNS", "MWV units", "N")
        if letter(f[5], "AV", "MWV status") != "A" or (direction is None and speed is None):
            return ()
        return (
            Nav(
                at_s=t_s,
                source=self.source,
                wind_mps=None if speed is None else speed * _WIND_MPS[units],
                wind_from_deg=direction,
                wind_relative=reference == "R" if reference else None,
            ),
        )


def _at_least(f: list[str], count: int) -> None:
    if len(f) <= count:
        raise ProtocolError(f"{f[0][-3:]} has {len(f) - 1} fields, not at least {count}")


def _count(text: str, what: str) -> int | None:
    text = text.strip()
    if not text:
        return None
    if not text.isdecimal() or len(text) > 3:
        raise ProtocolError(f"{what} is {text[:20]!r}, not a small number")
    return int(text)


def _mode_ok(fields: list[str], at: int) -> bool:
    """Whether the positioning mode, where the sentence has one, is that of a fix."""
    mode = fields[at].strip() if len(fields) > at else ""
    return not mode or mode[0] not in _NO_FIX_MODES


def _signed(text: str, side: str, what: str) -> float | None:
    value = number(text, what)
    if value is None:
        return None
    if not -180.0 <= value <= 180.0:
        raise ProtocolError(f"{what} is {value:g} degrees, not between -180 and 180")
    return -value if letter(side, "EW", what, "E") == "W" else value


def _utc_s(date: str, time: str) -> float | None:
    """Unix time from ddmmyy (or ddmmyyyy) and hhmmss.ss; None if either is blank."""
    seconds = time_of_day_s(time)
    if not date.strip() or seconds is None:
        return None
    return _midnight_s(date.strip()) + seconds


@lru_cache(maxsize=8)
def _midnight_s(date: str) -> float:
    if len(date) not in (6, 8) or not date.isdecimal():
        raise ProtocolError(f"date is {date[:20]!r}, not ddmmyy")
    year = int(date[4:])
    if len(date) == 6:
        year += 2000 if year < 80 else 1900
    try:
        return datetime(year, int(date[2:4]), int(date[:2]), tzinfo=UTC).timestamp()
    except ValueError as e:
        raise ProtocolError(f"date is {date!r}, which no calendar has") from e


class NavDecoder(NmeaDecoder):
    """Driver `nav`: own position, heading, wind."""

    parts = (NavPart,)
