"""Hits and misses of each track, sensor by sensor: M of N to confirm, misses of scans to end.

Promises:
- a sensor counts misses only against tracks that it has seen: what one sensor cannot see, another one keeps alive;
- a radar counts turns of its antenna; a camera counts windows of at least a second, however many frames it takes, so
  that thirty frames of one wave are not thirty sightings.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from agent.tracking.arrays import dump, load

if TYPE_CHECKING:
    from agent.tracking.arrays import Bits, Bools, Floats, Ints

ASIDE_HITS = 10  # over which a sensor's distance from a track is averaged
CAMERA_WINDOW_S = 1.0
CAMERA_FACTOR = 2  # a camera needs twice the hits of twice the windows


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """M of N and misses of scans for one kind of sensor; `window_s` 0: every look counts."""

    confirm_hits: int
    confirm_scans: int
    delete_misses: int
    delete_scans: int
    window_s: float = 0.0

    def slow(self) -> Policy:
        """The camera's policy that belongs to this radar policy."""
        return Policy(
            confirm_hits=self.confirm_hits * CAMERA_FACTOR,
            confirm_scans=min(self.confirm_scans * CAMERA_FACTOR, 64),
            delete_misses=self.delete_misses * CAMERA_FACTOR,
            delete_scans=min(self.delete_scans * CAMERA_FACTOR, 64),
            window_s=CAMERA_WINDOW_S,
        )


@dataclass(slots=True, kw_only=True)
class History:
    """What one sensor saw of each track. Rows go with the track table's rows.

    `bits`: bit 0 is the newest window; `age`: windows since its first hit; `last_s`: its newest hit (-inf: none);
    `mark_s`: where the newest window began; `active`: whether this sensor still sees the track; `aside` (n, 3): how
    far east and north of the track its plots lie in the mean, and of how many: the track is also what others show.
    """

    bits: Bits
    age: Ints
    last_s: Floats
    mark_s: Floats
    active: Bools
    aside: Floats

    @classmethod
    def empty(cls, n: int) -> History:
        """For `n` tracks that the sensor has not seen."""
        return cls(
            bits=np.zeros(n, dtype=np.uint64), age=np.zeros(n, dtype=np.int64), last_s=np.full(n, -np.inf),
            mark_s=np.full(n, -np.inf), active=np.zeros(n, dtype=np.bool_), aside=np.zeros((n, 3)),
        )  # fmt: skip

    def keep(self, rows: Bools) -> None:
        """Only these rows."""
        self.bits, self.age, self.last_s = self.bits[rows], self.age[rows], self.last_s[rows]
        self.mark_s, self.active, self.aside = self.mark_s[rows], self.active[rows], self.aside[rows]

    def grow(self, n: int) -> None:
        """`n` more rows, unseen."""
        new = History.empty(n)
        self.bits = np.concatenate((self.bits, new.bits))
        self.age = np.concatenate((self.age, new.age))
        self.last_s = np.concatenate((self.last_s, new.last_s))
        self.mark_s = np.concatenate((self.mark_s, new.mark_s))
        self.active = np.concatenate((self.active, new.active))
        self.aside = np.concatenate((self.aside, new.aside))

    def record(self, hit: Bools, at_s: float, policy: Policy, looked: Bools | None = None) -> Bools:
        """One look of the sensor, at the rows that it `looked` at or hit. Returns those whose new window began."""
        begun: Bools = at_s - self.mark_s >= policy.window_s
        if looked is not None:
            begun &= looked | hit
        fresh = hit & ~self.active  # a window begins anew where the sensor had given the track up a moment ago
        new: Bools = ((self.active | hit) & begun) | fresh
        self.bits = np.where(fresh, np.uint64(0), self.bits)
        self.age = np.where(fresh, 0, self.age)
        self.aside[fresh] = 0.0
        shifted = np.where(new, self.bits << np.uint64(1), self.bits)
        self.bits = np.bitwise_or(shifted, hit.astype(np.uint64))
        self.age = np.where(new, np.minimum(self.age + 1, 64), self.age)
        self.mark_s = np.where(new, at_s, self.mark_s)
        self.last_s = np.where(hit, at_s, self.last_s)
        self.active = self.active | hit
        return new

    def lies(self, rows: Ints, off: Floats) -> None:
        """A plot of this sensor lay `off` (n, 2) from each of `rows`."""
        n = np.minimum(self.aside[rows, 2] + 1.0, ASIDE_HITS)
        self.aside[rows, :2] += (off - self.aside[rows, :2]) / n[:, None]
        self.aside[rows, 2] = n

    def confirmable(self, policy: Policy) -> tuple[Bools, Bools]:
        """(reached M of N, can still reach it), per row."""
        hits = self.hits(policy.confirm_scans)
        rest = np.maximum(policy.confirm_scans - self.age, 0)
        return hits >= policy.confirm_hits, hits + rest >= policy.confirm_hits

    def missed_too_often(self, policy: Policy) -> Bools:
        """More than `delete_misses` of the last `delete_scans` windows were misses, the newest among them."""
        n = np.minimum(self.age, policy.delete_scans)
        misses = n - self.hits(policy.delete_scans)
        over: Bools = (misses > policy.delete_misses) & ((self.bits & np.uint64(1)) == 0)
        return over

    def second(self, rows: Bools) -> Bools:
        """Whether these rows were hit in the second window of their lives."""
        at = np.maximum(self.age[rows] - 2, 0).astype(np.uint64)
        out: Bools = ((self.bits[rows] >> at) & np.uint64(1) == 1) & (self.age[rows] >= 2)
        return out

    def hits(self, windows: int) -> Ints:
        """Hits among the newest `windows`."""
        hits: Ints = np.bitwise_count(self.bits & np.uint64((1 << windows) - 1)).astype(np.int64)
        return hits

    def state(self) -> list[Any]:
        """For the checkpoint."""
        return [dump(a) for a in (self.bits, self.age, self.last_s, self.mark_s, self.active, self.aside)]

    @classmethod
    def restore(cls, data: Any) -> History:
        """What `state` was made of."""
        bits, age, last_s, mark_s, active, aside = (load(a) for a in data)
        return cls(bits=bits, age=age, last_s=last_s, mark_s=mark_s, active=active, aside=aside)
