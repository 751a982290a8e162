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
from agent.tracking.imm import MODES, Modes, combine

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
    "score",
    "anchor",
    "anchor_s",
)
_MODES = ("mode_x", "mode_p", "mu", "held_s")


def _floats(*shape: int) -> Floats:
    return np.empty(shape, dtype=np.float64)


@dataclass(slots=True, kw_only=True)
class TrackTable:
    """Columns of n tracks.

    `x` (n, 4), `p` (n, 4, 4): state and covariance at time `t`; `id` 0 until the track is worth a name; `hit_s` newest
    look that saw it, `fix_s` newest one that gave a position; `score` log of how much likelier a tentative track is a
    vessel's than clutter's; `anchor` (n, 2) since `anchor_s`: where the track has been standing, if it stands;
    `mode_x`, `mode_p`, `mu`, `held_s` the modes (imm.Modes) of confirmed tracks, whose mixture `x`, `p` is; else 0.
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
    score: Floats = field(default_factory=lambda: _floats(0))
    anchor: Floats = field(default_factory=lambda: _floats(0, 2))
    anchor_s: Floats = field(default_factory=lambda: _floats(0))
    mode_x: Floats = field(default_factory=lambda: _floats(0, MODES, 5))
    mode_p: Floats = field(default_factory=lambda: _floats(0, MODES, 5, 5))
    mu: Floats = field(default_factory=lambda: _floats(0, MODES))
    held_s: Floats = field(default_factory=lambda: _floats(0))
    seen: dict[str, History] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.t)

    def history(self, source: str) -> History:
        """What `source` saw of each row."""
        if source not in self.seen:
            self.seen[source] = History.empty(len(self))
        return self.seen[source]

    def append(self, x: Floats, p: Floats, t: Floats, at_s: float) -> None:
        """New tentative tracks at times `t` (n,), seen in the look of `at_s`; their sensor records the hit itself."""
        n = len(x)
        if not n:
            return
        now = np.full(n, at_s)
        self.x, self.p, self.t = np.concatenate((self.x, x)), np.concatenate((self.p, p)), np.concatenate((self.t, t))
        self.id = np.concatenate((self.id, np.zeros(n, dtype=np.int64)))
        self.confirmed = np.concatenate((self.confirmed, np.zeros(n, dtype=np.bool_)))
        self.confirmed_s = np.concatenate((self.confirmed_s, np.full(n, np.inf)))
        self.born_s = np.concatenate((self.born_s, now))
        self.hit_s, self.fix_s = np.concatenate((self.hit_s, now)), np.concatenate((self.fix_s, now))
        self.hits = np.concatenate((self.hits, np.ones(n, dtype=np.int64)))
        self.score = np.concatenate((self.score, np.zeros(n)))
        self.anchor = np.concatenate((self.anchor, x[:, :2]))
        self.anchor_s = np.concatenate((self.anchor_s, now))
        for name in _MODES:
            column = getattr(self, name)
            setattr(self, name, np.concatenate((column, np.zeros((n, *column.shape[1:])))))
        for h in self.seen.values():
            h.grow(n)

    def modes(self, rows: Ints) -> Modes:
        """The modes of these confirmed rows."""
        return Modes(x=self.mode_x[rows], p=self.mode_p[rows], mu=self.mu[rows], held_s=self.held_s[rows])

    def set_modes(self, rows: Ints, m: Modes) -> None:
        """Take over modes, and their mixture as the rows' state."""
        self.mode_x[rows], self.mode_p[rows], self.mu[rows], self.held_s[rows] = m.x, m.p, m.mu, m.held_s
        self.x[rows], self.p[rows] = combine(m)

    def keep(self, rows: Bools) -> None:
        """Only these rows."""
        for name in (*_COLUMNS, *_MODES):
            setattr(self, name, getattr(self, name)[rows])
        for h in self.seen.values():
            h.keep(rows)

    def state(self) -> list[Any]:
        """For the checkpoint."""
        firm = np.flatnonzero(self.confirmed)
        return [
            [dump(getattr(self, name)) for name in _COLUMNS],
            [dump(getattr(self, name)[firm]) for name in _MODES],
            [[s, h.state()] for s, h in self.seen.items()],
        ]

    @classmethod
    def restore(cls, data: Any) -> TrackTable:
        """What `state` was made of."""
        columns, modes, seen = data
        arrays: dict[str, Any] = {name: load(a) for name, a in zip(_COLUMNS, columns, strict=True)}
        firm = np.flatnonzero(arrays["confirmed"])
        for name, row in zip(_MODES, modes, strict=True):
            values = load(row)
            arrays[name] = np.zeros((len(arrays["t"]), *values.shape[1:]))
            arrays[name][firm] = values
        table = cls(**arrays)
        table.seen = {s: History.restore(h) for s, h in seen}
        return table
