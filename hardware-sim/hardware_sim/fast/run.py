"""`run --fast`: a scenario as the events that a box's drivers would give its core, written as fast as they can be made.

Promises:
- DIR/events.jsonl is what `vigia replay --events` takes (one line per radar turn, AIS message and second of the clock),
  DIR/truth.jsonl what `score` takes, its targets every `TRUTH_S`; both are the same for the same (scenario, seed);
- the start is the scenario's `start_utc`, or `EPOCH` of `environment`: no clock is read;
- faults that a plot-level run can show are shown (`SHOWN`): the radar's turns are missing, or the AIS; the others are
  named in the summary as not shown.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from heapq import merge
from itertools import takewhile
from typing import TYPE_CHECKING, Any

import numpy as np

from hardware_sim import ais, ais_receiver, truth
from hardware_sim.environment import started
from hardware_sim.fast.plots import BLOCK, RadarPlots
from hardware_sim.faults import Faults
from hardware_sim.geo import KNOT_MPS
from hardware_sim.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hardware_sim.scenario import Scenario
    from hardware_sim.tables import AisReceiverTable

    Line = tuple[float, str]

TRUTH_S = 10.0
RADAR = "radar-1"
SHOWN = ("radar-standby", "radar-unplugged", "ais-cut")
_AIS_KIND = {"A": "a", "B": "b", "B-SO": "b"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What was written."""

    scenario: str
    seed: int
    duration_s: float
    scans: int
    plots: int
    ais: int
    not_shown: tuple[str, ...]


