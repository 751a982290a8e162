"""Cameras and clips through OpenCV: RTSP, V4L2 devices, video files.

Promises:
- time-outs are set when opening: a dead server costs seconds, not half a minute;
- a stream that was joined between two key pictures is waited for: it is no stall;
- a grab that took as long as the time-out is a stall, whatever it returned: OpenCV then hands out old pictures;
- one decoder thread: more would hold pictures back, and memory with them.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from agent.drivers.camera.memory import PictureMemory
from agent.drivers.camera.source import Grabber
from agent.errors import InputError, SensorUnavailable
from agent.transport.base import EndOfData

if TYPE_CHECKING:
    from agent.drivers.camera.base import U8
    from agent.drivers.camera.url import CameraUrl

CONNECT_S = 6.0
# Nothing can be decoded before a key picture; cameras send one every 1 to 10 s, and some say nothing before it. FFmpeg
# opens a stream by looking at its beginning, and one that was opened without gives no picture ever. OpenCV takes these
# when opening and never again, so a stall later on is told by `stall_s`, not by them.
OPEN_TIMEOUT_MS = READ_TIMEOUT_MS = 20_000
_STALL_S = 0.9 * READ_TIMEOUT_MS / 1000.0
_PORTS = {"rtsp": 554, "rtsps": 322}
# TCP: no torn pictures. No analysis: opens at once and starts with the newest picture, not a second of old. Not
# `nobuffer`: FFmpeg then throws away what it looked at while opening, the key picture that a camera begins with.
RTSP_FLAGS = "rtsp_transport;tcp|flags;low_delay|analyzeduration;0|probesize;32"
_ENV = "OPENCV_FFMPEG_CAPTURE_OPTIONS"
_env_lock = threading.Lock()


class Rtsp(Grabber):
    """An RTSP stream over TCP."""

    first_s = READ_TIMEOUT_MS / 1000.0

    def __init__(self, url: CameraUrl) -> None:
        self._url = url
        self._capture: cv2.VideoCapture | None = None
        self._memory = PictureMemory()

    def open(self) -> None:
        """Connect, read the stream's description and its first packet."""
        self._capture = open_rtsp(self._url, [cv2.CAP_PROP_N_THREADS, 1])

    def grab(self) -> bool:
        """The next picture of the stream."""
        if self._capture is None:
            raise SensorUnavailable(f"{self._url.shown}: the stream is closed.")
        start = time.monotonic()
        good = self._capture.grab()
        took_s = time.monotonic() - start
        if took_s > _STALL_S:
            raise SensorUnavailable(f"{self._url.shown}: no picture for {took_s:.0f} s; the stream stalls.")
        if not good:
            raise SensorUnavailable(f"{self._url.shown}: the stream ended.")
        return True

    def take(self) -> U8 | None:
        """Decode it."""
        return _retrieved(self._capture, self._memory)

    def close(self) -> None:
        """Release the stream."""
        if self._capture is not None:
            self._capture.release()
            self._capture = None


def open_rtsp(url: CameraUrl, settings: list[int]) -> cv2.VideoCapture:
    """An open stream, over TCP and with time-outs; `settings` as OpenCV takes them.

    Raises:
        SensorUnavailable: nobody is there, or it cannot be opened.

    """
    quiet()
    try:  # a machine that is off need not take the time of one that waits for its key picture
        port = url.port or _PORTS[url.scheme]
        socket.create_connection((url.host, port), CONNECT_S).close()
    except OSError as e:
        raise SensorUnavailable(f"{url.shown}: no connection ({e}); check that the camera is on.") from e
    timeouts = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, OPEN_TIMEOUT_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, READ_TIMEOUT_MS]
    with _env_lock:  # the only way to hand options to OpenCV's FFmpeg
        before = os.environ.get(_ENV)
        os.environ[_ENV] = before or RTSP_FLAGS
        try:
            capture = cv2.VideoCapture(url.full, cv2.CAP_FFMPEG, [*timeouts, *settings])
        finally:
            if before is None:
                del os.environ[_ENV]
    if not capture.isOpened():
        capture.release()
        raise SensorUnavailable(
            f"{url.shown}: cannot be opened; check that the camera is on, its path, and user and password."
        )
    return capture


