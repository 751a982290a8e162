"""Examples: vigia status --indent; vigia status --page (the link of the operator's page, with its token)."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from agent.runtime.page import link
from agent.runtime.status import ask_status

if TYPE_CHECKING:
    import argparse

HELP = "Asks the running daemon: sensors with their evidence, tracks, alerts, queue and link. One JSON object."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `vigia status`."""
    default = Path(os.environ.get("STATE_DIRECTORY", "/var/lib/vigia").split(":")[0])
    parser.add_argument("--state", type=Path, default=default, metavar="DIR", help="the daemon's state directory")
    parser.add_argument("--page", action="store_true", help="print the page's link instead: open it in a browser")
    parser.add_argument("--indent", action="store_true", help="spread over lines for people")


def run(args: argparse.Namespace) -> int:
    """Ask and print."""
    status = ask_status(args.state / "status.sock")
    if args.page:
        print(link(status, args.state))
        return 0
    print(json.dumps(status, indent=2 if args.indent else None, ensure_ascii=False))
    return 0
