"""Words of the labels that detectors give, and which of them mean a vessel. Pure.

Promises:
- one list for the whole agent: what inference counts as a vessel, fusion tracks.
"""

from __future__ import annotations

_VESSELS = (
    "barge boat canoe cargo catamaran dinghy ferry fishing inflatable jetski kayak lpv motorboat panga passenger "
    "patrol rowboat sail sailboat sailing ship speedboat submarine tanker trawler tug tugboat vessel watercraft yacht"
)
_PHRASES = frozenset({"small craft", "go fast"})
_WORDS = frozenset(_VESSELS.split())


def means_vessel(label: str) -> bool:
    """Whether a label such as `small-craft`, `fishing boat` or `Ship` means a vessel."""
    text = label.lower().replace("-", " ").replace("_", " ").strip()
    return text in _PHRASES or not _WORDS.isdisjoint(text.split())
