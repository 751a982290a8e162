"""Open alerts of all boxes as situations: what happens to one vessel is one card, whoever saw it.

Promises:
- alerts that a box put into one situation are in one here; so are alerts of different boxes whose tracks the picture
  shows as one vessel (see vessels.py), and they stay together while any of them is open, also when the tracks part;
- a situation's name is that of its oldest alert, so it does not change while that alert is open;
- nothing is decided here: the box' own numbers stay in the alerts.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

Alert = dict[str, Any]  # as `wire.decode` gives it
_Key = tuple[str, int]  # node and its own situation
_SEVERITIES = ("low", "medium", "high")
_LIKELIHOODS = ("possible", "likely", "very-likely", "certain")


class Situations:
    """Remembers which situations of different boxes were one."""

    def __init__(self) -> None:
        self._groups: list[set[_Key]] = []

    def update(self, alerts: list[Alert], vessels: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Situations of the open `alerts`, the oldest first; `vessels` as `Vessels.update` gives them."""
        vessel_of = {(m["node"], m["track"]): v["vessel"] for v in vessels for m in v["members"]}
        open_ = {_key(a) for a in alerts}
        self._groups = [left for group in self._groups if len(left := group & open_) > 1]
        of_vessel: dict[str, set[_Key]] = defaultdict(set)
        for alert in alerts:
            vessel = vessel_of.get((alert["node"], alert["track"]))
            if vessel is not None:
                of_vessel[vessel].add(_key(alert))
        self._join(same for same in of_vessel.values() if len(same) > 1)
        group_of = {key: n for n, group in enumerate(self._groups) for key in group}
        cards: dict[int | _Key, list[Alert]] = {}
        for alert in sorted(alerts, key=lambda a: (a["at"], a["node"], a["id"])):
            cards.setdefault(group_of.get(_key(alert), _key(alert)), []).append(alert)
        return [_situation(members, vessel_of) for members in cards.values()]

    def _join(self, sets: Iterable[set[_Key]]) -> None:
        of = {key: group for group in self._groups for key in group}
        for same in sets:
            merged = same.union(*(of[key] for key in same if key in of))
            of.update(dict.fromkeys(merged, merged))
        self._groups = list({id(group): group for group in of.values()}.values())


def _key(alert: Alert) -> _Key:
    return alert["node"], alert["situation"]


def _situation(alerts: list[Alert], vessel_of: dict[tuple[str, int], str]) -> dict[str, Any]:
    oldest = alerts[0]
    vessels = [vessel_of[k] for a in alerts if (k := (a["node"], a["track"])) in vessel_of]
    return {
        "situation": f"{oldest['node']}/{oldest['situation']}", "since": oldest["at"],
        "vessel": vessels[0] if vessels else None,
        "severity": max((a["severity"] for a in alerts), key=_SEVERITIES.index),
        "likelihood": max((a["likelihood"] for a in alerts), key=_LIKELIHOODS.index),
        "nodes": sorted({a["node"] for a in alerts}),
        "alerts": [{k: a[k] for k in ("node", "id", "rule", "rule_name")} for a in alerts],
    }  # fmt: skip
