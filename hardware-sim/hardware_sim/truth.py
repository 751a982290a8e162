"""What really happens, as JSON lines: a header, every vessel once a second, and events at their moments.

Promises:
- `at` is Unix seconds, `t` seconds since the start; positions are where the vessel's middle is;
- zone crossings and speeds are found to a millisecond from the vessels' own motion, not from the one-second lines; a
  vessel that is in a zone at the start enters it at t = 0;
- a `dark-vessel` event is due when a vessel of which it is expected has gone without AIS for `ais_wait_s` within the
  radar's range (since the start, since it came into range, or since it switched its AIS off) and, if the expectation
  names a zone, is inside it; it comes once per vessel;
- `speed` is due when a vessel of which it is expected first goes at `min_mps` within the radar's range (and in the
  zone, if one is named), once;
- `rendezvous` and `loitering` are what `hardware_sim.gatherings` finds in the vessels' motion, asked for or not;
- `ais-off`, `ais-on`, `ais-shift` and `sart-on` come from the vessels' tables;
- a line with `clutter` is about something that is no vessel: to track it is no mistake, and no merit.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np

from hardware_sim.gatherings import Gatherings
from hardware_sim.geo import edge_distance_m, inside_many

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from hardware_sim.tables import ExpectTable
    from hardware_sim.world import Vessel, World

    Condition = Callable[[NDArray[np.float64]], NDArray[np.bool_]]

STEP_S = 0.1
FINE_S = 1e-3
COARSE_S = 10.0


def header(world: World, start_unix_s: float) -> dict[str, Any]:
    """The first line."""
    s = world.scenario
    return {
        "type": "header",
        "scenario": s.name,
        "title": s.title,
        "seed": world.seed,
        "site": s.site.model_dump(),
        "camera": s.camera.model_dump(),
        "reach_m": s.radar.range_m,
        "start_unix": start_unix_s,
        "expect": [e.model_dump(exclude_none=True) for e in s.expect],
        "forbid": [f.model_dump(exclude_none=True) for f in s.forbid],
    }


def lines(world: World, start_unix_s: float) -> Iterator[tuple[float, dict[str, Any]]]:
    """(t, line) in order of time, for ever. Events come with the second in which they happened."""
    found = Found(world)
    for k in count():
        if k > 0:
            for event in found.between(k - 1.0, float(k)):
                yield float(k), {**event, "at": start_unix_s + event["t"]}
        for vessel in world.vessels:
            yield float(k), {**target(world, vessel, float(k)), "at": start_unix_s + k}


def target(world: World, vessel: Vessel, t: float) -> dict[str, Any]:
    """One vessel at one moment."""
    s = vessel.at(t)
    lat, lon = world.geo(s.east_m, s.north_m)
    line = {
        "type": "target",
        "t": t,
        "id": vessel.id,
        "class": vessel.table.kind,
        "lat": round(lat, 8),
        "lon": round(lon, 8),
        "east_m": round(s.east_m, 3),
        "north_m": round(s.north_m, 3),
        "sog_mps": round(s.sog_mps, 3),
        "cog_deg": round(s.cog_deg, 3),
        "mmsi": vessel.table.mmsi,
        "length_m": vessel.length_m,
    }
    return line if vessel.kind.vessel else {**line, "clutter": True}


class Found:
    """The events of a run, span after span: what comes once comes once."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._zones = {z.name: z.polygon_m for z in world.scenario.zone}
        self._vessels = {v.id: v for v in world.vessels}
        self._said: set[tuple[str, str, str | None]] = set()
        self._near_since: dict[str, float] = {}
        self._gatherings = Gatherings(world)

    def between(self, since_s: float, until_s: float) -> list[dict[str, Any]]:
        """What happens in (since, until], in order. Spans have to be asked for in order."""
        found = events(self._world, since_s, until_s) + self._gatherings.between(since_s, until_s)
        for expect in self._world.scenario.expect:
            key = (expect.rule, expect.vessel, expect.zone)
            if expect.rule in ("dark-vessel", "speed") and key not in self._said:
                due = self._due(expect, since_s, until_s)
                if due is not None:
                    self._said.add(key)
                    found.append(_event(expect.rule, due, expect.vessel, expect.zone))
        return sorted(found, key=lambda e: e["t"])

    def _due(self, expect: ExpectTable, since_s: float, until_s: float) -> float | None:
        """When the condition of that alert first holds, if that is in (since, until]."""
        vessel = self._vessels[expect.vessel]
        polygon = self._zones[expect.zone] if expect.zone is not None else None
        near_s = self._in_range_since(vessel, since_s, until_s)
        if near_s is None:
            return None
        from_s = near_s
        if expect.rule == "dark-vessel":
            from_s = max(near_s, silent_since_s(vessel)) + expect.ais_wait_s

        def holds(t: NDArray[np.float64]) -> NDArray[np.bool_]:
            s = vessel.trajectory.many(t)
            where = np.ones(len(t), dtype=np.bool_) if polygon is None else inside_many(s.east_m, s.north_m, polygon)
            return where & self._in_range(vessel, t) & (t >= from_s) & (s.sog_mps >= expect.min_mps)

        if since_s == 0.0 and from_s <= 0.0 and holds(np.array([0.0]))[0]:
            return 0.0
        return next((t for t, on in changes(holds, since_s, until_s) if on), None)

    def _in_range(self, vessel: Vessel, t: NDArray[np.float64]) -> NDArray[np.bool_]:
        s = vessel.trajectory.many(t)
        return np.hypot(s.east_m, s.north_m) <= self._world.scenario.radar.range_m

    def _in_range_since(self, vessel: Vessel, since_s: float, until_s: float) -> float | None:
        """When the vessel was first within the radar's range, from the start on; None: not until `until_s`."""
        if vessel.id not in self._near_since:
            if since_s == 0.0 and self._in_range(vessel, np.array([0.0]))[0]:
                self._near_since[vessel.id] = 0.0
            else:
                came = (t for t, on in changes(lambda t: self._in_range(vessel, t), since_s, until_s) if on)
                first = next(came, None)
                if first is not None:
                    self._near_since[vessel.id] = first
        return self._near_since.get(vessel.id)


