"""Plots of a real radar against the AIS of the ships around it, and against the same ships put where they are not."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from agent.cli.main import main

CAPTURE = "navico_halo24_nmea_ais_waddenzee"
RANGE_WINDOW_M = 200.0
BEARING_WINDOW_DEG = 2.1

pytestmark = pytest.mark.field


@pytest.fixture(scope="module")
def plots(field_data: Path) -> list[dict[str, Any]]:
    import io  # noqa: PLC0415 - the only use
    from contextlib import redirect_stdout  # noqa: PLC0415 - the only use

    out = io.StringIO()
    with redirect_stdout(out):
        assert main(["decode", "navico", str(field_data / "radar" / f"{CAPTURE}.pcap.gz"), "--plots"]) == 0
    return [json.loads(line) for line in out.getvalue().splitlines()]


@pytest.fixture(scope="module")
def ships(field_data: Path) -> list[tuple[float, float]]:
    """(range_m, bearing_deg) of the moving AIS ships at 1.5-9 km."""
    with (field_data / "radar" / "waddenzee_ais_vs_radar.csv").open() as f:
        rows = list(csv.DictReader(f))
    moving = [r for r in rows if float(r["sog_kn"]) >= 1.0 and 1500.0 <= float(r["range_m"]) <= 9000.0]
    assert len(moving) == 16
    return [(float(r["range_m"]), float(r["bearing_true_deg"])) for r in moving]


def hits(plots: list[dict[str, Any]], ships: list[tuple[float, float]], shift_deg: float) -> int:
    return sum(
        any(
            abs(p["range_m"] - r) <= RANGE_WINDOW_M
            and abs((p["bearing_deg"] - b - shift_deg + 180.0) % 360.0 - 180.0) <= BEARING_WINDOW_DEG
            for p in plots
        )
        for r, b in ships
    )


def test_the_ships_are_there(plots: list[dict[str, Any]], ships: list[tuple[float, float]]) -> None:
    assert hits(plots, ships, 0.0) >= 14


def test_and_next_to_nothing_where_they_are_not(plots: list[dict[str, Any]], ships: list[tuple[float, float]]) -> None:
    counts = {shift: hits(plots, ships, float(shift)) for shift in range(10, 360, 10)}
    assert max(counts.values()) <= 2, counts


def test_summary_agrees_with_an_independent_decoder(field_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wanted = json.loads((field_data / "radar" / "halo24_summary.json").read_text())[CAPTURE]
    assert main(["decode", "navico", str(field_data / "radar" / f"{CAPTURE}.pcap.gz"), "--summary"]) == 0
    streams = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (video,) = [s for s in streams if s["spokes"]]
    assert video["stream"] == "236.6.9.51:7059"
    assert video["spokes"] == wanted["spokes"]
    assert video["rotations"] == wanted["rotations"]
    assert video["crc32_samples"] == wanted["crc32_all_samples"]
    assert video["errors"] == 0
