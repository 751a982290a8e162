"""What the daemon did live, its log does again: byte-identical whatever the hash seed, and what was sent."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from agent.cli.chaos_coast import CONFIG, Coast
from support.broker import Mosquitto

from .conftest import Daemon
from .test_bad_input import udp_port


def test_a_thousand_measurements_twice(daemon: Daemon, mosquitto: Mosquitto, tmp_path: Path) -> None:
    out, udp = tmp_path / "picture.jsonl", udp_port()
    watch = subprocess.Popen(
        [sys.executable, "-m", "agent.cli.main", "watch", "--broker", mosquitto.url, "--ack", "--out", str(out)],
        stdout=subprocess.DEVNULL,
    )
    coast = Coast(udp)
    try:
        daemon.start(CONFIG.format(udp=udp, mqtt=mosquitto.port))
        daemon.wait(lambda s: s["publish"]["connected"])
        coast.start()
        daemon.wait(lambda s: s["open_alerts"] >= 70, 60)
        coast.stop.set()
        time.sleep(2.0)
        daemon.wait(lambda s: s["publish"]["queued"] == 0)
        assert daemon.stop() == 0
    finally:
        coast.stop.set()
        watch.terminate()
        watch.wait(20)
    results = []
    for seed in ("7", "70000"):
        files = [tmp_path / f"{kind}{seed}" for kind in ("tracks", "alerts")]
        done = subprocess.run(
            [
                sys.executable, "-m", "agent.cli.main", "replay", "-c", str(daemon.config), str(daemon.state / "log"),
                "--tracks", str(files[0]), "--alerts", str(files[1]),
            ],
            env={**os.environ, "PYTHONHASHSEED": seed}, check=True, capture_output=True, text=True,
        )  # fmt: skip
        assert int(done.stderr.split(" events")[0]) >= 1000
        results.append([f.read_bytes() for f in files])
    assert results[0] == results[1]
    sent = [m for m in map(json.loads, out.read_text().splitlines()) if m["type"] == "alert"]
    replayed = [json.loads(line) for line in results[0][1].splitlines()]
    keys = ("id", "revision", "situation", "rule", "state", "track")
    assert len(sent) >= 50
    assert {tuple(a[k] for k in keys) for a in sent} == {tuple(a[k] for k in keys) for a in replayed}
