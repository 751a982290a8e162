"""Settings on their way from the parent's models to a child that has no models."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import cbor2

from agent.config.schema import Sensor
from agent.drivers.camera.options import CameraOptions
from agent.drivers.radar.navico import NavicoDecoder
from agent.runtime.settings import for_child, plain

MASK = [[0.0, 0.0], [0.5, 0.0], [0.5, 1.0]]


def through(sensor: Sensor, kind: str) -> Any:
    """The sensor as a child reads it."""
    return plain(cbor2.loads(cbor2.dumps(for_child(sensor, kind, 20.0))))


def test_a_camera_reads_what_the_model_says_with_every_default() -> None:
    given = {"masks": [MASK], "providers": ["rknpu", "cpu"], "cued_fps": 5, "clip_severity": "low", "height_m": 3}
    sensor = Sensor(name="cam", driver="camera", url="file:///a", stale_s=7.0, options=given)
    seen = through(sensor, "camera")
    assert (seen.name, seen.driver, seen.url, seen.stale_s) == ("cam", "camera", "file:///a", 7.0)
    options, model = plain(seen.options), CameraOptions.model_validate(given)
    assert {name: getattr(options, name) for name in CameraOptions.model_fields} == dict(model)
    assert type(options.cued_fps) is float


def test_a_camera_without_a_height_of_its_own_stands_as_high_as_the_site() -> None:
    seen = through(Sensor(name="cam", driver="camera", url="file:///a"), "camera")
    assert seen.options["height_m"] == 20.0


def test_a_radar_gets_its_table_as_it_was_written() -> None:
    options = {"heading_deg": 4.0, "also": ["udp://127.0.0.1:1"]}
    seen = through(Sensor(name="radar", driver="navico", url="udp://127.0.0.1:2", options=options), "radar")
    assert seen.options == options
    assert NavicoDecoder.Options.model_validate(seen.options).model_dump()["heading_deg"] == 4.0


def test_a_cameras_process_loads_no_models_and_the_parent_no_pictures() -> None:
    assert loaded("agent.runtime.child", "agent.runtime.camera_loop", "agent.drivers.camera.mjpeg") & HEAVY == {"cv2"}
    parent = loaded("agent.runtime.configuration", "agent.drivers.camera.options", "agent.runtime.supervisor")
    assert parent & HEAVY == {"pydantic"}


HEAVY = {"pydantic", "cv2"}


def loaded(*modules: str) -> set[str]:
    """What a fresh interpreter has in memory once it has imported these."""
    code = f"import json, sys, {', '.join(modules)}; print(json.dumps(list(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return set(json.loads(done.stdout))
