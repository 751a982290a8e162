"""The contacts of the site's own radars and cameras: one scan or view at a time.

Promises:
- a function of what was fed in: no clock, no randomness, no order that hashing decides;
- a sensor that falls silent ends no track before `coast_s`; a sensor that looks and misses ends only its own share of
  a track, and a track ends when no sensor has a share left;
- an id, once shown, belongs to that track for ever; of two tracks of one echo the older id survives (`merged`);
- a turn that arrives after a later one of the same source is dropped and counted (`late`).

State vectors and covariances live in `TrackTable`; IMM or JPDA replace `kalman` or `association` behind this class.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from agent.tracking import initiation, kalman, measure
from agent.tracking.association import assign, gate
from agent.tracking.bearings import BearingTracks
from agent.tracking.duplicates import Duplicates
from agent.tracking.history import Policy
from agent.tracking.table import TrackTable

if TYPE_CHECKING:
    from agent.config.schema import Tracking
    from agent.messages import Bearing, Scan, View
    from agent.tracking.arrays import Bools, Floats, Ints

SHOWN_HITS = 2  # a tentative track gets an id (and may be shown) from its second hit on
MANOEUVRE_NIS = 4.0  # twice what theory says: the vessel turns, let its track follow
MANOEUVRE_MAX = 30.0
TENTATIVE_ROWS = 5  # rows of the table per confirmed track allowed
TENTATIVE_SILENCE_S = 15.0
STATIC_MOVE_M = 50.0  # plus three sigmas: less than this is not a movement
BEARING_SIGMA_MAX_DEG = 3.0  # a contact known worse than this explains no bearing
CAMERA_RANGE_BIAS = 0.1  # tide and pitch make a camera's range wrong by this share, in the same direction for hours


class Ids:
    """A counter that never gives a number twice."""

    def __init__(self, last: int = 0) -> None:
        self.last = last

    def take(self) -> int:
        """The next number."""
        self.last += 1
        return self.last


@dataclass(slots=True, kw_only=True)
class Source:
    """What is known of a sensor's rhythm."""

    last_s: float
    period_s: float = 0.0
    camera: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Contacts:
    """All named contacts with a position, predicted to one time: rows as in the table."""

    row: Ints
    id: Ints
    x: Floats
    p: Floats
    confirmed: Bools
    coasting: Bools
    static: Bools


