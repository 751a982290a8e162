"""H.264 by PyAV and libx264: what the RTSP server sends and video files hold.

Promises:
- a live encoder gives one access unit for every picture at once: no B-frames, no look-ahead, one slice, one thread;
- the same pictures at the same times give the same bytes;
- colours are BT.601 in limited range, as OpenCV converts them, and the stream says so;
- PyAV is loaded when the first encoder is made: who asks for no H.264 pays nothing for it.
"""

from __future__ import annotations

import importlib.util
import re
import threading
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from hardware_sim.errors import DeviceError

if TYPE_CHECKING:
    from numpy.typing import NDArray

CLOCK_HZ = 90_000
KEY_EVERY_S = 1.0
"""By the pictures' times, however many there are."""
KEYS_AT_START = 2
"""For a client that begins: FFmpeg without a buffer throws the first one away, having looked at it."""
COLOURS = "colorprim=smpte170m:transfer=smpte170m:colormatrix=smpte170m:range=tv"
NAL_IDR, NAL_SPS, NAL_PPS = 5, 7, 8
_START_CODE = re.compile(rb"\x00*\x00\x00\x01")


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """The NAL units of one picture, without start codes. `key`: decoding can begin here. `ticks` of 1/90,000 s."""

    nals: tuple[bytes, ...]
    key: bool
    ticks: int


def why_not(width_px: int, height_px: int) -> str | None:
    """Why there is no H.264 of that size here, or None."""
    if importlib.util.find_spec("av") is None:
        return "PyAV is not installed: pip install 'vigia[sim]'"
    if width_px % 2 or height_px % 2:
        return f"{width_px} x {height_px} is not even, as H.264 with 4:2:0 wants it"
    return None


def split_nals(stream: bytes) -> tuple[bytes, ...]:
    """The NAL units of an Annex B byte stream."""
    return tuple(nal for nal in _START_CODE.split(stream) if nal)


def yuv(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W, 3) BGR as (H * 3 / 2, W) planar 4:2:0, BT.601, limited range."""
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2YUV_I420), dtype=np.uint8)


class Encoder:
    """A live encoder for pictures of one size; made at its first use, from any thread."""

    def __init__(self, width_px: int, height_px: int, fps: float) -> None:
        self._size, self._fps = (width_px, height_px), fps
        self._context: Any = None
        self._making = threading.Lock()
        self._origin: int | None = None
        self._last = self._last_key = -1
        self.keys_wanted = 1

    def parameter_sets(self) -> tuple[bytes, ...]:
        """SPS and PPS.

        Raises:
            DeviceError: libx264 refuses.

        """
        extradata = self._open().extradata
        return tuple(n for n in split_nals(bytes(extradata or b"")) if n[0] & 31 in (NAL_SPS, NAL_PPS))

    def encode(self, image: NDArray[np.uint8], ticks: int) -> Unit:
        """One picture, taken at `ticks`; times that do not rise are moved behind the last one."""
        import av  # noqa: PLC0415 - see the module's last promise

        context = self._open()
        if self._origin is None:
            self._origin = ticks
        frame = av.VideoFrame.from_ndarray(yuv(image), format="yuv420p")
        frame.pts = self._last = max(self._last + 1, ticks - self._origin)
        frame.time_base = Fraction(1, CLOCK_HZ)
        if self.keys_wanted or self._last - self._last_key >= KEY_EVERY_S * CLOCK_HZ:
            self.keys_wanted, self._last_key = max(0, self.keys_wanted - 1), self._last
            frame.pict_type = av.video.frame.PictureType.I
        nals = tuple(n for packet in context.encode(frame) for n in split_nals(bytes(packet)))
        key = any(n[0] & 31 == NAL_IDR for n in nals)
        return Unit(nals=(*self.parameter_sets(), *nals) if key else nals, key=key, ticks=self._origin + self._last)

    def _open(self) -> Any:
        with self._making:
            if self._context is None:
                self._context = self._made()
            return self._context

    def _made(self) -> Any:
        import av  # noqa: PLC0415 - see the module's last promise

        context = av.CodecContext.create("libx264", "w")
        context.width, context.height = self._size
        context.pix_fmt = "yuv420p"
        context.time_base = Fraction(1, CLOCK_HZ)
        context.framerate = Fraction(self._fps).limit_denominator(1000)
        context.thread_count = 1
        context.flags |= av.codec.context.Flags.global_header
        context.options = {
            "preset": "superfast",
            "tune": "zerolatency",
            "crf": "24",
            "forced-idr": "1",
            "x264-params": f"keyint=infinite:scenecut=0:sliced-threads=0:{COLOURS}",
        }
        try:
            context.open()
        except av.error.FFmpegError as error:
            raise DeviceError(f"libx264 does not encode {self._size[0]} x {self._size[1]}: {error}") from error
        return context
