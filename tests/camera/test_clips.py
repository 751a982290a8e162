"""Clips of an RTSP camera: the packets that were sent, from before to after the event; what bounds and refuses them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError

from agent.clock import SystemClock
from agent.config.schema import Sensor
from agent.drivers.camera.clips import MOST_CLIPS, ClipKeeper, Packet, Ring, why_no_clips
from agent.drivers.camera.options import CameraOptions
from agent.errors import ConfigError
from agent.messages import SensorHealth, SensorState
from agent.runtime.children import ChildSensor
from hardware_sim.devices.h264 import CLOCK_HZ, Encoder, Unit
from hardware_sim.devices.mjpeg import Stage
from hardware_sim.devices.rtsp import RtspServer

WIDTH, HEIGHT, FPS = 320, 240, 10.0
PATIENCE_S = 90.0
OPTIONS = CameraOptions(clip_before_s=2.0, clip_after_s=1.0)


class Remembering(Encoder):
    """The simulator's encoder, which knows afterwards what it has made, and when."""

    def __init__(self) -> None:
        super().__init__(WIDTH, HEIGHT, FPS)
        self.made: list[tuple[float, Unit]] = []

    def encode(self, image: NDArray[np.uint8], ticks: int) -> Unit:
        at_s = clock.now().t_s
        unit = super().encode(image, ticks)
        self.made.append((at_s, unit))
        return unit


class Camera:
    """The simulator's RTSP server with a small picture in it."""

    def __init__(self) -> None:
        self.stage, self.encoder = Stage(), Remembering()
        self.server = RtspServer(self.stage, self.encoder, FPS)
        self.url = f"rtsp://127.0.0.1:{self.server.port}/camera"
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._show)
        self._thread.start()

    def _show(self) -> None:
        rng = np.random.default_rng(3)
        while not self._stop.wait(1.0 / FPS):
            if self.stage.wanted("h264"):
                image = rng.integers(0, 60, (HEIGHT, WIDTH, 3), np.uint8)
                now_s = time.monotonic()
                self.server.show(image, round(now_s * CLOCK_HZ), 1000.0 + now_s)

    def close(self) -> None:
        if not self._stop.is_set():
            self._stop.set()
            self._thread.join(PATIENCE_S)
            self.server.close()
            self.stage.close()


clock = SystemClock()


@pytest.fixture
def camera() -> Iterator[Camera]:
    one = Camera()
    yield one
    one.close()


@pytest.fixture
def keeper(camera: Camera) -> Iterator[ClipKeeper]:
    one = ClipKeeper(camera.url, OPTIONS, clock)
    one.start()
    until(lambda: (first := list(one._ring.packets)[:1]) and clock.now().t_s - first[0].at_s > OPTIONS.clip_before_s)
    yield one
    one.stop()


