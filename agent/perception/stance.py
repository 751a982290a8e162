"""Does the camera still look where it looked? Told by the horizon and by landmarks of the picture itself.

Promises:
- nothing is judged before a view has been learnt (`LEARN_LOOKS` looks), nor while the picture itself is at fault;
- a verdict rests on a horizon that lies elsewhere, or on at least `_VOTES` landmarks that agree on where they went, and
  holds for `LASTING_S` before it is told; the sentence gives pixels and degrees;
- text burnt into the picture stays where it is when the camera turns: landmarks that have not moved never outvote those
  that agree on a move;
- a landmark that creeps away is a cloud, and forgotten: a knock is sudden;
- on the open sea a turn to the side shows in no horizon: then `landmarks` is 0, which stands in the counters.

The view is learnt anew at each start of the process: a camera that was knocked while the box was off is not noticed
here, but by its bearings against AIS and radar.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import cv2
import numpy as np

from agent.perception.horizon import Horizon, find_horizon

if TYPE_CHECKING:
    from numpy.typing import NDArray

LOOK_S = 2.0  # between looks: a knock lasts, and a look costs some milliseconds
LEARN_LOOKS = 15
LASTING_S = 10.0
_WIDTH = 320  # landmarks are kept and sought in the picture reduced to this width
_PATCH = 24
_PATCHES = 12
_TEXTURE_MIN = 12.0  # grey levels, spread within a patch of the mean picture
_STILL_SHARE = 0.35  # a landmark's change over time is at most this share of its texture
_MATCH_MIN = 0.7  # normalised correlation
_LEAD = 0.1  # over the next best place farther than ...
_NEAR_PX = 8
_VOTES = 3
_AGREE_PX = 1.5
_MOVED_PX = 2.0  # of the reduced picture: 8 px of 1280
_CREEP_PX, _CREEP_LOOKS = 1.0, 3
_HORIZON_MIN_PX = 3.0  # of a picture 1280 wide
_LEAN_MIN_DEG = 0.5
_RECENT = 5
_SWING_SHARE = 0.04  # of the picture's height: how far a mast swings
_STEADY_PX = 2.0  # spread of the horizon while it is learnt, of a picture 1280 wide


@dataclass(slots=True)
class _Landmark:
    x: int
    y: int
    patch: NDArray[np.uint8]
    drifting: int = 0  # looks in a row a little off its place


@dataclass(slots=True)
class StanceWatch:
    """Follows one camera's view. `focal_px` is that of the full picture, for degrees."""

    focal_px: float
    sentence: str = ""  # empty: it looks where it looked
    horizon: Horizon | None = None  # of the last look
    reference: Horizon | None = None
    landmarks: int = 0
    _looked_s: float = -math.inf
    _since_s: float | None = None
    _learnt: bool = False
    _means: list[NDArray[np.float32]] = field(default_factory=list)
    _horizons: list[Horizon] = field(default_factory=list)
    _recent: deque[Horizon | None] = field(default_factory=lambda: deque(maxlen=_RECENT))
    _marks: list[_Landmark] = field(default_factory=list)

    def look(self, image: NDArray[np.uint8], at_s: float, *, clear: bool) -> str:
        """Judge a BGR picture [H, W, 3]; `clear`: it is neither dark, blinded, frozen nor blurred."""
        if at_s - self._looked_s < LOOK_S:
            return self.sentence
        self._looked_s = at_s
        self.horizon = find_horizon(image) if clear else None
        self._recent.append(self.horizon)
        if not clear:
            return self.sentence
        height, width = image.shape[:2]
        grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        size = (_WIDTH, max(_PATCH + 1, round(_WIDTH * height / width)))
        small = np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
        if not self._learnt:
            self._learn(small, width)
            return self.sentence
        moved = self._horizon_moved(width) or self._landmarks_moved(small, width)
        if not moved:
            self._since_s = None
            self.sentence = ""
        else:
            self._since_s = at_s if self._since_s is None else self._since_s
            if at_s - self._since_s >= LASTING_S:
                self.sentence = f"the camera has moved: {moved}; survey its bearing and pitch again"
        return self.sentence

    def shift_px(self, image: NDArray[np.uint8]) -> float:
        """How far the horizon of this picture lies below the learnt one, px; 0 where either is unknown.

        Sought near the learnt one only: a mast that swings is followed, a knock is `look`'s to tell.
        """
        if self.reference is None or self.sentence:
            return 0.0
        reach = _SWING_SHARE * image.shape[0]
        seen = find_horizon(image, (self.reference.y_px - reach, self.reference.y_px + reach))
        return 0.0 if seen is None else seen.y_px - self.reference.y_px

    def _learn(self, small: NDArray[np.uint8], width: int) -> None:
        self._means.append(small.astype(np.float32))
        if self.horizon is not None:
            self._horizons.append(self.horizon)
        if len(self._means) < LEARN_LOOKS:
            return
        stack = np.stack(self._means)
        third = LEARN_LOOKS // 3
        marks = _choose(stack.mean(axis=0), stack.std(axis=0))
        early, late = (_picture(part.mean(axis=0)) for part in (stack[:third], stack[-third:]))
        self._marks = [m for m in marks if _rests(m, early, late)]
        self.landmarks = len(self._marks)
        ys = [h.y_px for h in self._horizons]
        if len(ys) > LEARN_LOOKS // 2 and float(np.std(ys)) < _STEADY_PX * width / 1280.0:
            self.reference = _median(self._horizons)
        self._learnt = True
        self._means.clear()
        self._horizons.clear()

    def _horizon_moved(self, width: int) -> str:
        seen = [h for h in self._recent if h is not None]
        if self.reference is None or len(seen) < _RECENT:
            return ""
        now = _median(seen)
        down_px = now.y_px - self.reference.y_px
        lean_deg = math.degrees(math.atan(now.slope) - math.atan(self.reference.slope))
        limit = max(_HORIZON_MIN_PX * width / 1280.0, 4.0 * math.hypot(now.sigma_px, self.reference.sigma_px))
        spread = max(h.y_px for h in seen) - min(h.y_px for h in seen)
        if spread > max(limit, abs(down_px) / 2.0) or (abs(down_px) <= limit and abs(lean_deg) <= _LEAN_MIN_DEG):
            return ""  # it swings: a mast in the wind, or a line that is not always found
        turn_deg = math.degrees(math.atan2(abs(down_px), self.focal_px))
        where = "lower" if down_px > 0 else "higher"
        return f"the horizon lies {abs(down_px):.0f} px ({turn_deg:.2f} deg) {where} and leans {lean_deg:+.1f} deg"

    def _landmarks_moved(self, small: NDArray[np.uint8], width: int) -> str:
        moves = [(mark, m) for mark in self._marks if (m := _find(mark, small)) is not None]
        for mark, move in moves:  # a knock jumps; what creeps is a cloud or a shadow
            mark.drifting = mark.drifting + 1 if _CREEP_PX <= math.hypot(*move) < _MOVED_PX else 0
        self._marks = [m for m in self._marks if m.drifting < _CREEP_LOOKS]
        self.landmarks = len(self._marks)
        away = np.array([m for mark, m in moves if mark.drifting == 0 and math.hypot(*m) >= _MOVED_PX])
        if len(away) < _VOTES:
            return ""
        middle = np.median(away, axis=0)
        agree = int((np.hypot(*(away - middle).T) <= _AGREE_PX).sum())
        if agree < _VOTES or agree <= len(away) / 2:
            return ""
        scale = width / _WIDTH
        dx, dy = float(middle[0]) * scale, float(middle[1]) * scale
        turn_deg = math.degrees(math.atan2(math.hypot(dx, dy), self.focal_px))
        return (
            f"{agree} of {len(self._marks)} landmarks lie {abs(dx):.0f} px {'right' if dx > 0 else 'left'} and "
            f"{abs(dy):.0f} px {'lower' if dy > 0 else 'higher'} ({turn_deg:.2f} deg)"
        )


