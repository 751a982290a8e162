"""Where configuration, drivers and rules meet: the one way in which commands load a configuration."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from agent.alerts.rules import rule_table
from agent.config.load import LoadedConfig, load_config, parse_config
from agent.drivers.table import driver_options
from agent.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic import BaseModel


def load(path: Path) -> LoadedConfig:
    """A checked configuration with drivers' and rules' options checked too.

    Raises:
        ConfigProblems: every error found.

    """
    return load_config(path, driver=driver_options, rule=_rule_options)


def parse(text: str, name: str) -> LoadedConfig:
    """The same for a text that is at hand."""
    return parse_config(text, name, driver=driver_options, rule=_rule_options)


def _rule_options(kind: str) -> type[BaseModel]:
    kinds = rule_table()
    if kind not in kinds:
        close = difflib.get_close_matches(kind, kinds, n=1)
        meant = f'; did you mean "{close[0]}"?' if close else ""
        raise ConfigError(f'there is no rule of kind "{kind}"{meant} Kinds: {", ".join(kinds)}')
    return kinds[kind]
