"""Truths and tracks made up for the scores, and their files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from hardware_sim.geo import Site

if TYPE_CHECKING:
    from pathlib import Path

SITE = Site(43.0, -8.0)
START = 1_750_000_000.0
Path3 = list[tuple[int, float, float]]


def drawn(seed: int) -> tuple[list[Path3], list[Path3]]:
    """Truths on straight ways, tracks with gaps, doubles and strays, no two truths near each other."""
    rng = np.random.default_rng(seed)
    truths: list[Path3] = []
    tracks: list[Path3] = []
    for i in range(6):
        x, y, vx, vy = 2000.0 * i, 0.0, *rng.uniform(-8.0, 8.0, 2)
        path = [(k, x + vx * k, y + vy * k) for k in range(40)]
        truths.append(path)
        for _ in range(int(rng.integers(0, 3))):
            a, b = sorted(rng.integers(0, 40, 2).tolist())
            noise = rng.normal(0.0, 30.0, (40, 2))
            tracks.append([(k, px + noise[k, 0], py + noise[k, 1]) for k, px, py in path[a : b + 1]])
    for _ in range(3):
        x, y = rng.uniform(0.0, 10_000.0), rng.uniform(3000.0, 6000.0)
        tracks.append([(k, x + k, y) for k in range(int(rng.integers(0, 20)), 35)])
    return truths, tracks


def files(
    truths: list[Path3], tracks: list[Path3], folder: Path, clutter: int | None = 5, **header: Any
) -> tuple[Path, Path, Path]:
    def where(x: float, y: float) -> dict[str, float]:
        lat, lon = SITE.to_geo(x, y)
        e, n = SITE.to_enu(lat, lon)
        return {"lat": lat, "lon": lon, "east_m": e, "north_m": n}

    head = {
        "type": "header", "scenario": "s", "seed": 0, "site": {"lat": 43.0, "lon": -8.0}, "start_unix": START,
        "expect": [], "forbid": [], **header,
    }  # fmt: skip
    lines = [head]
    for i, path in enumerate(truths):
        kind = "buoy" if i == clutter else "panga"
        optional = {"clutter": True} if i == clutter else {}
        lines += [
            {"type": "target", "at": START + k, "id": f"t{i}", "class": kind, "mmsi": None, "length_m": 7.0,
             "sog_mps": 0.0, "cog_deg": 0.0, **where(x, y), **optional}
            for k, x, y in path
        ]  # fmt: skip
    said = [
        {"at": START + k, "id": i, "status": "confirmed", **where(x, y)} for i, p in enumerate(tracks) for k, x, y in p
    ]
    out = folder / "truth.jsonl", folder / "tracks.jsonl", folder / "alerts.jsonl"
    contents: tuple[list[dict[str, Any]], ...] = (lines, said, [])
    for path_, items in zip(out, contents, strict=True):
        path_.write_text("".join(json.dumps(x) + "\n" for x in items), encoding="utf-8")
    return out
