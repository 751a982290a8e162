"""The recorded radar of the milliAmpere ferry as scenes: $VIGIA_FIELD_DATA/fusion, scenarios 2 to 6.

The radar moves slowly with its ferry. Positions are made absolute first, then seen from one fixed site, which is what
the core knows: `SITE_M` south-west of the frame's origin, so far that sigmas are those of the positions in both axes.
"""

from __future__ import annotations

import gzip
import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.tracking.scenes import Moment, Scene

if TYPE_CHECKING:
    from pathlib import Path

RADAR = 2
SITE_M = 2000.0
SIGMA_M = 6.0
SCENARIOS = (2, 3, 4, 5, 6)
REACH_M = 450.0


def load(folder: Path, number: int) -> Scene:
    """One scenario; truth velocities are not recorded."""
    rows = [
        json.loads(gzip.decompress((folder / f"scenario{number}_{k}.json.gz").read_bytes()))
        for k in ("detections", "groundTruth")
    ]
    pairs = sorted(((d, g) for d, g in zip(*rows, strict=True) if d["sensorID"] == RADAR), key=lambda p: p[0]["time"])
    moments = []
    for d, g in pairs:
        points = _points(d)
        x, y = points[:, 0] + SITE_M, points[:, 1] + SITE_M
        r = np.hypot(x, y)
        plots = np.stack(
            [
                r,
                np.degrees(np.arctan2(x, y)),
                np.full(len(r), SIGMA_M),
                np.degrees(SIGMA_M / r),
                np.full(len(r), np.nan),
            ],
            axis=1,
        )
        truth = {
            int(t["targetID"]): (t["position"][1] + SITE_M, t["position"][0] + SITE_M, math.nan, math.nan) for t in g
        }
        moments.append(Moment(t=float(d["time"]), plots=plots, truth=truth))
    clutter = max(float(np.mean([len(m.plots) for m in moments])) - 2.0, 0.5)
    return Scene(
        name=f"autoferry-{number}", seed=0, moments=tuple(moments), area_m2=math.pi * REACH_M**2, clutter=clutter,
        pd=0.8, skip=8, period_s=1.68, cutoff_m=50.0,
    )  # fmt: skip


def _points(d: dict[str, Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """(n, 2) east, north: the files are MATLAB's, one measurement is not a list of lists."""
    m = d["measurement"]
    if not m:
        return np.empty((0, 2))
    ne = np.array(m, dtype=np.float64).reshape(2, -1)
    own = np.array(d["ownshipPosition"], dtype=np.float64)
    return np.stack([ne[1] + own[1], ne[0] + own[0]], axis=1)
