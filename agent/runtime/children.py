"""Cameras and radar video: a child process each, seen from the parent.

Promises:
- a child is a fresh interpreter on a socket pair; frames and spokes never cross it, measurements and health do;
- a child that ends, or says nothing for `HANG_S` (`START_S` at first), is killed and started anew with growing delays;
  that is reported;
- a child whose own memory grows over its budget is ended and started anew before the system has to choose a victim;
- a child ends when its parent does (end of the socket, PR_SET_PDEATHSIG).
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

from agent.errors import ProtocolError
from agent.messages import SensorHealth, SensorState
from agent.packing import unpack
from agent.runtime.backoff import Backoff
from agent.runtime.channel import Channel, ChannelClosed
from agent.runtime.power import own_memory_mb
from agent.runtime.settings import for_child

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agent.clock import SystemClock
    from agent.config.schema import Sensor
    from agent.messages import Measurement
    from agent.runtime.desk import CameraDesk
    from agent.runtime.power import Governor

log = logging.getLogger("vigia.sensor")
ORDERS_S = 1.0  # how often a camera is told where to look
CLIPS_KNOWN = 100
HANG_S = 20.0  # a healthy child sends at least a heartbeat every second
START_S = 120.0  # before its first word it loads libraries and a model: long on a slow processor with a cold disk
# A camera's frames are megabytes that come and go: given back to the system at once they cost 10-20 MB less a child;
# with a model's weights out of the heap as well, it keeps fewer holes: 6 MB less.
MALLOC = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "262144", "MALLOC_TRIM_THRESHOLD_": "1048576"}
# Nothing here multiplies matrices, yet each of two libraries starts a thread with its memory for every further core.
ALONE = {"OPENBLAS_NUM_THREADS": "1"}


class ChildSensor:
    """One camera or radar-video source. `kind` is "camera" or "radar"."""

    def __init__(
        self,
        sensor: Sensor,
        kind: str,
        site_height_m: float,
        directory: Path,
        clock: SystemClock,
        emit: Callable[[str, Measurement], None],
        desk: CameraDesk | None = None,
        power: Callable[[], Governor] | None = None,
    ) -> None:
        self.sensor = sensor
        self._kind, self._site_height_m = kind, site_height_m
        self._desk = desk if kind == "camera" else None
        self._power = power
        self._ordered_s = -1e18
        self.name = sensor.name
        self.finished = False
        self.pid: int | None = None
        self._start_message: list[Any] = [
            "start",
            {
                "kind": kind,
                "sensor": for_child(sensor, kind, site_height_m),
                "anchor_s": clock.anchor_s,
                "directory": str(directory),
            },
        ]
        self._clock = clock
        self._emit = emit
        self._stop = threading.Event()
        self._channel: Channel | None = None
        self._picture: tuple[float, bytes] | None = None
        self.clips: dict[str, tuple[int, str]] = {}  # the last ones by name: bytes (0: none), how they ended
        self._thread = threading.Thread(target=self._run, name=f"child-{sensor.name}", daemon=True)

    def start(self) -> None:
        """Start the child, in the background."""
        self._thread.start()

    def stop(self) -> None:
        """End the child: asked first, killed after 2 s. Idempotent."""
        self._stop.set()
        if (channel := self._channel) is not None:
            with contextlib.suppress(ChannelClosed):
                channel.send(["stop"])
        if self._thread.is_alive():
            self._thread.join(6.0)

    def picture(self) -> tuple[float, bytes] | None:
        """(at_s, JPEG with boxes) of the newest frame that the child has offered."""
        return self._picture

    def ask_picture(self) -> None:
        """Ask the child for a picture; it comes when there is a new frame."""
        if (channel := self._channel) is not None:
            with contextlib.suppress(ChannelClosed):
                channel.send(["picture"])

    def ask_clip(self, name: str) -> None:
        """Ask the child for a clip around now, as evidence/NAME; `clips` tells how it ends."""
        if (channel := self._channel) is not None:
            with contextlib.suppress(ChannelClosed):
                channel.send(["clip", name, self._clock.now().t_s])

    def swap(self, sensor: Sensor) -> None:
        """Go on with another model (or the same file anew) without losing the camera."""
        self.sensor = sensor
        values = self._start_message[1]["sensor"] = for_child(sensor, self._kind, self._site_height_m)
        if (channel := self._channel) is not None:
            with contextlib.suppress(ChannelClosed):
                channel.send(["swap", values["options"]])

    def _run(self) -> None:
        backoff = Backoff()
        while not self._stop.is_set():
            try:
                ours, process = self._spawn()
            except OSError as e:  # no memory, process or file handle is free just now
                self._report(
                    SensorState.UNAVAILABLE, f"the sensor's process cannot be started: {e.strerror}; trying again"
                )
                self._stop.wait(backoff.failure(self._clock.now().t_s))
                continue
            self.pid = process.pid
            channel = self._channel = Channel(ours)
            try:
                channel.send(self._start_message)
                why = self._listen(channel, backoff)
            except ChannelClosed as e:
                why = str(e)
            finally:
                self._channel = None
                self._end(process, channel)
                self.pid = None
            if self._stop.is_set() or self.finished:
                return
            log.warning(
                "sensor %s: its process ended (%s, exit %s); starting it again", self.name, why, process.returncode
            )
            because = f"exit {process.returncode}" if process.returncode else why
            self._report(SensorState.UNAVAILABLE, f"the sensor's process ended ({because}); restarting it")
            self._stop.wait(backoff.failure(self._clock.now().t_s))

    @staticmethod
    def _spawn() -> tuple[socket.socket, subprocess.Popen[bytes]]:
        ours, theirs = socket.socketpair()
        try:
            process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [sys.executable, "-m", "agent.runtime.child", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env={**os.environ, **MALLOC, **ALONE},
            )
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        return ours, process

    def _listen(self, channel: Channel, backoff: Backoff) -> str:
        heard_s, patience_s = self._clock.now().t_s, START_S
        while not self._stop.is_set():
            message = channel.recv(0.5)
            now_s = self._clock.now().t_s
            if why := self._order(channel, now_s):
                return why
            if message is None:
                if now_s - heard_s > patience_s:
                    return f"it said nothing for {patience_s:g} s"
                continue
            heard_s, patience_s = now_s, HANG_S
            backoff.success(now_s)
            if self._handle(message) == "end":
                self.finished = True
                return "it has nothing more to do"
        return "it was stopped"

    def _order(self, channel: Channel, now_s: float) -> str:
        """Tell a camera where to look, and every child how much to work; why it has to be ended, if it has to."""
        if now_s - self._ordered_s < ORDERS_S:
            return ""
        self._ordered_s = now_s
        if self._desk is not None:
            for order in (*self._desk.orders(self.name, now_s), *self._desk.clip_orders(self.sensor, now_s)):
                channel.send(order)
        if self._power is None or self.pid is None:
            return ""
        governor = self._power()
        channel.send(governor.pace())
        used_mb, limit_mb = own_memory_mb(self.pid), governor.power.child_memory_mb
        if used_mb <= limit_mb:
            return ""
        return f"it uses {used_mb:.0f} MB of memory, [power] child_memory_mb allows {limit_mb:.0f}"

    def _handle(self, message: list[Any]) -> str:
        kind = message[0]
        if kind == "m" and len(message) == 2:
            try:
                self._emit(self.name, unpack(message[1]))
            except ProtocolError as e:
                raise ChannelClosed(f"its message does not fit: {e}") from e
        elif kind == "log" and len(message) == 2:
            log.info("%s", f"sensor {self.name}: {message[1]}", extra={"sensor": self.name})
        elif kind == "picture" and len(message) == 3:
            self._picture = (float(message[1]), bytes(message[2]))
        elif kind == "crop" and len(message) == 3 and self._desk is not None:
            self._desk.crop(self.name, int(message[1]), bytes(message[2]))
        elif kind == "clip" and len(message) == 4:
            self._note_clip(str(message[1]), int(message[2]), str(message[3]))
        return str(kind)

    def _note_clip(self, name: str, size: int, sentence: str) -> None:
        log.log(logging.INFO if size else logging.WARNING, "clip %s: %s", name, sentence, extra={"sensor": self.name})
        self.clips[name] = (size, sentence)
        while len(self.clips) > CLIPS_KNOWN:
            del self.clips[next(iter(self.clips))]

    def _report(self, state: SensorState, sentence: str) -> None:
        self._emit(
            self.name, SensorHealth(at_s=self._clock.now().t_s, source=self.name, state=state, sentence=sentence)
        )

    def _end(self, process: subprocess.Popen[bytes], channel: Channel) -> None:
        channel.close()
        try:
            process.wait(2.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
