"""A source whose reader is busy: what it finds when it is back, with a camera that the test steps by hand."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest

from agent.clock import SystemClock
from agent.drivers.camera.options import CameraOptions
from agent.drivers.camera.pace import Pace
from agent.drivers.camera.source import Grabber, LiveSource
from camera.mjpeg_server import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray


class Stepped(Grabber):
    """A camera whose pictures cost something to take, and come when the test says so."""

    def __init__(self) -> None:
        self.hold = threading.Event()  # `take` waits for it
        self.hold.set()
        self.come: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self.expected: queue.SimpleQueue[bool] = queue.SimpleQueue()  # whether the reader is, picture by picture
        self.number = -1
        self.taken: list[int] = []

    def open(self) -> None:
        pass

    def grab(self) -> bool:
        came = self.come.get()
        self.number += came
        return came

    def take(self) -> NDArray[np.uint8]:
        self.taken.append(self.number)
        assert self.hold.wait(20.0)
        return np.full((48, 64, 3), self.number, dtype=np.uint8)

    def abort(self) -> None:
        self.come.put(item=False)

    def close(self) -> None:
        pass


@pytest.fixture
def stepped(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Stepped, LiveSource, Callable[..., None]]]:
    grabber = Stepped()
    monkeypatch.setattr(Pace, "ahead", lambda _, __: grabber.expected.get())
    source = LiveSource(grabber, "stepped", CameraOptions(fps=60.0, stall_s=0.5), SystemClock())
    source.open()

    def send(*, expected: bool) -> None:
        number = source._grabbed
        grabber.expected.put(expected)
        grabber.come.put(item=True)
        assert wait_until(lambda: grabber.expected.empty() and (not expected or source._slot is not None))
        assert wait_until(lambda: not expected or (source._slot or (None, None, -1))[2] == number)

    yield grabber, source, send
    source.close()


def test_a_picture_that_came_while_its_reader_was_busy_is_there_when_it_is_expected_back(
    stepped: tuple[Stepped, LiveSource, Callable[..., None]],
) -> None:
    grabber, source, send = stepped
    for expected in (False, True, True):
        send(expected=expected)
    frame = source.read(5.0)
    assert frame is not None
    assert (frame.number, int(frame.image[0, 0, 0]), source.counters["dropped"]) == (2, 2, 2)
    assert grabber.taken == [1, 2], "what came when nobody was expected was not converted"


def test_a_reader_that_is_back_early_gets_no_picture_from_before_it_is_due(
    stepped: tuple[Stepped, LiveSource, Callable[..., None]],
) -> None:
    _, source, send = stepped
    send(expected=True)
    assert source.read(5.0) is not None
    send(expected=True)
    source.fps = 0.1
    assert source.read(0.0) is None
    assert source._slot is None


def test_a_picture_that_is_still_being_converted_when_its_reader_comes_back_early_is_dropped(
    stepped: tuple[Stepped, LiveSource, Callable[..., None]],
) -> None:
    grabber, source, send = stepped
    send(expected=True)
    assert source.read(5.0) is not None
    grabber.hold.clear()
    grabber.expected.put(item=True)
    grabber.come.put(item=True)
    assert wait_until(lambda: grabber.taken == [0, 1])
    source.fps = 0.1
    assert source.read(0.0) is None, "it is not due before 9 s"
    grabber.hold.set()
    send(expected=False)  # the thread is past the one that was held
    assert source._slot is None
