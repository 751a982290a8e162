"""Things close to the lens: plants, fences, rails, posts, roofs, a beach: what a detector must ignore."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from hardware_sim.render.noise import fractal_line, fractal_tile

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from hardware_sim.render.types import Conditions

    Array = NDArray[np.floating[Any]]
    Picture = NDArray[np.uint8]

_SHADE = {"day": 1.0, "overcast": 0.75, "dusk": 0.4, "night": 0.1, "thermal": 0.6}
_GREENS = ((40, 90, 60), (30, 60, 35), (50, 110, 95), (60, 130, 120), (25, 45, 30), (70, 110, 130))
_PAINTS = ((200, 200, 200), (90, 90, 90), (40, 40, 40), (150, 160, 170), (70, 95, 130), (230, 230, 225), (60, 90, 60))


class Foreground:
    """One foreground, painted once: `alpha` (H, W) and premultiplied `colour`, both float32; None for none."""

    def __init__(self, conditions: Conditions, width: int, height: int) -> None:
        self.alpha: Array | None = None
        self.colour: Array | None = None
        self.rows = slice(0, height)
        if conditions.foreground == "none":
            return
        painter = _PAINTERS.get(conditions.foreground)
        if painter is None:
            raise ValueError(
                f"conditions: foreground {conditions.foreground!r} is not one of none, {', '.join(_PAINTERS)}"
            )
        rng = np.random.default_rng([conditions.seed, 61])
        colour = np.zeros((height, width, 3), dtype=np.uint8)
        mask = np.zeros((height, width), dtype=np.uint8)
        painter(_Brush(colour, mask, _SHADE[conditions.light], conditions.foreground_amount, rng))
        if conditions.light == "thermal":
            colour[:] = cv2.cvtColor(colour, cv2.COLOR_BGR2GRAY)[..., None]
        used = np.flatnonzero(mask.any(axis=1))
        if used.size == 0:
            return
        blur = float(rng.choice([0.0, 0.7, 1.5, 3.0, 6.0], p=[0.15, 0.3, 0.25, 0.2, 0.1]))
        pad = math.ceil(3 * blur)
        self.rows = slice(max(int(used[0]) - pad, 0), min(int(used[-1]) + pad + 1, height))
        mask, colour = mask[self.rows], colour[self.rows]
        texture = _texture(mask.shape, rng)
        solid = (colour * texture[..., None] * (mask > 0)[..., None]).astype(np.float32)
        alpha = mask.astype(np.float32) / 255.0
        if blur > 0:
            solid = np.asarray(cv2.GaussianBlur(solid, (0, 0), blur), dtype=np.float32)
            alpha = np.asarray(cv2.GaussianBlur(alpha, (0, 0), blur), dtype=np.float32)
        self.alpha, self.colour = alpha, solid

    def blend(self, canvas: Picture) -> None:
        """Put it over the picture."""
        if self.alpha is None or self.colour is None:
            return
        part = canvas[self.rows]
        part[:] = np.clip(part * (1.0 - self.alpha[..., None]) + self.colour + 0.5, 0, 255).astype(np.uint8)

    def cover(self, x0: int, y0: int, shape: tuple[int, int]) -> Array | None:
        """Cover over a rectangle of the picture; None when there is none."""
        if self.alpha is None:
            return None
        full = np.zeros(shape, dtype=np.float32)
        top, bottom = max(y0, self.rows.start), min(y0 + shape[0], self.rows.stop)
        if bottom > top:
            rows = self.alpha[top - self.rows.start : bottom - self.rows.start, x0 : x0 + shape[1]]
            full[top - y0 : bottom - y0, : rows.shape[1]] = rows
        return full


def _texture(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    tile = fractal_tile(512, 0.8, 8)
    reps = (shape[0] // 512 + 1, shape[1] // 512 + 1)
    return np.asarray(
        np.clip(1.0 + rng.uniform(0.02, 0.13) * np.tile(tile, reps)[: shape[0], : shape[1]], 0.3, 1.6), dtype=np.float32
    )


class _Brush:
    """The two pictures that a painter fills, and what it may ask."""

    def __init__(self, colour: Picture, mask: Picture, shade: float, amount: float, rng: np.random.Generator) -> None:
        self.colour, self.mask, self.shade, self.amount, self.rng = colour, mask, shade, amount, rng
        self.height, self.width = mask.shape

    def tone(self, choices: tuple[tuple[int, int, int], ...], spread: float = 0.25) -> tuple[float, float, float]:
        c = choices[int(self.rng.integers(len(choices)))]
        gain = self.shade * math.exp(self.rng.normal(0.0, spread))
        return (min(c[0] * gain, 255.0), min(c[1] * gain, 255.0), min(c[2] * gain, 255.0))

    def poly(self, points: NDArray[np.float64], tone: tuple[float, float, float]) -> None:
        fixed = np.clip(np.round(points * 16), -(1 << 20), 1 << 20).astype(np.int32)
        cv2.fillPoly(self.colour, [fixed], tone, cv2.LINE_8, 4)
        cv2.fillPoly(self.mask, [fixed], 255, cv2.LINE_AA, 4)

    def line(self, a: tuple[float, float], b: tuple[float, float], tone: tuple[float, float, float], wide: int) -> None:
        pa, pb = (int(a[0] * 16), int(a[1] * 16)), (int(b[0] * 16), int(b[1] * 16))
        cv2.line(self.colour, pa, pb, tone, wide + 1, cv2.LINE_8, 4)
        cv2.line(self.mask, pa, pb, 255, wide, cv2.LINE_AA, 4)


def _plants(b: _Brush) -> None:
    rng = b.rng
    clumps = rng.uniform(0, b.width, int(2 + 7 * b.amount))
    for clump in clumps:
        high = b.height * rng.uniform(0.08, 0.75) * (0.4 + b.amount)
        leafy = rng.random() < 0.5
        for _ in range(int(rng.integers(8, 30))):
            x = clump + rng.normal(0, 0.06 * b.width)
            tall, lean = high * rng.uniform(0.3, 1.0), rng.normal(0, 0.35)
            tip = (x + lean * tall, b.height - tall)
            mid = (x + 0.3 * lean * tall, b.height - 0.6 * tall)
            wide = rng.uniform(2, 9)
            tone = b.tone(_GREENS)
            b.poly(
                np.array([(x - wide, b.height + 5), mid, tip, (mid[0] + wide, mid[1]), (x + wide, b.height + 5)]), tone
            )
            for _ in range(int(rng.integers(2, 7)) if leafy else 0):
                s = rng.uniform(0.3, 1.0)
                centre = (int(x + lean * tall * s), int(b.height - tall * s))
                axes = (int(rng.uniform(3, 22)), int(rng.uniform(2, 9)))
                angle = float(rng.uniform(0, 180))
                tone = b.tone(_GREENS)
                cv2.ellipse(b.colour, centre, axes, angle, 0, 360, tone, -1)
                cv2.ellipse(b.mask, centre, axes, angle, 0, 360, 255, -1, cv2.LINE_AA)


def _fence(b: _Brush) -> None:
    rng = b.rng
    top = b.height * rng.uniform(0.45, 0.95)
    tone = b.tone(_PAINTS)
    pitch, wide = rng.uniform(14, 60), int(rng.integers(1, 4))
    if rng.random() < 0.5:  # chain link
        for i in range(int(-b.height / pitch), int((b.width + b.height) / pitch)):
            x = i * pitch
            b.line((x, top), (x + (b.height - top), b.height), tone, wide)
            b.line((x, top), (x - (b.height - top), b.height), tone, wide)
        b.line((0, top), (b.width, top), tone, wide + 2)
    else:
        for i in range(int(b.width / pitch) + 1):
            b.line((i * pitch, top), (i * pitch, b.height), tone, wide + 2)
        for y in (top + 8, min(top + 0.6 * (b.height - top), b.height)):
            b.line((0, y), (b.width, y), tone, wide + 1)


def _rail(b: _Brush) -> None:
    rng = b.rng
    tone, wide = b.tone(_PAINTS), int(rng.integers(2, 14))
    tilt = rng.normal(0.0, 0.04) * b.width
    y = b.height * rng.uniform(0.4, 0.92)
    for i in range(int(rng.integers(1, 4))):
        b.line((0, y - tilt), (b.width, y + tilt), tone, max(wide - 2 * i, 1))
        y += rng.uniform(25, 120)
    pitch, x = rng.uniform(150, 600), rng.uniform(0, 300)
    top = y - rng.uniform(80, 260)
    while x < b.width:
        b.line((x, top), (x, b.height), tone, wide)
        x += pitch


def _posts(b: _Brush) -> None:
    rng = b.rng
    for _ in range(int(rng.integers(1, 4 + int(5 * b.amount)))):
        x, wide = rng.uniform(0, b.width), int(rng.uniform(2, 28))
        top = b.height * rng.uniform(0.0, 0.9)
        tone = b.tone(_PAINTS)
        b.line((x, top), (x + rng.normal(0, 12), b.height), tone, wide)
        kind = rng.random()
        if kind < 0.3:  # a lamp or a sign
            r = rng.uniform(1.0, 3.0) * wide + 4
            b.poly(
                np.array([(x - r, top), (x + r, top), (x + r, top + 0.7 * r), (x - r, top + 0.7 * r)]), b.tone(_PAINTS)
            )
        elif kind < 0.5:
            b.line(
                (x, top + 4),
                (x + rng.choice([-1, 1]) * rng.uniform(30, 300), top + rng.normal(0, 20)),
                tone,
                max(wide // 3, 1),
            )
        elif kind < 0.6:  # a cable that sags across the picture
            xs = np.linspace(0, b.width, 24)
            sag = top + 60.0 * ((xs / b.width - 0.5) ** 2 * 4 - 1) * rng.uniform(-0.5, 1.0)
            for i in range(23):
                b.line((xs[i], sag[i]), (xs[i + 1], sag[i + 1]), tone, max(wide // 8, 1))


def _roof(b: _Brush) -> None:
    rng = b.rng
    if rng.random() < 0.5:
        line = fractal_line(rng, 40, 1.6) * rng.uniform(3, 40)  # rocks, a dune, a cliff's edge
        tones: tuple[tuple[int, int, int], ...] = (
            (90, 100, 110),
            (120, 150, 170),
            (60, 70, 75),
            (45, 60, 55),
            (150, 180, 200),
        )
    else:
        line = np.zeros(40, dtype=np.float32)
        tones = _PAINTS
    slope = rng.normal(0.0, 0.12) * b.height
    y = b.height * rng.uniform(0.65, 0.97)
    xs = np.linspace(0, b.width, 40)
    edge = y + line + np.linspace(-slope, slope, 40)
    b.poly(np.concatenate([np.stack([xs, edge], axis=1), [(b.width, b.height + 9), (0, b.height + 9)]]), b.tone(tones))
    for _ in range(int(rng.integers(0, 7))):
        x, w, h = rng.uniform(0, b.width), rng.uniform(8, 130), rng.uniform(5, 70)
        foot = float(np.interp(x, xs, edge)) + 4
        b.poly(np.array([(x, foot), (x + w, foot), (x + w, foot - h), (x, foot - h)]), b.tone(_PAINTS))


def _beach(b: _Brush) -> None:
    """Sand or shingle at the foot of the picture, and the surf that breaks on it."""
    rng = b.rng
    xs = np.linspace(0, b.width, 60)
    foot = b.height * rng.uniform(0.78, 1.02)
    slope = rng.normal(0.0, 0.05) * b.height
    white = tuple(min(b.shade * v, 255.0) for v in (235.0, 235.0, 230.0))
    for i in range(int(rng.integers(1, 5))):
        y = foot - 22.0 * i * rng.uniform(0.6, 1.6) - 8.0
        wide = np.maximum(fractal_line(rng, 60, 1.0) + rng.uniform(-0.8, 1.0), 0.0) * rng.uniform(2.0, 7.0)
        edge = y + fractal_line(rng, 60, 1.5) * 4.0 + np.linspace(-slope, slope, 60)
        for k in range(59):
            if wide[k] + wide[k + 1] > 0.4:
                b.poly(
                    np.array(
                        [
                            (xs[k], edge[k] - wide[k]),
                            (xs[k + 1], edge[k + 1] - wide[k + 1]),
                            (xs[k + 1], edge[k + 1] + wide[k + 1]),
                            (xs[k], edge[k] + wide[k]),
                        ]
                    ),
                    (white[0], white[1], white[2]),
                )
    sand = b.tone(((150, 180, 200), (120, 140, 155), (90, 95, 100), (170, 205, 225)), 0.15)
    line = foot + fractal_line(rng, 60, 1.6) * 6.0 + np.linspace(-slope, slope, 60)
    b.poly(np.concatenate([np.stack([xs, line], axis=1), [(b.width, b.height + 9), (0, b.height + 9)]]), sand)


_PAINTERS: dict[str, Callable[[_Brush], None]] = {
    "plants": _plants,
    "fence": _fence,
    "rail": _rail,
    "posts": _posts,
    "roof": _roof,
    "beach": _beach,
}