def until(condition: Callable[[], Any]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


class Answer:
    """How a clip ended."""

    def __init__(self) -> None:
        self.size, self.sentence, self._told = 0, "", threading.Event()

    def __call__(self, size: int, sentence: str) -> None:
        self.size, self.sentence = size, sentence
        self._told.set()

    def wait(self) -> None:
        assert self._told.wait(PATIENCE_S)


def pictures(data: bytes) -> tuple[bytes, ...]:
    """The NAL units of a packet of an MP4, without parameter sets."""
    nals, at = [], 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        nals.append(data[at + 4 : at + 4 + size])
        at += 4 + size
    return tuple(n for n in nals if n[0] & 31 in (1, 5))


def test_a_clip_is_what_the_camera_sent_from_before_to_after(
    camera: Camera, keeper: ClipKeeper, tmp_path: Path
) -> None:
    path, answer, at_s = tmp_path / "evidence" / "7-cam.high.mp4", Answer(), clock.now().t_s
    keeper.ask(path, at_s, answer)
    answer.wait()
    assert answer.size == path.stat().st_size, answer.sentence
    assert list(path.parent.iterdir()) == [path]
    with av.open(str(path)) as clip:
        packets = [(bytes(p), p.pts or 0, p.is_keyframe) for p in clip.demux(video=0) if p.size]
    sent = [(s, u, tuple(n for n in u.nals if n[0] & 31 in (1, 5))) for s, u in camera.encoder.made]
    first = next(i for i, (_, _, nals) in enumerate(sent) if nals == pictures(packets[0][0]))
    run = sent[first : first + len(packets)]
    assert [pictures(data) for data, _, _ in packets] == [nals for _, _, nals in run]
    assert [key for _, _, key in packets] == [u.key for _, u, _ in run]
    assert packets[0][2]
    gaps = [b - a for (_, a, _), (_, b, _) in pairwise(packets[2:])]
    meant = [b.ticks - a.ticks for (_, a, _), (_, b, _) in pairwise(run[2:])]
    assert gaps == pytest.approx(meant, abs=2)
    with av.open(str(path)) as clip:  # as long as its pictures, each decoded when due
        (stream,) = clip.streams
        assert all(p.dts == p.pts for p in clip.demux(video=0) if p.size)
        assert float((stream.duration or 0) * (stream.time_base or 0)) == pytest.approx(
            (run[-1][1].ticks - run[0][1].ticks) / 90_000, rel=0.2
        )
    assert run[0][0] <= at_s - OPTIONS.clip_before_s
    assert run[-1][0] > at_s
    length_s = float(answer.sentence.split()[3])
    assert length_s >= OPTIONS.clip_before_s + OPTIONS.clip_after_s - 0.05
    with av.open(str(path)) as clip:
        shapes = {f.to_ndarray(format="gray").shape for f in clip.decode(video=0)}
        assert shapes == {(HEIGHT, WIDTH)}


def test_a_camera_that_goes_away_ends_its_clips_with_what_they_have(
    camera: Camera, keeper: ClipKeeper, tmp_path: Path
) -> None:
    answers = [Answer() for _ in range(MOST_CLIPS + 1)]
    for n, answer in enumerate(answers):
        keeper.ask(tmp_path / f"{n}-cam.high.mp4", clock.now().t_s + 60.0, answer)
    answers[-1].wait()
    assert (answers[-1].size, str(MOST_CLIPS) in answers[-1].sentence) == (0, True)
    until(lambda: len(keeper._clips) == MOST_CLIPS)
    camera.close()
    for answer in answers[:-1]:
        answer.wait()
        assert answer.size > 0
        assert "cut short" in answer.sentence
    late = Answer()
    until(lambda: keeper._error)
    keeper.ask(tmp_path / "late.high.mp4", clock.now().t_s, late)
    late.wait()
    assert late.size == 0
    assert keeper.trouble(clock.now().t_s + 120.0)


def test_the_cameras_process_makes_a_clip_when_asked(camera: Camera, tmp_path: Path) -> None:
    states: list[SensorState] = []

    def take(_name: str, message: Any) -> None:
        if isinstance(message, SensorHealth):
            states.append(message.state)

    sensor = Sensor(
        name="cam", driver="camera", url=camera.url, options={"clip_before_s": 1.0, "clip_after_s": 0.5, "fps": 1.0}
    )
    child = ChildSensor(sensor, "camera", 20.0, tmp_path, clock, take)
    child.start()
    try:
        asked = 0

        def made() -> bool:
            nonlocal asked
            if asked and f"asked-{asked}-cam.high.mp4" not in child.clips:
                return False
            size, _ = child.clips.get(f"asked-{asked}-cam.high.mp4", (0, ""))
            if not size and states and states[-1] is SensorState.OK:
                asked += 1
                child.ask_clip(f"asked-{asked}-cam.high.mp4")  # the stream for clips may still be opening
            return size > 0

        until(made)
        file = tmp_path / "evidence" / f"asked-{asked}-cam.high.mp4"
        assert file.stat().st_size == child.clips[file.name][0]
    finally:
        child.stop()


def test_what_cannot_be_had_is_refused_with_a_reason() -> None:
    masks = (((0.0, 0.0), (1.0, 0.0), (1.0, 1.0)),)
    with pytest.raises(ValidationError, match="cannot be masked"):
        CameraOptions(clip_before_s=5.0, masks=masks)
    assert CameraOptions(masks=masks).clip_before_s == 0.0
    assert "set its clip_before_s" in why_no_clips("rtsp://10.0.0.8/main", CameraOptions())
    assert "only RTSP" in why_no_clips("http://10.0.0.8/mjpg", OPTIONS)
    with pytest.raises(ConfigError, match=r"^http://10\.0\.0\.8/mjpg: only RTSP"):
        ClipKeeper("http://guard:Swordfish@10.0.0.8/mjpg", OPTIONS, clock)


@given(
    rows=st.lists(st.tuples(st.floats(0.0, 3.0), st.booleans(), st.integers(1, 400)), min_size=1, max_size=60),
    before_s=st.floats(0.5, 20.0),
)
@settings(max_examples=100, deadline=None)
def test_the_ring_is_bounded_and_begins_with_a_key_picture(
    rows: list[tuple[float, bool, int]], before_s: float
) -> None:
    ring, at_s, sent = Ring(before_s, 1000), 0.0, []
    for gap_s, key, size in rows:
        at_s += gap_s
        packet = Packet(at_s=at_s, media_s=at_s, key=key, data=bytes(size))
        sent.append(packet)
        ring.add(packet)
        kept = list(ring.packets)
        assert ring.size == sum(len(p.data) for p in kept) <= 1000
        if not kept:
            continue
        assert kept[0].key
        assert kept == sent[-len(kept) :], "nothing is missing in between"
        later = [p.at_s for p in kept[1:] if p.key]
        assert not later or later[0] > at_s - before_s, "no more than what is wanted"
        assert ring.since(at_s - before_s)[0].key
