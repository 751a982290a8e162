"""What goes first, what stays, and the receipts of it."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agent.messages import Tick
from agent.record.log import EventLog, segments
from agent.record.retention import DAY_S, RECEIPTS, Receipts, evidence_name, sweep_evidence

NOW_S = 2_000_000_000.0


def keep(folder: Path, number: int, severity: str, age_days: float, size: int = 100) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / evidence_name(number, "cam", severity)
    path.write_bytes(bytes(size))
    os.utime(path, (NOW_S - age_days * DAY_S,) * 2)
    return path


def sweep(directory: Path, max_bytes: int = 10**9, max_age_days: float = 0.0, *, time_known: bool = True) -> list[str]:
    folder = directory / "evidence"
    sweep_evidence(
        folder, NOW_S, max_bytes=max_bytes, max_age_days=max_age_days, time_known=time_known,
        receipts=Receipts(directory),
    )  # fmt: skip
    return sorted(p.name for p in folder.iterdir())


def receipts(directory: Path) -> list[dict[str, Any]]:
    path = directory / RECEIPTS
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_by_size_the_least_important_goes_first_and_of_those_the_oldest(tmp_path: Path) -> None:
    ages = {1: ("high", 50), 2: ("low", 1), 3: ("low", 2), 4: ("medium", 9), 5: ("medium", 3)}
    for number, (severity, age) in ages.items():
        keep(tmp_path / "evidence", number, severity, age)
    assert sweep(tmp_path, max_bytes=500) == [f"{n}-cam.{s}.jpg" for n, (s, _) in ages.items()]
    assert receipts(tmp_path) == [], "nothing was removed"
    assert sweep(tmp_path, max_bytes=200) == ["1-cam.high.jpg", "5-cam.medium.jpg"]
    (receipt,) = receipts(tmp_path)
    assert receipt["names"] == ["3-cam.low.jpg", "2-cam.low.jpg", "4-cam.medium.jpg"]
    assert (receipt["files"], receipt["bytes"], receipt["why"]) == (3, 300, "more than 200 bytes")
    assert receipt["oldest"] == NOW_S - 9 * DAY_S


def test_by_age_all_goes_and_only_where_the_time_is_known(tmp_path: Path) -> None:
    keep(tmp_path / "evidence", 1, "high", 91)
    keep(tmp_path / "evidence", 2, "low", 89)
    assert len(sweep(tmp_path, max_age_days=90.0, time_known=False)) == 2
    assert len(sweep(tmp_path)) == 2
    assert sweep(tmp_path, max_age_days=90.0) == ["2-cam.low.jpg"]
    assert [r["why"] for r in receipts(tmp_path)] == ["older than 90 days"]


@given(st.lists(st.tuples(st.sampled_from(["low", "medium", "high"]), st.integers(1, 50)), max_size=12), st.data())
def test_never_more_than_allowed_and_nothing_more_important_went_for_it(files: Any, data: Any) -> None:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "evidence").mkdir()
        for i, (severity, size) in enumerate(files):
            keep(directory / "evidence", i, severity, age_days=len(files) - i, size=size)
        allowed = data.draw(st.integers(0, 600))
        left = sweep(directory, max_bytes=allowed)
        order = ["low", "medium", "high"]
        whole = sorted(((order.index(s), i) for i, (s, _) in enumerate(files)))
        expected = [(r, i) for r, i in whole if f"{i}-cam.{order[r]}.jpg" in left]
        assert whole[len(whole) - len(expected) :] == expected, "what stays is the end of the order"
        assert sum(files[i][1] for _, i in expected) <= allowed
        gone = sum(r["files"] for r in receipts(directory))
        assert gone + len(left) == len(files), "each removal has its receipt"


def test_receipts_are_bounded_and_a_disk_that_refuses_them_stops_nothing(tmp_path: Path, caplog: Any) -> None:
    (tmp_path / RECEIPTS).write_bytes(b"x" * 1_000_001)
    keep(tmp_path / "evidence", 1, "low", 1)
    assert sweep(tmp_path, max_bytes=0) == []
    assert len(receipts(tmp_path)) == 1
    assert (tmp_path / "purges.1.jsonl").stat().st_size == 1_000_001
    (tmp_path / RECEIPTS).unlink()
    (tmp_path / RECEIPTS).mkdir()
    keep(tmp_path / "evidence", 2, "low", 1)
    assert sweep(tmp_path, max_bytes=0) == []
    assert "the receipt is" in caplog.text


def test_the_event_log_keeps_its_days_and_never_loses_its_newest(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "log", 10**9, max_age_s=2 * 3600.0)
    for hour in range(6):
        log.append([(hour * 3600.0, Tick(at_s=hour * 3600.0))])
    log.close()
    assert [int(f.stem) // 3_600_000 for f in segments(tmp_path / "log")] == [2, 3, 4, 5]
    assert sum(r["files"] for r in receipts(tmp_path)) == 2
    assert {r["what"] for r in receipts(tmp_path)} == {"event-log"}
