"""Two radars of one site over the same water, together and each alone: `python -m bench.tracking.radars`.

- `long`: 24 rpm, to 14 km, sigma 20 m and 0.3 deg; `short`: 48 rpm, to 5.5 km, sigma 8 m and 0.2 deg; each with
  clutter and missed turns of its own;
- 20 vessels stay within 5 km (`near`, both see them), 15 between 6 and 12 km (only `long` does): those of
  `scenes.py`, which turn, yaw, brake and lie at anchor. Judged are 3 minutes, from minute 7 on;
- `biased`: the short radar sees everything `--off-m` too far and `--off-deg` too far right. `learned`: the same, and
  until minute 5 every other vessel sends AIS, from which the core learns the bias; then AIS ends and leaves the
  picture, so that what is judged are radar tracks.

One object per case and water; GOSPA, swaps and breaks as in `python -m bench.tracking`.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from dataclasses import dataclass

import numpy as np

from agent.config.schema import AisPolicy, Config, Site
from agent.core import Core
from agent.geo import LocalFrame
from agent.messages import Ais, Plot, Scan, Tick, TrackPicture, TrackStatus
from bench.tracking.scenes import PERIOD_S, Moment, Scene, merged, vessel
from bench.tracking.score import Estimate, Score, score
from bench.tracking.trackers import state

SEED = 30_001  # of nothing that was tuned
SCANS, JUDGED, AIS_UNTIL = 240, 168, 120  # turns of 2.5 s: all, the first that is judged, the last with AIS
NEAR_M, EDGE_M, FAR_M = 5000.0, 5500.0, 12_000.0
NEAR, FAR = 20, 15  # vessels
AIS_S, AIS_SIGMA_M = 10.0, 8.0
CASES = ("long", "short", "both", "biased", "learned")

State = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Radar:
    """What one radar is like; `at` are its turns' ends as parts of `PERIOD_S`."""

    name: str
    at: tuple[float, ...]
    reach_m: float
    sigma_m: float
    sigma_deg: float
    clutter: int
    pd: float


LONG = Radar(name="long", at=(0.0,), reach_m=14_000.0, sigma_m=20.0, sigma_deg=0.3, clutter=40, pd=0.85)
SHORT = Radar(name="short", at=(0.2, 0.7), reach_m=EDGE_M, sigma_m=8.0, sigma_deg=0.2, clutter=15, pd=0.9)


