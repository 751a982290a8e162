"""What a command line may say: numbers within their limits, folders that can be made; a sentence about others.

Promises:
- every option that is a number stands in `LIMITS`, for whichever command has it; nothing that is not finite passes, but
  for `--minutes`, which may have no end.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from hardware_sim.errors import UsageError

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

_LATEST_S = 4_294_967_295.0  # a capture's times end there

LIMITS = {
    "seed": (0.0, math.inf, "a whole number from 0 on"),
    "duration": (0.0, math.inf, "a number of seconds that is not negative"),
    "start": (0.0, _LATEST_S, "a Unix time in seconds"),
    "from_s": (-math.inf, math.inf, "a number of seconds"),
    "minutes": (0.0, math.inf, "a number of minutes that is not negative"),
    "jobs": (1.0, math.inf, "a number of processes from 1 on"),
    "delay": (0.0, math.inf, "a number of seconds that is not negative"),
    "drop_puback": (0.0, 1.0, "a share from 0 to 1"),
    "kick_every": (0.0, math.inf, "a whole number from 0 on"),
    "port": (0.0, 65_535.0, "a port from 1 to 65535, or 0 for any free one"),
}
ABOVE_ZERO = ("fps", "tick", "days")
ENDLESS = ("minutes",)


def check_numbers(args: argparse.Namespace) -> None:
    """Refuse what no command can do anything with.

    Raises:
        UsageError: names the option and what it takes.

    """
    for name, value in vars(args).items():
        if value is None or not (name in LIMITS or name in ABOVE_ZERO):
            continue
        low, high, wanted = LIMITS.get(name, (0.0, math.inf, "a number above 0"))
        finite = math.isfinite(value) or (name in ENDLESS and value > 0.0)
        if not finite or not low <= value <= high or (name in ABOVE_ZERO and value == 0.0):
            option = name.removesuffix("_s").replace("_", "-")
            raise UsageError(f"--{option} {value:g}: give {wanted}")


def made_folder(path: Path) -> Path:
    """The folder of `--out`, made if it was not there.

    Raises:
        UsageError: it cannot be.

    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--out {path}: cannot be made a folder ({error.strerror}); name another") from error
    return path
