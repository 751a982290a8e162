"""The night: simulator, box and score in turn, as `make nightly` runs them, on minutes instead of days."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from hardware_sim import box, nightly, scenario
from hardware_sim.cli import main


@pytest.fixture
def vigia(tmp_path: Path) -> str:
    """The box's program as a command of its own."""
    path = tmp_path / "vigia"
    path.write_text(
        f"#!{sys.executable}\nimport sys\nfrom agent.cli.main import main\nsys.exit(main())\n", encoding="utf-8"
    )
    path.chmod(0o755)
    return str(path)


def test_a_short_night_says_what_it_ran_and_can_be_run_again(
    tmp_path: Path, vigia: str, capsys: pytest.CaptureFixture[str]
) -> None:
    tables = []
    for out in (tmp_path / "one", tmp_path / "two"):
        days = str(300.0 / 86_400.0)
        args = ["--days", days, "--scenario", "harbour-mouth", "--tick", "1", "--vigia", vigia, "--out", str(out)]
        assert main(["nightly", *args]) == 0
        rows = [json.loads(line) for line in (out / "nightly.jsonl").read_text(encoding="utf-8").splitlines()]
        assert [(r["scenario"], r["seed"], r["duration_s"]) for r in rows] == [
            ("harbour-mouth", 1000, 180.0), ("harbour-mouth", 1001, 120.0),
        ]  # fmt: skip
        assert [r["alerts"]["all"]["matched"] for r in rows] == [2, 2]
        assert not list(out.glob("harbour-mouth-*"))  # runs' files go unless --keep
        text = (out / "nightly.md").read_text(encoding="utf-8")
        assert text in capsys.readouterr().out
        tables.append(text.split("\n")[2:])
        cpu = [row.pop(f"{step}_cpu_s") for row in rows for step in ("simulate", "replay", "score")]
        assert all(s > 0.0 for s in cpu)  # the box is a process of its own: its time counts too
        assert f"{sum(cpu) / 60.0:.1f} CPU-minutes, 2 runs" in text
        assert text.endswith(" 0 false tracks, 0.00 a day (95 % at most 862.77 a day).\n")  # 2.9957 in 300 s
        for row in rows:
            del row["simulate_s"], row["replay_s"], row["score_s"]
        tables.append([json.dumps(r) for r in rows])
    assert tables[0] == tables[2]
    assert tables[1] == tables[3]
    assert any(line.startswith("| harbour-mouth | 0.1 | 4 | 4 | 0 | 0 |") for line in tables[0])
    assert any(line.startswith("| zone-enter | 2 | 2 | 0 | 0 | 0 |") for line in tables[0])


def test_a_scenario_of_one_s_own_is_found_from_any_folder(
    tmp_path: Path, vigia: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All paths are relative to where the night begins; the name is one that a box's own name cannot be."""
    (tmp_path / "scenes").mkdir()
    (tmp_path / "elsewhere").mkdir()
    text = (Path(scenario.__file__).parent / "scenarios" / "harbour-mouth.toml").read_text(encoding="utf-8")
    (tmp_path / "scenes" / "My ría.toml").write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path / "elsewhere")
    args = ["--days", str(60.0 / 86_400.0), "--scenario", "../scenes/My ría.toml", "--out", "night", "--keep"]
    assert main(["nightly", *args, "--vigia", f"../{Path(vigia).name}"]) == 0
    folder = tmp_path / "elsewhere" / "night" / "My ría-1000"
    assert 'node = "My-r-a"' in (folder / "box.toml").read_text(encoding="utf-8")
    assert json.loads((folder / "score.json").read_text(encoding="utf-8"))["scenario"] == "My ría"


def test_the_box_s_program_is_the_one_beside_this_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert nightly._program(Path(sys.executable).name) == str(Path(sys.executable).absolute())


@pytest.mark.parametrize(("count", "most"), [(0, 2.9957), (1, 4.7439), (3, 7.7537), (10, 16.9622), (2000, 2075.0)])
def test_the_upper_bound_of_a_count_is_poisson_s(count: int, most: float) -> None:
    """As tables of the chi-squared distribution have it (half of its 95 % point at 2 n + 2 degrees of freedom)."""
    assert nightly.poisson_upper(count) == pytest.approx(most, rel=5e-5 if count < 100 else 1e-3)


def test_scenarios_take_turns_and_seeds_go_on() -> None:
    tasks = nightly.plan(("harbour-mouth", "swarm"), 3000.0 / 86_400.0, 7)
    assert [(t.scenario, t.seed, t.duration_s) for t in tasks] == [
        ("harbour-mouth", 7, 180.0), ("swarm", 7, 1200.0), ("harbour-mouth", 8, 180.0), ("swarm", 8, 1200.0),
        ("harbour-mouth", 9, 180.0), ("swarm", 9, pytest.approx(60.0)),
    ]  # fmt: skip
    assert sum(t.duration_s for t in nightly.plan(scenario.names(), 1.0, 0)) == pytest.approx(86_400.0)


def test_what_goes_wrong_is_said(tmp_path: Path, vigia: str, capsys: pytest.CaptureFixture[str]) -> None:
    common = ["nightly", "--days", "0.001", "--out", str(tmp_path / "out"), "--scenario"]
    assert main([*common, "harbour-mouth", "--vigia", str(tmp_path / "none")]) == 64
    assert "no such program" in capsys.readouterr().err
    text = (Path(scenario.__file__).parent / "scenarios" / "harbour-mouth.toml").read_text(encoding="utf-8")
    (tmp_path / "odd.toml").write_text(text.replace('kind = "dark-vessel"', 'kind = "telepathy"'), encoding="utf-8")
    assert main([*common, str(tmp_path / "odd.toml"), "--vigia", vigia]) == 70
    assert "telepathy" in capsys.readouterr().err
    for wrong, word in (("--days=0", "--days"), ("--jobs=0", "--jobs"), ("--minutes=-1", "--minutes")):
        assert main([*common, "harbour-mouth", "--vigia", vigia, wrong]) == 64
        assert capsys.readouterr().err.startswith(word)
    assert main([*common, "harbour-mouth", "--vigia", vigia, "--minutes=0"]) == 64
    assert "before ten seconds were simulated" in capsys.readouterr().err


@pytest.mark.parametrize("name", scenario.names())
def test_the_box_accepts_every_scenario_s_configuration(name: str, tmp_path: Path, vigia: str) -> None:
    """By `vigia check`, in a process: the simulator writes it from the configuration's documentation alone."""
    (tmp_path / "box.toml").write_text(box.config(scenario.load(name)), encoding="utf-8")
    done = subprocess.run([vigia, "check", "-c", "box.toml"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
