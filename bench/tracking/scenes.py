"""Radar plots of known targets: scenes that are hard in ways that seas are. Seeded; shares no code with the simulator.

Promises:
- a scene is a function of its name and seed; development uses seeds 1..99, figures that count use 10001 and up;
- errors are drawn with the sigmas that the plots state; two targets closer than the radar resolves (`RESOLVE_M`,
  `RESOLVE_DEG`) give one plot between them; what is not a target is clutter, uniform or denser near the radar.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.random import Generator
    from numpy.typing import NDArray

PERIOD_S = 2.5
STEPS = 5  # integration steps per scan
SIGMA_RANGE_M, SIGMA_BEARING_DEG = 15.0, 0.2
RESOLVE_M, RESOLVE_DEG = 40.0, 1.5
TARGET_DB, TARGET_SPREAD_DB = 30.0, 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One scan. `plots` (n, 5): range_m, bearing_deg, sigma_range_m, sigma_bearing_deg, amplitude_db (nan: none).

    `truth`: number of a target -> (east_m, north_m, v_east_mps, v_north_mps), velocity nan where it is not known.
    """

    t: float
    plots: NDArray[np.float64]
    truth: dict[int, tuple[float, float, float, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """`area_m2` in which plots can be, `clutter` plots a scan: what a peer has to be told. `skip` scans are warm-up."""

    name: str
    seed: int
    moments: tuple[Moment, ...]
    area_m2: float
    clutter: float
    pd: float
    skip: int = 16
    period_s: float = PERIOD_S
    cutoff_m: float = 200.0


@dataclass(slots=True, kw_only=True)
class _Target:
    x: float
    y: float
    course: float  # rad
    speed: float
    turns: list[tuple[float, float, float]] = field(default_factory=list)  # from_s, to_s, rad/s
    speeds: list[tuple[float, float, float]] = field(default_factory=list)  # from_s, to_s, m/s^2
    db: float = TARGET_DB
    yaw: tuple[float, float, float] = (
        0.0,
        1.0,
        0.0,
    )  # amplitude (rad), period (s), phase (rad): nobody steers straight
    swing_m: float = 0.0  # an anchored vessel's way around its anchor, in the yaw's period

    def path(self, scans: int) -> list[tuple[float, float, float, float]]:
        out = []
        x, y, c, v = self.x, self.y, self.course, self.speed
        dt = PERIOD_S / STEPS
        amplitude, period, phase = self.yaw
        for k in range(scans):
            a = 2.0 * math.pi * k * PERIOD_S / period + phase
            h = c + amplitude * math.sin(a)
            s = self.swing_m * 2.0 * math.pi / period
            e, n = self.swing_m * math.sin(a), -self.swing_m * math.cos(a)
            out.append((x + e, y + n, v * math.sin(h) + s * math.cos(a), v * math.cos(h) + s * math.sin(a)))
            for i in range(STEPS):
                t = k * PERIOD_S + i * dt
                c += dt * sum(w for a, b, w in self.turns if a <= t < b)
                v = max(0.0, v + dt * sum(a for a0, a1, a in self.speeds if a0 <= t < a1))
                h = c + amplitude * math.sin(2.0 * math.pi * (t + dt / 2.0) / period + phase)
                x, y = x + dt * v * math.sin(h), y + dt * v * math.cos(h)
        return out


def _yaw(rng: Generator) -> tuple[float, float, float]:
    return math.radians(rng.uniform(0.5, 2.5)), rng.uniform(20.0, 60.0), rng.uniform(0.0, 6.28)


def _anywhere(rng: Generator, low_m: float, high_m: float) -> tuple[float, float]:
    r = math.sqrt(rng.uniform(low_m**2, high_m**2))
    b = rng.uniform(0.0, 2.0 * math.pi)
    return r * math.sin(b), r * math.cos(b)


def vessel(rng: Generator, reach_m: float, until_s: float) -> _Target:
    """One of an ordinary day: ships on their way, boats that turn and stop, some at anchor, one in ten fast."""
    x, y = _anywhere(rng, 1000.0, reach_m)
    kind = rng.random()
    course = rng.uniform(0.0, 2.0 * math.pi)
    if kind < 0.15:
        swing = (0.0, rng.uniform(400.0, 900.0), rng.uniform(0.0, 6.28))
        return _Target(x=x, y=y, course=course, speed=0.0, yaw=swing, swing_m=rng.uniform(5.0, 40.0))
    if kind < 0.55:
        return _Target(x=x, y=y, course=course, speed=rng.uniform(3.0, 10.0), yaw=_yaw(rng))
    fast = kind > 0.9
    target = _Target(
        x=x, y=y, course=course, speed=rng.uniform(15.0, 25.0) if fast else rng.uniform(2.0, 10.0), yaw=_yaw(rng)
    )
    t = rng.uniform(20.0, 80.0)
    while t < until_s:
        rate = math.radians(rng.uniform(1.0, 6.0 if fast else 3.0)) * rng.choice((-1.0, 1.0))
        lasts = min(math.radians(rng.uniform(30.0, 150.0)) / abs(rate), 80.0)
        if rng.random() < 0.25:
            target.speeds.append((t, t + 10.0, -target.speed / 10.0 * rng.uniform(0.3, 1.0)))
        else:
            target.turns.append((t, t + lasts, rate))
        t += lasts + rng.uniform(30.0, 120.0)
    return target


def _pairs(rng: Generator, until_s: float) -> list[_Target]:
    """Pairs, far from each other: crossing at 8-40 deg, meeting head-on, overtaking at 60 m, and side by side."""
    out = []
    centres = [
        (r * math.sin(b), r * math.cos(b))
        for r, n in ((3000.0, 6), (5500.0, 11), (8000.0, 16))
        for b in (2.0 * math.pi * (k + rng.random() * 0.2) / n for k in range(n))
    ]
    for k, (x, y) in enumerate(centres):
        course = rng.uniform(0.0, 2.0 * math.pi)
        middle = until_s / 2.0 + rng.uniform(-20.0, 20.0)
        v = rng.uniform(4.0, 9.0)
        kind = k % 4
        if kind == 3:
            gap = rng.uniform(70.0, 120.0)
            gap_x, gap_y = gap * math.cos(course), -gap * math.sin(course)
            legs = [(course, v, 0.0, 0.0), (course, v, gap_x, gap_y)]
        elif kind == 2:
            gap = rng.uniform(50.0, 90.0)
            legs = [
                (course, v, 0.0, 0.0),
                (course, v + rng.uniform(2.0, 4.0), gap * math.cos(course), -gap * math.sin(course)),
            ]
        elif kind == 1:
            legs = [
                (course, v, 0.0, 0.0),
                (course + math.pi, rng.uniform(4.0, 9.0), rng.uniform(0, 40), rng.uniform(0, 40)),
            ]
        else:
            angle = math.radians(rng.uniform(8.0, 40.0))
            legs = [(course, v, 0.0, 0.0), (course + angle, rng.uniform(4.0, 9.0), 0.0, 0.0)]
        for c, s, dx, dy in legs:
            out.append(
                _Target(
                    x=x + dx - middle * s * math.sin(c),
                    y=y + dy - middle * s * math.cos(c),
                    course=c,
                    speed=s,
                    yaw=_yaw(rng),
                )
            )
    return out


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sea:
    reach_m: float
    clutter: int
    near: float = 0.0  # share of the clutter within `near_m`, falling off from there
    near_m: float = 3000.0
    spiky: bool = False
    pd: float = 0.9


def _plots(
    rng: Generator, sea: _Sea, states: list[tuple[float, float, float, float]], db: list[float]
) -> NDArray[np.float64]:
    rows = []
    for (x, y, _, _), level in zip(states, db, strict=True):
        if rng.random() < sea.pd:
            rows.append([math.hypot(x, y), math.degrees(math.atan2(x, y)), level + rng.normal(0.0, TARGET_SPREAD_DB)])
    rows = merged(rows)
    for _ in range(rng.poisson(sea.clutter)):
        x, y = _anywhere(rng, 200.0, sea.near_m if rng.random() < sea.near else sea.reach_m)
        level = 24.0 + (rng.exponential(6.0) if sea.spiky else rng.normal(0.0, 3.0))
        rows.append([math.hypot(x, y), math.degrees(math.atan2(x, y)), level])
    out = np.empty((len(rows), 5))
    out[:, [0, 1, 4]] = np.array(rows).reshape(-1, 3)
    out[:, 2], out[:, 3] = SIGMA_RANGE_M, SIGMA_BEARING_DEG
    out[:, 0] = np.maximum(out[:, 0] + rng.normal(0.0, SIGMA_RANGE_M, len(out)), 30.0)
    out[:, 1] = (out[:, 1] + rng.normal(0.0, SIGMA_BEARING_DEG, len(out))) % 360.0
    return out[rng.permutation(len(out))]


def merged(rows: list[list[float]]) -> list[list[float]]:
    """Echoes that the radar cannot tell apart become one, where their powers balance."""
    done: list[list[float]] = []
    for r in rows:
        for other in done:
            turned = (r[1] - other[1] + 180.0) % 360.0 - 180.0
            if abs(r[0] - other[0]) < RESOLVE_M and abs(turned) < RESOLVE_DEG:
                a, b = 10.0 ** (r[2] / 10.0), 10.0 ** (other[2] / 10.0)
                w = a / (a + b)
                other[0] += w * (r[0] - other[0])
                other[1] += w * turned
                other[2] = 10.0 * math.log10(a + b)
                break
        else:
            done.append(list(r))
    return done


def _make(name: str, seed: int, targets: list[_Target], sea: _Sea, scans: int, rng: Generator) -> Scene:
    paths = [t.path(scans) for t in targets]
    db = [t.db for t in targets]
    moments = tuple(
        Moment(
            t=k * PERIOD_S,
            plots=_plots(rng, sea, [p[k] for p in paths], db),
            truth={i: p[k] for i, p in enumerate(paths) if math.hypot(p[k][0], p[k][1]) <= sea.reach_m},
        )
        for k in range(scans)
    )
    return Scene(
        name=name, seed=seed, moments=moments, area_m2=math.pi * sea.reach_m**2, clutter=sea.clutter, pd=sea.pd
    )


def _open(seed: int) -> Scene:
    rng = np.random.default_rng(seed)
    sea = _Sea(reach_m=14_000.0, clutter=50)
    return _make("open", seed, [vessel(rng, 12_000.0, 300.0) for _ in range(50)], sea, 120, rng)


def _dense(seed: int) -> Scene:
    rng = np.random.default_rng(seed)
    sea = _Sea(reach_m=12_000.0, clutter=200)
    return _make("dense", seed, [vessel(rng, 10_000.0, 150.0) for _ in range(200)], sea, 60, rng)


def _crossing(seed: int) -> Scene:
    rng = np.random.default_rng(seed)
    sea = _Sea(reach_m=12_000.0, clutter=20)
    return _make("crossing", seed, _pairs(rng, 250.0), sea, 100, rng)


def _rough(seed: int) -> Scene:
    rng = np.random.default_rng(seed)
    sea = _Sea(reach_m=12_000.0, clutter=250, near=0.6, near_m=3500.0, spiky=True, pd=0.85)
    return _make("rough", seed, [vessel(rng, 8_000.0, 200.0) for _ in range(25)], sea, 80, rng)


SCENES: dict[str, Callable[[int], Scene]] = {"open": _open, "dense": _dense, "crossing": _crossing, "rough": _rough}
