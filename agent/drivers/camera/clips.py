"""The last seconds of an RTSP camera as it coded them, and clips from before to after an event, not coded anew.

Promises:
- what is kept is bounded: `clip_before_s` back from now, from a key picture on, and never more than `clip_max_mb`; a
  clip under way shares it, ends at the same bound, and there are at most `MOST_CLIPS`;
- a clip is an MP4 of the very packets that the camera sent (H.264 or H.265), from the last key picture before its
  beginning on; it is there whole or not at all, and how it ended is told in one sentence;
- a stream that breaks ends the clips that were under way with what they have, and is opened anew with growing delays;
  nothing here touches the pictures that are looked at: the stream is a second one of the same camera.

OpenCV's FFmpeg hands out packets as they came (CAP_PROP_FORMAT -1) and writes them (VIDEOWRITER_PROP_RAW_VIDEO).
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import cv2
import numpy as np

from agent.drivers.camera.capture import open_rtsp
from agent.drivers.camera.url import parse
from agent.errors import ConfigError, SensorUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agent.clock import Clock
    from agent.drivers.camera.options import CameraOptions
    from agent.drivers.camera.url import CameraUrl

MOST_CLIPS = 4
TROUBLE_S = 60.0  # without a stream for this long is worth telling
_LATE_S = 5.0  # how long after the event a clip of it may be asked for
_RETRY_S, _RETRY_MAX_S = 0.5, 30.0
_TICKS_HZ = 90_000.0  # of the clip's time stamps, as RTP's
_CONTAINER = {"h264": "avc1", "hevc": "hvc1", "h265": "hvc1"}  # codec of the stream -> its name in an MP4
_JOIN_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet:
    """One coded picture: when it came, its place in the stream, whether decoding can begin with it."""

    at_s: float
    media_s: float
    key: bool
    data: bytes


@dataclass(slots=True)
class Ring:
    """The newest packets: `before_s` of them, from a key picture on, in at most `max_bytes`."""

    before_s: float
    max_bytes: int
    packets: deque[Packet] = field(default_factory=deque)
    size: int = 0

    def add(self, packet: Packet) -> None:
        """Take a packet; let go of whole groups of pictures that are not wanted any more."""
        if not self.packets and not packet.key:
            return
        self.packets.append(packet)
        self.size += len(packet.data)
        while (second := self._second_key()) and (
            self.packets[second].at_s <= packet.at_s - self.before_s or self.size > self.max_bytes
        ):
            self._drop(second)
        if self.size > self.max_bytes:  # one group of pictures alone is too much
            self.clear()

    def since(self, at_s: float) -> list[Packet]:
        """From the last key picture at or before `at_s` on; all there is, if there is none so old."""
        first = 0
        for n, packet in enumerate(self.packets):
            if packet.at_s > at_s:
                break
            if packet.key:
                first = n
        return list(self.packets)[first:]

    def clear(self) -> None:
        """Forget everything."""
        self.packets.clear()
        self.size = 0

    def _second_key(self) -> int:
        return next((n for n, p in enumerate(self.packets) if n and p.key), 0)

    def _drop(self, count: int) -> None:
        for _ in range(count):
            self.size -= len(self.packets.popleft().data)


@dataclass(slots=True)
class _Clip:
    path: Path
    until_s: float
    done: Callable[[int, str], None]
    packets: list[Packet]
    size: int


class ClipKeeper:
    """One camera's ring, in a thread with a stream of its own.

    Raises:
        ConfigError: clips of this camera cannot be made.

    """

    def __init__(self, url: str, options: CameraOptions, clock: Clock) -> None:
        self._url: CameraUrl = parse(url)
        if why := why_no_clips(url, options):
            raise ConfigError(f"{self._url.shown}: {why}")
        self._clock = clock
        self._after_s = options.clip_after_s
        self._max_bytes = int(options.clip_max_mb * 1e6)
        self._ring = Ring(options.clip_before_s + _LATE_S, self._max_bytes)
        self._before_s = options.clip_before_s
        self._lock = threading.Lock()
        self._wanted: deque[tuple[Path, float, Callable[[int, str], None]]] = deque()
        self._clips: list[_Clip] = []
        self._stop = threading.Event()
        self._error = "the stream for clips has not been opened yet"
        self._well_s = clock.now().t_s  # when there was last something to make a clip of
        self._codec, self._size, self._head = "", (0, 0), b""
        self._thread = threading.Thread(target=self._run, name="clips", daemon=True)

    def start(self) -> None:
        """Begin to keep packets."""
        self._thread.start()

    def stop(self) -> None:
        """End; clips under way are written with what they have, if the stream does not hang."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(_JOIN_S)

    def trouble(self, now_s: float) -> str:
        """Why there have been no clips for a while; empty while there could be."""
        with self._lock:
            return self._error if now_s - self._well_s > TROUBLE_S else ""

    def ask(self, path: Path, at_s: float, done: Callable[[int, str], None]) -> None:
        """A clip around `at_s` into `path` (.mp4); `done(bytes, sentence)` says how it ended, from another thread."""
        with self._lock:
            if len(self._wanted) + len(self._clips) < MOST_CLIPS and not self._error:
                self._wanted.append((path, at_s, done))
                return
            why = self._error or f"{MOST_CLIPS} clips of this camera are being made already"
        done(0, why)

    def _run(self) -> None:
        delay_s = _RETRY_S
        while not self._stop.is_set():
            try:
                self._follow()
            except (SensorUnavailable, cv2.error) as e:
                delay_s = _RETRY_S if self._ring.packets else delay_s  # one that has worked is not waited for longer
                self._broken(str(e))
            self._stop.wait(delay_s)
            delay_s = min(_RETRY_MAX_S, 2.0 * delay_s)

    def _follow(self) -> None:
        """Keep packets until told to stop.

        Raises:
            SensorUnavailable: the stream cannot be opened, or has ended.

        """
        capture = open_rtsp(self._url, [cv2.CAP_PROP_FORMAT, -1])
        try:
            self._codec = int(capture.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little").decode("ascii", "replace").lower()
            if self._codec not in _CONTAINER:
                raise SensorUnavailable(f"{self._url.shown}: its coding {self._codec!r} is none that a clip can hold")
            self._size = (int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)))
            extra = int(capture.get(cv2.CAP_PROP_CODEC_EXTRADATA_INDEX))
            while not self._stop.is_set():
                if not capture.grab():
                    raise SensorUnavailable(f"{self._url.shown}: the stream for clips ended")
                good, coded = capture.retrieve()
                if not good:
                    continue
                if not self._head and extra >= 0:
                    self._head = _bytes(capture.retrieve(None, extra))
                self._take(Packet(
                    at_s=self._clock.now().t_s, media_s=capture.get(cv2.CAP_PROP_POS_MSEC) / 1000.0,
                    key=capture.get(cv2.CAP_PROP_LRF_HAS_KEY_FRAME) > 0.0, data=_bytes((good, coded)),
                ))  # fmt: skip
            self._broken("the camera is closed")
        finally:
            capture.release()

    def _take(self, packet: Packet) -> None:
        self._ring.add(packet)
        with self._lock:
            self._error = "" if self._ring.packets else "no key picture has come yet"
            self._well_s = self._well_s if self._error else packet.at_s
            wanted, self._wanted = self._wanted, deque()
            for clip in self._clips:
                clip.packets.append(packet)
                clip.size += len(packet.data)
            for path, at_s, done in wanted:
                packets = self._ring.since(at_s - self._before_s)
                size = sum(len(p.data) for p in packets)
                self._clips.append(_Clip(path, at_s + self._after_s, done, packets, size))
            over = [c for c in self._clips if packet.at_s >= c.until_s or c.size > self._max_bytes]
            self._clips = [c for c in self._clips if c not in over]
        for clip in over:
            self._write(clip, "")

    def _broken(self, why: str) -> None:
        """The stream has gone: what was to come does not."""
        with self._lock:
            clips, self._clips = self._clips, []
            wanted, self._wanted = list(self._wanted), deque()
            self._error = why
        for clip in clips:
            self._write(clip, f", cut short: {why}")
        for _, _, done in wanted:
            done(0, why)
        self._ring.clear()
        self._head = b""

    def _write(self, clip: _Clip, note: str) -> None:
        try:
            if not clip.packets:
                raise SensorUnavailable("no key picture has come since the stream was opened")
            write_clip(clip.path, clip.packets, codec=self._codec, size=self._size, head=self._head)
            length_s = clip.packets[-1].at_s - clip.packets[0].at_s
            clip.done(clip.path.stat().st_size, f"a clip of {length_s:.1f} s{note}")
        except (SensorUnavailable, OSError, cv2.error) as e:
            clip.done(0, str(e))


