"""The site's radars against AIS, all the time: offsets gathered ship by ship, estimated, and taken out of new plots.

Promises:
- a correction is applied only while its estimate is trusted (agent/fusion/registration.py), and comes in steps so small
  that no track is torn from its echo; an estimate that loses trust leaves what was applied as it is;
- offsets are counted against what the radar says itself, whatever is applied; those of an hour count;
- ships under way that have just reported are compared with contacts that this radar sees; where others see them, too,
  with where its own plots lie beside the contact, which is then between what all of them show.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from agent.fusion.registration import FAR_M, NEAR_M, UNDER_WAY_MPS, Bias, Candidate, estimate, in_window

if TYPE_CHECKING:
    from agent.fusion.ais import Station
    from agent.tracking.arrays import Floats
    from agent.tracking.tracker import Contacts

LOOK_S = 10.0
ESTIMATE_S = 60.0
FRESH_S = 8.0  # an AIS report older than this says too little about now
KEEP_S = 3600.0
LOOKS = 3  # a pair seen less often is chance
SMOOTH = 30  # looks over which a pair's offset is averaged
PAIRS = 200  # of one radar; the oldest go
STEP_M, STEP_DEG = 2.5, 0.02  # per turn: a contact at 10 km seems to move 1.4 m/s meanwhile


@dataclass(slots=True, kw_only=True)
class _Pair:
    """A ship and a contact: its mean offset over `looks`."""

    looks: int
    off_m: float
    off_deg: float
    range_m: float
    bearing_deg: float
    at_s: float


class Registrar:
    """Of all radars of the site."""

    def __init__(self) -> None:
        self.biases: dict[str, Bias] = {}
        self._pairs: dict[str, dict[tuple[int, int], _Pair]] = {}
        self._applied: dict[str, tuple[float, float]] = {}
        self._look_s = -math.inf
        self._estimate_s = -math.inf

    def applied(self, source: str) -> tuple[float, float]:
        """(range_m, bearing_deg) that are taken off this radar's plots now."""
        return self._applied.get(source, (0.0, 0.0))

    def turn(self, source: str) -> tuple[float, float]:
        """One turn of this radar: what is to be taken off its plots."""
        bias = self.biases.get(source)
        if bias is None or not bias.trusted:
            return self.applied(source)
        m, deg = self.applied(source)
        m += min(max(bias.range_m - m, -STEP_M), STEP_M)
        deg += min(max(bias.bearing_deg - deg, -STEP_DEG), STEP_DEG)
        self._applied[source] = m, deg
        return m, deg

    def look(self, now_s: float, contacts: Contacts, radars: list[str], stations: list[Station], x: Floats) -> None:
        """Compare, now and then. `x` (n, 4): the stations' states at `now_s`, as the contacts' are."""
        if now_s - self._look_s < LOOK_S:
            return
        self._look_s = now_s
        teach = [
            i for i, s in enumerate(stations)
            if s.kind in ("a", "b") and now_s - s.t_s <= FRESH_S and math.hypot(x[i, 2], x[i, 3]) >= UNDER_WAY_MPS
        ]  # fmt: skip
        for source in radars:
            aside = contacts.aside.get(source)
            if aside is None:
                continue
            rows = np.array([
                k for k, names in enumerate(contacts.sources)
                if (names == (source,) or (source in names and aside[k, 2] >= LOOKS))
                and contacts.confirmed[k] and not contacts.coasting[k]
            ], dtype=np.int64)  # fmt: skip
            if len(rows) and teach:
                self._compare(source, now_s, contacts, rows, stations, x, teach)
        if now_s - self._estimate_s >= ESTIMATE_S:
            self._estimate_s = now_s
            for source, pairs in self._pairs.items():
                self.biases[source] = estimate([
                    Candidate(ship=ship, range_m=p.range_m, bearing_deg=p.bearing_deg, off_m=p.off_m, off_deg=p.off_deg)
                    for (ship, _), p in pairs.items() if p.looks >= LOOKS
                ])  # fmt: skip

    def _compare(
        self, source: str, now_s: float, contacts: Contacts, rows: Any, stations: list[Station], x: Floats,
        teach: list[int],
    ) -> None:  # fmt: skip
        m, deg = self.applied(source)
        pairs = self._pairs.setdefault(source, {})
        shared = np.array([len(contacts.sources[k]) > 1 for k in rows.tolist()])
        x_m, y_m = (contacts.x[rows, :2] + np.where(shared[:, None], contacts.aside[source][rows, :2], 0.0)).T
        far = np.hypot(x_m, y_m) + m
        bearing = np.degrees(np.arctan2(x_m, y_m)) + deg
        for i in teach:
            ship_m, ship_deg = math.hypot(x[i, 0], x[i, 1]), math.degrees(math.atan2(x[i, 0], x[i, 1]))
            if not NEAR_M <= ship_m <= FAR_M:
                continue
            off_m, off_deg = far - ship_m, (bearing - ship_deg + 180.0) % 360.0 - 180.0
            for k in range(len(rows)):
                a, b = float(off_m[k]), float(off_deg[k])
                if in_window(a, b, ship_m):
                    _take(pairs, (stations[i].mmsi, int(contacts.id[rows[k]])), a, b, ship_m, ship_deg, now_s)
        for key in [k for k, p in pairs.items() if now_s - p.at_s > KEEP_S]:
            del pairs[key]
        while len(pairs) > PAIRS:
            del pairs[next(iter(pairs))]

    def state(self) -> list[Any]:
        """For the checkpoint."""
        return [
            self._look_s, self._estimate_s, [[n, *a] for n, a in self._applied.items()],
            [
                [n, [[*k, p.looks, p.off_m, p.off_deg, p.range_m, p.bearing_deg, p.at_s] for k, p in pairs.items()]]
                for n, pairs in self._pairs.items()
            ],
            [
                [n, b.range_m, b.sigma_range_m, b.bearing_deg, b.sigma_bearing_deg, b.ships, b.span_deg, b.trusted,
                 b.sentence]
                for n, b in self.biases.items()
            ],
        ]  # fmt: skip

    def restore(self, data: Any) -> None:
        """Take over what `state` was made of."""
        self._look_s, self._estimate_s, applied, pairs, biases = data
        self._applied = {n: (m, deg) for n, m, deg in applied}
        self._pairs = {
            n: {
                (a, b): _Pair(looks=looks, off_m=m, off_deg=d, range_m=r, bearing_deg=t, at_s=s)
                for a, b, looks, m, d, r, t, s in rows
            }
            for n, rows in pairs
        }
        self.biases = {
            n: Bias(
                range_m=m, sigma_range_m=sm, bearing_deg=d, sigma_bearing_deg=sd, ships=k, span_deg=span, trusted=ok,
                sentence=words,
            )
            for n, m, sm, d, sd, k, span, ok, words in biases
        }  # fmt: skip


def _take(
    pairs: dict[tuple[int, int], _Pair], key: tuple[int, int], off_m: float, off_deg: float, range_m: float,
    bearing_deg: float, now_s: float,
) -> None:  # fmt: skip
    p = pairs.pop(key, None)  # and back at the end: the order is that of the newest look
    looks = min(p.looks + 1, SMOOTH) if p else 1
    w = 1.0 / looks
    pairs[key] = _Pair(
        looks=looks, range_m=range_m, bearing_deg=bearing_deg, at_s=now_s,
        off_m=off_m if p is None else p.off_m + w * (off_m - p.off_m),
        off_deg=off_deg if p is None else p.off_deg + w * (off_deg - p.off_deg),
    )  # fmt: skip
