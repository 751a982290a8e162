"""What a camera burns into its picture: clock, name, crosshair, logo, in many faces and places."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hardware_sim.render.types import Conditions

    Picture = NDArray[np.uint8]

_FACES = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_PLAIN,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_TRIPLEX,
    cv2.FONT_HERSHEY_COMPLEX_SMALL,
)
_INKS = ((255, 255, 255), (255, 255, 255), (0, 255, 255), (0, 255, 0), (30, 30, 30), (0, 165, 255), (220, 220, 220))


@dataclass(frozen=True, slots=True)
class _Style:
    face: int
    size: float
    ink: tuple[int, int, int]
    box: bool
    edge: bool
    dots: int


def burn_in(canvas: Picture, conditions: Conditions) -> NDArray[np.bool_] | None:
    """Draw the texts, crosshair and marks; the style is seeded by `overlay_style`. What they cover, (H, W), or None."""
    if not conditions.overlay_text and not conditions.crosshair:
        return None
    before = canvas.copy()
    taken: list[tuple[int, int, int, int]] = []
    rng = np.random.default_rng([conditions.overlay_style, 71])
    face = int(rng.choice(_FACES))
    size = float(rng.uniform(0.4, 1.4)) * (1.6 if face == cv2.FONT_HERSHEY_PLAIN else 1.0)
    ink = _INKS[int(rng.integers(len(_INKS)))]
    box, edge = float(rng.random()) < 0.3, float(rng.random()) < 0.5
    dots = int(rng.integers(2, 4)) if rng.random() < 0.35 else 1
    for text in conditions.overlay_text:
        _text(canvas, text, rng, _Style(face, size, ink, box, edge, dots), taken)
    if conditions.crosshair:
        _crosshair(canvas, rng, ink)
    return np.asarray((canvas != before).any(axis=2), dtype=np.bool_)


def _text(
    canvas: Picture,
    text: str,
    rng: np.random.Generator,
    style: _Style,
    taken: list[tuple[int, int, int, int]],
) -> None:
    glyphs, rim = _glyphs(text, style, max(1, round(style.size * float(rng.uniform(0.8, 2.2)))))
    height, width = canvas.shape[:2]
    h, w = min(glyphs.shape[0], height), min(glyphs.shape[1], width)
    margin = int(rng.uniform(4, 50))
    for _ in range(6):
        x = int(rng.choice([margin, width - w - margin, (width - w) // 2]))
        y = int(rng.choice([margin, height - margin - h, int(rng.uniform(0, height))], p=[0.5, 0.4, 0.1]))
        x, y = min(max(x, 0), width - w), min(max(y, 0), height - h)
        if all(x >= c or x + w <= a or y >= d or y + h <= b for a, b, c, d in taken):
            break
    else:
        return  # a camera never writes one line over another
    taken.append((x, y, x + w, y + h))
    part = canvas[y : y + h, x : x + w]
    back = (0, 0, 0) if sum(style.ink) > 200 else (255, 255, 255)
    if style.box:
        part[:] = (part * 0.35 + np.array(back) * 0.65).astype(np.uint8)
    elif style.edge:
        _ink(part, rim[:h, :w], back)
    _ink(part, glyphs[:h, :w], style.ink)


def _ink(part: Picture, mask: Picture, ink: tuple[int, int, int]) -> None:
    alpha = mask[..., None].astype(np.float32) / 255.0
    part[:] = (part * (1.0 - alpha) + np.array(ink, dtype=np.float32) * alpha + 0.5).astype(np.uint8)


def _glyphs(text: str, style: _Style, thick: int) -> tuple[Picture, Picture]:
    """(letters, letters with a rim) as masks; `dots` > 1 gives the square pixels of a camera's character generator."""
    size = style.size if style.dots == 1 else max(style.size / style.dots, 0.35)
    thick = thick if style.dots == 1 else 1
    (w, h), base = cv2.getTextSize(text, style.face, size, thick)
    smooth = cv2.LINE_AA if style.dots == 1 else cv2.LINE_8
    letters = np.zeros((h + base + 8, w + 10), dtype=np.uint8)
    cv2.putText(letters, text, (5, h + 4), style.face, size, 255, thick, smooth)
    if style.dots > 1:
        letters = np.where(letters > 110, 255, 0).astype(np.uint8)
        shape = (letters.shape[1] * style.dots, letters.shape[0] * style.dots)
        letters = np.asarray(cv2.resize(letters, shape, interpolation=cv2.INTER_NEAREST), dtype=np.uint8)
    return letters, np.asarray(cv2.dilate(letters, np.ones((3, 3), dtype=np.uint8)), dtype=np.uint8)


def _crosshair(canvas: Picture, rng: np.random.Generator, ink: tuple[int, int, int]) -> None:
    height, width = canvas.shape[:2]
    cx, cy, arm, gap = width // 2, height // 2, int(rng.uniform(12, 160)), int(rng.uniform(0, 12))
    for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        cv2.line(canvas, (cx + dx * gap, cy + dy * gap), (cx + dx * arm, cy + dy * arm), ink, 1, cv2.LINE_AA)
    if rng.random() < 0.3:
        cv2.rectangle(canvas, (cx - arm, cy - arm // 2), (cx + arm, cy + arm // 2), ink, 1)
    if rng.random() < 0.3:
        for i in range(-5, 6):
            cv2.line(canvas, (cx + i * arm // 3, cy + arm), (cx + i * arm // 3, cy + arm + 6), ink, 1)
