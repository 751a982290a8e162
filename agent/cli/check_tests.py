"""`[[test]]` of a configuration: recorded events through the core under it, and the rules that have to alert.

Promises:
- a test passes when every rule that it names raises at least one alert, and no other rule raises any;
- it is the replay of `vigia replay`, so it says the same on every machine; nothing but its file is read.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from agent.config.load import LoadedConfig, Problem
from agent.errors import VigiaError
from agent.messages import Alert, AlertState, ConfigChange
from agent.record.events_json import read_events
from agent.record.log import read_log
from agent.record.replaying import replayed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.config.schema import Config, Test
    from agent.messages import Event


def failed_tests(loaded: LoadedConfig) -> list[Problem]:
    """One problem for each test that does not pass, or cannot be run."""
    out = []
    for i, test in enumerate(loaded.config.test):
        for key, message, hint in _run(test, loaded):
            file, line = loaded.where(("test", i, key))
            out.append(Problem(file=file, line=line, key=f"test.{i + 1}.{key}", message=message, hint=hint))
    return out


def _run(test: Test, loaded: LoadedConfig) -> Iterator[tuple[str, str, str]]:
    path = Path(loaded.path).parent / test.events  # an absolute one stays what it is
    raised: Counter[str] = Counter()
    try:
        for _, effects in replayed(loaded.config, _events(path, loaded.config)):
            raised.update(e.rule_name for e in effects if isinstance(e, Alert) and e.state is AlertState.RAISED)
    except (OSError, UnicodeDecodeError, VigiaError) as e:
        yield "events", f'the test "{test.name}" cannot be run: {e}', ""
        return
    hint = f"look at it: vigia replay -c {loaded.path} {path}"
    if silent := [r for r in test.raises if not raised[r]]:
        yield "raises", f'the test "{test.name}" fails: no alert of {_named(silent)}', hint
    if others := sorted(set(raised) - set(test.raises)):
        yield "raises", f'the test "{test.name}" fails: alerts of {_named(others)}, which it does not name', hint


def _events(path: Path, config: Config) -> Iterator[Event]:
    if path.suffix == ".jsonl":
        with path.open(encoding="utf-8") as f:
            yield from read_events(f, config)
        return
    for _, event in read_log(path):
        if not isinstance(event, ConfigChange):  # the configuration is this one
            yield event


def _named(rules: list[str]) -> str:
    return " and ".join(f'"{r}"' for r in rules)
