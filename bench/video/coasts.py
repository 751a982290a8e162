"""Land that is taken for a vessel without AIS: `python -m bench.video.coasts --seed 301 --coasts 6 --lost 0 --lost 15`.

Each seed is another coast, with or without an island, another sea state, eight boats without AIS of which two keep near
the shore, and five ships with it. The simulator's radar video (4 bits, 9.3 km, from switching it on) goes through the
plot extractor and the core, whose only rule calls dark what was watched for `WAIT_S` without AIS. `--lost` percent of
the spokes do not come, by `--kind`: in `gaps` of 0.2 to 3 s, as whole `datagrams`, or one by one (`spokes`). One JSON
object for each loss: boats that were told of and after how long in the mean, alerts about nobody (and where), confirmed
tracks that are nobody's.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from agent.config.schema import Config, Rule, Site
from agent.core import Core
from agent.drivers.radar.navico import NavicoDecoder, NavicoOptions
from agent.messages import Ais, Alert, AlertState, Scan, Stamp, Tick, Track, TrackPicture, TrackStatus
from agent.perception.radar.extract import PlotExtractor
from hardware_sim import ais, ais_receiver
from hardware_sim.radar.emissions import EMISSIONS, Station
from hardware_sim.scenario import Scenario
from hardware_sim.world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agent.drivers.radar.video import Spoke
    from agent.messages import Event

    Point = tuple[float, float]
    Polygon = list[Point]

WAIT_S = 30.0
NEAR_M = 300.0  # an alert is about a vessel that was within this in the last 10 s
SITE = {"name": "bench", "lat": 43.32, "lon": -8.91, "height_m": 28.0}
BOATS = (  # without AIS: kind, speeds from and to, whether it keeps near the shore
    ("panga", 6.0, 14.0, False), ("panga", 3.0, 8.0, False), ("go-fast", 12.0, 25.0, False),
    ("inflatable", 2.0, 10.0, False), ("fishing", 2.0, 5.0, True), ("fishing", 1.2, 3.0, False),
    ("panga", 2.0, 14.0, True), ("trawler", 3.0, 6.0, False),
)  # fmt: skip
SHIPS = (("ferry", 9.0, "A"), ("cargo", 6.0, "A"), ("fishing", 3.0, "B"), ("fishing", 0.8, "B"))
SHORE_M = 500.0


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.video.coasts", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="of the first coast")
    parser.add_argument("--coasts", type=int, default=4)
    parser.add_argument("--turns", type=int, default=120)
    parser.add_argument("--lost", type=float, action="append", help="percent of the spokes; default 0, 15")
    parser.add_argument("--kind", choices=tuple(KINDS), default="gaps", help="how they are lost")
    args = parser.parse_args()
    for lost in args.lost or (0.0, 15.0):
        total = Total()
        for seed in range(args.seed, args.seed + args.coasts):
            total.judge(World(_scenario(seed, args.turns * 2.5), seed), args.turns, KINDS[args.kind](lost / 100.0))
        print(json.dumps({"bench": "coasts", "seed": args.seed, "coasts": args.coasts, "kind": args.kind,
                          "lost_percent": lost, **total.summary()}), flush=True)  # fmt: skip
    return 0


class Total:
    """The sums over coasts."""

    def __init__(self) -> None:
        self.boats = 0
        self.after_s: list[float] = []
        self.nobody: list[list[int]] = []
        self.tracks = 0

    def summary(self) -> dict[str, Any]:
        """What is printed."""
        mean_s = round(sum(self.after_s) / max(len(self.after_s), 1), 1)
        return {
            "boats": self.boats, "told_of": len(self.after_s), "after_s": mean_s,
            "alerts_about_nobody": len(self.nobody), "at": self.nobody, "tracks_of_nobody": self.tracks,
        }  # fmt: skip

    def judge(self, world: World, turns: int, loss: Loss) -> None:
        """One coast."""
        rule = Rule(name="dark", kind="dark-vessel", options={"ais_wait_s": WAIT_S})
        core = Core(Config(site=Site.model_validate(SITE), rule=(rule,)))
        told: dict[str, float] = {}
        nobody: dict[int, None] = {}
        for event in _events(world, turns, loss):
            for effect in core.step(event):
                if isinstance(effect, Alert) and effect.state is AlertState.RAISED:
                    name = _whose(world, effect.track, effect.at_s)
                    if name is None:
                        self.nobody.append([world.seed, round(effect.track.east_m), round(effect.track.north_m)])
                    else:
                        told.setdefault(name, effect.at_s)
                if isinstance(effect, TrackPicture):
                    firm = (t for t in effect.tracks if t.status is TrackStatus.CONFIRMED and t.id not in nobody)
                    nobody.update((t.id, None) for t in firm if _whose(world, t, effect.at_s) is None)
        dark = [v.table.name for v in world.vessels if v.table.ais is None]
        self.boats += len(dark)
        self.after_s += [told[name] for name in dark if name in told]
        self.tracks += len(nobody)


def _whose(world: World, track: Track, at_s: float) -> str | None:
    for vessel in world.vessels:
        for back_s in (0.0, 2.5, 5.0, 10.0):
            s = vessel.at(max(at_s - back_s, 0.0))
            if math.hypot(s.east_m - track.east_m, s.north_m - track.north_m) < NEAR_M:
                return vessel.table.name
    return None


def _events(world: World, turns: int, loss: Loss) -> list[Event]:
    out: list[tuple[float, int, Event]] = [(s.at_s, 0, s) for s in _scans(world, turns, loss)]
    end_s = turns * 2.5
    for x in ais_receiver.heard(world, world.scenario.ais_receiver[0], 0.0):
        if x.t >= end_s:
            break
        m = x.build()
        if isinstance(m, ais.Position):
            kind, number = ("a", 1) if m.ais_class == "A" else ("b", 18)
            out.append((x.t, 1, Ais(
                at_s=x.t, source="ais", mmsi=m.mmsi, kind=kind, msg_type=number, lat=m.lat, lon=m.lon,
                sog_mps=m.sog_mps, cog_deg=m.cog_deg, accurate=m.accurate,
            )))  # fmt: skip
    out += [(float(k), 2, Tick(at_s=float(k))) for k in range(1, int(end_s))]
    return [event for _, _, event in sorted(out, key=lambda row: row[:2])]


def _scans(world: World, turns: int, loss: Loss) -> Iterator[Scan]:
    decoder = NavicoDecoder("radar", NavicoOptions.model_validate({"heading_deg": 335.0}))
    extractor = PlotExtractor("radar", decoder.options)
    rng = np.random.default_rng([world.seed, 2])
    for t, block in EMISSIONS["spokes"].stream(Station(world)):
        if t > turns * 2.5:
            return
        rows = decoder.decode(block, Stamp(t_s=t, wall_s=t), "radar")
        for spoke in loss.left(rng, t, list(rows)):
            scan = extractor.feed(spoke)
            if scan is not None:
                yield scan


# ---------------------------------------------------------------- what is lost


class Loss(Protocol):
    """What is lost on the way."""

    def left(self, rng: np.random.Generator, at_s: float, rows: list[Spoke]) -> list[Spoke]:
        """What arrives of a datagram's spokes."""