def silent_since_s(vessel: Vessel) -> float:
    """Since when a vessel sends no AIS; infinite if it does all the time."""
    if vessel.table.ais is None:
        return 0.0
    return vessel.table.ais_off_s[0][0] if vessel.table.ais_off_s else float("inf")


def events(world: World, since_s: float, until_s: float) -> list[dict[str, Any]]:
    """Zone crossings and what the vessels' AIS does in (since, until], in order."""
    found: list[dict[str, Any]] = []
    for vessel in world.vessels:
        if not vessel.kind.vessel:
            continue
        for zone in world.scenario.zone:
            within = _in_zone(vessel, zone.polygon_m)
            if since_s == 0.0 and within(np.array([0.0]))[0]:
                found.append(_event("zone-enter", 0.0, vessel.id, zone.name))
            for a, b in _near_edge(vessel, zone.polygon_m, since_s, until_s):
                for t, on in changes(within, a, b):
                    found.append(_event("zone-enter" if on else "zone-exit", t, vessel.id, zone.name))
        found += [_event(k, t, vessel.id, None) for k, t in _switched(vessel) if since_s < t <= until_s]
    return sorted(found, key=lambda e: e["t"])


def changes(condition: Condition, since_s: float, until_s: float) -> Iterator[tuple[float, bool]]:
    """(t, new value) of a condition's changes in (since, until], to a millisecond."""
    steps = max(1, round((until_s - since_s) / STEP_S))
    times = since_s + (until_s - since_s) * np.arange(steps + 1) / steps
    held = condition(times)
    for i in np.flatnonzero(held[1:] != held[:-1]).tolist():
        low, high = float(times[i]), float(times[i + 1])
        while high - low > FINE_S:
            middle = (low + high) / 2.0
            low, high = (middle, high) if condition(np.array([middle]))[0] == held[i] else (low, middle)
        yield high, bool(held[i + 1])


def _near_edge(
    vessel: Vessel, polygon: tuple[tuple[float, float], ...], since_s: float, until_s: float
) -> Iterator[tuple[float, float]]:
    """Parts of a long span in which the vessel may cross the polygon's edge; a short span as it is."""
    parts = round((until_s - since_s) / COARSE_S)
    if parts <= 1:
        yield since_s, until_s
        return
    t = since_s + (until_s - since_s) * np.arange(parts + 1) / parts
    s = vessel.trajectory.many(t)
    reach = COARSE_S * vessel.kind.max_speed_mps + 50.0  # wandering and drifting come on top of what an engine does
    near = edge_distance_m(s.east_m, s.north_m, polygon) <= reach
    for i in np.flatnonzero(near[:-1] | near[1:]).tolist():
        yield float(t[i]), float(t[i + 1])


def _in_zone(vessel: Vessel, polygon: tuple[tuple[float, float], ...]) -> Condition:
    def condition(t: NDArray[np.float64]) -> NDArray[np.bool_]:
        s = vessel.trajectory.many(t)
        return inside_many(s.east_m, s.north_m, polygon)

    return condition


def _switched(vessel: Vessel) -> Iterator[tuple[str, float]]:
    table = vessel.table
    for off, on in table.ais_off_s:
        yield "ais-off", off
        yield "ais-on", on
    if table.ais_shift_m != (0.0, 0.0):
        yield "ais-shift", table.ais_shift_from_s
    if table.sart_mmsi is not None:
        yield "sart-on", table.sart_from_s


def _event(kind: str, t: float, vessel: str, zone: str | None) -> dict[str, Any]:
    return {"type": "event", "kind": kind, "t": round(t, 3), "target": vessel, "zone": zone}
