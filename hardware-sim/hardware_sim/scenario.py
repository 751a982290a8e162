"""Scenario files: a place, its devices, its weather, who sails there, what must be alerted.

Promises:
- a file is read whole or refused with every error named by its key;
- positions in a file are (east_m, north_m) metres from the site, so that they can be read and drawn by hand;
- vessels' ids are their names, unique in the file; zones, expectations and faults name what exists.
"""

from __future__ import annotations

import tomllib
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from hardware_sim import environment
from hardware_sim.errors import ScenarioError, sentences
from hardware_sim.faults import FaultTable  # noqa: TC001 - pydantic resolves it when it runs
from hardware_sim.tables import (
    AisReceiverTable,
    BaseStationTable,
    Bearing,
    ExpectTable,
    ForbidTable,
    LookTable,
    NavTable,
    PointM,
    Positive,
    RuleTable,
    Table,
    TideTable,
    TimeTable,
    TrafficTable,
    VesselTable,
    WeatherTable,
    ZoneTable,
)


class SiteTable(Table):
    """Where the box stands. `height_m` is the mast's, above the sea."""

    name: str
    lat: float = Field(ge=-85.0, le=85.0)
    lon: float = Field(ge=-180.0, lt=180.0)
    height_m: Positive


class CameraTable(Table):
    """One fixed camera. Pitch is positive upwards, roll clockwise as seen from behind."""

    height_m: Positive
    bearing_deg: Bearing
    pitch_deg: float = 0.0
    roll_deg: float = 0.0
    hfov_deg: float = Field(gt=0.5, lt=120.0)
    width_px: int = Field(default=1280, ge=160, le=7680)
    height_px: int = Field(default=720, ge=120, le=4320)
    fps: float = Field(default=6.0, gt=0.0, le=30.0)
    jpeg_quality: int = Field(default=85, ge=10, le=100)


class RadarTable(Table):
    """One X-band radar. `heading_deg` is where its bow mark points; `emit` names what leaves it, as `list` shows it.

    Without `interference_rejection`, other vessels' radars leave spikes in the video. `doppler`: which echoes a HALO
    colours, from the radial speed `doppler_from_mps` on.
    """

    height_m: Positive
    heading_deg: Bearing = 0.0
    rpm: float = Field(default=24.0, ge=12.0, le=60.0)
    range_m: float = Field(default=6000.0, ge=500.0, le=48_000.0)
    beam_width_deg: float = Field(default=1.2, gt=0.3, lt=8.0)
    power_w: Positive = 12_000.0
    gain_db: float = 30.0
    bandwidth_hz: Positive = 6e6
    noise_and_loss_db: float = 10.0
    prf_hz: Positive = 2000.0
    polarisation: Literal["horizontal", "vertical"] = "horizontal"
    pulse: Literal["compressed", "magnetron"] = "compressed"
    elevation_beam_deg: float = Field(default=22.0, gt=1.0, le=60.0)
    interference_rejection: bool = True
    doppler: Literal["off", "both", "approaching"] = "off"
    doppler_from_mps: Positive = 2.0
    emit: tuple[str, ...] = ("ttm", "spokes")
    on_since_s: float = Field(default=60.0, ge=0.0)


class CoastTable(Table):
    """Land, for radar and camera: it rises from the polygon's edge to `height_m` within `rise_m`."""

    polygon_m: tuple[PointM, ...] = Field(min_length=3)
    height_m: float = Field(default=40.0, gt=0.0, le=2000.0)
    rise_m: Positive = 300.0


