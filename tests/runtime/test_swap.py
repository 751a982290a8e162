"""Which sensors a reload keeps open: those that did not change, and cameras of which only the model did."""

from __future__ import annotations

from typing import Any

import pytest

from agent.config.schema import Sensor
from agent.runtime.supervisor import _same_but_model

CAMERA: dict[str, Any] = {"name": "cam", "driver": "camera", "url": "rtsp://x/y", "options": {"fps": 2.0}}
RADAR: dict[str, Any] = {"name": "radar", "driver": "navico", "url": "udp://236.6.7.8:6678", "options": {}}


@pytest.mark.parametrize(
    ("old", "change", "kept"),
    [
        (CAMERA, {}, True),
        (CAMERA, {"options": {"fps": 2.0, "model": "other.onnx", "threads": 2, "providers": ["cuda"]}}, True),
        (CAMERA, {"options": {"fps": 4.0, "model": "other.onnx"}}, False),
        (CAMERA, {"url": "rtsp://x/z"}, False),
        (CAMERA, {"enabled": False}, False),
        (RADAR, {}, True),
        (RADAR, {"options": {"threads": 2}}, False),
    ],
)
def test_what_a_reload_keeps(old: dict[str, Any], change: dict[str, Any], kept: bool) -> None:
    assert _same_but_model(Sensor.model_validate(old), Sensor.model_validate({**old, **change})) is kept
