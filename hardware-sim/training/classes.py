"""The detector's classes and how the renderer's kinds fall into them.

Promises:
- the order of LABELS is the order of the model's score rows; it changes only together with the shipped model;
- buoys and birds are classes of their own, so that the model learns to tell them from vessels, not to ignore them;
- a rock is background and must give no box: it has no score row, but the network is taught to name it (ROCK), since
  what it must not call a vessel is mostly that; a swimmer's head is left out of loss and score.
"""

from __future__ import annotations

LABELS = ("small-craft", "fishing", "sailing", "large-ship", "patrol-other", "buoy", "bird")
VESSEL_LABELS = LABELS[:5]
VESSEL_CLASSES = len(VESSEL_LABELS)

ROCK = len(LABELS)
"""Taught beside LABELS and left out of the exported file."""

BACKGROUND = -1
IGNORED = -2

_LABEL_OF_KIND = {
    "panga": "small-craft",
    "go-fast": "small-craft",
    "lpv": "small-craft",
    "inflatable": "small-craft",
    "jetski": "small-craft",
    "trawler": "fishing",
    "fishing": "fishing",
    "sailing": "sailing",
    "ferry": "large-ship",
    "cargo": "large-ship",
    "tanker": "large-ship",
    "tug": "patrol-other",
    "patrol": "patrol-other",
    "buoy": "buoy",
    "bird": "bird",
}


def class_of_kind(kind: str) -> int:
    """Index into LABELS of a renderer kind, or BACKGROUND (rock) or IGNORED (swimmer); KeyError for an unknown kind."""
    if kind == "rock":
        return BACKGROUND
    if kind == "swimmer":
        return IGNORED
    return LABELS.index(_LABEL_OF_KIND[kind])
