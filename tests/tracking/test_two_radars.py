"""A second radar that does not reach as far costs the first one nothing of what only that one sees."""

from __future__ import annotations

import math

import numpy as np

from agent.config.schema import Config, Site
from agent.core import Core
from agent.messages import Plot, Scan, Tick, TrackPicture, TrackStatus

VESSELS, CLUTTER, TURNS = 20, 40, 24


def plot(rng: np.random.Generator, t: float, source: str, far: float, bearing: float) -> Plot:
    r, b = far + rng.normal(0.0, 20.0), (bearing + rng.normal(0.0, 0.3)) % 360.0
    return Plot(at_s=t, source=source, range_m=r, bearing_deg=b, sigma_range_m=20.0, sigma_bearing_deg=0.3)


def confirmed(beside: str | None) -> list[int]:
    """How many tracks the vessels have after each turn of `long`; `beside`: a radar to 5 km in the same core."""
    core = Core(Config(site=Site(name="bench", lat=43.0, lon=-8.0, height_m=0.0)))
    rng, near = np.random.default_rng(4), np.random.default_rng(5)
    starts = [(rng.uniform(7000.0, 12_000.0), n * 360.0 / VESSELS, rng.uniform(3.0, 10.0)) for n in range(VESSELS)]
    out = []
    for k in range(TURNS):
        t = 2.5 * k
        seen = [plot(rng, t, "long", far - v * t, b) for far, b, v in starts if rng.random() < 0.85]
        stray = [(14_000.0 * math.sqrt(rng.random()), rng.uniform(0.0, 360.0)) for _ in range(CLUTTER)]
        seen += [plot(rng, t, "long", *place) for place in stray]
        core.step(Scan(at_s=t, source="long", plots=tuple(seen), period_s=2.5))
        for late in (0.5, 1.75) if beside else ():
            stray = [(near.uniform(500.0, 5000.0), near.uniform(0.0, 360.0)) for _ in range(9)]
            plots = tuple(plot(near, t + late, "short", *place) for place in stray)
            core.step(Scan(at_s=t + late, source="short", plots=plots, period_s=1.25))
        (picture, *_) = core.step(Tick(at_s=t + 2.4))
        assert isinstance(picture, TrackPicture)
        out.append(sum(m.status is not TrackStatus.TENTATIVE for m in picture.tracks))
    return out


def test_vessels_beyond_a_second_radars_reach_are_believed_as_soon_as_without_it() -> None:
    alone, together = confirmed(None), confirmed("short")
    assert alone[-1] == VESSELS
    assert together == alone
