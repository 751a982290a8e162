"""The life of alerts: raised, updated, cleared.

Promises:
- at most one open alert per rule and vessel; after it is cleared the same vessel raises none of that rule for its
  `cooldown_s`, however often the condition comes and goes;
- all alerts about one vessel share a situation, over a lost and found track, a fusion, and a restart from a checkpoint;
  a vessel that first shows itself on its way from the side of one that has a situation shares that one's;
- a vessel that turns up where another one is coasting is not judged before it is clear whether it is the same one;
- only vessels that are confirmed, move, and are seen now raise alerts (an AIS track counts as confirmed from its second
  report on); a vessel lost while its alert is open is reported as lost after `LOST_HOLD_S`, not before;
- an update tells something new to people (the vessel got a name, a rule found another reason, its track goes on under
  another id), at most once in `UPDATE_S`;
- ids of alerts and situations are never given twice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from agent.alerts.identity import NAME_S, PLACE_S, Ghost, Ghosts, left_side, nearest
from agent.alerts.likelihood import likelihood
from agent.messages import Alert, AlertState, Likelihood, RuleHealth, Severity, Track, TrackStatus
from agent.packing import pack, unpack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.alerts.rules.base import Rule, Verdict
    from agent.alerts.scene import Scene
    from agent.alerts.zones import Memory
    from agent.fusion.picture import Known

UPDATE_S = 30.0
LOST_HOLD_S = 60.0
AIS_REPORTS = 2
NOT_ALERTED = ("aton", "sar-aircraft")

Key = tuple[str, int]  # rule's name, vessel's id


@dataclass(slots=True, kw_only=True)
class Open:
    """One open alert. `mmsi`, `codes`: what people have been told; `moved`: its track has another id since."""

    id: int
    revision: int
    situation: int
    kind: str
    severity: Severity
    likelihood: Likelihood
    sent_s: float
    reasons: tuple[str, ...]
    codes: tuple[str, ...]
    zone: str | None
    mmsi: int | None
    track: Track
    cooldown_s: float
    moved: bool = False


class AlertBook:
    """See the module. `exercise` marks every alert as one."""

    def __init__(self, rules: list[Rule[Any]], *, exercise: bool) -> None:
        self._rules = rules
        self._exercise = exercise
        self.wall_offset_s = 0.0
        self._alert_id = 0
        self._situation_id = 0
        self._situations: dict[int, int] = {}
        self._open: dict[Key, Open] = {}
        self._quiet: dict[Key, float] = {}
        self._memory: dict[Key, Memory] = {}
        self._present: dict[int, Ghost] = {}  # vessels judged at the last tick, as they would be remembered
        self._ghosts = Ghosts()
        self._claims: dict[int, int] = {}  # new vessel -> the coasting one that it may be
        self._suspended: dict[str, bool] = {}

    def tick(self, known: list[Known], merged: list[tuple[int, int]], scene: Scene) -> list[Alert | RuleHealth]:
        """Judge all vessels by all rules. `merged`: (vessel id that ended, id that goes on) since the last tick."""
        out: list[Alert | RuleHealth] = []
        for old, new in merged:
            self._present.pop(old, None)
            self._ghosts.all.pop(old, None)
            out += self._move(old, new, scene.now_s)
        seen = {k.track.id: k for k in known}
        self._lose(seen, scene.now_s)
        out += self._settle_claims(seen, scene.now_s)
        out += self._greet(known, scene.now_s)
        out += self._expire(scene.now_s)
        blocked: dict[str, str] = {}
        judged = [(k, self._may_begin(k)) for k in known if self._is_judged(k)]
        for rule in self._rules:
            for k, may_begin in judged:
                out += self._judge(rule, k, scene, blocked, may_begin=may_begin)
        out += self._health(scene, blocked)
        return out

    # ------------------------------------------------------------------ who is who

    def _lose(self, seen: dict[int, Known], now_s: float) -> None:
        for vessel in [v for v in self._present if v not in seen]:
            self._ghosts.all[vessel] = replace(self._present.pop(vessel), lost_s=now_s)

    def _settle_claims(self, seen: dict[int, Known], now_s: float) -> list[Alert | RuleHealth]:
        """The coasting vessel is lost: the new one is it. It is seen again: they are two."""
        out: list[Alert | RuleHealth] = []
        for new, old in list(self._claims.items()):
            k = seen.get(old)
            if k is not None and k.track.status is TrackStatus.COASTING and new in seen:
                continue
            del self._claims[new]
            if old in self._ghosts.all and new in seen:
                del self._ghosts.all[old]
                out += self._move(old, new, now_s)
        return out

    def _greet(self, known: list[Known], now_s: float) -> list[Alert | RuleHealth]:
        out: list[Alert | RuleHealth] = []
        coasting = dict.fromkeys(k.track.id for k in known if k.track.status is TrackStatus.COASTING)
        for k in known:
            if not _reliable(k):
                continue
            t = k.track
            if t.id not in self._present and t.id not in self._ghosts.all:
                lost = self._ghosts.find(k)
                if lost is not None:
                    out += self._move(lost, t.id, now_s)
                else:
                    taken = self._claims.values()
                    may = [self._present[v] for v in coasting if v in self._present and v not in taken]
                    old = nearest(may, k)
                    if old is not None:
                        self._claims[t.id] = old
                    else:
                        self._join_side(k)
            self._ghosts.all.pop(t.id, None)
            if t.status is not TrackStatus.COASTING or t.id not in self._present:
                self._present[t.id] = Ghost(
                    vessel=t.id, at_s=t.at_s, lost_s=math.inf, state=k.state, sigma_m=k.sigma_m, mmsi=t.mmsi
                )
        return out

    def _join_side(self, k: Known) -> None:
        """Share the situation of the vessel that `k` comes from, if there is one."""
        here = {v: g for v, g in self._present.items() if v in self._situations} if self._situations else {}
        side = left_side(here.values(), k)
        if side is not None:
            self._situations.setdefault(k.track.id, self._situations[side])

    def _move(self, old: int, new: int, now_s: float) -> list[Alert | RuleHealth]:
        """Everything about vessel `old` is about vessel `new` from now on."""
        out: list[Alert | RuleHealth] = []
        situation = self._situations.pop(old, None)
        if situation is not None:
            self._situations.setdefault(new, situation)
        for key in [k for k in self._open if k[1] == old]:
            alert = self._open.pop(key)
            if (key[0], new) in self._open:
                reason = f"the same vessel as track {new}"
                out.append(self._close(key, alert, now_s, (reason,), ("merged",)))
            else:
                alert.moved = True
                self._open[key[0], new] = alert
        for key in [k for k in self._quiet if k[1] == old]:
            until = self._quiet.pop(key)
            self._quiet[key[0], new] = max(until, self._quiet.get((key[0], new), until))
        for key in [k for k in self._memory if k[1] == old]:
            memory = self._memory.pop(key)
            self._memory.setdefault((key[0], new), memory)
        return out

    def _expire(self, now_s: float) -> list[Alert | RuleHealth]:
        out: list[Alert | RuleHealth] = []
        names = dict.fromkeys(r.name for r in self._rules)
        for key, alert in list(self._open.items()):
            ghost = self._ghosts.all.get(key[1])
            if key[0] not in names:
                reason = f"the rule '{key[0]}' is no longer configured"
                out.append(self._close(key, alert, now_s, (reason,), ("rule-removed",)))
            elif ghost is not None and now_s - ghost.lost_s >= LOST_HOLD_S:
                where = f" inside zone '{alert.zone}'" if alert.zone else ""
                track = replace(alert.track, status=TrackStatus.LOST)
                out.append(self._close(key, alert, now_s, (f"contact lost{where}",), ("lost",), track))
        for g in list(self._ghosts.all.values()):
            if now_s - g.lost_s > (PLACE_S if g.mmsi is None else NAME_S):
                del self._ghosts.all[g.vessel]
                self._forget(g.vessel)
        return out

    def _forget(self, vessel: int) -> None:
        self._situations.pop(vessel, None)
        self._quiet = {k: v for k, v in self._quiet.items() if k[1] != vessel}
        self._memory = {k: v for k, v in self._memory.items() if k[1] != vessel}

    # ------------------------------------------------------------------ judgement

    def _is_judged(self, k: Known) -> bool:
        t = k.track
        return t.status is not TrackStatus.COASTING and t.bearing_deg is None and t.id not in self._claims

    @staticmethod
    def _may_begin(k: Known) -> bool:
        """Whether a new alert may be about it; one that is open goes on anyway."""
        return not k.static and k.track.class_ not in NOT_ALERTED and _reliable(k)

    def _judge(
        self, rule: Rule[Any], k: Known, scene: Scene, blocked: dict[str, str], *, may_begin: bool
    ) -> Sequence[Alert]:
        key = (rule.name, k.track.id)
        alert = self._open.get(key)
        if alert is None and not may_begin:
            return ()
        verdict = rule.judge(k, scene, self._memory.setdefault(key, {}))
        if verdict.blocked:
            blocked.setdefault(rule.name, verdict.blocked)
        if alert is not None:
            alert.track = k.track
            if verdict.on is False:
                return [self._close(key, self._open.pop(key), scene.now_s, *_ending(verdict, alert))]
            return self._update(alert, rule.name, k, verdict, scene.now_s)
        if verdict.on and scene.now_s >= self._quiet.get(key, -math.inf):
            return [self._raise(rule, k, verdict, scene.now_s)]
        return ()

    def _raise(self, rule: Rule[Any], k: Known, verdict: Verdict, now_s: float) -> Alert:
        vessel = k.track.id
        if vessel not in self._situations:
            self._situation_id += 1
            self._situations[vessel] = self._situation_id
        self._alert_id += 1
        alert = Open(
            id=self._alert_id, revision=0, situation=self._situations[vessel], kind=rule.kind, severity=rule.severity,
            likelihood=likelihood(k), sent_s=now_s, reasons=verdict.reasons, codes=verdict.codes,
            zone=rule.area.name if rule.area is not None else None, mmsi=k.track.mmsi, track=k.track,
            cooldown_s=float(rule.options.cooldown_s),
        )  # fmt: skip
        self._open[rule.name, vessel] = alert
        return self._message(rule.name, alert, AlertState.RAISED, now_s, alert.reasons, alert.codes)

    def _update(self, alert: Open, rule_name: str, k: Known, verdict: Verdict, now_s: float) -> list[Alert]:
        named = k.track.mmsi is not None and k.track.mmsi != alert.mmsi
        other = bool(verdict.codes) and verdict.codes != alert.codes
        if not (named or other or alert.moved) or now_s - alert.sent_s < UPDATE_S:
            return []
        reasons, codes = list(alert.reasons), list(alert.codes)
        if other:
            reasons, codes = list(verdict.reasons), list(verdict.codes)
            alert.reasons, alert.codes = verdict.reasons, verdict.codes
        if named:
            reasons.append(f"AIS now received: {k.track.name or 'no name'}, MMSI {k.track.mmsi}")
            codes.append("ais-received")
        if alert.moved:
            reasons.append(f"the contact goes on as track {k.track.id}")
            codes.append("track-changed")
        alert.mmsi, alert.moved, alert.sent_s = k.track.mmsi or alert.mmsi, False, now_s
        alert.likelihood = likelihood(k)
        alert.revision += 1
        return [self._message(rule_name, alert, AlertState.UPDATED, now_s, tuple(reasons), tuple(codes))]

    def _close(
        self, key: Key, alert: Open, now_s: float, reasons: tuple[str, ...], codes: tuple[str, ...],
        track: Track | None = None,
    ) -> Alert:  # fmt: skip
        self._open.pop(key, None)
        self._quiet[key] = now_s + alert.cooldown_s
        alert.revision += 1
        alert.track = track or alert.track
        return self._message(key[0], alert, AlertState.CLEARED, now_s, reasons, codes)

    def _message(
        self, rule_name: str, a: Open, state: AlertState, now_s: float, reasons: tuple[str, ...], codes: tuple[str, ...]
    ) -> Alert:
        return Alert(
            at_s=now_s, wall_s=now_s + self.wall_offset_s, id=a.id, revision=a.revision, situation=a.situation,
            rule=a.kind, rule_name=rule_name, state=state, severity=a.severity, likelihood=a.likelihood,
            reasons=reasons, reason_codes=codes, zone=a.zone, track=a.track, exercise=self._exercise,
        )  # fmt: skip

    def _health(self, scene: Scene, blocked: dict[str, str]) -> list[RuleHealth]:
        out = []
        for rule in self._rules:
            if not rule.health_needed():
                continue
            why = rule.failure(scene) or blocked.get(rule.name)
            if self._suspended.get(rule.name) is not (why is not None):
                self._suspended[rule.name] = why is not None
                out.append(
                    RuleHealth(at_s=scene.now_s, rule_name=rule.name, suspended=why is not None, sentence=why or "")
                )
        return out

    # ------------------------------------------------------------------ checkpoint

    @property
    def newest_alert(self) -> int:
        """The highest alert id given so far; 0 for none."""
        return self._alert_id

    def continue_ids(self, newest_alert: int) -> None:
        """No alert up to this id, and no situation (there are never more of them), is given again."""
        if newest_alert > self._alert_id:
            self._alert_id = newest_alert
            self._situation_id = max(self._situation_id, newest_alert)

    def state(self) -> list[Any]:
        """For the checkpoint."""
        names = [f.name for f in fields(Open)]
        rows = []
        for key, a in self._open.items():
            row = {n: getattr(a, n) for n in names}
            rows.append([*key, [*(_plain(v) for v in row.values())]])
        return [
            self.wall_offset_s, self._alert_id, self._situation_id, list(self._situations.items()), rows,
            [[*k, v] for k, v in self._quiet.items()], [[*k, list(m.items())] for k, m in self._memory.items()],
            [Ghosts.row(g) for g in self._present.values()], self._ghosts.state(),
            list(self._claims.items()), list(self._suspended.items()),
        ]  # fmt: skip

    def restore(self, data: Any) -> None:
        """Take over what `state` was made of."""
        (self.wall_offset_s, self._alert_id, self._situation_id, situations, rows, quiet, memory, here, ghosts,
         claims, suspended) = data  # fmt: skip
        self._situations = dict(situations)
        self._open = {(r, v): _open(row) for r, v, row in rows}
        self._quiet = {(r, v): t for r, v, t in quiet}
        self._memory = {(r, v): dict(m) for r, v, m in memory}
        self._present = {g.vessel: g for g in (Ghosts.ghost(row) for row in here)}
        self._ghosts = Ghosts.restore(ghosts)
        self._claims = dict(claims)
        self._suspended = dict(suspended)


def _reliable(k: Known) -> bool:
    """Whether it is a track that somebody may be woken up for."""
    if k.track.status is TrackStatus.AIS:
        return k.ais_reports >= AIS_REPORTS
    return math.isfinite(k.confirmed_s) and k.track.bearing_deg is None


def _ending(verdict: Verdict, alert: Open) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if verdict.reasons:
        return verdict.reasons, verdict.codes
    over = f"the vessel has left zone '{alert.zone}'" if alert.zone else "the condition no longer holds"
    return (over,), ("over",)


def _plain(v: Any) -> Any:
    if isinstance(v, Track):
        return pack(v)
    if isinstance(v, Severity | Likelihood):
        return v.value
    return list(v) if isinstance(v, tuple) else v


def _open(row: list[Any]) -> Open:
    values = dict(zip([f.name for f in fields(Open)], row, strict=True))
    return Open(**{
        **values, "severity": Severity(values["severity"]), "likelihood": Likelihood(values["likelihood"]),
        "reasons": tuple(values["reasons"]), "codes": tuple(values["codes"]), "track": unpack(values["track"]),
    })  # fmt: skip