class Scenario(Table):
    """A whole scenario. `name` is the file's."""

    name: str
    title: str
    site: SiteTable
    camera: CameraTable
    radar: RadarTable
    time: TimeTable = TimeTable()
    weather: WeatherTable = WeatherTable()
    look: LookTable = LookTable()
    tide: TideTable = TideTable()
    vessel: tuple[VesselTable, ...] = ()
    traffic: tuple[TrafficTable, ...] = ()
    ais_receiver: tuple[AisReceiverTable, ...] = (AisReceiverTable(name="ais"),)
    nav: NavTable = NavTable()
    base_station: tuple[BaseStationTable, ...] = ()
    coast: tuple[CoastTable, ...] = ()
    zone: tuple[ZoneTable, ...] = ()
    rule: tuple[RuleTable, ...] = ()
    expect: tuple[ExpectTable, ...] = ()
    forbid: tuple[ForbidTable, ...] = ()
    fault: tuple[FaultTable, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _light(cls, data: dict[str, Any]) -> dict[str, Any]:
        """Light, sun and moon from the time, where the weather does not give them."""
        start = data.get("time", {}).get("start_utc") if isinstance(data.get("time"), dict) else None
        site = data.get("site")
        if not isinstance(start, datetime) or not isinstance(site, dict) or not {"lat", "lon"} <= site.keys():
            return data
        place = environment.utc(start), float(site["lat"]), float(site["lon"])
        bearing, elevation = environment.sun(*place)
        told = {"light": environment.light(elevation), "sun_bearing_deg": bearing, "sun_elevation_deg": elevation}
        told |= zip(("moon_bearing_deg", "moon_elevation_deg", "moon_lit"), environment.moon(*place), strict=True)
        return {**data, "weather": {**told, **data.get("weather", {})}}

    @model_validator(mode="after")
    def _refers(self) -> Scenario:
        if not self.vessel and not self.traffic:
            raise ValueError("nobody is at sea; give at least one [[vessel]] or [[traffic]]")
        vessels = [v.name for v in self.vessel]
        zones = [z.name for z in self.zone]
        for kind, names in (
            ("vessel", vessels),
            ("zone", zones),
            ("traffic", [t.name for t in self.traffic]),
            ("AIS receiver", [r.name for r in self.ais_receiver]),
        ):
            if len(set(names)) != len(names):
                raise ValueError(f"two {kind}s have one name; names are ids here, make them differ")
        tugs = {v.name for v in self.vessel if v.speed_mps > 0.0 and v.towed_by is None and v.end in ("on", "loop")}
        for v in self.vessel:
            if v.towed_by is not None and v.towed_by not in tugs:
                raise ValueError(f"vessel {v.name!r} is towed by {v.towed_by!r}, which is no vessel that keeps going")
        self._check_alerts(vessels, zones)
        return self

    def _check_alerts(self, vessels: list[str], zones: list[str]) -> None:
        crowds = [f"{t.name} *" for t in self.traffic]
        for about in [e.vessel for e in self.expect] + [f.vessel for f in self.forbid]:
            if about not in vessels and about not in crowds:
                raise ValueError(f"an alert is about vessel {about!r}, which is not in the scenario")
        identified = {v.name for v in self.vessel if v.ais is not None and not v.ais_off_s}
        for e in self.expect:
            if e.vessel not in vessels:
                raise ValueError(f"an expected alert is about one [[vessel]], not about {e.vessel!r}")
            if e.rule == "dark-vessel" and e.vessel in identified:
                raise ValueError(f"vessel {e.vessel!r} sends AIS and cannot be expected to be dark")
            if e.zone is not None and e.zone not in zones:
                raise ValueError(f"an alert is about zone {e.zone!r}, which is not in the scenario")
            if e.zone is None and e.rule.startswith("zone-"):
                raise ValueError(f"a {e.rule} alert about {e.vessel!r} needs its zone")
            if e.rule == "speed" and e.min_mps == 0.0:
                raise ValueError(f"a speed alert about {e.vessel!r} needs its min_mps")


def names() -> tuple[str, ...]:
    """The scenarios that come with the simulator."""
    folder = resources.files("hardware_sim") / "scenarios"
    return tuple(sorted(f.name.removesuffix(".toml") for f in folder.iterdir() if f.name.endswith(".toml")))


def load(which: str) -> Scenario:
    """The scenario of that name, or in that file.

    Raises:
        ScenarioError: there is none, or it is wrong.

    """
    if which.endswith(".toml"):
        path = Path(which)
        if not path.is_file():
            raise ScenarioError(f"{which}: no such scenario file")
        try:
            text, name = path.read_text(encoding="utf-8"), path.stem
        except (OSError, UnicodeDecodeError) as error:
            raise ScenarioError(f"{which}: cannot be read as a scenario: {error}") from error
    else:
        if which not in names():
            raise ScenarioError(f"no scenario {which!r}; there are {', '.join(names())}, or give a .toml file")
        text, name = (resources.files("hardware_sim") / "scenarios" / f"{which}.toml").read_text("utf-8"), which
    return parse(text, name)


def parse(text: str, name: str) -> Scenario:
    """A scenario from its TOML text.

    Raises:
        ScenarioError: with every error, one per line.

    """
    try:
        return Scenario.model_validate({"name": name, **tomllib.loads(text)})
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError(f"scenario {name}: not TOML: {error}") from error
    except ValidationError as error:
        raise ScenarioError("\n".join(f"scenario {name}: {says}" for says in sentences(error))) from error
