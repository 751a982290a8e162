"""Example: vigia status --state /var/lib/vigia."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from agent.runtime.status import ask_status

if TYPE_CHECKING:
    import argparse

HELP = "Asks the running daemon: sensors with their evidence, tracks, alerts, queue and link. One JSON object."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `vigia status`."""
    default = Path(os.environ.get("STATE_DIRECTORY", "/var/lib/vigia").split(":")[0])
    parser.add_argument("--state", type=Path, default=default, metavar="DIR", help="the daemon's state directory")
    parser.add_argument("--indent", action="store_true", help="spread over lines for people")


def run(args: argparse.Namespace) -> int:
    """Ask and print."""
    print(json.dumps(ask_status(args.state / "status.sock"), indent=2 if args.indent else None, ensure_ascii=False))
    return 0