class V4l2(Grabber):
    """A camera at a device file, preferably named by /dev/v4l/by-path. Size and rate may stand in the URL's query."""

    def __init__(self, url: CameraUrl, *, width: int, height: int, fps: float) -> None:
        self._url = url
        self._size = (width, height)
        self._fps = fps
        self._capture: cv2.VideoCapture | None = None
        self._memory = PictureMemory()

    def open(self) -> None:
        """Open the device, asking for MJPG: raw formats do not fit through USB at useful sizes."""
        quiet()
        path = self._url.path
        if not Path(path).exists():
            raise SensorUnavailable(f"{self._url.shown}: no such device; plug the camera in or correct its path.")
        if not os.access(path, os.R_OK | os.W_OK):
            raise SensorUnavailable(f"{self._url.shown}: no permission; add the service's user to the group video.")
        settings = [
            cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"),
            cv2.CAP_PROP_FRAME_WIDTH, self._size[0],
            cv2.CAP_PROP_FRAME_HEIGHT, self._size[1],
            cv2.CAP_PROP_FPS, round(self._fps),
        ]  # fmt: skip
        self._capture = cv2.VideoCapture(path, cv2.CAP_V4L2, settings)
        if not self._capture.isOpened():
            self._capture = cv2.VideoCapture(path, cv2.CAP_V4L2)  # a camera without MJPG, or of fixed size
        if not self._capture.isOpened():
            self.close()
            raise SensorUnavailable(
                f"{self._url.shown}: cannot be opened; is it a camera, and is nobody else using it?"
            )

    def grab(self) -> bool:
        """The next picture."""
        if self._capture is None:
            raise SensorUnavailable(f"{self._url.shown}: the device is closed.")
        if not self._capture.grab():
            raise SensorUnavailable(f"{self._url.shown}: the camera stopped; it was unplugged, or its bus reset.")
        return True

    def take(self) -> U8 | None:
        """Decode it."""
        return _retrieved(self._capture, self._memory)

    def close(self) -> None:
        """Release the device: before it is opened again, else it comes back under another name."""
        if self._capture is not None:
            self._capture.release()
            self._capture = None


class Clip(Grabber):
    """A video file, at its own speed (`real`) or as fast as it is read."""

    def __init__(self, url: CameraUrl, *, loop: bool, real: bool) -> None:
        self._url = url
        self._loop = loop
        self._real = real
        self._capture: cv2.VideoCapture | None = None
        self._memory = PictureMemory()
        self._period_s = 0.04
        self._index = 0
        self._in_pass = 0  # pictures since the file was last opened: a file without any must not loop for ever
        self._start_s = 0.0
        self._ended = threading.Event()

    def open(self) -> None:
        """Open the file."""
        path = Path(self._url.path)
        if not path.is_file():
            raise SensorUnavailable(f"{self._url.shown}: no such file.")
        quiet()
        self._capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
        if not self._capture.isOpened():
            self.close()
            raise InputError(f"{self._url.shown}: not a video that can be read; give for example H.264 in MP4.")
        fps = self._capture.get(cv2.CAP_PROP_FPS)
        self._period_s = 1.0 / fps if 0.1 <= fps <= 1000.0 else 0.04
        self._in_pass = 0
        if not self._index:
            self._start_s = time.monotonic()

    def grab(self) -> bool:
        """The next picture, when it is due."""
        if self._capture is None:
            raise EndOfData(f"{self._url.shown}: closed.")
        if not self._capture.grab():
            if not (self._loop and self._in_pass):
                raise EndOfData(f"{self._url.shown}: the recording is over.")
            self._capture.release()
            self.open()
            return False
        self.media_s = self._index * self._period_s
        self._index += 1
        self._in_pass += 1
        if self._real:
            self._ended.wait(max(0.0, self._start_s + self.media_s - time.monotonic()))
        return True

    def take(self) -> U8 | None:
        """Decode it."""
        return _retrieved(self._capture, self._memory)

    def abort(self) -> None:
        """End a wait for the next picture."""
        self._ended.set()

    def close(self) -> None:
        """Close the file."""
        if self._capture is not None:
            self._capture.release()
            self._capture = None


def quiet() -> None:
    """Keep the libraries' own words off stderr: FFmpeg's show the URL with its password; ours come as exceptions."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def _retrieved(capture: cv2.VideoCapture | None, memory: PictureMemory) -> U8 | None:
    if capture is None:
        return None
    good, image = capture.retrieve(memory.free())  # OpenCV takes other memory where the picture's size has changed
    return memory.lend(np.asarray(image, dtype=np.uint8)) if good and image.ndim == 3 else None
