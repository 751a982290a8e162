"""All contacts of the site's own radars and cameras, as columns: one row per track.

Promises:
- every column has one entry per row, in order of birth; rows leave all columns together;
- `state()` holds every bit of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from agent.tracking.arrays import dump, load
from agent.tracking.history import History

if TYPE_CHECKING:
    from agent.tracking.arrays import Bools, Floats, Ints

_COLUMNS = (
    "x",
    "p",
    "t",
    "id",
    "confirmed",
    "confirmed_s",
    "born_s",
    "hit_s",
    "fix_s",
    "hits",
    "nis",
    "anchor",
    "anchor_s",
)


def _floats(*shape: int) -> Floats:
    return np.empty(shape, dtype=np.float64)


@dataclass(slots=True, kw_only=True)
class TrackTable:
    """Columns of n tracks.

    `x` (n, 4), `p` (n, 4, 4): state and covariance at time `t`; `id` 0 until the track is worth a name; `hit_s` newest
    look that saw it, `fix_s` newest one that gave a position; `nis` fading mean of the normalised innovation (2 in
    theory); `anchor` (n, 2) since `anchor_s`: where the track has been standing, if it stands.
    """

    x: Floats = field(default_factory=lambda: _floats(0, 4))
    p: Floats = field(default_factory=lambda: _floats(0, 4, 4))
    t: Floats = field(default_factory=lambda: _floats(0))
    id: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    confirmed: Bools = field(default_factory=lambda: np.empty(0, dtype=np.bool_))
    confirmed_s: Floats = field(default_factory=lambda: _floats(0))
    born_s: Floats = field(default_factory=lambda: _floats(0))
    hit_s: Floats = field(default_factory=lambda: _floats(0))
    fix_s: Floats = field(default_factory=lambda: _floats(0))
    hits: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    nis: Floats = field(default_factory=lambda: _floats(0))
    anchor: Floats = field(default_factory=lambda: _floats(0, 2))
    anchor_s: Floats = field(default_factory=lambda: _floats(0))
    seen: dict[str, History] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.t)

    def history(self, source: str) -> History:
        """What `source` saw of each row."""
        if source not in self.seen:
            self.seen[source] = History.empty(len(self))
        return self.seen[source]

    def append(self, x: Floats, p: Floats, at_s: float) -> None:
        """New tentative tracks, seen once at `at_s`; their sensor records the hit itself."""
        n = len(x)
        now = np.full(n, at_s)
        self.x, self.p, self.t = np.concatenate((self.x, x)), np.concatenate((self.p, p)), np.concatenate((self.t, now))
        self.id = np.concatenate((self.id, np.zeros(n, dtype=np.int64)))
        self.confirmed = np.concatenate((self.confirmed, np.zeros(n, dtype=np.bool_)))
        self.confirmed_s = np.concatenate((self.confirmed_s, np.full(n, np.inf)))
        self.born_s = np.concatenate((self.born_s, now))
        self.hit_s, self.fix_s = np.concatenate((self.hit_s, now)), np.concatenate((self.fix_s, now))
        self.hits = np.concatenate((self.hits, np.ones(n, dtype=np.int64)))
        self.nis = np.concatenate((self.nis, np.full(n, 2.0)))
        self.anchor = np.concatenate((self.anchor, x[:, :2]))
        self.anchor_s = np.concatenate((self.anchor_s, now))
        for h in self.seen.values():
            h.grow(n)

    def keep(self, rows: Bools) -> None:
        """Only these rows."""
        for name in _COLUMNS:
            setattr(self, name, getattr(self, name)[rows])
        for h in self.seen.values():
            h.keep(rows)

    def state(self) -> list[Any]:
        """For the checkpoint."""
        return [[dump(getattr(self, name)) for name in _COLUMNS], [[s, h.state()] for s, h in self.seen.items()]]

    @classmethod
    def restore(cls, data: Any) -> TrackTable:
        """What `state` was made of."""
        columns, seen = data
        arrays: dict[str, Any] = {name: load(a) for name, a in zip(_COLUMNS, columns, strict=True)}
        table = cls(**arrays)
        table.seen = {s: History.restore(h) for s, h in seen}
        return table
