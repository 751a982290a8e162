"""Every kind of wrong value is told in plain words, with the value as it was written; never in the checker's own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from agent.config.load import ConfigProblems
from agent.runtime import configuration

SITE = {"name": '"Cabo"', "lat": "43.0", "lon": "-8.0", "height_m": "20"}
JARGON = re.compile(r"(?i)\binput\b|\bvalid\b|tuple|parse|validation|instance|dictionary|items|float\b|\bint\b")

CASES = [
    ("site", "height_m", "-5", "has to be 0 or more, not -5"),
    ("site", "height_m", '"high"', 'has to be a number, not "high"'),
    ("site", "height_m", "[1]", "has to be a number"),
    ("site", "height_m", "inf", "has to be 3000 or less, not inf"),
    ("site", "name", "7", 'has to be a text in quotes, as "...", not 7'),
    ("site", "name", '""', 'is too short: 1 characters at least, not ""'),
    ("site", "node", '"a b"', 'has to be letters, digits, dots, dashes or underscores, 32 at most, not "a b"'),
    ("site", "exercise", '"maybe"', 'has to be true or false, without quotes, not "maybe"'),
    ("publish", "window", "99", "has to be 20 or less, not 99"),
    ("publish", "window", "1.5", "has to be a whole number, not 1.5"),
    ("publish", "profile", '"foo"', "has to be one of 'auto', 'lan', 'lte', 'satellite' or 'metered', not \"foo\""),
    ("publish", "fallback_brokers", '"x"', 'has to be a list, as [ ... ], not "x"'),
    ("publish", "broker", '"http://x"', "a broker is written mqtt://host:port"),
    ("storage", "checkpoint_s", "0", "has to be more than 0, not 0"),
    ("power", "hot_c", "20", "has to be 30 or more, not 20"),
    ("power", "radar_off_s", "5", "radar_off_s is 0 (never rest) or at least 15"),
]


@pytest.mark.parametrize(("table", "key", "value", "words"), CASES, ids=lambda v: str(v)[:20])
def test_in_plain_words(tmp_path: Path, table: str, key: str, value: str, words: str) -> None:
    tables = {"site": dict(SITE)}
    tables.setdefault(table, {})[key] = value
    text = "\n".join(f"[{t}]\n" + "\n".join(f"{k} = {v}" for k, v in keys.items()) for t, keys in tables.items())
    path = tmp_path / "v.toml"
    path.write_text(text)
    with pytest.raises(ConfigProblems) as caught:
        configuration.load(path)
    (problem,) = caught.value.problems
    assert words in problem.message
    assert not JARGON.search(problem.message)


def test_a_table_that_is_none_and_a_list_that_is_too_short(tmp_path: Path) -> None:
    path = tmp_path / "v.toml"
    path.write_text(
        'publish = 3\n[site]\nname = "C"\nlat = 1\nlon = 2\nheight_m = 3\n[[zone]]\nname = "Z"\npolygon = [[1,2]]\n'
    )
    with pytest.raises(ConfigProblems) as caught:
        configuration.load(path)
    messages = [p.message for p in caught.value.problems]
    assert messages == ["has to be a table of keys, not 3", "needs 3 entries at least, has 1"]
