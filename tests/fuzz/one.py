"""Coverage-guided fuzzing of one driver: `python tests/fuzz/one.py DRIVER CORPUS -runs=N ...` (libFuzzer, atheris)."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import atheris  # type: ignore[import-untyped]  # noqa: E402 - lives in an environment of its own, after the paths

with atheris.instrument_imports(include=["agent"]):
    from fuzz.harness import decoder_of, judge


def main() -> None:
    name = sys.argv[1]
    decoder_of(name)  # imported, and so instrumented, before the first input
    atheris.Setup([sys.argv[0], *sys.argv[2:]], lambda data: judge(name, data))
    atheris.Fuzz()


main()