def _median(seen: list[Horizon]) -> Horizon:
    """The line in the middle of several."""
    return Horizon(
        y_px=float(np.median([h.y_px for h in seen])),
        slope=float(np.median([h.slope for h in seen])),
        sigma_px=float(np.median([h.sigma_px for h in seen])),
        share=float(np.median([h.share for h in seen])),
    )


def _picture(mean: NDArray[np.floating]) -> NDArray[np.uint8]:
    return np.asarray(np.clip(mean, 0, 255), dtype=np.uint8)


def _rests(mark: _Landmark, early: NDArray[np.uint8], late: NDArray[np.uint8]) -> bool:
    """The landmark has stayed in its place while it was learnt."""
    before, after = _find(mark, early), _find(mark, late)
    return before is not None and after is not None and math.dist(before, after) < _CREEP_PX


def _choose(mean: NDArray[np.floating], change: NDArray[np.floating]) -> list[_Landmark]:
    """The best patches of the mean picture: with corners, unlike their surroundings, and still over time."""
    picture = _picture(mean)
    corners = cv2.cornerMinEigenVal(picture, _PATCH // 2)
    texture = np.sqrt(
        np.maximum(cv2.blur(np.square(mean), (_PATCH, _PATCH)) - np.square(cv2.blur(mean, (_PATCH, _PATCH))), 0.0)
    )
    unsteady = cv2.blur(change, (_PATCH, _PATCH))
    score = np.where((texture >= _TEXTURE_MIN) & (unsteady <= _STILL_SHARE * texture), corners, 0.0)
    half = _PATCH // 2
    score[:half], score[-half:], score[:, :half], score[:, -half:] = 0.0, 0.0, 0.0, 0.0
    marks: list[_Landmark] = []
    while len(marks) < _PATCHES and score.max() > 0.0:
        y, x = (int(v) for v in np.unravel_index(int(score.argmax()), score.shape))
        score[max(0, y - _PATCH) : y + _PATCH, max(0, x - _PATCH) : x + _PATCH] = 0.0
        mark = _Landmark(x - half, y - half, picture[y - half : y + half, x - half : x + half].copy())
        if (move := _find(mark, picture)) is not None and math.hypot(*move) < 1.0:
            marks.append(mark)
    return marks


def _find(mark: _Landmark, picture: NDArray[np.uint8]) -> tuple[float, float] | None:
    """(right, down) from its old place to where the landmark is now, anywhere in the picture; None: not seen.

    A place that is not the only one of its kind (a piece of the horizon, a wave) is none.
    """
    match = cv2.matchTemplate(picture, mark.patch, cv2.TM_CCOEFF_NORMED)
    _, best, _, (x, y) = cv2.minMaxLoc(match)
    if best < _MATCH_MIN:
        return None
    match[max(0, y - _NEAR_PX) : y + _NEAR_PX + 1, max(0, x - _NEAR_PX) : x + _NEAR_PX + 1] = -1.0
    if float(match.max()) > best - _LEAD:
        return None
    return float(x - mark.x), float(y - mark.y)
