"""The score of made-up tracks and alerts whose score is known."""

from __future__ import annotations

import json
from itertools import takewhile
from typing import TYPE_CHECKING, Any

import pytest

from hardware_sim import truth
from hardware_sim.cli import main
from hardware_sim.errors import ScoreError
from hardware_sim.score import score_files
from hardware_sim.score.tracks import MAX_AGE_S

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hardware_sim.world import World

    Score = Callable[[list[dict[str, Any]], list[dict[str, Any]]], dict[str, Any]]


@pytest.fixture
def lines(harbour: World, start_unix_s: float) -> list[dict[str, Any]]:
    run = [x for _, x in takewhile(lambda item: item[0] <= 60.0, truth.lines(harbour, start_unix_s))]
    return [truth.header(harbour, start_unix_s), *run]


@pytest.fixture
def score(lines: list[dict[str, Any]], tmp_path: Path) -> Score:
    def write(name: str, items: list[dict[str, Any]]) -> Path:
        path = tmp_path / name
        path.write_text("".join(json.dumps(x) + "\n" for x in items), encoding="utf-8")
        return path

    def result(tracks: list[dict[str, Any]], alerts: list[dict[str, Any]]) -> dict[str, Any]:
        return score_files(write("truth.jsonl", lines), write("tracks.jsonl", tracks), write("alerts.jsonl", alerts))

    return result


def tracks_of(lines: list[dict[str, Any]], ids: dict[str, int]) -> list[dict[str, Any]]:
    """Perfect tracks of the named vessels, one report a second."""
    return [
        {"type": "track", "node": "n", "status": "confirmed", "id": ids[x["id"]], "at": x["at"], "lat": x["lat"],
         "lon": x["lon"], "cog_deg": x["cog_deg"], "sog_mps": x["sog_mps"]}
        for x in lines
        if x["type"] == "target" and x["id"] in ids
    ]  # fmt: skip


ALL = {"panga": 1, "Ria Express": 2, "Nuevo Orzan": 3}


