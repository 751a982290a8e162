"""How pictures are fetched: a blocking `Grabber` per kind of camera, driven by a thread (live) or step by step (fast).

Promises:
- live: a thread of its own reads the stream, so that a hung read is seen by time; only the newest picture is kept,
  and only pictures that are asked for, or are about to be, are converted (agent/drivers/camera/pace.py);
- fast: every picture due by media time is handed out, nothing waits, stamps are start plus media time: the same
  recording gives the same pictures with the same spacing;
- `fps` holds the pace in both, and may be changed while running (a cue raises it).
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import cv2
import numpy as np

from agent.drivers.camera.base import U8, Frame, FrameSource
from agent.drivers.camera.jpeg import MAX_PIXELS, jpeg_size
from agent.drivers.camera.pace import EARLY, Pace
from agent.errors import SensorUnavailable, VigiaError
from agent.messages import Stamp
from agent.transport.base import EndOfData

if TYPE_CHECKING:
    from agent.clock import Clock
    from agent.drivers.camera.options import CameraOptions

OPEN_TIMEOUT_S = 8.0
_JOIN_S = 1.0


class Grabber(ABC):
    """The blocking side of one camera. All calls but `abort` come from one thread.

    `cheap`: taking a picture costs nothing (it is still coded bytes). `media_s`: place in a recording, None when live.
    `errors`: broken parts of the stream so far. `first_s`: how long an open stream may take to its first picture,
    because it may begin between two key pictures.
    """

    cheap = False
    first_s = 0.0
    media_s: float | None = None
    errors = 0

    @abstractmethod
    def open(self) -> None:
        """Connect; raises as `FrameSource.open`."""

    @abstractmethod
    def grab(self) -> bool:
        """Wait, not for ever, for the next picture: True when it is there. Raises as `FrameSource.read`."""

    @abstractmethod
    def take(self) -> U8 | bytes | None:
        """The picture that `grab` got: BGR, or as coded; None when it is broken."""

    def abort(self) -> None:  # noqa: B027 - a choice: not every library can be interrupted
        """Make a pending `grab` end soon (from any thread)."""

    @abstractmethod
    def close(self) -> None:
        """Release the device. Idempotent."""


class LiveSource(FrameSource):
    """A grabber in a thread of its own; the newest picture wins."""

    def __init__(self, grabber: Grabber, shown: str, options: CameraOptions, clock: Clock) -> None:
        super().__init__(shown, options)
        self._grabber = grabber
        self._clock = clock
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._opened = self._closed = self._wanted = False
        self._error: VigiaError | None = None
        self._slot: tuple[U8 | bytes | None, Stamp, int] | None = None
        self._grabbed = 0
        self._undecodable = 0
        self._handed = -1  # number of the picture handed out last
        self._emptied = 0  # how often the slot was taken or given up
        self._last_new = 0.0  # monotonic time of the last grab
        self._pace = Pace(options.fps)
        self._broken_since: float | None = None

    def open(self) -> None:
        """Start the thread and wait until it is connected."""
        with self._changed:
            if self._thread is not None or self._closed:
                raise SensorUnavailable(f"{self.shown}: a camera is opened once; make a new source to reopen it.")
            limit_s = OPEN_TIMEOUT_S + self._grabber.first_s
            self._thread = threading.Thread(target=self._work, name=f"camera {self.shown}", daemon=True)
            self._thread.start()
            self._changed.wait_for(lambda: self._opened or self._error or self._closed, limit_s)
            opened, error = self._opened, self._error
        if opened:
            return
        self.close()
        raise error or SensorUnavailable(f"{self.shown}: no answer within {limit_s:g} s; is the camera on?")

    def _read(self, timeout_s: float) -> Frame | None:
        now = time.monotonic()
        end = now + timeout_s
        self.counters["broken"] = self._undecodable + self._grabber.errors
        with self._changed:
            self._pace.fps = self.fps
            self._pace.asked(now)
            due = self._pace.due_s
            if due > now and not self._grabber.cheap:
                self._slot = None  # converted for a reader that lagged, and would be old by then
                self._emptied += 1
            if due > end:
                self._changed.wait_for(self._over, max(0.0, end - time.monotonic()))
                self._raise_if_over()
                return None
            self._changed.wait_for(self._over, max(0.0, due - now))
        while True:
            with self._changed:
                self._wanted = True
                self._changed.wait_for(lambda: self._slot or self._over(), max(0.0, end - time.monotonic()))
                got, self._slot = self._slot, None
                if got is None:
                    self._raise_if_over()
                    self._raise_if_stalled()
                    return None
                self._wanted = False
                self._emptied += 1
                self.counters["dropped"] += got[2] - self._handed - 1
                self._handed = got[2]
            image = decoded(got[0])
            if image is not None:
                self._pace.handed(time.monotonic())
                self._broken_since = None
                return Frame(image=image, at=got[1], number=got[2])
            self._undecodable += 1
            self._raise_if_all_broken()

    def _over(self) -> bool:
        return self._closed or self._error is not None

    def _raise_if_over(self) -> None:
        if self._closed:
            raise SensorUnavailable(f"{self.shown}: the camera was closed.")
        if self._error is not None:
            raise self._error

    def _raise_if_stalled(self) -> None:
        age = time.monotonic() - self._last_new
        if not self._opened or age <= self.options.stall_s:
            return
        if self._grabbed:
            raise SensorUnavailable(
                f"{self.shown}: no new picture for {age:.0f} s though the stream is open; reopening."
            )
        if age > self._grabber.first_s:
            raise SensorUnavailable(
                f"{self.shown}: the stream is open, but no picture came in {age:.0f} s; if the camera is well, set its "
                "interval of key pictures (I frames, GOP) to 2 s."
            )

    def _raise_if_all_broken(self) -> None:
        now = time.monotonic()
        self._broken_since = now if self._broken_since is None else self._broken_since
        if now - self._broken_since > self.options.stall_s:
            raise SensorUnavailable(
                f"{self.shown}: not one picture of the last {now - self._broken_since:.0f} s can be decoded; reopening."
            )

    def close(self) -> None:
        """Release the camera; a thread that hangs in its library is left to end by itself."""
        with self._changed:
            self._closed = True
            self._slot = None
            self._changed.notify_all()
        self._grabber.abort()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(_JOIN_S)

    def _work(self) -> None:
        try:
            self._grabber.open()
            with self._changed:
                self._opened, self._last_new = True, time.monotonic()
                self._changed.notify_all()
            while not self._closed:
                if self._grabber.grab():
                    self._put(self._clock.now())
        except VigiaError as e:
            self._fail(e)
        except (cv2.error, OSError) as e:
            self._fail(SensorUnavailable(f"{self.shown}: the camera failed ({e})."))
        finally:
            self._grabber.close()

    def _fail(self, error: VigiaError) -> None:
        with self._changed:
            self._error = error
            self._changed.notify_all()

    def _put(self, at: Stamp) -> None:
        """Keep the picture just grabbed, if it is wanted, or will be, or costs nothing."""
        number = self._grabbed
        self._grabbed += 1
        self._last_new = now = time.monotonic()
        with self._changed:
            self._pace.came(now)
            wanted = self._wanted or self._grabber.cheap or self._pace.ahead(now)
            emptied = self._emptied
        if not wanted:
            return
        picture = self._grabber.take()
        with self._changed:
            if self._emptied == emptied or self._grabber.cheap:  # else the reader has been here since: this one is old
                self._slot = (picture, at, number)
                self._changed.notify_all()


class StepSource(FrameSource):
    """A recording at the speed of its reader: no thread, no clock but the recording's own."""

    def __init__(self, grabber: Grabber, shown: str, options: CameraOptions, clock: Clock) -> None:
        super().__init__(shown, options)
        self._grabber = grabber
        self._clock = clock
        self._start = Stamp(t_s=0.0, wall_s=0.0)
        self._number = -1
        self._due_s = 0.0
        self._closed = False

    def open(self) -> None:
        """Open the recording."""
        self._start = self._clock.now()
        self._grabber.open()

    def _read(self, timeout_s: float) -> Frame | None:  # noqa: ARG002 - nothing is waited for
        while not self._closed:
            if not self._grabber.grab():
                continue
            self._number += 1
            media_s = self._grabber.media_s or 0.0
            if media_s < self._due_s:
                self.counters["dropped"] += 1
                continue
            image = decoded(self._grabber.take())
            if image is None:
                self.counters["broken"] += 1
                continue
            self._due_s = media_s + (1.0 - EARLY) / self.fps
            at = Stamp(
                t_s=self._start.t_s + media_s, wall_s=self._start.wall_s + media_s, error_ms=self._start.error_ms
            )
            return Frame(image=image, at=at, number=self._number)
        raise EndOfData(f"{self.shown}: closed.")

    def close(self) -> None:
        """Close the recording."""
        self._closed = True
        self._grabber.close()


def decoded(picture: U8 | bytes | None) -> U8 | None:
    """A BGR picture [H, W, 3] from coded bytes; None when they are broken or would be unreasonably large."""
    if not isinstance(picture, bytes):
        return picture
    size = jpeg_size(picture)
    if size is not None and size[0] * size[1] > MAX_PIXELS:
        return None
    image = cv2.imdecode(np.frombuffer(picture, dtype=np.uint8), cv2.IMREAD_COLOR)
    return None if image is None else np.asarray(image, dtype=np.uint8)
