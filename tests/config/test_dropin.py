"""Several files, one configuration: who wins, what adds up, where an error points; the merged text says the same."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config.dropin import dump
from agent.config.load import ConfigProblems, load_config, parse_config

MAIN = """[site]
name = "Cabo"
lat = 43.38
lon = -8.40
height_m = 20

[ais]
gate_m = 300

[[sensor]]
name = "a"
driver = "ais"
url = "udp://127.0.0.1:1"
"""

KEY = st.text(min_size=1, max_size=8)
SCALAR = st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text(max_size=20)
VALUE = SCALAR | st.lists(SCALAR, max_size=3) | st.lists(st.lists(SCALAR, max_size=2), max_size=2)
TABLE = st.dictionaries(KEY, VALUE, max_size=4)
DOCUMENT = st.dictionaries(
    KEY,
    VALUE | st.dictionaries(KEY, VALUE | TABLE, max_size=3) | st.lists(st.dictionaries(KEY, VALUE | TABLE, max_size=3)),
    max_size=4,
)


def folder(tmp_path: Path, **files: str) -> Path:
    main = tmp_path / "vigia.toml"
    main.write_text(MAIN, encoding="utf-8")
    (tmp_path / "conf.d").mkdir()
    for name, text in files.items():
        (tmp_path / "conf.d" / f"{name}.toml").write_text(text, encoding="utf-8")
    return main


@given(DOCUMENT)
def test_a_dumped_document_reads_back_as_itself(document: dict[str, object]) -> None:
    assert tomllib.loads(dump(document)) == document


def test_later_keys_win_and_tables_of_a_list_add_up(tmp_path: Path) -> None:
    sensor = '[[sensor]]\nname = "b"\ndriver = "nav"\nurl = "udp://127.0.0.1:2"\nstale_s = 3\n'
    later = "[ais]\ngate_m = 50\nlost_after_s = 9\n"
    main = folder(tmp_path, b="[ais]\ngate_m = 100\n", a=later + sensor)
    loaded = load_config(main)
    assert loaded.config.ais.gate_m == 100
    assert loaded.config.ais.lost_after_s == 9
    assert [s.name for s in loaded.config.sensor] == ["a", "b"]
    assert parse_config(loaded.text).config == loaded.config, "the text that is logged is the configuration that runs"


def test_an_error_points_into_the_file_where_it_was_written(tmp_path: Path) -> None:
    sensor = '\n[[sensor]]\nname = "b"\ndriver = "nav"\nurl = "udp://127.0.0.1:2"\nstale_s = -3\n'
    main = folder(tmp_path, a=sensor, b='[publish]\nbrokr = "mqtt://x"\n')
    with pytest.raises(ConfigProblems) as caught:
        load_config(main)
    found = {(Path(p.file).name, p.line, p.key) for p in caught.value.problems}
    assert found == {("a.toml", 6, "sensor.2.stale_s"), ("b.toml", 2, "publish.brokr")}


def test_every_broken_file_is_named(tmp_path: Path) -> None:
    main = folder(tmp_path, a="[", b="\n\nx = ")
    with pytest.raises(ConfigProblems) as caught:
        load_config(main)
    assert [(Path(p.file).name, p.line) for p in caught.value.problems] == [("a.toml", 1), ("b.toml", 3)]


def test_one_file_runs_as_it_was_written(tmp_path: Path) -> None:
    assert load_config(folder(tmp_path)).text == MAIN
