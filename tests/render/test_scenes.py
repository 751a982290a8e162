"""The random scenes a detector is trained on."""

from __future__ import annotations

import numpy as np

from hardware_sim.render import random_scene, render_random
from hardware_sim.render.types import CLUTTER_KINDS, LIGHTS


def test_the_mix_of_scenes() -> None:
    rng = np.random.default_rng(8)
    scenes = [random_scene(rng) for _ in range(600)]
    free = sum(all(v.kind in CLUTTER_KINDS for v in vessels) for _, _, vessels in scenes) / len(scenes)
    assert 0.17 < free < 0.28
    assert {c.light for _, c, _ in scenes} == set(LIGHTS)
    heights, lenses = [p.height_m for p, _, _ in scenes], [p.hfov_deg for p, _, _ in scenes]
    assert 5.0 <= min(heights) < 8.0
    assert 45.0 < max(heights) <= 60.0
    assert 4.0 <= min(lenses) < 6.0
    assert 55.0 < max(lenses) <= 70.0


def test_the_same_seed_gives_the_same_picture() -> None:
    first, again = (render_random(np.random.default_rng(21)) for _ in range(2))
    assert np.array_equal(first.image, again.image)
    assert first.boxes == again.boxes
    assert not np.array_equal(first.image, render_random(np.random.default_rng(22)).image)


def test_most_vessels_are_small_in_the_picture() -> None:
    heights = []
    for seed in range(24):
        for box in render_random(np.random.default_rng(seed)).boxes:
            assert 0.0 <= box.x0 < box.x1 <= 1280.0
            assert 0.0 <= box.y0 < box.y1 <= 720.0
            assert 0.0 <= box.visible <= 1.001
            if box.kind not in CLUTTER_KINDS:
                heights.append(box.y1 - box.y0)
    assert len(heights) > 20
    assert 4.0 < float(np.median(heights)) < 40.0