class Gaps:
    """Nothing for 0.2 to 3 s, again and again."""

    def __init__(self, share: float) -> None:
        self.share = share
        self._from_s = self._to_s = math.inf if share <= 0.0 else 0.0

    def left(self, rng: np.random.Generator, at_s: float, rows: list[Spoke]) -> list[Spoke]:
        """All or none."""
        while at_s >= self._to_s:
            self._from_s = self._to_s + rng.exponential(1.6 * (1.0 - self.share) / self.share)
            self._to_s = self._from_s + rng.uniform(0.2, 3.0)
        return [] if at_s >= self._from_s else rows


class Datagrams:
    """Each datagram by itself."""

    def __init__(self, share: float) -> None:
        self.share = share

    def left(self, rng: np.random.Generator, at_s: float, rows: list[Spoke]) -> list[Spoke]:  # noqa: ARG002 - the shape of all kinds
        """All or none."""
        return [] if rng.random() < self.share else rows


class Spokes:
    """Each spoke by itself."""

    def __init__(self, share: float) -> None:
        self.share = share

    def left(self, rng: np.random.Generator, at_s: float, rows: list[Spoke]) -> list[Spoke]:  # noqa: ARG002 - the shape of all kinds
        """Some."""
        return [spoke for spoke, u in zip(rows, rng.random(len(rows)), strict=True) if u >= self.share]


KINDS: dict[str, Callable[[float], Loss]] = {"gaps": Gaps, "datagrams": Datagrams, "spokes": Spokes}


# ---------------------------------------------------------------- coasts


