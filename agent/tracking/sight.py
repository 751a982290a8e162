"""Tracks in one camera's picture: what is a vessel shows again in the next looks, what is a wave does not.

Promises:
- only boxes of tracks that were once seen in M of N looks running leave (`Settings`); a box of a confirmed track may be
  weaker than one that starts a track, but never below `low`;
- boxes of what is faint and stands still do not leave, however often it is seen: burnt-in text, drops on the lens and
  reeds score as a far boat does, and only that they never move tells them apart (`Settings.standing`);
- a confirmed track outlives ten seconds without a box; after N looks without one its second box leaves, not its first;
- a box belongs to at most one track and a track takes at most one box a look; strong boxes choose first (two stages, as
  in ByteTrack, but on centres and log-size: boxes of distant boats are a few pixels high and do not overlap between
  two looks);
- where tracks compete for boxes, as when vessels pass each other, the likeliest assignment of all of them is taken;
- the shift of the whole picture, by its horizon, is taken out before anything is compared;
- pure: the same looks give the same tracks; `state` is complete.

Centre and speed are a Kalman filter's, across and down apart; width and height are running means of their logarithms.
Sources: the two stages, Zhang et al., ByteTrack, ECCV 2022; nearly constant velocity, Bar-Shalom et al., Estimation
with Applications to Tracking and Navigation, 2001, 6.3.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from agent.tracking.association import assign
from agent.tracking.motion import Motion

if TYPE_CHECKING:
    from agent.messages import Box

# Pixels are those of a picture 1280 wide; shares are of the box's size in that direction.
_PLACE_PX, _PLACE_SHARE = 1.2, 0.06  # one sigma of a box's centre
_ACROSS_PX_S, _DOWN_PX_S, _SPEED_SHARE = 10.0, 3.0, 0.3  # of a new track's unknown speed, a second
_TURN_PX_S, _TURN_SHARE = 0.5, 0.03  # of what a speed changes by in a second
_SIZE_SHARE, _SIZE_PX = 0.2, 0.5  # one sigma of width and height: of their logarithms, and of pixels beside it
_SIZE_GAIN = 0.2
_GATE = 20.0  # squared sigmas, four degrees of freedom: boxes have longer tails than a normal distribution
_CLASS_MEMORY = 0.9
_SURE = 0.14  # by so much, summed over its boxes, a thing has to score above what stands: three of luck are not enough
_SCORE_MEMORY = 0.98  # long: what stands there for hours must not pass by its best ten looks
_LOST_S = 10.0  # whatever the count of looks: a track older than this is another vessel by now


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`high`: score that starts a track, `low`: that continues a confirmed one; M = `hits` of N = `looks`.

    `standing`: mean score from which on a confirmed thing is believed that has not been seen to move.
    """

    high: float
    low: float
    standing: float
    hits: int
    looks: int


@dataclass(slots=True)
class _Axis:
    """Place (px), speed (px/s) and their covariance in one direction."""

    place: float
    speed: float
    p: float
    c: float
    v: float

    def predict(self, dt: float, turn: float) -> None:
        q = turn * turn * dt  # a speed that changes at random: white noise of acceleration
        self.place += self.speed * dt
        self.p += dt * (2.0 * self.c + dt * self.v) + q * dt * dt / 3.0
        self.c += dt * self.v + q * dt / 2.0
        self.v += q

    def update(self, measured: float, sigma: float) -> None:
        off, s = measured - self.place, self.p + sigma * sigma
        gain, gain_speed = self.p / s, self.c / s
        self.place += gain * off
        self.speed += gain_speed * off
        self.v -= gain_speed * self.c
        self.c -= gain * self.c
        self.p -= gain * self.p

    def row(self) -> list[float]:
        return [self.place, self.speed, self.p, self.c, self.v]


