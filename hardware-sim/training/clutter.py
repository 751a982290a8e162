"""Foreground and overlays drawn over a crop: what a coast camera sees and must not report.

Promises:
- everything is drawn from the generator given, nothing else;
- each function draws in place on a (H, W, 3) BGR uint8 crop and returns the mask (H, W) of what it covered;
- nothing here is a vessel: a truth box that is mostly covered afterwards is no longer asked for (see `crops`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    Picture = NDArray[np.uint8]
    Mask = NDArray[np.uint8]
    Colour = tuple[int, int, int]

_FONTS = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_PLAIN,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_TRIPLEX,
    cv2.FONT_HERSHEY_SCRIPT_SIMPLEX,
)
_CHARACTERS = np.array(list("0123456789:-/.ABCDEFGHIKLMNOPRSTUVZ abcdeimnorstu"))


def _colour(rng: Generator, low: int = 0, high: int = 256) -> Colour:
    base = int(rng.integers(low, high))
    blue, green, red = (min(max(base + int(part), 0), 255) for part in rng.normal(0, 18, 3))
    return blue, green, red


def text(picture: Picture, mask: Mask, rng: Generator) -> None:
    """A camera's clock, name or reticle, with or without a box behind it."""
    height, width = mask.shape
    for _ in range(int(rng.integers(1, 4))):
        words = "".join(rng.choice(_CHARACTERS, int(rng.integers(2, 22))))
        font, scale, thick = _FONTS[rng.integers(len(_FONTS))], float(rng.uniform(0.3, 1.3)), int(rng.integers(1, 3))
        at = int(rng.integers(-40, width - 10)), int(rng.integers(5, height))
        (w, h), base = cv2.getTextSize(words, font, scale, thick)
        if rng.random() < 0.3:
            corner = (at[0] - 3, at[1] - h - 3), (at[0] + w + 3, at[1] + base)
            cv2.rectangle(picture, *corner, _colour(rng, 0, 80), -1)
            cv2.rectangle(mask, *corner, 255, -1)
        if rng.random() < 0.4:
            cv2.putText(picture, words, (at[0] + 1, at[1] + 1), font, scale, (0, 0, 0), thick + 1, cv2.LINE_AA)
        bright = (255, 255, 255) if rng.random() < 0.6 else _colour(rng)
        cv2.putText(picture, words, at, font, scale, bright, thick, cv2.LINE_AA)
        cv2.putText(mask, words, at, font, scale, 255, thick)


def _line(
    picture: Picture, mask: Mask, at: NDArray[np.float64], to: NDArray[np.float64], colour: Colour, thick: int
) -> None:
    start, end = (int(at[0]), int(at[1])), (int(to[0]), int(to[1]))
    cv2.line(picture, start, end, colour, thick, cv2.LINE_AA)
    cv2.line(mask, start, end, 255, thick)


def _branch(picture: Picture, mask: Mask, rng: Generator, at: NDArray[np.float64], angle: float, length: float) -> None:
    thick = max(1, int(length / 14))
    colour = _colour(rng, 10, 120)
    while length > 4:
        to = at + length * np.array([np.cos(angle), np.sin(angle)])
        _line(picture, mask, at, to, colour, thick)
        for _ in range(int(rng.integers(0, 4))):
            leaf = to + rng.normal(0, length / 3, 2)
            axes = int(rng.integers(1, 4 + int(length / 5))), int(rng.integers(1, 3 + int(length / 9)))
            spot = int(leaf[0]), int(leaf[1])
            turn = float(rng.uniform(0, 180))
            cv2.ellipse(picture, spot, axes, turn, 0, 360, _colour(rng, 15, 140), -1, cv2.LINE_AA)
            cv2.ellipse(mask, spot, axes, turn, 0, 360, 255, -1)
        at, thick, length = to, max(1, thick - 1), length * rng.uniform(0.55, 0.9)
        angle += rng.normal(0, 0.5)


