"""The matrix: a few faults in every run, all with `make faults` (VIGIA_FAULTS=all), which writes docs/faults.md."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import pytest

from .cases import CASES, Case
from .rig import can_mount

CHOSEN = [c for c in CASES if c.quick or os.environ.get("VIGIA_FAULTS") == "all"]


@pytest.mark.timeout(400)
@pytest.mark.parametrize("case", CHOSEN, ids=lambda c: c.name)
def test_it_is_reported_it_recovers_and_nothing_is_lost(case: Case, tmp_path: Path) -> None:
    if case.root and not can_mount():
        pytest.skip("mounts are not available here")
    verdict = case.run(tmp_path)
    if out := os.environ.get("VIGIA_FAULTS_OUT"):
        Path(out).mkdir(exist_ok=True)
        row = {**asdict(verdict), "day": f"{datetime.now(tz=UTC):%Y-%m-%d}", "load": round(os.getloadavg()[1], 1)}
        (Path(out) / f"{case.name}.json").write_text(json.dumps(row, ensure_ascii=False), encoding="utf-8")
    assert verdict.report
    assert verdict.committed > 0, "nothing was at stake: this shows nothing"
    assert verdict.lost == 0
    assert verdict.double == 0 or case.may_double  # an outbox that was damaged has forgotten what it had sent
