"""`open_camera`: the right source for a URL.

rtsp://user:password@host:554/path      also rtsps
http://user:password@host/path          MJPEG; also https
v4l2:///dev/v4l/by-path/...?width=1280&height=720&fps=25
file://clip.mp4?pace=real|fast&loop=0|1
file:///a/folder/?fps=2&pace=real|fast&loop=0|1
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from agent.drivers.camera.source import LiveSource, StepSource
from agent.drivers.camera.url import checked_query, choice_in, number_in, parse

if TYPE_CHECKING:
    from agent.clock import Clock
    from agent.drivers.camera.base import FrameSource
    from agent.drivers.camera.options import CameraOptions
    from agent.drivers.camera.source import Grabber
    from agent.drivers.camera.url import CameraUrl


def open_camera(url: str, options: CameraOptions, clock: Clock) -> FrameSource:
    """A connected source of frames.

    Raises:
        ConfigError: the URL makes no sense.
        SensorUnavailable: the camera is not there, refuses, or is silent.
        UnsupportedError, InputError: there, but not a source of pictures.

    """
    source = make_source(url, options, clock)
    source.open()
    return source


def make_source(url: str, options: CameraOptions, clock: Clock) -> FrameSource:
    """As `open_camera`, not connected yet.

    Raises:
        ConfigError: the URL makes no sense.

    """
    parsed = parse(url)
    kind = StepSource if parsed.query.get("pace") == "fast" else LiveSource
    return kind(_grabber(parsed, options), parsed.shown, options, clock)


def _grabber(url: CameraUrl, options: CameraOptions) -> Grabber:
    if url.scheme in {"http", "https"}:
        from agent.drivers.camera.mjpeg import HttpMjpeg  # noqa: PLC0415 - a camera process loads its own kind only

        return HttpMjpeg(url, verify_tls=options.verify_tls, stall_s=options.stall_s)
    if url.scheme in {"rtsp", "rtsps"}:
        from agent.drivers.camera.capture import Rtsp  # noqa: PLC0415 - as above

        return Rtsp(url)
    if url.scheme == "v4l2":
        from agent.drivers.camera.capture import V4l2  # noqa: PLC0415 - as above

        checked_query(url, frozenset({"width", "height", "fps"}))
        return V4l2(
            url,
            width=int(number_in(url, "width", 1280, 16, 16384)),
            height=int(number_in(url, "height", 720, 16, 16384)),
            fps=number_in(url, "fps", 25, 1, 240),
        )
    return _recording(url)


def _recording(url: CameraUrl) -> Grabber:
    real = choice_in(url, "pace", ("real", "fast")) == "real"
    loop = choice_in(url, "loop", ("0", "1")) == "1"
    if url.path.endswith("/") or Path(url.path).is_dir():
        from agent.drivers.camera.folder import Folder  # noqa: PLC0415 - as above

        checked_query(url, frozenset({"pace", "loop", "fps"}))
        return Folder(url, loop=loop, real=real, fps=number_in(url, "fps", 1, 0.01, 1000))
    from agent.drivers.camera.capture import Clip  # noqa: PLC0415 - as above

    checked_query(url, frozenset({"pace", "loop"}))
    return Clip(url, loop=loop, real=real)