class Tracker:
    """See the module. `ids` is shared with whoever else names tracks."""

    def __init__(self, settings: Tracking, height_m: float, ids: Ids) -> None:
        self._set = settings
        self._height_m = height_m
        self._ids = ids
        self._radar = Policy(
            confirm_hits=settings.confirm_hits, confirm_scans=settings.confirm_scans,
            delete_misses=settings.delete_misses, delete_scans=settings.delete_scans,
        )  # fmt: skip
        self._camera = self._radar.slow()
        self.table = TrackTable()
        self.bearings = BearingTracks()
        self.duplicates = Duplicates()
        self.sources: dict[str, Source] = {}
        self.votes: dict[int, dict[str, float]] = {}
        self.merged: list[tuple[int, int]] = []  # (id that ended, id that goes on), until somebody takes them
        self.late = 0

    # ------------------------------------------------------------------ what comes in

    def scan(self, scan: Scan) -> None:
        """One antenna turn, also an empty one."""
        if not self._on_time(scan.source, scan.at_s, scan.period_s, camera=False):
            return
        z, r = measure.plots(scan.plots, self._height_m)
        hit = np.zeros(len(self.table), dtype=np.bool_)
        self._positions(scan.source, scan.at_s, z, r, self._radar, hit)

    def view(self, view: View, others_x: Floats, others_p: Floats) -> list[int]:
        """One camera frame. `others` (n, 4), (n, 4, 4): vessels known by other means, predicted to the frame.

        Returns the rows of `others` that a bearing shows.
        """
        if not self._on_time(view.source, view.at_s, None, camera=True):
            return []
        rows = measure.usable_bearings(view.bearings)
        free, hit, shown = self._explain(view, rows, others_x, others_p)
        taken = [b for b, f in zip(rows, free, strict=True) if not f]
        for t in self.bearings.explained(view.source, taken, view.at_s, self._set.bearing_gate_chi2):
            self.votes.pop(t.id, None)
        left = [b for b, f in zip(rows, free, strict=True) if f]
        ranged = [b for b in left if b.range_m is not None]
        z, r = _bearing_positions(ranged)
        ids = self._positions(view.source, view.at_s, z, r, self._camera, hit)
        blind = [b for b in left if b.range_m is None]
        ids += self.bearings.look(view.source, blind, view.at_s, self._set.bearing_gate_chi2, self._camera)
        for b, i in zip(ranged + blind, ids, strict=True):
            self._vote(i, b)
        for t in self.bearings.tracks:
            if not t.id and t.hits >= SHOWN_HITS:
                t.id = self._ids.take()
        return shown

    def tick(self, now_s: float) -> None:
        """Time passes: end what nobody has seen for too long, notice what stands still."""
        tab = self.table
        slowest = max((s.period_s for s in self.sources.values()), default=0.0)
        coast = max(self._set.coast_s, 4.0 * slowest)
        tentative = max(TENTATIVE_SILENCE_S, 4.0 * slowest)
        alive = np.where(tab.confirmed, now_s - tab.fix_s <= coast, now_s - tab.hit_s <= tentative)
        if not alive.all():
            tab.keep(alive)
        self.bearings.expire(now_s, self._set.coast_s)
        moved = np.hypot(tab.x[:, 0] - tab.anchor[:, 0], tab.x[:, 1] - tab.anchor[:, 1])
        away = moved > STATIC_MOVE_M + 3.0 * np.sqrt(np.maximum(tab.p[:, 0, 0], tab.p[:, 1, 1]))
        tab.anchor[away] = tab.x[away, :2]
        tab.anchor_s[away] = tab.t[away]
        known = dict.fromkeys(tab.id.tolist() + [t.id for t in self.bearings.tracks])
        self.votes = {i: v for i, v in self.votes.items() if i in known}

    # ------------------------------------------------------------------ what goes out

    def contacts(self, now_s: float) -> Contacts:
        """The named contacts as predicted to `now_s`."""
        tab = self.table
        row = np.flatnonzero(tab.id > 0)
        x, p = self._predicted(row, now_s)
        quiet = np.full(len(row), 3.0)
        for s, h in tab.seen.items():
            allowed = max(2.5 * self.sources[s].period_s, 3.0)
            quiet = np.maximum(quiet, np.where(h.active[row], allowed, 0.0))
        still = (now_s - tab.anchor_s[row] >= self._set.static_after_s) & tab.confirmed[row]
        return Contacts(
            row=row, id=tab.id[row], x=x, p=p, confirmed=tab.confirmed[row],
            coasting=now_s - tab.hit_s[row] > quiet, static=still,
        )  # fmt: skip

    def sources_of(self, row: int) -> tuple[str, ...]:
        """The sensors that see the contact in this row of the table."""
        return tuple(s for s, h in self.table.seen.items() if h.active[row])

    def radar_share(self, row: int) -> float:
        """The best sensor's hits among its newest ten looks at the contact, 0..1."""
        best = 0.0
        for h in self.table.seen.values():
            if h.active[row]:
                n = min(int(h.age[row]), 10)
                best = max(best, int(h.bits[row] & np.uint64((1 << n) - 1)).bit_count() / n)
        return best

    def class_of(self, track_id: int) -> str | None:
        """What the cameras call the contact, by the weight of their votes."""
        votes = self.votes.get(track_id)
        return max(votes, key=lambda k: votes[k]) if votes else None

    # ------------------------------------------------------------------ inside

    def _on_time(self, name: str, at_s: float, period_s: float | None, *, camera: bool) -> bool:
        source = self.sources.get(name)
        if source is None:
            self.sources[name] = Source(last_s=at_s, period_s=period_s or 0.0, camera=camera)
            return True
        dt = at_s - source.last_s
        if dt <= 0.0:
            self.late += 1
            return False
        if period_s:
            source.period_s = period_s
        elif source.period_s == 0.0:
            source.period_s = min(dt, 60.0)
        else:
            source.period_s += 0.2 * (min(dt, 2.0 * source.period_s) - source.period_s)
        source.last_s = at_s
        return True

    def _predicted(self, rows: Ints, at_s: float) -> tuple[Floats, Floats]:
        tab = self.table
        nis = tab.nis[rows]
        factor = np.where(nis > MANOEUVRE_NIS, np.minimum((nis / 2.0) ** 2, MANOEUVRE_MAX), 1.0)
        return kalman.predict(tab.x[rows], tab.p[rows], at_s - tab.t[rows], factor * self._set.acceleration_mps2**2)

    def _positions(self, source: str, at_s: float, z: Floats, r: Floats, policy: Policy, hit: Bools) -> list[int]:
        """Positions of one look: update, start, confirm, end. Returns for each position its contact's id or 0.

        `hit`: the rows that the look has already shown (a camera's bearings on confirmed contacts).
        """
        tab = self.table
        camera = self.sources[source].camera
        x, p = self._predicted(np.arange(len(tab)), at_s)
        owner = np.full(len(z), -1)
        for confirmed in (False,) if camera else (True, False):
            rows, cols = np.flatnonzero(tab.confirmed == confirmed), np.flatnonzero(owner < 0)
            pairs = gate(x[rows], p[rows], z[cols], r[cols], self._set.gate_chi2)
            if not confirmed:
                i, j = rows[pairs.row], cols[pairs.col]
                dt = at_s - tab.t[i]
                reach = initiation.within_reach(tab.x[i, :2], tab.p[i], z[j], r[j], dt, self._set.max_speed_mps)
                pairs = pairs.where(reach)
            a, b = pairs.assign()
            self._update(rows[a], x, p, z[cols[b]], r[cols[b]], at_s)
            hit[rows[a]] = True
            owner[cols[b]] = rows[a]
        if not camera:
            self.merged += self.duplicates.look(tab, hit)
        self._start(at_s, z, r, owner, hit)
        hit = np.concatenate((hit, np.ones(len(tab) - len(hit), dtype=np.bool_)))
        tab.history(source).record(hit, at_s, policy)
        return self._settle(source, at_s, policy, owner)

    def _update(self, rows: Ints, x: Floats, p: Floats, z: Floats, r: Floats, at_s: float) -> None:
        tab = self.table
        tab.x[rows], tab.p[rows], d2 = kalman.update_position(x[rows], p[rows], z, r)
        tab.nis[rows] = 0.7 * tab.nis[rows] + 0.3 * d2
        tab.t[rows] = np.maximum(tab.t[rows], at_s)
        tab.hit_s[rows] = tab.fix_s[rows] = at_s
        tab.hits[rows] += 1

    def _start(self, at_s: float, z: Floats, r: Floats, owner: Ints, hit: Bools) -> None:
        tab = self.table
        seen = np.flatnonzero(hit & tab.confirmed)
        echo = initiation.unresolved(tab.x[seen], tab.p[seen], z, r)
        cols = np.flatnonzero((owner < 0) & ~echo)[: max(TENTATIVE_ROWS * self._set.max_tracks - len(tab), 0)]
        owner[cols] = len(tab) + np.arange(len(cols))
        x, p = initiation.start(z[cols], r[cols], self._set.max_speed_mps)
        tab.append(x, p, at_s)

    def _settle(self, source: str, at_s: float, policy: Policy, owner: Ints) -> list[int]:
        """Confirm, name and end rows after a look of `source`; the ids of the rows in `owner`."""
        tab, history = self.table, self.table.seen[source]
        reached, possible = history.confirmable(policy)
        fast = np.hypot(tab.x[:, 2], tab.x[:, 3]) > self._set.max_speed_mps
        new = np.flatnonzero(~tab.confirmed & reached & ~fast)
        new = new[: max(self._set.max_tracks - int(tab.confirmed.sum()), 0)]
        tab.confirmed[new] = True
        tab.confirmed_s[new] = at_s
        for row in np.flatnonzero((tab.id == 0) & (tab.hits >= SHOWN_HITS)).tolist():
            tab.id[row] = self._ids.take()
        over = np.where(tab.confirmed, history.missed_too_often(policy), ~possible | (reached & fast))
        history.active &= ~over
        ids = [int(tab.id[row]) if row >= 0 else 0 for row in owner.tolist()]
        alive = np.zeros(len(tab), dtype=np.bool_)
        for h in tab.seen.values():
            alive |= h.active
        if not alive.all():
            tab.keep(alive)
        return ids

    def _explain(
        self, view: View, rows: list[Bearing], others_x: Floats, others_p: Floats
    ) -> tuple[list[bool], Bools, list[int]]:
        """Give bearings to confirmed contacts and `others`: bearings left, rows of the table hit, others shown."""
        tab = self.table
        mine = np.flatnonzero(tab.confirmed)
        x, p = self._predicted(mine, view.at_s)
        a, b = self._match(np.concatenate((x, others_x)), np.concatenate((p, others_p)), rows)
        own = a < len(mine)
        hit = np.zeros(len(tab), dtype=np.bool_)
        hit[mine[a[own]]] = True
        history = tab.history(view.source)
        fresh = hit & ((view.at_s - history.mark_s >= self._camera.window_s) | ~history.active)
        for i, j in zip(a[own].tolist(), b[own].tolist(), strict=True):
            row = int(mine[i])
            self._vote(int(tab.id[row]), rows[j])
            tab.hit_s[row] = view.at_s
            tab.hits[row] += 1
            if fresh[row]:
                self._correct(row, x[i : i + 1], p[i : i + 1], rows[j], view.at_s)
        free = [True] * len(rows)
        for j in b.tolist():
            free[j] = False
        return free, hit, (a[~own] - len(mine)).tolist()

    def _match(self, x: Floats, p: Floats, rows: list[Bearing]) -> tuple[Ints, Ints]:
        none = np.empty(0, dtype=np.int64)
        if not rows or not len(x):
            return none, none
        h, s, _ = kalman.bearing_model(x, p)
        z = np.array([math.radians(b.bearing_deg) for b in rows])
        var = np.array([math.radians(b.sigma_bearing_deg) ** 2 for b in rows])
        d2 = kalman.wrap_pi(z[None, :] - h[:, None]) ** 2 / (s[:, None] + var[None, :])
        fits = (d2 <= self._set.bearing_gate_chi2) & (s <= math.radians(BEARING_SIGMA_MAX_DEG) ** 2)[:, None]
        far = np.hypot(x[:, 0], x[:, 1])
        along = (p[:, 0, 0] * x[:, 0] ** 2 + 2.0 * p[:, 0, 1] * x[:, 0] * x[:, 1] + p[:, 1, 1] * x[:, 1] ** 2) / far**2
        cost = d2.copy()
        for j, b in enumerate(rows):
            if b.range_m is not None and b.sigma_range_m is not None:
                var_r = along + b.sigma_range_m**2 + (CAMERA_RANGE_BIAS * b.range_m) ** 2
                d2r = (far - b.range_m) ** 2 / var_r
                fits[:, j] &= d2r <= self._set.bearing_gate_chi2
                cost[:, j] += d2r
        i, j2 = np.nonzero(fits)
        return assign(i, j2, cost[i, j2], np.full(len(i), 2.0 * self._set.bearing_gate_chi2))

    def _correct(self, row: int, x: Floats, p: Floats, b: Bearing, at_s: float) -> None:
        """One camera sighting into one contact: a position if only cameras see it, else the bearing alone."""
        tab = self.table
        radar = any(h.active[row] for s, h in tab.seen.items() if not self.sources[s].camera)
        if b.range_m is not None and not radar:
            z, r = _bearing_positions([b])
            nx, np_, _ = kalman.update_position(x, p, z, r)
            tab.fix_s[row] = at_s
        else:
            rad = np.array([math.radians(b.bearing_deg)])
            nx, np_ = kalman.update_bearing(x, p, rad, np.array([math.radians(b.sigma_bearing_deg) ** 2]))
        tab.x[row], tab.p[row] = nx[0], np_[0]
        tab.t[row] = max(float(tab.t[row]), at_s)

    def _vote(self, track_id: int, b: Bearing) -> None:
        if track_id and b.class_:
            votes = self.votes.setdefault(track_id, {})
            for k in votes:
                votes[k] *= 0.98
            votes[b.class_] = votes.get(b.class_, 0.0) + (b.confidence if b.confidence is not None else 0.5)

    # ------------------------------------------------------------------ checkpoint

    def state(self) -> list[Any]:
        """For the checkpoint."""
        return [
            self.table.state(), self.bearings.state(), self.duplicates.state(),
            [[n, s.last_s, s.period_s, s.camera] for n, s in self.sources.items()],
            [[i, list(v.items())] for i, v in self.votes.items()],
            [list(m) for m in self.merged], self.late,
        ]  # fmt: skip

    def restore(self, data: Any) -> None:
        """Take over what `state` was made of."""
        table, bearings, duplicates, sources, votes, merged, self.late = data
        self.table = TrackTable.restore(table)
        self.bearings = BearingTracks.restore(bearings)
        self.duplicates = Duplicates.restore(duplicates)
        self.sources = {n: Source(last_s=t, period_s=p, camera=c) for n, t, p, c in sources}
        self.votes = {i: dict(v) for i, v in votes}
        self.merged = [(a, b) for a, b in merged]


def _bearing_positions(rows: list[Bearing]) -> tuple[Floats, Floats]:
    a = np.array(
        [(b.range_m, b.bearing_deg, b.sigma_range_m, b.sigma_bearing_deg) for b in rows], dtype=np.float64
    ).reshape(-1, 4)
    return measure.polar(a[:, 0], a[:, 1], a[:, 2], a[:, 3])
