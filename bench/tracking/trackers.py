"""The trackers that are judged: the core as it is delivered, and Stone Soup in its own environment."""

from __future__ import annotations

import json
import math
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from agent.config.schema import Config, Site, Tracking
from agent.core import Core
from agent.errors import InputError
from agent.messages import Plot, Scan, Tick, Track, TrackPicture, TrackStatus
from agent.tracking.measure import polar

if TYPE_CHECKING:
    from bench.tracking.scenes import Moment, Scene
    from bench.tracking.score import Estimate

PEER = Path(__file__).resolve().parents[2] / ".venv-peers" / "stonesoup" / "bin" / "python"
CONFIG = Config(site=Site(name="bench", lat=43.0, lon=-8.0, height_m=0.0))
Q = 0.09  # m^2/s^3: the acceleration that [tracking] has by default, for the peer, too


def ours(scene: Scene, tracking: Tracking | None = None) -> tuple[list[list[Estimate]], float]:
    """Firm tracks after each scan, and the seconds of CPU that the core took."""
    core = Core(CONFIG.model_copy(update={"tracking": tracking or Tracking()}))
    out: list[list[Estimate]] = []
    seconds = 0.0
    for m in scene.moments:
        scan = Scan(at_s=m.t, source="radar", plots=plots_of(m), period_s=scene.period_s)
        began = time.process_time()
        core.step(scan)
        (picture, *_) = core.step(Tick(at_s=m.t))
        seconds += time.process_time() - began
        if isinstance(picture, TrackPicture):
            out.append([
                (t.id, state(t), [list(row) for row in t.cov])
                for t in picture.tracks
                if t.status is not TrackStatus.TENTATIVE
            ])  # fmt: skip
    return out, seconds


def state(t: Track) -> list[float]:
    """East, north and their velocities, as the judge wants them."""
    course = math.radians(t.cog_deg)
    return [t.east_m, t.north_m, t.sog_mps * math.sin(course), t.sog_mps * math.cos(course)]


def plots_of(m: Moment) -> tuple[Plot, ...]:
    """A moment's plots as a driver gives them."""
    return tuple(
        Plot(
            at_s=m.t, source="radar", range_m=r, bearing_deg=b, sigma_range_m=sr, sigma_bearing_deg=sb,
            amplitude_db=a if a == a else None,  # noqa: PLR0124 - not a number is unlike itself
        )
        for r, b, sr, sb, a in m.plots.tolist()
    )  # fmt: skip


def stone_soup(scene: Scene, associator: str, lost_m: float = 150.0) -> tuple[list[list[Estimate]], float]:
    """The same for the peer; `associator` gnn or jpda.

    Raises:
        InputError: the peer is not installed, or failed.

    """
    if not PEER.exists():
        raise InputError("Stone Soup is not installed: make peers")
    scans = []
    for m in scene.moments:
        z, r = polar(*(m.plots[:, k] for k in range(4)))
        rows = [[*p, c[0][0], c[0][1], c[1][1]] for p, c in zip(z.tolist(), r.tolist(), strict=True)]
        scans.append([m.t, rows])
    task = {
        "associator": associator, "q": Q, "pd": scene.pd, "clutter": scene.clutter, "area_m2": scene.area_m2,
        "lost_m": lost_m, "scans": scans,
    }  # fmt: skip
    done = subprocess.run(
        [str(PEER), str(Path(__file__).with_name("stone_soup.py"))], input=json.dumps(task), capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise InputError(f"Stone Soup failed: {done.stderr[-2000:]}")
    answer = json.loads(done.stdout)
    return [[(i, x, p) for i, x, p in row] for row in answer["tracks"]], float(answer["seconds"])
