"""Examples: vigia sim run harbour-mouth --duration 60 --out DIR; vigia sim score truth.jsonl tracks.jsonl alerts.jsonl.

Starts the simulator (`python -m hardware_sim`), which is a program of its own and shares no code with the agent.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

HELP = "The simulated coast: `run`, `record`, `render`, `list`, `score`, `nightly`, `hub`; see `vigia sim run --help`."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Everything is handed on as it is."""
    parser.add_argument("arguments", nargs=argparse.REMAINDER, metavar="...")


def run(args: argparse.Namespace) -> int:
    """Run the simulator in the foreground; its exit code is ours."""
    command = [sys.executable, "-m", "hardware_sim", *args.arguments]
    return subprocess.call(command, env={**os.environ, "HARDWARE_SIM_PROG": "vigia sim"})  # noqa: S603 - our own program
