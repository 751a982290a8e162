"""Example: vigia check -c /etc/vigia/vigia.toml --format json."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from agent.config.load import ConfigProblems, Problem
from agent.config.schema import Config
from agent.errors import ConfigError, VigiaError
from agent.runtime import configuration

if TYPE_CHECKING:
    import argparse

    from agent.config.load import LoadedConfig

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
        raise ConfigError("which configuration? give it with -c FILE")
    problems: tuple[Problem, ...]
    try:
        loaded = configuration.load(args.config)
        problems = tuple(_devices_and_models(loaded))
    except ConfigProblems as e:
        problems = e.problems
    if args.format == "json":
        print(json.dumps([dataclasses.asdict(p) for p in problems], ensure_ascii=False))
    for problem in problems if args.format == "text" else ():
        print(problem, file=sys.stderr)
    if problems:
        return ConfigError.exit_code
    if args.format == "text":
        print(
            f"{args.config}: good; {len(loaded.config.sensor)} sensors, {len(loaded.config.rule)} rules",
            file=sys.stderr,
        )
    return 0


def _devices_and_models(loaded: LoadedConfig) -> list[Problem]:
    """Addresses are parsed, not opened; models are loaded."""
    from agent.transport import check_url  # noqa: PLC0415 - only a good configuration gets this far

    problems = []
    for i, sensor in enumerate(loaded.config.sensor):
        key = "url"
        try:
            check_url(sensor.url)
            key = "model"
            if sensor.driver == "camera":
                from agent.inference.load import load_detector  # noqa: PLC0415 - costs 0.1 s, only with cameras

                load_detector(sensor.options.get("model"))
        except VigiaError as e:
            file, line = loaded.where(("sensor", i, key))
            problems.append(Problem(file=file, line=line, key=f"sensor.{i + 1}.{key}", message=str(e)))
    return problems
