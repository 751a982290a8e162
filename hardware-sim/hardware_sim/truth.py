"""What really happens, as JSON lines: a header, every vessel once a second, and events at their moments.

Promises:
- `at` is Unix seconds, `t` seconds since the start; positions are where the vessel's middle is;
- zone crossings are found to a millisecond from the vessels' own motion, not from the one-second lines;
- a `dark-vessel` event is due when a vessel of which it is expected has gone without AIS for `ais_wait_s` since the
  start and, if the expectation names a zone, is inside it; it comes once per vessel.
"""

from __future__ import annotations

from itertools import count, pairwise
from typing import TYPE_CHECKING, Any

from hardware_sim.geo import inside

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hardware_sim.scenario import ExpectTable, ZoneTable
    from hardware_sim.world import Vessel, World

STEP_S = 0.1
FINE_S = 1e-3


def header(world: World, start_unix_s: float) -> dict[str, Any]:
    """The first line."""
    s = world.scenario
    return {
        "type": "header",
        "scenario": s.name,
        "title": s.title,
        "seed": world.seed,
        "site": s.site.model_dump(),
        "start_unix": start_unix_s,
        "expect": [e.model_dump(exclude_none=True) for e in s.expect],
        "forbid": [f.model_dump(exclude_none=True) for f in s.forbid],
    }


def lines(world: World, start_unix_s: float) -> Iterator[tuple[float, dict[str, Any]]]:
    """(t, line) in order of time, for ever. Events come with the second in which they happened."""
    dark: set[str] = set()
    for k in count():
        if k > 0:
            for event in events(world, k - 1.0, float(k)):
                if event["kind"] == "dark-vessel":
                    if event["target"] in dark:
                        continue
                    dark.add(event["target"])
                yield float(k), {**event, "at": start_unix_s + event["t"]}
        for vessel in world.vessels:
            yield float(k), {**target(world, vessel, float(k)), "at": start_unix_s + k}


def target(world: World, vessel: Vessel, t: float) -> dict[str, Any]:
    """One vessel at one moment."""
    s = vessel.at(t)
    lat, lon = world.geo(s.east_m, s.north_m)
    return {
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


def events(world: World, since_s: float, until_s: float) -> list[dict[str, Any]]:
    """What happens in (since, until], in order."""
    found: list[dict[str, Any]] = []
    for vessel in world.vessels:
        for zone in world.scenario.zone:
            found += _crossings(vessel, zone, since_s, until_s)
    for expect in world.scenario.expect:
        if expect.rule == "dark-vessel" and (due := _dark_at(world, expect, since_s, until_s)) is not None:
            found.append(_event("dark-vessel", due, expect.vessel, expect.zone))
    return sorted(found, key=lambda e: e["t"])


def _event(kind: str, t: float, vessel: str, zone: str | None) -> dict[str, Any]:
    return {"type": "event", "kind": kind, "t": round(t, 3), "target": vessel, "zone": zone}


def _inside(vessel: Vessel, zone: ZoneTable, t: float) -> bool:
    s = vessel.at(t)
    return inside(s.east_m, s.north_m, zone.polygon_m)


def _crossings(vessel: Vessel, zone: ZoneTable, since_s: float, until_s: float) -> Iterator[dict[str, Any]]:
    steps = max(1, round((until_s - since_s) / STEP_S))
    times = [since_s + (until_s - since_s) * i / steps for i in range(steps + 1)]
    before = _inside(vessel, zone, times[0])
    for t0, t1 in pairwise(times):
        after = _inside(vessel, zone, t1)
        if after != before:
            low, high = t0, t1
            while high - low > FINE_S:
                middle = (low + high) / 2.0
                low, high = (middle, high) if _inside(vessel, zone, middle) == before else (low, middle)
            yield _event("zone-enter" if after else "zone-exit", high, vessel.id, zone.name)
        before = after


def _dark_at(world: World, expect: ExpectTable, since_s: float, until_s: float) -> float | None:
    """When the expected dark-vessel alert becomes due, if that is in (since, until]."""
    vessel = next(v for v in world.vessels if v.id == expect.vessel)
    zone = next((z for z in world.scenario.zone if z.name == expect.zone), None)
    if until_s < expect.ais_wait_s:
        return None
    if zone is None:
        return expect.ais_wait_s if since_s < expect.ais_wait_s <= until_s else None
    entries = [e["t"] for e in _crossings(vessel, zone, since_s, until_s) if e["kind"] == "zone-enter"]
    if since_s < expect.ais_wait_s <= until_s and _inside(vessel, zone, expect.ais_wait_s):
        return expect.ais_wait_s
    return next((t for t in entries if t >= expect.ais_wait_s), None)
