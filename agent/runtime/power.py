"""Heat, battery, night and budgets: how much the box works, and what it says of that.

Promises:
- what is saved is radar video between two looks and the cameras' idle rate, and nothing else: AIS, tracked targets,
  navigation, core and publishing go on;
- while anything moving is tracked, or an alert is open, radar and cameras work in full; only a box about to stop from
  heat (`critical_c`) also slows its cameras then;
- every limit has its way back (`cool_c`, `battery_back_percent`), so that nothing flaps;
- what is reduced, why, and what it costs stand in one sentence, in health and status; what a box does not have (a
  thermometer, a battery) never saves anything.

Sources: sysfs ABI, thermal (temp in millidegrees) and power_supply (type, scope, capacity, status, online); sun's place
from the Astronomical Almanac's low-precision formulae (0.01 degrees until 2050).
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.messages import SensorHealth, SensorState, TrackStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from agent.config.schema import Power, Site
    from agent.messages import Alert, Stamp, TrackPicture

HOLD_S = 30.0  # after the last track all goes on for so long: a vessel behind a wave comes back
NIGHT_DEG = -6.0  # civil twilight: a camera without light of its own is blind below
CPU_S = 60.0  # over which the box's own use of the processor is judged
STATIC = "static"  # class of an echo that has not moved: a buoy keeps no box awake
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Governor:
    """Ask `look` every few seconds, `pace` whenever a child is told what to do. Safe from several threads."""

    def __init__(self, power: Power, site: Site) -> None:
        self.power = power
        self._site = site
        self._causes: dict[str, str] = {}  # why it saves; by kind, so that each has its hysteresis
        self._busy_s = -math.inf
        self._now_s = 0.0
        self._cpu: list[tuple[float, float]] = []
        self.values: dict[str, float] = {}

    def look(self, now: Stamp, processes: Iterable[int] = ()) -> SensorHealth:
        """Judge the box; `processes` are its children, counted with this one. Health of `power`."""
        self._now_s = now.t_s
        self.values = {}
        use = self._use(now.t_s, [os.getpid(), *processes])
        causes = dict((*self._profile(now), *self._battery(), *self._heat(), *use))
        self._causes = causes
        asked_for = not set(causes) - {"profile", "night"}  # what the operator wants is no fault
        state = SensorState.OK if asked_for else SensorState.DEGRADED
        figures = tuple(sorted(self.values.items()))
        return SensorHealth(at_s=now.t_s, source="power", state=state, sentence=self.sentence(), counters=figures)

    def watch(self, now_s: float, picture: TrackPicture | None, alerts: Iterable[Alert]) -> None:
        """Learn whether there is anything to keep an eye on."""
        self._now_s = now_s
        tracks = () if picture is None else picture.tracks
        if any(t.status is not TrackStatus.AIS and t.class_ != STATIC for t in tracks) or any(True for _ in alerts):
            self._busy_s = now_s

    @property
    def busy(self) -> bool:
        """Something is tracked or alerted, or was just now."""
        return self._now_s - self._busy_s <= HOLD_S

    def pace(self) -> list[Any]:
        """The order for a child: ["pace", radar on s, radar off s (0: always on), camera's pictures/s (0: its own)]."""
        p, causes = self.power, self._causes
        if "critical" in causes and self.busy:
            return ["pace", p.radar_on_s, 0.0, p.camera_idle_fps]
        if not causes or self.busy:
            return ["pace", p.radar_on_s, 0.0, 0.0]
        return ["pace", p.radar_on_s, p.radar_off_s, p.camera_idle_fps]

    def sentence(self) -> str:
        """What is reduced, why, and what it costs."""
        if not self._causes:
            return "in full"
        p, why = self.power, " and ".join(self._causes.values())
        if "critical" in self._causes and self.busy:
            pace = f"cameras look at {p.camera_idle_fps:g} pictures a second also at what is tracked"
            return f"{why}: {pace}; cool the box"
        cost = (
            f"radar video is looked at for {p.radar_on_s:g} of every {p.radar_on_s + p.radar_off_s:g} s and cameras at "
            f"{p.camera_idle_fps:g} pictures a second; what appears may be seen {p.radar_off_s:g} s later"
        )
        return f"{why}: saving while nothing is tracked ({cost})" + ("; in full just now" if self.busy else "")

    def delay_s(self) -> float:
        """By how much a new vessel may be seen later because of saving; 0 while all is on."""
        return float(self.pace()[2])

    def _profile(self, now: Stamp) -> Iterator[tuple[str, str]]:
        if self.power.profile == "saver":
            yield "profile", "the profile is saver"
        if self.power.saver_at_night:
            sun_deg = sun_elevation_deg(now.wall_s, self._site.lat, self._site.lon)
            self.values["sun_deg"] = round(sun_deg, 1)
            if sun_deg < NIGHT_DEG:
                yield "night", "it is night"

    def _battery(self) -> Iterator[tuple[str, str]]:
        percent, discharging = self._supply()
        if percent is None:
            return
        self.values["battery_percent"] = percent
        p = self.power
        limit = p.battery_back_percent if "battery" in self._causes else p.battery_low_percent
        if discharging and p.battery_low_percent > 0.0 and percent <= limit:
            yield "battery", f"the battery is at {percent:.0f} %"

    def _supply(self) -> tuple[float | None, bool]:
        """(lowest charge in percent, whether the box lives on it); None without a battery."""
        percents, discharging = [], False
        for supply in Path(self.power.supply_path).glob("*"):
            if _text(supply / "type") != "Battery" or _text(supply / "scope") == "Device":  # a mouse's is not ours
                continue
            if (percent := _number(supply / "capacity")) is not None:
                percents.append(percent)
                discharging |= _text(supply / "status") not in ("Charging", "Full")
        return min(percents, default=None), discharging

    def _heat(self) -> Iterator[tuple[str, str]]:
        zones = [_number(f) for f in Path(self.power.thermal_path).glob("thermal_zone*/temp")]
        heat_c = max((z / 1000.0 for z in zones if z is not None), default=None)
        if heat_c is None:
            return
        self.values["temperature_c"] = round(heat_c, 1)
        p = self.power
        if heat_c >= (p.critical_c - (p.hot_c - p.cool_c) if "critical" in self._causes else p.critical_c):
            yield "critical", f"the processor is at {heat_c:.0f} degrees"
        elif heat_c >= (p.cool_c if {"hot", "critical"} & set(self._causes) else p.hot_c):
            yield "hot", f"the processor is at {heat_c:.0f} degrees"

    def _use(self, now_s: float, pids: list[int]) -> Iterator[tuple[str, str]]:
        """Own use of the processor over the last minute against its budget, in cores."""
        self._cpu.append((now_s, sum(_cpu_s(pid) for pid in pids)))
        while len(self._cpu) > 2 and now_s - self._cpu[1][0] >= CPU_S:
            del self._cpu[0]
        (from_s, before), (_, after) = self._cpu[0], self._cpu[-1]
        if now_s - from_s < CPU_S or after < before:  # a child that was started anew begins at nothing
            return
        cores = (after - before) / (now_s - from_s)
        self.values["cores_used"] = round(cores, 2)
        p = self.power
        if p.cpu_cores > 0.0 and cores > p.cpu_cores * (0.8 if "cpu" in self._causes else 1.0):
            yield "cpu", f"the agent uses {cores:.1f} of the {p.cpu_cores:g} cores that it may"


def own_memory_mb(pid: int) -> float:
    """Memory that is a process's own (without libraries that it shares), MB; 0 when it is gone."""
    try:
        _, resident, shared, *_ = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return 0.0
    return (int(resident) - int(shared)) * _PAGE / 1e6


def sun_elevation_deg(wall_s: float, lat: float, lon: float) -> float:
    """The sun's height above the horizon, degrees; `wall_s` Unix UTC."""
    days = wall_s / 86_400.0 - 10_957.5  # since J2000.0
    anomaly = math.radians((357.528 + 0.9856003 * days) % 360.0)
    mean_deg = 280.460 + 0.9856474 * days
    longitude = math.radians((mean_deg + 1.915 * math.sin(anomaly) + 0.020 * math.sin(2.0 * anomaly)) % 360.0)
    tilt = math.radians(23.439 - 4e-7 * days)
    ascension = math.atan2(math.cos(tilt) * math.sin(longitude), math.cos(longitude))
    declination = math.asin(math.sin(tilt) * math.sin(longitude))
    hour = math.radians((280.46062 + 360.98564737 * days + lon) % 360.0) - ascension
    at = math.radians(lat)
    return math.degrees(
        math.asin(math.sin(at) * math.sin(declination) + math.cos(at) * math.cos(declination) * math.cos(hour))
    )


def _cpu_s(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _number(path: Path) -> float | None:
    try:
        return float(_text(path))
    except ValueError:
        return None  # a thermometer that is switched off says so when it is read
