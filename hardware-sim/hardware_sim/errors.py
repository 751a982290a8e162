"""What can be wrong with what the simulator was given.

SimError
├── ScenarioError   a scenario file that cannot be read or makes no sense
├── UsageError      options that do not go together
├── FaultError      a fault that does not exist or cannot be timed so
├── DeviceError     a simulated device that broke by itself
└── ScoreError      a truth, track or alert file that cannot be scored
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError

_WORDS = {"missing": "is missing", "extra_forbidden": "is no key of this table"}


class SimError(Exception):
    """One plain sentence: what, where, what to do. `exit_code` follows sysexits."""

    exit_code = 65


class ScenarioError(SimError):
    """A scenario that cannot be run."""


class UsageError(SimError):
    """A command line that asks for nothing that can be done."""

    exit_code = 64


class FaultError(SimError):
    """A fault that cannot be injected."""

    exit_code = 64


class DeviceError(SimError):
    """A device that broke although no fault was asked for."""

    exit_code = 70


class ScoreError(SimError):
    """A file that cannot be scored."""


def sentences(error: ValidationError) -> list[str]:
    """What pydantic found, one sentence for each: the key, if it is about one, and what is wrong."""
    out = []
    for wrong in error.errors():
        says = _WORDS.get(wrong["type"], wrong["msg"].removeprefix("Value error, "))
        place = ".".join(str(p) for p in wrong["loc"])
        out.append(f"{place}: {says}" if place else says)
    return out
