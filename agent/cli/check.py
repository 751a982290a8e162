"""Example: vigia check -c /etc/vigia/vigia.toml --format json."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from agent.cli.check_places import problems_of_places
from agent.cli.check_tests import failed_tests
from agent.config.load import ConfigProblems, Problem
from agent.config.schema import Config
from agent.errors import ConfigError, UsageError
from agent.runtime import configuration

if TYPE_CHECKING:
    import argparse

HELP = "Validates a configuration: keys, units, zones, rules, addresses and models; opens no device. Exit 78 if bad."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `vigia check`."""
    parser.add_argument("-c", "--config", type=Path, metavar="FILE")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    parser.add_argument("--schema", action="store_true", help="print the JSON Schema of a configuration, and end")


def run(args: argparse.Namespace) -> int:
    """Check and report; 0 when good."""
    if args.schema:
        print(json.dumps(Config.model_json_schema(), indent=2))
        return 0
    if args.config is None:
        raise UsageError("which configuration? give it with -c FILE")
    loaded, problems = None, list[Problem]()
    try:
        loaded = configuration.load(args.config)
        document, places = loaded.document, loaded.places
    except ConfigProblems as e:
        problems += e.problems
        document, places = e.document, e.places
    told = {(p.file, p.line, p.key) for p in problems}
    more = problems_of_places(document, places, str(args.config))
    if loaded is not None and not problems:
        problems += failed_tests(loaded)
    problems += [p for p in more if (p.file, p.line, p.key) not in told]  # one key, one sentence
    problems.sort(key=lambda p: (p.file, p.line, p.key))
    if args.format == "json":
        print(json.dumps([dataclasses.asdict(p) for p in problems], ensure_ascii=False))
    for problem in problems if args.format == "text" else ():
        print(problem, file=sys.stderr)
    if problems or loaded is None:
        return ConfigError.exit_code
    if args.format == "text":
        print(
            f"{args.config}: good; {len(loaded.config.sensor)} sensors, {len(loaded.config.rule)} rules",
            file=sys.stderr,
        )
    return 0
