"""configs/vigia.toml documents every key, and its commented values are the defaults."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from agent.config import schema
from agent.config.dropin import locate
from agent.runtime import configuration

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
TEXT = (CONFIGS / "vigia.toml").read_text(encoding="utf-8")
TABLES: dict[str, type[BaseModel]] = {
    "site": schema.Site, "sensor": schema.Sensor, "zone": schema.Zone, "rule": schema.Rule, "test": schema.Test,
    "tracking": schema.Tracking, "ais": schema.AisPolicy, "publish": schema.Publish, "storage": schema.Storage,
    "power": schema.Power, "web": schema.Web, "metrics": schema.Metrics,
}  # fmt: skip
HEADER = re.compile(r"^#? ?\[\[?(\w+)\]\]?")
DEFAULT = re.compile(r"^#(\w+) = (.*)$")
ANY_KEY = re.compile(r"^#? ?(\w+) = ")


def documented() -> tuple[dict[str, dict[str, Any]], dict[str, set[str]]]:
    """(defaults that are stated, keys that are mentioned), by table."""
    defaults: dict[str, dict[str, Any]] = {t: {} for t in TABLES}
    keys: dict[str, set[str]] = {t: set() for t in TABLES}
    table = ""
    for line in TEXT.splitlines():
        if header := HEADER.match(line):
            table = header.group(1)
        elif table and (key := ANY_KEY.match(line)):
            keys[table].add(key.group(1))
            if value := DEFAULT.match(line):
                defaults[table].update(tomllib.loads(line[1:]))
                assert value.group(1) in defaults[table]
    return defaults, keys


@pytest.mark.parametrize("table", TABLES)
def test_every_key_stands_there_and_every_default_is_true(table: str) -> None:
    defaults, keys = documented()
    fields = TABLES[table].model_fields
    assert {f for f in fields if f != "options"} <= keys[table]
    for key, value in defaults[table].items():
        default = fields[key].default
        assert (list(default) if isinstance(default, tuple) else default) == value, key
    for key, spec in fields.items():
        if not spec.is_required() and spec.default is not None and key != "options":
            assert key in defaults[table], f"{key}: its default is not stated"


def test_it_loads_as_it_is() -> None:
    loaded = configuration.load(CONFIGS / "vigia.toml")
    assert loaded.config.site.name == "My headland"
    assert locate(TEXT)["site", "lat"] == 12


def test_the_examples_in_it_load_when_uncommented() -> None:
    wanted = re.compile(r"^# (\[\[(?:sensor|zone|rule|test)\]\]|\w+ = .*)$")
    lines = [m.group(1) if (m := wanted.match(line)) else line for line in TEXT.splitlines()]
    text = "\n".join(x for x in lines if not re.match(r"^(ca_file|cert_file|key_file|password_file|key) ", x))
    loaded = configuration.parse(text, "vigia.toml")
    assert [r.kind for r in loaded.config.rule] == ["zone-enter", "speed", "dark-vessel"]
    assert loaded.config.sensor[0].driver == "navico"