def plants(picture: Picture, mask: Mask, rng: Generator) -> None:
    """Twigs and leaves that grow in from an edge."""
    height, width = mask.shape
    for _ in range(int(rng.integers(1, 9))):
        root = np.array([rng.uniform(0, width), height + 3.0])
        angle = rng.normal(-np.pi / 2, 0.5)
        if rng.random() < 0.3:
            root, angle = (
                np.array([rng.choice([-3.0, width + 3.0]), rng.uniform(0, height)]),
                rng.uniform(-np.pi, np.pi),
            )
        _branch(picture, mask, rng, root, float(angle), float(rng.uniform(15, height * 0.4)))


def structures(picture: Picture, mask: Mask, rng: Generator) -> None:
    """Posts, rails, wires, a roof's edge."""
    height, width = mask.shape
    diagonal = float(np.hypot(width, height))
    for _ in range(int(rng.integers(1, 6))):
        middle = rng.uniform(0, [width, height])
        angle = float(rng.choice([0.0, np.pi / 2, rng.uniform(0, np.pi)])) + rng.normal(0, 0.04)
        along = np.array([np.cos(angle), np.sin(angle)])
        reach = diagonal if rng.random() < 0.6 else rng.uniform(10, 80)
        start, end = middle - along * reach, middle + along * rng.uniform(0, reach)
        thick = int(rng.choice([1, 1, 2, 3, 5, 9, 16]))
        _line(picture, mask, start, end, _colour(rng), thick)
        if thick > 4 and rng.random() < 0.6:
            _line(picture, mask, start, end, _colour(rng), thick // 3)


def ground(picture: Picture, mask: Mask, rng: Generator) -> None:
    """Stones, walls and roofs: textured areas with ragged upper edges along the lower side of the crop."""
    height, width = mask.shape
    columns = np.arange(width)
    top = rng.uniform(0.5, 0.95) * height + np.cumsum(rng.normal(0, rng.choice([0.2, 1.0, 2.5]), width))
    if rng.random() < 0.3:
        top += rng.uniform(2, 25) * np.sign(np.sin(columns / rng.uniform(4, 30)))
    area = np.arange(height)[:, None] > top[None, :]
    small = rng.normal(
        0, rng.uniform(5, 40), (max(height // int(rng.integers(1, 12)), 2), max(width // int(rng.integers(1, 12)), 2))
    )
    texture = cv2.resize(small.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    shade = np.clip(texture[..., None] + np.array(_colour(rng, 20, 200)), 0, 255).astype(np.uint8)
    picture[area] = shade[area]
    mask[area] = 255


def speckle(picture: Picture, mask: Mask, rng: Generator) -> None:
    """Sparkle, floating weed and drops: many small blobs, each far too plain for a boat."""
    height, width = mask.shape
    bright = rng.random() < 0.6
    top = rng.uniform(0, height * 0.7)
    for _ in range(int(rng.integers(5, 120))):
        spot = int(rng.uniform(0, width)), int(rng.uniform(top, height))
        axes = int(rng.integers(0, 3)), int(rng.integers(0, 2))
        cv2.ellipse(
            picture, spot, axes, 0, 0, 360, _colour(rng, 170 if bright else 10, 256 if bright else 90), -1, cv2.LINE_AA
        )


_ALL = ((text, 0.30), (plants, 0.22), (structures, 0.22), (ground, 0.14), (speckle, 0.12))


def draw(picture: Picture, rng: Generator) -> Mask:
    """Draw one or two kinds of clutter over the crop, in place; the mask is 255 where it covers."""
    mask = np.zeros(picture.shape[:2], np.uint8)
    weights = np.array([w for _, w in _ALL])
    for index in rng.choice(len(_ALL), int(rng.integers(1, 3)), replace=False, p=weights):
        _ALL[index][0](picture, mask, rng)
    return mask
