"""Scenario files: a place, its devices, its weather, who sails there, what must be alerted.

Promises:
- a file is read whole or refused with every error named by its key;
- positions in a file are (east_m, north_m) metres from the site, so that they can be read and drawn by hand;
- vessels' ids are their names, unique in the file; zones, expectations and faults name what exists.
"""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from hardware_sim.errors import FaultError, ScenarioError
from hardware_sim.vessels import CLASSES

PointM = tuple[float, float]
Bearing = Annotated[float, Field(ge=0.0, lt=360.0)]
Positive = Annotated[float, Field(gt=0.0)]
FAULTS = {
    "radar-unplugged": "the radar's serial line hangs up and its device name is gone; back under the same name",
    "ttm-garbage": "a third of the radar's sentences arrive with wrong, missing or foreign bytes",
    "spokes-truncated": "half of the radar's datagrams end early",
    "spokes-cut": "no radar video arrives",
    "camera-frozen": "the camera's connections stay open and deliver nothing",
    "camera-stuck": "the camera repeats one picture",
    "camera-killed": "the camera refuses connections; back on the same port",
    "ais-cut": "the AIS aerial is cut: nothing is received",
    "nav-cut": "position, heading and wind stop",
}


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SiteTable(_Table):
    """Where the box stands. `height_m` is the mast's, above the sea."""

    name: str
    lat: float = Field(ge=-85.0, le=85.0)
    lon: float = Field(ge=-180.0, lt=180.0)
    height_m: Positive


class CameraTable(_Table):
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


class RadarTable(_Table):
    """One X-band radar that gives both ARPA targets and video. `heading_deg` is where its bow mark points."""

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
    on_since_s: float = Field(default=60.0, ge=0.0)


class WeatherTable(_Table):
    """Wind, sea and light. Sea state is Douglas' 1..6."""

    sea_state: int = Field(default=2, ge=1, le=6)
    wind_mps: float = Field(default=4.5, ge=0.0)
    wind_from_deg: Bearing = 270.0
    visibility_m: Positive = 20_000.0
    light: Literal["day", "overcast", "dusk", "night", "thermal"] = "day"
    sun_bearing_deg: Bearing = 180.0
    sun_elevation_deg: float = 40.0
    clouds: float = Field(default=0.4, ge=0.0, le=1.0)
    land: float = Field(default=0.0, ge=0.0, le=1.0)


class VesselTable(_Table):
    """One vessel. `ais`: "A" or "B" with an MMSI, or none. `length_m` overrides the kind's."""

    name: str = Field(min_length=1, max_length=40)
    kind: str
    route_m: tuple[PointM, ...] = Field(min_length=1)
    speed_mps: float = Field(ge=0.0)
    end: Literal["hold", "on", "loop"] = "on"
    ais: Literal["A", "B"] | None = None
    mmsi: int | None = Field(default=None, ge=200_000_000, le=799_999_999)
    callsign: str = Field(default="", max_length=7)
    length_m: Positive | None = None

    @model_validator(mode="after")
    def _sound(self) -> VesselTable:
        if self.kind not in CLASSES:
            raise ValueError(f"unknown kind {self.kind!r}; one of {', '.join(CLASSES)}")
        if (self.ais is None) != (self.mmsi is None):
            raise ValueError(f"vessel {self.name!r}: `ais` and `mmsi` go together; give both or neither")
        if self.speed_mps > CLASSES[self.kind].max_speed_mps:
            raise ValueError(
                f"vessel {self.name!r}: a {self.kind} makes at most {CLASSES[self.kind].max_speed_mps} m/s"
            )
        if any(a == b for a, b in zip(self.route_m, self.route_m[1:], strict=False)):
            raise ValueError(f"vessel {self.name!r}: two waypoints in a row are the same; remove one")
        if self.end == "loop" and len(self.route_m) < 3:
            raise ValueError(f"vessel {self.name!r}: a loop needs at least three waypoints")
        return self


class ZoneTable(_Table):
    """A polygon with a name."""

    name: str = Field(min_length=1)
    polygon_m: tuple[PointM, ...] = Field(min_length=3)


class ExpectTable(_Table):
    """An alert that must come. A dark vessel is due `ais_wait_s` after the start, and not before it is in `zone`."""

    rule: Literal["zone-enter", "zone-exit", "dark-vessel"]
    vessel: str
    zone: str | None = None
    ais_wait_s: float = Field(default=0.0, ge=0.0)


class ForbidTable(_Table):
    """An alert that must not come: any about this vessel, or of this rule only."""

    vessel: str
    rule: str | None = None


class FaultTable(_Table):
    """A fault from `at_s` on, for `duration_s` or to the end."""

    name: str
    at_s: float = Field(ge=0.0)
    duration_s: Positive | None = None

    @model_validator(mode="after")
    def _known(self) -> FaultTable:
        if self.name not in FAULTS:
            raise ValueError(f"unknown fault {self.name!r}; one of {', '.join(FAULTS)}")
        return self


class Scenario(_Table):
    """A whole scenario. `name` is the file's."""

    name: str
    title: str
    site: SiteTable
    camera: CameraTable
    radar: RadarTable
    weather: WeatherTable = WeatherTable()
    vessel: tuple[VesselTable, ...] = Field(min_length=1)
    zone: tuple[ZoneTable, ...] = ()
    expect: tuple[ExpectTable, ...] = ()
    forbid: tuple[ForbidTable, ...] = ()
    fault: tuple[FaultTable, ...] = ()

    @model_validator(mode="after")
    def _refers(self) -> Scenario:
        vessels = [v.name for v in self.vessel]
        zones = [z.name for z in self.zone]
        for kind, names in (("vessel", vessels), ("zone", zones)):
            if len(set(names)) != len(names):
                raise ValueError(f"two {kind}s have one name; names are ids here, make them differ")
        for about in (*(e.vessel for e in self.expect), *(f.vessel for f in self.forbid)):
            if about not in vessels:
                raise ValueError(f"an alert is about vessel {about!r}, which is not in the scenario")
        identified = {v.name for v in self.vessel if v.ais is not None}
        for e in self.expect:
            if e.rule == "dark-vessel" and e.vessel in identified:
                raise ValueError(f"vessel {e.vessel!r} sends AIS and cannot be expected to be dark")
            if e.zone is not None and e.zone not in zones:
                raise ValueError(f"an alert is about zone {e.zone!r}, which is not in the scenario")
            if e.zone is None and e.rule != "dark-vessel":
                raise ValueError(f"a {e.rule} alert about {e.vessel!r} needs its zone")
        return self


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
        text, name = path.read_text(encoding="utf-8"), path.stem
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
        lines = [f"scenario {name}: {'.'.join(str(p) for p in e['loc']) or 'file'}: {e['msg']}" for e in error.errors()]
        raise ScenarioError("\n".join(lines)) from error


def parse_fault(text: str) -> FaultTable:
    """A fault from the command line: `name@at` or `name@at:duration`, seconds.

    Raises:
        FaultError: it cannot be read.

    """
    name, _, timing = text.partition("@")
    at, _, duration = timing.partition(":")
    try:
        return FaultTable(name=name, at_s=float(at), duration_s=float(duration) if duration else None)
    except ValidationError as error:
        raise FaultError(f"fault {text!r}: {error.errors()[0]['msg']}") from error
    except ValueError as error:
        raise FaultError(f"fault {text!r}: write NAME@SECONDS or NAME@SECONDS:DURATION") from error
