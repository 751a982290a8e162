"""How far a radar's range and bearing are off, learned from ships that tell their own place by AIS.

Promises:
- an estimate is of a constant range offset and a constant bearing offset, radar less AIS, each with a standard error
  from how much the ships disagree: a ship counts once, however often it was seen, for its antenna's place and its
  echo's centre are off in the same way all the time;
- ships and echoes are matched by what most ships agree on, not by what is nearest: an offset larger than the distance
  between ships is found; one ship that moors beside another's echo moves nothing (Tukey's biweight);
- thin geometry is refused in words: too few ships, all in one direction, no better agreement than chance would give,
  or an error too large to be worth a correction;
- pure and deterministic, bounded memory.

Only ships under way teach: a moored one's echo is also its quay's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from agent.tracking.arrays import first_of_each

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.tracking.arrays import Floats, Ints

WINDOW_M, WINDOW_DEG = 400.0, 3.0  # how far off a radar may be
NEAR_M, FAR_M = 800.0, 25_000.0  # nearer, a ship's own size is an angle
UNDER_WAY_MPS = 0.5
AGREE_M, AGREE_DEG = 50.0, 0.45  # how ships scatter around the truth, one sigma, before anything is known
INSIDE = 3.0  # of these sigmas: the ship counts
MIN_SHIPS = 5
MIN_SPAN_DEG = 60.0
SHUFFLES = 40  # times that the ships' offsets are shifted against each other to see what chance agrees on
AT_ONCE = 50_000  # pairs of candidates in one step: 400 kB
BEYOND_CHANCE = 1.0  # votes above the most that chance gave
PRIOR_SHIPS = 8  # the scatter that is expected beforehand counts as much as that of so many ships
TRUST_M, TRUST_DEG = 40.0, 0.25  # standard errors up to which a correction is better than none
AIS_M = 25.0  # a ship's place is uncertain by its antenna, its length and the report's age: an angle, close by
_BIWEIGHT = 4.685
_NORMAL_MAD = 1.4826


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One ship and one echo that may be it: where the ship is, and radar less AIS."""

    ship: int
    range_m: float
    bearing_deg: float
    off_m: float
    off_deg: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bias:
    """Radar less AIS with standard errors; `ships` that agree on it; `trusted`, or `sentence` says why not."""

    range_m: float
    sigma_range_m: float
    bearing_deg: float
    sigma_bearing_deg: float
    ships: int
    span_deg: float
    trusted: bool
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Residual:
    """What the other ships' bias leaves of one ship's offset."""

    ship: int
    range_m: float
    bearing_deg: float
    off_m: float
    off_deg: float


def in_window(off_m: float, off_deg: float, range_m: float) -> bool:
    """Whether an echo that far off, `off_deg` in [-180, 180), may be a ship at `range_m`."""
    return NEAR_M <= range_m <= FAR_M and abs(off_m) <= WINDOW_M and abs(off_deg) <= WINDOW_DEG


def estimate(candidates: Sequence[Candidate]) -> Bias:
    """The bias on which the ships of the candidates agree."""
    ships = list(dict.fromkeys(c.ship for c in candidates))
    if len(ships) < MIN_SHIPS:
        return _refused(f"{len(ships)} ships under way with an echo near them; {MIN_SHIPS} are needed")
    rows = _table(candidates)
    number = np.unique([c.ship for c in candidates], return_inverse=True)[1]
    votes, *offset = _consensus(rows, number)
    own = _own(rows, number, *offset)
    if len(own) < MIN_SHIPS:
        return _refused(f"{len(own)} of {len(ships)} ships agree on an offset; {MIN_SHIPS} are needed")
    range_m, sigma_m, spread_m = _centre(own[:, 2], np.full(len(own), AGREE_M))
    deg, sigma_deg, spread_deg = _centre(own[:, 3], np.hypot(AGREE_DEG, np.degrees(AIS_M / own[:, 0])))
    span = _span(own[:, 1])
    sentence = ""
    if votes < _chance(rows, number) + BEYOND_CHANCE:
        sentence = f"{len(own)} of {len(ships)} ships agree on an offset: no more than chance would give"
    elif span < MIN_SPAN_DEG:
        sentence = (
            f"the ships that agree lie within {span:.0f} degrees: an error of the site's place would look the same"
        )
    elif sigma_m > TRUST_M or sigma_deg > TRUST_DEG:
        sentence = f"the ships disagree by {spread_m:.0f} m and {spread_deg:.2f} deg: more of them are needed"
    return Bias(
        range_m=range_m, sigma_range_m=sigma_m, bearing_deg=deg, sigma_bearing_deg=sigma_deg, ships=len(own),
        span_deg=span, trusted=not sentence,
        sentence=sentence or f"{len(own)} ships over {span:.0f} degrees agree",
    )  # fmt: skip


def leave_one_out(candidates: Sequence[Candidate]) -> list[Residual]:
    """For each ship: the bias that all the others give, taken from the ship's echo nearest to what they say."""
    out = []
    for ship in dict.fromkeys(c.ship for c in candidates):
        others = estimate([c for c in candidates if c.ship != ship])
        mine = _table([c for c in candidates if c.ship == ship])
        own = _own(mine, np.zeros(len(mine), dtype=np.int64), others.range_m, others.bearing_deg)
        if others.ships and len(own):
            r, b, m, deg = own[0].tolist()
            out.append(
                Residual(
                    ship=ship, range_m=r, bearing_deg=b, off_m=m - others.range_m, off_deg=deg - others.bearing_deg
                )
            )
    return out


