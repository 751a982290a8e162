"""`vigia demo` as a newcomer runs it, and the replay of what it recorded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agent.cli import demo as demo_command
from agent.runtime import configuration

FILES = ("alerts.jsonl", "truth.jsonl", "score.json", "config.toml", "events.log", "tracks.jsonl")


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    out = tmp_path_factory.mktemp("demo")
    done = subprocess.run(
        [
            sys.executable, "-m", "agent.cli.main", "demo", "--duration", "60", "--headless", "--out", str(out),
            "--port", "0",
        ],
        capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr + (out / "logs" / "agent.log").read_text()
    return out, done.stderr


def test_the_files_are_there(demo: tuple[Path, str]) -> None:
    assert [f for f in FILES if not (demo[0] / f).stat().st_size] == []


def test_the_panga_raises_one_alert_a_rule_in_one_situation_and_nobody_else_any(demo: tuple[Path, str]) -> None:
    alerts = lines(demo[0] / "alerts.jsonl")
    by_rule: dict[str, set[int]] = {}
    for a in alerts:
        by_rule.setdefault(a["rule"], set()).add(a["id"])
        assert a["exercise"] is True
    assert {rule: len(ids) for rule, ids in by_rule.items()} == {"zone-enter": 1, "dark-vessel": 1}
    assert len({a["situation"] for a in alerts}) == 1
    reasons = {a["rule"]: " ".join(a["reasons"]) for a in alerts if a["state"] == "raised"}
    assert "Reserva A Barra" in reasons["zone-enter"]
    assert "AIS" in reasons["dark-vessel"]
    score = json.loads((demo[0] / "score.json").read_text())
    assert score["alerts"]["missed"] == []
    assert score["alerts"]["false"] == []


def test_the_median_delay_is_printed(demo: tuple[Path, str]) -> None:
    assert "median time from simulated event to alert at the hub: " in demo[1]


def test_replay_gives_the_alerts_that_the_live_run_sent_whatever_the_hash_seed(
    demo: tuple[Path, str], tmp_path: Path
) -> None:
    out = demo[0]
    results = []
    for seed in ("0", "31337"):
        files = [tmp_path / f"{kind}{seed}" for kind in ("tracks", "alerts")]
        done = subprocess.run(
            [
                sys.executable, "-m", "agent.cli.main", "replay", "-c", str(out / "config.toml"),
                str(out / "events.log"), "--tracks", str(files[0]), "--alerts", str(files[1]),
            ],
            env={**os.environ, "PYTHONHASHSEED": seed}, check=True, capture_output=True, text=True,
        )  # fmt: skip
        assert int(done.stderr.split(" events")[0]) >= 400
        results.append([f.read_bytes() for f in files])
    assert results[0] == results[1]
    replayed = lines(tmp_path / "alerts0")
    keys = ("id", "situation", "rule", "state", "track", "zone")
    live = {tuple(a[k] for k in keys) for a in lines(out / "alerts.jsonl")}
    assert live <= {tuple(a.get(k) for k in keys) for a in replayed}
    raised = {tuple(a.get(k) for k in keys) for a in replayed if a["state"] == "raised"}
    assert raised == {k for k in live if k[3] == "raised"}


def test_the_demo_s_box_takes_every_receiver_and_does_without_zones(tmp_path: Path) -> None:
    names = ("ais_mast", "ais_harbour", "nav", "radar_ttm", "radar_spokes", "camera", "camera_rtsp")
    camera = dict.fromkeys(("bearing_deg", "pitch_deg", "roll_deg", "height_m"), 1.0) | {"hfov_deg": 40.0}
    ready = {
        "site": {"name": "Cabo", "lat": 43.0, "lon": -9.0, "height_m": 20.0},
        "endpoints": {name: f"udp://127.0.0.1:{4000 + i}" for i, name in enumerate(names)},
        "camera": camera,
        "zones": [],
    }
    file = tmp_path / "vigia.toml"
    file.write_text(demo_command._config(ready, "mqtt://127.0.0.1:1883", tmp_path, 8480), encoding="utf-8")
    config = configuration.load(file).config
    assert [s.url for s in config.sensor if s.driver == "ais"] == ["udp://127.0.0.1:4000", "udp://127.0.0.1:4001"]
    assert [r.kind for r in config.rule] == ["dark-vessel"]
    assert not config.zone