def why_no_clips(url: str, options: CameraOptions) -> str:
    """Why clips of a camera cannot be made; empty if they can."""
    if options.clip_before_s <= 0.0:
        return "this camera keeps no clips: set its clip_before_s"
    if options.masks:
        return "a clip is the camera's own coding and cannot be masked: leave out masks or clip_before_s"
    if not url.startswith(("rtsp://", "rtsps://")):
        return "only RTSP cameras send what a clip can be made of without coding it anew: leave out clip_before_s"
    return ""


def write_clip(path: Path, packets: list[Packet], *, codec: str, size: tuple[int, int], head: bytes) -> None:
    """Packets into an MP4 file, as they are; `head` are the stream's parameters, for streams that send them apart.

    Raises:
        SensorUnavailable: OpenCV does not write it.
        OSError: the disk does not take it.

    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}")  # its ending says what it is to become
    settings = [cv2.VIDEOWRITER_PROP_RAW_VIDEO, 1, cv2.VIDEOWRITER_PROP_KEY_INTERVAL, 1 << 30]
    writer = cv2.VideoWriter()
    try:
        fourcc = cv2.VideoWriter.fourcc(*_CONTAINER[codec])
        if not writer.open(str(aside), cv2.CAP_FFMPEG, fourcc, _TICKS_HZ, size, settings):
            raise SensorUnavailable(f"{path.name}: OpenCV cannot write a clip of {codec}; is the disk full?")
        pts = -1
        for n, packet in enumerate(packets):
            pts = max(pts + 1, round((packet.media_s - packets[0].media_s) * _TICKS_HZ))
            writer.set(cv2.VIDEOWRITER_PROP_PTS, pts)
            writer.set(cv2.VIDEOWRITER_PROP_DTS_DELAY, n - pts)  # packets are counted for it: this makes it the PTS
            writer.set(cv2.VIDEOWRITER_PROP_KEY_FLAG, int(packet.key))
            data = head + packet.data if n == 0 and head and head not in packet.data else packet.data
            writer.write(np.frombuffer(data, dtype=np.uint8).reshape(1, -1))
        writer.release()
        if aside.stat().st_size < sum(len(p.data) for p in packets):
            raise SensorUnavailable(f"{path.name}: the disk did not take all of the clip; free space")
        aside.replace(path)
    finally:
        writer.release()
        aside.unlink(missing_ok=True)


def _bytes(retrieved: tuple[bool, object]) -> bytes:
    good, data = retrieved
    return np.asarray(data, dtype=np.uint8).tobytes() if good and data is not None else b""
