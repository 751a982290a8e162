"""The contacts of the site's own radars and cameras: one scan or view at a time.

Promises:
- a function of what was fed in: no clock, no randomness, no order that hashing decides;
- a sensor that falls silent ends no track before `coast_s`; a sensor that looks and misses ends only its own share of
  a track, and a track ends when no sensor has a share left; a turn that did not look there is neither hit nor miss;
- an id, once shown, belongs to that track for ever; of two tracks of one echo the older id survives (`merged`);
- a turn that arrives after a later one of the same source is dropped and counted (`late`);
- a track is updated at the time at which the antenna passed it, hits and misses are counted turn by turn (sweep).

Confirmed tracks have three modes of motion (imm) and share plots by probability (jpda); tentative ones are plain
filters that take what is left, and are believed when M of N turns and the clutter around them allow it (history,
density). Turns, frames, silence and checkpoints meet here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from agent.tracking import imm, initiation, jpda, kalman, measure, sightings, sweep, unresolved, unseen
from agent.tracking.arrays import compact, first_of_each
from agent.tracking.association import gate
from agent.tracking.bearings import BearingTracks
from agent.tracking.density import ClutterDensity, cells
from agent.tracking.duplicates import Duplicates
from agent.tracking.echoes import FalseEchoes
from agent.tracking.ended import Ended
from agent.tracking.history import Policy
from agent.tracking.table import TrackTable

if TYPE_CHECKING:
    from agent.config.schema import Tracking
    from agent.messages import Bearing, Scan, View
    from agent.tracking.arrays import Bools, Floats, Ints

SHOWN_HITS = 2  # a tentative track gets an id (and may be shown) from its second hit on
OWN = 0.5  # a plot that is a track's with this probability is not looked at for anything else
SEEN = 0.3  # a track whose plots add up to this was seen, though another may have been seen instead
PD_LOOKS = 16  # looks from which a track's probability of detection is taken ...
PD_PRIOR = (3.4, 4.0)  # ... with this many hits of that many looks assumed beforehand
PD_NEW = 0.8  # of a vessel that no track shows yet
LOOKED = 0.5  # a turn that looked at less of a track's place than that was no look at it, if it saw nothing
TENTATIVE_ROWS = 5  # rows of the table per confirmed track allowed
TENTATIVE_SILENCE_S = 15.0
STATIC_MOVE_M = 50.0  # plus three sigmas: less than this is not a movement


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
    """All named contacts with a position, predicted to one time: rows as in the table.

    `sources` see the contact now; `share`: the best sensor's hits among its newest ten looks, 0..1. `aside`: of each
    sensor, how far from the contact its plots lie (History.aside).
    """

    row: Ints
    id: Ints
    x: Floats
    p: Floats
    confirmed: Bools
    coasting: Bools
    static: Bools
    sources: list[tuple[str, ...]]
    share: list[float]
    aside: dict[str, Floats]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ahead:
    """Rows predicted to times `t`; `firm`: which of them are confirmed (indices), with their `modes`."""

    x: Floats
    p: Floats
    t: Floats
    firm: Ints
    modes: imm.Modes


class Tracker:
    """See the module. `ids` is shared with whoever else names tracks."""

    def __init__(self, settings: Tracking, height_m: float, ids: Ids) -> None:
        self._set = settings
        self._height_m = height_m
        self._ids = ids
        self._turns = Policy(
            confirm_hits=settings.confirm_hits, confirm_scans=settings.confirm_scans,
            delete_misses=settings.delete_misses, delete_scans=settings.delete_scans,
        )  # fmt: skip
        self._windows = self._turns.slow()
        self.table = TrackTable()
        self.bearings = BearingTracks()
        self.duplicates = Duplicates()
        self.ended = Ended()
        self.density: dict[str, ClutterDensity] = {}
        self.echoes: dict[str, FalseEchoes] = {}
        self.sources: dict[str, Source] = {}
        self.votes: dict[int, dict[str, float]] = {}
        self.merged: list[tuple[int, int]] = []  # (id that ended, id that goes on), until somebody takes them
        self.late = 0

    # ------------------------------------------------------------------ what comes in

    def scan(self, scan: Scan, off_m: float = 0.0, off_deg: float = 0.0) -> None:
        """One antenna turn, also an empty one; `off_m`, `off_deg`: by how much the radar sees too far and too right."""
        if not self._on_time(scan.source, scan.at_s, scan.period_s, camera=False):
            return
        self._radar(scan, off_m, off_deg)

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
        z, r = sightings.positions(ranged)
        ids = self._ranged(view.source, view.at_s, z, r, hit)
        blind = [b for b in left if b.range_m is None]
        ids += self.bearings.look(view.source, blind, view.at_s, self._set.bearing_gate_chi2, self._windows)
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
            self.ended.note(tab, ~alive & tab.confirmed)
            tab.keep(alive)
        self.ended.expire(now_s)
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
        ahead = self._ahead(row, now_s, mix=False)
        quiet = np.full(len(row), 3.0)
        for s, h in tab.seen.items():
            allowed = max(2.5 * self.sources[s].period_s, 3.0)
            quiet = np.maximum(quiet, np.where(h.active[row], allowed, 0.0))
        still = (now_s - tab.anchor_s[row] >= self._set.static_after_s) & tab.confirmed[row]
        return Contacts(
            row=row, id=tab.id[row], x=ahead.x, p=ahead.p, confirmed=tab.confirmed[row],
            coasting=now_s - tab.hit_s[row] > quiet, static=still, sources=self._sources(row), share=self._best(row),
            aside={s: h.aside[row] for s, h in tab.seen.items()},
        )  # fmt: skip

    def _sources(self, rows: Ints) -> list[tuple[str, ...]]:
        columns = [[name if seen else "" for seen in h.active[rows].tolist()] for name, h in self.table.seen.items()]
        return [tuple(filter(None, names)) for names in zip(*columns, strict=True)]

    def _best(self, rows: Ints) -> list[float]:
        best = np.zeros(len(rows))
        for h in self.table.seen.values():
            n = np.maximum(np.minimum(h.age[rows], 10), 1).astype(np.uint64)
            hits = np.bitwise_count(h.bits[rows] & ((np.uint64(1) << n) - np.uint64(1))) / n
            best = np.maximum(best, np.where(h.active[rows], hits, 0.0))
        return best.tolist()

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

    def _ahead(self, rows: Ints, at_s: Floats | float, *, mix: bool = True) -> Ahead:
        """These rows predicted to `at_s`, each to its own of (n,) times or all to one; `mix`: for an update."""
        tab = self.table
        t = np.broadcast_to(at_s, len(rows))
        dt_s = t - tab.t[rows]
        firm = tab.confirmed[rows]
        mine, rest = rows[firm], rows[~firm]
        x, p = np.empty((len(rows), 4)), np.empty((len(rows), 4, 4))
        modes = imm.predict(tab.modes(mine), dt_s[firm], self._set.acceleration_mps2, mix=mix)
        x[firm], p[firm] = imm.combine(modes)
        q = np.full(len(rest), self._set.acceleration_mps2**2)
        x[~firm], p[~firm] = kalman.predict(tab.x[rest], tab.p[rest], dt_s[~firm], q)
        return Ahead(x=x, p=p, t=t, firm=np.flatnonzero(firm), modes=modes)

    def _radar(self, scan: Scan, off_m: float, off_deg: float) -> None:
        """The plots of one turn: update, start, confirm, end. What it did not look at is no miss."""
        tab, source, at_s = self.table, scan.source, scan.at_s
        z, r, amplitude_db, measured_s = measure.plots(scan.plots, self._height_m, off_m, off_deg)
        density = self.density.setdefault(source, ClutterDensity())
        echoes = self.echoes.setdefault(source, FalseEchoes())
        ring, sector = cells(z)
        bright = echoes.brightness(ring, amplitude_db)
        swept_s = sweep.within_turn(measured_s, at_s, self.sources[source].period_s)
        passed_s = sweep.passed(tab, z, r, swept_s, at_s, self._set)
        ahead = self._ahead(np.arange(len(tab)), passed_s)
        looked = unseen.looked_at(scan.unseen, ahead.x, ahead.p, scan.beam_deg, off_m, off_deg)
        false = density.at(ring, sector)
        hit = np.zeros(len(tab), dtype=np.bool_)
        owner = np.full(len(z), -1)
        won = self._share(scan, ahead, z, r, false, looked, hit, owner)
        free = (owner < 0).nonzero()[0]
        density.learn(ring[free], sector[free], unseen.exposure(scan.unseen, off_deg))
        rows, cols, log = self._tentative(ahead, z, r, free, at_s)
        # a miss counts against what this radar has seen: another one may reach farther
        missed = ~tab.confirmed & tab.history(source).active
        missed[rows] = False
        tab.score[missed] += np.log(1.0 - PD_NEW * looked[missed])
        # what is false here is a chance echo, or one that has come again and lies as near as a vessel's would
        gain = bright[cols] + log - np.log(false[cols] + echoes.again(ring[cols]) * np.exp(log) / PD_NEW)
        # a past that speaks against a track does not count against what begins now (Page's test), nor bend its way
        anew = tab.score[rows] + gain < bright[cols]
        tab.score[rows] = np.where(anew, bright[cols], tab.score[rows] + gain)
        again, on = rows[anew], cols[anew]
        tab.x[again], tab.p[again] = initiation.start(z[on], r[on], self._set.max_speed_mps)
        tab.history(source).active[again] = False  # its M of N begin anew, too
        hit[rows] = True
        owner[cols] = rows
        left = owner < 0
        echoes.learn(ring[left], amplitude_db[left])
        self.merged += self.duplicates.look(tab, hit, won, at_s)
        new = self._start(at_s, swept_s, z, r, owner, hit)
        tab.score[owner[new]] = bright[new]
        area = initiation.area_m2(r[new], self._set.max_speed_mps, self.sources[source].period_s, self._set.gate_chi2)
        echoes.begun(ring[new], initiation.chance(false[new] * area))
        hit = np.concatenate((hit, np.ones(len(tab) - len(hit), dtype=np.bool_)))
        look = np.concatenate((looked >= LOOKED, hit[len(looked) :]))
        tab.history(source).record(hit, at_s, self._turns, look)
        turns_a_day = 86400.0 / max(self.sources[source].period_s, 0.5)
        doubt = density.per_turn * turns_a_day / self._set.false_tracks_per_day
        self._settle(source, at_s, self._turns, owner, math.log(max(doubt, 1.0)), echoes)

    def _share(
        self, scan: Scan, ahead: Ahead, z: Floats, r: Floats, false: Floats, looked: Floats, hit: Bools, owner: Ints
    ) -> Bools:
        """Plots among confirmed tracks. Fills `hit` and `owner`; returns the rows that got a plot of their own.

        Where a turn did not look (`looked` below 1) vessels and clutter show less alike: only a miss weighs less.
        """
        tab, firm = self.table, ahead.firm
        won = np.zeros(len(tab), dtype=np.bool_)
        pairs = gate(ahead.x[firm], imm.widest(ahead.modes, ahead.x[firm]), z, r, self._set.gate_chi2)
        if not len(pairs.row):
            return won
        order = np.lexsort((pairs.col, pairs.row))
        row, col = pairs.row[order], pairs.col[order]
        history = tab.history(scan.source)
        n = np.minimum(history.age[firm], PD_LOOKS)
        pd = np.minimum((history.hits(PD_LOOKS)[firm] + PD_PRIOR[0]) / (n + PD_PRIOR[1]), 0.98)
        own = ahead.modes.take(row)
        density = (own.mu * imm.likelihood(own, z[col], r[col])).sum(axis=1)
        meet = unresolved.common(row, col, ahead.x[firm], ahead.p[firm], z, r)
        both = jpda.Both(a=meet.a, b=meet.b, ratio=meet.density * pd[row[meet.a]] / false[col[meet.a]])
        miss = 1.0 - (pd * looked[firm])[row]
        beta, common = jpda.share(row, col, pd[row] * density / false[col], miss, both)
        who = np.concatenate((row, row[meet.a], row[meet.b]))
        what = np.concatenate((col, col[meet.a], col[meet.b]))
        chance = np.concatenate((beta, common, common))
        order = np.flatnonzero(chance > 0.0)
        order = order[np.argsort(who[order], kind="stable")]
        some, which = compact(who[order])
        places, errors = np.concatenate((z[col], meet.za, meet.zb)), np.concatenate((r[col], meet.ra, meet.rb))
        modes = imm.update_shared(ahead.modes.take(some), which, places[order], errors[order], chance[order])
        seen = np.bincount(which, chance[order]) >= SEEN
        mine = firm[some[seen]]
        tab.set_modes(mine, modes.take(np.flatnonzero(seen)))
        self._fixed(mine, ahead.t[mine], scan.at_s)
        hit[mine] = True
        total = np.bincount(col, beta, len(z)) + np.bincount(col[meet.a], common, len(z))
        best = order[np.lexsort((-chance[order], what[order]))]
        first = best[first_of_each(what[best])]
        sure = first[total[what[first]] >= OWN]
        owner[what[sure]] = firm[who[sure]]
        own_row, own_col = firm[row[beta >= OWN]], col[beta >= OWN]
        won[own_row] = True
        history.lies(own_row, z[own_col] - tab.x[own_row, :2])
        return won

    def _fixed(self, rows: Ints, t: Floats, at_s: float) -> None:
        """The look of `at_s` gave these rows positions, and states of times `t`."""
        tab = self.table
        tab.t[rows] = t
        tab.hit_s[rows] = tab.fix_s[rows] = at_s
        tab.hits[rows] += 1

    def _tentative(self, ahead: Ahead, z: Floats, r: Floats, cols: Ints, at_s: float) -> tuple[Ints, Ints, Floats]:
        """Positions `cols` among tentative tracks: rows and columns of the pairs, and the log density of each."""
        tab = self.table
        rows = np.flatnonzero(~tab.confirmed)
        pairs = gate(ahead.x[rows], ahead.p[rows], z[cols], r[cols], self._set.gate_chi2)
        i, j = rows[pairs.row], cols[pairs.col]
        reach = initiation.within_reach(
            tab.x[i, :2], tab.p[i], z[j], r[j], ahead.t[i] - tab.t[i], self._set.max_speed_mps
        )
        a, b = pairs.where(reach).assign()
        rows, cols = rows[a], cols[b]
        tab.x[rows], tab.p[rows], d2, log_det = kalman.update_position(ahead.x[rows], ahead.p[rows], z[cols], r[cols])
        self._fixed(rows, ahead.t[rows], at_s)
        return rows, cols, math.log(PD_NEW / (2.0 * math.pi)) - 0.5 * (d2 + log_det)

    def _ranged(self, source: str, at_s: float, z: Floats, r: Floats, hit: Bools) -> list[int]:
        """A camera's positions that no confirmed contact explains. Returns for each its contact's id or 0."""
        tab = self.table
        ahead = self._ahead(np.arange(len(tab)), at_s)
        owner = np.full(len(z), -1)
        rows, cols, _ = self._tentative(ahead, z, r, np.arange(len(z)), at_s)
        hit[rows] = True
        owner[cols] = rows
        self._start(at_s, np.full(len(z), at_s), z, r, owner, hit)
        hit = np.concatenate((hit, np.ones(len(tab) - len(hit), dtype=np.bool_)))
        tab.history(source).record(hit, at_s, self._windows)
        return self._settle(source, at_s, self._windows, owner, -math.inf)

    def _start(self, at_s: float, t: Floats, z: Floats, r: Floats, owner: Ints, hit: Bools) -> Ints:
        """New tentative tracks of positions at times `t`; which positions start one. Fills `owner`."""
        tab = self.table
        seen = np.flatnonzero(hit & tab.confirmed)
        echo = initiation.unresolved(tab.x[seen], tab.p[seen], z, r)
        cols = np.flatnonzero((owner < 0) & ~echo)[: max(TENTATIVE_ROWS * self._set.max_tracks - len(tab), 0)]
        owner[cols] = len(tab) + np.arange(len(cols))
        x, p = initiation.start(z[cols], r[cols], self._set.max_speed_mps)
        tab.append(x, p, t[cols], at_s)
        return cols

    def _settle(
        self, source: str, at_s: float, policy: Policy, owner: Ints, enough: float, echoes: FalseEchoes | None = None
    ) -> list[int]:
        """Confirm, name and end rows after a look of `source`; the ids of the rows in `owner`.

        `enough`: the score that a tentative track needs beside its M of N; `echoes` learns from those that end.
        """
        tab, history = self.table, self.table.seen[source]
        reached, possible = history.confirmable(policy)
        fast = np.hypot(tab.x[:, 2], tab.x[:, 3]) > self._set.max_speed_mps
        new = np.flatnonzero(~tab.confirmed & reached & ~fast & (tab.score >= enough))
        new = new[: max(self._set.max_tracks - int(tab.confirmed.sum()), 0)]
        tab.confirmed[new] = True
        tab.confirmed_s[new] = at_s
        tab.set_modes(new, imm.spread(tab.x[new], tab.p[new]))
        for row in np.flatnonzero((tab.id == 0) & (tab.hits >= SHOWN_HITS)).tolist():
            tab.id[row] = self._ids.take()
        self.merged += self.ended.find(tab, new, at_s)
        over = np.where(tab.confirmed, history.missed_too_often(policy), ~possible | (reached & fast))
        history.active &= ~over
        ids: list[int] = np.where(owner >= 0, tab.id[owner], 0).tolist() if len(tab) else []
        alive = np.zeros(len(tab), dtype=np.bool_)
        for h in tab.seen.values():
            alive |= h.active
        if not alive.all():
            self.ended.note(tab, ~alive & tab.confirmed)
            if echoes is not None:
                nothing = ~alive & ~tab.confirmed
                echoes.ended(tab.x[nothing, :2], history.second(nothing))
            tab.keep(alive)
        return ids

    def _explain(
        self, view: View, rows: list[Bearing], others_x: Floats, others_p: Floats
    ) -> tuple[list[bool], Bools, list[int]]:
        """Give bearings to confirmed contacts and `others`: bearings left, rows of the table hit, others shown."""
        tab = self.table
        mine = np.flatnonzero(tab.confirmed)
        ahead = self._ahead(mine, view.at_s)
        a, b = sightings.match(
            np.concatenate((ahead.x, others_x)), np.concatenate((ahead.p, others_p)), rows, self._set.bearing_gate_chi2
        )
        own = a < len(mine)
        hit = np.zeros(len(tab), dtype=np.bool_)
        hit[mine[a[own]]] = True
        history = tab.history(view.source)
        fresh = hit & ((view.at_s - history.mark_s >= self._windows.window_s) | ~history.active)
        for i, j in zip(a[own].tolist(), b[own].tolist(), strict=True):
            row = int(mine[i])
            self._vote(int(tab.id[row]), rows[j])
            tab.hit_s[row] = view.at_s
            tab.hits[row] += 1
            if fresh[row]:
                self._correct(row, ahead.modes.take(np.array([i])), rows[j], view.at_s)
        free = [True] * len(rows)
        for j in b.tolist():
            free[j] = False
        return free, hit, (a[~own] - len(mine)).tolist()

    def _correct(self, row: int, modes: imm.Modes, b: Bearing, at_s: float) -> None:
        """One camera sighting into one contact: a position if only cameras see it, else the bearing alone."""
        tab = self.table
        radar = any(h.active[row] for s, h in tab.seen.items() if not self.sources[s].camera)
        if b.range_m is not None and not radar:
            modes = imm.update_position(modes, *sightings.positions([b]))
            tab.fix_s[row] = at_s
        else:
            rad = np.array([math.radians(b.bearing_deg)])
            modes = imm.update_bearing(modes, rad, np.array([math.radians(b.sigma_bearing_deg) ** 2]))
        tab.set_modes(np.array([row]), modes)
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
            self.table.state(), self.bearings.state(), self.duplicates.state(), self.ended.state(),
            [[n, d.state()] for n, d in self.density.items()], [[n, e.state()] for n, e in self.echoes.items()],
            [[n, s.last_s, s.period_s, s.camera] for n, s in self.sources.items()],
            [[i, list(v.items())] for i, v in self.votes.items()],
            [list(m) for m in self.merged], self.late,
        ]  # fmt: skip

    def restore(self, data: Any) -> None:
        """Take over what `state` was made of."""
        table, bearings, duplicates, ended, density, echoes, sources, votes, merged, self.late = data
        self.table = TrackTable.restore(table)
        self.bearings = BearingTracks.restore(bearings)
        self.duplicates = Duplicates.restore(duplicates)
        self.ended = Ended.restore(ended)
        self.density = {n: ClutterDensity.restore(d) for n, d in density}
        self.echoes = {n: FalseEchoes.restore(e) for n, e in echoes}
        self.sources = {n: Source(last_s=t, period_s=p, camera=c) for n, t, p, c in sources}
        self.votes = {i: dict(v) for i, v in votes}
        self.merged = [(a, b) for a, b in merged]
