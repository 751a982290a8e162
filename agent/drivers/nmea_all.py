"""Radar targets, AIS and navigation from one line or port, as multiplexers and chart systems send them.

Promises:
- gives exactly what the drivers `nmea-radar`, `ais` and `nav` together would give of the same bytes, in order of
  arrival, with the options of all three.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from agent.drivers.ais import AisPart
from agent.drivers.nav import NavPart
from agent.drivers.nmea import NmeaDecoder
from agent.drivers.nmea_radar import NmeaRadarOptions, RadarPart

if TYPE_CHECKING:
    from agent.drivers.base import DriverOptions


class NmeaAllDecoder(NmeaDecoder):
    """Driver `nmea`: every sentence that Vigía knows."""

    Options: ClassVar[type[DriverOptions]] = NmeaRadarOptions
    parts = (RadarPart, AisPart, NavPart)
