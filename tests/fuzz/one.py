"""Coverage-guided fuzzing of one driver, or of one entry of network.py (libFuzzer, atheris).

python tests/fuzz/one.py NAME CORPUS -runs=N ...
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "hardware-sim")]

import atheris  # type: ignore[import-untyped]  # noqa: E402 - lives in an environment of its own, after the paths

with atheris.instrument_imports(include=["agent", "hardware_sim", "paho"]):
    from fuzz.harness import NAMES, decoder_of, judge
    from fuzz.network import TARGETS


def main() -> None:
    name = sys.argv[1]
    if name in NAMES:
        decoder_of(name)  # imported, and so instrumented, before the first input
    test = TARGETS.get(name) or (lambda data: judge(name, data))
    atheris.Setup([sys.argv[0], *sys.argv[2:]], test)
    atheris.Fuzz()


main()
