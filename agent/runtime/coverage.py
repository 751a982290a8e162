"""How far each sensor has seen lately, by sector: the evidence that tells a quiet sea from a broken sensor.

Promises:
- a sector's reach is the farthest thing that the sensor really measured in it within the last one to two hours; nothing
  is assumed from data sheets. A camera, which measures bearings, has its field of view to its horizon;
- a receiver whose reach has fallen below half of its usual one for two hours in a row is reported;
- memory is bounded: `SECTORS` numbers twice, and a week of hours, per sensor.

Thread-safe as far as needed: written by the sensors' threads, read by others; a reader may miss the newest value.
"""

from __future__ import annotations

import math
import statistics
from collections import deque
from typing import TYPE_CHECKING, Any

from agent.config.schema import CameraPose
from agent.geo import LocalFrame, enu_to_polar, horizon_m, polar_to_enu
from agent.messages import Ais, Scan, TrackReport

if TYPE_CHECKING:
    from agent.config.schema import Config, Sensor
    from agent.messages import Measurement

SECTORS = 36
HOUR_S = 3600.0
FAR_M = 300_000.0  # farther is not a reach but a wrong position (or a satellite's relay)
HISTORY_H = 168
ENOUGH_H = 24  # hours of history before one speaks of usual
FALLEN = 0.5


class Reach:
    """One sensor's reach by sector."""

    def __init__(self) -> None:
        self._now = [0.0] * SECTORS
        self._before = [0.0] * SECTORS
        self._hour: int | None = None
        self._heard = 0
        self.history: deque[float] = deque(maxlen=HISTORY_H)

    def see(self, at_s: float, range_m: float, bearing_deg: float) -> None:
        """Something was measured there."""
        self.advance(at_s)
        if not 0.0 < range_m <= FAR_M or math.isnan(bearing_deg):
            return
        sector = int(bearing_deg % 360.0 * SECTORS / 360.0) % SECTORS
        self._now[sector] = max(self._now[sector], range_m)
        self._heard += 1

    def advance(self, at_s: float) -> None:
        """Time goes on, also when nothing is seen."""
        hour = int(at_s // HOUR_S)
        if self._hour is None:
            self._hour = hour
        while self._hour < hour:
            self.history.append(_typical(self._now))
            self._before, self._now = self._now, [0.0] * SECTORS
            self._hour = hour if hour - self._hour > HISTORY_H else self._hour + 1

    def sectors_m(self) -> list[float]:
        """Farthest in each sector lately, metres, from north on clockwise; 0: nothing."""
        return [max(a, b) for a, b in zip(self._now, self._before, strict=True)]

    def fallen(self) -> str | None:
        """A sentence when the last two full hours fell short of what is usual here."""
        if len(self.history) < ENOUGH_H:
            return None
        usual = statistics.median(list(self.history)[:-2])
        last = max(list(self.history)[-2:])
        if usual <= 0.0 or last >= FALLEN * usual:
            return None
        return (
            f"it reached {last / 1000.0:.1f} km in the last two hours, {usual / 1000.0:.1f} km are usual: "
            "check antenna, cable and connectors"
        )


class Coverage:
    """All sensors' reach, and the polygons for status and page."""

    def __init__(self, config: Config) -> None:
        self._site = config.site
        self._frame = LocalFrame(lat=config.site.lat, lon=config.site.lon)
        self._sensors = {s.name: s for s in config.sensor if s.enabled}
        self._camera_range_m = config.tracking.camera_range_m
        self.reach: dict[str, Reach] = {}

    def take(self, source: str, message: Measurement) -> None:
        """Learn from a measurement."""
        reach = self.reach.get(source)
        match message:
            case Ais(lat=float(lat), lon=float(lon)):
                reach = reach or self.reach.setdefault(source, Reach())
                reach.see(message.at_s, *enu_to_polar(*self._frame.to_enu(lat, lon)))
            case Scan(plots=plots):
                reach = reach or self.reach.setdefault(source, Reach())
                reach.advance(message.at_s)
                for plot in plots:
                    reach.see(message.at_s, plot.range_m, plot.bearing_deg)
            case TrackReport(range_m=float(range_m), bearing_deg=float(bearing_deg)):
                reach = reach or self.reach.setdefault(source, Reach())
                reach.see(message.at_s, range_m, bearing_deg)

    def fallen(self, now_s: float) -> dict[str, str]:
        """Sensors whose reach has fallen, with the sentence."""
        out = {}
        for name, reach in list(self.reach.items()):
            reach.advance(now_s)
            if (sentence := reach.fallen()) is not None:
                out[name] = sentence
        return out

    def polygons(self) -> dict[str, dict[str, Any]]:
        """Per sensor `{"basis", "polygon": [[lat, lon], ...], "sectors_m"}`; basis: `measured` lately, or `view`."""
        out: dict[str, dict[str, Any]] = {}
        for name, sensor in self._sensors.items():
            if sensor.driver == "camera":
                out[name] = {"basis": "view", "polygon": self._view(sensor)}
            elif (reach := self.reach.get(name)) is not None:
                sectors = reach.sectors_m()
                width = 360.0 / SECTORS
                points = [self._point(r, (i + 0.5) * width) for i, r in enumerate(sectors)]
                out[name] = {"basis": "measured", "polygon": points, "sectors_m": [round(r) for r in sectors]}
        return out

    def _view(self, sensor: Sensor) -> list[list[float]]:
        pose = CameraPose.model_validate(sensor.options)
        height_m = self._site.height_m if pose.height_m is None else pose.height_m
        range_m = min(horizon_m(height_m), self._camera_range_m)
        steps = 8
        bearings = (pose.bearing_deg + pose.hfov_deg * (i / steps - 0.5) for i in range(steps + 1))
        return [self._point(0.0, 0.0), *(self._point(range_m, b) for b in bearings)]

    def _point(self, range_m: float, bearing_deg: float) -> list[float]:
        lat, lon = self._frame.to_geo(*polar_to_enu(range_m, bearing_deg))
        return [round(lat, 5), round(lon, 5)]


def _typical(sectors: list[float]) -> float:
    """One number for an hour: the farthest sector but one, so that one freak reception counts for nothing."""
    return sorted(sectors)[-2]
