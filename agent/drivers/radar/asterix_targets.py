"""ASTERIX targets: plots and tracks of CAT010, CAT048 (with its service messages CAT034) and CAT062.

Promises:
- a report with a track number is a `TrackReport`, never a plot: the sensor has done its own correlation; a report
  without one is a plot, and the plots of one antenna turn are one `Scan`. A turn ends at a north marker (CAT034), a
  start of update cycle (CAT010) or, from a radar that sends neither, where the bearing passes north; an empty turn that
  is marked is an empty scan;
- simulated, test and fixed-transponder reports are counted (`not_real`) and go no further; so are reports with a
  transponder's answer (`aircraft`), unless the options ask for them;
- positions are as the sensor gives them: polar from ITS antenna, or geographic. Cartesian coordinates of CAT062 are
  from a point that the messages do not tell: see `reference_is_site`.

CAT010 is what extractors of coastal and harbour radars send, CAT048 that of larger radars, CAT062 the tracks of a
system of several. `Plot.at_s` is when the plot was measured (or arrived), `Scan.at_s` when its turn was complete.
Sigmas are those of CAT010's item 500 where it is there, else the options'. Two radars (SAC/SIC) are two sources.
CAT010's item 202 has steps of 0.25 m/s (its stated limits prove it; one public table says 1/16). Checked against
asterix-decoder.
"""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING

from pydantic import Field

from agent.drivers.radar.asterix import AsterixDecoder, AsterixOptions, moment_s, parts_of
from agent.drivers.radar.asterix_profiles import CAT048_130, PROFILES
from agent.drivers.radar.framed import MAX_SOURCES
from agent.errors import ProtocolError
from agent.geo import NM_M, enu_to_polar, wrap360
from agent.messages import Measurement, Plot, Scan, TrackReport

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.messages import Stamp

MAX_PLOTS = 4096  # of one turn
MAX_TURN_S = 30.0  # no antenna turns slower: what waits longer is given as it is
_ANGLE = 360.0 / 65536.0
_SPEED_MPS = NM_M / 16384.0  # of a u16 ground speed
_TRANSPONDER = (2, 3, 4, 5, 6, 7)  # CAT048 item 020, TYP: everything with an answer to an interrogation
_PSR = 3  # CAT010 item 020, TYP
_TIME = {10: "140", 34: "030", 48: "140", 62: "070"}
_ALPHABET = "?ABCDEFGHIJKLMNOPQRSTUVWXYZ????? ???????????????0123456789??????"  # ICAO annex 10, six bits


class AsterixTargetOptions(AsterixOptions):
    """Options of ASTERIX plots and tracks."""

    aircraft: bool = Field(default=False, description="true: reports with a transponder's answer too")
    simulated: bool = Field(default=False, description="true: simulated and test targets too, for trials")
    reference_is_site: bool = Field(
        default=False, description="true: the point that CAT062's X and Y count from is where this box stands"
    )
    bearing_bias_deg: float = Field(default=0.0, ge=-180.0, le=180.0, description="alignment of the antenna, added")
    range_bias_m: float = Field(default=0.0, ge=-1000.0, le=1000.0, description="trigger delay as a range, added")
    sigma_range_m: float = Field(default=25.0, gt=0.0, description="one sigma of plots that state none")
    sigma_bearing_deg: float = Field(default=0.3, gt=0.0, description="one sigma of plots that state none")