def _refused(sentence: str) -> Bias:
    return Bias(
        range_m=0.0, sigma_range_m=math.inf, bearing_deg=0.0, sigma_bearing_deg=math.inf, ships=0, span_deg=0.0,
        trusted=False, sentence=sentence,
    )  # fmt: skip


def _table(candidates: Sequence[Candidate]) -> Floats:
    return np.array([(c.range_m, c.bearing_deg, c.off_m, c.off_deg) for c in candidates], dtype=np.float64)


def _distance(rows: Floats, off_m: Floats | float, off_deg: Floats | float) -> Floats:
    sigma_deg = np.hypot(AGREE_DEG, np.degrees(AIS_M / rows[:, 0]))
    return np.asarray(((rows[:, 2] - off_m) / AGREE_M) ** 2 + ((rows[:, 3] - off_deg) / sigma_deg) ** 2)


def _consensus(rows: Floats, ship: Ints) -> tuple[float, float, float]:
    """Votes for the candidate around which the most ships have one, and its offsets. A ship votes once, by its best."""
    sigma_deg = np.hypot(AGREE_DEG, np.degrees(AIS_M / rows[:, 0]))
    votes = _votes(rows[None, :, 2], rows[None, :, 3], sigma_deg, ship)[0]
    best = int(np.argmax(votes))
    return float(votes[best]), float(rows[best, 2]), float(rows[best, 3])


def _votes(off_m: Floats, off_deg: Floats, sigma_deg: Floats, ship: Ints) -> Floats:
    """Votes (k, n) for each candidate in k sets of the same candidates' offsets, each (k, n)."""
    order = np.argsort(ship, kind="stable")
    first = first_of_each(ship[order]).nonzero()[0]
    d2 = ((off_m[:, :, None] - off_m[:, None, order]) / AGREE_M) ** 2
    d2 += ((off_deg[:, :, None] - off_deg[:, None, order]) / sigma_deg[order]) ** 2
    return np.asarray(np.exp(-0.5 * np.minimum.reduceat(d2, first, axis=2)).sum(axis=2))


def _chance(rows: Floats, ship: Ints) -> float:
    """The most votes that ships agree by when each ship's offsets are shifted by its own amount, around the window.

    The shifts are the fractions of multiples of two irrational numbers: spread evenly, and the same every time.
    """
    sigma_deg = np.hypot(AGREE_DEG, np.degrees(AIS_M / rows[:, 0]))
    some = max(AT_ONCE // len(rows) ** 2, 1)
    most = 0.0
    for start in range(1, SHUFFLES + 1, some):
        k = np.arange(start, min(start + some, SHUFFLES + 1))[:, None]
        off_m, off_deg = (
            (v + width + (k * (ship + 1) * step + ship * ship * 0.618033989) % 1.0 * 2.0 * width) % (2.0 * width)
            - width
            for v, width, step in ((rows[:, 2], WINDOW_M, 0.754877666), (rows[:, 3], WINDOW_DEG, 0.569840291))
        )
        most = max(most, float(_votes(off_m, off_deg, sigma_deg, ship).max()))
    return most


def _own(rows: Floats, ship: Ints, off_m: float, off_deg: float) -> Floats:
    """One row per ship that has candidates near the offset: the mean of these. Twice, around what they say."""
    own = np.empty((0, 4))
    for _ in range(2):
        near = _distance(rows, off_m, off_deg) <= INSIDE**2
        if not near.any():
            return np.empty((0, 4))
        names, which = np.unique(ship[near], return_inverse=True)
        n = np.bincount(which)
        own = np.stack([np.bincount(which, rows[near, k]) / n for k in range(4)], axis=1)
        first = np.searchsorted(which[np.argsort(which, kind="stable")], np.arange(len(names)))
        own[:, 1] = rows[near, 1][np.argsort(which, kind="stable")][first]  # a mean of bearings would break at north
        if len(names) > 2:
            off_m, off_deg = float(np.median(own[:, 2])), float(np.median(own[:, 3]))
    return own


def _centre(v: Floats, sigma: Floats) -> tuple[float, float, float]:
    """Biweight mean with its standard error and the ships' spread; `sigma` says which ships can say less."""
    w0 = 1.0 / (sigma * sigma)
    middle = float(np.median(v))
    weight = w0
    for _ in range(10):
        scale = max(_NORMAL_MAD * float(np.median(np.abs(v - middle) / sigma)), 0.2)
        u = np.clip((v - middle) / (sigma * scale * _BIWEIGHT), -1.0, 1.0)
        weight = w0 * (1.0 - u * u) ** 2
        middle = float((weight * v).sum() / weight.sum())
    n, total = len(v), float(weight.sum())
    spread = float((weight**2 * (v - middle) ** 2).sum()) / total**2 * n / (n - 2.0)
    error = math.sqrt((n * spread + PRIOR_SHIPS / total) / (n + PRIOR_SHIPS))  # a few ships may agree by luck
    return middle, error, float(_NORMAL_MAD * np.median(np.abs(v - middle)))


def _span(bearing_deg: Floats) -> float:
    """Degrees between the outermost bearings, the largest gap being outside."""
    b = np.sort(bearing_deg % 360.0)
    gaps = np.diff(np.concatenate((b, [b[0] + 360.0])))
    return 360.0 - float(gaps.max())
