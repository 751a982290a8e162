"""How the virtual ARPA errs: `python -m hardware_sim.radar.measure_arpa [RUNS]`, one JSON object per line.

Promises:
- two trawlers at 6 m/s meet 3 km off, on courses some degrees apart, again and again with other seeds; counted is how
  often a target's number goes on to the other vessel, and how often one is lost;
- figures depend on the seeds alone.
"""

from __future__ import annotations

import json
import math
import sys
from itertools import takewhile
from typing import TYPE_CHECKING

from hardware_sim import scenario
from hardware_sim.radar import arpa
from hardware_sim.radar.measure import BASE, with_tables
from hardware_sim.tables import VesselTable
from hardware_sim.world import World

if TYPE_CHECKING:
    from hardware_sim.scenario import Scenario

MEETING_M = (0.0, 3000.0)
MEETING_S = 100.0
SPEED_MPS = 6.0
NEAR_M = 200.0


def crossing(angle_deg: float) -> Scenario:
    """Two trawlers that are at one place at `MEETING_S`, their courses that far apart."""
    vessels = []
    for name, course in (("a", 90.0 - angle_deg / 2.0), ("b", 90.0 + angle_deg / 2.0)):
        b = math.radians(course)
        way = SPEED_MPS * MEETING_S
        east, north = MEETING_M[0] - way * math.sin(b), MEETING_M[1] - way * math.cos(b)
        far = (east + 4.0 * way * math.sin(b), north + 4.0 * way * math.cos(b))
        vessels.append(VesselTable(name=name, kind="trawler", route_m=((east, north), far), speed_mps=SPEED_MPS))
    return with_tables(scenario.load(BASE), tuple(vessels), weather={"sea_state": 1}, radar={"on_since_s": 60.0})


def outcome(world: World) -> tuple[bool, bool]:
    """(swapped, lost): whether a number that was one vessel's is the other's 100 s after the meeting, or has ended."""
    holders: dict[int, list[tuple[float, str]]] = {}
    for _, r in takewhile(lambda x: x[0] < 2.0 * MEETING_S, arpa.reports(world)):
        for v in world.vessels:
            s = v.at(r.t_s)
            others = [
                math.dist((o.at(r.t_s).east_m, o.at(r.t_s).north_m), (s.east_m, s.north_m))
                for o in world.vessels
                if o is not v
            ]
            if math.dist((s.east_m, s.north_m), (r.east_m, r.north_m)) < min(NEAR_M, min(others) / 2.0):
                holders.setdefault(r.number, []).append((r.t_s, v.id))
    begun = [h for h in holders.values() if h[0][0] < 0.4 * MEETING_S]
    swapped = any(h[0][1] != h[-1][1] for h in begun)
    lost = any(h[-1][0] < 1.8 * MEETING_S for h in begun)
    return swapped, lost


def main(argv: list[str] | None = None) -> int:
    """Print the figures."""
    given = sys.argv[1:] if argv is None else argv
    runs = int(given[0]) if given else 40
    for angle in (10.0, 20.0, 45.0, 90.0):
        chosen = crossing(angle)
        outcomes = [outcome(World(chosen, seed)) for seed in range(runs)]
        line = {"figure": "arpa", "courses_apart_deg": angle, "runs": runs}
        print(json.dumps({**line, "swapped": sum(s for s, _ in outcomes), "lost": sum(gone for _, gone in outcomes)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
