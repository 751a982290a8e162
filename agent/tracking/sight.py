"""Tracks in one camera's picture: what is a vessel shows again in the next looks, what is a wave does not.

Promises:
- only boxes of tracks seen in M of the last N looks leave (`Settings`); a box of a confirmed track may be weaker than
  one that starts a track, but never below `low`;
- a box belongs to at most one track and a track takes at most one box a look; strong boxes choose first (two stages, as
  in ByteTrack, but on centres and log-size: boxes of distant boats are a few pixels high and do not overlap between
  two looks);
- the shift of the whole picture, by its horizon, is taken out before anything is compared;
- pure: the same looks give the same tracks; `state` is complete.

Source of the two stages: Zhang et al., ByteTrack, ECCV 2022.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agent.messages import Box

_PLACE_PX = 3.0  # one sigma between two looks, of a picture 1280 wide, beside ...
_PLACE_SHARE = 0.15  # ... this share of the box's size, and ...
_ACROSS_PX_S, _DOWN_PX_S = 10.0, 3.0  # ... what an unknown speed may do in the time between
_SIZE_SIGMA = 0.35  # of the logarithm of width and height
_GATE = 10.0  # squared sigmas, four degrees of freedom: 96 of 100 true pairs
_PLACE_GAIN, _SPEED_GAIN = 0.6, 0.25
_CLASS_MEMORY = 0.9
_LOST_S = 10.0  # whatever the count of looks: a track older than this is another vessel by now


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`high`: score that starts a track, `low`: that continues a confirmed one; M = `hits` of N = `looks`."""

    high: float
    low: float
    hits: int
    looks: int


@dataclass(slots=True)
class _Track:
    x: float
    y: float
    width: float  # logarithms of pixels
    height: float
    vx: float
    vy: float
    at_s: float
    bits: int
    confirmed: bool
    classes: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """A box of a confirmed track, and what its looks so far say of its class, the likeliest first."""

    box: Box
    classes: tuple[tuple[str, float], ...]


class SightTracker:
    """One camera's tracks. Coordinates are pixels of the picture, less its shift."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._tracks: list[_Track] = []

    def look(self, at_s: float, boxes: tuple[Box, ...], width_px: int, shift_px: float) -> list[Sighting]:
        """One look: the boxes of confirmed tracks in it, in the order of their tracks."""
        s = self._settings
        self._tracks = [t for t in self._tracks if 0.0 <= at_s - t.at_s <= _LOST_S]
        strong = [b for b in boxes if b.score >= s.high]
        weak = [b for b in boxes if s.low <= b.score < s.high]
        scale = width_px / 1280.0
        taken = self._assign(self._tracks, strong, at_s, scale, shift_px)
        rest = [t for t in self._tracks if t.confirmed and id(t) not in taken]
        taken |= self._assign(rest, weak, at_s, scale, shift_px)
        used = {id(b) for b in taken.values()}
        mask = (1 << s.looks) - 1
        seen: list[Sighting] = []
        for track in self._tracks:
            box = taken.get(id(track))
            track.bits = (track.bits << 1 | (box is not None)) & mask
            if box is not None:
                _update(track, box, at_s, shift_px)
                track.confirmed |= track.bits.bit_count() >= s.hits
                if track.confirmed:
                    seen.append(Sighting(box=box, classes=_shares(track.classes)))
        self._tracks = [t for t in self._tracks if t.bits]
        for box in (b for b in strong if id(b) not in used):
            track = _born(box, at_s, shift_px)
            self._tracks.append(track)
            if s.hits <= 1:
                track.confirmed = True
                seen.append(Sighting(box=box, classes=_shares(track.classes)))
        return seen

    def _assign(
        self, tracks: list[_Track], boxes: list[Box], at_s: float, scale: float, shift_px: float
    ) -> dict[int, Box]:
        """The nearest pairs first; ties by the tracks' and boxes' order. Keys are the tracks' identities."""
        pairs = sorted(
            (cost, i, j)
            for i, track in enumerate(tracks)
            for j, box in enumerate(boxes)
            if (cost := _distance(track, box, at_s, scale, shift_px)) <= _GATE
        )
        out: dict[int, Box] = {}
        free = set(range(len(boxes)))
        for _, i, j in pairs:
            if id(tracks[i]) not in out and j in free:
                out[id(tracks[i])] = boxes[j]
                free.discard(j)
        return out

    def state(self) -> list[Any]:
        """For the checkpoint."""
        return [
            [t.x, t.y, t.width, t.height, t.vx, t.vy, t.at_s, t.bits, t.confirmed, list(t.classes.items())]
            for t in self._tracks
        ]

    def restore(self, data: Any) -> None:
        """Take over what `state` was made of."""
        self._tracks = [
            _Track(x, y, wide, high, vx, vy, at_s, bits, confirmed, {str(k): float(v) for k, v in classes})
            for x, y, wide, high, vx, vy, at_s, bits, confirmed, classes in data
        ]


def _measured(box: Box, shift_px: float) -> tuple[float, float, float, float]:
    """Centre, and logarithms of width and height."""
    wide, high = max(box.x1 - box.x0, 1.0), max(box.y1 - box.y0, 1.0)
    return (box.x0 + box.x1) / 2.0, (box.y0 + box.y1) / 2.0 - shift_px, math.log(wide), math.log(high)


def _distance(track: _Track, box: Box, at_s: float, scale: float, shift_px: float) -> float:
    x, y, wide, high = _measured(box, shift_px)
    dt = at_s - track.at_s
    new = 0.0 if track.confirmed else dt
    sigma_x = (_PLACE_PX + _ACROSS_PX_S * new) * scale + _PLACE_SHARE * math.exp(track.width) + 0.3 * abs(track.vx) * dt
    sigma_y = (_PLACE_PX + _DOWN_PX_S * new) * scale + _PLACE_SHARE * math.exp(track.height) + 0.3 * abs(track.vy) * dt
    across = (x - track.x - track.vx * dt) / sigma_x
    down = (y - track.y - track.vy * dt) / sigma_y
    size = math.hypot(wide - track.width, high - track.height) / _SIZE_SIGMA
    return across * across + down * down + size * size


def _update(track: _Track, box: Box, at_s: float, shift_px: float) -> None:
    x, y, wide, high = _measured(box, shift_px)
    dt = max(at_s - track.at_s, 1e-3)
    off_x, off_y = x - track.x - track.vx * dt, y - track.y - track.vy * dt
    track.x, track.y = x - (1.0 - _PLACE_GAIN) * off_x, y - (1.0 - _PLACE_GAIN) * off_y
    track.vx, track.vy = track.vx + _SPEED_GAIN * off_x / dt, track.vy + _SPEED_GAIN * off_y / dt
    track.width += 0.5 * (wide - track.width)
    track.height += 0.5 * (high - track.height)
    track.at_s = at_s
    track.classes = {k: v * _CLASS_MEMORY for k, v in track.classes.items()}
    label = box.label.lower()
    track.classes[label] = track.classes.get(label, 0.0) + box.score


def _born(box: Box, at_s: float, shift_px: float) -> _Track:
    x, y, wide, high = _measured(box, shift_px)
    return _Track(x, y, wide, high, 0.0, 0.0, at_s, 1, confirmed=False, classes={box.label.lower(): box.score})


def _shares(classes: dict[str, float]) -> tuple[tuple[str, float], ...]:
    total = sum(classes.values())
    return tuple(sorted(((k, v / total) for k, v in classes.items()), key=lambda kv: (-kv[1], kv[0])))
