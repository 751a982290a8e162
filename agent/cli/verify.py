"""Examples: vigia verify picture.sqlite --keys boxes.keys; vigia verify headland-4321.tar --keys boxes.keys.

A store of `vigia picture`, or a case of `vigia export-evidence`. One JSON object for every record, file or event that
is not as it should be (--all: for every one), then a summary. Exit code 0 when nothing was changed, removed or added,
65 otherwise. Without --keys the run is checked against the keys that it brings itself:
that shows tampering by anybody but somebody who could sign anew. What nobody has signed is `unsealed`.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.errors import InputError, ProtocolError
from agent.publish import cose
from agent.publish.ashore.verify import verdicts
from agent.publish.trust import read_keys
from agent.record import case

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

HELP = "Checks a picture's store or a case offline: signatures, seals, and every record that was changed or removed."
BAD = ("flipped", "removed", "added")
_SQLITE = b"SQLite format 3\0"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `vigia verify`."""
    parser.add_argument(
        "store", type=Path, metavar="FILE", help="the --store file of `vigia picture`, a copy of it, or a case"
    )
    parser.add_argument("--keys", type=Path, metavar="FILE", help="lines of NODE and its key (64 hex digits)")
    parser.add_argument("--all", action="store_true", help="good records as well")


def run(args: argparse.Namespace) -> int:
    """Check and tell.

    Raises:
        InputError: the file is not there, or neither a store nor a case.

    """
    if not args.store.is_file():
        raise InputError(
            f"{args.store} is not there: give a store of `vigia picture` or a case of `vigia export-evidence`"
        )
    keys = None if args.keys is None else read_keys(args.keys)
    with args.store.open("rb") as f:
        rows = verdicts(args.store, keys) if f.read(len(_SQLITE)) == _SQLITE else _of_case(args.store, keys)
    counts: Counter[str] = Counter()
    for row in rows:
        counts[row["verdict"]] += 1
        if args.all or row["verdict"] in BAD:
            print(json.dumps(row))
    intact = not any(counts[b] for b in BAD)
    print(json.dumps({"summary": dict(sorted(counts.items())), "intact": intact}))
    return 0 if intact else InputError.exit_code


def _of_case(path: Path, keys: dict[str, bytes] | None) -> Iterator[dict[str, Any]]:
    files, whole = case.read_case(path)
    manifest = case.read_manifest(files)
    if manifest is None:
        yield {"file": case.MANIFEST, "verdict": "flipped"}
        return
    verdict = _signature(files, manifest, keys)
    yield {"file": case.MANIFEST, "verdict": verdict, "node": manifest.get("node"), "key": manifest.get("key")}
    for row in case.verdicts(files, whole, manifest):
        yield {**row, "verdict": "unsealed"} if (verdict, row["verdict"]) == ("unsealed", "sealed") else row


def _signature(files: dict[str, bytes], manifest: dict[str, Any], keys: dict[str, bytes] | None) -> str:
    """Whether the manifest is what the box's key has signed; with `keys` only these are believed."""
    node, stated = str(manifest.get("node")), str(manifest.get("key") or "")
    if keys is None and not stated:
        return "unsealed" if case.SIGNATURE not in files else "flipped"
    try:
        key = bytes.fromhex(stated) if keys is None else keys.get(node, b"")
        cose.check(files.get(case.SIGNATURE, b""), files[case.MANIFEST], case.context(node), key)
    except (ProtocolError, ValueError):
        return "flipped"
    return "sealed"
