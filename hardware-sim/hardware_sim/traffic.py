"""Many vessels from a seed: lanes, fishing fleets, swarms.

Promises:
- the vessels depend on (seed, the traffic's name) alone: adding other traffic does not move them;
- their names are `NAME n`, their MMSIs unique within a scenario;
- a lane's vessels arrive as a Poisson process and are under way before the start as well.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from hardware_sim.seeds import generator
from hardware_sim.tables import TrafficTable, VesselTable
from hardware_sim.vessels import CLASSES

if TYPE_CHECKING:
    from typing import Any

    import numpy as np

    from hardware_sim.tables import PointM

CLASS_A_FROM_M = 40.0
MMSI_BASE = 225_000_000  # Spain's second block; scenarios name their own vessels in 224
MMSI_EACH = 10_000


def vessels(traffic: TrafficTable, number: int, seed: int, duration_s: float) -> tuple[VesselTable, ...]:
    """The vessels of the `number`th traffic table of a scenario that lasts `duration_s`."""
    rng = generator(seed, "traffic", traffic.name)
    rows = _lane(traffic, rng, duration_s) if traffic.pattern == "lane" else _crowd(traffic, rng)
    out = []
    for i, row in enumerate(rows):
        row["name"] = f"{traffic.name} {i + 1}"
        if CLASSES[row["kind"]].vessel and rng.uniform() < traffic.ais_share:
            row["ais"] = "A" if CLASSES[row["kind"]].length_m >= CLASS_A_FROM_M else "B"
            row["mmsi"] = MMSI_BASE + MMSI_EACH * number + i
            row["callsign"] = f"EA{number}{i:04d}"
        out.append(VesselTable.model_validate(row))
    return tuple(out)


def _lane(traffic: TrafficTable, rng: np.random.Generator, duration_s: float) -> list[dict[str, Any]]:
    length_m = sum(math.dist(a, b) for a, b in zip(traffic.route_m, traffic.route_m[1:], strict=False))
    t = -length_m / traffic.speed_mps[0]
    rows: list[dict[str, Any]] = []
    while True:
        t += float(rng.exponential(3600.0 / traffic.per_hour))
        if t > duration_s:
            return rows
        row = _drawn(traffic, rng)
        back = traffic.both_ways and rng.uniform() < 0.5
        offset = float(rng.normal(0.0, traffic.lateral_m))
        route = _beside(traffic.route_m[::-1] if back else traffic.route_m, offset)
        rows.append({**row, "route_m": route, "start_s": t, "end": "on", "wander_m": 15.0})


def _crowd(traffic: TrafficTable, rng: np.random.Generator) -> list[dict[str, Any]]:
    rows = []
    for _ in range(traffic.count):
        row = _drawn(traffic, rng)
        low = 0.0 if traffic.pattern == "fleet" else 500.0
        r = math.sqrt(float(rng.uniform(low**2, traffic.radius_m**2)))
        a, course = rng.uniform(0.0, 2.0 * math.pi, 2).tolist()
        e, n = traffic.centre_m[0] + r * math.sin(a), traffic.centre_m[1] + r * math.cos(a)
        if traffic.pattern == "fleet":
            row |= {"behaviour": "fishing", "route_m": ((e, n),), "radius_m": float(rng.uniform(200.0, 500.0))}
        else:
            row |= {"route_m": ((e, n), (e + 1000.0 * math.sin(course), n + 1000.0 * math.cos(course))), "end": "on"}
        rows.append(row)
    return rows


def _drawn(traffic: TrafficTable, rng: np.random.Generator) -> dict[str, Any]:
    """Kind, speed and length of one vessel."""
    kind = traffic.kinds[int(rng.integers(len(traffic.kinds)))]
    speed = min(float(rng.uniform(*traffic.speed_mps)), CLASSES[kind].max_speed_mps)
    return {"kind": kind, "speed_mps": speed, "length_m": CLASSES[kind].length_m * float(rng.uniform(0.85, 1.15))}


def _beside(route: tuple[PointM, ...], offset_m: float) -> tuple[PointM, ...]:
    """The route moved to starboard of its first leg's direction."""
    (e0, n0), (e1, n1) = route[:2]
    length = math.dist((e0, n0), (e1, n1))
    de, dn = (n1 - n0) / length * offset_m, -(e1 - e0) / length * offset_m
    return tuple((e + de, n + dn) for e, n in route)