def write(scenario: Scenario, seed: int, duration_s: float, out: Path, tick_s: float = 1.0) -> Summary:
    """Write events.jsonl and truth.jsonl into `out`. `tick_s`: how often the box is to judge."""
    out.mkdir(parents=True, exist_ok=True)
    world = World(scenario, seed)
    start = started(scenario.time).timestamp()
    faults = Faults(scenario.fault)
    count = {"scan": 0, "plot": 0, "ais": 0}
    with (out / "events.jsonl").open("w", encoding="utf-8") as events:
        sources = [_scans(world, start, duration_s, faults, count), _ticks(start, duration_s, tick_s)]
        sources += [_ais(world, r, start, duration_s, faults, count) for r in scenario.ais_receiver]
        events.writelines(line for _, line in merge(*sources, key=lambda item: item[0]))
    with (out / "truth.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(_truth(world, start, duration_s))
    return Summary(
        scenario=scenario.name,
        seed=seed,
        duration_s=duration_s,
        scans=count["scan"],
        plots=count["plot"],
        ais=count["ais"],
        not_shown=tuple(sorted({f.name for f in scenario.fault} - set(SHOWN))),
    )


def _scans(world: World, start: float, duration_s: float, faults: Faults, count: dict[str, int]) -> Iterator[Line]:
    radar = RadarPlots(world)
    turns = math.floor(duration_s / radar.turn_s)
    for first, p in radar.blocks(turns):
        ends = np.searchsorted(p.turn, np.arange(first, first + BLOCK), side="right").tolist()
        rows = [
            f'{{"range_m":{r:.2f},"bearing_deg":{b:.1f},"sigma_range_m":{sr:.1f},"sigma_bearing_deg":{sb:.3f},'
            f'"amplitude_db":{a:.1f},"extent_m":{x:.0f}}}'
            for r, b, sr, sb, a, x in zip(
                p.range_m.tolist(),
                p.bearing_deg.tolist(),
                p.sigma_range_m.tolist(),
                p.sigma_bearing_deg.tolist(),
                p.amplitude_db.tolist(),
                p.extent_m.tolist(),
                strict=True,
            )
        ]
        begin = 0
        for i, end in enumerate(ends[: turns - first]):
            t = (first + i + 0.5) * radar.turn_s
            if not (faults.active("radar-standby", t) or faults.active("radar-unplugged", t)):
                count["scan"] += 1
                count["plot"] += end - begin
                plots = ",".join(rows[begin:end])
                at = round(start + t, 3)
                yield (
                    t,
                    (f'{{"type":"scan","at":{at},"source":"{RADAR}","period_s":{radar.turn_s!r},"plots":[{plots}]}}\n'),
                )
            begin = end


def _ticks(start: float, duration_s: float, tick_s: float) -> Iterator[Line]:
    for k in range(1, math.floor(duration_s / tick_s) + 1):
        t = k * tick_s
        yield t, f'{{"type":"tick","at":{start + t}}}\n'


def _ais(
    world: World, receiver: AisReceiverTable, start: float, duration_s: float, faults: Faults, count: dict[str, int]
) -> Iterator[Line]:
    cut = any(f.name == "ais-cut" for f in world.scenario.fault)
    for x in takewhile(lambda x: x.t < duration_s, ais_receiver.heard(world, receiver, start)):
        if cut and faults.active("ais-cut", x.t):
            continue
        said = _said(x.build())
        if said is not None:
            count["ais"] += 1
            yield x.t, f'{{"type": "ais", "at": {round(start + x.t, 4)!r}, "source": "{receiver.name}", {said}\n'


def _said(m: ais.Message) -> str | None:
    """What follows of a message's line, as a decoder gives its values; None for what has no event."""
    if isinstance(m, ais.Position):
        return _report(m)  # nearly all are such: written without an encoder
    event = _ais_event(m)
    return None if event is None else _ENCODE(event)[1:]


def _report(p: ais.Position) -> str:
    """A position report as `_ENCODE` would write it, in the wire's own steps."""
    class_a = p.ais_class == "A"
    heading = "null" if p.heading_deg is None else f"{round(p.heading_deg) % 360}.0"
    return (
        f'"mmsi": {p.mmsi}, "kind": "{"sart" if p.sart else _AIS_KIND[p.ais_class]}", '
        f'"msg_type": {1 if class_a else 18}, '
        f'"lat": {_wire_deg(p.lat)!r}, "lon": {_wire_deg(p.lon)!r}, '
        f'"sog_mps": {round(ais.wire_knots(p.sog_mps) * KNOT_MPS, 4)!r}, '
        f'"cog_deg": {round(p.cog_deg * 10.0) % 3600 / 10.0!r}, "heading_deg": {heading}, '
        f'"nav_status": {p.nav_status if class_a else "null"}, "accurate": {"true" if p.accurate else "false"}}}'
    )


def _ais_event(m: ais.Message) -> dict[str, Any] | None:
    """The values of any other message, likewise."""
    match m:
        case ais.Aton() as a:
            lat, lon = _wire_deg(a.lat), _wire_deg(a.lon)
            return {"mmsi": a.mmsi, "kind": "aton", "msg_type": 21, "lat": lat, "lon": lon, "name": a.name.upper()}
        case ais.Static() as s:
            kind = "a" if s.part == 5 else "b"
            if s.part == 24:
                return {"mmsi": s.mmsi, "kind": kind, "msg_type": 24, "name": s.name.upper()[:20]}
            bow, stern, port, starboard = s.dimensions
            told = {
                "mmsi": s.mmsi,
                "kind": kind,
                "msg_type": 5 if s.part == 5 else 24,
                "ship_type": s.ship_type,
                "callsign": s.callsign,
                "length_m": float(bow + stern),
                "beam_m": float(port + starboard),
            }
            return {**told, "name": s.name.upper()[:20]} if s.part == 5 else told
        case _:
            return None


_ENCODE = json.JSONEncoder(ensure_ascii=False).encode  # json.dumps would make one for each line


def _wire_deg(deg: float) -> float:
    return round(deg * 600_000) / 600_000


def _truth(world: World, start: float, duration_s: float) -> Iterator[str]:
    """Header, targets every `TRUTH_S`, events between them, in order of time."""
    yield json.dumps(truth.header(world, start), ensure_ascii=False) + "\n"
    times = np.arange(0.0, duration_s + 1e-9, TRUTH_S)
    reach = 1.2 * world.scenario.radar.range_m
    rows: list[tuple[float, int, str]] = []
    for vessel in world.vessels:
        s = vessel.trajectory.many(times)
        near = (np.hypot(s.east_m, s.north_m) <= reach) | (vessel.table.ais is not None)  # AIS reaches farther
        fixed = {"class": vessel.table.kind, "mmsi": vessel.table.mmsi, "length_m": round(vessel.length_m, 2)}
        fixed |= {} if vessel.kind.vessel else {"clutter": True}
        tail = json.dumps({"id": vessel.id, **fixed}, ensure_ascii=False)[1:]
        columns = (column[near].tolist() for column in (times, s.east_m, s.north_m, s.sog_mps, s.cog_deg))
        for t, e, n, sog, cog in zip(*columns, strict=True):
            lat, lon = world.geo(e, n)
            line = (
                f'{{"type":"target","t":{t},"at":{start + t},"lat":{lat:.7f},"lon":{lon:.7f},"east_m":{e:.2f},'
                f'"north_m":{n:.2f},"sog_mps":{sog:.3f},"cog_deg":{cog:.2f},{tail}\n'
            )
            rows.append((t, 1, line))
    found = truth.Found(world)
    rows += [
        (event["t"], 0, json.dumps({**event, "at": start + event["t"]}, ensure_ascii=False) + "\n")
        for event in found.between(0.0, duration_s)
    ]
    rows.sort(key=lambda row: row[:2])
    yield from (line for _, _, line in rows)
