r"""NMEA 0183 / IEC 61162-1 sentences, as devices write them.

Promises:
- `$` or `!`, address, fields, `*`, two upper-case hex of the XOR of what stands between, CR LF;
- at most 82 characters, the frame included (IEC 61162-1, 7.3).
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import reduce

MAX_CHARS = 82


def sentence(body: str, start: str = "$") -> bytes:
    """The framed sentence of `body` (address and fields)."""
    check = reduce(lambda x, c: x ^ c, body.encode("ascii"), 0)
    line = f"{start}{body}*{check:02X}\r\n".encode("ascii")
    if len(line) > MAX_CHARS:
        raise ValueError(f"sentence of {len(line)} characters: {body}")
    return line


def hhmmss(unix_s: float) -> str:
    """UTC time of day, `hhmmss.ss`, cut (not rounded: 59.999 s must not become 60)."""
    at = datetime.fromtimestamp(unix_s, UTC)
    return f"{at:%H%M%S}.{at.microsecond // 10_000:02d}"


def ddmmyy(unix_s: float) -> str:
    """UTC date as RMC carries it."""
    return f"{datetime.fromtimestamp(unix_s, UTC):%d%m%y}"


def _degrees_minutes(deg: float, width: int, positive: str, negative: str) -> str:
    minutes = round(abs(deg) * 60.0, 4)
    whole = int(minutes // 60)
    return f"{whole:0{width}d}{minutes - 60 * whole:07.4f},{positive if deg >= 0 else negative}"


def _angle(deg: float) -> str:
    """Degrees to a tenth, never 360.0."""
    return f"{round(deg % 360.0, 1) % 360.0:.1f}"


def position(lat: float, lon: float) -> str:
    """`ddmm.mmmm,N,dddmm.mmmm,E`."""
    return _degrees_minutes(lat, 2, "N", "S") + "," + _degrees_minutes(lon, 3, "E", "W")


def rmc(unix_s: float, lat: float, lon: float) -> bytes:
    """Recommended minimum of a receiver that does not move."""
    where = position(lat, lon)
    return sentence(f"GPRMC,{hhmmss(unix_s)},A,{where},0.0,,{ddmmyy(unix_s)},,,A")


def gga(unix_s: float, lat: float, lon: float, height_m: float) -> bytes:
    """Fix data."""
    return sentence(f"GPGGA,{hhmmss(unix_s)},{position(lat, lon)},1,11,0.9,{height_m:.1f},M,52.0,M,,")


def hdt(heading_deg: float) -> bytes:
    """True heading."""
    return sentence(f"HEHDT,{_angle(heading_deg)},T")


def mwv(wind_mps: float, wind_from_deg: float, heading_deg: float) -> bytes:
    """Wind angle against the mast's heading, and speed; relative and theoretical wind are one on a fixed mast."""
    return sentence(f"WIMWV,{_angle(wind_from_deg - heading_deg)},R,{wind_mps:.1f},M,A")


def ttm(
    *,
    number: int,
    range_nm: float,
    bearing_deg: float,
    speed_kn: float,
    course_deg: float,
    cpa_nm: float,
    tcpa_min: float,
    status: str,
    unix_s: float,
) -> bytes:
    """Tracked target message of a radar; bearing and course true, automatic acquisition. `status` is L, Q or T."""
    return sentence(
        f"RATTM,{number:02d},{range_nm:.2f},{_angle(bearing_deg)},T,{speed_kn:.1f},{_angle(course_deg)},T,"
        f"{cpa_nm:.2f},{tcpa_min:.1f},N,,{status},,{hhmmss(unix_s)},A"
    )


def tll(*, number: int, lat: float, lon: float, name: str, status: str, unix_s: float) -> bytes:
    """Target latitude and longitude, as a radar with a position sends them. `status` is L, Q or T."""
    return sentence(f"RATLL,{number:02d},{position(lat, lon)},{name},{hhmmss(unix_s)},{status},")
