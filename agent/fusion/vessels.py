"""One vessel, one track: groups of sensor tracks with an id that outlives each of them.

Promises:
- every vessel keeps the id of the oldest track that it was ever known by; a track that parts from its vessel takes its
  own id with it, and no id ever belongs to two vessels;
- a vessel holds at most one contact of the site's sensors, one AIS station, and one target per reporting radar;
- its position is the covariance intersection of its parts: their errors' correlation is not known (Julier, Uhlmann
  1997; weights after Niehsen, "Information fusion based on fast covariance intersection filtering", 2002).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from agent.fusion.associate import Pairing, Parts
    from agent.tracking.arrays import Floats

SEEN_S = 10.0  # how long a camera counts as seeing a vessel that it has no track of its own for


@dataclass(slots=True, kw_only=True)
class Vessel:
    """`members`: ids of sensor tracks, oldest first; `seen`: cameras without a track of it that showed it, and when.

    `heard_by`, `ais_s`: the AIS receivers that heard it last, and its last report; kept when its station is forgotten.
    """

    id: int
    members: list[int]
    seen: dict[str, float] = field(default_factory=dict)
    heard_by: tuple[str, ...] = ()
    ais_s: float = -math.inf


class Vessels:
    """All vessels, by id."""

    def __init__(self) -> None:
        self.all: dict[int, Vessel] = {}
        self._of: dict[int, int] = {}  # sensor track -> vessel
        self.merged: list[tuple[int, int]] = []  # (vessel id that ended, vessel id that goes on), until taken

    def update(self, parts: Parts, renamed: list[tuple[int, int]], pairing: Pairing) -> None:
        """Bring the groups in line with the tracks that live now. `renamed`: contacts merged (ended, surviving id)."""
        row = {t: i for i, t in enumerate(parts.id)}
        for old, new in renamed:
            self._rename(old, new, parts, row)
        self._drop(row)
        for track in parts.id:
            if track not in self._of:
                self.all[track] = Vessel(id=track, members=[track])
                self._of[track] = track
        self._part(parts, row, pairing)
        partners = self._partners(parts, row)
        for i, j in pairing.look(parts, partners):
            self._fuse(parts, row, parts.id[i], parts.id[j])
        pairing.forget(dict.fromkeys(parts.id))

    def saw(self, vessel_id: int, camera: str, at_s: float) -> None:
        """A camera showed this vessel where it was expected."""
        if vessel_id in self.all:
            self.all[vessel_id].seen[camera] = at_s

    def heard(self, track: int, receivers: tuple[str, ...], at_s: float) -> None:
        """The AIS receivers that hear this sensor track, and its last report."""
        v = self.all[self._of[track]]
        v.heard_by, v.ais_s = receivers, at_s

    def vessel_of(self, track: int) -> int:
        """The vessel that a sensor track belongs to; 0 for none."""
        return self._of.get(track, 0)

    def _rename(self, old: int, new: int, parts: Parts, row: dict[int, int]) -> None:
        """Contact `old` went up in contact `new`: its vessel's other parts and its name go along, if there is room."""
        ended = self.all.get(self._of.pop(old, 0))
        if ended is None:
            return
        ended.members = [t for t in ended.members if t != old]
        home = self.all.get(self._of.get(new, new))
        if new not in self._of:  # a contact that had ended came back
            ended.members.insert(0, new)
            self._of[new] = ended.id
            if home is None and ended.id == old:
                self._call(ended, new)
        if home is not None and home is not ended and self._room(home, ended, parts, row):
            self._join(home, ended)

    def _call(self, v: Vessel, name: int) -> None:
        """Give a vessel the id that it had before."""
        del self.all[v.id]
        self.merged.append((v.id, name))
        v.id = name
        self.all[name] = v
        for t in v.members:
            self._of[t] = name

    def _drop(self, row: dict[int, int]) -> None:
        for v in list(self.all.values()):
            for t in v.members:
                if t not in row:
                    self._of.pop(t, None)
            v.members = [t for t in v.members if t in row]
            if not v.members:
                del self.all[v.id]

    def _part(self, parts: Parts, row: dict[int, int], pairing: Pairing) -> None:
        fused = [v for v in self.all.values() if len(v.members) > 1]
        looks = [
            (row[track], [row[t] for t in v.members if t != track])
            for v in fused for track in v.members if parts.kind[row[track]] != "contact"
        ]  # fmt: skip
        agree = pairing.agree(parts, looks)
        for v in fused:
            for track in list(v.members):
                others = [row[t] for t in v.members if t != track]
                reporting = parts.kind[row[track]] != "contact"
                if reporting and others and pairing.disagrees(parts, row[track], others, agree):
                    self._leave(v, track)

    def _leave(self, v: Vessel, track: int) -> None:
        """The youngest side goes: the vessel keeps its id with the part that gave it, or else with its oldest part."""
        rest = [t for t in v.members if t != track]
        stays, goes = (rest, [track]) if min(rest) < track else ([track], rest)
        new_id = min(goes)
        v.members = stays
        self.all[new_id] = Vessel(id=new_id, members=goes)
        for t in goes:
            self._of[t] = new_id

    def _partners(self, parts: Parts, row: dict[int, int]) -> list[list[str]]:
        out: list[list[str]] = []
        for track in parts.id:
            members = self.all[self._of[track]].members
            out.append([parts.kind[row[t]] for t in members] if len(members) > 1 else [])
        return out

    def _fuse(self, parts: Parts, row: dict[int, int], a: int, b: int) -> None:
        va, vb = self.all[self._of[a]], self.all[self._of[b]]
        if va is not vb and self._room(va, vb, parts, row):
            self._join(va, vb)

    @staticmethod
    def _room(a: Vessel, b: Vessel, parts: Parts, row: dict[int, int]) -> bool:
        """Whether no kind of sensor would have two tracks of one vessel."""
        kinds = [parts.kind[row[t]] for t in a.members + b.members if t in row]
        return len(dict.fromkeys(kinds)) == len(kinds)

    def _join(self, a: Vessel, b: Vessel) -> None:
        older, younger = (a, b) if a.id < b.id else (b, a)
        older.members = sorted(older.members + younger.members)
        older.seen = younger.seen | older.seen
        if younger.ais_s > older.ais_s:
            older.heard_by, older.ais_s = younger.heard_by, younger.ais_s
        for t in younger.members:
            self._of[t] = older.id
        del self.all[younger.id]
        self.merged.append((younger.id, older.id))

    def state(self) -> list[Any]:
        """For the checkpoint."""
        rows = [[getattr(v, f.name) for f in fields(Vessel)] for v in self.all.values()]
        return [
            [[i, list(m), list(s.items()), list(h), at_s] for i, m, s, h, at_s in rows],
            list(self._of.items()),
            [list(m) for m in self.merged],
        ]

    def restore(self, data: Any) -> None:
        """Take over what `state` was made of."""
        rows, of, merged = data
        self.all = {
            i: Vessel(id=i, members=list(m), seen=dict(s), heard_by=tuple(h), ais_s=at_s) for i, m, s, h, at_s in rows
        }
        self._of = {int(a): int(b) for a, b in of}
        self.merged = [(a, b) for a, b in merged]


def intersect(x: Floats, p: Floats) -> tuple[Floats, Floats]:
    """Covariance intersection for n vessels of k parts each: `x` (n, k, 4), `p` (n, k, 4, 4) to (n, 4), (n, 4, 4)."""
    weight = 1.0 / (p[..., 0, 0] + p[..., 1, 1])
    weight /= weight.sum(axis=1, keepdims=True)
    info = np.linalg.inv(p) * weight[..., None, None]
    cov = np.linalg.inv(info.sum(axis=1))
    state = cov @ (info @ x[..., None]).sum(axis=1)
    return state[..., 0], (cov + cov.swapaxes(1, 2)) / 2.0
