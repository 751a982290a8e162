"""Boxes drawn on a picture, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2

if TYPE_CHECKING:
    from agent.inference.letterbox import U8
    from agent.messages import Box

_COLOUR = (0, 215, 255)  # BGR: amber stands out of sea, sky and land
_DARK = (0, 0, 0)


def annotated(image: U8, boxes: tuple[Box, ...], *, scale: float = 1.0) -> U8:
    """A copy of the picture [H, W, 3] with boxes, labels and scores; `scale` maps box pixels to its pixels."""
    canvas = image.copy()
    thick = max(1, round(max(canvas.shape[:2]) / 800))
    font, size = cv2.FONT_HERSHEY_SIMPLEX, max(0.4, max(canvas.shape[:2]) / 2400)
    for box in boxes:
        x0, y0, x1, y1 = (round(v * scale) for v in (box.x0, box.y0, box.x1, box.y1))
        cv2.rectangle(canvas, (x0, y0), (x1, y1), _COLOUR, thick)
        text = f"{box.label} {box.score:.2f}"
        (width, height), base = cv2.getTextSize(text, font, size, thick)
        top = max(0, y0 - height - base)
        cv2.rectangle(canvas, (x0, top), (x0 + width, top + height + base), _COLOUR, -1)
        cv2.putText(canvas, text, (x0, top + height), font, size, _DARK, thick, cv2.LINE_AA)
    return canvas
