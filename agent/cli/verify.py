"""Example: vigia verify picture.sqlite --keys boxes.keys.

One JSON object for every record that is not as it should be (--all: for every record), then a summary. Exit code 0 when
nothing was changed or removed, 65 otherwise. Without --keys the run is checked against the keys in its own births: that
shows tampering by anybody but somebody who could sign anew.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from agent.errors import InputError
from agent.publish.ashore.verify import BAD, verdicts
from agent.publish.trust import read_keys

if TYPE_CHECKING:
    import argparse

HELP = "Checks a picture's store offline: signatures, seals, and every record that was changed or removed."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `vigia verify`."""
    parser.add_argument("store", type=Path, help="the --store file of `vigia picture`, or a copy of it")
    parser.add_argument("--keys", type=Path, metavar="FILE", help="lines of NODE and its key (64 hex digits)")
    parser.add_argument("--all", action="store_true", help="good records as well")


def run(args: argparse.Namespace) -> int:
    """Check and tell.

    Raises:
        InputError: the store is not there, or none.

    """
    if not args.store.exists():
        raise InputError(f"{args.store} is not there: give the --store file of `vigia picture`")
    counts: Counter[str] = Counter()
    for row in verdicts(args.store, None if args.keys is None else read_keys(args.keys)):
        counts[row["verdict"]] += 1
        if args.all or row["verdict"] in BAD:
            print(json.dumps(row))
    print(json.dumps({"summary": dict(sorted(counts.items())), "intact": not any(counts[b] for b in BAD)}))
    return InputError.exit_code if any(counts[b] for b in BAD) else 0