@dataclass(slots=True)
class _Track:
    x: _Axis
    y: _Axis
    width: float  # logarithms of pixels
    height: float
    at_s: float  # of its last box
    bits: int
    confirmed: bool  # by M of N: it outlives misses and takes weaker boxes ...
    believed: bool  # ... and its boxes leave once it looks like a vessel or has moved like one
    motion: Motion
    score: float  # sums over its boxes that could start a track, of what they score and of how many they are
    boxes: float
    classes: dict[str, float] = field(default_factory=dict)

    def row(self) -> list[Any]:
        """For the checkpoint."""
        return [
            self.x.row(), self.y.row(), self.width, self.height, self.at_s, self.bits, self.confirmed, self.believed,
            self.motion.row(), self.score, self.boxes, list(self.classes.items()),
        ]  # fmt: skip

    @classmethod
    def of(cls, row: list[Any]) -> _Track:
        """What `row` was made of."""
        x, y, width, height, at_s, bits, confirmed, believed, motion, score, boxes, classes = row
        return cls(
            _Axis(*x), _Axis(*y), width, height, at_s, bits, confirmed, believed,
            Motion.of(motion), score, boxes, {str(k): float(v) for k, v in classes},
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """A box of a believed track, and what its looks so far say of its class, the likeliest first."""

    box: Box
    classes: tuple[tuple[str, float], ...]


class SightTracker:
    """One camera's tracks. Coordinates are pixels of the picture, less its shift."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._tracks: list[_Track] = []
        self._at_s = 0.0  # of the last look: what the tracks' places and speeds are for

    def look(self, at_s: float, boxes: tuple[Box, ...], width_px: int, shift_px: float) -> list[Sighting]:
        """One look: the boxes of believed tracks in it, in the order of their tracks."""
        s = self._settings
        scale = width_px / 1280.0
        self._tracks = [t for t in self._tracks if 0.0 <= at_s - t.at_s <= _LOST_S]
        dt, self._at_s = max(at_s - self._at_s, 0.0), at_s
        for track in self._tracks:
            track.x.predict(dt, _TURN_PX_S * scale + _TURN_SHARE * math.exp(track.width))
            track.y.predict(dt, _TURN_PX_S * scale + _TURN_SHARE * math.exp(track.height))
        strong = [b for b in boxes if b.score >= s.high]
        weak = [b for b in boxes if s.low <= b.score < s.high]
        taken = _assign(self._tracks, strong, scale, shift_px)
        rest = [t for t in self._tracks if t.confirmed and id(t) not in taken]
        taken |= _assign(rest, weak, scale, shift_px)
        used = {id(b) for b in taken.values()}
        mask = (1 << s.looks) - 1
        seen: list[Sighting] = []
        for track in self._tracks:
            box = taken.get(id(track))
            track.bits = (track.bits << 1 | (box is not None)) & mask
            if box is not None:
                _update(track, box, at_s, scale, shift_px, strong=box.score >= s.high)
                track.confirmed |= track.bits.bit_count() >= s.hits
                track.believed |= track.confirmed and _believable(track, s.standing, scale)
                if track.believed and (track.bits > 1 or s.hits <= 1):  # one box after a long gap may be a wave
                    seen.append(Sighting(box=box, classes=_shares(track.classes)))
        self._tracks = [t for t in self._tracks if t.bits or t.confirmed]
        for box in (b for b in strong if id(b) not in used):
            track = _born(box, at_s, scale, shift_px)
            self._tracks.append(track)
            if s.hits <= 1:
                track.confirmed = track.believed = True
                seen.append(Sighting(box=box, classes=_shares(track.classes)))
        return seen

    def state(self) -> list[Any]:
        """For the checkpoint."""
        return [self._at_s, [t.row() for t in self._tracks]]

    def restore(self, data: Any) -> None:
        """Take over what `state` was made of."""
        self._at_s, rows = data
        self._tracks = [_Track.of(row) for row in rows]


def _measured(box: Box, scale: float, shift_px: float) -> tuple[float, float, float, float, float, float]:
    """Centre, its two sigmas, and logarithms of width and height."""
    wide, high = max(box.x1 - box.x0, 1.0), max(box.y1 - box.y0, 1.0)
    least = _PLACE_PX * scale
    return (
        (box.x0 + box.x1) / 2.0, (box.y0 + box.y1) / 2.0 - shift_px,
        least + _PLACE_SHARE * wide, least + _PLACE_SHARE * high, math.log(wide), math.log(high),
    )  # fmt: skip


def _assign(tracks: list[_Track], boxes: list[Box], scale: float, shift_px: float) -> dict[int, Box]:
    """Boxes by their tracks' identities."""
    measured = [_measured(b, scale, shift_px) for b in boxes]
    pairs = [
        (i, j, *pair)
        for i, track in enumerate(tracks)
        for j, m in enumerate(measured)
        if (pair := _cost(track, m)) is not None
    ]
    if len({p[0] for p in pairs}) < len(pairs) or len({p[1] for p in pairs}) < len(pairs):  # they compete
        row, col, cost, limit = (np.array(c) for c in zip(*pairs, strict=True))
        chosen = zip(*(c.tolist() for c in assign(row, col, cost, limit)), strict=True)
        return {id(tracks[i]): boxes[j] for i, j in chosen}
    return {id(tracks[i]): boxes[j] for i, j, _, _ in pairs}


def _cost(track: _Track, measured: tuple[float, float, float, float, float, float]) -> tuple[float, float] | None:
    """Minus twice the logarithm of the likelihood, and what it is at the gate's edge; None outside the gate."""
    x, y, sigma_x, sigma_y, wide, high = measured
    across, var_x = x - track.x.place, track.x.p + sigma_x * sigma_x
    d2 = across * across / var_x
    if d2 > _GATE:
        return None
    down, var_y = y - track.y.place, track.y.p + sigma_y * sigma_y
    d2 += down * down / var_y
    d2 += ((wide - track.width) / (_SIZE_SHARE + _SIZE_PX * math.exp(-track.width))) ** 2
    d2 += ((high - track.height) / (_SIZE_SHARE + _SIZE_PX * math.exp(-track.height))) ** 2
    if d2 > _GATE:
        return None
    spread = math.log(var_x * var_y)
    return d2 + spread, _GATE + spread


def _believable(track: _Track, standing: float, scale: float) -> bool:
    """Whether it looks like a vessel, or moves as one: what stands and is faint is text, a drop or a reed."""
    return track.score - standing * track.boxes >= _SURE or track.motion.moves(
        math.exp(track.width), math.exp(track.height), scale
    )


def _update(track: _Track, box: Box, at_s: float, scale: float, shift_px: float, *, strong: bool) -> None:
    x, y, sigma_x, sigma_y, wide, high = _measured(box, scale, shift_px)
    track.x.update(x, sigma_x)
    track.y.update(y, sigma_y)
    track.width += _SIZE_GAIN * (wide - track.width)
    track.height += _SIZE_GAIN * (high - track.height)
    track.at_s = at_s
    if not track.believed:
        track.motion.add(at_s, x, y, (wide + high) / 2.0)
        if strong:
            track.score, track.boxes = track.score * _SCORE_MEMORY + box.score, track.boxes * _SCORE_MEMORY + 1.0
    track.classes = {k: v * _CLASS_MEMORY for k, v in track.classes.items()}
    label = box.label.lower()
    track.classes[label] = track.classes.get(label, 0.0) + box.score


def _born(box: Box, at_s: float, scale: float, shift_px: float) -> _Track:
    x, y, sigma_x, sigma_y, wide, high = _measured(box, scale, shift_px)
    speed_x = _ACROSS_PX_S * scale + _SPEED_SHARE * math.exp(wide)
    speed_y = _DOWN_PX_S * scale + _SPEED_SHARE * math.exp(high)
    motion = Motion(at_s, x, y, (wide + high) / 2.0)
    motion.add(at_s, x, y, (wide + high) / 2.0)
    return _Track(
        _Axis(x, 0.0, sigma_x * sigma_x, 0.0, speed_x * speed_x),
        _Axis(y, 0.0, sigma_y * sigma_y, 0.0, speed_y * speed_y),
        wide, high, at_s, 1, confirmed=False, believed=False, motion=motion, score=box.score, boxes=1.0,
        classes={box.label.lower(): box.score},
    )  # fmt: skip


def _shares(classes: dict[str, float]) -> tuple[tuple[str, float], ...]:
    total = sum(classes.values())
    return tuple(sorted(((k, v / total) for k, v in classes.items()), key=lambda kv: (-kv[1], kv[0])))
