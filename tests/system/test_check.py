"""`vigia check` tells everything at once; wrong usage and unreadable input have their exit codes."""

from __future__ import annotations

import json
import math
import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from agent.cli.check_places import problems_of_places

from .test_bad_input import sentence

SITE = {"name": "Cabo", "lat": 43.0, "lon": -8.0, "height_m": 20}


def vigia(*args: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "agent.cli.main", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_keys_recordings_models_files_and_zones_together(tmp_path: Path) -> None:
    path = tmp_path / "v.toml"
    path.write_text(
        f"""[site]
name = "Cabo"
lat = 43.0
lon = -8.0
heigth_m = 20
[[sensor]]
name = "cam"
driver = "camera"
url = "file://{tmp_path}/none.mp4"
model = "{tmp_path}/none.onnx"
[[sensor]]
name = "ais"
driver = "ais"
url = "udp://1.2.3.4"
[[zone]]
name = "bow"
polygon = [[43.0,-8.0],[43.1,-8.1],[43.0,-8.1],[43.1,-8.0]]
[[zone]]
name = "swapped"
polygon = [[-8.0,43.0],[-8.1,43.0],[-8.1,43.1]]
[publish]
ca_file = "{tmp_path}/none.pem"
"""
    )
    done = vigia("check", "-c", path, "--format", "json")
    assert done.returncode == 78
    told = {(p["line"], p["key"]): p["message"] for p in json.loads(done.stdout)}
    assert (5, "site.heigth_m") in told
    assert (2, "site.height_m") in told or (1, "site.height_m") in told
    assert "none.mp4 is not there" in told[9, "sensor.1.url"]
    assert "none.onnx" in told[10, "sensor.1.model"]
    assert "port" in told[14, "sensor.2.url"]
    assert "crosses itself" in told[17, "zone.1.polygon"]
    assert "km from the place of the box" in told[20, "zone.2.polygon"]
    assert "none.pem is not there" in told[22, "publish.ca_file"]
    assert len(told) == 8


def zone_problems(polygon: list[list[float]]) -> list[str]:
    document = {"site": SITE, "zone": [{"name": "Z", "polygon": polygon}]}
    return [p.message for p in problems_of_places(document, {}, "v.toml")]


@settings(suppress_health_check=[HealthCheck.filter_too_much])
@given(st.lists(st.floats(0.0, 359.0), min_size=3, max_size=30, unique=True))
def test_a_star_around_its_middle_never_crosses_itself_whichever_way_round(angles: list[float]) -> None:
    rounded = sorted({round(a, 1) for a in angles})
    gaps = [(b - a) % 360.0 for a, b in zip(rounded, [*rounded[1:], rounded[0]], strict=True)]
    assume(len(rounded) >= 3 and max(gaps) <= 170.0 and min(gaps) >= 1.0)
    star = [
        [43.0 + 0.02 * (1 + i % 3) * math.cos(math.radians(a)), -8.0 + 0.02 * (1 + i % 3) * math.sin(math.radians(a))]
        for i, a in enumerate(rounded)
    ]
    assert zone_problems(star) == []
    assert zone_problems(star[::-1]) == []
    assert zone_problems([*star, star[0]]) == [], "closed by hand"


@pytest.mark.parametrize(
    ("polygon", "words"),
    [
        ([[43.0, -8.0], [43.1, -8.1], [43.0, -8.1], [43.1, -8.0]], "crosses itself"),
        ([[43.0, -8.0], [43.1, -8.0], [43.2, -8.0]], "encloses no area"),
        ([[43.0, -8.0], [43.0, -8.1], [43.1, -8.1], [43.0, -8.05]], "crosses itself"),
    ],
)
def test_shapes_that_are_none(polygon: list[list[float]], words: str) -> None:
    (problem,) = zone_problems(polygon)
    assert words in problem


def test_a_good_configuration_is_good(tmp_path: Path) -> None:
    path = tmp_path / "v.toml"
    path.write_text(
        '[site]\nname = "C"\nlat = 43.0\nlon = -8.0\nheight_m = 20\n[[zone]]\nname = "Z"\n'
        "polygon = [[43.0, -8.0], [43.1, -8.0], [43.1, -8.1]]\n"
    )
    done = vigia("check", "-c", path)
    assert done.returncode == 0, done.stderr


NIGHT = """[site]
name = "Cabo"
lat = 43.0
lon = -8.0
height_m = 20
[[zone]]
name = "Z"
polygon = [[42.9, -8.2], [43.2, -8.2], [43.2, -7.8], [42.9, -7.8]]
[[rule]]
name = "in"
kind = "zone-enter"
zone = "Z"
[[rule]]
name = "fast"
kind = "speed"
min_mps = 30
"""


def night(folder: Path) -> None:
    """A vessel with AIS that goes through the zone at 5 m/s."""
    rows = []
    for i in range(60):
        at = 100.0 + i
        ais = {"type": "ais", "at": at, "source": "ais", "mmsi": 224000001, "lat": 43.05 + i * 4.5e-5, "lon": -8.0}
        rows += [{**ais, "sog_mps": 5.0, "cog_deg": 0.0}, {"type": "tick", "at": at + 0.5, "source": ""}]
    (folder / "night.jsonl").write_text("\n".join(map(json.dumps, rows)))


@pytest.mark.parametrize(
    ("raises", "code", "words"),
    [
        ('["in"]', 0, ""),
        ('["in", "fast"]', 78, 'no alert of "fast"'),
        ("[]", 78, 'alerts of "in", which it does not name'),
        ('["inn"]', 78, 'there is no rule "inn"'),
    ],
)
def test_a_night_is_a_test_of_the_rules(tmp_path: Path, raises: str, code: int, words: str) -> None:
    night(tmp_path)
    path = tmp_path / "v.toml"
    path.write_text(NIGHT + f'[[test]]\nname = "the night"\nevents = "night.jsonl"\nraises = {raises}\n')
    done = vigia("check", "-c", path)
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert (":20: test.1.raises: " in done.stderr) == (code != 0)


def test_a_test_whose_events_are_gone_is_told(tmp_path: Path) -> None:
    path = tmp_path / "v.toml"
    path.write_text(NIGHT + '[[test]]\nname = "the night"\nevents = "none.vlog"\n')
    done = vigia("check", "-c", path)
    assert done.returncode == 78
    assert 'the test "the night" cannot be run' in done.stderr


@pytest.mark.parametrize(
    "args", [(), ("bogus",), ("check",), ("run",), ("status", "--bogus"), ("sim", "score"), ("decode", "sonar", "x")]
)
def test_wrong_usage_is_64(args: tuple[str, ...]) -> None:
    done = vigia(*args)
    assert done.returncode == 64
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_pure_garbage_is_unreadable_input(tmp_path: Path, seed: int) -> None:
    garbage = tmp_path / "garbage"
    garbage.write_bytes(random.Random(seed).randbytes(3000))
    for kind in ("nmea", "ais", "nav", "nmea-radar", "asterix"):
        done = vigia("decode", kind, garbage)
        assert done.returncode == 65, (kind, done.stderr)
        assert str(garbage) in done.stderr


def test_one_good_sentence_among_garbage_is_read(tmp_path: Path) -> None:
    mixed = tmp_path / "mixed"
    good = sentence("$GPRMC,120000,A,4300.00,N,00800.00,W,0.0,0.0,271126,,")
    mixed.write_bytes(b"$garbage\r\n" + good + b"$more*00\r\n")
    done = vigia("decode", "nav", mixed)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_the_simulator_calls_itself_by_the_command_that_started_it() -> None:
    assert vigia("sim", "run", "--help").stdout.startswith("usage: vigia sim run")
    assert "Example: vigia demo" in vigia("--help").stdout
