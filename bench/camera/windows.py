"""Windows of rendered video without a vessel, and what the camera's path and the core's tracks make of them.

Promises: a window is a function of its seed; `judged` may run in any process.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from agent.config.schema import Tracking
from agent.drivers.camera.base import Frame
from agent.drivers.camera.options import CameraOptions
from agent.fusion.camera import one_each, sight_settings
from agent.inference.load import load_detector
from agent.messages import Stamp
from agent.perception.camera import CameraPipeline
from agent.tracking.sight import SightTracker
from agent.vocabulary import means_vessel
from hardware_sim.nightly import poisson_upper
from hardware_sim.render.renderer import Renderer
from hardware_sim.render.scenes import random_conditions, random_pose

if TYPE_CHECKING:
    from agent.inference.detector import Detector
    from agent.messages import Detections
    from agent.tracking.sight import Settings
    from hardware_sim.render.types import CameraPose, Conditions

FPS = 2.0
WIND_MAX_MPS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What to judge: a camera and its weather by their seed, `looks` pictures of it, with which model (None: ours)."""

    seed: int
    looks: int
    detail: str
    model: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Of one window: false boxes that could start a track, false tracks, and those without the rule for what stands."""

    light: str
    boxes: int
    tracks: int
    tracks_standing: int


def summary(rows: list[Found], looks: int) -> dict[str, Any]:
    """The JSON object."""
    hours, tracks = len(rows) * looks / FPS / 3600.0, sum(r.tracks for r in rows)
    by_light: Counter[str] = Counter()
    for r in rows:
        by_light[r.light] += r.tracks
    return {
        "hours": round(hours, 3), "windows": len(rows), "pictures": len(rows) * looks,
        "false_boxes_a_picture": round(sum(r.boxes for r in rows) / (len(rows) * looks), 4),
        "false_tracks": tracks, "by_light": dict(sorted(by_light.items())),
        "windows_with": sum(r.tracks > 0 for r in rows),
        "an_hour": round(tracks / hours, 2), "an_hour_at_most": round(poisson_upper(tracks) / hours, 2),
        "false_tracks_if_standing_were_enough": sum(r.tracks_standing for r in rows),
    }  # fmt: skip


@cache
def detector_of(model: str | None) -> Detector:
    """Loaded once a process."""
    cv2.setNumThreads(1)
    return load_detector(model, threads=1)


def judged(window: Window) -> Found:
    """One window."""
    pose, conditions = empty_scene(window.seed)
    seen = watched(detector_of(window.model), pose, conditions, window.looks, window.detail)
    keys = Tracking()
    return Found(
        light=conditions.light, boxes=sum(b.score >= keys.camera_min_score for d in seen for b in d.boxes),
        tracks=false_tracks(seen, sight_settings(keys)),
        tracks_standing=false_tracks(seen, replace(sight_settings(keys), standing=0.0)),
    )  # fmt: skip


def empty_scene(seed: int) -> tuple[CameraPose, Conditions]:
    """A camera and its weather; the same seed gives the same."""
    rng = np.random.default_rng(seed)
    pose = random_pose(rng)
    while (conditions := random_conditions(rng, pose)).wind_mps > WIND_MAX_MPS:
        pass
    return pose, conditions


def watched(detector: Detector, pose: CameraPose, conditions: Conditions, looks: int, detail: str) -> list[Detections]:
    """What the camera's pipeline makes of a window."""
    options = CameraOptions(
        fps=FPS, cued_fps=FPS, cpu_share=64.0, bearing_deg=pose.bearing_deg, pitch_deg=pose.pitch_deg,
        roll_deg=pose.roll_deg, hfov_deg=pose.hfov_deg, height_m=pose.height_m,
    )  # fmt: skip
    pipeline, renderer = CameraPipeline(options, detector, "cam"), Renderer(pose, conditions, detail)
    out = []
    for i in range(looks):
        at = Stamp(t_s=i / FPS, wall_s=i / FPS, error_ms=0.0)
        frame = Frame(image=renderer.render((), at.t_s).image, at=at, number=i)
        out.append(pipeline.process(frame))
        pipeline.judge(frame, out[-1])
    return out


def false_tracks(seen: list[Detections], settings: Settings) -> int:
    """How many tracks the core confirms: each box gets a name of its own, and a track knows the names of its boxes."""
    tracker = SightTracker(settings)
    known: list[set[str]] = []
    for i, d in enumerate(seen):
        vessels = one_each([b for b in d.boxes if means_vessel(b.label)])
        named = tuple(replace(b, label=f"{i}/{j}") for j, b in enumerate(vessels))
        for sighting in tracker.look(d.at_s, named, d.width_px, d.shift_px):
            names = {name for name, _ in sighting.classes}
            track = next((k for k in known if k & names), None)
            if track is None:
                known.append(names)
            else:
                track |= names
    return len(known)
