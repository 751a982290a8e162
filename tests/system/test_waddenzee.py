"""The recorded HALO24 radar and AIS through the daemon into a real mosquitto, read back by `vigia watch`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.broker import Mosquitto

from .conftest import Daemon

CONFIG = Path(__file__).resolve().parents[2] / "configs" / "waddenzee.toml"


@pytest.mark.field
def test_every_ais_vessel_reaches_the_picture(
    daemon: Daemon, mosquitto: Mosquitto, field_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, "VIGIA_FIELD_DATA", str(field_data))
    out = tmp_path / "picture.jsonl"
    watch = subprocess.Popen(
        [
            sys.executable, "-m", "agent.cli.main", "watch", "--broker", mosquitto.url, "--json", "--ack", "--out",
            str(out), "--duration", "25",
        ],
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        text = CONFIG.read_text(encoding="utf-8").replace("mqtt://127.0.0.1:1883", mosquitto.url)
        daemon.start(text, "--until-finished")
        assert daemon.process is not None
        assert daemon.process.wait(60) == 0, daemon.log.read_text()
    finally:
        watch.terminate()
        watch.wait(20)
    truth = json.loads((field_data / "radar" / "waddenzee_ais_truth.json").read_text())
    reporting = {int(mmsi) for mmsi in truth["targets"]}
    tracks = [m for m in map(json.loads, out.read_text().splitlines()) if m["type"] == "track"]
    first: dict[int, str] = {}
    for t in tracks:
        if t.get("mmsi"):
            first.setdefault(t["mmsi"], t["status"])
    assert set(first) == reporting
    assert len(first) == 122
    assert set(first.values()) == {"ais"}
