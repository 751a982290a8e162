"""A sensor's own process: `python -m agent.runtime.child FD`. Driver and perception together; measurements go up.

Promises:
- it ends when the parent does, whatever the driver is doing;
- its main loop sends a heartbeat at least once a second, so that a hang is seen from outside;
- everything that goes wrong is a health report in one sentence; only what cannot be mended by waiting ends the process.
"""

from __future__ import annotations

import ctypes
import os
import queue
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.clock import SystemClock
from agent.errors import SensorUnavailable, VigiaError
from agent.packing import pack
from agent.runtime.backoff import Backoff
from agent.runtime.channel import Channel, ChannelClosed
from agent.runtime.health import HealthTracker
from agent.runtime.leavings import Leavings
from agent.runtime.settings import plain
from agent.transport.base import EndOfData

if TYPE_CHECKING:
    from agent.config.schema import Sensor
    from agent.messages import Measurement

PR_SET_PDEATHSIG = 1


class Link:
    """The child's side of the channel, and what has been asked of it."""

    def __init__(self, channel: Channel, anchor_s: float, sensor: Sensor, directory: Path) -> None:
        self.sensor = sensor
        self.directory = directory
        self.clock = SystemClock(anchor_s)
        self.health = HealthTracker(sensor.name, sensor.stale_s, self.clock.now().t_s)
        self.stop = threading.Event()
        self.picture_wanted = threading.Event()
        self.orders: queue.SimpleQueue[list[Any]] = queue.SimpleQueue()  # for a camera's loop: cues, crops, clips
        self._channel = channel
        self._beat_s = 0.0
        self._leavings = Leavings(self.clock.now().t_s)
        threading.Thread(target=self._listen, name="channel", daemon=True).start()

    def emit(self, message: Measurement) -> None:
        """Send one measurement or health report up."""
        self._channel.send(["m", pack(message)])

    def picture(self, at_s: float, jpeg: bytes) -> None:
        """Send the picture that was asked for."""
        self._channel.send(["picture", at_s, jpeg])

    def crop(self, alert_id: int, jpeg: bytes) -> None:
        """Send the best view of an alert's vessel; empty where there is none."""
        self._channel.send(["crop", alert_id, jpeg])

    def log(self, sentence: str) -> None:
        """Have the daemon write a sentence into its log."""
        self._channel.send(["log", sentence])

    def clip(self, name: str, size: int, sentence: str) -> None:
        """Say how a clip ended; `size` 0 where there is none."""
        self._channel.send(["clip", name, size, sentence])

    def beat(self) -> None:
        """Say that the main loop lives, at most once a second; between two looks memory that lies idle is let go."""
        now_s = self.clock.now().t_s
        if now_s - self._beat_s >= 1.0:
            self._beat_s = now_s
            self._channel.send(["beat"])
            self._leavings.step(now_s)

    def end(self) -> None:
        """Say that there is nothing more to do: do not start this sensor again."""
        self._channel.send(["end"])

    def report_down(self, sentence: str, *, unsupported: bool = False) -> None:
        """The device is not there, or is not what it was configured as."""
        self.health.unavailable(sentence, unsupported=unsupported)
        if (report := self.health.judge(self.clock.now().t_s, {})) is not None:
            self.emit(report)

    def pause(self, seconds: float) -> None:
        """Wait before the next attempt, still giving signs of life."""
        end_s = self.clock.now().t_s + seconds
        while not self.stop.is_set() and (left := end_s - self.clock.now().t_s) > 0.0:
            self.beat()
            self.stop.wait(min(left, 0.5))

    def _listen(self) -> None:
        while True:
            try:
                message = self._channel.recv(3600.0)
            except ChannelClosed:
                os._exit(0)  # the parent is gone; the main thread may hang in a driver
            if message is not None and message[0] == "stop":
                self.stop.set()
                threading.Timer(1.5, os._exit, (0,)).start()  # a hung driver does not get to stay
            elif message is not None and message[0] == "picture":
                self.picture_wanted.set()
            elif message is not None:
                self.orders.put(message)


def main(argv: list[str]) -> int:
    """Entry of the process; `argv` is the socket's file descriptor."""
    parent = os.getppid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        return 0
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent ends us in order
    channel = Channel(socket.socket(fileno=int(argv[0])))
    try:
        message = channel.recv(10.0)
        if message is None or message[0] != "start":
            return 1
        setup: dict[str, Any] = message[1]
        link = Link(channel, float(setup["anchor_s"]), plain(setup["sensor"]), Path(setup["directory"]))
        _live(link, setup)
    except ChannelClosed:
        return 0
    return 0


def _live(link: Link, setup: dict[str, Any]) -> None:
    if setup["kind"] == "camera":
        from agent.runtime.camera_loop import CameraLoop as Loop  # noqa: PLC0415 - a radar child does without cv2's half
    else:
        from agent.runtime.radar_loop import RadarLoop as Loop  # type: ignore[assignment]  # noqa: PLC0415 - same shape
    backoff = Backoff()
    while not link.stop.is_set():
        try:
            Loop(link).run(backoff)
        except EndOfData:
            link.report_down("the recording is over")
            link.end()
            return
        except ChannelClosed:
            raise
        except SensorUnavailable as e:
            link.report_down(str(e))
        except VigiaError as e:
            link.report_down(str(e), unsupported=True)
            while not link.stop.is_set():  # a person mends a model or an option, and then reloads: not retried
                link.pause(60.0)
        link.pause(backoff.failure(link.clock.now().t_s))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
