"""Video devices of this machine that take pictures, by the name that survives a reboot.

Promises:
- nothing is switched on or changed: the driver is asked what it is (VIDIOC_QUERYCAP), no more;
- a device that cannot be opened is named with the reason, not left out.

Source: Linux kernel, Documentation/userspace-api/media/v4l/vidioc-querycap.rst.
"""

from __future__ import annotations

import fcntl
import os
import struct
from dataclasses import dataclass
from pathlib import Path

_QUERYCAP = 0x80685600  # _IOR('V', 0, struct v4l2_capability): 104 octets
_CAPABILITY = struct.Struct("=16s32s32s3I12x")
_CAPTURE = 0x00000001 | 0x00001000  # single- and multi-planar
_DEVICE_CAPS = 0x80000000


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoDevice:
    """`path` as a configuration should write it; `trouble`: why it could not be asked, else empty."""

    path: str
    name: str
    bus: str
    trouble: str = ""


def video_devices(dev: Path = Path("/dev")) -> list[VideoDevice]:
    """Every device below `dev` that captures video, in the order of their names."""
    lasting = {p.resolve(): p for p in sorted((dev / "v4l" / "by-path").glob("*"))}
    found = []
    for node in sorted(dev.glob("video[0-9]*"), key=lambda p: (len(p.name), p.name)):
        device = _asked(node, str(lasting.get(node.resolve(), node)))
        if device is not None:
            found.append(device)
    return found


def _asked(node: Path, path: str) -> VideoDevice | None:
    try:
        fd = os.open(node, os.O_RDWR | os.O_NONBLOCK)
    except OSError as e:
        return VideoDevice(path=path, name="", bus="", trouble=f"cannot be opened: {e.strerror}")
    try:
        data = fcntl.ioctl(fd, _QUERYCAP, bytes(_CAPABILITY.size))
    except OSError as e:
        return VideoDevice(path=path, name="", bus="", trouble=f"is no video device: {e.strerror}")
    finally:
        os.close(fd)
    _, card, bus, _, capabilities, own = _CAPABILITY.unpack(data)
    if not (own if capabilities & _DEVICE_CAPS else capabilities) & _CAPTURE:
        return None  # metadata, radio, or an output
    name, place = (v.split(b"\0")[0].decode("utf-8", "replace") for v in (card, bus))
    return VideoDevice(path=path, name=name, bus=place)
