"""Examples: vigia wipe; vigia wipe --keep-config --yes.

For a box that is replaced, sold or sent in: removes keys, credentials, state, event logs, evidence and, unless told to
keep it, the configuration. Refuses while the daemon runs. Prints a receipt as one JSON object, which names the box's
public key, so that the picture can stop trusting it. What Vigía has not written stays and is named. Files are
overwritten once before they go; flash memory may hold older copies: destroy the medium where that matters.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
import time
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.errors import InputError, SensorUnavailable, UsageError, VigiaError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

HELP = "Removes keys, state, logs, evidence and configuration of a box that is replaced; prints a receipt."
MINE = (
    "node.key", "node.key.*.new", "page.token", "core.checkpoint*", "core.new", "core.broken", "last-good.*",
    "outbox.sqlite*", "clutter-*.*", "purges*.jsonl", "self-test", "status.sock", "log/*.vlog", "alerts/*.vlog",
    "evidence/*.jpg", "evidence/*.mp4", "lock",
)  # fmt: skip
A_STATE = (
    "lock",
    "outbox.sqlite",
    "node.key",
    "core.checkpoint",
    "last-good.toml",
)  # one of them is in any state directory
SECRETS = ("password_file", "key_file", "mac_key_file")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `vigia wipe`."""
    state = Path(os.environ.get("STATE_DIRECTORY", "/var/lib/vigia").split(":")[0])
    parser.add_argument("--state", type=Path, default=state, metavar="DIR", help="the daemon's state directory")
    parser.add_argument("-c", "--config", type=Path, default=Path("/etc/vigia/vigia.toml"), metavar="FILE")
    parser.add_argument("--credentials", type=Path, default=Path("/etc/credstore"), metavar="DIR")
    parser.add_argument("--keep-config", action="store_true", help="keep the configuration (its keys go all the same)")
    parser.add_argument("--yes", action="store_true", help="do not ask")


def run(args: argparse.Namespace) -> int:
    """Ask, remove, and print the receipt.

    Raises:
        UsageError: nobody is there to be asked, or the answer was another one.
        SensorUnavailable: the daemon runs, or a file cannot be removed.
        InputError: that directory is no state directory of Vigía.

    """
    state: Path = args.state
    if not any((state / name).exists() for name in A_STATE):
        raise InputError(f"{state} is no state directory of Vigía: give --state DIR")
    with _locked(state):
        _ask(state, args)
        node, key = _identity(state)
        files = [*_of_state(state), *_of_config(args)]
        removed = _remove(files)
        left = sorted(str(p) for p in state.rglob("*") if not p.is_dir())
        for folder in (state / "log", state / "alerts", state / "evidence", args.config.parent / "conf.d"):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
    receipt: dict[str, Any] = {
        "wiped_at": round(time.time(), 1), "node": node, "node_key": key, "files": len(files), "bytes": removed,
        "configuration": "kept" if args.keep_config else "removed", "left": left,
    }  # fmt: skip
    print(json.dumps(receipt, ensure_ascii=False))
    print(
        "The system's journal is not Vigía's: journalctl --rotate && journalctl --vacuum-time=1s. "
        "Take the box's key from the picture's list of trusted ones.",
        file=sys.stderr,
    )
    return 0


class _locked:  # noqa: N801 - used like a function
    """The daemon's own lock, held meanwhile."""

    def __init__(self, state: Path) -> None:
        self._state = state

    def __enter__(self) -> None:
        try:
            self._handle = (self._state / "lock").open("w")
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as e:
            self._handle.close()
            raise SensorUnavailable(
                f"vigia runs on {self._state}: stop it first (systemctl disable --now vigia)"
            ) from e
        except OSError as e:
            raise SensorUnavailable(f"{self._state}/lock: {e.strerror}; run as root: sudo vigia wipe") from e

    def __exit__(self, *_: object) -> None:
        self._handle.close()


def _ask(state: Path, args: argparse.Namespace) -> None:
    if args.yes:
        return
    if not os.isatty(0):
        raise UsageError("vigia wipe asks before it removes: run it in a terminal, or give --yes")
    what = "keys, state, logs and evidence" + ("" if args.keep_config else f", and {args.config} with conf.d")
    if input(f"This removes all {what} in {state}, for good. Type wipe to go on: ").strip() != "wipe":
        raise UsageError("nothing was removed")


def _identity(state: Path) -> tuple[str | None, str | None]:
    """(node's name, its public key): who this box was."""
    from agent.publish.cose import load_or_make  # noqa: PLC0415 - loads libsodium
    from agent.runtime import configuration  # noqa: PLC0415 - and this the drivers

    node = key = None
    try:
        if (state / "last-good.toml").exists():
            node = configuration.load(state / "last-good.toml").config.site.node_id
        if (state / "node.key").exists():
            key = load_or_make(state / "node.key").public.hex()
    except VigiaError as e:
        print(f"who the box was cannot be read any more: {e}", file=sys.stderr)
    return node, key


def _of_state(state: Path) -> list[Path]:
    return [p for pattern in MINE for p in sorted(state.glob(pattern)) if not p.is_dir()]


def _of_config(args: argparse.Namespace) -> Iterator[Path]:
    """The configuration's files, and the secrets that it names or that lie in the credentials' folders."""
    tables = [args.config, *sorted((args.config.parent / "conf.d").glob("*.toml"))]
    for path in tables:
        if path.is_file():
            yield from _secrets(path)
            if not args.keep_config:
                yield path
    for folder in (args.credentials, args.credentials.with_name(args.credentials.name + ".encrypted")):
        yield from sorted(folder.glob("vigia.*"))


def _secrets(path: Path) -> Iterator[Path]:
    try:
        publish = tomllib.loads(path.read_text(encoding="utf-8")).get("publish", {})
    except (OSError, ValueError) as e:
        print(f"{path} cannot be read ({e}): secrets that it names outside {path.parent} stay", file=sys.stderr)
        return
    for name in SECRETS:
        value = publish.get(name)
        if isinstance(value, str) and "${" not in value and Path(value).is_file():
            yield Path(value)


def _remove(files: list[Path]) -> int:
    """Bytes that were overwritten and removed."""
    total = 0
    for path in files:
        try:
            if path.is_file() and not path.is_symlink():
                total += path.stat().st_size
                _overwrite(path)
            path.unlink(missing_ok=True)
        except OSError as e:
            raise SensorUnavailable(f"{path} cannot be removed: {e.strerror}; run as root, and once more") from e
    return total


def _overwrite(path: Path) -> None:
    with path.open("r+b", buffering=0) as f:
        left = path.stat().st_size
        while left > 0:
            left -= f.write(bytes(min(left, 1 << 20)))
        os.fsync(f.fileno())
