"""Sea and sky as functions of time: tide, what drifts, sun and moon.

Promises:
- `tide_m` and `drift` are pure functions; a drift is given as a steady velocity and sinusoids, so that whatever floats
  has a position in closed form;
- sun within 0.02 degrees (Meeus, Astronomical Algorithms, ch. 25, low accuracy), moon within 0.5 degrees (ch. 47, its
  six largest terms, with parallax); no refraction.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hardware_sim.tables import TideTable, TimeTable, WeatherTable

TIDE_PERIOD_S = 12.4206 * 3600.0  # M2
J2000 = datetime(2000, 1, 1, 12, tzinfo=UTC)
EPOCH = datetime(2025, 6, 15, 15, 6, 40, tzinfo=UTC)
"""When a scenario plays that does not say when."""
DUSK_DEG, NIGHT_DEG = 3.0, -9.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sway:
    """A displacement `amplitude_m` * sin(omega * t + phase), east or north."""

    amplitude_m: float
    omega: float
    phase: float
    at_0: float = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "at_0", math.sin(self.phase))


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """What takes a floating thing along: steady velocity, and the tide's to and fro as displacements."""

    east_mps: float
    north_mps: float
    east: tuple[Sway, ...] = ()
    north: tuple[Sway, ...] = ()


def tide_m(tide: TideTable, t_s: float) -> float:
    """Height of the sea above its mean."""
    return tide.range_m / 2.0 * math.cos(2.0 * math.pi * (t_s - tide.high_water_s) / TIDE_PERIOD_S)


def drift(weather: WeatherTable, tide: TideTable, leeway: float) -> Drift:
    """Current, tidal stream and leeway."""
    to, wind_to = math.radians(weather.current_to_deg), math.radians(weather.wind_from_deg + 180.0)
    wind = leeway * weather.wind_mps
    omega = 2.0 * math.pi / TIDE_PERIOD_S
    # the stream's speed is -stream * sin(omega (t - high water)): strongest, and towards `stream_to`, while it rises
    amplitude, phase = tide.stream_mps / omega, math.pi / 2.0 - omega * tide.high_water_s
    along = math.radians(tide.stream_to_deg)
    return Drift(
        east_mps=weather.current_mps * math.sin(to) + wind * math.sin(wind_to),
        north_mps=weather.current_mps * math.cos(to) + wind * math.cos(wind_to),
        east=(Sway(amplitude_m=amplitude * math.sin(along), omega=omega, phase=phase),) if amplitude else (),
        north=(Sway(amplitude_m=amplitude * math.cos(along), omega=omega, phase=phase),) if amplitude else (),
    )


def sun(at: datetime, lat: float, lon: float) -> tuple[float, float]:
    """(bearing_deg, elevation_deg) of the sun."""
    d = _days(at)
    mean, anomaly = 280.460 + 0.9856474 * d, math.radians(357.528 + 0.9856003 * d)
    longitude = math.radians(mean + 1.915 * math.sin(anomaly) + 0.020 * math.sin(2.0 * anomaly))
    return _horizontal(d, longitude, 0.0, lat, lon)


def moon(at: datetime, lat: float, lon: float) -> tuple[float, float, float]:
    """(bearing_deg, elevation_deg, lit share of the disc) of the moon."""
    d = _days(at)
    mean = 218.316 + 13.176396 * d
    anomaly, sun_anomaly = math.radians(134.963 + 13.064993 * d), math.radians(357.528 + 0.9856003 * d)
    elongation, node = math.radians(297.850 + 12.190749 * d), math.radians(93.272 + 13.229350 * d)
    longitude = math.radians(
        mean
        + 6.289 * math.sin(anomaly)
        - 1.274 * math.sin(anomaly - 2.0 * elongation)
        + 0.658 * math.sin(2.0 * elongation)
        + 0.214 * math.sin(2.0 * anomaly)
        - 0.186 * math.sin(sun_anomaly)
        - 0.114 * math.sin(2.0 * node)
    )
    latitude = math.radians(5.128 * math.sin(node) + 0.281 * math.sin(anomaly + node))
    bearing, elevation = _horizontal(d, longitude, latitude, lat, lon)
    sun_longitude = math.radians(280.460 + 0.9856474 * d + 1.915 * math.sin(sun_anomaly))
    phase = math.acos(math.cos(latitude) * math.cos(longitude - sun_longitude))
    parallax = math.degrees(0.9507 / 57.2958 * math.cos(math.radians(elevation)))
    return bearing, elevation - parallax, (1.0 - math.cos(phase)) / 2.0


def utc(at: datetime) -> datetime:
    """A time of a scenario file: without a zone it is UTC."""
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def started(time: TimeTable) -> datetime:
    """UTC of a scenario's t = 0: its `start_utc`, or `EPOCH`; no clock is read."""
    return EPOCH if time.start_utc is None else utc(time.start_utc)


def light(elevation_deg: float) -> str:
    """The renderer's word for the light under a sun that high."""
    if elevation_deg > DUSK_DEG:
        return "day"
    return "dusk" if elevation_deg > NIGHT_DEG else "night"


def _days(at: datetime) -> float:
    return (at - J2000).total_seconds() / 86_400.0


def _horizontal(d: float, longitude: float, latitude: float, lat: float, lon: float) -> tuple[float, float]:
    """(bearing, elevation) of a point of the ecliptic, `d` days after J2000."""
    tilt = math.radians(23.439 - 4e-7 * d)
    x = math.cos(latitude) * math.cos(longitude)
    y = math.cos(tilt) * math.cos(latitude) * math.sin(longitude) - math.sin(tilt) * math.sin(latitude)
    z = math.sin(tilt) * math.cos(latitude) * math.sin(longitude) + math.cos(tilt) * math.sin(latitude)
    right_ascension, declination = math.atan2(y, x), math.asin(z)
    sidereal = math.radians(280.46062 + 360.98564737 * d + lon)
    hour, phi = sidereal - right_ascension, math.radians(lat)
    up = math.sin(phi) * math.sin(declination) + math.cos(phi) * math.cos(declination) * math.cos(hour)
    north = math.cos(phi) * math.sin(declination) - math.sin(phi) * math.cos(declination) * math.cos(hour)
    east = -math.cos(declination) * math.sin(hour)
    return math.degrees(math.atan2(east, north)) % 360.0, math.degrees(math.asin(up))