def main() -> int:
    """Judge and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.tracking.radars", description=__doc__)
    parser.add_argument("--case", action="append", choices=CASES, help="default: all")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--off-m", type=float, default=60.0)
    parser.add_argument("--off-deg", type=float, default=0.8)
    parser.add_argument("--count", type=int, default=2, help="of seeds")
    args = parser.parse_args()
    for case in args.case or CASES:
        totals = {"near": Score(), "all": Score()}
        biases = []
        for seed in range(args.seed, args.seed + args.count):
            paths = _traffic(np.random.default_rng(seed))
            off = (args.off_m, args.off_deg) if case in ("biased", "learned") else (0.0, 0.0)
            core, found = _play(case, paths, off, np.random.default_rng([seed, 1]))
            for water, total in totals.items():
                total.add(score(*_judged(water, paths, found), 0.0))
            bias = core.registrations.get("short")
            biases.append(None if bias is None else {
                "trusted": bias[0].trusted, "ships": bias[0].ships,
                "left_m": round(off[0] - bias[1], 1), "left_deg": round(off[1] - bias[2], 2),
            })  # fmt: skip
        for water, total in totals.items():
            if water == "near" or case != "short":
                row = {k: v for k, v in total.summary().items() if k not in ("ms_per_scan", "nees_in_band")}
                print(json.dumps({"case": case, "off": off, "water": water, **row, "short_bias": biases}), flush=True)
    return 0


def _traffic(rng: np.random.Generator) -> list[list[State]]:
    """Ways of all vessels, the near ones first; each is where it belongs while it is judged."""
    out: list[list[State]] = []
    while len(out) < NEAR + FAR:
        low, high = (800.0, NEAR_M) if len(out) < NEAR else (EDGE_M + 500.0, FAR_M)
        path = vessel(rng, high, SCANS * PERIOD_S).path(SCANS + 1)
        r, b = math.sqrt(rng.uniform(low**2, high**2)), rng.uniform(0.0, 2.0 * math.pi)
        x, y = r * math.sin(b) - path[(JUDGED + SCANS) // 2][0], r * math.cos(b) - path[(JUDGED + SCANS) // 2][1]
        path = [(e + x, n + y, ve, vn) for e, n, ve, vn in path]
        if all(low <= math.hypot(e, n) <= high for e, n, _, _ in path[JUDGED:]):
            out.append(path)
    return out


def _play(
    case: str, paths: list[list[State]], off: tuple[float, float], rng: np.random.Generator
) -> tuple[Core, list[list[Estimate]]]:
    """The core after it all, and the firm tracks of each judged turn."""
    site = Site(name="bench", lat=43.0, lon=-8.0, height_m=0.0)
    core = Core(Config(site=site, ais=AisPolicy(lost_after_s=60.0)))
    frame = LocalFrame(lat=site.lat, lon=site.lon)
    radars = {"long": (LONG,), "short": (SHORT,)}.get(case, (LONG, SHORT))
    found: list[list[Estimate]] = []
    for k in range(SCANS):
        if case == "learned" and k < AIS_UNTIL:
            for i, path in enumerate(paths[::2]):
                if (k + i) % int(AIS_S / PERIOD_S) == 0:
                    core.step(_ais(rng, frame, k * PERIOD_S, 200_000_000 + i, path[k]))
        turns = sorted((at, radar.name, radar) for radar in radars for at in radar.at)
        for at, _, radar in turns:
            t = (k + at) * PERIOD_S
            places = [tuple(a + at * (b - a) for a, b in zip(p[k], p[k + 1], strict=True)) for p in paths]
            plots = _plots(rng, radar, t, places, *(off if radar is SHORT else (0.0, 0.0)))
            core.step(Scan(at_s=t, source=radar.name, plots=plots, period_s=PERIOD_S / len(radar.at)))
        (picture, *_) = core.step(Tick(at_s=(k + 1) * PERIOD_S))
        if k >= JUDGED and isinstance(picture, TrackPicture):
            firm = [t for t in picture.tracks if t.status is not TrackStatus.TENTATIVE]
            found.append([(t.id, state(t), [list(row) for row in t.cov]) for t in firm])
    return core, found


def _ais(rng: np.random.Generator, frame: LocalFrame, t: float, mmsi: int, at: State) -> Ais:
    e, n = (a + rng.normal(0.0, AIS_SIGMA_M) for a in at[:2])
    lat, lon = frame.to_geo(e, n)
    return Ais(
        at_s=t, source="ais", mmsi=mmsi, kind="a", msg_type=1, lat=lat, lon=lon, sog_mps=math.hypot(*at[2:]),
        cog_deg=math.degrees(math.atan2(at[2], at[3])) % 360.0,
    )  # fmt: skip


def _plots(
    rng: np.random.Generator, radar: Radar, t: float, places: list[tuple[float, ...]], off_m: float, off_deg: float
) -> tuple[Plot, ...]:
    rows = [
        [math.hypot(e, n), math.degrees(math.atan2(e, n)), 30.0 + rng.normal(0.0, 3.0)] for e, n, _, _ in places
        if math.hypot(e, n) <= radar.reach_m and rng.random() < radar.pd
    ]  # fmt: skip
    rows = merged(rows)
    for _ in range(rng.poisson(radar.clutter)):
        far = math.sqrt(rng.uniform(200.0**2, radar.reach_m**2))
        rows.append([far, rng.uniform(0.0, 360.0), 24.0 + rng.normal(0.0, 3.0)])
    return tuple(
        Plot(
            at_s=t, source=radar.name, range_m=max(r + off_m + rng.normal(0.0, radar.sigma_m), 30.0),
            bearing_deg=(b + off_deg + rng.normal(0.0, radar.sigma_deg)) % 360.0, sigma_range_m=radar.sigma_m,
            sigma_bearing_deg=radar.sigma_deg, amplitude_db=a,
        )
        for r, b, a in rows
    )  # fmt: skip


def _judged(water: str, paths: list[list[State]], found: list[list[Estimate]]) -> tuple[Scene, list[list[Estimate]]]:
    shown = paths[:NEAR] if water == "near" else paths
    moments = tuple(
        Moment(t=k * PERIOD_S, plots=np.empty((0, 5)), truth={i: p[k] for i, p in enumerate(shown)})
        for k in range(JUDGED + 1, SCANS + 1)
    )
    scene = Scene(name=water, seed=0, moments=moments, area_m2=1.0, clutter=0.0, pd=1.0, skip=0)
    if water == "all":
        return scene, found
    inside = [[e for e in row if math.hypot(e[1][0], e[1][1]) <= EDGE_M] for row in found]
    return scene, inside


if __name__ == "__main__":
    sys.exit(main())
