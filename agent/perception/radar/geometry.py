"""Which range a radar's video has now, and what was learned at the ranges that it had before.

Promises:
- spokes of another range or sample count are held back; the range has changed once `SPOKES` of them (an eighth of a
  turn at most) outweigh those that still fit, two to one. Then none is lost: they are the first of the new picture;
- others are dropped and counted: an odd datagram, a second radar on the same stream;
- what was learned at the last `KEPT` ranges before is kept, as long as these have `KEPT_CELLS` cells together: a radar
  that goes back to one has its map again.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from agent.drivers.radar.video import Spoke
    from agent.perception.radar.clutter import ClutterMap
    from agent.perception.radar.land import KnownLand
    from agent.perception.radar.recall import Recall

SPOKES = 64  # two Navico datagrams: one alone changes nothing
KEPT = 2
KEPT_CELLS = 2**23  # about five bytes each
_AGAINST = 2  # held spokes that one which fits outweighs


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """What belongs to one range: `mask` (azimuths, cells) is True where nothing is looked for, or (0, 0)."""

    clutter: ClutterMap
    land: KnownLand
    mask: NDArray[np.bool_]
    recall: Recall


class Candidate:
    """Spokes that may be the first of another range."""

    def __init__(self, azimuths: int) -> None:
        self._needed = min(SPOKES, azimuths // 8)
        self._held: deque[Spoke] = deque()

    def against(self) -> int:
        """A spoke of the present range came. Returns how many held ones are dropped for it."""
        if not self._held:
            return 0
        dropped = min(_AGAINST, len(self._held))
        for _ in range(dropped):
            self._held.popleft()
        return dropped

    def other(self, spoke: Spoke) -> tuple[tuple[Spoke, ...], int]:
        """A spoke of another range came.

        Returns (the spokes to go on with, once theirs is the new range; how many are dropped).
        """
        held = self._held
        if held and (held[-1].range_m, len(held[-1].samples)) != (spoke.range_m, len(spoke.samples)):
            held.popleft()
            return (), 2
        held.append(spoke)
        if len(held) < self._needed:
            return (), 0
        ready = tuple(held)
        held.clear()
        return ready, 0


class Shelf:
    """What was learned at ranges that the radar does not have now, the latest last."""

    def __init__(self) -> None:
        self._kept: dict[tuple[float, int], Learned] = {}

    def put(self, learned: Learned) -> None:
        """Keep it, and no more than may be kept."""
        kept = self._kept
        kept[learned.clutter.range_m, learned.clutter.shape[1]] = learned
        while len(kept) > KEPT or sum(v.clutter.shape[0] * v.clutter.shape[1] for v in kept.values()) > KEPT_CELLS:
            del kept[next(iter(kept))]

    def take(self, range_m: float, cells: int) -> Learned | None:
        """What was learned at that range, if it is still there."""
        return self._kept.pop((range_m, cells), None)
