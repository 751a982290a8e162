"""Metrics as a scraper reads them, over a real socket, on loopback only."""

from __future__ import annotations

import re
import urllib.error
import urllib.request

import pytest

from agent.errors import SensorUnavailable
from agent.runtime.metrics import MetricsServer

STATUS = {
    "node": "cabo", "version": "0.1.0", "tracks": 3, "open_alerts": 1, "events_dropped": {"ais": 2, "radar": 1},
    "sensors": {'ra"dar\n': {"state": "stale", "evidence": "x", "counters": {"units": 5.0}}},
    "rules": {"no AIS": {"suspended": True, "evidence": ""}},
    "publish": {"connected": True, "queued": 4, "queued_bytes": 512, "sent": 9, "acked": 5, "lost": 0},
}  # fmt: skip
SAMPLE = re.compile(r'[a-z_]+(\{[a-z]+="(\\.|[^"\\])*"(,[a-z]+="(\\.|[^"\\])*")*\})? -?[0-9.]+')


def test_a_scrape_gives_every_figure_in_the_format() -> None:
    server = MetricsServer(0, lambda: STATUS)
    server.start()
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics", timeout=10) as answer:
            assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
            text = answer.read().decode()
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"http://127.0.0.1:{server.port}/", timeout=10)
        rebound = urllib.request.Request(f"http://127.0.0.1:{server.port}/metrics", headers={"Host": "evil.example"})
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(rebound, timeout=10)  # noqa: S310 - http, above
    finally:
        server.stop()
    lines = text.splitlines()
    assert all(SAMPLE.fullmatch(line) for line in lines if not line.startswith("# TYPE "))
    assert "vigia_events_dropped_total 3" in lines
    assert 'vigia_sensor_state{sensor="ra\\"dar\\n",state="stale"} 1' in lines
    assert 'vigia_sensor_state{sensor="ra\\"dar\\n",state="ok"} 0' in lines
    assert 'vigia_rule_suspended{rule="no AIS"} 1' in lines


def test_a_port_that_is_taken_is_one_sentence() -> None:
    first = MetricsServer(0, lambda: STATUS)
    with pytest.raises(SensorUnavailable, match=r"set another \[metrics\] port"):
        MetricsServer(first.port, lambda: STATUS)
    first.stop()
