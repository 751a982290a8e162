"""`vigia`: finds the command, prints errors as one plain sentence, ends with the right exit code.

Promises:
- a command's module is imported only when it is called or its help is asked for;
- errors that Vigía raises on purpose never show a trace: 64 usage, 65 unreadable input, 69 device or server missing,
  78 bad configuration.
"""

from __future__ import annotations

import argparse
import errno
import importlib
import os
import sys
from typing import TYPE_CHECKING, NoReturn

from agent import __version__
from agent.errors import SensorUnavailable, UsageError, VigiaError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

COMMANDS = {
    "run": "the daemon",
    "setup": "the first start of a box: place, sensors, broker, a test alert",
    "check": "validate a configuration, its models, zones and rules",
    "probe": "cameras, serial ports and feeds that are there",
    "detect": "the camera path's inference on pictures and videos",
    "decode": "one driver over a recording",
    "replay": "recorded events through the core",
    "record": "write a transport's raw bytes to a capture",
    "watch": "alerts and tracks from a broker, decoded",
    "picture": "the picture's side: receive, store, acknowledge, serve the live state",
    "gateway": "the picture to other formats: TAK, NMEA 0183, GeoJSON",
    "command": "ask a box for something: a picture, a judgement, a link profile",
    "export-evidence": "all that belongs to one alert, in one signed file",
    "verify": "check a picture's store or a case: signatures, seals, and every record that was changed or removed",
    "status": "ask the running daemon",
    "wipe": "remove all that a box has learned and kept, for one that is replaced",
    "sim": "the simulated coast: devices, hub, score",
    "demo": "simulator, hub, agent and page in one",
    "bench": "measurements, peers in the same run",
}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see `{self.prog} --help`)")


def build_parser(command: str | None) -> tuple[argparse.ArgumentParser, ModuleType | None]:
    """The parser, with the arguments of `command` only, and that command's module."""
    parser = _Parser(
        prog="vigia",
        description="The sensor-edge agent for coasts.",
        epilog="Example: vigia demo; then, on a box, vigia setup. Each command: vigia COMMAND --help.",
    )
    parser.add_argument("--version", action="version", version=f"vigia {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    module = None
    for name, help_text in COMMANDS.items():
        if name == command:
            module = importlib.import_module(f"agent.cli.{name.replace('-', '_')}")
            sub = subparsers.add_parser(
                name,
                help=help_text,
                description=module.HELP,
                epilog=module.__doc__,
                formatter_class=argparse.RawDescriptionHelpFormatter,
            )
            module.add_arguments(sub)
        else:
            subparsers.add_parser(name, help=help_text, add_help=False)
    return parser, module


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    args = list(sys.argv[1:] if argv is None else argv)
    command = next((a for a in args if not a.startswith("-")), None)
    try:
        parser, module = build_parser(command)
        parsed = parser.parse_args(args)
        if module is None:
            raise UsageError("no such command; see `vigia --help`")
        code: int = module.run(parsed)
        sys.stdout.flush()
    except VigiaError as e:
        print(e, file=sys.stderr)
        return e.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # `vigia ... | head` is no error
        return 0
    except OSError as e:
        if e.errno != errno.ENOSPC:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is still buffered has no place either
        print(f"the output cannot be written: {e.strerror}; free space and run it again", file=sys.stderr)
        return SensorUnavailable.exit_code
    except KeyboardInterrupt:
        return 130
    return code


if __name__ == "__main__":
    sys.exit(main())
