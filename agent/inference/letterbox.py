"""From a picture to the model's input tensor and back.

Promises:
- `topleft` and `centre` keep the aspect and pad the rest, `stretch` fills the input and changes the aspect;
- every step is linear, so a box goes back to pixels of the original picture exactly (tested as a round trip).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from agent.inference.boxes import F32
    from agent.inference.spec import Fit, Pixels

U8 = NDArray[np.uint8]
DEFAULT_PAD = 114
_BAND_ROWS = 64  # made into floats at a time, in the processor's cache: half the time of a whole picture at a time


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where a picture of (width, height) lies in the input: x_input = x * scale_x + left, and so for y."""

    scale_x: float
    scale_y: float
    left: int
    top: int
    width: int
    height: int

    def back(self, corners: F32) -> F32:
        """Corners [N, 4] in input pixels to picture pixels, clipped to the picture."""
        scale = np.array([self.scale_x, self.scale_y] * 2, dtype=np.float32)
        shift = np.array([self.left, self.top] * 2, dtype=np.float32)
        limit = np.array([self.width, self.height] * 2, dtype=np.float32)
        return np.asarray(np.clip((corners - shift) / scale, 0.0, limit), dtype=np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class InputForm:
    """How the model wants its input: pixel values, fit, pad grey, tensor type and layout."""

    pixels: Pixels
    fit: Fit
    pad: int
    dtype: Literal["float32", "float16", "uint8"]
    nhwc: bool


def place(
    image: U8, width: int, height: int, fit: Fit, pad: int, *,
    inner: tuple[int, int] | None = None, into: U8 | None = None,
) -> tuple[U8, Placement]:  # fmt: skip
    """The picture [H, W, 3] laid into `width` x `height` pixels, and where it lies.

    `inner` (width, height): what a letterboxed picture may fill of that, so that one at native resolution stays there.
    `into`: flat memory of at least as many bytes, which a picture that does not fit as it is then lies in.
    """
    h, w = image.shape[:2]
    if fit == "stretch":
        scale_x, scale_y = width / w, height / h
        return _resized(image, width, height, into), Placement(
            scale_x=scale_x, scale_y=scale_y, left=0, top=0, width=w, height=h
        )
    scale = min(inner[0] / w, inner[1] / h) if inner else min(width / w, height / h)
    inner_w, inner_h = min(width, max(1, int(w * scale + 0.5))), min(height, max(1, int(h * scale + 0.5)))
    left, top = ((width - inner_w) // 2, (height - inner_h) // 2) if fit == "centre" else (0, 0)
    placed = Placement(scale_x=inner_w / w, scale_y=inner_h / h, left=left, top=top, width=w, height=h)
    if (inner_w, inner_h) == (width, height):
        return _resized(image, width, height, into), placed
    canvas = _memory(width, height, into)
    canvas[:top], canvas[top + inner_h :] = pad, pad
    canvas[top : top + inner_h, :left], canvas[top : top + inner_h, left + inner_w :] = pad, pad
    if (inner_w, inner_h) == (w, h):
        canvas[top : top + h, left : left + w] = image
    else:
        cv2.resize(image, (inner_w, inner_h), dst=canvas[top : top + inner_h, left : left + inner_w])
    return canvas, placed


def _resized(image: U8, width: int, height: int, into: U8 | None) -> U8:
    if image.shape[:2] == (height, width):
        return image
    canvas = _memory(width, height, into)
    cv2.resize(image, (width, height), dst=canvas)
    return canvas


def _memory(width: int, height: int, into: U8 | None) -> U8:
    """A canvas [height, width, 3] with anything in it."""
    many = 3 * width * height
    return (np.empty(many, dtype=np.uint8) if into is None else into[:many]).reshape(height, width, 3)


def tensor(canvas: U8, form: InputForm, into: F32 | None = None) -> NDArray[np.generic]:
    """The input tensor [1, 3, H, W] (or [1, H, W, 3]) of a placed BGR picture.

    `into`: flat memory of at least as many floats, which a float32 tensor in planes then lies in. Fresh memory for each
    picture costs ten times what filling it does: the kernel hands it out page by page.
    """
    pixels = form.pixels
    height, width = canvas.shape[:2]
    if form.dtype == "uint8":
        ordered = canvas[:, :, ::-1] if pixels.order == "rgb" else canvas
        return np.ascontiguousarray((ordered if form.nhwc else ordered.transpose(2, 0, 1))[None])
    many = canvas.size
    flat = np.empty(many, dtype=np.float32) if into is None else into[:many]
    out = flat.reshape(1, 3, height, width)
    channels = (2, 1, 0) if pixels.order == "rgb" else (0, 1, 2)
    means, stds = np.broadcast_to(pixels.mean, 3).tolist(), np.broadcast_to(pixels.std, 3).tolist()
    for top in range(0, height, _BAND_ROWS):
        planes = cv2.split(canvas[top : top + _BAND_ROWS])
        for i, channel in enumerate(channels):
            values = out[0, i, top : top + _BAND_ROWS]
            np.copyto(values, planes[channel])
            if means[i]:
                np.subtract(values, np.float32(means[i] / pixels.scale), out=values)
            np.multiply(values, np.float32(pixels.scale / stds[i]), out=values)
    blob = np.ascontiguousarray(out.transpose(0, 2, 3, 1)) if form.nhwc else out
    return np.asarray(blob, dtype=np.float16) if form.dtype == "float16" else blob
