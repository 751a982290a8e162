"""What one radar's false echoes are like: how often they come again, and how strong they are.

Promises:
- both are learned ring by ring from what was judged false, over some `TURNS` turns: how many of the tentative
  tracks that ended unconfirmed were seen in their second turn, and the amplitudes of echoes that no track explains;
- as long as little is known both say nothing; what one echo's amplitude can say is bounded (`MOST`), since a bright
  spike is bright again in the next turn;
- an echo `STRONG_DB` over the threshold never counts against a vessel, whatever was learned: ships are that strong, and
  their first echoes, which no track explains yet, are learned like false ones;
- memory and work are fixed; `state()` holds every bit.

A vessel's echo fades as Swerling I about a mean that may lie from little to far above the detector's threshold
(Skolnik, Radar Handbook, ch. 2); the threshold is taken from the weakest of the false echoes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from agent.tracking.arrays import dump, load
from agent.tracking.density import rings

if TYPE_CHECKING:
    from agent.tracking.arrays import Bools, Floats, Ints

TURNS = 2000
AGAIN = 0.1  # how many false echoes come again, before anything is known ...
AGAIN_N = 20.0  # ... as if so many had been seen
AGAIN_LEAST, AGAIN_MOST = 0.02, 0.5
STEP_DB, LOWEST_DB, STEPS = 2.0, -20.0, 64
RINGS = 8  # each two of agent/tracking/density.py
LEVEL_N = 30.0  # echoes of a ring from which on their amplitudes count
WEAKEST = 0.01  # this share of the false echoes lies below the threshold
MOST = 2.5
STRONG_DB = 20.0


def _vessel() -> Floats:
    """How likely a detected vessel's echo lies 0, 1, 2 ... steps over the threshold."""
    edge = 10.0 ** (np.arange(STEPS + 1) * STEP_DB / 10.0) - 1.0
    mean = 0.3 * 10.0 ** np.linspace(0.0, 2.0, 9)  # over the threshold: from often missed to always seen
    left = np.exp(-edge[None, :] / mean[:, None]).mean(axis=0)
    return np.asarray(np.maximum(left[:-1] - left[1:], 1e-6))


_VESSEL = _vessel()


class FalseEchoes:
    """Of one radar."""

    def __init__(self) -> None:
        self._ended: Floats = np.zeros(
            (2 * RINGS, 2)
        )  # tracks that came to nothing; those seen in their second turn ...
        self._chance: Floats = np.zeros(2 * RINGS)  # ... and how many of all would have been by mere chance
        self._level: Floats = np.zeros((RINGS, STEPS))

    def again(self, ring: Ints) -> Floats:
        """How likely a false echo in these rings (n,) is followed by another one in the next turn."""
        seen, more = self._ended[:, 0], self._ended[:, 1] - self._chance
        everywhere = max((more.sum() + AGAIN_N * AGAIN) / (seen.sum() + AGAIN_N), 0.0)
        here = (more + AGAIN_N * everywhere) / (seen + AGAIN_N)
        return np.asarray(np.minimum(np.maximum(here, AGAIN_LEAST), AGAIN_MOST)[ring])

    def brightness(self, ring: Ints, amplitude_db: Floats) -> Floats:
        """Log of how much likelier a vessel has this amplitude than a false echo there; 0 where it is nan."""
        if not len(ring):
            return np.zeros(0)
        count = self._level
        n = count.sum(axis=1)
        floor = np.argmax(count.cumsum(axis=1) > WEAKEST * n[:, None], axis=1)
        known = np.isfinite(amplitude_db)
        two, step = ring // 2, _step(np.where(known, amplitude_db, 0.0))
        over = np.maximum(step - floor[two], 0)
        vessel = _VESSEL[over]
        clutter = (count[two, step] + LEVEL_N * vessel) / (n[two] + LEVEL_N)
        least = np.where(over * STEP_DB >= STRONG_DB, 0.0, -MOST)
        out: Floats = np.where(known, np.minimum(np.maximum(np.log(vessel / clutter), least), MOST), 0.0)
        return out

    def learn(self, ring: Ints, amplitude_db: Floats) -> None:
        """One turn's unexplained echoes."""
        keep = 1.0 - 1.0 / TURNS
        self._ended *= keep
        self._chance *= keep
        self._level *= keep
        known = np.isfinite(amplitude_db)
        cell = ring[known] // 2 * STEPS + _step(amplitude_db[known])
        self._level += np.bincount(cell, minlength=RINGS * STEPS).reshape(RINGS, STEPS)

    def begun(self, ring: Ints, chance: Floats) -> None:
        """Tentative tracks that begin in these rings; `chance`: of a false echo in the gate of their second turn."""
        self._chance += np.bincount(ring, chance, 2 * RINGS)

    def ended(self, z: Floats, again: Bools) -> None:
        """Tentative tracks that ended at `z` (n, 2); `again`: whether they were seen in their second turn."""
        ring = rings(z)
        self._ended[:, 0] += np.bincount(ring, minlength=2 * RINGS)
        self._ended[:, 1] += np.bincount(ring, again, 2 * RINGS)

    def state(self) -> list[Any]:
        """For the checkpoint."""
        return [dump(self._ended), dump(self._chance), dump(self._level)]

    @classmethod
    def restore(cls, data: Any) -> FalseEchoes:
        """What `state` was made of."""
        out = cls()
        out._ended, out._chance, out._level = (load(a) for a in data)
        return out


def _step(amplitude_db: Floats) -> Ints:
    return np.minimum(np.maximum((amplitude_db - LOWEST_DB) / STEP_DB, 0), STEPS - 1).astype(np.int64)
