"""Tables of a scenario file that say who sails there and what the sea does. Lengths in metres from the site.

Promises:
- a table that makes no sense by itself is refused with a sentence that names the vessel;
- defaults stand here and nowhere else; docs/scenarios.md shows them.
"""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - pydantic resolves it when it runs
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from hardware_sim.vessels import CLASSES

PointM = tuple[float, float]
Bearing = Annotated[float, Field(ge=0.0, lt=360.0)]
Positive = Annotated[float, Field(gt=0.0)]
NotNegative = Annotated[float, Field(ge=0.0)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
AisClass = Literal["A", "B", "B-SO", "AtoN"]
_MMSI = {"A": (200, 799), "B": (200, 799), "B-SO": (200, 799), "AtoN": (992, 997)}
"""First three digits of an MMSI (ITU-R M.585)."""


class Table(BaseModel):
    """Base of all tables: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class WeatherTable(Table):
    """Wind, sea, what falls from the sky, and light. Sea state is Douglas' 1..6; fog is a short `visibility_m`.

    `current_to_deg` is where the steady current goes, `wind_from_deg` where the wind comes from. Light, sun and
    moon (`moon_lit`: the share of its disc) follow from the scenario's `start_utc` where they are not given; without
    either there is no moon.
    """

    sea_state: int = Field(default=2, ge=1, le=6)
    wind_mps: float = Field(default=4.5, ge=0.0)
    wind_from_deg: Bearing = 270.0
    current_mps: float = Field(default=0.0, ge=0.0, le=5.0)
    current_to_deg: Bearing = 0.0
    rain_mm_h: float = Field(default=0.0, ge=0.0, le=150.0)
    visibility_m: Positive = 20_000.0
    light: Literal["day", "overcast", "dusk", "night", "thermal"] = "day"
    sun_bearing_deg: Bearing = 180.0
    sun_elevation_deg: float = 40.0
    moon_bearing_deg: Bearing = 0.0
    moon_elevation_deg: float = -90.0
    moon_lit: Share = 0.0
    clouds: float = Field(default=0.4, ge=0.0, le=1.0)
    land: float = Field(default=0.0, ge=0.0, le=1.0)


class LookTable(Table):
    """What stands before the camera and behind the sea, what it burns in, and how good it is, as the renderer has it.

    `swell_m` goes with the sea state when it is left out. `land_range_m`, `ridge` (how tall), `ridge_layers` and
    `urban` (how much is built over) are of the weather's `land`.
    A text of `overlay_text` with strftime's codes (`%H:%M:%S`) is a clock: the scenario's UTC, picture by picture.
    Pixels are the picture's.
    """

    foreground: Literal["none", "plants", "fence", "rail", "posts", "roof", "beach"] = "none"
    foreground_amount: Share = 0.5
    overlay_text: tuple[str, ...] = ()
    crosshair: bool = False
    land_range_m: Positive = 12_000.0
    ridge: Share = 0.4
    ridge_layers: int = Field(default=2, ge=1, le=6)
    urban: Share = 0.0
    cloud_layers: int = Field(default=2, ge=1, le=6)
    swell_m: float | None = Field(default=None, ge=0.0, le=8.0)
    lens_drops: Share = 0.0
    salt: Share = 0.0
    defocus_px: float = Field(default=0.0, ge=0.0, le=20.0)
    motion_blur_px: float = Field(default=0.0, ge=0.0, le=40.0)
    shake_px: float = Field(default=0.0, ge=0.0, le=40.0)
    noise: float = Field(default=1.5, ge=0.0, le=30.0)
    vignette: Share = 0.1
    blockiness: Share = 0.0


class TideTable(Table):
    """A half-daily tide: `range_m` from low to high water, the next high water, and the stream that goes with it.

    The stream runs `stream_to_deg` while the water rises, the other way while it falls, `stream_mps` at its strongest.
    """

    range_m: float = Field(default=0.0, ge=0.0, le=15.0)
    high_water_s: float = 0.0
    stream_mps: float = Field(default=0.0, ge=0.0, le=5.0)
    stream_to_deg: Bearing = 0.0


class LegTable(Table):
    """A part of a voyage: waypoints at one speed. What comes after it starts from its last waypoint, from rest."""

    route_m: tuple[PointM, ...] = Field(min_length=1)
    speed_mps: Positive
    end: Literal["hold", "on", "loop", "drift"] = "hold"
    stay_s: NotNegative = 0.0


class VesselTable(Table):
    """One vessel or thing. `ais`: its class, with an MMSI, or none. `length_m` overrides the kind's.

    It sails `route_m` at `speed_mps` (and then its `leg`s), unless `behaviour` says what it does about the one point
    `route_m`: fishing and loitering go round it within `radius_m`, anchored swings round it, drifting leaves it.
    `start_s` is when it is at its first waypoint, or `arrive_s` when it has come to rest at the end of its first leg;
    `moored`: it lies at its first waypoint until then, instead of coming in along its first leg.
    `ais_off_s`: spans without AIS. `ais_shift_m`: by how much its AIS lies from `ais_shift_from_s` on. `sart_mmsi`: an
    AIS-SART is switched on at `sart_from_s`. `wander_m`: how far the helm lets it off its line. `lights`: whether it
    shows any at dusk and by night.
    """

    name: str = Field(min_length=1, max_length=40)
    kind: str
    route_m: tuple[PointM, ...] = ()
    speed_mps: float = Field(default=0.0, ge=0.0)
    end: Literal["hold", "on", "loop", "drift"] = "on"
    stay_s: NotNegative = 0.0
    leg: tuple[LegTable, ...] = ()
    behaviour: Literal["route", "fishing", "loitering", "anchored", "drifting"] = "route"
    radius_m: Positive = 400.0
    start_s: float = 0.0
    arrive_s: float | None = None
    moored: bool = False
    wander_m: NotNegative = 0.0
    towed_by: str | None = None
    tow_m: Positive = 150.0
    ais: AisClass | None = None
    mmsi: int | None = Field(default=None, ge=200_000_000, le=999_999_999)
    callsign: str = Field(default="", max_length=7)
    ais_off_s: tuple[tuple[float, float], ...] = ()
    ais_shift_m: PointM = (0.0, 0.0)
    ais_shift_from_s: float = 0.0
    sart_mmsi: int | None = Field(default=None, ge=970_000_000, le=970_999_999)
    sart_from_s: float = 0.0
    length_m: Positive | None = None
    lights: bool = True

    @property
    def legs(self) -> tuple[LegTable, ...]:
        """The whole voyage, for behaviour `route` and a speed."""
        first = LegTable(route_m=self.route_m, speed_mps=self.speed_mps, end=self.end, stay_s=self.stay_s)
        return (first, *self.leg)

    @model_validator(mode="after")
    def _sound(self) -> VesselTable:
        who = f"vessel {self.name!r}"
        if self.kind not in CLASSES:
            raise ValueError(f"unknown kind {self.kind!r}; one of {', '.join(CLASSES)}")
        if (self.ais is None) != (self.mmsi is None):
            raise ValueError(f"{who}: `ais` and `mmsi` go together; give both or neither")
        if self.ais is not None and self.mmsi is not None:
            low, high = _MMSI[self.ais]
            if not low <= self.mmsi // 1_000_000 <= high:
                raise ValueError(f"{who}: the MMSI of AIS {self.ais} begins with {low} to {high}, see ITU-R M.585")
        fastest = max((self.speed_mps, *(leg.speed_mps for leg in self.leg)))
        if fastest > CLASSES[self.kind].max_speed_mps:
            raise ValueError(f"{who}: a {self.kind} makes at most {CLASSES[self.kind].max_speed_mps} m/s")
        self._check_route(who)
        return self

    def _check_route(self, who: str) -> None:
        if self.towed_by is not None:
            if self.route_m or self.leg or self.behaviour != "route":
                raise ValueError(f"{who}: what is towed goes where its tug goes; leave out route_m, leg and behaviour")
            return
        if not self.route_m:
            raise ValueError(f"{who}: give route_m, or towed_by")
        if self.behaviour != "route" and (len(self.route_m) != 1 or self.leg):
            raise ValueError(f"{who}: {self.behaviour} is about one point; give one in route_m, and no leg")
        if self.behaviour in ("fishing", "loitering") and self.speed_mps == 0.0:
            raise ValueError(f"{who}: {self.behaviour} needs a speed_mps")
        if any(a == b for a, b in zip(self.route_m, self.route_m[1:], strict=False)):
            raise ValueError(f"{who}: two waypoints in a row are the same; remove one")
        if self.end == "loop" and len(self.route_m) < 3:
            raise ValueError(f"{who}: a loop needs at least three waypoints")
        if self.leg and (self.speed_mps == 0.0 or len(self.route_m) == 1):
            raise ValueError(f"{who}: the voyage before its legs needs two waypoints and a speed_mps")
        ends = [self.end, *(leg.end for leg in self.leg)]
        if self.leg and any(end != "hold" for end in ends[:-1]):
            raise ValueError(f"{who}: only a leg that ends in `hold` can be followed by another")
        if self.arrive_s is not None and ends[0] not in ("hold", "drift"):
            raise ValueError(f"{who}: arrive_s needs a first leg that ends in `hold` or `drift`")


class TrafficTable(Table):
    """Many vessels from the seed. `lane`: along `route_m`, `per_hour` of them; `fleet`, `swarm`: `count` in a circle.

    A lane's vessels keep within `lateral_m` (one sigma) of its line and arrive at random; a fleet fishes; a swarm goes
    straight in all directions, from places within `radius_m` of `centre_m`. `speed_mps` is (lowest, highest).
    `ais_share` of those of a kind that carries it have AIS: class A from 300 GT's length on (40 m), else class B.
    """

    name: str = Field(min_length=1, max_length=32)
    pattern: Literal["lane", "fleet", "swarm"]
    kinds: tuple[str, ...] = Field(min_length=1)
    speed_mps: tuple[float, float]
    ais_share: Share = 1.0
    route_m: tuple[PointM, ...] = ()
    per_hour: NotNegative = 0.0
    lateral_m: NotNegative = 150.0
    both_ways: bool = True
    count: int = Field(default=0, ge=0, le=2000)
    centre_m: PointM = (0.0, 0.0)
    radius_m: Positive = 3000.0

    @model_validator(mode="after")
    def _sound(self) -> TrafficTable:
        unknown = [k for k in self.kinds if k not in CLASSES]
        if unknown:
            raise ValueError(f"traffic {self.name!r}: unknown kind {unknown[0]!r}; one of {', '.join(CLASSES)}")
        low, high = self.speed_mps
        if not 0.0 < low <= high:
            raise ValueError(f"traffic {self.name!r}: speed_mps is (lowest, highest), above 0")
        if self.pattern == "lane" and (len(self.route_m) < 2 or self.per_hour <= 0.0):
            raise ValueError(f"traffic {self.name!r}: a lane needs a route_m of two points and per_hour above 0")
        if self.pattern != "lane" and self.count == 0:
            raise ValueError(f"traffic {self.name!r}: a {self.pattern} needs a count")
        return self


class ZoneTable(Table):
    """A polygon with a name."""

    name: str = Field(min_length=1)
    polygon_m: tuple[PointM, ...] = Field(min_length=3)


class RuleTable(Table):
    """A rule as the box's configuration has it: what the operators of this coast want. Not interpreted here."""

    name: str = Field(min_length=1, max_length=48)
    kind: str
    severity: Literal["low", "medium", "high"] = "medium"
    options: dict[str, Any] = Field(default_factory=dict)


class ExpectTable(Table):
    """An alert that must come. A dark vessel is due `ais_wait_s` after the start, and not before it is in `zone`.

    Other rules are due when the truth says so: see `hardware_sim.truth`.
    """

    rule: Literal["zone-enter", "zone-exit", "dark-vessel", "speed"]
    vessel: str
    zone: str | None = None
    ais_wait_s: float = Field(default=0.0, ge=0.0)
    min_mps: float = Field(default=0.0, ge=0.0)


class ForbidTable(Table):
    """An alert that must not come: any about this vessel (or this traffic's, `NAME *`), or of this rule only."""

    vessel: str
    rule: str | None = None


class AisReceiverTable(Table):
    """An AIS receiver. It hears to about the radio horizon, and loses more the farther a station is.

    `port`: how its sentences leave. Sensitivity shifts the distance of even odds, 1 is a good aerial.
    """

    name: str = Field(min_length=1, max_length=24, pattern=r"^[a-z0-9-]+$")
    east_m: float = 0.0
    north_m: float = 0.0
    height_m: Positive | None = None
    sensitivity: Positive = 1.0
    port: Literal["udp", "tcp", "serial"] = "udp"


class NavTable(Table):
    """The box's GNSS, compass and anemometer on one line. `port`: how their sentences leave."""

    port: Literal["udp", "tcp", "serial"] = "udp"


class BaseStationTable(Table):
    """An AIS base station: message 4 every 10 s. Its MMSI is 00MIDXXXX (ITU-R M.585), written without the zeros."""

    mmsi: int = Field(ge=2_010_000, le=7_999_999)
    east_m: float = 0.0
    north_m: float = 0.0
    height_m: Positive = 50.0


class TimeTable(Table):
    """When the scenario plays. `start_utc` decides light and sun, the tides' `high_water_s` counts from the start."""

    start_utc: datetime | None = None
    duration_s: Positive = 3600.0