def _scenario(seed: int, duration_s: float) -> Scenario:
    rng = np.random.default_rng([seed, 1])
    coasts = _coasts(rng)
    land = [coast["polygon_m"] for coast in coasts]
    vessels: list[dict[str, Any]] = []
    for n, (kind, slow, fast, near_shore) in enumerate(BOATS):
        speed = rng.uniform(slow, fast)
        route = _route(rng, land, (700.0, 4500.0), speed * duration_s, SHORE_M if near_shore else math.inf)
        vessels += [_vessel(f"{kind}-{n}", kind, speed, r) for r in route]
    for n, (kind, speed, ais_class) in enumerate(SHIPS):
        for r in _route(rng, land, (1500.0, 7500.0), speed * duration_s, math.inf):
            vessels.append({**_vessel(f"ais-{n}", kind, speed, r), "ais": ais_class, "mmsi": 224000100 + n})
    far = [(-14_000.0, 9000.0), (-15_000.0, 12_000.0)]  # heard, not seen: it proves how far AIS reaches
    vessels.append({**_vessel("far", "cargo", 5.0, far), "ais": "A", "mmsi": 224000999})
    return Scenario.model_validate({
        "name": f"coast-{seed}", "title": "a coast", "site": SITE, "vessel": vessels, "coast": coasts,
        "camera": {"height_m": 28.0, "bearing_deg": 335.0, "hfov_deg": 60.0},
        "radar": {"height_m": 30.0, "heading_deg": 335.0, "range_m": 9260.0},
        "weather": {
            "sea_state": int(rng.integers(1, 4)), "wind_mps": rng.uniform(3.0, 8.0),
            "wind_from_deg": rng.uniform(0.0, 359.0),
        },
    })  # fmt: skip


def _vessel(name: str, kind: str, speed_mps: float, route: Polygon) -> dict[str, Any]:
    return {"name": name, "kind": kind, "speed_mps": speed_mps, "route_m": route, "end": "hold"}


def _coasts(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Land over 150 to 230 degrees, nearest in their middle, where the site stands; mostly an island before it."""
    first, span, n = rng.uniform(0.0, 360.0), rng.uniform(150.0, 230.0), 24
    bearings = [first + span * k / n for k in range(n + 1)]
    edge = [_polar((60.0 + abs(2.0 * k / n - 1.0) ** 3 * rng.uniform(1800.0, 6000.0)) * rng.uniform(0.6, 1.6), b)
            for k, b in enumerate(bearings)]  # fmt: skip
    edge += [_polar(12_000.0, b) for b in bearings[::-4]]
    out = [{"polygon_m": edge, "height_m": rng.uniform(30.0, 150.0), "rise_m": rng.uniform(100.0, 400.0)}]
    if rng.random() < 0.7:
        e, m = _polar(rng.uniform(2500.0, 6500.0), first + span / 2.0 + 180.0 + rng.uniform(-70.0, 70.0))
        size = rng.uniform(200.0, 1500.0)
        round_it = [_polar(size * rng.uniform(0.5, 1.3), 36.0 * k) for k in range(10)]
        island = [(e + x, m + y) for x, y in round_it]
        out.append({"polygon_m": island, "height_m": rng.uniform(15.0, 90.0), "rise_m": rng.uniform(60.0, 250.0)})
    return out


def _route(
    rng: np.random.Generator, land: list[Polygon], begins_m: tuple[float, float], length_m: float, shore_m: float
) -> list[Polygon]:
    """A straight way over water, if one is found: it comes within `shore_m` of the shore, and no nearer than 150 m."""
    for _ in range(3000):
        e, n = _polar(rng.uniform(*begins_m), rng.uniform(0.0, 360.0))
        x, y = _polar(length_m, rng.uniform(0.0, 360.0))
        way = [(e + x * k / 12.0, n + y * k / 12.0) for k in range(13)]
        shores = [min(_shore_m(p, polygon) for polygon in land) for p in way]
        if 150.0 < min(shores) < shore_m and all(500.0 < math.hypot(*p) < 9000.0 for p in way):
            return [[way[0], way[-1]]]
    return []


def _shore_m(p: Point, polygon: Polygon) -> float:
    """How far from land; negative on it."""
    inside, nearest = False, math.inf
    for (x1, y1), (x2, y2) in zip(polygon, polygon[1:] + polygon[:1], strict=True):
        if (y1 > p[1]) != (y2 > p[1]) and p[0] < x1 + (p[1] - y1) * (x2 - x1) / (y2 - y1):
            inside = not inside
        dx, dy = x2 - x1, y2 - y1
        along = min(max(((p[0] - x1) * dx + (p[1] - y1) * dy) / (dx * dx + dy * dy), 0.0), 1.0)
        nearest = min(nearest, math.hypot(p[0] - x1 - along * dx, p[1] - y1 - along * dy))
    return -nearest if inside else nearest


def _polar(far_m: float, bearing_deg: float) -> Point:
    return far_m * math.sin(math.radians(bearing_deg)), far_m * math.cos(math.radians(bearing_deg))


if __name__ == "__main__":
    sys.exit(main())
