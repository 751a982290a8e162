"""One vessel for two boxes, and one situation for the alerts about it."""

from __future__ import annotations

from typing import Any

import pytest

from agent.publish.ashore.situations import Situations
from agent.publish.ashore.vessels import Vessels

from . import samples


def seen(node: str, track: int, east_m: float, north_m: float = 0.0, **more: Any) -> dict[str, Any]:
    lat, lon = samples.SITE.to_geo(east_m, north_m)
    return {
        "node": node, "id": track, "lat": lat, "lon": lon, "cog_deg": 90.0, "sog_mps": 8.0, "at": 100.0,
        "status": "confirmed", "sources": ["radar"], "accuracy_m": 40.0, **more,
    }  # fmt: skip


def groups(vessels: list[dict[str, Any]]) -> list[list[str]]:
    return sorted(sorted(f"{m['node']}{m['track']}" for m in v["members"]) for v in vessels)


def test_a_vessel_seen_by_two_boxes_is_shown_once() -> None:
    v = Vessels()
    assert groups(v.update([seen("a", 1, 0), seen("b", 7, 60), seen("b", 8, 2000)], 100.0)) == [["a1", "b7"], ["b8"]]


@pytest.mark.parametrize(
    "other",
    [
        seen("b", 7, 60, cog_deg=270.0),
        seen("b", 7, 900),
        seen("a", 2, 10),
        seen("b", 7, 10, mmsi=224_000_002),
        seen("b", 7, 10, bearing_deg=12.0),
    ],
)
def test_what_is_not_one_vessel(other: dict[str, Any]) -> None:
    """Another course, another place, the same box, another MMSI, or a bearing only."""
    mine = seen("a", 1, 0, mmsi=224_000_001)
    assert len(Vessels().update([mine, other], 100.0)) == 2


def test_one_mmsi_is_one_vessel_wherever_it_is() -> None:
    both = [seen("a", 1, 0, mmsi=224_000_001), seen("b", 7, 5000, mmsi=224_000_001)]
    assert groups(Vessels().update(both, 100.0)) == [["a1", "b7"]]


def test_times_are_brought_together_before_comparing() -> None:
    assert len(Vessels().update([seen("a", 1, 0), seen("b", 7, 480, at=160.0)], 160.0)) == 1


def test_a_vessel_keeps_its_name_and_does_not_flicker_at_the_gate() -> None:
    v = Vessels()
    name = v.update([seen("a", 1, 0), seen("b", 7, 100)], 100.0)[0]["vessel"]
    for apart in (150, 250, 260, 250):
        out = v.update([seen("a", 1, 0), seen("b", 7, apart)], 100.0)
        assert [x["vessel"] for x in out] == [name]
    assert v.update([seen("b", 7, 100)], 100.0)[0]["vessel"] == name
    assert len(v.update([seen("a", 1, 0), seen("b", 7, 1200)], 100.0)) == 2


def test_many_tracks_of_many_boxes_pair_up() -> None:
    tracks = [seen(f"n{i % 40}", i, (i // 2) * 1000.0 + (i % 2) * 50.0) for i in range(2000)]
    out = Vessels().update(tracks, 100.0)
    assert len(out) == 1000
    assert all(len(x["members"]) == 2 for x in out)


# ---------------------------------------------------------------- situations


def open_alert(node: str, number: int, track: int, situation: int, **more: Any) -> dict[str, Any]:
    return {
        "node": node, "id": number, "track": track, "situation": situation, "at": float(number), "rule": "dark-vessel",
        "rule_name": "dark", "severity": "low", "likelihood": "likely", **more,
    }  # fmt: skip


def cards(situations: list[dict[str, Any]]) -> list[list[str]]:
    return [[f"{a['node']}{a['id']}" for a in s["alerts"]] for s in situations]


def test_alerts_of_two_boxes_about_one_vessel_are_one_situation() -> None:
    v, s = Vessels(), Situations()
    alerts_ = [
        open_alert("a", 1, 1, 1), open_alert("a", 2, 1, 1, severity="high"), open_alert("b", 3, 7, 3),
        open_alert("b", 4, 8, 4), open_alert("c", 5, 99, 5),
    ]  # fmt: skip
    both = [seen("a", 1, 0), seen("b", 7, 60), seen("b", 8, 2000)]
    told = s.update(alerts_, v.update(both, 100.0))
    assert cards(told) == [["a1", "a2", "b3"], ["b4"], ["c5"]]
    assert (told[0]["situation"], told[0]["severity"], told[0]["nodes"]) == ("a/1", "high", ["a", "b"])
    assert (told[0]["vessel"] is None, told[2]["vessel"]) == (False, None)
    # the tracks end, the first alert is cleared: what was one stays one as long as any of it is open
    assert cards(s.update(alerts_, [])) == [["a1", "a2", "b3"], ["b4"], ["c5"]]
    assert cards(s.update(alerts_[1:], [])) == [["a2", "b3"], ["b4"], ["c5"]]
    assert cards(s.update(alerts_[2:], [])) == [["b3"], ["b4"], ["c5"]]


def test_three_boxes_stay_one_when_the_middle_one_ends() -> None:
    s = Situations()
    vessel = [{"vessel": "v1", "members": [{"node": n, "track": 1} for n in "abc"]}]
    alerts_ = [open_alert(n, i, 1, i) for i, n in enumerate("abc")]
    assert len(s.update(alerts_, vessel)) == 1
    assert cards(s.update([alerts_[0], alerts_[2]], [])) == [["a0", "c2"]]
    assert s.update([], []) == []