class _Radar:
    """One SAC/SIC: its name, and the plots of the turn that it is in."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.marked = False
        self.plots: list[Plot] = []
        self.period_s: float | None = None
        self.last_scan_s: float | None = None
        self.bearing_deg = 0.0


class AsterixTargetDecoder(AsterixDecoder[Measurement]):
    """Driver `asterix`. Counters: records, plots, tracks, markers, sectors, not_real, aircraft, plots_cut, ignored."""

    Options = AsterixTargetOptions
    options: AsterixTargetOptions
    profiles = PROFILES

    def __init__(self, source: str, options: AsterixTargetOptions | None = None) -> None:
        super().__init__(source, options)
        self._radars: dict[tuple[str, bytes], _Radar] = {}

    def flush(self, at: Stamp) -> Iterator[Measurement]:
        """The turns that a recording ends in."""
        yield from super().flush(at)
        for radar in self._radars.values():
            if radar.plots and not self.closed:
                yield self._scan(radar, radar.plots[-1].at_s)

    def _decode_unit(self, unit: bytes, at: Stamp, stream: str) -> Iterator[Measurement]:
        if not self._known(unit):
            return
        category = unit[0]
        for items in self._records(unit):
            if "010" not in items:
                raise ProtocolError(f"a CAT{category:03} record without item 010, its source")
            radar = self._radar(stream, items["010"])
            at_s = moment_s(items.get(_TIME[category]), at, self.options.time)
            if radar.plots and at_s - radar.plots[0].at_s > MAX_TURN_S:
                yield self._scan(radar, radar.plots[-1].at_s)
            if category == 34:
                yield from self._service(radar, items, at_s)
            elif category == 10:
                yield from self._cat010(radar, items, at_s)
            elif category == 48:
                yield from self._cat048(radar, items, at_s)
            else:
                yield from self._cat062(radar, items, at_s)

    def _radar(self, stream: str, code: bytes) -> _Radar:
        known = self._radars.get((stream, code))
        if known is None:
            if len(self._radars) >= MAX_SOURCES:
                raise ProtocolError(f"more than {MAX_SOURCES} radars: a mixed-up network")
            n = len(self._radars) + 1
            known = self._radars[stream, code] = _Radar(f"{self.source}/{n}" if n > 1 else self.source)
        return known

    # ------------------------------------------------------------ turns

    def _service(self, radar: _Radar, items: dict[str, bytes], at_s: float) -> Iterator[Scan]:
        if "041" in items:
            radar.period_s = int.from_bytes(items["041"], "big") / 128.0 or None
        kind = items.get("000", b"\0")[0]
        if kind == 1:
            yield from self._marker(radar, at_s)
        elif kind == 2:
            self.counters["sectors"] += 1

    def _marker(self, radar: _Radar, at_s: float) -> Iterator[Scan]:
        """The end of a turn; the first one ends a turn of which the beginning may be missing."""
        self.counters["markers"] += 1
        if radar.marked or radar.plots:
            yield self._scan(radar, at_s)
        radar.marked = True

    def _scan(self, radar: _Radar, at_s: float) -> Scan:
        plots, radar.plots = tuple(radar.plots), []
        period_s = radar.period_s
        if period_s is None and radar.last_scan_s is not None and at_s > radar.last_scan_s:
            period_s = at_s - radar.last_scan_s
        radar.last_scan_s = at_s
        return Scan(at_s=at_s, source=radar.name, plots=plots, period_s=period_s)

    def _plot(self, radar: _Radar, plot: Plot) -> Iterator[Scan]:
        self.counters["plots"] += 1
        if not radar.marked and radar.plots and plot.bearing_deg < radar.bearing_deg - 180.0:
            yield self._scan(radar, radar.plots[-1].at_s)
        radar.bearing_deg = plot.bearing_deg
        if len(radar.plots) < MAX_PLOTS:
            radar.plots.append(plot)
        else:
            self.counters["plots_cut"] += 1

    # ------------------------------------------------------------ categories

    def _cat048(self, radar: _Radar, items: dict[str, bytes], at_s: float) -> Iterator[Measurement]:
        kinds = items.get("020", b"\x20")  # a radar that does not say is a primary one
        real = not (kinds[0] & 0x12 or (len(kinds) > 1 and kinds[1] & 0x80))  # SIM, RAB; TST
        if not self._wanted(real=real, aircraft=kinds[0] >> 5 in _TRANSPONDER):
            return
        if "040" in items:
            rho, theta = struct.unpack(">HH", items["040"])
            place = self._polar(rho * (NM_M / 256.0), theta * _ANGLE)
        elif "042" in items:
            x, y = struct.unpack(">hh", items["042"])
            place = self._polar(*enu_to_polar(x * (NM_M / 128.0), y * (NM_M / 128.0)))
        else:
            place = None
        if "161" in items:
            state = items.get("170", b"\0")
            ended = len(state) > 1 and bool(state[1] & 0x80)
            motion = _polar_motion(items.get("200"))
            number = int.from_bytes(items["161"], "big") & 0x0FFF
            name = callsign(items.get("240"))
            yield from self._track(radar, at_s, number, _status(state, 0x80, ended=ended), place, motion, name)
        elif place is not None:
            power = parts_of(items["130"], CAT048_130).get(4) if "130" in items else None
            decibel = None if power is None else float(int.from_bytes(power, "big", signed=True))
            yield from self._plot(radar, self._plot_at(radar, at_s, place, amplitude_db=decibel))

    def _cat010(self, radar: _Radar, items: dict[str, bytes], at_s: float) -> Iterator[Measurement]:
        kind = items.get("000", b"\0")[0]
        if kind == 2:
            yield from self._marker(radar, at_s)
        if kind != 1:
            return
        kinds = items.get("020", bytes((_PSR << 5,)))
        real = not (len(kinds) > 1 and kinds[1] & 0xE0)  # SIM, TST, RAB
        if not self._wanted(real=real, aircraft=kinds[0] >> 5 in (0, 1, 2, 5)):  # multilateration, ADS-B
            return
        geographic, place = None, None
        if "040" in items:
            rho, theta = struct.unpack(">HH", items["040"])
            place = self._polar(float(rho), theta * _ANGLE)
        elif "042" in items:
            place = self._polar(*enu_to_polar(*map(float, struct.unpack(">hh", items["042"]))))
        elif "041" in items:
            lat, lon = struct.unpack(">ii", items["041"])
            geographic = _on_earth(lat * (180.0 / 2**31), lon * (180.0 / 2**31))
        if "161" in items:
            state = items.get("170", b"\0")
            motion = _cartesian_motion(items.get("202")) or _polar_motion(items.get("200"))
            number = int.from_bytes(items["161"], "big") & 0x0FFF
            status = _status(state, 0x80, ended=bool(state[0] & 0x40))
            name = callsign(items.get("245", b"")[1:])
            yield from self._track(radar, at_s, number, status, place, motion, name, geographic=geographic)
        elif place is not None:
            length = items["270"][0] >> 1 if "270" in items else 0
            plot = self._plot_at(radar, at_s, place, extent_m=float(length) or None, sigma=items.get("500"))
            yield from self._plot(radar, plot)
        elif geographic is not None:
            raise ProtocolError(
                "a CAT010 plot gives only latitude and longitude: set the sensor to send item 040 or 042"
            )

    def _cat062(self, radar: _Radar, items: dict[str, bytes], at_s: float) -> Iterator[Measurement]:
        if "040" not in items:
            raise ProtocolError("a CAT062 record without its track number")
        state = items.get("080", b"\0")
        second = state[1] if len(state) > 1 else 0
        if not self._wanted(real=not second & 0x80, aircraft="060" in items):  # SIM; a Mode 3/A code
            return
        geographic, place = None, None
        if "105" in items:
            lat, lon = struct.unpack(">ii", items["105"])
            geographic = _on_earth(lat * (180.0 / 2**25), lon * (180.0 / 2**25))
        elif "100" in items:
            if not self.options.reference_is_site:
                raise ProtocolError(
                    "CAT062 tracks give only X and Y from their system's reference point: set the system to send "
                    "item 105, or reference_is_site = true if that point is this box"
                )
            x, y = (int.from_bytes(items["100"][i : i + 3], "big", signed=True) * 0.5 for i in (0, 3))
            place = enu_to_polar(x, y)
        number = int.from_bytes(items["040"], "big")
        status = _status(state, 0x02, ended=bool(second & 0x40))
        name = callsign(items.get("245", b"")[1:])
        motion = _cartesian_motion(items.get("185"))
        yield from self._track(radar, at_s, number, status, place, motion, name, geographic=geographic)

    # ------------------------------------------------------------ reports

    def _wanted(self, *, real: bool, aircraft: bool) -> bool:
        if not real and not self.options.simulated:
            self.counters["not_real"] += 1
            return False
        if aircraft and not self.options.aircraft:
            self.counters["aircraft"] += 1
            return False
        return True

    def _polar(self, range_m: float, bearing_deg: float) -> tuple[float, float]:
        o = self.options
        return max(0.0, range_m + o.range_bias_m), wrap360(bearing_deg + o.bearing_bias_deg)

    def _plot_at(
        self, radar: _Radar, at_s: float, place: tuple[float, float], *, amplitude_db: float | None = None,
        extent_m: float | None = None, sigma: bytes | None = None,
    ) -> Plot:  # fmt: skip
        range_m, bearing_deg = place
        sigma_range_m, sigma_bearing_deg = self.options.sigma_range_m, self.options.sigma_bearing_deg
        if sigma is not None and sigma[0] and sigma[1] and range_m > 0.0:
            sx, sy = sigma[0] * 0.25, sigma[1] * 0.25
            s, c = math.sin(math.radians(bearing_deg)), math.cos(math.radians(bearing_deg))
            sigma_range_m = math.hypot(sx * s, sy * c)
            sigma_bearing_deg = min(90.0, math.degrees(math.hypot(sx * c, sy * s) / range_m))
        return Plot(
            at_s=at_s, source=radar.name, range_m=range_m, bearing_deg=bearing_deg, sigma_range_m=sigma_range_m,
            sigma_bearing_deg=sigma_bearing_deg, amplitude_db=amplitude_db, extent_m=extent_m,
        )  # fmt: skip

    def _track(
        self, radar: _Radar, at_s: float, number: int, status: str, place: tuple[float, float] | None,
        motion: tuple[float, float] | None, name: str | None, *, geographic: tuple[float, float] | None = None,
    ) -> Iterator[TrackReport]:  # fmt: skip
        if place is None and geographic is None and status != "L":
            return  # an update of something else than the place
        self.counters["tracks"] += 1
        range_m, bearing_deg = place or (None, None)
        lat, lon = geographic or (None, None)
        mps, course_deg = motion or (None, None)
        yield TrackReport(
            at_s=at_s, source=radar.name, number=number, status=status, range_m=range_m, bearing_deg=bearing_deg,
            lat=lat, lon=lon, sog_mps=mps, cog_deg=course_deg, name=name,
        )  # fmt: skip


def _status(state: bytes, tentative: int, *, ended: bool) -> str:
    if ended:
        return "L"
    return "Q" if state[0] & tentative else "T"


def _polar_motion(item: bytes | None) -> tuple[float, float] | None:
    """(speed in m/s, course) of ground speed and heading."""
    if item is None:
        return None
    speed, course = struct.unpack(">HH", item)
    return speed * _SPEED_MPS, course * _ANGLE


def _cartesian_motion(item: bytes | None) -> tuple[float, float] | None:
    """(speed in m/s, course) of Vx, Vy in 0.25 m/s."""
    if item is None:
        return None
    x, y = struct.unpack(">hh", item)
    return enu_to_polar(x * 0.25, y * 0.25)


def _on_earth(lat: float, lon: float) -> tuple[float, float]:
    if not (-90.0 <= lat <= 90.0 and -180.0 <= lon <= 180.0):
        raise ProtocolError(f"a target at latitude {lat:.3f}, longitude {lon:.3f}")
    return lat, lon


def callsign(item: bytes | None) -> str | None:
    """Eight characters of six bits; None if there are none."""
    if not item or len(item) != 6:
        return None
    bits = int.from_bytes(item, "big")
    return "".join(_ALPHABET[bits >> shift & 63] for shift in range(42, -1, -6)).replace("?", "").strip() or None
