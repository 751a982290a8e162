"""An operator's options of a camera: what the `[[sensor]]` table may say, with bounds and defaults.

Promises:
- apart from what reads cameras: the daemon checks a configuration without OpenCV, and a camera's process, which gets
  its options checked (agent/runtime/settings.py), does without pydantic.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, field_validator, model_validator

from agent.config.schema import CameraPose
from agent.drivers.base import DriverOptions
from agent.messages import Severity

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Polygon = tuple[tuple[Share, Share], ...]


class CameraOptions(CameraPose, DriverOptions):
    """Keys of a camera's `[[sensor]]` table besides its pose (agent/config/schema.py, CameraPose).

    `fps`: pictures looked at per second. `model`: an .onnx file, the shipped one when left out. `min_score`: boxes from
    here on are logged. `look`: `auto` = native resolution in a strip along the horizon and the whole picture reduced,
    `whole` = the whole picture only, `tiles` = the whole picture and tiles at native resolution. `masks`: polygons of
    (x, y) in shares of the picture's width and height, blacked out for privacy. `land`: such polygons in which no
    vessel can be: a box whose foot lies there is counted and dropped. `stall_s`: a stream without a new picture for
    this long is reopened. `cpu_share`: of one core, that the camera may use; beyond it, it looks less often and says
    so. `cued_fps`: pictures a second while a track, radar or AIS points at something (at least `fps`). `clip_before_s`:
    clips of alerts begin so long before them; 0: no clips, and no second stream for them. `clip_after_s`: how long
    behind the alert they end. `clip_severity`: from which severity on. `clip_max_mb`: of one clip.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    fps: Annotated[float, Field(gt=0.0, le=60.0)] = 2.0
    cued_fps: Annotated[float, Field(gt=0.0, le=60.0)] = 4.0
    cpu_share: Annotated[float, Field(gt=0.0, le=64.0)] = 0.6
    model: str | None = None
    min_score: Share = 0.1
    look: Literal["auto", "whole", "tiles"] = "auto"
    masks: tuple[Polygon, ...] = ()
    land: tuple[Polygon, ...] = ()
    threads: Annotated[int, Field(ge=1, le=64)] = 1
    providers: tuple[str, ...] = ("cpu",)
    stall_s: Annotated[float, Field(ge=0.5, le=600.0)] = 10.0
    clip_before_s: Annotated[float, Field(ge=0.0, le=120.0)] = 0.0
    clip_after_s: Annotated[float, Field(ge=0.0, le=120.0)] = 10.0
    clip_severity: Severity = Severity.HIGH
    clip_max_mb: Annotated[float, Field(ge=1.0, le=200.0)] = 32.0
    verify_tls: bool = True  # https cameras on a closed network often have certificates of their own making

    @field_validator("masks", "land")
    @classmethod
    def _corners(cls, v: tuple[Polygon, ...]) -> tuple[Polygon, ...]:
        if any(len(polygon) < 3 for polygon in v):
            raise ValueError("a mask is a polygon of at least three corners (x, y)")
        return v

    @model_validator(mode="after")
    def _clips_without_masks(self) -> Self:
        if self.clip_before_s > 0.0 and self.masks:
            raise ValueError("clips are the camera's own coding and cannot be masked: leave out masks or clip_before_s")
        return self