def event(lines: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    return next(x for x in lines if x.get("kind") == kind)


def alert(
    lines: list[dict[str, Any]], rule: str, id_: int, late_s: float = 2.0, vessel: str = "panga"
) -> dict[str, Any]:
    at = event(lines, "zone-enter")["at"] + late_s
    where = min((x for x in lines if x["type"] == "target" and x["id"] == vessel), key=lambda x: abs(x["at"] - at))
    return {
        "type": "alert", "node": "n", "id": id_, "rule": rule, "state": "raised", "situation": 70, "at": at,
        "received_at": at + 0.5, "track": 1, "zone": "Reserva A Barra", "lat": where["lat"], "lon": where["lon"],
        "reasons": [],
    }  # fmt: skip


def test_perfect_tracks(lines: list[dict[str, Any]], score: Score) -> None:
    got = score(tracks_of(lines, ALL), [])["tracks"]
    assert got["gospa_rms_m"] < 0.05
    assert (got["completeness"], got["identity_switches"], got["track_ids"]) == (1.0, 0, 3)
    assert got["first_tracked_s"] == {"panga": 0.0, "Ria Express": 0.0, "Nuevo Orzan": 0.0}
    assert len(got["over_time"]) == 61


def test_a_missing_and_a_false_track_cost_what_the_metric_says(lines: list[dict[str, Any]], score: Score) -> None:
    tracks = tracks_of(lines, {"Ria Express": 2, "Nuevo Orzan": 3})
    ghost = [{**t, "id": 9, "lat": t["lat"] + 0.05} for t in tracks if t["id"] == 2]
    got = score(tracks + ghost, [])["tracks"]
    assert got["missed_rms_m"] == pytest.approx(200 / 2**0.5, abs=0.01)
    assert got["false_rms_m"] == pytest.approx(200 / 2**0.5, abs=0.01)
    assert got["gospa_rms_m"] == pytest.approx(200.0, abs=0.01)
    assert got["completeness"] == pytest.approx(2 / 3, abs=1e-4)


def test_tracks_are_moved_on_between_reports_and_end(lines: list[dict[str, Any]], score: Score) -> None:
    every_5 = [t for i, t in enumerate(tracks_of(lines, {"Ria Express": 2})) if i % 5 == 0]
    got = score(every_5, [])["tracks"]
    assert got["position_error_p95_m"] < 0.1
    assert got["completeness"] == pytest.approx(1 / 3, abs=1e-4)
    old = score([{**every_5[0], "at": every_5[0]["at"] - MAX_AGE_S + 6.0}], [])["tracks"]
    assert [x["missed"] for x in old["over_time"]][:8] in ([2] * 7 + [3], [3] * 8)
    lost = score([*every_5[:2], {**every_5[2], "status": "lost"}], [])["tracks"]
    assert [x["missed"] for x in lost["over_time"]][9:11] == [2, 3]


def test_identity_switches(lines: list[dict[str, Any]], score: Score) -> None:
    tracks = [t | {"id": 11} if i >= 30 else t for i, t in enumerate(tracks_of(lines, {"panga": 1}))]
    tracks[30:30] = [tracks[29] | {"at": tracks[30]["at"], "status": "lost"}]
    assert score(tracks, [])["tracks"]["identity_switches"] == 1


def test_expected_raised_missed(lines: list[dict[str, Any]], score: Score) -> None:
    enter = alert(lines, "zone-enter", 5)
    whole = score([], [enter, {**enter, "state": "updated", "at": enter["at"] + 3}])
    assert whole["alert_delays_s"] == [2.5]
    got = whole["alerts"]
    assert got["by_rule"]["zone-enter"] == {
        "expected": 1, "raised": 1, "matched": 1, "missed": 0, "duplicate": 0, "false": 0,
        "latency_p50_s": 2.5, "latency_p95_s": 2.5,
    }  # fmt: skip
    assert got["by_rule"]["dark-vessel"]["missed"] == 1
    assert got["missed"] == [{"rule": "dark-vessel", "vessel": "panga", "zone": None}]
    assert got["all"]["expected"] == 2


def test_one_situation_is_one_card(lines: list[dict[str, Any]], score: Score) -> None:
    got = score([], [alert(lines, "zone-enter", 5), alert(lines, "dark-vessel", 6)])["alerts"]
    assert got["situations"] == {"expected": 1, "raised": 1, "matched": 1, "false": 0}
    assert (got["all"]["matched"], got["all"]["false"]) == (2, 0)


def test_duplicates_false_and_forbidden(lines: list[dict[str, Any]], score: Score) -> None:
    twice = [alert(lines, "zone-enter", 5), alert(lines, "zone-enter", 6, 9.0)]
    ferry = alert(lines, "zone-enter", 7, vessel="Ria Express") | {"situation": 71}
    nowhere = alert(lines, "speed", 8) | {"lat": 43.5, "situation": 72}
    early = alert(lines, "zone-enter", 4, -20.0) | {"situation": 73}
    got = score([], [*twice, ferry, nowhere, early])["alerts"]
    assert (got["by_rule"]["zone-enter"]["duplicate"], got["by_rule"]["zone-enter"]["false"]) == (1, 2)
    assert {x["id"]: x["vessel"] for x in got["false"]} == {7: "Ria Express", 8: None, 4: "panga"}
    assert (got["forbidden"], got["situations"]["false"]) == (1, 3)


def test_an_mmsi_decides_and_exercises_count(lines: list[dict[str, Any]], score: Score) -> None:
    ferry = alert(lines, "zone-enter", 5) | {"track": {"id": 3, "mmsi": 224117250}}
    drill = alert(lines, "zone-enter", 6) | {"exercise": True}
    got = score([], [ferry, drill])["alerts"]
    assert [x["vessel"] for x in got["false"]] == ["Ria Express"]
    assert got["all"]["raised"] == 2
    assert got["all"]["matched"] == 1


def test_files_that_cannot_be_scored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"type":"track"}\n{oops\n', encoding="utf-8")
    with pytest.raises(ScoreError, match=r"bad\.jsonl:2"):
        score_files(bad, bad, bad)
    assert main(["score", str(tmp_path / "none"), str(bad), str(bad)]) == 65
    assert "no such file" in capsys.readouterr().err
    assert main(["score"]) == 64


@pytest.mark.parametrize(
    ("truth_lines", "track", "says"),
    [
        (b'{"type":"header"}\n', b"", "header lacks `scenario`"),
        (b"\xff\xfe\n", b"", "cannot be read as JSON lines"),
        (None, b'{"id": 1, "at": "noon", "lat": 1, "lon": 2}\n', "`at` is a number, not 'noon'"),
        (None, b'{"id": 1, "at": 3, "lat": 1}\n', "lacks `lon`"),
    ],
)
def test_what_is_wrong_in_a_file_is_told(
    lines: list[dict[str, Any]], tmp_path: Path, truth_lines: bytes | None, track: bytes, says: str
) -> None:
    good = "".join(json.dumps(x) + "\n" for x in lines).encode()
    paths = [tmp_path / name for name in ("truth.jsonl", "tracks.jsonl", "alerts.jsonl")]
    for path, content in zip(paths, (good if truth_lines is None else truth_lines, track, b""), strict=True):
        path.write_bytes(content)
    with pytest.raises(ScoreError, match=says):
        score_files(*paths)
