"""The shipped detector, loaded as a box loads it: its file, the demo's scene, and unseen rendered frames."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from agent.config.schema import Tracking
from agent.inference.detector import Detector
from agent.inference.load import default_model_path, load_detector
from agent.inference.tiles import auto_regions, find_in, whole
from hardware_sim import scenario
from hardware_sim.devices.view import conditions, drawn, pose
from hardware_sim.render import Renderer
from hardware_sim.sight import LOOSE_IOU, iou_table
from hardware_sim.world import World
from training.classes import LABELS, VESSEL_LABELS
from training.frames import judge, render_seed, split_seeds
from training.metrics import Boxes, verdict

FRAMES = 24
MIN_FOUND = 0.6  # these 24 frames give 0.65
MAX_FALSE_PER_FRAME = 0.17  # these 24 frames give 0.08


@pytest.fixture(scope="module", params=["vessels.onnx", "vessels-int8.onnx"])
def detector(request: pytest.FixtureRequest) -> Detector:
    """A shipped model; a file that does not match its sha256 is refused here."""
    return load_detector(default_model_path().with_name(request.param))


def test_it_is_described_as_it_was_trained(detector: Detector) -> None:
    assert detector.info.layout == "yolov8"
    assert tuple(detector.info.labels) == LABELS
    assert set(detector.info.vessel_labels) == set(VESSEL_LABELS)
    assert 0.3 < detector.info.min_score < 0.7


@pytest.mark.parametrize("t_s", [10.0, 40.0, 80.0])
def test_every_vessel_of_the_harbour_mouth_is_found(detector: Detector, t_s: float) -> None:
    world = World(scenario.load("harbour-mouth"), 1)
    rendered = Renderer(pose(world.scenario), conditions(world.scenario, 1)).render(drawn(world, t_s), t_s)
    _, jpeg = cv2.imencode(".jpg", rendered.image, [cv2.IMWRITE_JPEG_QUALITY, world.scenario.camera.jpeg_quality])
    image = np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_COLOR), np.uint8)
    found = find_in(
        detector,
        image,
        auto_regions(detector, image.shape[1], image.shape[0]),
        min_score=Tracking().camera_min_score,
    )
    vessel = found.classes < len(VESSEL_LABELS)
    sure = found.corners[vessel & (found.scores >= detector.info.min_score)]  # the weakest of the nine has 0.70
    truth = np.array([[b.x0, b.y0, b.x1, b.y1] for b in rendered.boxes], np.float32)
    assert len(truth) == 3
    assert (iou_table(truth, sure).max(1, initial=0) >= LOOSE_IOU).all()
    assert vessel.sum() <= len(truth) + 1


def test_on_unseen_frames_it_does_not_fall_far_behind_its_card(detector: Detector) -> None:
    wanted = hits = false = 0
    for seed in split_seeds("test", FRAMES):
        image, truth = render_seed(seed)
        found = find_in(detector, image, [whole(image.shape[1], image.shape[0])], min_score=detector.info.min_score)
        boxes = Boxes(boxes=found.corners, scores=found.scores, classes=found.classes.astype(np.int64))
        seen = verdict(boxes.vessels(0.0), truth, judge(truth), LOOSE_IOU)
        wanted, hits = wanted + len(seen.found), hits + int((seen.found > 0).sum())
        false += int((~seen.right).sum())
    print(f"{hits} of {wanted} vessels, {false} false boxes in {FRAMES} frames")
    assert hits >= MIN_FOUND * wanted
    assert false <= MAX_FALSE_PER_FRAME * FRAMES
