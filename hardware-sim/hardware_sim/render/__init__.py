"""Pictures of the sea from a coast camera, with truth. See `renderer` for what is promised."""

from hardware_sim.render.renderer import Renderer
from hardware_sim.render.scenes import random_scene, render_random
from hardware_sim.render.types import CameraPose, Conditions, Rendered, TruthBox, Vessel

__all__ = [
    "CameraPose",
    "Conditions",
    "Rendered",
    "Renderer",
    "TruthBox",
    "Vessel",
    "random_scene",
    "render_random",
]
