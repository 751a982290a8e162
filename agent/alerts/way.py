"""Whether a track has made way: what tells a vessel from a rock, a buoy, and a coast that shows other pieces each turn.

Promises:
- a vessel goes from place to place through the places between. A track of land stands, is over there a turn or two
  later where the next piece shows, and stands: that is no way, also when it ends far from where it began;
- so a way is longer than the track's noise, of `LEAST_S` at least, and a line through place and time explains `STEADY`
  of it: of one step it explains 3/4, of two equal ones 8/9. Old turns and stops fade with `FADE_S`;
- nobody has seen a way through a pause of `PAUSE_S`: it begins anew behind it;
- who is `FAR` times as far from the first place as noise takes a track has moved, however it came there;
- `memory` keeps numbers only.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.alerts.zones import Memory
    from agent.fusion.picture import Known

MOVED_M = 50.0  # plus three sigmas: less than this is not a movement
FAR = 4.0
LEAST_S = 25.0  # a step takes a filter some turns
STEADY = 0.9
FADE_S = 60.0
PAUSE_S = 15.0


def still_m(k: Known, memory: Memory) -> float:
    """How far from its first place the noise of its track may take what never moves, m."""
    return MOVED_M + 3.0 * max(memory.setdefault("sigma", k.sigma_m), k.sigma_m)


def has_moved(k: Known, memory: Memory) -> bool:
    """Whether it has made way since it was first looked at, or has ever sent AIS; asked once a tick."""
    if k.track.mmsi is not None:
        memory["vessel"] = 1.0
    e = k.track.east_m - memory.setdefault("east", k.track.east_m)
    n = k.track.north_m - memory.setdefault("north", k.track.north_m)
    if not memory.get("vessel"):
        far_m, least_m = math.hypot(e, n), still_m(k, memory)
        way_m = _way_m(memory, k.track.at_s, e, n)
        if far_m > least_m and (far_m > FAR * least_m or way_m > least_m):
            memory["vessel"] = 1.0
    return memory.get("vessel", 0.0) > 0.0


def _way_m(memory: Memory, at_s: float, east_m: float, north_m: float) -> float:
    """How long a way it has made steadily, m; 0: none. Means and sums of squares as in West, CACM 22 (1979), fading."""
    if at_s - memory.get("way_s", at_s) - memory.get("way_t", 0.0) > PAUSE_S:
        for name in [name for name in memory if name.startswith("way_")]:
            del memory[name]
    t = at_s - memory.setdefault("way_s", at_s)
    keep = math.exp(-(t - memory.get("way_t", t)) / FADE_S)
    old = keep * memory.get("way_n", 0.0)
    memory["way_t"], memory["way_n"] = t, old + 1.0
    dt, de, dn = t - memory.get("way_mt", t), east_m - memory.get("way_me", 0.0), north_m - memory.get("way_mn", 0.0)
    share, gain = 1.0 / (old + 1.0), old / (old + 1.0)
    for name, value in (("mt", t - dt + share * dt), ("me", east_m - gain * de), ("mn", north_m - gain * dn)):
        memory["way_" + name] = value
    for name, value in (("tt", dt * dt), ("te", dt * de), ("tn", dt * dn), ("rr", de * de + dn * dn)):
        memory["way_" + name] = keep * memory.get("way_" + name, 0.0) + gain * value
    tt, rr, along = memory["way_tt"], memory["way_rr"], math.hypot(memory["way_te"], memory["way_tn"])
    if t < LEAST_S or along * along < STEADY * rr * tt:
        return 0.0
    return along / tt * math.sqrt(12.0 * tt * share)  # of an even spread over time: from its variance
