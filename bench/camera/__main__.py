"""Examples: python -m bench.camera --hours 0.5; python -m bench.camera --hours 20 --minutes 600 --seed 9001.

False confirmed tracks an hour on rendered video without a vessel, in wind up to 10 m/s. Many short windows, each of
another camera, weather, light and shore, as the detector's training draws them, but from seeds of its own: pictures two
a second through the camera's pipeline as configured by default and the tracks of the core, M of N looks. One JSON
object: tracks, their rate, and the exact 95 % upper bound of a Poisson rate.

A thing that stands still and is taken for a vessel counts once in each of its windows, which makes far more an hour
than it would be before one camera: `windows_with` tells how many windows had any.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

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
from hardware_sim.render.renderer import DETAILS, Renderer
from hardware_sim.render.scenes import random_conditions, random_pose

if TYPE_CHECKING:
    from agent.inference.detector import Detector
    from agent.messages import Detections
    from hardware_sim.render.types import CameraPose, Conditions

FPS = 2.0
WIND_MAX_MPS = 10.0


def main() -> int:
    """Judge and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.camera", description=__doc__)
    parser.add_argument("--hours", type=float, default=0.5, help="simulated hours")
    parser.add_argument("--seconds", type=float, default=20.0, help="of one window")
    parser.add_argument("--minutes", type=float, default=1e9, help="no window begins after so many real minutes")
    parser.add_argument("--seed", type=int, default=9001, help="of the first window; each takes the next")
    parser.add_argument("--detail", choices=DETAILS, default="full")
    parser.add_argument("--model", help="an .onnx file; default: the shipped one")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    detector = load_detector(args.model, threads=1)
    end_s, looks = time.monotonic() + 60.0 * args.minutes, max(1, round(args.seconds * FPS))
    tracks: list[int] = []
    by_light: Counter[str] = Counter()
    boxes = windows_with = 0
    while len(tracks) * looks / FPS < 3600.0 * args.hours and time.monotonic() < end_s:
        pose, conditions = empty_scene(args.seed + len(tracks))
        seen = watched(detector, pose, conditions, looks, args.detail)
        found = false_tracks(seen)
        tracks.append(found)
        by_light[conditions.light] += found
        windows_with += found > 0
        boxes += sum(b.score >= Tracking().camera_min_score for d in seen for b in d.boxes)
    hours, many = len(tracks) * looks / FPS / 3600.0, sum(tracks)
    print(
        json.dumps(
            {
                "hours": round(hours, 3), "windows": len(tracks), "pictures": len(tracks) * looks,
                "false_boxes_a_picture": round(boxes / max(1, len(tracks) * looks), 4),
                "false_tracks": many, "by_light": dict(sorted(by_light.items())), "windows_with": windows_with,
                "an_hour": round(many / hours, 2) if hours else None,
                "an_hour_at_most": round(poisson_upper(many) / hours, 2) if hours else None,
            }
        )
    )  # fmt: skip
    return 0


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


def false_tracks(seen: list[Detections]) -> int:
    """How many tracks the core confirms: each box gets a name of its own, and a track knows the names of its boxes."""
    tracker = SightTracker(sight_settings(Tracking()))
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


if __name__ == "__main__":
    sys.exit(main())
